/** Keys that agents share: a list of them, and what the stream tells about them, folded into it. */

import type { KeyEntry } from './things';

/** Which keys are looked at: those that begin like this, or exactly one. */
export type Which = { prefix: string } | { key: string };

/** What the daemon tells of a namespace. Other facts change nothing that is shown. */
export type KeyEvent = { at: number; by: string } & (
  | { type: 'key.put'; entry: KeyEntry }
  | { type: 'key.deleted'; key: string }
  | { type: 'key.expired'; key: string }
  | { type: 'keys.cleared' }
  | { type: 'keys.transferred'; keys: string[]; to: string; revision: number }
);

/** How a key went. */
export interface Gone {
  how: 'deleted' | 'expired';
  at: number;
  by: string;
}

export interface KeyList {
  which: Which;
  /** In the order in which they first came. */
  items: KeyEntry[];
  /** The cursor of what is not listed yet. */
  next: string | undefined;
  /** How the only key went, if it is one that is looked at. */
  gone: Gone | undefined;
}

/** How many keys are listed; a prefix finds the others. */
export const MAX_KEYS = 1_000;

export function emptyList(which: Which): KeyList {
  return { which, items: [], next: undefined, gone: undefined };
}

export function happened(list: KeyList, event: KeyEvent): KeyList {
  switch (event.type) {
    case 'key.put':
      return put(list, event.entry);
    case 'key.deleted':
    case 'key.expired': {
      if (!list.items.some((one) => one.key === event.key)) return list;
      return without(list, (one) => one.key === event.key, event);
    }
    case 'keys.cleared':
      return { ...without(list, () => true, event), next: undefined };
    case 'keys.transferred': {
      const given = new Set(event.keys);
      const { to, revision } = event;
      return { ...list, items: list.items.map((one) => (given.has(one.key) && one.revision < revision ? { ...one, owner: to, revision } : one)) };
    }
  }
}

function put(list: KeyList, entry: KeyEntry): KeyList {
  if (!fits(list.which, entry.key)) return list;
  const at = list.items.findIndex((one) => one.key === entry.key);
  const known = list.items[at];
  // The list may be newer than what the stream tells of before it was read.
  if (known && known.revision >= entry.revision) return list;
  if (known) return { ...list, items: list.items.with(at, entry) };
  // What is new comes last: behind what is not listed yet, if there is any.
  if (list.next !== undefined || list.items.length >= MAX_KEYS) return list;
  return { ...list, items: [...list.items, entry], gone: undefined };
}

function without(list: KeyList, which: (entry: KeyEntry) => boolean, event: KeyEvent): KeyList {
  const gone: Gone | undefined = 'key' in list.which && list.items.length > 0 ? { how: event.type === 'key.expired' ? 'expired' : 'deleted', at: event.at, by: event.by } : list.gone;
  return { ...list, items: list.items.filter((entry) => !which(entry)), gone };
}

function fits(which: Which, key: string): boolean {
  return 'key' in which ? which.key === key : key.startsWith(which.prefix);
}

/** Whether a key is past its deadline. It is not there any more, also before the stream says so. */
export function isOver(entry: KeyEntry, now: number): boolean {
  return entry.expires_at !== undefined && entry.expires_at <= now;
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `10m`, `1h 30m` as milliseconds; undefined if it is none. */
export function lifetime(text: string): number | undefined {
  const parts = [...text.trim().toLowerCase().matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*/gy)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text.trim().toLowerCase()) return undefined;
  const sum = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNITS[unit as string] as number), 0);
  return sum > 0 && Number.isSafeInteger(Math.round(sum)) ? Math.round(sum) : undefined;
}
