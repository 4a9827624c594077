/** The inbox over a day's work: its order, its keys, its swipes, and everything that can be done about a request. */

import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { complaints, PHONE } from './browser';
import { scene } from './scene';

const at = scene();

interface Asked {
  id: string;
  title: string;
  status: string;
  closed?: { answer?: unknown; grant?: string };
}
const row = (page: Page, text: string) => page.locator('[data-inbox-row]', { hasText: text });
const rows = (page: Page) => page.locator('[data-inbox-row]');
const card = (page: Page) => page.locator('main article[data-request]');

async function ask(title: string, more: object = {}): Promise<string> {
  const options = [{ id: 'y', name: 'Allow', kind: 'allow_once' }, { id: 'n', name: 'Deny', kind: 'reject_once' }];
  return (await at.visitor.call<Asked>('POST', `/v1/sessions/${at.ids.outside}/requests`, { kind: 'permission', title, options, ...more })).id;
}
const look = (id: string) => at.visitor.call<Asked>('GET', `/v1/requests/${id}`);

/** Runs a command of the stage's agent in a session of its own, and gives the request it ends in. */
async function run(line: string): Promise<{ session: string; request: string }> {
  const { id } = await at.visitor.call<{ id: string }>('POST', '/v1/sessions', { agent: 'stage', title: line, workspace: at.daemon.work });
  await at.visitor.call('POST', `/v1/sessions/${id}/turns`, { prompt: `Run ${line}` });
  let request = '';
  const asked = async () => (request = (await at.visitor.call<{ items: Asked[] }>('GET', `/v1/requests?session=${id}`)).items[0]?.id ?? '');
  await expect.poll(asked).not.toBe('');
  return { session: id, request };
}

test('j and k walk through the inbox, and the card that is read takes the answer', async () => {
  const id = await ask('Walk to me', { priority: 'urgent' });
  const page = await at.visitor.page('/');
  await row(page, 'Walk to me').waitFor();
  const order = await rows(page).evaluateAll((all) => all.map((one) => (one as HTMLElement).dataset.inboxRow));
  await page.keyboard.press('j');
  const second = order[(order.indexOf(id) + 1) % order.length] as string;
  await page.waitForURL(/\/r\//);
  for (let i = 0; i < order.length && !page.url().endsWith(`/r/${id}`); i++) await page.keyboard.press('k');
  await page.locator(`[data-request="${id}"]:focus`).waitFor();
  await page.keyboard.press('a');
  await card(page).getByText('Allowed by').waitFor();
  expect((await look(id)).closed?.answer).toEqual({ option: 'y' });
  expect((await look(second)).status).toBe('open');
  await page.getByRole('link', { name: /^Next/ }).waitFor();
});

test('orders by what presses most, groups by session, and filters', async () => {
  const page = await at.visitor.page('/');
  await row(page, 'Deploy to production').waitFor();
  const titles = await rows(page).allTextContents();
  const place = (text: string) => titles.findIndex((title) => title.includes(text));
  expect(place('Deploy to production')).toBe(0);
  expect(place('git push')).toBeLessThan(place('hello.txt'));
  expect(place('hello.txt')).toBeLessThan(place('Where should the release go'));
  await page.getByRole('button', { name: 'Group by session' }).click();
  await page.locator('section h2', { hasText: 'Fix the flaky retry test' }).waitFor();
  await page.getByRole('searchbox').fill('git push');
  await expect.poll(() => rows(page).count()).toBe(1);
  await page.reload();
  await page.locator('section h2').first().waitFor();
  await page.getByRole('button', { name: 'Group by session' }).click();
});

test('a request says what led to it', async () => {
  const page = await at.visitor.page('/');
  await row(page, 'git push').click();
  await page.getByText('Before that').waitFor();
  expect(await page.locator('section ol li').allInnerTexts()).toHaveLength(3);
  await page.getByText('Now the whole suite, and then I push the branch.').waitFor();
});

test('says who else has it open', async () => {
  const leave = new AbortController();
  const headers = { authorization: `Bearer ${at.visitor.token}`, accept: 'text/event-stream' };
  await fetch(`${at.visitor.base}/v1/sessions/${at.ids.push}/events?client=terminal`, { headers, signal: leave.signal });
  const page = await at.visitor.page('/');
  await row(page, 'hello.txt').click();
  await page.getByText(/Also open: .*\(terminal\)/).first().waitFor();
  leave.abort();
});

test('what is snoozed is out of sight until it is woken', async () => {
  const id = await ask('Not now please');
  const page = await at.visitor.page(`/r/${id}`);
  await card(page).getByRole('button', { name: 'Snooze' }).click();
  await page.getByRole('button', { name: '1 hour' }).click();
  await page.getByText('1 snoozed').click();
  await page.locator('details').getByText('Not now please').waitFor();
  expect((await look(id)).status).toBe('open');
  await page.getByRole('button', { name: 'Wake' }).click();
  await page.getByText('1 snoozed').waitFor({ state: 'detached' });
  await at.visitor.call('POST', `/v1/requests/${id}/dismiss`);
});

test('a rule is given with a preview, answers what waits, and what comes after', async () => {
  const first = await run('npm run lint');
  const page = await at.visitor.page(`/r/${first.request}`);
  await card(page).getByRole('button', { name: 'Allow pattern…' }).click();
  await page.getByRole('button', { name: 'shell(npm run *)' }).click();
  await page.getByText(/it would have allowed/).waitFor();
  const unconfined = page.getByRole('checkbox');
  if (await unconfined.isVisible()) await unconfined.check();
  expect(await complaints(page)).toEqual([]);
  await page.getByRole('button', { name: 'Allow, and from now on by this rule' }).click();
  await card(page).getByText('Allowed by').waitFor();
  const { items } = await at.visitor.call<{ items: { pattern: string }[] }>('GET', `/v1/grants?session=${first.session}`);
  expect(items.map((grant) => grant.pattern)).toContain('shell(npm run *)');
  await page.goto(`${at.visitor.base}/settings`);
  const rule = page.locator('li', { hasText: 'shell(npm run *)' });
  await rule.getByRole('button', { name: /Revoke/ }).click();
  await rule.getByRole('button', { name: 'Take it back' }).click();
  await rule.waitFor({ state: 'detached' });
});

test('on a phone a swipe answers, but nothing of high risk', async () => {
  const id = await ask('Swipe me');
  const page = await at.visitor.page('/', PHONE);
  const swipe = async (text: string, by: number) => {
    await row(page, text).scrollIntoViewIfNeeded();
    const box = await row(page, text).boundingBox();
    if (!box) throw new Error('the row is not there');
    const client = await page.context().newCDPSession(page);
    const [x, y] = [box.x + box.width / 2 - by / 2, box.y + box.height / 2];
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', at: number) => client.send('Input.dispatchTouchEvent', { type, touchPoints: type === 'touchEnd' ? [] : [{ x: at, y }] });
    await touch('touchStart', x);
    for (let i = 1; i <= 6; i++) await touch('touchMove', x + (by * i) / 6);
    await touch('touchEnd', x + by);
  };
  await row(page, 'Swipe me').waitFor();
  await swipe('Swipe me', 60);
  expect((await look(id)).status).toBe('open');
  await swipe('Swipe me', -180);
  await row(page, 'Denied by').waitFor();
  expect((await look(id)).closed?.answer).toEqual({ option: 'n' });
  await swipe('rm -rf', 180);
  await page.waitForURL(/\/r\//);
  await card(page).getByRole('button', { name: /hold for a second/ }).waitFor();
});
