/** What the service worker does with a request. It keeps the page itself, never what the daemon says. */

export type Plan =
  /** The daemon's affair, or somebody else's. */
  | 'pass'
  /** The page: from the daemon if it answers, else as it was. */
  | 'shell'
  /** A file whose name changes with its content. */
  | 'asset'
  /** A file that may change: icons, the manifest. */
  | 'file';

export interface Asked {
  method: string;
  url: string;
  mode: string;
}

/** What belongs to the daemon's interfaces, and is never kept. */
const OWN = /^\/(?:v1|a|api|mcp|health|\.well-known)(?:\/|$)/;

export function plan(asked: Asked, origin: string, files: readonly string[]): Plan {
  const url = new URL(asked.url);
  if (asked.method !== 'GET' || url.origin !== origin || OWN.test(url.pathname)) return 'pass';
  if (url.pathname.startsWith('/assets/')) return 'asset';
  if (files.includes(url.pathname)) return 'file';
  return asked.mode === 'navigate' ? 'shell' : 'pass';
}
