import { getContext, setContext } from 'svelte';
import type { Api } from '../lib/api';
import type { Drafts } from '../lib/drafts';
import type { Feed } from '../lib/feed';

/** What every component may use. */
export interface Page {
  api: Api;
  feed: Feed;
  drafts: Drafts;
  navigate(path: string): void;
}

const KEY = Symbol('page');

export function providePage(page: Page): void {
  setContext(KEY, page);
}

export function usePage(): Page {
  return getContext(KEY);
}
