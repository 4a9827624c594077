import { expect, test } from 'vitest';
import { Problem } from './api';
import { type Search, Transcripts } from './search';
import type { FoundPassage, FoundPassages } from './things';

function passage(text: string): FoundPassage {
  return { session: 's', agent: 'bot', seq: 1, at: 1, said: 'answer', excerpt: [{ text, found: true }] };
}

/** A search whose answers and pauses come when the test says so. */
function world() {
  const asked: { words: string; cursor: string | undefined; answer: (found: FoundPassages) => void; fail: (error: Error) => void }[] = [];
  let due: (() => void) | undefined;
  const clock = {
    now: () => 0,
    random: () => 0,
    after: (_: number, run: () => void) => {
      due = run;
      return () => { due = undefined; };
    },
  };
  const search = new Transcripts((words, cursor) => new Promise((answer, fail) => void asked.push({ words, cursor, answer, fail })), clock);
  let state: Search | undefined;
  search.subscribe((next) => { state = next; });
  const pause = () => { const run = due; due = undefined; run?.(); };
  const settle = () => new Promise<void>((done) => queueMicrotask(() => queueMicrotask(() => queueMicrotask(done))));
  return { search, asked, pause, settle, state: () => state as Search };
}

test('it is looked for once nobody types, and the newest question counts', async () => {
  const { search, asked, pause, settle, state } = world();
  search.type('p');
  expect([asked.length, state().loading]).toEqual([0, false]);
  search.type('pa');
  search.type('par ');
  pause();
  expect(asked.map(({ words }) => words)).toEqual(['par']);
  search.type('parser');
  pause();
  asked[1]?.answer({ items: [passage('parser')] });
  asked[0]?.answer({ items: [passage('old')] });
  await settle();
  expect([state().items.map((item) => item.excerpt[0]?.text), state().loading]).toEqual([['parser'], false]);
  search.type('');
  expect(state().items).toEqual([]);
});

test('pages follow each other, and what fails says why', async () => {
  const { search, asked, pause, settle, state } = world();
  search.type('parser');
  pause();
  asked[0]?.answer({ items: [passage('a')], next: '7' });
  await settle();
  search.more();
  search.more();
  expect(asked.map(({ cursor }) => cursor)).toEqual([undefined, '7']);
  asked[1]?.answer({ items: [passage('b')] });
  await settle();
  expect([state().items.length, state().next]).toEqual([2, undefined]);
  search.type('parsers');
  pause();
  asked[2]?.fail(new Problem(503, 'down', 'the search index does not work'));
  await settle();
  expect([state().items.length, state().problem]).toEqual([2, 'the search index does not work']);
});
