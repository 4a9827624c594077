/** Which part of a long transcript is drawn. Indices count from the transcript's beginning. */

/** How many items are drawn at the live edge, and how many more each step back. */
export const WINDOW = 80;
/** The window at the edge moves in steps, so that it does not shed an item for each that comes. */
const STEP = 40;

/** The first item drawn at the live edge. */
export function edgeStart(first: number, total: number): number {
  return Math.max(first, Math.floor((total - WINDOW) / STEP) * STEP);
}

/** The first item drawn one step further back. */
export function earlier(first: number, start: number): number {
  return Math.max(first, start - WINDOW);
}

/** How many items are drawn at most for a reader who has gone back. */
export const MOST = 480;

/** Where the drawn part ends for a reader who has gone back to `start`. */
export function drawnEnd(start: number, total: number): number {
  return Math.min(total, start + MOST);
}

/** The first item drawn one step further on, so that what follows the drawn part comes into it. */
export function later(start: number, total: number): number {
  return drawnEnd(start, total) < total ? Math.min(start + WINDOW, Math.max(start, total - MOST)) : start;
}
