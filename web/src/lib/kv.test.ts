import { describe, expect, test } from 'vitest';
import { emptyList, happened, isOver, type KeyEvent, type KeyList, lifetime, MAX_KEYS } from './kv';
import type { KeyEntry } from './things';

const entry = (key: string, revision: number, more: Partial<KeyEntry> = {}): KeyEntry => ({ key, revision, value: String(revision), ...more });
const told = { at: 7, by: 'token/phone' };
const put = (key: string, revision: number, more: Partial<KeyEntry> = {}): KeyEvent => ({ ...told, type: 'key.put', entry: entry(key, revision, more) });
const listed = (...items: KeyEntry[]): KeyList => ({ ...emptyList({ prefix: '' }), items });
const play = (list: KeyList, ...events: KeyEvent[]) => events.reduce(happened, list);
const shown = (list: KeyList) => list.items.map((one) => `${one.key}@${one.revision}${one.owner ? ` ${one.owner}` : ''}`);

describe('a list of keys', () => {
  test('follows what happens to them, in their order', () => {
    const list = play(listed(entry('a', 1), entry('b', 2)), put('c', 3), put('a', 4, { owner: 'ana' }), { ...told, type: 'key.deleted', key: 'b' }, put('b', 5));
    expect(shown(list)).toEqual(['a@4 ana', 'c@3', 'b@5']);
    expect(shown(play(list, { ...told, type: 'keys.transferred', keys: ['a', 'x'], to: 'bob', revision: 6 }, { ...told, type: 'key.expired', key: 'c' }))).toEqual(['a@6 bob', 'b@5']);
    expect(shown(play(list, { ...told, type: 'keys.cleared' }))).toEqual([]);
  });

  test('is not set back by what was told before it was read', () => {
    const list = listed(entry('a', 9, { owner: 'bob' }));
    expect(play(list, put('a', 8), put('a', 9), { ...told, type: 'keys.transferred', keys: ['a'], to: 'ana', revision: 5 })).toEqual(list);
  });

  test('takes what begins as asked, and nothing that comes behind what is not listed yet', () => {
    expect(shown(play(emptyList({ prefix: 'build.' }), put('build.app', 1), put('deploy', 2)))).toEqual(['build.app@1']);
    expect(shown(play({ ...listed(entry('a', 1)), next: '1' }, put('z', 2), put('a', 3)))).toEqual(['a@3']);
    const full = listed(...Array.from({ length: MAX_KEYS }, (_, i) => entry(`k${i}`, 1)));
    expect(play(full, put('one more', 2)).items).toHaveLength(MAX_KEYS);
  });

  test('of one key tells how that went, until it is there again', () => {
    const one: KeyList = { ...emptyList({ key: 'lock' }), items: [entry('lock', 1)] };
    const gone = play(one, put('lock.other', 2), { ...told, type: 'key.deleted', key: 'other' }, { ...told, type: 'key.deleted', key: 'lock' });
    expect(gone).toMatchObject({ items: [], gone: { how: 'deleted', at: 7, by: 'token/phone' } });
    expect(play(one, { ...told, type: 'key.expired', key: 'lock' }).gone?.how).toBe('expired');
    expect(play(gone, put('lock', 3))).toMatchObject({ items: [{ revision: 3 }], gone: undefined });
  });

  test('a key past its deadline is not there', () => {
    expect([entry('a', 1), entry('a', 1, { expires_at: 5 }), entry('a', 1, { expires_at: 6 })].map((one) => isOver(one, 5))).toEqual([false, true, false]);
  });
});

test('a lifetime is said as on the command line', () => {
  expect(['90s', '10m', ' 1h 30m ', '1.5h', '2D', '500ms', '10 min'].map(lifetime)).toEqual([90_000, 600_000, 5_400_000, 5_400_000, 172_800_000, 500, 600_000]);
  expect(['', '10', 'm', '0s', '-5m', '10m x', '1e9d', '99999999999999d'].map(lifetime)).toEqual(new Array(8).fill(undefined));
});
