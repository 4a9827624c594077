/** The service worker: the page opens without the daemon, and a notification leads to its request. */

import { answer, type Clicked as Known, read, shown } from '../lib/pushed';
import { plan } from '../lib/worker';

/** The parts of a service worker's world that are used here; the types of the page's world do not know them. */
interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetched extends Extendable {
  request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface Clicked extends Extendable {
  notification: Notification;
  /** The button that was pressed; empty where it was none. */
  action: string;
}
interface Pushed extends Extendable {
  data: { text(): string } | null;
}
interface Window {
  url: string;
  focus(): Promise<unknown>;
  postMessage(message: unknown): void;
}
interface Scope {
  location: Location;
  skipWaiting(): Promise<void>;
  registration: ServiceWorkerRegistration;
  clients: { claim(): Promise<void>; matchAll(options: { type: 'window' }): Promise<Window[]>; openWindow(url: string): Promise<unknown> };
  addEventListener<E extends Extendable>(type: string, listener: (event: E) => void): void;
}
declare const self: unknown;
const scope = self as Scope;

/** The build puts the names of its files here. */
declare const __FILES__: { assets: string[]; files: string[]; version: string };
const { assets, files, version } = __FILES__;
const CACHE = `trunkline-${version}`;
const SHELL = '/';
/** A daemon that is slower than this is as good as away. */
const PATIENCE = 4_000;

scope.addEventListener<Extendable>('install', (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([SHELL, ...assets, ...files]))
      .then(() => scope.skipWaiting()),
  );
});

scope.addEventListener<Extendable>('activate', (event) => {
  const old = caches.keys().then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))));
  event.waitUntil(old.then(() => scope.clients.claim()));
});

scope.addEventListener<Fetched>('fetch', (event) => {
  const { request } = event;
  const what = plan(request, scope.location.origin, files);
  if (what === 'pass') return;
  event.respondWith(what === 'asset' ? kept(request) : fresh(request, what === 'shell' ? SHELL : request));
});

scope.addEventListener<Clicked>('notificationclick', (event) => {
  event.notification.close();
  const known = (event.notification.data ?? {}) as Known;
  event.waitUntil(event.action && known.answer ? reply(event.notification, known.answer, event.action) : go(known.path ?? SHELL));
});

scope.addEventListener<Pushed>('push', (event) => {
  const told = read(event.data?.text() ?? '');
  event.waitUntil(scope.registration.showNotification(told.title, shown(told)));
});

/** Answers; where that was not taken, says so in the notification's place. */
async function reply({ title, tag, data }: Notification, path: string, option: string): Promise<void> {
  const problem = await answer(path, option, fetch);
  if (problem) await scope.registration.showNotification(title, { body: problem, tag, icon: '/icon-192.png', data: { path: (data as Known).path } });
}

async function kept(request: Request): Promise<Response> {
  return (await caches.match(request)) ?? fetch(request);
}

/** From the daemon, else what was kept of it. */
async function fresh(request: Request, name: Request | string): Promise<Response> {
  const impatient = new Promise<never>((_, no) => setTimeout(() => no(new Error('the daemon is slow')), PATIENCE));
  try {
    return await Promise.race([fetch(request), impatient]);
  } catch (error) {
    const before = await caches.match(name);
    if (before) return before;
    throw error;
  }
}

/** Goes there in a window that is open, or in a new one. */
async function go(path: string): Promise<void> {
  const [window] = await scope.clients.matchAll({ type: 'window' });
  if (!window) return void (await scope.clients.openWindow(path));
  await window.focus();
  window.postMessage({ go: path });
}
