/**
 * The page over TLS, by a name that is not this machine's own: what a phone sees once it trusts the daemon's authority.
 *
 * The browser takes the certificate by the hash of its key, as if it trusted the authority; that it may is the affair of the
 * daemon's tests.
 */

import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { type BrowserContext, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { complaints, DESKTOP, FLAGS, PHONE } from './browser';
import { Daemon } from './daemon';

const NAME = 'tl.test';
const profile = mkdtempSync(join(tmpdir(), 'tl-browser-'));
let daemon: Daemon;
let context: BrowserContext;
let base: string;

/** The certificate that the daemon shows, to whoever asks no more or trusts so much. */
function shown(port: number, trust: ConnectionOptions = { rejectUnauthorized: false }): Promise<X509Certificate> {
  return new Promise((done, failed) => {
    const socket = connect({ host: '127.0.0.1', port, servername: NAME, ...trust }, () => {
      done(new X509Certificate(socket.getPeerCertificate(true).raw));
      socket.destroy();
    });
    socket.on('error', failed);
  });
}

beforeAll(async () => {
  daemon = await Daemon.start({}, `tls = "own"\npublic_url = "https://${NAME}"\n`);
  const { port } = daemon.runtime();
  base = `https://${NAME}:${port}`;
  const key = (await shown(port)).publicKey.export({ type: 'spki', format: 'der' });
  const hash = createHash('sha256').update(key).digest('base64');
  context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...FLAGS, `--host-resolver-rules=MAP ${NAME} 127.0.0.1`, `--ignore-certificate-errors-spki-list=${hash}`],
    ...DESKTOP,
  });
});
afterAll(async () => {
  await context?.close();
  await daemon?.end();
  rmSync(profile, { recursive: true, force: true });
});

test('the certificate that is shown has the fingerprint that status tells', async () => {
  const { fingerprint256 } = await shown(daemon.runtime().port);
  expect(daemon.command('status')).toContain(fingerprint256);
  // Whoever has the authority's file needs no fingerprint, and takes it for its own names alone.
  const ca = readFileSync(join(daemon.dir, 'home/tls/ca.pem'));
  await shown(daemon.runtime().port, { ca });
  await expect(shown(daemon.runtime().port, { ca, servername: 'other.test' })).rejects.toThrow(/altnames/);
  await expect(shown(daemon.runtime().port, { rejectUnauthorized: true })).rejects.toThrow(/self.signed|issuer/);
});

test('a link of `pair` lets a browser in, the page is installed, live and opens without the daemon', async () => {
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  // By a port of its own, which a public address has not.
  const { url, sha256 } = JSON.parse(daemon.command('pair', '--json')) as { url: string; sha256: string };
  expect(new URL(url).origin).toBe(`https://${NAME}`);
  expect(sha256).toBe((await shown(daemon.runtime().port)).fingerprint256);
  await page.goto(`${base}/${new URL(url).hash}`);
  await page.waitForFunction(() => localStorage.getItem('trunkline.token') !== null);
  expect(page.url()).not.toContain('code');
  expect(await page.evaluate(() => isSecureContext)).toBe(true);
  await page.locator('[data-edge=live]').first().waitFor();
  expect(await page.evaluate(async () => (await navigator.serviceWorker.ready).active?.scriptURL)).toBe(`${base}/sw.js`);
  expect(await page.evaluate(() => 'PushManager' in globalThis)).toBe(true);
  expect(await complaints(page)).toEqual([]);
  // Writing passes the gate too, whose Origin is now one of https.
  const token = await page.evaluate(() => localStorage.getItem('trunkline.token'));
  const status = await page.evaluate(async (token) => (await fetch('/v1/sessions', { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify({ driver: 'external', agent: 'codex', title: 'By TLS' }) })).status, token);
  expect(status).toBe(201);
  await page.goto(`${base}/s`);
  await page.getByText('By TLS').first().waitFor();
  await page.setViewportSize(PHONE.viewport as { width: number; height: number });
  await page.getByText('By TLS').first().waitFor();
  expect(errors).toEqual([]);
  await daemon.stop();
  await page.reload();
  await page.locator('main h1').first().waitFor();
  await daemon.run();
  await page.locator('[data-edge=live]').first().waitFor();
});
