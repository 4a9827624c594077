/**
 * QR codes (ISO/IEC 18004), as far as a link needs them: bytes, error correction of level M, versions 1 to 10.
 * One module is one square; true is dark.
 */

export type Matrix = boolean[][];

/** How many bytes fit at most. */
export const MAX_QR_BYTES = 213;

/** By version, from 1 on: how many bytes of correction a block has, how many blocks there are. */
const CORRECTION = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5];
/** Where the centres of the small squares stand, in both directions. */
const CENTRES = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

const MASKS: ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The code of a text; undefined if it is too long. */
export function qr(text: string): Matrix | undefined {
  const bytes = new TextEncoder().encode(text);
  const version = BLOCKS.findIndex((_, i) => bytes.length + (i < 9 ? 2 : 3) <= dataBytes(i + 1)) + 1;
  if (version === 0) return undefined;
  const words = interleaved(padded(bytes, version), version);
  const codes = MASKS.map((_, mask) => drawn(words, version, mask));
  return codes.reduce((best, code) => (penalty(code) < penalty(best) ? code : best));
}

/** How many modules a version has for bytes, those of the correction included. */
function modules(version: number): number {
  const small = version === 1 ? 0 : Math.floor(version / 7) + 2;
  let free = (16 * version + 128) * version + 64;
  if (small > 0) free -= (25 * small - 10) * small - 55;
  return version >= 7 ? free - 36 : free;
}

function dataBytes(version: number): number {
  return Math.floor(modules(version) / 8) - at(CORRECTION, version - 1) * at(BLOCKS, version - 1);
}

/** The mode, the length, the bytes, and what fills up the rest. */
function padded(bytes: Uint8Array, version: number): number[] {
  const bits: number[] = [];
  const push = (value: number, length: number) => {
    for (let i = length - 1; i >= 0; i--) bits.push((value >> i) & 1);
  };
  push(4, 4);
  push(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) push(byte, 8);
  const room = dataBytes(version) * 8;
  push(0, Math.min(4, room - bits.length));
  push(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < room; pad ^= 0xec ^ 0x11) push(pad, 8);
  const words: number[] = [];
  for (let i = 0; i < bits.length; i += 8) words.push(bits.slice(i, i + 8).reduce((sum, bit) => sum * 2 + bit, 0));
  return words;
}

/** The blocks with their correction, a byte of each in turn. */
function interleaved(data: number[], version: number): number[] {
  const [count, correction] = [at(BLOCKS, version - 1), at(CORRECTION, version - 1)];
  const total = Math.floor(modules(version) / 8);
  const short = Math.floor(total / count) - correction;
  const long = count - (total % count);
  const divisor = generator(correction);
  const blocks: number[][] = [];
  for (let i = 0, from = 0; i < count; i++) {
    const size = short + (i < long ? 0 : 1);
    blocks.push(data.slice(from, from + size));
    from += size;
  }
  const corrections = blocks.map((block) => remainder(block, divisor));
  const words: number[] = [];
  for (let i = 0; i <= short; i++) for (const block of blocks) if (i < block.length) words.push(at(block, i));
  for (let i = 0; i < correction; i++) for (const block of corrections) words.push(at(block, i));
  return words;
}

/** In the field of 256 elements by x⁸ + x⁴ + x³ + x² + 1. */
function times(a: number, b: number): number {
  let product = 0;
  for (let i = 7; i >= 0; i--) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((b >> i) & 1) * a);
  return product;
}

function generator(degree: number): number[] {
  let polynomial = [...new Array<number>(degree - 1).fill(0), 1];
  for (let i = 0, root = 1; i < degree; i++, root = times(root, 2)) {
    polynomial = polynomial.map((one, j) => times(one, root) ^ (polynomial[j + 1] ?? 0));
  }
  return polynomial;
}

function remainder(data: number[], divisor: number[]): number[] {
  let rest = divisor.map(() => 0);
  for (const byte of data) {
    const factor = byte ^ at(rest, 0);
    rest = [...rest.slice(1), 0].map((one, i) => one ^ times(at(divisor, i), factor));
  }
  return rest;
}

function drawn(words: number[], version: number, mask: number): Matrix {
  const size = version * 4 + 17;
  const code: Matrix = Array.from({ length: size }, () => new Array<boolean>(size).fill(false));
  const fixed: Matrix = Array.from({ length: size }, () => new Array<boolean>(size).fill(false));
  const set = (x: number, y: number, dark: boolean) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    (code[y] as boolean[])[x] = dark;
    (fixed[y] as boolean[])[x] = true;
  };
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) square(x, y, 4, [2, 4], set);
  const centres = CENTRES[version - 1] as number[];
  const last = centres.length - 1;
  centres.forEach((x, i) => centres.forEach((y, j) => {
    if (!((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0))) square(x, y, 2, [1], set);
  }));
  format(size, mask, set);
  if (version >= 7) versionBits(size, version, set);
  fill(words, code, fixed, MASKS[mask] as (x: number, y: number) => boolean);
  return code;
}

/** Rings around a centre; those of these radii are light. */
function square(x: number, y: number, radius: number, light: number[], set: (x: number, y: number, dark: boolean) => void): void {
  for (let dy = -radius; dy <= radius; dy++) for (let dx = -radius; dx <= radius; dx++) set(x + dx, y + dy, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))));
}

/** Level M and the mask, with ten bits of correction, twice. */
function format(size: number, mask: number, set: (x: number, y: number, dark: boolean) => void): void {
  let rest = mask;
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const bits = ((mask << 10) | rest) ^ 0x5412;
  const bit = (i: number) => ((bits >> i) & 1) === 1;
  for (let i = 0; i <= 5; i++) set(8, i, bit(i));
  set(8, 7, bit(6));
  set(8, 8, bit(7));
  set(7, 8, bit(8));
  for (let i = 9; i < 15; i++) set(14 - i, 8, bit(i));
  for (let i = 0; i < 8; i++) set(size - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i++) set(8, size - 15 + i, bit(i));
  set(8, size - 8, true);
}

function versionBits(size: number, version: number, set: (x: number, y: number, dark: boolean) => void): void {
  let rest = version;
  for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let i = 0; i < 18; i++) {
    const dark = ((bits >> i) & 1) === 1;
    const [a, b] = [size - 11 + (i % 3), Math.floor(i / 3)];
    set(a, b, dark);
    set(b, a, dark);
  }
}

/** In columns of two from the right, up and down in turn. */
function fill(words: number[], code: Matrix, fixed: Matrix, mask: (x: number, y: number) => boolean): void {
  const size = code.length;
  let i = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if ((fixed[y] as boolean[])[x]) continue;
        const dark = i < words.length * 8 && ((at(words, i >> 3) >> (7 - (i & 7))) & 1) === 1;
        (code[y] as boolean[])[x] = dark !== mask(x, y);
        i += 1;
      }
    }
  }
}

/** How hard a code is to read: long runs, blocks, what looks like a corner, and too much of one colour. */
function penalty(code: Matrix): number {
  const size = code.length;
  const lines = [...code, ...code.map((_, x) => code.map((row) => row[x] as boolean))].map((line) => line.map((dark) => (dark ? '1' : '0')).join(''));
  let sum = 0;
  for (const line of lines) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) sum += run.length - 2;
    for (const corner of ['10111010000', '00001011101']) for (let at = line.indexOf(corner); at >= 0; at = line.indexOf(corner, at + 1)) sum += 40;
  }
  let dark = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const here = code[y]?.[x];
      if (here) dark += 1;
      if (x + 1 < size && y + 1 < size && here === code[y]?.[x + 1] && here === code[y + 1]?.[x] && here === code[y + 1]?.[x + 1]) sum += 3;
    }
  }
  return sum + 10 * Math.floor(Math.abs(dark * 20 - size * size * 10) / (size * size));
}

function at(list: readonly number[], i: number): number {
  return list[i] as number;
}
