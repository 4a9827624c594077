import { describe, expect, test, vi } from 'vitest';
import { Transcript } from './fold';
import { Hold, HOLD_MS } from './hold';
import { atWork, bySession, fits, inOrder, others, phrase, stepsBefore } from './inbox';
import { canHaveRule, exactly, suggestions } from './pattern';
import { choices, isSnoozed, MAX_SNOOZED, Snoozes } from './snooze';
import { FAR, Swipe } from './swipe';
import { fakeClock } from './testing';
import type { Event, RequestView, Risk, Session } from './types';

function request(id: string, more: Partial<RequestView> = {}): RequestView {
  return { id, status: 'open', kind: 'permission', title: id, priority: 'normal', created_at: 0, created_by: 'agent/s', session: 's', agent: 'claude', workspace: '/w', ...more };
}
const risk = (level: Risk['level']): Risk => ({ level, reason: '' });
const ids = (requests: RequestView[]) => requests.map((one) => one.id).join(' ');

test('what is urgent comes first, then what risks most, then what waits longest', () => {
  const all = [
    request('low', { risk: risk('low'), created_at: 1 }),
    request('old', { created_at: 0 }),
    request('medium', { risk: risk('medium'), created_at: 9 }),
    request('high', { risk: risk('high'), created_at: 8 }),
    request('unknown', { risk: risk('unknown'), created_at: 7 }),
    request('urgent', { priority: 'urgent', created_at: 9 }),
    request('someday', { priority: 'low', created_at: 0 }),
  ];
  expect(ids(inOrder(all))).toBe('urgent high unknown medium old low someday');
});

test('groups stand in the order of what presses most in them', () => {
  const all = inOrder([request('a1', { session: 'a' }), request('b1', { session: 'b', risk: risk('high') }), request('a2', { session: 'a', created_at: 5 })]);
  expect(bySession(all).map((group) => `${group.session}: ${ids(group.requests)}`)).toEqual(['b: b1', 'a: a1 a2']);
});

test('a filter wants all of its words, wherever they are', () => {
  const one = request('1', { title: 'Run git push', project: '/home/ana/rocket' });
  expect(['', 'git', 'ROCKET push', 'claude git', 'git moon'].map((filter) => fits(one, filter))).toEqual([true, true, true, true, false]);
});

test('a row says what the agent wants, in a phrase', () => {
  const say = (more: Partial<RequestView>) => {
    const { wants, what, code } = phrase(request('x', more));
    return `${wants} ${code ? `\`${what}\`` : what}`;
  };
  expect(say({ tool_call: { toolCallId: '1', kind: 'execute', rawInput: { command: 'git push origin main' } } })).toBe('wants to run `git push origin main`');
  expect(say({ tool_call: { toolCallId: '1', kind: 'edit', title: 'Edit /w/src/a.ts' } })).toBe('wants to change `src/a.ts`');
  expect(say({ title: 'Deploy now?', kind: 'question' })).toBe('asks Deploy now?');
  expect(say({ tool_call: { toolCallId: '1', kind: 'edit', title: 'Write it', locations: [{ path: '/w/b.md' }] } })).toBe('wants to change `b.md`');
  expect(say({ title: 'Anything else' })).toBe('wants Anything else');
  expect(say({ title: 'Deploy now? 🚀' })).toBe('asks Deploy now? 🚀');
});

test('the steps before a request are the last tool calls, and not the one it is about', () => {
  const transcript = new Transcript();
  let seq = 0;
  const add = (type: string, data: unknown) => transcript.apply({ type, seq: ++seq, at: seq, by: 'agent/s', turn: 1, data } as Event);
  const tool = (id: string, status: string) => add('turn.update', { v: 'acp/1', update: { sessionUpdate: 'tool_call', toolCallId: id, title: `Read ${id}`, kind: 'read', status } });
  for (const [id, status] of [['a', 'completed'], ['b', 'completed'], ['c', 'failed'], ['d', 'in_progress']] as const) tool(id, status);
  add('request.opened', { id: 'q', kind: 'permission', title: 'Write', options: [], tool_call: { toolCallId: 'e', kind: 'edit' } });
  expect(stepsBefore(transcript.view().items, 'q', '/w').map((step) => `${step.verb} ${step.line} ${step.status}`)).toEqual(['Read b done', 'Read c failed', 'Read d running']);
});

test('others are named once, and without ourselves', () => {
  const client = (client: number, principal: string, name: string) => ({ client, principal, name, since: 0 });
  const all = [client(1, 'owner', 'terminal'), client(2, 'token/phone', 'browser'), client(3, 'token/phone', 'browser')];
  expect(others(all, { principal: 'token/phone', name: 'browser' })).toEqual(['owner (terminal)', 'phone (browser)']);
  expect(others(all, undefined)).toEqual(['owner (terminal)', 'phone (browser)']);
});

test('an empty inbox tells what runs and what is parked', () => {
  const states = ['running', 'idle', 'closed', 'failed', 'stopping'].map((state) => ({ id: state, state }) as Session);
  const { running, parked } = atWork(states);
  expect([running.map((one) => one.id), parked.map((one) => one.id)]).toEqual([['running', 'stopping'], ['idle', 'failed']]);
});

describe('snoozing', () => {
  function memory() {
    const data = new Map<string, string>();
    return { getItem: (key: string) => data.get(key) ?? null, setItem: (key: string, value: string) => void data.set(key, value), removeItem: () => {} };
  }

  test('holds until its time, over a reload, and can be taken back', () => {
    const storage = memory();
    new Snoozes(storage).put('a', 1_000, 0);
    const snoozes = new Snoozes(storage);
    expect([isSnoozed(snoozes.get(), 'a', 999), isSnoozed(snoozes.get(), 'a', 1_000), isSnoozed(snoozes.get(), 'b', 0)]).toEqual([true, false, false]);
    snoozes.wake('a', 500);
    expect(isSnoozed(new Snoozes(storage).get(), 'a', 500)).toBe(false);
  });

  test('is bounded, and forgets what is over', () => {
    const snoozes = new Snoozes(memory());
    for (let i = 0; i < MAX_SNOOZED + 5; i++) snoozes.put(`r${i}`, 1_000 + i, 0);
    expect([snoozes.get().size, snoozes.get().has('r0')]).toEqual([MAX_SNOOZED, false]);
    snoozes.put('new', 9_000, 5_000);
    expect([...snoozes.get().keys()]).toEqual(['new']);
  });

  test('until the morning is always ahead, and at most a day', () => {
    for (const hour of [0, 8, 9, 10, 23]) {
      const now = new Date(2026, 2, 10, hour, 30).getTime();
      const until = choices(now).at(-1)?.until ?? 0;
      expect(new Date(until).getHours()).toBe(9);
      expect(until > now && until - now <= 86_400_000).toBe(true);
    }
  });
});

describe('suggested rules', () => {
  const rules = (kind: string, input: unknown, more: object = {}) => suggestions(request('x', { tool_call: { toolCallId: '1', kind, rawInput: input, ...more } }));

  test('widen from exactly this command', () => {
    expect(rules('execute', { command: 'git push origin main' })).toEqual(['shell(git push origin main)', 'shell(git push *)', 'shell(git *)']);
    expect(rules('execute', { command: 'ls -la /tmp' })).toEqual(['shell(ls -la /tmp)', 'shell(ls *)']);
  });

  test('none for a line that does more than one thing', () => {
    for (const command of ['a && b', 'echo $(id)', 'x > y', "sh -c 'x'", 'a | b', 'a; b']) expect(rules('execute', { command })).toEqual([]);
  });

  test('files inside of the workspace, hosts, and tools of MCP servers', () => {
    expect(rules('edit', {}, { locations: [{ path: '/w/src/a.ts' }] })).toEqual(['edit(src/a.ts)', 'edit(src/**)', 'edit']);
    expect(rules('edit', {}, { locations: [{ path: '/etc/passwd' }] })).toEqual([]);
    expect(rules('fetch', { url: 'https://docs.rs/x' })).toEqual(['fetch(docs.rs)']);
    expect(suggestions(request('x', { tool: 'mcp__github__merge' }))).toEqual(['mcp:github/merge', 'mcp:github/*']);
  });

  test('the narrowest one has no wildcard, and high risk has no rule at all', () => {
    const push = request('x', { risk: risk('medium'), tool_call: { toolCallId: '1', kind: 'execute', rawInput: { command: 'git push' } } });
    expect([exactly(push), exactly(request('y'))]).toEqual(['shell(git push)', undefined]);
    expect([canHaveRule(push), canHaveRule({ ...push, risk: risk('high') }), canHaveRule(request('outside'))]).toEqual([true, false, false]);
  });
});

test('what is held counts after a second, once, and not when it is let go early', async () => {
  const { clock, pass } = fakeClock();
  const done = vi.fn();
  const hold = new Hold(done, clock);
  hold.down();
  await pass(HOLD_MS - 1);
  hold.up();
  await pass(HOLD_MS);
  expect(done).not.toHaveBeenCalled();
  hold.down();
  hold.down();
  await pass(HOLD_MS);
  expect([done.mock.calls.length, hold.held]).toEqual([1, false]);
});

describe('a swipe', () => {
  test('means something only when it goes far, and its direction says what', () => {
    const swipe = new Swipe();
    for (const [to, side] of [[FAR, 'allow'], [-FAR, 'deny'], [FAR - 1, undefined]] as const) {
      swipe.start(200, 100);
      expect(swipe.move(200 + to, 104)).toBe(true);
      expect([swipe.side(), swipe.end(), swipe.offset]).toEqual([side, side, 0]);
    }
  });

  test('that goes down scrolls, whatever comes after', () => {
    const swipe = new Swipe();
    swipe.start(200, 100);
    expect([swipe.move(204, 130), swipe.move(400, 130), swipe.end()]).toEqual([false, false, undefined]);
  });
});
