import { describe, expect, test } from 'vitest';
import { MAX_ITEMS, Transcript } from './fold';
import type { Item, Tool } from './items';
import type { Event } from './types';

/** Writes a log: each call is the next event. */
function log() {
  const events: Event[] = [];
  const add = (type: string, data: unknown, more: Partial<Event> = {}) => {
    const seq = (events.at(-1)?.seq ?? 0) + 1;
    events.push({ type, seq, at: seq * 1_000, by: 'owner', data, ...more });
    return self;
  };
  const self = {
    events,
    add,
    update: (update: Record<string, unknown>, turn = 1) => add('turn.update', { v: 'acp/1', update }, { turn, by: 'agent/x' }),
    text: (text: string, messageId?: string, turn = 1) =>
      self.update({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text }, ...(messageId && { messageId }) }, turn),
    thought: (text: string) => self.update({ sessionUpdate: 'agent_thought_chunk', content: { type: 'text', text } }),
    start: (turn = 1, text = 'do it') => add('turn.started', { prompt: [{ type: 'text', text }] }, { turn, by: 'trunkline' }),
    end: (turn = 1, more: Record<string, unknown> = {}) => add('turn.ended', { stop_reason: 'end_turn', duration_ms: 5_000, ...more }, { turn }),
    view: () => {
      const transcript = new Transcript();
      for (const event of events) transcript.apply(event);
      return transcript.view();
    },
  };
  return self;
}

/** One line per item: what a reader would see. */
function script(items: Item[]): string[] {
  return items.map((item) => {
    switch (item.kind) {
      case 'prompt':
        return `${item.by}: ${item.text}`;
      case 'prose':
        return `agent: ${item.text}`;
      case 'thought':
        return `thinks: ${item.text}`;
      case 'tool':
        return `${item.tool} ${item.title || item.id} [${item.stopped ? 'stopped' : item.status}]${item.requests.map((ask) => ` ?${ask.title}=${ask.status}`)}`;
      case 'terminal':
        return `$ ${item.terminal.argv.join(' ')}: ${item.terminal.text}`;
      case 'plan':
        return `plan: ${item.entries.map((entry) => `${entry.content}=${entry.status}`).join(', ')}`;
      case 'request':
        return `? ${item.request.title}=${item.request.status}`;
      case 'note':
        return `${item.tone}: ${item.text}`;
      case 'footer':
        return `-- ${item.reason}${item.error ? ` ${item.error}` : ''}`;
      case 'large':
        return `${item.what} ${item.bytes}: ${item.start}`;
      case 'picture':
        return item.picture.alt;
      case 'gap':
        return `... ${item.missing}`;
    }
  });
}

const permission = (id: string, tool_call?: unknown) => ({
  id,
  kind: 'permission',
  title: 'Write hello.txt',
  options: [
    { id: 'y', name: 'Yes', kind: 'allow_once' },
    { id: 'n', name: 'No', kind: 'reject_once' },
  ],
  tool_call,
});

describe('a turn', () => {
  test('reads as prompt, thought, prose, tool, prose, footer', () => {
    const view = log()
      .add('session.created', {})
      .add('turn.queued', { prompt: [{ type: 'text', text: 'hello' }] }, { turn: 2, by: 'token/phone' })
      .start(2, 'hello')
      .thought('Hm')
      .text('Look', undefined, 2)
      .update({ sessionUpdate: 'tool_call', toolCallId: 't', title: 'Read a', kind: 'read', status: 'in_progress' }, 2)
      .update({ sessionUpdate: 'tool_call_update', toolCallId: 't', status: 'completed' }, 2)
      .text('Done', undefined, 2)
      .end(2, { usage: { input: 5 } })
      .view();
    expect(script(view.items)).toEqual([
      'token/phone: hello',
      'thinks: Hm',
      'agent: Look',
      'read Read a [completed]',
      'agent: Done',
      '-- end_turn',
    ]);
    expect(view.queue).toEqual([]);
    expect(view.turn).toBeUndefined();
  });

  test('says until when a turn waits for a limit, and no longer when it goes on', () => {
    const parked = log().start().add('turn.note', { code: 'parked', message: 'Slow down.', data: { until: 99 } }, { turn: 1 });
    expect(parked.view().turn?.parked).toBe(99);
    expect(parked.add('turn.note', { code: 'resumed', message: 'On.' }, { turn: 1 }).view().turn?.parked).toBeUndefined();
  });

  test('runs until it has ended', () => {
    const running = log().start().add('turn.stopping', { why: 'cancelled', until: 9 }, { turn: 1 });
    expect(running.view().turn).toEqual({ turn: 1, since: 1_000, stopping: true });
    expect(running.end(1, { stop_reason: 'cancelled' }).view().turn).toBeUndefined();
  });

  test('started again after a crash has one prompt', () => {
    expect(script(log().start(1).text('a').start(1).text('b').end().view().items)).toEqual([
      'trunkline: do it',
      'agent: a',
      'info: The turn was started again.',
      'agent: b',
      '-- end_turn',
    ]);
  });

  test('that is cancelled closes its request and stops its tools, but not those of the turn before', () => {
    const view = log()
      .start(1)
      .update({ sessionUpdate: 'tool_call', toolCallId: 'a', title: 'A', status: 'in_progress' })
      .add('request.opened', permission('r', { toolCallId: 'b', title: 'B', kind: 'edit' }), { turn: 1 })
      .add('turn.stopping', { why: 'cancelled', until: 9 }, { turn: 1 })
      .add('request.closed', { id: 'r', outcome: 'cancelled' }, { turn: 1 })
      .end(1, { stop_reason: 'cancelled' })
      .view();
    expect(script(view.items)).toEqual([
      'trunkline: do it',
      'other A [stopped]',
      'edit B [stopped] ?Write hello.txt=cancelled',
      '-- cancelled',
    ]);
    expect(view.pending).toEqual([]);
  });

  test('that failed says why', () => {
    expect(script(log().start().end(1, { stop_reason: 'error', error: 'no such model' }).view().items).at(-1)).toBe('-- error no such model');
  });
});

describe('prose', () => {
  test('joins neighbouring chunks of a message, across gauges and updates of earlier tools', () => {
    const view = log()
      .update({ sessionUpdate: 'tool_call', toolCallId: 't', title: 'T' })
      .text('one ')
      .add('agent.status', { kind: 'usage_update', update: {} })
      .update({ sessionUpdate: 'tool_call_update', toolCallId: 't', status: 'completed' })
      .text('two')
      .view();
    expect(script(view.items)).toEqual(['other T [completed]', 'agent: one two']);
  });

  test('is parted by another message, another kind, another turn', () => {
    const view = log().text('a', 'm1').text('b', 'm2').thought('c').text('d', 'm2').text('e', 'm2', 2).view();
    expect(script(view.items)).toEqual(['agent: a', 'agent: b', 'thinks: c', 'agent: d', 'agent: e']);
  });
});

describe('tools', () => {
  test('the update may come before the call', () => {
    const view = log()
      .update({ sessionUpdate: 'tool_call_update', toolCallId: 't', status: 'in_progress', rawInput: { a: 1 } })
      .update({ sessionUpdate: 'tool_call', toolCallId: 't', title: 'Edit a.txt', kind: 'edit' })
      .view();
    expect(script(view.items)).toEqual(['edit Edit a.txt [in_progress]']);
    expect((view.items[0] as Tool).input).toEqual({ a: 1 });
  });

  test('there may be updates only', () => {
    const view = log()
      .update({ sessionUpdate: 'tool_call_update', toolCallId: 't', title: 'Read', kind: 'read', status: 'in_progress' })
      .update({ sessionUpdate: 'tool_call_update', toolCallId: 't', status: 'completed', content: [] })
      .view();
    expect(script(view.items)).toEqual(['read Read [completed]']);
    expect(view.items[0]).toMatchObject({ at: 1_000, ended: 2_000 });
  });

  test('absent and null members stay, content is replaced', () => {
    const block = (text: string) => ({ type: 'content', content: { type: 'text', text } });
    const view = log()
      .update({ sessionUpdate: 'tool_call', toolCallId: 't', title: 'T', kind: 'edit', content: [block('a'), block('b')] })
      .update({ sessionUpdate: 'tool_call_update', toolCallId: 't', title: null, content: [block('c')] })
      .update({ sessionUpdate: 'tool_call_update', toolCallId: 't', status: 'failed' })
      .view();
    expect(view.items[0]).toMatchObject({ title: 'T', tool: 'edit', status: 'failed', content: [block('c')] });
  });

  test('an id that comes again in a later turn is another call, a late bare update is not', () => {
    const view = log()
      .start(1)
      .update({ sessionUpdate: 'tool_call', toolCallId: '0', title: 'First' }, 1)
      .end(1)
      .update({ sessionUpdate: 'tool_call_update', toolCallId: '0', status: 'completed' }, 2)
      .update({ sessionUpdate: 'tool_call', toolCallId: '0', title: 'Second' }, 3)
      .view();
    expect(script(view.items)).toEqual(['trunkline: do it', 'other First [stopped]', '-- end_turn', 'other Second [pending]']);
    expect((view.items[1] as Tool).status).toBe('completed');
  });

  test('a terminal stands in the card that shows it, whichever comes first', () => {
    const shows = { sessionUpdate: 'tool_call', toolCallId: 't', title: 'Run', content: [{ type: 'terminal', terminalId: 'x' }] };
    const terminal = (l: ReturnType<typeof log>) =>
      l.add('terminal.started', { terminal: 'x', argv: ['ls'], cwd: '/' }).add('terminal.output', { terminal: 'x', text: 'a\n' });
    const after = terminal(log().update(shows)).add('terminal.exited', { terminal: 'x', code: 1 });
    const before = terminal(log()).update(shows).add('terminal.exited', { terminal: 'x', code: 1 });
    for (const view of [after.view(), before.view()]) {
      expect(view.items).toHaveLength(1);
      expect((view.items[0] as Tool).terminals.x).toMatchObject({ argv: ['ls'], text: 'a\n', running: false, code: 1 });
    }
    expect(script(terminal(log()).view().items)).toEqual(['$ ls: a\n']);
  });
});

describe('requests', () => {
  test('stand under their tool, and are settled by whoever was first', () => {
    const open = log()
      .update({ sessionUpdate: 'tool_call', toolCallId: 't', title: 'Write', kind: 'edit' })
      .text('meanwhile')
      .add('request.opened', permission('r', { toolCallId: 't', rawInput: { path: 'a' } }), { turn: 1, by: 'agent/x' });
    expect(script(open.view().items)).toEqual(['edit Write [pending] ?Write hello.txt=open', 'agent: meanwhile']);
    expect(open.view().pending.map((one) => one.request.id)).toEqual(['r']);
    const view = open.add('request.closed', { id: 'r', outcome: 'answered', answer: { option: 'y' } }, { by: 'token/phone' }).view();
    expect((view.items[0] as Tool).requests[0]).toMatchObject({
      status: 'answered',
      closed: { outcome: 'answered', by: 'token/phone', answer: { option: 'y' } },
    });
    expect(view.pending).toEqual([]);
  });

  test('about a call never heard of bring its card', () => {
    const judged = { id: 'r', risk: { level: 'high', reason: 'deletes a' }, rule: 'high risk is always asked about' };
    const asks = log().add('request.opened', permission('r', { toolCallId: 'q' })).add('request.judged', judged).view().items;
    expect(JSON.stringify(asks)).toContain('deletes a');
    expect(script(log().add('request.opened', permission('r', { toolCallId: 't', title: 'Write', kind: 'edit' })).view().items)).toEqual([
      'edit Write [pending] ?Write hello.txt=open',
    ]);
  });

  test('about no call stand by themselves; dismissed ones come back when escalated', () => {
    const asked = log().add('request.opened', { id: 'q', kind: 'question', title: 'Which?' }).add('request.dismissed', { id: 'q' });
    expect(script(asked.view().items)).toEqual(['? Which?=dismissed']);
    const view = asked.add('request.escalated', { id: 'q' }).view();
    expect(view.pending[0]?.request).toMatchObject({ status: 'open', priority: 'urgent' });
  });
});

test('the queue holds what has neither started nor been taken back', () => {
  const queued = log().start(1);
  for (const text of ['a', 'b', 'c']) queued.add('turn.queued', { prompt: [{ type: 'text', text }] });
  queued.add('turn.unqueued', {}, { turn: 3 }).end(1).start(2, 'a');
  expect(queued.view().queue).toEqual([{ turn: 4, text: 'c', by: 'owner', at: 4_000 }]);
});

test('a plan is replaced where it stands; the next turn has its own', () => {
  const plan = (status: string) => ({ sessionUpdate: 'plan', entries: [{ content: 'x', priority: 'high', status }] });
  const view = log().update(plan('pending')).text('go').update(plan('completed')).update(plan('pending'), 2).view();
  expect(script(view.items)).toEqual(['plan: x=completed', 'agent: go', 'plan: x=pending']);
});

test('what our side did is noted', () => {
  const view = log()
    .add('file.written', { path: '/w/a.txt', sha256: '', bytes: 1_234, created: true })
    .add('agent.exited', { incarnation: 1, code: 0 })
    .add('agent.exited', { incarnation: 2, signal: 9, stderr: 'boom' })
    .add('turn.note', { code: 'bad_line', message: 'Not JSON', data: 'x' })
    .add('session.closed', {})
    .view();
  expect(script(view.items)).toEqual([
    'info: Created /w/a.txt, 1,234 bytes',
    "warn: The agent's process was ended by signal 9.",
    'warn: Not JSON',
    'info: The session was closed.',
  ]);
});

describe('whatever comes', () => {
  test('an event twice counts once', () => {
    const { events } = log().start().text('a').text('b');
    const transcript = new Transcript();
    for (const event of [...events, ...events]) transcript.apply(event);
    expect(script(transcript.view().items)).toEqual(['trunkline: do it', 'agent: ab']);
  });

  test('missing events leave a mark where they are missing', () => {
    const { events } = log().text('a').text('b').text('c').text('d');
    const transcript = new Transcript();
    for (const event of events) if (event.seq !== 2 && event.seq !== 3) transcript.apply(event);
    const view = transcript.view();
    expect(script(view.items)).toEqual(['agent: a', '... 2', 'agent: d']);
    expect(view.missing).toBe(2);
  });

  test('unknown and broken payloads are passed over', () => {
    const broken = [null, 7, 'x', [], {}, { update: null }, { update: { sessionUpdate: 'plan', entries: [null] } }, { id: 3, terminal: 4 }];
    const types = ['moon.landed', 'turn.update', 'turn.queued', 'turn.started', 'turn.note', 'turn.ended', 'request.opened', 'request.closed', 'terminal.output', 'file.written', 'agent.exited', 'driver.memo', 'grant.added'];
    const fuzz = log();
    for (const type of types) for (const data of broken) fuzz.add(type, data);
    for (const content of [null, 7, [null], [{ type: 'x' }]]) {
      fuzz.update({ sessionUpdate: 'tool_call', toolCallId: 't', content }).update({ sessionUpdate: 'agent_message_chunk', content });
    }
    expect(() => fuzz.add('terminal.started', { terminal: 'z' }).view()).not.toThrow();
    expect(script(log().add('turn.update', { v: 'other/2', update: { sessionUpdate: 'plan', entries: [] } }).view().items)).toEqual([]);
  });

  test('items that did not change are the same objects', () => {
    const { events } = log().start().text('a').update({ sessionUpdate: 'tool_call', toolCallId: 't', title: 'T' }).text('b');
    const transcript = new Transcript();
    for (const event of events.slice(0, -1)) transcript.apply(event);
    const before = transcript.view().items;
    transcript.apply(events.at(-1) as Event);
    const after = transcript.view().items;
    expect(after.slice(0, before.length).every((item, i) => item === before[i])).toBe(true);
  });

  test('a transcript keeps a bounded number of items, and its places stay right', () => {
    const transcript = new Transcript();
    const total = MAX_ITEMS + 10;
    for (let seq = 1; seq <= total; seq++) {
      const update = { sessionUpdate: 'tool_call', toolCallId: `t${seq}`, title: `T${seq}` };
      transcript.apply({ type: 'turn.update', seq, at: seq, by: 'a', turn: 1, data: { v: 'acp/1', update } });
    }
    const finish = (seq: number, id: string) =>
      transcript.apply({ type: 'turn.update', seq, at: seq, by: 'a', turn: 1, data: { update: { sessionUpdate: 'tool_call_update', toolCallId: id, status: 'completed' } } });
    finish(total + 1, `t${total}`);
    const view = transcript.view();
    expect(view.items.length).toBeLessThanOrEqual(MAX_ITEMS);
    expect(view.dropped + view.items.length).toBe(total);
    expect(view.items.at(-1)).toMatchObject({ id: `t${total}`, status: 'completed' });
  });
});

describe('what is too large for the log', () => {
  const blob = { sha256: 'ab', bytes: 300_000 };
  const large = (update: unknown) =>
    log().start().add('turn.update', { v: 'acp/1', update, blob }, { turn: 1, by: 'agent/x' });
  const folded = (events: Event[]) => {
    const transcript = new Transcript();
    for (const event of events) transcript.apply(event);
    return transcript;
  };

  test('a message shows its start, and then all of it in the same place', () => {
    const content = { type: 'text', text: 'Once…' };
    const transcript = folded(large({ sessionUpdate: 'agent_message_chunk', content }).text('The end.').events);
    expect(script(transcript.view().items).slice(1)).toEqual(['prose 300000: Once…', 'agent: The end.']);
    const whole = { type: 'text', text: 'Once upon a time.' };
    transcript.fill('large2', { sessionUpdate: 'agent_message_chunk', content: whole });
    expect(script(transcript.view().items).slice(1)).toEqual(['agent: Once upon a time.', 'agent: The end.']);
  });

  test('a tool call gets what was left out', () => {
    const transcript = folded(large({ sessionUpdate: 'tool_call', toolCallId: 't', title: 'Edit', kind: 'edit' }).events);
    expect(script(transcript.view().items).slice(1)).toEqual(['edit Edit [pending]', 'tool 300000: ']);
    const content = [{ type: 'diff', path: '/x', newText: 'new' }];
    transcript.fill('large2', { sessionUpdate: 'tool_call', toolCallId: 't', title: 'Edit', kind: 'edit', content });
    const items = transcript.view().items;
    expect(script(items).slice(1)).toEqual(['edit Edit [pending]']);
    expect((items[1] as Tool).content).toEqual(content);
  });

  test('what is not understood is passed over, and a key that is gone too', () => {
    const transcript = folded(large({ sessionUpdate: 'later' }).events);
    transcript.fill('large2', {});
    expect(transcript.view().items.map((item) => item.kind)).toEqual(['prompt']);
  });
});
