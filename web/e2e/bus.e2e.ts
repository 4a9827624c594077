/** What agents share, by real clicks, while somebody else reads and writes it from a terminal. */

import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { complaints, PHONE, Visitor } from './browser';
import { Daemon } from './daemon';

let daemon: Daemon;
let visitor: Visitor;

beforeAll(async () => {
  daemon = await Daemon.start();
  visitor = await Visitor.arrive(daemon.link());
});
afterEach(async () => {
  await visitor.clear();
  expect(visitor.errors.splice(0)).toEqual([]);
});
afterAll(async () => {
  await visitor?.leave();
  await daemon?.end();
});

const rows = (page: Page) => page.locator('main [data-row]');
const kv = (...args: string[]) => daemon.command('kv', ...args);
const value = (key: string) => JSON.parse(kv('get', key)) as unknown;

test('empty screens say what would fill them', async () => {
  const page = await visitor.page('/bus');
  await page.getByText('trunkline agents register').waitFor();
  const tab = (name: string) => page.getByRole('navigation', { name: 'Parts of the bus' }).getByRole('link', { name }).click();
  await tab('Keys');
  await page.getByText('trunkline kv put').waitFor();
  await tab('Topics');
  await page.getByText('trunkline pub').waitFor();
  await page.getByRole('searchbox').fill('build.*');
  await page.keyboard.press('Enter');
  await page.getByText('trunkline pub build.app').waitFor();
  expect(await complaints(page)).toEqual([]);
});

test('a key is written, followed, changed, deleted and put back', async () => {
  const page = await visitor.page('/bus/keys');
  await page.getByRole('link', { name: 'Write one here' }).click();
  await page.getByRole('button', { name: 'Write a key' }).click();
  await page.getByLabel('Key', { exact: true }).fill('build/état 🚀');
  await page.getByLabel('Value').fill('done');
  await page.getByRole('button', { name: 'Write', exact: true }).click();
  await page.getByText('A text stands in quotes').waitFor();
  await page.getByLabel('Value').fill('{"n": 12345678901234567890}');
  await page.getByRole('button', { name: 'Write', exact: true }).click();
  await page.getByRole('heading', { name: 'build/état 🚀' }).waitFor();
  expect(kv('get', 'build/état 🚀')).toContain('12345678901234567890');
  const shown = page.locator('main pre');
  kv('put', 'build/état 🚀', '{"by": "ana"}', '--owner', 'ana', '--ttl', '10m');
  await shown.getByText('"by": "ana"').waitFor();
  await page.getByText(/9 min more|10 min more/).waitFor();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete it' }).click();
  await page.getByText(/^Deleted by browser-/).waitFor();
  expect(() => kv('get', 'build/état 🚀')).toThrow();
  await page.getByRole('button', { name: 'Put it back' }).click();
  await shown.getByText('"by": "ana"').waitFor();
  expect(value('build/état 🚀')).toEqual({ by: 'ana' });
  await page.keyboard.press('Escape');
  await page.waitForURL(`${visitor.base}/bus/keys/default`);
});

test("what somebody else wrote meanwhile is shown, and not overwritten by accident; half a text survives a reload", async () => {
  kv('put', 'shared', '1');
  const page = await visitor.page('/bus/keys/default/shared');
  await page.getByRole('button', { name: 'Edit' }).click();
  // Who has not typed anything yet simply sees the newest.
  kv('put', 'shared', '2');
  await expect.poll(() => page.getByLabel('Value').inputValue()).toBe('2');
  await page.getByLabel('Value').fill('"mine"');
  await page.reload();
  await expect.poll(() => page.getByLabel('Value').inputValue()).toBe('"mine"');
  kv('put', 'shared', '"theirs"');
  await page.getByText('Somebody else has written it since you began').waitFor();
  await page.locator('main pre', { hasText: '"theirs"' }).waitFor();
  expect(await page.getByRole('button', { name: 'Write', exact: true }).isDisabled()).toBe(true);
  expect(await complaints(page)).toEqual([]);
  await page.getByRole('button', { name: 'Write mine over it' }).click();
  await page.locator('main pre', { hasText: 'mine' }).waitFor();
  expect(value('shared')).toBe('mine');
  // A new key that is there already is refused by the daemon.
  await page.goto(`${visitor.base}/bus/keys/default`);
  await page.getByRole('button', { name: 'Write a key' }).click();
  await page.getByLabel('Key', { exact: true }).fill('shared');
  await page.getByLabel('Value').fill('0');
  const refusal = page.waitForResponse((response) => response.status() === 409);
  await page.getByRole('button', { name: 'Write', exact: true }).click();
  await refusal;
  await page.getByText('This key is there already').waitFor();
  expect(value('shared')).toBe('mine');
  // The browser itself notes the refusal.
  expect(visitor.errors.splice(0).filter((one) => !one.includes('409'))).toEqual([]);
});

test('keys are found by how they begin, come and go by themselves, and change hands', async () => {
  for (let i = 0; i < 3; i++) kv('put', '-n', 'crew', `job.${i}`, String(i), '--owner', 'ana');
  const page = await visitor.page('/bus/keys/crew', PHONE);
  await expect.poll(() => rows(page).count()).toBe(3);
  const lock = rows(page).filter({ hasText: 'lock' });
  await Promise.all([lock.waitFor(), visitor.call('PUT', '/v1/kv/crew/keys/lock', { value: 'bob', ttl_ms: 1_500 })]);
  await lock.waitFor({ state: 'detached' });
  kv('transfer', '-n', 'crew', 'ana', 'bob', 'job.1');
  await rows(page).filter({ hasText: 'job.1' }).getByText('bob').waitFor();
  await page.getByText('Transfers between owners').click();
  await page.getByText('ana → bob').waitFor();
  await page.getByRole('searchbox', { name: 'Prefix' }).fill('job.2');
  await expect.poll(() => rows(page).count()).toBe(1);
  await rows(page).first().tap();
  await page.waitForURL(`${visitor.base}/bus/keys/crew/job.2`);
});

test('a pattern is followed, paused and resumed; a break shows where something is missing', async () => {
  daemon.command('pub', 'build.app', '{"took": 1}', '--as', 'ana');
  daemon.command('pub', 'other', '0');
  const page = await visitor.page('/bus/topics');
  await rows(page).filter({ hasText: 'build.app' }).getByText('{"took": 1}').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('build.*');
  await page.keyboard.press('Enter');
  await expect.poll(() => rows(page).count()).toBe(1);
  daemon.command('pub', 'build.docs', 'a text', '--as', 'bob');
  await rows(page).first().getByText('"a text"').waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  daemon.command('pub', 'build.app', '3');
  await page.getByRole('button', { name: 'Resume, 1 new' }).waitFor();
  expect(await rows(page).count()).toBe(2);
  await page.getByRole('button', { name: 'Resume' }).click();
  await expect.poll(() => rows(page).count()).toBe(3);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByText(/Number 2 of build.app/).waitFor();
  await daemon.stop();
  await daemon.run();
  await page.getByText('Messages are missing here').waitFor();
  daemon.command('pub', 'build.app', '"after"');
  await rows(page).first().getByText('"after"').waitFor();
  expect(await rows(page).count()).toBe(4);
  expect(await complaints(page)).toEqual([]);
  // The browser itself notes that the daemon was away.
  expect(visitor.errors.splice(0).filter((one) => !/ERR_|Failed to load/.test(one))).toEqual([]);
});

test('a message is published as oneself, and whoever publishes is on the bus', async () => {
  const page = await visitor.page('/bus/topics/review.asked');
  const field = page.getByRole('textbox', { name: 'Message' });
  await field.fill('please look');
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.getByText('This is no JSON').waitFor();
  await page.getByLabel('Kind of message').selectOption('Text');
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.getByText('Published as number 1').waitFor();
  await rows(page).first().getByText('"please look"').waitFor();
  await page.getByLabel('Kind of message').selectOption('JSON');
  await field.fill('{"pr": 12345678901234567890}');
  await field.press('Control+Enter');
  await rows(page).first().getByText('12345678901234567890').waitFor();
  const { items } = await visitor.call<{ items: { agent: string; data: unknown }[] }>('GET', '/v1/topics/review.asked/messages');
  expect(items[0]?.data).toBe('please look');
  const name = items[0]?.agent as string;
  expect(name).toMatch(/^browser-/);
  daemon.command('agents', 'register', 'ana', '--can', 'review', '--lease', '2m');
  await page.goto(`${visitor.base}/bus`);
  await rows(page).filter({ hasText: name }).waitFor();
  const ana = rows(page).filter({ hasText: 'ana' });
  await ana.getByText(/lease for/).waitFor();
  await ana.click();
  await page.getByRole('button', { name: 'Take out of the registry: ana' }).click();
  await page.getByRole('button', { name: 'Take it out' }).click();
  await ana.waitFor({ state: 'detached' });
});
