/**
 * Takes a picture of every screen, in both sizes and both themes, to be looked at: `E2E=gallery GALLERY=<directory> npm run e2e`.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { DESKTOP, PHONE, Visitor } from './browser';
import { Daemon } from './daemon';
import { CONFIG, play } from './scene';
import { KEY, TOPIC } from './shared';

const to = process.env.GALLERY ?? '/tmp/gallery';

test('every screen', { timeout: 300_000 }, async () => {
  mkdirSync(to, { recursive: true });
  const daemon = await Daemon.start({}, CONFIG);
  const visitor = await Visitor.arrive(daemon.link());
  const ids = await play(daemon, visitor.call.bind(visitor));
  for (const [size, options] of [['desktop', DESKTOP], ['phone', PHONE]] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await visitor.page('/', { ...options, colorScheme });
      const shot = (name: string) => page.screenshot({ path: join(to, `${name}-${size}-${colorScheme}.png`) });
      const go = async (path: string, ready: string) => {
        await page.goto(visitor.base + path);
        await page.locator(ready).first().waitFor();
      };
      await page.locator('[data-inbox-row]').nth(5).waitFor();
      await shot('inbox');
      const row = page.locator('[data-inbox-row]', { hasText: 'git push' });
      await row.click();
      await page.locator('[data-request]').waitFor();
      await shot('request');
      await go('/', '[data-inbox-row]');
      await page.locator('[data-inbox-row]', { hasText: 'npm run check' }).click();
      await page.getByRole('button', { name: 'Allow pattern…' }).click();
      await page.getByText(/Nothing was asked|would have allowed/).first().waitFor();
      await shot('pattern');
      await go(`/s/${ids.main}`, '[data-edge=live]');
      await page.locator('[data-request]').waitFor();
      await shot('session');
      if (size === 'phone') await page.getByRole('button', { name: 'Details' }).click();
      for (const part of ['Files', 'Events', 'Usage', 'Clients', 'Actions']) {
        await page.getByRole('tab', { name: part }).click();
        await page.locator('[role=tabpanel] :is(li, dd)').first().waitFor();
        await shot(`rail-${part.toLowerCase()}`);
      }
      await go(`/s/${ids.picture}`, 'main img');
      await shot('picture');
      await go(`/s/${ids.arabic}`, '.footer');
      await shot('arabic');
      await go(`/s/${ids.failed}`, '.footer');
      await shot('failed');
      await go('/s', 'main [data-row]');
      await shot('sessions');
      await page.getByRole('searchbox').fill('fl');
      await page.locator('main mark').first().waitFor();
      await shot('search');
      await go('/bus', 'main [data-row]');
      await shot('bus');
      await page.locator('main summary').first().click();
      await shot('bus-agent');
      await go('/bus/keys', 'main [data-row]');
      await shot('namespaces');
      await go('/bus/keys/default', 'main [data-row]');
      await shot('namespace');
      await page.getByRole('button', { name: 'Write a key' }).click();
      await page.locator('main summary').click();
      await shot('namespace-write');
      await page.getByRole('button', { name: 'Cancel' }).click();
      await go(`/bus/keys/default/${KEY}`, 'main pre');
      await shot('key');
      await page.getByRole('button', { name: 'Edit' }).click();
      await page.getByLabel('Owner').fill('somebody');
      await visitor.call('PUT', `/v1/kv/default/keys/${KEY}`, { value: { ok: true, took_s: 40 }, owner: 'claude-2' });
      await page.getByText('Somebody else has written it').waitFor();
      await shot('key-conflict');
      await page.getByRole('button', { name: 'Cancel' }).click();
      await go('/bus/topics', 'main [data-row]');
      await page.locator('main .data').first().waitFor();
      await shot('topics');
      await go(`/bus/topics/${TOPIC}`, 'main [data-row]');
      await page.locator('main summary').first().click();
      await shot('topic');
      await go('/bus/topics/%3E', 'main [data-row]');
      await page.getByRole('button', { name: 'Pause' }).click();
      await visitor.call('POST', `/v1/topics/${TOPIC}/messages`, { data: 1 });
      await page.getByText('1 new').waitFor();
      await shot('topics-all');
      await go('/bus/topics/quiet', 'main pre');
      await shot('topic-empty');
      await go('/bus/handoffs', 'main [data-row]');
      await shot('handoffs');
      await go(`/h/${ids.handoff}`, 'main ol li');
      await shot('handoff');
      await go('/pools', 'main article');
      await shot('pools');
      await go('/settings', '#setting-about');
      await page.getByText('Version', { exact: true }).waitFor();
      await shot('settings');
      await go('/new', 'main fieldset label');
      await shot('new');
      if (size === 'phone') {
        await go('/more', 'main ul');
        await shot('more');
        await page.setViewportSize({ width: 844, height: 390 });
        await go(`/s/${ids.main}`, '[data-request]');
        await shot('turned');
        await page.setViewportSize({ width: 390, height: 844 });
      }
      await go('/', '[data-inbox-row]');
      await page.keyboard.press('Control+k');
      await page.keyboard.type('re');
      await shot('palette');
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      await shot('keys');
    }
  }
  await visitor.leave();
  await daemon.end();
});
