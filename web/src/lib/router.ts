/** Addresses of the page. */

export type Route = { page: 'home' } | { page: 'new' } | { page: 'session'; id: string } | { page: 'unknown' };

export function parseRoute(path: string): Route {
  if (path === '/' || path === '/s' || path === '/index.html') return { page: 'home' };
  if (path === '/new') return { page: 'new' };
  const session = /^\/s\/([^/]+)\/?$/.exec(path);
  try {
    return session?.[1] ? { page: 'session', id: decodeURIComponent(session[1]) } : { page: 'unknown' };
  } catch {
    return { page: 'unknown' };
  }
}

export function sessionPath(id: string): string {
  return `/s/${encodeURIComponent(id)}`;
}

/** Where a click on a link leads within the page; undefined when the browser should go there itself. */
export function innerPath(event: MouseEvent, origin: string): string | undefined {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return undefined;
  const link = (event.target as Element | null)?.closest?.('a');
  if (!link || link.target || link.hasAttribute('download') || link.origin !== origin) return undefined;
  return link.getAttribute('href')?.startsWith('#') ? undefined : link.pathname;
}
