/** What was said in sessions, found while somebody types. */

import { reason } from './api';
import { type Clock, systemClock } from './sse';
import { Store } from './store';
import type { FoundPassage, FoundPassages } from './things';

export interface Search {
  /** What was looked for when these were found. */
  words: string;
  items: FoundPassage[];
  /** Where the next page begins, if there is one. */
  next: string | undefined;
  loading: boolean;
  problem: string;
}

/** Words shorter than this fit nearly everything. */
export const LEAST_CHARS = 2;
/** How long nobody types before it is looked for. */
const PAUSE_MS = 250;

const NOTHING: Search = { words: '', items: [], next: undefined, loading: false, problem: '' };

export type Find = (words: string, cursor: string | undefined) => Promise<FoundPassages>;

/** The search of one screen. Svelte's store contract. */
export class Transcripts {
  #find: Find;
  #clock: Clock;
  #state = new Store<Search>(NOTHING);
  #cancel: (() => void) | undefined;
  /** Numbers what was looked for: an answer to an older question is not taken. */
  #asked = 0;

  constructor(find: Find, clock: Clock = systemClock) {
    this.#find = find;
    this.#clock = clock;
  }

  subscribe(reader: (search: Search) => void): () => void {
    return this.#state.subscribe(reader);
  }

  /** Takes what stands in the field, and looks for it once nobody types. */
  type(typed: string): void {
    const words = typed.trim();
    this.#cancel?.();
    this.#asked += 1;
    if (words.length < LEAST_CHARS) {
      this.#state.set(NOTHING);
      return;
    }
    this.#state.set({ ...this.#state.get(), loading: true, problem: '' });
    this.#cancel = this.#clock.after(PAUSE_MS, () => void this.#look(words, undefined, []));
  }

  /** Adds the next page. */
  more(): void {
    const { words, next, items, loading } = this.#state.get();
    if (next === undefined || loading) return;
    this.#asked += 1;
    this.#state.set({ ...this.#state.get(), loading: true, problem: '' });
    void this.#look(words, next, items);
  }

  async #look(words: string, cursor: string | undefined, before: FoundPassage[]): Promise<void> {
    const asked = this.#asked;
    let state: Search;
    try {
      const found = await this.#find(words, cursor);
      state = { words, items: [...before, ...found.items], next: found.next, loading: false, problem: '' };
    } catch (error) {
      state = { ...this.#state.get(), loading: false, problem: reason(error) };
    }
    if (asked === this.#asked) this.#state.set(state);
  }
}
