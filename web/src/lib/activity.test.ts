import { describe, expect, test } from 'vitest';
import { activity, EVERYTHING, matches, tallies } from './activity';
import { words } from './notify';
import type { RequestView, Session } from './types';

function session(id: string, more: Partial<Session> = {}): Session {
  return { id, state: 'idle', agent: 'claude', driver: 'acp', created_at: 0, created_by: 'owner', updated_at: 0, queued: 0, pending: 0, turns: 1, ...more };
}
const push = { id: 'r', kind: 'permission', title: 'Run', agent: 'codex', risk: { level: 'high', reason: '' }, tool_call: { toolCallId: '1', kind: 'execute', rawInput: { command: 'git push' } } } as RequestView;

describe('what a session is at', () => {
  const say = (more: Partial<Session>, request?: RequestView) => activity(session('s', more), request).text;

  test('is what it waits for, what it does, or how it ended', () => {
    expect(say({ state: 'waiting' }, push)).toBe('wants to run git push');
    expect(say({ state: 'running', turns: 3, queued: 2 })).toBe('at work on turn 4, 2 queued');
    expect(say({ state: 'failed', last_error: 'no key\nmore' })).toBe('no key');
    expect(say({ last_stop_reason: 'cancelled', turns: 2 })).toBe('stopped after 2 turns');
    expect(say({ turns: 0 })).toBe('nothing was asked yet');
    expect(say({ reported: 'working' })).toBe('says: working');
    expect(say({ reported: 'working', unseen: true })).toBe('not heard of for two minutes');
  });
});

describe('filters of sessions', () => {
  const all = [
    session('1', { state: 'waiting', pending: 1, title: 'Fix parser', project: '/home/ana/rocket' }),
    session('2', { state: 'running', agent: 'codex', project: '/home/ana/moon' }),
    session('3', { state: 'failed', project: '/home/ana/rocket' }),
    session('4', { state: 'closed', title: 'Über 🚀' }),
  ];
  const found = (query: object) => all.filter((one) => matches(one, { ...EVERYTHING, ...query })).map((one) => one.id).join('');

  test('each narrows, and all together', () => {
    expect([found({}), found({ state: 'needs' }), found({ agent: 'codex' }), found({ project: '/home/ana/rocket' }), found({ words: 'über' })]).toEqual(['1234', '1', '2', '13', '4']);
    expect(found({ project: '/home/ana/rocket', state: 'failed', words: 'CLAUDE' })).toBe('3');
  });

  test('the states are counted among what the other filters leave', () => {
    expect(tallies(all, { ...EVERYTHING, project: '/home/ana/rocket', state: 'closed' })).toEqual({ all: 2, needs: 1, running: 0, idle: 0, failed: 1, closed: 0 });
  });
});

test('a notification names the agent, what it wants, and a risk that is one', () => {
  expect(words(push)).toEqual({ title: 'codex wants to run', body: 'git push\nhigh risk' });
  expect(words({ ...push, risk: { level: 'low', reason: '' } }).body).toBe('git push');
});
