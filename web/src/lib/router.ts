/** Addresses of the page. */

/** The screens that an address without a name leads to. */
export const SCREENS = { inbox: '/', sessions: '/s', bus: '/bus', pools: '/pools', settings: '/settings', more: '/more', new: '/new' } as const;
export type Screen = keyof typeof SCREENS;

export type Route = { page: Screen } | { page: 'request'; id: string } | { page: 'session'; id: string } | { page: 'handoff'; id: string } | { page: 'unknown' };

const BY_PATH = new Map(Object.entries(SCREENS).map(([page, path]) => [path as string, page as Screen]));

export function parseRoute(path: string): Route {
  if (path === '/index.html') return { page: 'inbox' };
  const screen = BY_PATH.get(path === '/' ? path : path.replace(/\/$/, ''));
  if (screen) return { page: screen };
  const [, kind, name] = /^\/([srh])\/([^/]+)\/?$/.exec(path) ?? [];
  if (!name) return { page: 'unknown' };
  try {
    return { page: kind === 's' ? 'session' : kind === 'r' ? 'request' : 'handoff', id: decodeURIComponent(name) };
  } catch {
    return { page: 'unknown' };
  }
}

export function sessionPath(id: string): string {
  return `/s/${encodeURIComponent(id)}`;
}

export function requestPath(id: string): string {
  return `/r/${encodeURIComponent(id)}`;
}

export function handoffPath(id: string): string {
  return `/h/${encodeURIComponent(id)}`;
}

/** The part of the page a route belongs to, as the bars mark it. */
export function section(route: Route): Screen | undefined {
  switch (route.page) {
    case 'request':
      return 'inbox';
    case 'handoff':
      return 'bus';
    case 'session':
    case 'new':
      return 'sessions';
    case 'unknown':
      return undefined;
    default:
      return route.page;
  }
}

/** Where "back" leads when the browser has no earlier page of ours. */
export function parent(route: Route): string | undefined {
  if (route.page === 'inbox') return undefined;
  return route.page === 'session' ? SCREENS.sessions : route.page === 'handoff' ? SCREENS.bus : SCREENS.inbox;
}

/** Where a click on a link leads within the page; undefined when the browser should go there itself. */
export function innerPath(event: MouseEvent, origin: string): string | undefined {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return undefined;
  const link = (event.target as Element | null)?.closest?.('a');
  if (!link || link.target || link.hasAttribute('download') || link.origin !== origin) return undefined;
  // The API's own document is no screen.
  if (link.pathname.startsWith('/v1/')) return undefined;
  return link.getAttribute('href')?.startsWith('#') ? undefined : link.pathname;
}
