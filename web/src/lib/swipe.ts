/** A row that is swiped: right allows, left denies. */

/** How far a finger goes before it means something. */
export const FAR = 96;
/** A move that is more down than aside scrolls. */
const SLOPE = 1.2;
const START = 8;

export type Side = 'allow' | 'deny';

export class Swipe {
  #from: { x: number; y: number } | undefined;
  #moving = false;
  /** How far aside the row is. */
  offset = 0;

  start(x: number, y: number): void {
    this.#from = { x, y };
    this.#moving = false;
    this.offset = 0;
  }

  /** Whether the row follows the finger; if not, the list may scroll. */
  move(x: number, y: number): boolean {
    if (!this.#from) return false;
    const [dx, dy] = [x - this.#from.x, y - this.#from.y];
    if (!this.#moving) {
      if (Math.abs(dy) > START && Math.abs(dy) * SLOPE > Math.abs(dx)) this.cancel();
      else if (Math.abs(dx) > START) this.#moving = true;
      if (!this.#moving) return false;
    }
    this.offset = dx;
    return true;
  }

  /** What it means to let go here. */
  end(): Side | undefined {
    const side = this.side();
    this.cancel();
    return side;
  }

  /** What it would mean. */
  side(): Side | undefined {
    if (!this.#moving || Math.abs(this.offset) < FAR) return undefined;
    return this.offset > 0 ? 'allow' : 'deny';
  }

  cancel(): void {
    this.#from = undefined;
    this.#moving = false;
    this.offset = 0;
  }
}
