/** Something that is asked for while somebody looks at it, and again every so often. Svelte's store contract. */

import { reason } from './api';
import { type Clock, systemClock } from './sse';
import { Store } from './store';

export interface Loaded<T> {
  data: T | undefined;
  /** Why the newest attempt failed. What was there before stays. */
  problem: string;
  /** Whether an attempt is under way. */
  loading: boolean;
}

/** What failed is asked for again after this long, also where one answer would have been enough. */
const RETRY_MS = 5_000;

export interface ResourceOptions {
  /** Ask again this long after an answer. */
  every?: number;
  clock?: Clock;
  /** Nobody looks at a hidden page. */
  hidden?: () => boolean;
}

export class Resource<T> {
  #load: () => Promise<T>;
  #options: ResourceOptions;
  #clock: Clock;
  #state = new Store<Loaded<T>>({ data: undefined, problem: '', loading: false });
  #readers = 0;
  #attempt = 0;
  #cancel: (() => void) | undefined;

  constructor(load: () => Promise<T>, options: ResourceOptions = {}) {
    this.#load = load;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  subscribe(reader: (loaded: Loaded<T>) => void): () => void {
    const end = this.#state.subscribe(reader);
    this.#readers += 1;
    if (this.#readers === 1) void this.reload();
    let over = false;
    return () => {
      if (over) return;
      over = true;
      end();
      this.#readers -= 1;
      if (this.#readers === 0) this.#stop();
    };
  }

  /** Asks now. An answer that an earlier question gets later is not taken. */
  async reload(): Promise<void> {
    const attempt = ++this.#attempt;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#state.set({ ...this.#state.get(), loading: true });
    let next: Loaded<T>;
    try {
      next = { data: await this.#load(), problem: '', loading: false };
    } catch (error) {
      next = { data: this.#state.get().data, problem: reason(error), loading: false };
    }
    if (attempt !== this.#attempt) return;
    this.#state.set(next);
    this.#again(next.problem === '' ? this.#options.every : Math.max(RETRY_MS, this.#options.every ?? 0));
  }

  #again(ms: number | undefined): void {
    if (!ms || this.#readers === 0) return;
    this.#cancel = this.#clock.after(ms, () => {
      if (this.#options.hidden?.() ?? globalThis.document?.hidden) this.#again(ms);
      else void this.reload();
    });
  }

  #stop(): void {
    this.#attempt += 1;
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
