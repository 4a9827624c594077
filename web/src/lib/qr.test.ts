import { expect, test } from 'vitest';
import { MAX_QR_BYTES, qr } from './qr';

test('a link has a code whose corners a camera finds', () => {
  const code = qr('http://10.0.0.2:7433/#code=MJ7') ?? [];
  expect(code.every((row) => row.length === code.length)).toBe(true);
  const corner = (y: number, x: number) => code.slice(y, y + 7).map((row) => row.slice(x, x + 7).map((dark) => (dark ? '#' : '.')).join(''));
  const finder = ['#######', '#.....#', '#.###.#', '#.###.#', '#.###.#', '#.....#', '#######'];
  expect([corner(0, 0), corner(0, code.length - 7), corner(code.length - 7, 0)]).toEqual([finder, finder, finder]);
});

test('what is too long has none, and bytes count, not characters', () => {
  expect(qr('x'.repeat(MAX_QR_BYTES))).toBeDefined();
  expect(qr('x'.repeat(MAX_QR_BYTES + 1))).toBeUndefined();
  expect(qr('ü'.repeat(MAX_QR_BYTES / 2 + 1))).toBeUndefined();
});
