/** Takes the pictures of the page for the README and the guide: `make pictures`. */

import { resolve } from 'node:path';
import { test } from 'vitest';
import { DESKTOP, PHONE, Visitor } from './browser';
import { Daemon } from './daemon';
import { CONFIG, play } from './scene';

const PICTURES = resolve(import.meta.dirname, '../../docs/pictures');

test('the pictures', { timeout: 120_000 }, async () => {
  const daemon = await Daemon.start({}, CONFIG);
  const visitor = await Visitor.arrive(daemon.link());
  const ids = await play(daemon, visitor.call.bind(visitor), true);
  const { items } = await visitor.call<{ items: { id: string; title: string }[] }>('GET', '/v1/requests?status=open');
  const push = items.find((one) => one.title.startsWith('git push'))?.id;
  for (const [name, path, size] of [['page', `/s/${ids.main}`, DESKTOP], ['inbox', `/r/${push}`, DESKTOP], ['bus', '/bus/keys/default', DESKTOP], ['phone', '/', PHONE]] as const) {
    const page = await visitor.page(path, size);
    await page.locator(size === PHONE ? '[data-inbox-row]' : name === 'bus' ? 'main [data-row]' : 'main article[data-request]').first().waitFor();
    // Its files and its colours come a moment after it.
    if (name === 'page') await page.locator('[role=tabpanel] summary').waitFor();
    if (name === 'inbox') await page.getByText('Before that').waitFor();
    await page.screenshot({ path: `${PICTURES}/${name}.png` });
  }
  await visitor.leave();
  await daemon.end();
});
