/** Something that is held down before it counts. */

import { type Clock, systemClock } from './sse';

/** How long what allows high risk is held. */
export const HOLD_MS = 1_000;

export class Hold {
  #clock: Clock;
  #done: () => void;
  #cancel: (() => void) | undefined;

  constructor(done: () => void, clock: Clock = systemClock) {
    this.#done = done;
    this.#clock = clock;
  }

  get held(): boolean {
    return this.#cancel !== undefined;
  }

  /** It is down. Down twice is down once. */
  down(): void {
    this.#cancel ??= this.#clock.after(HOLD_MS, () => {
      this.#cancel = undefined;
      this.#done();
    });
  }

  /** It was let go, or lost: too early counts for nothing. */
  up(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
