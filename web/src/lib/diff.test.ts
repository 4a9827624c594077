import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diff, diffLines, hunks, type Line, lines, MAX_DISTANCE, NO_END, tally } from './diff';

const few = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 14 });
const without = (found: Line[], op: Line['op']) => found.filter((line) => line.op !== op).map((line) => line.text);

/** The length of the longest common subsequence, by the textbook. */
function common(a: string[], b: string[]): number {
  const row = new Array<number>(b.length + 1).fill(0);
  for (const x of a) {
    let corner = 0;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j] as number;
      row[j] = x === b[j - 1] ? corner + 1 : Math.max(above, row[j - 1] as number);
      corner = above;
    }
  }
  return row[b.length] as number;
}

describe('a diff', () => {
  test('holds both texts and is as short as can be', () => {
    fc.assert(
      fc.property(few, few, (a, b) => {
        const found = diff(a, b);
        expect(without(found, 'add')).toEqual(a);
        expect(without(found, 'del')).toEqual(b);
        expect(found.filter((line) => line.op === 'same')).toHaveLength(common(a, b));
      }),
      { numRuns: 500 },
    );
  });

  test('of texts that differ in everything is bounded', () => {
    const many = (name: string) => Array.from({ length: MAX_DISTANCE + 5 }, (_, i) => `${name}${i}`);
    const found = diff(['top', ...many('a'), 'end'], ['top', ...many('b'), 'end']);
    expect(without(found, 'add')).toEqual(['top', ...many('a'), 'end']);
    expect(without(found, 'del')).toEqual(['top', ...many('b'), 'end']);
  });

  test('knows a missing line end', () => {
    expect(lines('a\n')).toEqual(['a']);
    expect(lines('')).toEqual([]);
    expect(diffLines('a', 'a\n')).toEqual([
      { op: 'same', text: 'a' },
      { op: 'del', text: NO_END },
    ]);
    expect(tally(diffLines('a', 'b\n'))).toEqual({ added: 1, removed: 1 });
  });
});

describe('hunks', () => {
  test('keep every change, with the right line numbers, and little else', () => {
    fc.assert(
      fc.property(few, few, fc.nat(3), (a, b, context) => {
        const found = diff(a, b);
        const cut = hunks(found, context);
        const changes = (all: Line[]) => all.filter((line) => line.op !== 'same');
        expect(changes(cut.flatMap((hunk) => hunk.lines))).toEqual(changes(found));
        for (const hunk of cut) {
          const [before, after] = [without(hunk.lines, 'add'), without(hunk.lines, 'del')];
          expect(a.slice(hunk.oldStart - 1, hunk.oldStart - 1 + before.length)).toEqual(before);
          expect(b.slice(hunk.newStart - 1, hunk.newStart - 1 + after.length)).toEqual(after);
          const first = hunk.lines.findIndex((line) => line.op !== 'same');
          const last = hunk.lines.findLastIndex((line) => line.op !== 'same');
          expect(first).toBeLessThanOrEqual(context);
          expect(hunk.lines.length - 1 - last).toBeLessThanOrEqual(context);
        }
      }),
      { numRuns: 500 },
    );
  });
});
