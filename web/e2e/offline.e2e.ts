/** The page without its daemon: it opens, says what is the matter, and goes on by itself; and it never talks to anybody else. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Visitor } from './browser';
import { Daemon } from './daemon';

let daemon: Daemon;
let visitor: Visitor;

beforeAll(async () => {
  daemon = await Daemon.start();
  visitor = await Visitor.arrive(daemon.link());
});
afterAll(async () => {
  await visitor?.leave();
  await daemon?.end();
});

test('an unplugged daemon leaves a page that opens at any address, and comes back to life with it', async () => {
  const page = await visitor.page('/', { serviceWorkers: 'allow' });
  const foreign: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(visitor.base)) foreign.push(request.url());
  });
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const kept = await page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).map((one) => new URL(one.url).pathname)))).flat());
  expect(kept).toEqual(expect.arrayContaining(['/', '/icon.svg', '/manifest.webmanifest']));
  expect(kept.filter((path) => path.startsWith('/v1'))).toEqual([]);
  await page.reload();
  await page.locator('[data-edge=live]').waitFor();
  await daemon.stop();
  await page.goto(`${visitor.base}/pools`);
  await page.getByRole('heading', { name: 'Pools' }).waitFor();
  await page.locator('[data-edge=broken]').first().waitFor();
  await page.goto(`${visitor.base}/`);
  await page.getByText('The daemon cannot be reached.').waitFor();
  await daemon.run();
  await page.locator('[data-edge=live]').waitFor();
  await page.getByText('Nobody waits for you.').waitFor();
  expect(foreign).toEqual([]);
});

test('what is pushed is shown while no page is looked at, with a button for each answer', async () => {
  const page = await visitor.page('/', { serviceWorkers: 'allow', permissions: ['notifications'] });
  const devtools = await page.context().newCDPSession(page);
  const registered = new Promise<string>((found) =>
    devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => registrations[0] && found(registrations[0].registrationId)),
  );
  await devtools.send('ServiceWorker.enable');
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const answer = { path: '/a/x', options: [{ id: 'b', name: '8080' }] };
  const data = JSON.stringify({ title: 'bot asks', body: 'Which port?', path: '/r/1', tag: '1', answer });
  await devtools.send('ServiceWorker.deliverPushMessage', { origin: visitor.base, registrationId: await registered, data });
  const shown = await page.waitForFunction(async () => {
    const [one] = await (await navigator.serviceWorker.ready).getNotifications();
    return one && { title: one.title, body: one.body, tag: one.tag, data: one.data as unknown, actions: (one as unknown as { actions: unknown }).actions };
  });
  expect(await shown.jsonValue()).toMatchObject({ title: 'bot asks', body: 'Which port?', tag: '1', data: { path: '/r/1', answer: '/a/x' }, actions: [{ action: 'b', title: '8080' }] });
});

test('the page can be installed: its manifest and its icons are what they say', async () => {
  const get = (path: string) => fetch(visitor.base + path);
  const manifest = (await (await get('/manifest.webmanifest')).json()) as { icons: { src: string; type: string }[]; start_url: string; display: string };
  expect([manifest.start_url, manifest.display]).toEqual(['/', 'standalone']);
  for (const icon of [...manifest.icons, { src: '/apple-touch-icon.png', type: 'image/png' }]) expect((await get(icon.src)).headers.get('content-type')).toBe(icon.type);
  const worker = await get('/sw.js');
  expect(worker.headers.get('cache-control')).toBe('no-cache');
  expect(worker.headers.get('content-security-policy')).toContain("script-src 'self'");
  const page = await (await get('/')).text();
  expect(page).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|https?:\/\/(?!127)/);
});
