import { expect, test } from 'vitest';
import { draftName, draftOf, type KeyDraft, storedDraft, writeBack, writeOf } from './keyform';
import type { KeyEntry } from './things';

const entry: KeyEntry = { key: 'lock', value: '{"n":1e400}', owner: 'ana', expires_at: 100, revision: 7 };

test('what is there is written only over the revision that was seen, and lasts as it did', () => {
  const draft = draftOf(entry);
  expect(draft).toEqual({ key: 'lock', text: '{\n  "n": 1e400\n}', owner: 'ana', lasts: 'keep', time: '', base: 7 });
  expect(writeOf(draft, entry, 40)).toEqual({ value: draft.text, owner: 'ana', if_revision: 7, ttl_ms: 60 });
  expect(writeOf({ ...draft, owner: ' ', lasts: 'for', time: '10m' }, entry, 40)).toEqual({ value: draft.text, owner: undefined, if_revision: 7, ttl_ms: 600_000 });
  expect(writeOf({ ...draft, lasts: 'ever' }, entry, 40)).toEqual({ value: draft.text, owner: 'ana', if_revision: 7 });
});

test('what is new is written only where nothing is', () => {
  expect(writeOf({ ...draftOf(undefined), key: 'a', text: ' "x" ' }, undefined, 0)).toEqual({ value: '"x"', owner: undefined, if_absent: true });
});

test('what cannot be written says why', () => {
  const draft: KeyDraft = { key: 'a', text: 'done', owner: '', lasts: 'for', time: '10' };
  expect([writeOf({ ...draft, key: '' }, undefined, 0), writeOf({ ...draft, text: ' ' }, undefined, 0), writeOf(draft, undefined, 0), writeOf({ ...draft, text: '1' }, undefined, 0), writeOf(draftOf(entry), entry, 100), writeOf(draftOf(entry), undefined, 0)]).toEqual([
    'The key needs a name.',
    'The value is missing.',
    'The value is no JSON. A text stands in quotes: "done"',
    'How long it lasts is said as 90s, 10m, 2h or 1d.',
    'Its time is over meanwhile. Say how long it lasts from now.',
    'Its time is over meanwhile. Say how long it lasts from now.',
  ]);
});

test('what was deleted comes back as it was, unless its time is over', () => {
  expect(writeBack(entry, 40)).toEqual({ value: '{"n":1e400}', owner: 'ana', ttl_ms: 60, if_absent: true });
  expect(writeBack(entry, 100)).toBeUndefined();
  expect(writeBack({ key: 'a', value: '1', revision: 1 }, 0)).toEqual({ value: '1', owner: undefined, ttl_ms: undefined, if_absent: true });
});

test('each key has a draft of its own', () => {
  expect([draftName('a/b'), draftName('a', 'b'), draftName('a')]).toEqual(['kv/a%2Fb', 'kv/a/b', 'kv/a']);
});

test('a draft outlives the page; rubbish is none', () => {
  const draft = draftOf(entry);
  expect(storedDraft(JSON.stringify(draft))).toEqual(draft);
  expect(['', '{', 'null', '{"key":"a"}', '{"key":"a","text":"","owner":"","time":"","lasts":"x"}'].map(storedDraft)).toEqual(new Array(5).fill(undefined));
});
