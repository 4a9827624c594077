/** A text as a QR code, for the camera of another device. */

import { encode } from 'uqr';

/** Rows of squares; true is dark. */
export type Matrix = boolean[][];

/** More than this makes squares that a phone's camera does not tell apart. */
export const MAX_QR_BYTES = 213;

/** The code of a text, without the light around it; undefined if the text is too long. */
export function qr(text: string): Matrix | undefined {
  if (new TextEncoder().encode(text).length > MAX_QR_BYTES) return undefined;
  return encode(text, { ecc: 'M', border: 0 }).data;
}
