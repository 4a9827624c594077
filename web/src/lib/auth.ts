/** The token of this browser, and the one-time code that is exchanged for it. */

import type { Storage } from './drafts';

const KEY = 'trunkline.token';

export function savedToken(storage: Storage | undefined): string | undefined {
  try {
    return storage?.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

export function saveToken(storage: Storage | undefined, token: string | undefined): void {
  try {
    if (token === undefined) storage?.removeItem(KEY);
    else storage?.setItem(KEY, token);
  } catch {
    // Without storage the token lives as long as the page.
  }
}

/** The code in an address's fragment, `#code=…`. */
export function codeOf(hash: string): string | undefined {
  return new URLSearchParams(hash.replace(/^#/, '')).get('code') || undefined;
}
