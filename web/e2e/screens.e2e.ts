/** All screens over a day's work: their keys, what they do, and that nothing on them shuts anybody out. */

import { createECDH, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { complaints, DESKTOP, PHONE } from './browser';
import { scene } from './scene';
import { KEY, TOPIC } from './shared';

const at = scene();

const rows = (page: Page) => page.locator('[data-inbox-row]');

describe('keys', () => {
  test('go everywhere, and what is typed into a field stays there', async () => {
    const page = await at.visitor.page('/');
    await rows(page).first().waitFor();
    for (const [keys, path] of [['gs', '/s'], ['gb', '/bus'], ['gk', '/bus/keys'], ['gt', '/bus/topics'], ['gp', '/pools'], ['g,', '/settings'], ['n', '/new'], ['gi', '/']] as const) {
      for (const key of keys) await page.keyboard.press(key);
      await page.waitForURL(at.visitor.base + path);
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
    const page = await at.visitor.page('/settings');
    await page.locator('#setting-about').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('greet');
    await page.getByRole('option').first().waitFor();
    expect(await complaints(page)).toEqual([]);
    await page.keyboard.press('Enter');
    await page.waitForURL(`${at.visitor.base}/s/${at.ids.push}`);
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  });
});

describe('the details of a session', () => {
  test('show files, events, usage and who is here', async () => {
    const page = await at.visitor.page(`/s/${at.ids.main}`);
    const panel = page.getByRole('tabpanel');
    await panel.locator('summary', { hasText: 'src/net/retry.ts' }).click();
    await panel.getByText('await sleep(wait * 2 ** i);').waitFor();
    await page.getByRole('tab', { name: 'Events' }).click();
    await panel.getByRole('searchbox').fill('request.opened');
    await panel.locator('li button').first().click();
    await panel.getByText('"type": "request.opened"').waitFor();
    await page.getByRole('tab', { name: 'Usage' }).click();
    await panel.getByText('Tool calls').waitFor();
    await page.getByRole('tab', { name: 'Clients' }).click();
    await panel.getByText('this page').waitFor();
    await page.keyboard.press('e');
    await panel.waitFor({ state: 'hidden' });
  });

  test('run actions: what changes something asks in place, and says what runs first', async () => {
    const page = await at.visitor.page(`/s/${at.ids.picture}`, PHONE);
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
    const { items } = await at.visitor.call<{ items: { action: string }[] }>('GET', '/v1/operator-runs');
    expect(items.map((run) => run.action).reverse()).toEqual(['forensics', 'reset']);
  });

  test('a preset is sent at a touch', async () => {
    const page = await at.visitor.page(`/s/${at.ids.picture}`, PHONE);
    await page.getByRole('button', { name: 'Say hello' }).tap();
    await page.getByText('You said: Hello').waitFor();
  });

  test('a session is given another title, which all lists have at once', async () => {
    const { id } = await at.visitor.call<{ id: string }>('POST', '/v1/sessions', { driver: 'external', agent: 'codex', title: 'Untitled', workspace: at.daemon.work });
    const page = await at.visitor.page(`/s/${id}`);
    await page.getByRole('button', { name: 'More' }).click();
    const title = page.getByRole('textbox', { name: 'Title' });
    expect(await title.inputValue()).toBe('Untitled');
    await title.fill('Überall 🚀');
    await title.press('Enter');
    await page.getByRole('heading', { name: 'Überall 🚀' }).waitFor();
    await page.locator('.side').getByText('Überall 🚀').waitFor();
    await title.waitFor({ state: 'detached' });
  });

  test("the agent's mode is set from the page", async () => {
    const page = await at.visitor.page(`/s/${at.ids.picture}`);
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByLabel('Mode').selectOption('Plan only');
    const mode = async () => (await at.visitor.call<{ mode?: { current?: string } }>('GET', `/v1/sessions/${at.ids.picture}/settings`)).mode?.current;
    await expect.poll(mode, { timeout: 10_000 }).toBe('plan');
    await page.getByText('chosen').waitFor({ state: 'hidden' });
    expect(await complaints(page)).toEqual([]);
  });

  test('pictures are shown, and the transcript can be taken along', async () => {
    const page = await at.visitor.page(`/s/${at.ids.picture}`);
    const picture = page.getByRole('img', { name: 'Picture from the agent' }).first();
    await picture.waitFor();
    expect(await picture.evaluate((img: HTMLImageElement) => img.decode().then(() => img.naturalWidth))).toBe(192);
    for (const [button, start] of [['Markdown', '# Draw the new icon'], ['JSONL', '{"trunkline":"export/1"']] as const) {
      await page.getByRole('button', { name: 'More' }).click();
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()]);
      const text = readFileSync(await download.path(), 'utf8');
      expect(text.startsWith(start)).toBe(true);
      expect(text).toContain('Show a picture');
      if (button === 'JSONL') expect(at.daemon.command('import', await download.path())).toMatch(/[0-9a-f]{8}/);
    }
  });
});

test('sessions are filtered by state, agent and words', async () => {
  const page = await at.visitor.page('/s');
  const shown = page.locator('main ul').first().locator('[data-row]');
  await shown.nth(20).waitFor();
  await page.getByRole('button', { name: /^Failed/ }).click();
  await expect.poll(() => shown.count()).toBe(1);
  await page.getByRole('button', { name: /^All/ }).click();
  await page.getByLabel('Agent').selectOption('gemini');
  await page.getByRole('searchbox').fill('über');
  await expect.poll(() => shown.allTextContents().then((all) => all.length)).toBe(1);
});

test('what was said is found from the same field, and its session is a key away', async () => {
  const page = await at.visitor.page('/s');
  await page.locator('main [data-row]').nth(20).waitFor();
  await page.getByRole('searchbox').fill('flaky retr');
  const found = page.getByRole('region', { name: 'In transcripts' }).getByRole('link');
  await found.first().getByText('Fix the flaky retry test', { exact: true }).waitFor();
  expect(await found.first().locator('mark').allTextContents()).toEqual(['flaky', 'retry']);
  expect(await complaints(page)).toEqual([]);
  await page.getByRole('searchbox').fill('nobody has ever said xyzzy');
  await page.getByText('Nobody has said that.').waitFor();
  await page.getByRole('searchbox').fill('flaky retr');
  await found.first().click();
  await page.waitForURL(/\/s\//);
});

test('pools tell of their workers, and are drained in place', async () => {
  const page = await at.visitor.page('/pools');
  await page.getByText('3 of 3 workers up').waitFor();
  await page.getByText('cannot open /dev/gpu0').first().waitFor();
  await page.getByRole('button', { name: 'Drain: The crew' }).click();
  await page.getByRole('button', { name: 'Take no more requests' }).click();
  await page.getByText('takes no new requests').waitFor();
});

test('the bus tells who runs, and a handoff what happened in it; another agent goes on from there', async () => {
  const page = await at.visitor.page('/bus');
  await page.locator('main a', { hasText: 'Fix the flaky retry test' }).getByText(/pid \d+/).waitFor();
  await page.getByRole('navigation', { name: 'Parts of the bus' }).getByRole('link', { name: 'Handoffs' }).click();
  await page.locator('main a', { hasText: 'claude → codex' }).click();
  const moments = page.locator('main ol li');
  await moments.nth(4).waitFor();
  const told = (await moments.allInnerTexts()).map((text) => text.replace(/\s+/g, ' '));
  expect(told.map((text) => text.replace(/ \d\d:\d\d.*/, ''))).toEqual(['claude saved it', 'claude opened a lane to codex', 'codex said', 'claude said', 'codex kept a checkpoint']);
  await moments.nth(4).locator('summary').click();
  await moments.nth(4).getByText('"passed": 211').waitFor();
  await page.getByRole('button', { name: 'Go on from here…' }).click();
  await page.waitForURL(`${at.visitor.base}/new`);
  const prompt = page.getByRole('textbox', { name: /Prompt/ });
  await expect.poll(() => prompt.inputValue()).toContain('Write the release note');
});

test('a theme outlives the page; a token is made, seen once, and revoked', async () => {
  const page = await at.visitor.page('/settings');
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

test('a link lets in another browser, and a phone by its camera where the address leads to this machine from elsewhere', async () => {
  const page = await at.visitor.page('/settings');
  await page.getByRole('button', { name: 'Let in another browser…' }).click();
  await page.getByText('in another browser of this machine').waitFor();
  await page.route('**/v1/links', async (route) => {
    const response = await route.fetch();
    const link = (await response.json()) as { url: string };
    await route.fulfill({ response, json: { ...link, url: link.url.replace('127.0.0.1', '10.0.0.2') } });
  });
  await page.getByRole('button', { name: 'Let in another browser…' }).click();
  const code = page.getByRole('img', { name: 'The link as a QR code' });
  await code.scrollIntoViewIfNeeded();
  expect((await code.boundingBox())?.width).toBeGreaterThan(160);
  expect(await complaints(page)).toEqual([]);
});

test.each([
  ['phone', PHONE],
  ['desktop', DESKTOP],
])('on a %s no screen has an accessibility violation in either theme, or is wider than the window', { timeout: 60_000 }, async (_, size) => {
  const page = await at.visitor.page('/', size);
  const { items } = await at.visitor.call<{ items: { id: string; title: string }[] }>('GET', '/v1/requests?status=open');
  const screens: [string, string][] = [
    ['/', '[data-inbox-row]'],
    [`/r/${items.find((one) => one.title.startsWith('git push'))?.id}`, 'main article[data-request]'],
    ['/s', 'main [data-row]'],
    ['/new', 'main fieldset label'],
    ['/bus', 'main [data-row]'],
    ['/bus/keys', 'main [data-row]'],
    ['/bus/keys/default', 'main time'],
    [`/bus/keys/default/${KEY}`, 'main pre'],
    ['/bus/topics', 'main .data'],
    [`/bus/topics/${TOPIC}`, 'main [data-row]'],
    ['/bus/topics/%3E', 'main [data-row]'],
    ['/bus/handoffs', 'main [data-row]'],
    [`/h/${at.ids.handoff}`, 'main ol li'],
    ['/pools', 'main article'],
    ['/settings', '#setting-about'],
    ['/more', 'main ul'],
    [`/s/${at.ids.main}`, 'main article[data-request]'],
    [`/s/${at.ids.picture}`, 'main img'],
    [`/s/${at.ids.failed}`, '.footer'],
    [`/s/${at.ids.arabic}`, '.footer'],
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
    // A phone is turned, too.
    const turned = size === PHONE ? [{ width: 844, height: 390 }, { width: 390, height: 844 }] : [DESKTOP.viewport as { width: number; height: number }];
    for (const viewport of turned) {
      await page.setViewportSize(viewport);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), path).toBeLessThanOrEqual(0);
    }
  }
});

test('a long transcript is read to its beginning and back, and is never drawn as a whole', { timeout: 60_000 }, async () => {
  const { id } = await at.visitor.call<{ id: string }>('POST', '/v1/sessions', { agent: 'stage', title: 'Long', workspace: at.daemon.work });
  await at.visitor.call('POST', `/v1/sessions/${id}/turns`, { prompt: 'History 900' });
  await expect.poll(async () => (await at.visitor.call<{ state: string }>('GET', `/v1/sessions/${id}`)).state, { timeout: 30_000 }).toBe('idle');
  const page = await at.visitor.page(`/s/${id}`);
  const transcript = page.getByRole('region', { name: 'Transcript' });
  await transcript.locator('.footer').waitFor();
  const travel = (to: 'start' | 'end') =>
    transcript.evaluate(async (scroller, to) => {
      let most = 0;
      while (!scroller.querySelector(to === 'start' ? '.prompt' : '.footer')) {
        scroller.scrollTop = to === 'start' ? 0 : scroller.scrollHeight;
        await new Promise(requestAnimationFrame);
        most = Math.max(most, scroller.querySelector('.items')?.childElementCount ?? 0);
      }
      return most;
    }, to);
  for (const to of ['start', 'end'] as const) expect(await travel(to)).toBeLessThan(500);
  await page.getByText('Step 0: I look at file 0').waitFor({ state: 'detached' });
});

test('whoever is let in to look is shown no form that the daemon would refuse', async () => {
  const { token } = await at.visitor.call<{ token: string }>('POST', '/v1/tokens', { name: 'onlooker', scope: 'viewer' });
  const { items } = await at.visitor.call<{ items: { id: string; title: string }[] }>('GET', '/v1/requests?status=open');
  const asked = items.find((one) => one.title.startsWith('git push'))?.id as string;
  for (const size of [DESKTOP, PHONE]) {
    const page = await at.visitor.page('/settings', size, token);
    await page.getByText('token/onlooker, viewer').or(page.getByText('onlooker, viewer')).first().waitFor();
    await page.getByText('Only whoever administers the daemon sees who is let in.').waitFor();
    for (const [path, ready, forms] of [
      ['/bus', 'main [data-row]', ['Take out of the registry']],
      ['/bus/keys/default', 'main [data-row]', ['Write a key']],
      [`/bus/keys/default/${KEY}`, 'main dl', ['Edit', 'Delete', 'Write it…']],
      [`/bus/topics/${TOPIC}`, 'main li', ['Publish']],
      [`/h/${at.ids.handoff}`, 'main ol li', ['Go on from here…']],
      ['/pools', 'main article', ['Restart', 'Drain']],
      ['/new', 'main h1', ['Open session', 'Start']],
      [`/r/${asked}`, 'main article[data-request]', ['Dismiss', 'Snooze', 'Deny']],
      [`/s/${at.ids.push}`, 'main article[data-request]', ['Send', 'Stop', 'Queue', 'Dismiss']],
    ] as const) {
      await page.goto(at.visitor.base + path);
      await page.locator(ready).first().waitFor();
      // Until the page knows who is let in, it takes them for the owner.
      const seen = () => page.locator('main').getByRole('button').evaluateAll((all) => all.map((one) => (one.getAttribute('aria-label') ?? one.textContent ?? '').trim()));
      await expect.poll(async () => (await seen()).filter((label) => forms.some((form) => label.startsWith(form))), { message: path }).toEqual([]);
      await expect.poll(() => page.locator('main textarea').count(), { message: path }).toBe(0);
    }
    expect(await complaints(page)).toEqual([]);
  }
});

test('the devices that are told are listed, and taken off', async () => {
  const service = createServer((_, answer) => answer.writeHead(201).end()).listen(0, '127.0.0.1');
  await once(service, 'listening');
  const browser = createECDH('prime256v1');
  const keys = { p256dh: browser.generateKeys('base64url'), auth: randomBytes(16).toString('base64url') };
  const endpoint = `http://127.0.0.1:${(service.address() as AddressInfo).port}/send/1`;
  const { id } = await at.visitor.call<{ id: string }>('POST', '/v1/push/devices', { endpoint, keys });
  const page = await at.visitor.page('/settings');
  const device = page.getByRole('list', { name: 'Devices that are told' }).getByRole('listitem');
  await device.getByText('nothing was told yet').waitFor();
  expect((await at.visitor.call<{ taken: boolean }>('POST', `/v1/push/devices/${id}/test`)).taken).toBe(true);
  await page.reload();
  await device.getByText('last told just now').waitFor();
  expect(await complaints(page)).toEqual([]);
  await device.getByRole('button', { name: 'Remove' }).click();
  await device.getByRole('button', { name: 'Tell it no more' }).click();
  await device.waitFor({ state: 'detached' });
  expect((await at.visitor.call<{ devices: unknown[] }>('GET', '/v1/push')).devices).toEqual([]);
  service.close();
});

test('settings show where models are and ask each for a word, and the servers that bring tools', async () => {
  const page = await at.visitor.page('/settings');
  const models = page.getByRole('region', { name: 'Models' });
  await models.getByText('small-coder').waitFor();
  await models.getByRole('button', { name: 'Test workshop' }).click();
  await models.getByRole('status').getByText('127.0.0.1:9').waitFor();
  const servers = page.getByRole('region', { name: 'MCP servers' });
  await servers.getByText('Issues of the workshop').waitFor();
  await servers.getByText('No session of the built-in agent uses it now.').waitFor();
  expect(await complaints(page)).toEqual([]);
});
