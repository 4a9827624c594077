/** Line differences of two texts, by Myers' O(ND) algorithm. */

export interface Line {
  op: 'same' | 'del' | 'add';
  text: string;
}

export interface Hunk {
  /** Line numbers of the first line, from 1. */
  oldStart: number;
  newStart: number;
  lines: Line[];
}

/**
 * How many differing lines are looked for. Texts that differ more are shown as one block out, one block in, which is
 * how a person would read them anyway; the search would take memory and time with the square of this.
 */
export const MAX_DISTANCE = 1_000;

/** The lines of a text. A last line without a line end says so, to differ from one that has it. */
export function lines(text: string): string[] {
  if (text === '') return [];
  const split = text.split('\n');
  if (split.at(-1) === '') split.pop();
  else split.push(NO_END);
  return split;
}

export const NO_END = '\\ No newline at end of file';

export function diffLines(oldText: string, newText: string): Line[] {
  return diff(lines(oldText), lines(newText));
}

export function diff(a: string[], b: string[]): Line[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const middle = myers(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end))];
}

/** Cuts a diff to its changes with some lines around them. */
export function hunks(diff: Line[], context = 3): Hunk[] {
  const found: Hunk[] = [];
  let [oldLine, newLine] = [1, 1];
  let hunk: Hunk | undefined;
  let quiet = 0;
  for (let i = 0; i < diff.length; i++) {
    const line = diff[i] as Line;
    if (line.op !== 'same') {
      if (!hunk) {
        const before = diff.slice(Math.max(0, i - context), i);
        hunk = { oldStart: oldLine - before.length, newStart: newLine - before.length, lines: before };
        found.push(hunk);
      }
      quiet = 0;
    } else quiet += 1;
    hunk?.lines.push(line);
    if (hunk && quiet > 2 * context) {
      hunk.lines.length -= quiet - context;
      hunk = undefined;
    }
    if (line.op !== 'add') oldLine += 1;
    if (line.op !== 'del') newLine += 1;
  }
  if (hunk && quiet > context) hunk.lines.length -= quiet - context;
  return found;
}

/** How many lines came and went. */
export function tally(diff: Line[]): { added: number; removed: number } {
  const of = (op: Line['op']) => diff.filter((line) => line.op === op && line.text !== NO_END).length;
  return { added: of('add'), removed: of('del') };
}

function same(texts: string[]): Line[] {
  return texts.map((text) => ({ op: 'same', text }));
}

function replaced(a: string[], b: string[]): Line[] {
  return [
    ...a.map((text): Line => ({ op: 'del', text })),
    ...b.map((text): Line => ({ op: 'add', text })),
  ];
}

/** `trace[d]` holds, for each diagonal k, how far d edits reach in `a`. */
function myers(a: string[], b: string[]): Line[] {
  if (a.length === 0 || b.length === 0) return replaced(a, b);
  const limit = Math.min(a.length + b.length, MAX_DISTANCE);
  const trace: Int32Array[] = [];
  let reach = new Int32Array(2 * limit + 3);
  const zero = limit + 1;
  for (let d = 0; d <= limit; d++) {
    trace.push(reach.slice());
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && at(reach, zero + k - 1) < at(reach, zero + k + 1));
      let x = down ? at(reach, zero + k + 1) : at(reach, zero + k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach[zero + k] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, trace, zero, d);
    }
  }
  return replaced(a, b);
}

function walkBack(a: string[], b: string[], trace: Int32Array[], zero: number, distance: number): Line[] {
  const path: Line[] = [];
  let [x, y] = [a.length, b.length];
  for (let d = distance; d >= 0; d--) {
    const reach = trace[d] as Int32Array;
    const k = x - y;
    const down = k === -d || (k !== d && at(reach, zero + k - 1) < at(reach, zero + k + 1));
    const fromX = d === 0 ? 0 : at(reach, zero + (down ? k + 1 : k - 1));
    const fromY = d === 0 ? 0 : fromX - (down ? k + 1 : k - 1);
    while (x > fromX && y > fromY) path.push({ op: 'same', text: a[--x] as string }) && y--;
    if (d === 0) break;
    if (down) path.push({ op: 'add', text: b[--y] as string });
    else path.push({ op: 'del', text: a[--x] as string });
  }
  return path.reverse();
}

function at(reach: Int32Array, index: number): number {
  return reach[index] as number;
}
