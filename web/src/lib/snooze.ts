/** Requests that are out of sight in this browser until a time. The daemon knows nothing of it: they stay open. */

import type { Storage } from './drafts';
import { Store } from './store';

const KEY = 'trunkline.snoozed';
/** How many are kept; the ones that come back soonest go first. */
export const MAX_SNOOZED = 200;

export type Snoozed = ReadonlyMap<string, number>;

export class Snoozes extends Store<Snoozed> {
  #storage: Storage | undefined;

  constructor(storage: Storage | undefined) {
    super(read(storage));
    this.#storage = storage;
  }

  put(id: string, until: number, now: number): void {
    this.#write([...this.get(), [id, until]], now);
  }

  wake(id: string, now: number): void {
    this.#write([...this.get()].filter(([known]) => known !== id), now);
  }

  #write(all: Iterable<readonly [string, number]>, now: number): void {
    const kept = [...new Map(all)].filter(([, until]) => until > now).sort(([, a], [, b]) => b - a).slice(0, MAX_SNOOZED);
    this.set(new Map(kept));
    try {
      this.#storage?.setItem(KEY, JSON.stringify(kept));
    } catch {
      // Without storage it holds as long as the page.
    }
  }
}

export function isSnoozed(snoozed: Snoozed, id: string, now: number): boolean {
  return (snoozed.get(id) ?? 0) > now;
}

/** For how long one may look away: the name, and until when from now. */
export function choices(now: number): { name: string; until: number }[] {
  const morning = new Date(now);
  morning.setHours(9, 0, 0, 0);
  if (morning.getTime() <= now) morning.setDate(morning.getDate() + 1);
  return [
    { name: '10 minutes', until: now + 10 * 60_000 },
    { name: '1 hour', until: now + 3_600_000 },
    { name: 'until 9:00', until: morning.getTime() },
  ];
}

function read(storage: Storage | undefined): Snoozed {
  try {
    const parsed: unknown = JSON.parse(storage?.getItem(KEY) ?? '[]');
    return new Map(Array.isArray(parsed) ? parsed.filter(isEntry) : []);
  } catch {
    return new Map();
  }
}

function isEntry(entry: unknown): entry is [string, number] {
  return Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && typeof entry[1] === 'number';
}
