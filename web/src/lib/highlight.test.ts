import { expect, test } from 'vitest';
import { highlight, MAX_CHARS } from './highlight';

const TS = "// Twice.\nexport const wait = (n: number) => sleep(n * 2, 'soon');\n";

test('code keeps every character, and its pieces say what they are', async () => {
  const pieces = (await highlight(TS, 'ts')) ?? [];
  expect(pieces.map((piece) => piece.text).join('')).toBe(TS);
  const of = (kind: string) => pieces.filter((piece) => piece.kind === kind).map((piece) => piece.text);
  expect(of('comment')).toEqual(['// Twice.']);
  expect(of('string')).toEqual(["'soon'"]);
  expect(of('keyword')).toEqual(expect.arrayContaining(['export', 'const']));
  expect(pieces.every((piece, i) => i === 0 || piece.kind !== pieces[i - 1]?.kind)).toBe(true);
});

test('what looks like markup stays text', async () => {
  const evil = '<img src=x onerror="alert(1)">&amp;</script>';
  for (const language of ['html', 'svelte', 'js', 'md']) expect((await highlight(evil, language))?.map((piece) => piece.text).join('')).toBe(evil);
});

test('an unknown language, none, and code that is too long are left as they are', async () => {
  expect(await highlight(TS, 'klingon')).toBeUndefined();
  expect(await highlight(TS, '')).toBeUndefined();
  expect(await highlight('x'.repeat(MAX_CHARS + 1), 'ts')).toBeUndefined();
});

test('changes are told apart', async () => {
  expect((await highlight('+new\n-old\n', 'diff'))?.map((piece) => piece.kind)).toEqual(expect.arrayContaining(['added', 'removed']));
});
