/** The dashboard of the original human-input hub, in a real browser: what its script does beyond what the server renders. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Daemon } from './daemon';

let daemon: Daemon;
let browser: Browser;
let dashboard: string;
let hub: string;

beforeAll(async () => {
  daemon = await Daemon.start({ TRUNKLINE_DASHBOARD: '127.0.0.1:0' });
  const runtime = JSON.parse(readFileSync(join(daemon.dir, 'home/runtime.json'), 'utf8')) as { dashboard: string; base_url: string };
  dashboard = runtime.dashboard;
  hub = runtime.base_url;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
});
afterAll(async () => {
  await browser?.close();
  await daemon?.end();
});

async function post<T>(path: string, body: unknown): Promise<T> {
  const answer = await fetch(`${hub}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  expect(answer.status).toBe(200);
  return (await answer.json()) as T;
}

async function ask(title: string, more: Record<string, unknown> = {}): Promise<string> {
  const { session_id } = await post<{ session_id: string }>('/api/sessions/register', { display_name: `agent of ${title}` });
  const body = { title, question: 'Shall I?', context_json: { a: 1 }, ...more };
  return (await post<{ request_id: string }>(`/api/sessions/${session_id}/requests`, body)).request_id;
}

async function status(id: string): Promise<string | null> {
  const answer = (await (await fetch(`${hub}/api/requests/${id}`)).json()) as { status: string; response_text: string | null };
  return `${answer.status} ${answer.response_text ?? '-'}`;
}

const item = (page: Page, id: string) => page.locator(`.request-item[data-request-id="${id}"]`);

test('a half-typed answer, the focus and an open context survive what else arrives', async () => {
  const first = await ask('first');
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  await page.goto(dashboard);
  const text = item(page, first).locator('textarea');
  await item(page, first).locator('summary').click();
  await text.fill('half an ans');
  await text.focus();
  const urgent = await ask('urgent', { priority: 'URGENT' });
  const low = await ask('low', { priority: 'LOW' });
  await item(page, low).waitFor();
  await item(page, urgent).waitFor();
  const order = await page.locator('.request-item').evaluateAll((all) => all.map((one) => (one as HTMLElement).dataset.requestId));
  expect(order).toEqual([urgent, first, low]);
  expect(await text.inputValue()).toBe('half an ans');
  expect(await item(page, first).locator('details').getAttribute('open')).not.toBeNull();
  await page.keyboard.type('wer');
  expect(await text.inputValue()).toBe('half an answer');
  await item(page, first).getByRole('button', { name: 'Send' }).click();
  await item(page, first).waitFor({ state: 'detached' });
  expect(await status(first)).toBe('ANSWERED half an answer');
  await item(page, urgent).getByRole('button', { name: 'Dismiss' }).click();
  await item(page, urgent).waitFor({ state: 'detached' });
  expect(await status(urgent)).toBe('DISMISSED -');
  await page.getByText('agent of low').waitFor();
  expect(errors).toEqual([]);
  await page.close();
});

test('without a script its forms work', async () => {
  const id = await ask('by form');
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${dashboard}/requests/${id}`);
  await page.locator('textarea').fill('from a form');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('from a form').waitFor();
  expect(await status(id)).toBe('ANSWERED from a form');
  await context.close();
});

test('a page of another origin moves nothing', async () => {
  const id = await ask('foreign');
  const page = await browser.newPage();
  // Any other port of this host is another origin: the daemon's own page, for one.
  await page.goto(`${hub}/assets/none`);
  const tried = await page.evaluate(async (url) => {
    const form = new URLSearchParams({ response_text: 'forged' });
    const sent = await fetch(url, { method: 'POST', mode: 'no-cors', body: form }).then(() => 'sent', () => 'failed');
    return sent;
  }, `${dashboard}/requests/${id}/respond`);
  expect(['sent', 'failed']).toContain(tried);
  expect(await status(id)).toBe('PENDING -');
  await page.close();
});
