/** Addresses of the page. */

/** The screens that an address without a name leads to. */
export const SCREENS = { inbox: '/', sessions: '/s', bus: '/bus', keys: '/bus/keys', topics: '/bus/topics', handoffs: '/bus/handoffs', pools: '/pools', settings: '/settings', more: '/more', new: '/new' } as const;
export type Screen = keyof typeof SCREENS;

export type Route =
  | { page: Screen }
  | { page: 'request'; id: string }
  | { page: 'session'; id: string }
  | { page: 'handoff'; id: string }
  | { page: 'namespace'; namespace: string }
  | { page: 'key'; namespace: string; key: string }
  | { page: 'topic'; topic: string }
  | { page: 'unknown' };

const BY_PATH = new Map(Object.entries(SCREENS).map(([page, path]) => [path as string, page as Screen]));

export function parseRoute(path: string): Route {
  if (path === '/index.html') return { page: 'inbox' };
  const screen = BY_PATH.get(path === '/' ? path : path.replace(/\/$/, ''));
  if (screen) return { page: screen };
  const [, kind, ...names] = /^\/([srh]|bus\/keys|bus\/topics)\/([^/]+)(?:\/([^/]+))?\/?$/.exec(path) ?? [];
  try {
    const [name, second] = names.filter((one) => one !== undefined).map(decodeURIComponent);
    return (name !== undefined && named(kind as string, name, second)) || { page: 'unknown' };
  } catch {
    return { page: 'unknown' };
  }
}

function named(kind: string, name: string, second: string | undefined): Route | undefined {
  if (kind === 'bus/keys') return second === undefined ? { page: 'namespace', namespace: name } : { page: 'key', namespace: name, key: second };
  if (second !== undefined) return undefined;
  if (kind === 'bus/topics') return { page: 'topic', topic: name };
  return { page: kind === 's' ? 'session' : kind === 'r' ? 'request' : 'handoff', id: name };
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

export function namespacePath(namespace: string): string {
  return `${SCREENS.keys}/${encodeURIComponent(namespace)}`;
}

export function keyPath(namespace: string, key: string): string {
  return `${namespacePath(namespace)}/${encodeURIComponent(key)}`;
}

/** Of a topic, or of a pattern. */
export function topicPath(topic: string): string {
  return `${SCREENS.topics}/${encodeURIComponent(topic)}`;
}

/** The part of the page a route belongs to, as the bars mark it. */
export function section(route: Route): Screen | undefined {
  switch (route.page) {
    case 'request':
      return 'inbox';
    case 'handoff':
    case 'namespace':
    case 'key':
    case 'topic':
    case 'keys':
    case 'topics':
    case 'handoffs':
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
  switch (route.page) {
    case 'inbox':
      return undefined;
    case 'session':
      return SCREENS.sessions;
    case 'handoff':
      return SCREENS.handoffs;
    case 'namespace':
      return SCREENS.keys;
    case 'key':
      return namespacePath(route.namespace);
    case 'topic':
      return SCREENS.topics;
    default:
      return SCREENS.inbox;
  }
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
