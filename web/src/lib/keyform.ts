/** What is being written to a key: kept as a draft, checked, and made into a write that nobody else's change gets lost in. */

import { isOver, lifetime } from './kv';
import { isJson, pretty } from './raw';
import type { KeyEntry, KeyWrite } from './things';

export interface KeyDraft {
  key: string;
  /** The value, as JSON. */
  text: string;
  owner: string;
  /** Until when: as it is, for ever, or for `time`. */
  lasts: 'keep' | 'ever' | 'for';
  time: string;
  /** The revision that the writer has seen; undefined if there was no such key. */
  base?: number;
}

/** What the draft is called that is written in a namespace: to a key, or to a new one. */
export function draftName(namespace: string, key?: string): string {
  return ['kv', namespace, ...(key === undefined ? [] : [key])].map(encodeURIComponent).join('/');
}

/** To begin with what is there, or with nothing. */
export function draftOf(entry: KeyEntry | undefined): KeyDraft {
  if (!entry) return { key: '', text: '', owner: '', lasts: 'ever', time: '' };
  return { key: entry.key, text: pretty(entry.value), owner: entry.owner ?? '', lasts: entry.expires_at === undefined ? 'ever' : 'keep', time: '', base: entry.revision };
}

/** A draft that was kept, if it is one. */
export function storedDraft(text: string): KeyDraft | undefined {
  try {
    const draft = JSON.parse(text) as Partial<KeyDraft> | null;
    const fits = typeof draft?.key === 'string' && typeof draft.text === 'string' && typeof draft.owner === 'string' && typeof draft.time === 'string' && ['keep', 'ever', 'for'].includes(draft.lasts ?? '');
    return fits ? (draft as KeyDraft) : undefined;
  } catch {
    return undefined;
  }
}

/** The write, or what is wrong with the draft. `entry`: what is there, for what stays as it is. */
export function writeOf(draft: KeyDraft, entry: KeyEntry | undefined, now: number): KeyWrite | string {
  if (draft.key === '') return 'The key needs a name.';
  if (!isJson(draft.text)) return draft.text.trim() === '' ? 'The value is missing.' : 'The value is no JSON. A text stands in quotes: "done"';
  const write: KeyWrite = { value: draft.text.trim(), owner: draft.owner.trim() || undefined };
  if (draft.base === undefined) write.if_absent = true;
  else write.if_revision = draft.base;
  if (draft.lasts === 'for') {
    write.ttl_ms = lifetime(draft.time);
    if (write.ttl_ms === undefined) return 'How long it lasts is said as 90s, 10m, 2h or 1d.';
  } else if (draft.lasts === 'keep') {
    if (!entry || isOver(entry, now)) return 'Its time is over meanwhile. Say how long it lasts from now.';
    if (entry.expires_at !== undefined) write.ttl_ms = entry.expires_at - now;
  }
  return write;
}

/** The write that brings back what was deleted; undefined when its time would be over. */
export function writeBack(entry: KeyEntry, now: number): KeyWrite | undefined {
  if (isOver(entry, now)) return undefined;
  return { value: entry.value, owner: entry.owner, ttl_ms: entry.expires_at === undefined ? undefined : entry.expires_at - now, if_absent: true };
}
