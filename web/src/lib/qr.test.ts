import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { MAX_QR_BYTES, type Matrix, qr } from './qr';

const drawn = (code: Matrix | undefined) => code?.map((row) => row.map((dark) => (dark ? '1' : '0')).join('')).join('\n');

test('codes are those that other programs make', () => {
  // By Python's `qrcode`, with the same mask.
  expect(drawn(qr('http://10.0.0.2/#code=MJ7'))?.split('\n')).toEqual([
    '1111111001011000101111111',
    '1000001000001101101000001',
    '1011101011001010001011101',
    '1011101011011111001011101',
    '1011101011100100001011101',
    '1000001010101111101000001',
    '1111111010101010101111111',
    '0000000010011010100000000',
    '1011111001000110001111100',
    '1001100000011000000000010',
    '1001001111010011010001011',
    '0111100100011000000000001',
    '0110101011111111101110111',
    '1101010000000000010001010',
    '1011101011011011001101011',
    '1011100101010010101001001',
    '1001001010111100111110100',
    '0000000011101111100011100',
    '1111111001100010101011111',
    '1000001010110011100011011',
    '1011101010100011111111100',
    '1011101011011101001110111',
    '1011101010001011000000101',
    '1000001001111010110111001',
    '1111111010011011000111111',
  ]);
  // A version with more than one block, and with its number written beside the corners.
  const large = drawn(qr('x'.repeat(120))) ?? '';
  expect([large.indexOf('\n'), createHash('sha256').update(large).digest('hex')]).toEqual([45, 'b91b7e904d3e58a975798fdfb7444272ea2003b536350a6486d8dd7edd238cfe']);
});

test('a text of any length that fits has the smallest code that holds it', () => {
  const sizes = [1, 14, 15, 26, 62, 106, 122, 152, 180, 181, MAX_QR_BYTES].map((length) => qr('x'.repeat(length))?.length);
  expect(sizes).toEqual([21, 21, 25, 25, 33, 41, 45, 49, 53, 57, 57]);
  expect(qr('x'.repeat(MAX_QR_BYTES + 1))).toBeUndefined();
  expect(qr('ü'.repeat(60))?.length).toBe(qr('x'.repeat(120))?.length);
});
