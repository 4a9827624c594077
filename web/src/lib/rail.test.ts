import { describe, expect, test } from 'vitest';
import { EventLog, filterEvents, gist, MAX_EVENTS } from './eventlog';
import { allEvents, fileStem, toJsonLines, toMarkdown } from './export';
import { Transcript } from './fold';
import { MAX_PICTURE, picture } from './picture';
import { touched, used } from './touched';
import type { Event, Session } from './types';

let seq = 0;
const event = (type: string, data: unknown, more: object = {}): Event => ({ type, seq: ++seq, at: 1_000 * seq, by: 'agent/s', turn: 1, data, ...more });
const update = (data: object) => event('turn.update', { v: 'acp/1', update: data });
const PIXEL = { type: 'image', mimeType: 'image/png', data: 'iVBORw0KGgo=' };

function folded(events: Event[]) {
  const transcript = new Transcript((events[0]?.seq ?? 1) - 1);
  for (const one of events) transcript.apply(one);
  return transcript.view();
}

function story(): Event[] {
  const edit = (id: string, status: string, newText: string) =>
    update({ sessionUpdate: 'tool_call', toolCallId: id, title: 'Edit a.ts', kind: 'edit', status, content: [{ type: 'diff', path: '/w/src/a.ts', oldText: 'one\ntwo\n', newText }] });
  return [
    event('turn.started', { prompt: [{ type: 'text', text: 'Fix `it`' }, PIXEL] }, { by: 'token/ana' }),
    update({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: 'I look.' } }),
    update({ sessionUpdate: 'tool_call', toolCallId: 'r', title: 'Read b', kind: 'read', status: 'completed', locations: [{ path: '/w/b.md' }], rawOutput: 'a ``` b' }),
    edit('e1', 'completed', 'one\n2\n'),
    edit('e2', 'completed', 'one\ntwo\nthree\n'),
    edit('e3', 'failed', ''),
    update({ sessionUpdate: 'agent_message_chunk', content: PIXEL }),
    event('agent.status', { kind: 'usage_update', update: { used: 12_000, size: 200_000 } }),
    event('turn.ended', { stop_reason: 'end_turn', duration_ms: 2_000, usage: { input: 100, output: 10, cost: 0.25 } }),
    event('turn.started', { prompt: [{ type: 'text', text: 'Again' }] }, { turn: 2, by: 'owner' }),
    event('turn.ended', { stop_reason: 'cancelled', duration_ms: 1_000 }, { turn: 2 }),
  ];
}

describe('pictures', () => {
  test('of known kinds are drawn from their own bytes; nothing else is', () => {
    expect(picture(PIXEL)?.src).toBe('data:image/png;base64,iVBORw0KGgo=');
    for (const wrong of [{ mimeType: 'image/svg+xml' }, { mimeType: 'text/html' }, { data: '"><script>' }, { data: 'A'.repeat(MAX_PICTURE + 1) }, { type: 'audio' }]) {
      expect(picture({ ...PIXEL, ...wrong })).toBeUndefined();
    }
  });

  test('stand in the transcript where they came, in prompts as well', () => {
    const { items } = folded(story());
    expect(items[0]).toMatchObject({ kind: 'prompt', text: 'Fix `it`', pictures: [{ alt: 'Picture from the agent' }] });
    expect(items.map((item) => item.kind)).toEqual(['prompt', 'prose', 'tool', 'tool', 'tool', 'tool', 'picture', 'footer', 'prompt', 'footer']);
  });

  test('that were kept beside the log are drawn once they are here', () => {
    const transcript = new Transcript(0);
    transcript.apply({ type: 'turn.update', seq: 1, at: 0, by: 'agent/s', turn: 1, data: { v: 'acp/1', update: { sessionUpdate: 'agent_message_chunk', content: { type: 'image', mimeType: 'image/png' } }, blob: { sha256: 'x', bytes: 9 } } });
    const [large] = transcript.view().items;
    transcript.fill(large?.key ?? '', { content: PIXEL });
    expect(transcript.view().items[0]?.kind).toBe('picture');
  });
});

test('files are those that calls which succeeded have touched, changed ones first', () => {
  const files = touched(folded(story()).items, '/w');
  expect(files.map(({ shown, did, added, removed, diffs }) => [shown, did, added, removed, diffs.length])).toEqual([
    ['src/a.ts', 'changed', 2, 1, 2],
    ['b.md', 'read', 0, 0, 0],
  ]);
});

test('usage is the sum over turns, and says nothing of costs that nobody told', () => {
  const { items, context } = folded(story());
  expect(used(items)).toMatchObject({ turns: 2, ms: 3_000, tools: 4, cost: 0.25, tokens: { input: 100, output: 10, cache_read: 0 } });
  expect(context).toEqual({ used: 12_000, size: 200_000 });
  expect(used([]).cost).toBeUndefined();
});

describe('the raw log', () => {
  test('keeps the newest, and the same list while nothing comes', () => {
    const log = new EventLog();
    for (let i = 1; i <= MAX_EVENTS * 2 + 5; i++) log.push({ type: 't', seq: i, at: 0, by: 'x', data: {} });
    const all = log.all();
    expect([all.length, all.at(-1)?.seq, log.all() === all]).toEqual([MAX_EVENTS, MAX_EVENTS * 2 + 5, true]);
  });

  test('is filtered by words, and against words', () => {
    const all = story();
    expect(filterEvents(all, '').length).toBe(all.length);
    expect(filterEvents(all, 'turn.update tool_call').length).toBe(4);
    expect(filterEvents(all, 'turn.update -tool_call').length).toBe(2);
  });

  test('has a gist for each event', () => {
    expect(story().slice(1, 3).map(gist)).toEqual(['agent_message_chunk I look.', 'tool_call r completed Read b']);
    expect(gist({ type: 't', seq: 1, at: 0, by: 'x', data: null })).toBe('');
  });
});

describe('an export', () => {
  const session = { id: '0190163d-8694', agent: 'claude', title: 'Fix the parser: ünïcode!', workspace: '/w', created_at: 0 } as Session;

  test('reads all pages', async () => {
    const all = story();
    const first = all[0]?.seq ?? 0;
    const page = async (after: number) => {
      const items = all.filter((one) => one.seq > after).slice(0, 4);
      return { items, first, head: first + all.length - 1, more: (items.at(-1)?.seq ?? Infinity) < first + all.length - 1 };
    };
    const blob = async (sha256: string) => ({ sessionUpdate: 'plan', sha256 });
    expect(await allEvents(page, blob)).toEqual(all);
    expect(await allEvents(async () => ({ items: [], first: 1, head: 0, more: true }), blob)).toEqual([]);
  });

  test('ends where the log ended when it began, and has whole what was kept beside it', async () => {
    const at = (seq: number, data: unknown) => ({ type: 'turn.update', seq, at: 0, by: 'agent/s', data });
    const items = [at(1, { v: 'acp/1', update: { short: true }, blob: { sha256: 'abc', bytes: 9 } }), at(2, { v: 'acp/1', update: {} }), at(3, {})];
    const events = await allEvents(async () => ({ items, first: 1, head: 2, more: true }), async (sha256) => ({ whole: sha256 }));
    expect(events.map((event) => event.data)).toEqual([{ v: 'acp/1', update: { whole: 'abc' } }, { v: 'acp/1', update: {} }]);
  });

  test('as lines has what it is first, and not what a driver remembers', () => {
    const lines = toJsonLines(session, [event('driver.memo', { secret: 1 })], 7).trimEnd().split('\n').map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ trunkline: 'export/1', exported_at: 7, session: { id: session.id } });
    expect(lines[1].data).toBeNull();
  });

  test('as Markdown has all that was said and done, in fences that hold', () => {
    const text = toMarkdown(session, folded(story()).items);
    expect(text.startsWith('# Fix the parser: ünïcode!\n\n- Agent: claude')).toBe(true);
    expect(text).toContain('## ana\n\nFix `it`');
    expect(text).toContain('````\na ``` b\n````');
    expect(text).toContain('--- /w/src/a.ts\n-one\n-two\n+one\n+2');
    expect(text).toContain('_end_turn, 2.0 s, $0.25_');
  });

  test('has a name that any file system takes', () => {
    expect(fileStem(session)).toBe('fix-the-parser-unicode-0190163d');
    expect(fileStem({ ...session, title: '日本 🚀/..' })).toBe('session-0190163d');
  });
});
