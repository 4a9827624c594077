/**
 * A browser for tests against a running daemon.
 *
 * `TRUNKLINE_LINK` is a one-time link to it, as `trunkline open --url` prints it. `CHROMIUM` names another browser than
 * /usr/bin/chromium. `TRUNKLINE_PAGE` names a directory, such as `dist`, whose files are shown in place of the page that the
 * binary was built with, so that a change of the page alone needs no new binary.
 */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

export const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
export const DESKTOP: BrowserContextOptions = { viewport: { width: 1440, height: 900 } };

export class Visitor {
  #contexts: BrowserContext[] = [];

  private constructor(
    readonly browser: Browser,
    readonly base: string,
    /** What the link was exchanged for; every context of this visitor has it. */
    readonly token: string,
  ) {}

  /** Follows the one-time link. */
  static async arrive(link = process.env.TRUNKLINE_LINK): Promise<Visitor> {
    if (!link) throw new Error('TRUNKLINE_LINK must hold a one-time link; `trunkline open --url` prints one');
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
    const page = await browser.newPage();
    await page.goto(link);
    await page.waitForFunction(() => localStorage.getItem('trunkline.token') !== null);
    const token = await page.evaluate(() => localStorage.getItem('trunkline.token') as string);
    if (page.url().includes('code')) throw new Error(`the code is still in the address: ${page.url()}`);
    await page.close();
    return new Visitor(browser, new URL(link).origin, token);
  }

  /** Opens a page, as whoever has a token; anything it logs as an error is kept in `errors`. */
  async page(path: string, options: BrowserContextOptions = DESKTOP, as = this.token): Promise<Page> {
    const context = await this.browser.newContext({ reducedMotion: 'reduce', serviceWorkers: 'block', ...options });
    this.#contexts.push(context);
    if (process.env.TRUNKLINE_PAGE) await showFrom(context, this.base, process.env.TRUNKLINE_PAGE);
    await context.addInitScript((token) => localStorage.setItem('trunkline.token', token), as);
    const page = await context.newPage();
    page.on('pageerror', (error) => this.errors.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(message.text());
    });
    await page.goto(this.base + path);
    return page;
  }

  /** What the pages complained about. */
  readonly errors: string[] = [];

  /** Calls the API as this visitor. */
  async call<T>(method: string, path: string, body: unknown = {}): Promise<T> {
    const init: RequestInit = { method, headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' } };
    if (method !== 'GET') init.body = JSON.stringify(body);
    const response = await fetch(this.base + path, init);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  /** Closes the pages of one test. */
  async clear(): Promise<void> {
    for (const context of this.#contexts.splice(0)) await context.close();
  }

  async leave(): Promise<void> {
    await this.browser.close();
  }
}

const KINDS: Record<string, string> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png', '.webmanifest': 'application/manifest+json' };

/** Shows the page of a directory, under the daemon's own content policy. */
async function showFrom(context: BrowserContext, base: string, dir: string): Promise<void> {
  const policy = (await fetch(base)).headers.get('content-security-policy') ?? '';
  await context.route(
    (url) => url.origin === base && !/^\/(?:v1|api|mcp|health|\.well-known)(?:\/|$)/.test(url.pathname),
    (route) => {
      const file = join(dir, new URL(route.request().url()).pathname);
      const found = existsSync(file) && statSync(file).isFile() ? file : join(dir, 'index.html');
      return route.fulfill({ body: readFileSync(found), headers: { 'content-type': KINDS[extname(found)] ?? 'application/octet-stream', 'content-security-policy': policy } });
    },
  );
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe has to say against the page as it is, one line per rule; by all rules, or by these. */
export async function complaints(page: Page, rules?: string[]): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(`${axe};0`);
  return page.evaluate(async (runOnly) => {
    const { axe } = globalThis as unknown as { axe: { run(root: Document, options: object): Promise<{ violations: { id: string; nodes: { target: unknown[] }[] }[] }> } };
    const { violations } = await axe.run(document, runOnly ? { runOnly } : {});
    return violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
  }, rules);
}
