import { describe, expect, test, vi } from 'vitest';
import { came, finding, inOrder, isPattern, listTopics, MAX_TAIL, MAX_TAIL_CHARS, NO_TAIL, type Row, stands, withHistory } from './topics';
import type { Topic, TopicMessage } from './things';

const message = (id: number, data = '1', topic = 'build'): TopicMessage => ({ id, topic, seq: id, data, at: id });
const row = (id: number, data?: string): Row => ({ kind: 'message', key: `1.${id}`, message: message(id, data) });
const gap: Row = { kind: 'gap', key: 'gap-1' };

describe('the tail of a topic', () => {
  test('has what is retained before what came meanwhile, each once', () => {
    const tail = withHistory(came(NO_TAIL, [row(3), row(4)]), '1', [message(1), message(2), message(3)]);
    expect(tail.rows.map((one) => one.key)).toEqual(['1.1', '1.2', '1.3', '1.4']);
    expect([tail.seen, tail.cut]).toEqual([2, false]);
    // Another life of the daemon counts anew: the same numbers are other messages.
    expect(withHistory(tail, '2', [message(3)]).rows).toHaveLength(5);
  });

  test('shows where something is missing', () => {
    expect(came(came(NO_TAIL, [row(1)]), [gap, row(9)]).rows.map((one) => one.kind)).toEqual(['message', 'gap', 'message']);
  });

  test('is searched in all that a message says', () => {
    const rows: Row[] = [{ kind: 'message', key: 'a', message: { ...message(1, '{"Took":42}'), agent: 'ana' } }, gap, row(2)];
    expect(finding([{ kind: 'message', key: 'é', message: message(1, '"caf\\u00e9"') }], 'café')).toHaveLength(1);
    expect(['ANA took', 'build', 'nothing', ' '].map((words) => finding(rows, words).map((one) => one.key))).toEqual([['a', 'gap-1'], ['a', 'gap-1', '1.2'], ['gap-1'], ['a', 'gap-1', '1.2']]);
  });

  test('is bounded in number and in size, and never without the newest', () => {
    const many = came(NO_TAIL, Array.from({ length: MAX_TAIL + 5 }, (_, i) => row(i)));
    expect([many.rows.length, many.rows[0]?.key, many.cut, many.seen]).toEqual([MAX_TAIL, '1.5', true, MAX_TAIL + 5]);
    const huge = 'x'.repeat(MAX_TAIL_CHARS);
    const tail = came(came(NO_TAIL, [row(1), row(2, huge)]), [row(3, `${huge}x`)]);
    expect([tail.rows.map((one) => one.key), tail.chars]).toEqual([['1.3'], MAX_TAIL_CHARS + 1]);
  });
});

test('a pattern has words that stand for others', () => {
  expect(['build', 'build.*', 'build.>', '*', 'a*', 'build.x>'].map(isPattern)).toEqual([false, true, true, true, false, false]);
});

test('a pattern stands for topics as the daemon has it', () => {
  const cases: [string, string[], string[]][] = [
    ['build', ['build'], ['build.a', '', 'buil']],
    ['build.*', ['build.a', 'build.'], ['build', 'build.a.b', 'xbuild.a']],
    ['build.>', ['build.a', 'build.a.b'], ['build', 'built.a']],
    ['*.done', ['a.done'], ['done', 'a.b.done']],
    ['>', ['a', 'a.b', ''], []],
    ['a*', ['a*'], ['ab']],
  ];
  for (const [pattern, yes, no] of cases) expect([pattern, yes.map((topic) => stands(pattern, topic)), no.map((topic) => stands(pattern, topic))]).toEqual([pattern, yes.map(() => true), no.map(() => false)]);
});

describe('the list of topics', () => {
  const topic = (name: string, last_at: number): Topic => ({ topic: name, retained: 1, subscribers: 0, last_at });

  test('has the newest first, and those of the daemon last', () => {
    expect(inOrder([topic('__bus__.put.a', 9), topic('old', 1), topic('b', 5), topic('a', 5)]).map((one) => one.topic)).toEqual(['a', 'b', 'old', '__bus__.put.a']);
  });

  test('asks for the newest message where there is a newer one, and lives without an answer', async () => {
    const list = [topic('a', 1), topic('b', 2), topic('c.>', 3)];
    const messages = vi.fn(async (name: string) => (name === 'b' ? Promise.reject(new Error('no')) : { items: [message(1, '"hi"', name)] }));
    const api = { topics: async () => ({ items: list }), messages };
    const first = await listTopics(api, []);
    expect(first.map((one) => [one.topic, one.last?.data])).toEqual([['c.>', undefined], ['b', undefined], ['a', '"hi"']]);
    messages.mockClear();
    await listTopics(api, first);
    expect(messages.mock.calls).toEqual([['b', 1]]);
  });
});
