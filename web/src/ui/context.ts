import { getContext, setContext } from 'svelte';
import type { Api } from '../lib/api';
import type { Drafts } from '../lib/drafts';
import type { Feed } from '../lib/feed';
import type { Keymap } from '../lib/keys';
import type { PrefStore } from '../lib/prefs';
import type { Resource } from '../lib/resource';
import type { Snoozes } from '../lib/snooze';
import type { Me } from '../lib/things';
import type { CatalogEntry } from '../lib/types';

/** What every component may use. */
export interface Page {
  api: Api;
  feed: Feed;
  drafts: Drafts;
  prefs: PrefStore;
  snoozes: Snoozes;
  keymap: Keymap;
  /** Who we are. */
  me: Resource<Me>;
  /** Which agents there are. */
  catalog: Resource<CatalogEntry[]>;
  /** Goes to a screen; `replace` leaves no way back to this one. */
  navigate(path: string, how?: { replace?: boolean }): void;
}

/** The draft that a new session's prompt is. */
export const NEW_PROMPT = 'new-session/prompt';

/** What this page calls itself in the lists of who is attached. */
export const CLIENT = 'browser';

const KEY = Symbol('page');

export function providePage(page: Page): void {
  setContext(KEY, page);
}

export function usePage(): Page {
  return getContext(KEY);
}
