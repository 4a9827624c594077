/**
 * Takes the README's pictures of the page: the built binary in a home of its own, the demo agent, and a browser.
 *
 * `TRUNKLINE_BINARY` names another binary than `target/debug/trunkline`, `CHROMIUM` another browser than
 * /usr/bin/chromium.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const HERE = import.meta.dirname;
const BINARY = resolve(process.env.TRUNKLINE_BINARY ?? join(HERE, '../../target/debug/trunkline'));
const PICTURES = resolve(HERE, '../../docs/pictures');
const VIEWS = [
  ['page.png', { viewport: { width: 1440, height: 900 } }],
  ['phone.png', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
];

const dir = mkdtempSync(join(tmpdir(), 'tl-'));
const work = join(dir, 'rocket');
const env = { PATH: process.env.PATH, HOME: dir, TRUNKLINE_HOME: join(dir, 'home'), TRUNKLINE_LISTEN: '127.0.0.1:0', TRUNKLINE_NOTIFY: 'off', NO_COLOR: '1' };
const trunkline = (...args) => execFileSync(BINARY, args, { env, cwd: work, encoding: 'utf8' }).trim();

mkdirSync(work);
writeFileSync(join(work, 'README.md'), 'A rocket.\n');
writeFileSync(join(work, 'engine.py'), 'def ignite():\n    return True\n');
try {
  trunkline('run', 'demo', 'List what is here', '--detach');
  trunkline('run', 'demo', 'Have a look at this project and write down what you find', '--detach');
  await take(trunkline('open', '--url'));
} finally {
  trunkline('stop');
  rmSync(dir, { recursive: true });
}

async function take(link) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  const first = await browser.newPage();
  await first.goto(link);
  await first.waitForFunction(() => localStorage.getItem('trunkline.token') !== null);
  const token = await first.evaluate(() => localStorage.getItem('trunkline.token'));
  const asked = await fetch(`${new URL(link).origin}/v1/sessions`, { headers: { authorization: `Bearer ${token}` } });
  const [session] = (await asked.json()).items.filter((one) => one.title.startsWith('Have'));
  for (const [name, view] of VIEWS) {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...view });
    await context.addInitScript((secret) => localStorage.setItem('trunkline.token', secret), token);
    const page = await context.newPage();
    await page.goto(`${new URL(link).origin}/s/${session.id}`);
    await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
    await page.screenshot({ path: join(PICTURES, name) });
    await context.close();
  }
  await browser.close();
}
