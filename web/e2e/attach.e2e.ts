/** A client of attachable sessions in a real browser, on the origin that it gets: let in by a link, and not put off by a crash. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BINARY, Daemon } from './daemon';

/** What such a client does: one session, one stream that the browser itself keeps up, and a list of what came. */
const CLIENT = `
  const list = document.getElementById('frames');
  const post = (path, body) => fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  window.prompted = async (prompt) => (await post('/api/session/' + window.session + '/prompt', { prompt })).status;
  post('/api/session', {}).then(async (made) => {
    window.session = (await made.json()).session_id;
    const stream = new EventSource('/api/session/' + window.session + '/stream');
    stream.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      const item = document.createElement('li');
      item.dataset.kind = frame.kind;
      item.textContent = event.lastEventId + ' ' + frame.kind + ' ' + (frame.text ?? frame.name ?? frame.error ?? '');
      list.append(item);
    };
    stream.addEventListener('caught-up', () => document.body.dataset.live = 'yes');
  });
`;

let daemon: Daemon;
let browser: Browser;
let page: Page;
let client: string;
const errors: string[] = [];

const config = (port: number) => `
[attach]
listen = "127.0.0.1:${port}"
agent = "slow"
sessions_dir = "${client}/sessions"
default_mode = "trust_all"

[agents.slow]
argv = ["${BINARY}", "demo-agent", "--pace", "40"]

[[serve.static]]
path = "/"
dir = "${client}"
`;

beforeAll(async () => {
  client = mkdtempSync(join(tmpdir(), 'tl-client-'));
  writeFileSync(join(client, 'index.html'), '<!doctype html><title>Client</title><body><ol id=frames></ol><script src=/client.js></script>');
  writeFileSync(join(client, 'client.js'), CLIENT);
  daemon = await Daemon.start({}, config(0));
  // A browser comes back to where it was, so the next life is there too.
  daemon.configure(config(Number(new URL(daemon.runtime().attach as string).port)));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  page = await browser.newPage();
  page.on('pageerror', (error) => errors.push(error.message));
});
afterAll(async () => {
  await browser?.close();
  await daemon?.end();
  rmSync(client, { recursive: true, force: true });
});

const frames = (of = page) => of.locator('#frames li').allTextContents();
const id = (frame: string) => Number(frame.split(' ')[0]);

test('a link lets a browser in, once', async () => {
  const link = daemon.command('open', '--attach', '--url');
  await page.goto(link);
  await page.locator('body[data-live=yes]').waitFor({ state: 'attached' });
  expect(page.url()).toBe(`${daemon.runtime().attach}/`);
  const other = await browser.newContext().then((context) => context.newPage());
  await other.goto(link);
  await other.getByText('used before').waitFor();
  await other.close();
});

test('a crash of the daemon in mid-stream loses nothing and doubles nothing', async () => {
  expect(await page.evaluate('prompted("Write a greeting")')).toBe(200);
  await page.locator('#frames [data-kind=tool]').first().waitFor();
  await daemon.stop('SIGKILL');
  await daemon.run();
  await page.locator('#frames [data-kind=turn_end]').waitFor();
  expect((await frames()).some((frame) => frame.includes('error interrupted by restart'))).toBe(true);
  expect(await page.evaluate('prompted("Write a greeting")')).toBe(200);
  await page.locator('#frames [data-kind=turn_end]').nth(1).waitFor();
  const seen = await frames();
  expect(seen.every((frame, n) => n === 0 || id(seen[n - 1] as string) < id(frame))).toBe(true);
  // A second client of the same session, which was never cut off, is told the same.
  const session = await page.evaluate('session');
  const whole = await page.evaluate(async (path) => {
    const told: string[] = [];
    await new Promise((done) => {
      const stream = new EventSource(path);
      stream.onmessage = (event) => told.push(event.lastEventId);
      stream.addEventListener('caught-up', () => done(stream.close()));
    });
    return told;
  }, `/api/session/${session}/stream`);
  expect(seen.map((frame) => String(id(frame)))).toEqual(whole);
  expect(errors).toEqual([]);
});
