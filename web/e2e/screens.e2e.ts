/** All screens over a day's work: their keys, what they do, and that nothing on them shuts anybody out. */

import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { complaints, DESKTOP, PHONE, Visitor } from './browser';
import { Daemon } from './daemon';
import { CONFIG, play } from './scene';

let daemon: Daemon;
let visitor: Visitor;
let ids: Awaited<ReturnType<typeof play>>;

beforeAll(async () => {
  daemon = await Daemon.start({}, CONFIG);
  visitor = await Visitor.arrive(daemon.link());
  ids = await play(daemon, visitor.call.bind(visitor));
});
afterEach(async () => {
  await visitor.clear();
  expect(visitor.errors.splice(0)).toEqual([]);
});
afterAll(async () => {
  await visitor?.leave();
  await daemon?.end();
});

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
  return (await visitor.call<Asked>('POST', `/v1/sessions/${ids.outside}/requests`, { kind: 'permission', title, options, ...more })).id;
}
const look = (id: string) => visitor.call<Asked>('GET', `/v1/requests/${id}`);

/** Runs a command of the stage's agent in a session of its own, and gives the request it ends in. */
async function run(line: string): Promise<{ session: string; request: string }> {
  const { id } = await visitor.call<{ id: string }>('POST', '/v1/sessions', { agent: 'stage', title: line, workspace: daemon.work });
  await visitor.call('POST', `/v1/sessions/${id}/turns`, { prompt: `Run ${line}` });
  for (;;) {
    const { items } = await visitor.call<{ items: Asked[] }>('GET', `/v1/requests?session=${id}`);
    if (items[0]) return { session: id, request: items[0].id };
  }
}

describe('keys', () => {
  test('go everywhere, and what is typed into a field stays there', async () => {
    const page = await visitor.page('/');
    await rows(page).first().waitFor();
    for (const [keys, path] of [['gs', '/s'], ['gp', '/pools'], ['g,', '/settings'], ['n', '/new'], ['gi', '/']] as const) {
      for (const key of keys) await page.keyboard.press(key);
      await page.waitForURL(visitor.base + path);
    }
    await page.keyboard.press('/');
    await page.keyboard.type('n?g');
    expect(await page.getByRole('searchbox').inputValue()).toBe('n?g');
    await page.getByText('Nothing that waits has').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    expect(await complaints(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  });

  test('the palette finds sessions by what they are called, and goes there', async () => {
    const page = await visitor.page('/settings');
    await page.locator('#setting-about').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('greet');
    await page.getByRole('option').first().waitFor();
    expect(await complaints(page)).toEqual([]);
    await page.keyboard.press('Enter');
    await page.waitForURL(`${visitor.base}/s/${ids.push}`);
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  });

  test('j and k walk through the inbox, and the card that is read takes the answer', async () => {
    const id = await ask('Walk to me', { priority: 'urgent' });
    const page = await visitor.page('/');
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
});

describe('the inbox', () => {
  test('orders by what presses most, groups by session, and filters', async () => {
    const page = await visitor.page('/');
    await row(page, 'Deploy to production').waitFor();
    const titles = await rows(page).allTextContents();
    const at = (text: string) => titles.findIndex((title) => title.includes(text));
    expect(at('Deploy to production')).toBe(0);
    expect(at('git push')).toBeLessThan(at('hello.txt'));
    expect(at('hello.txt')).toBeLessThan(at('Where should the release go'));
    await page.getByRole('button', { name: 'Group by session' }).click();
    await page.locator('section h2', { hasText: 'Fix the flaky retry test' }).waitFor();
    await page.getByRole('searchbox').fill('git push');
    await expect.poll(() => rows(page).count()).toBe(1);
    await page.reload();
    await page.locator('section h2').first().waitFor();
    await page.getByRole('button', { name: 'Group by session' }).click();
  });

  test('a request says what led to it', async () => {
    const page = await visitor.page('/');
    await row(page, 'git push').click();
    await page.getByText('Before that').waitFor();
    expect(await page.locator('section ol li').allInnerTexts()).toHaveLength(3);
    await page.getByText('Now the whole suite, and then I push the branch.').waitFor();
  });

  test('says who else has it open', async () => {
    const leave = new AbortController();
    const headers = { authorization: `Bearer ${visitor.token}`, accept: 'text/event-stream' };
    await fetch(`${visitor.base}/v1/sessions/${ids.push}/events?client=terminal`, { headers, signal: leave.signal });
    const page = await visitor.page('/');
    await row(page, 'hello.txt').click();
    await page.getByText(/Also open: .*\(terminal\)/).first().waitFor();
    leave.abort();
  });

  test('what is snoozed is out of sight until it is woken', async () => {
    const id = await ask('Not now please');
    const page = await visitor.page(`/r/${id}`);
    await card(page).getByRole('button', { name: 'Snooze' }).click();
    await page.getByRole('button', { name: '1 hour' }).click();
    await page.getByText('1 snoozed').click();
    await page.locator('details').getByText('Not now please').waitFor();
    expect((await look(id)).status).toBe('open');
    await page.getByRole('button', { name: 'Wake' }).click();
    await page.getByText('1 snoozed').waitFor({ state: 'detached' });
    await visitor.call('POST', `/v1/requests/${id}/dismiss`);
  });

  test('a rule is given with a preview, answers what waits, and what comes after', async () => {
    const first = await run('npm run lint');
    const page = await visitor.page(`/r/${first.request}`);
    await card(page).getByRole('button', { name: 'Allow pattern…' }).click();
    await page.getByRole('button', { name: 'shell(npm run *)' }).click();
    await page.getByText(/it would have allowed/).waitFor();
    const unconfined = page.getByRole('checkbox');
    if (await unconfined.isVisible()) await unconfined.check();
    expect(await complaints(page)).toEqual([]);
    await page.getByRole('button', { name: 'Allow, and from now on by this rule' }).click();
    await card(page).getByText('Allowed by').waitFor();
    const { items } = await visitor.call<{ items: { pattern: string }[] }>('GET', `/v1/grants?session=${first.session}`);
    expect(items.map((grant) => grant.pattern)).toContain('shell(npm run *)');
    await page.goto(`${visitor.base}/settings`);
    const rule = page.locator('li', { hasText: 'shell(npm run *)' });
    await rule.getByRole('button', { name: /Revoke/ }).click();
    await rule.getByRole('button', { name: 'Take it back' }).click();
    await rule.waitFor({ state: 'detached' });
  });

  test('on a phone a swipe answers, but nothing of high risk', async () => {
    const id = await ask('Swipe me');
    const page = await visitor.page('/', PHONE);
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
});

describe('the details of a session', () => {
  test('show files, events, usage and who is here', async () => {
    const page = await visitor.page(`/s/${ids.main}`);
    const panel = page.getByRole('tabpanel');
    await panel.locator('summary', { hasText: 'src/net/retry.ts' }).click();
    await panel.getByText('await sleep(wait * 2 ** i);').waitFor();
    await page.getByRole('tab', { name: 'Events' }).click();
    await panel.getByRole('searchbox').fill('request.opened');
    await panel.locator('li button').first().click();
    await panel.getByText('"type": "request.opened"').waitFor();
    await page.getByRole('tab', { name: 'Usage' }).click();
    await panel.getByText('Tool calls').waitFor();
    await page.getByRole('tab', { name: 'Here' }).click();
    await panel.getByText('this page').waitFor();
    await page.keyboard.press('e');
    await panel.waitFor({ state: 'hidden' });
  });

  test('run actions: what changes something asks in place, and says what runs first', async () => {
    const page = await visitor.page(`/s/${ids.picture}`, PHONE);
    await page.getByRole('button', { name: 'Details' }).click();
    await page.getByRole('tab', { name: 'Actions' }).click();
    const names = page.getByRole('tabpanel').locator('h2');
    await names.first().waitFor();
    expect((await names.allTextContents())[0]).toBe('Reset the machine');
    await page.getByRole('button', { name: 'Run: Reset the machine' }).click();
    await page.getByText('“Forensics” runs first, so that what there is to see is kept.').waitFor();
    expect(await complaints(page)).toEqual([]);
    await page.getByRole('button', { name: 'Run it' }).click();
    const output = page.getByRole('region', { name: 'Output of Reset the machine' });
    await output.waitFor();
    const box = await output.boundingBox();
    expect(box?.height).toBeLessThanOrEqual(844 * 0.46 + 1);
    const { items } = await visitor.call<{ items: { action: string }[] }>('GET', '/v1/operator-runs');
    expect(items.map((run) => run.action).reverse()).toEqual(['forensics', 'reset']);
  });

  test('a preset is sent at a touch', async () => {
    const page = await visitor.page(`/s/${ids.picture}`, PHONE);
    await page.getByRole('button', { name: 'Say hello' }).tap();
    await page.getByText('You said: Hello').waitFor();
  });

  test('pictures are shown, and the transcript can be taken along', async () => {
    const page = await visitor.page(`/s/${ids.picture}`);
    const picture = page.getByRole('img', { name: 'Picture from the agent' }).first();
    await picture.waitFor();
    expect(await picture.evaluate((img: HTMLImageElement) => img.decode().then(() => img.naturalWidth))).toBe(192);
    for (const [button, start] of [['Markdown', '# Draw the new icon'], ['JSONL', '{"trunkline":"export/1"']] as const) {
      await page.getByRole('button', { name: 'More' }).click();
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()]);
      const text = readFileSync(await download.path(), 'utf8');
      expect(text.startsWith(start)).toBe(true);
      expect(text).toContain('Show a picture');
    }
  });
});

test('sessions are filtered by state, agent and words', async () => {
  const page = await visitor.page('/s');
  const shown = page.locator('main [data-row]');
  await shown.nth(20).waitFor();
  await page.getByRole('button', { name: /^Failed/ }).click();
  await expect.poll(() => shown.count()).toBe(1);
  await page.getByRole('button', { name: /^All/ }).click();
  await page.getByLabel('Agent').selectOption('gemini');
  await page.getByRole('searchbox').fill('über');
  await expect.poll(() => shown.allTextContents().then((all) => all.length)).toBe(1);
});

test('pools tell of their workers, and are drained in place', async () => {
  const page = await visitor.page('/pools');
  await page.getByText('3 of 3 workers up').waitFor();
  await page.getByText('cannot open /dev/gpu0').first().waitFor();
  await page.getByRole('button', { name: 'Drain: The crew' }).click();
  await page.getByRole('button', { name: 'Take no more requests' }).click();
  await page.getByText('takes no new requests').waitFor();
});

test('a theme outlives the page; a token is made, seen once, and revoked', async () => {
  const page = await visitor.page('/settings');
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole('radio', { name: 'Dark' }).check();
  await page.reload();
  await page.getByRole('radio', { name: 'Dark' }).waitFor();
  expect(await background()).not.toBe(light);
  await page.getByRole('button', { name: 'Make a token…' }).click();
  await page.getByLabel('Name').fill('backup script');
  await page.getByRole('button', { name: 'Make token' }).click();
  await page.getByText('It is shown this once').waitFor();
  const entry = page.locator('li', { hasText: 'backup script' });
  await entry.getByRole('button', { name: /Revoke/ }).click();
  await entry.getByRole('button', { name: 'Shut it out' }).click();
  await entry.waitFor({ state: 'detached' });
});

test.each([
  ['phone', PHONE],
  ['desktop', DESKTOP],
])('on a %s no screen has an accessibility violation in either theme, or is wider than the window', async (_, size) => {
  const page = await visitor.page('/', size);
  const { items } = await visitor.call<{ items: Asked[] }>('GET', '/v1/requests?status=open');
  const screens: [string, string][] = [
    ['/', '[data-inbox-row]'],
    [`/r/${items.find((one) => one.title.startsWith('git push'))?.id}`, 'main article[data-request]'],
    ['/s', 'main [data-row]'],
    ['/new', 'main fieldset label'],
    ['/pools', 'main article'],
    ['/settings', 'main dl dd'],
    ['/more', 'main ul'],
    [`/s/${ids.main}`, 'main article[data-request]'],
    [`/s/${ids.picture}`, 'main img'],
    [`/s/${ids.failed}`, '.footer'],
    [`/s/${ids.arabic}`, '.footer'],
  ];
  for (const [path, ready] of screens) {
    await page.evaluate((to) => {
      history.pushState(null, '', to);
      dispatchEvent(new PopStateEvent('popstate'));
    }, path);
    await page.locator(ready).first().waitFor();
    await page.emulateMedia({ colorScheme: 'light' });
    expect(await complaints(page), path).toEqual([]);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await complaints(page, ['color-contrast']), path).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), path).toBeLessThanOrEqual(0);
  }
});
