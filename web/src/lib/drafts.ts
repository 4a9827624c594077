/** Half-written texts, kept in the browser so that neither a reload nor a live update loses them. */

/** The part of `localStorage` used here. */
export type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** How many drafts are kept; the oldest go first. */
export const MAX_DRAFTS = 100;
/** How long one may be; what is longer lives in the page only. */
export const MAX_DRAFT_CHARS = 100_000;

const KEY = 'trunkline.drafts';

/** Drafts by name: `session/<id>` for a prompt, `request/<id>` for an answer. */
export class Drafts {
  #storage: Storage | undefined;
  /** What could not be stored, because it is too long or the browser refuses. */
  #unstored = new Map<string, string>();

  constructor(storage: Storage | undefined) {
    this.#storage = storage;
  }

  get(name: string): string {
    return this.#unstored.get(name) ?? this.#read().find(([known]) => known === name)?.[1] ?? '';
  }

  /** Keeps a text; an empty one forgets the draft. */
  set(name: string, text: string): void {
    this.#unstored.delete(name);
    // Read anew each time: another tab may have written since.
    const others = this.#read().filter(([known]) => known !== name);
    const fits = text.length <= MAX_DRAFT_CHARS;
    const all = text === '' || !fits ? others : [...others, [name, text] as const];
    if (!this.#write(all.slice(-MAX_DRAFTS)) || !fits) this.#unstored.set(name, text);
  }

  #read(): (readonly [string, string])[] {
    try {
      const parsed: unknown = JSON.parse(this.#storage?.getItem(KEY) ?? '[]');
      return Array.isArray(parsed) ? parsed.filter(isDraft) : [];
    } catch {
      return [];
    }
  }

  #write(all: (readonly [string, string])[]): boolean {
    try {
      if (!this.#storage) return false;
      this.#storage.setItem(KEY, JSON.stringify(all));
      return true;
    } catch {
      return false;
    }
  }
}

function isDraft(entry: unknown): entry is [string, string] {
  return Array.isArray(entry) && entry.length === 2 && entry.every((part) => typeof part === 'string');
}
