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

/**
 * A one-time link as another device should get it. The daemon knows the address that it listens on; where that leads to the
 * machine itself only, the address by which this page was reached is better. `far`: whether another machine may reach it.
 */
export function linkFor(url: string, origin: string): { url: string; far: boolean } {
  const link = new URL(url);
  if (!isLoopback(link.hostname)) return { url, far: true };
  const here = new URL(origin);
  if (isLoopback(here.hostname)) return { url, far: false };
  return { url: `${here.origin}${link.pathname}${link.search}${link.hash}`, far: true };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\./.test(host);
}
