/** Which part of a long transcript is drawn. Indices count from the transcript's beginning. */

/** How many items are drawn at the live edge, and how many more each step back. */
export const WINDOW = 120;
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
