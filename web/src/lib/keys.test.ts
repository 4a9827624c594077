import { describe, expect, test, vi } from 'vitest';
import { Chords, Keymap, moved, takesText } from './keys';
import { entries, MAX_SHOWN, search } from './palette';
import type { RequestView, Session } from './types';

describe('chords', () => {
  const press = (chords: Chords, key: string, now = 0, more = {}) => chords.press({ key, ...more }, now);

  test('single keys, and a g with what follows', () => {
    const chords = new Chords();
    expect(press(chords, 'j')).toBe('down');
    expect([press(chords, 'g', 100), press(chords, 'i', 200)]).toEqual([undefined, 'inbox']);
    expect(press(chords, 'i', 300)).toBe('composer');
  });

  test('a g that waited too long, or was followed by nonsense, is forgotten', () => {
    const chords = new Chords();
    press(chords, 'g', 0);
    expect(press(chords, 's', 5_000)).toBeUndefined();
    press(chords, 'g', 6_000);
    expect([press(chords, 'x', 6_100), press(chords, 'p', 6_200)]).toEqual([undefined, undefined]);
  });

  test('whoever types a text gets letters; only the palette and Escape go through', () => {
    const chords = new Chords();
    const typing = { typing: true };
    expect(['j', 'n', '/', '?', 'g', 'i'].map((key) => press(chords, key, 0, typing))).toEqual(new Array(6).fill(undefined));
    expect(press(chords, 'Escape', 0, typing)).toBe('back');
    expect(press(chords, 'k', 0, { ...typing, ctrlKey: true })).toBe('palette');
  });

  test("the browser's own shortcuts stay its own", () => {
    const chords = new Chords();
    expect([press(chords, 'n', 0, { ctrlKey: true }), press(chords, 'j', 0, { metaKey: true }), press(chords, '/', 0, { altKey: true })]).toEqual([undefined, undefined, undefined]);
  });
});

test('of those that know an action, the one that came last acts; what is taken away acts no more', () => {
  const keymap = new Keymap();
  const [shell, screen] = [vi.fn(), vi.fn()];
  keymap.bind({ down: shell, back: shell });
  const unbind = keymap.bind({ down: screen });
  expect([keymap.run('down'), keymap.run('back'), keymap.run('help')]).toEqual([true, true, false]);
  expect([shell.mock.calls.length, screen.mock.calls.length]).toEqual([1, 1]);
  unbind();
  keymap.run('down');
  expect(shell).toHaveBeenCalledTimes(2);
});

test('a move stops at the ends of a list, and begins at the nearer one', () => {
  expect([moved(-1, 1, 3), moved(-1, -1, 3), moved(2, 1, 3), moved(0, -1, 3), moved(0, 1, 0)]).toEqual([0, 2, 2, 0, -1]);
});

test('fields take text; buttons and boxes to tick do not', () => {
  const element = (tagName: string, type = '') => ({ tagName, type }) as unknown as Element;
  expect([element('TEXTAREA'), element('INPUT', 'text'), element('SELECT')].map(takesText)).toEqual([true, true, true]);
  expect([element('INPUT', 'radio'), element('BUTTON'), null].map(takesText)).toEqual([false, false, false]);
});

describe('the palette', () => {
  const session = (id: string, title: string, agent = 'claude') => ({ id, title, agent, workspace: '/home/ana/rocket' }) as Session;
  const request = (id: string, title: string, status = 'open') => ({ id, title, agent: 'codex', status }) as RequestView;
  const all = entries([session('1', 'Fix the parser'), session('2', 'Parse dates'), session('3', 'Über 🚀', 'codex')], [request('r1', 'Run git push'), request('r2', 'Old', 'answered')]);
  const found = (query: string) => search(all, query).map((entry) => entry.title);

  test('offers what waits first, and nothing that is over', () => {
    expect(all[0]).toMatchObject({ kind: 'request', title: 'Run git push', path: '/r/r1' });
    expect(all.map((entry) => entry.title)).not.toContain('Old');
    expect(search(all, '')).toEqual(all);
  });

  test('finds by the start of words before their middle, by notes, and by letters in order', () => {
    expect(found('parse')).toEqual(['Parse dates', 'Fix the parser']);
    expect(found('codex')).toEqual(['Run git push', 'Über 🚀']);
    expect(found('fxprs')).toEqual(['Fix the parser']);
    expect(found('rocket über')).toEqual(['Über 🚀']);
    expect(found('zzz')).toEqual([]);
  });

  test('offers to follow what reads as a topic', () => {
    expect([found('build.*'), found('>'), found('a b.c'), found('zzz/x.y')]).toEqual([['Follow build.*'], ['Follow >'], [], []]);
    expect(search(all, 'build.*')[0]?.path).toBe('/bus/topics/build.*');
    expect(found('bus: keys')).toEqual(['Bus: keys']);
  });

  test('shows a bounded number', () => {
    const many = entries(Array.from({ length: 500 }, (_, i) => session(String(i), `Session ${i}`)), []);
    expect(search(many, 'session')).toHaveLength(MAX_SHOWN);
  });
});
