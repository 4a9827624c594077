/** Requests of an external agent: they need no agent's process, so the page is all that is tested. */

import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { complaints, PHONE, Visitor } from './browser';

let visitor: Visitor;
let session: string;

beforeAll(async () => {
  visitor = await Visitor.arrive();
  session = (await visitor.call<{ id: string }>('POST', '/v1/sessions', { driver: 'external', agent: 'tester', title: 'Page tests' })).id;
});
afterEach(async () => {
  await visitor.clear();
  expect(visitor.errors.splice(0)).toEqual([]);
});
afterAll(async () => {
  await visitor.call('DELETE', `/v1/sessions/${session}`);
  await visitor.leave();
});

const OPTIONS = [
  { id: 'yes', name: 'Allow', kind: 'allow_once' },
  { id: 'no', name: 'Deny', kind: 'reject_once' },
];

async function ask(more: Record<string, unknown> = {}): Promise<string> {
  const body = { kind: 'permission', title: 'Write hello.txt', options: OPTIONS, ...more };
  return (await visitor.call<{ id: string }>('POST', `/v1/sessions/${session}/requests`, body)).id;
}

async function outcome(id: string) {
  const { status, closed } = await visitor.call<{ status: string; closed?: { answer?: unknown } }>('GET', `/v1/requests/${id}`);
  return { status, answer: closed?.answer };
}

const card = (page: Page, id: string) => page.locator(`[data-request="${id}"]`);

describe('a permission', () => {
  test('that is asked while the page is open appears, and is answered by a key on the card', async () => {
    const page = await visitor.page('/');
    await page.locator('[data-edge=live]').waitFor();
    const id = await ask();
    await card(page, id).focus();
    await page.keyboard.press('a');
    await card(page, id).getByText('Allowed by').waitFor();
    expect(await outcome(id)).toEqual({ status: 'answered', answer: { option: 'yes' } });
    expect(await page.evaluate(() => document.activeElement?.getAttribute('data-request'))).toBe(id);
  });

  test('is not answered by what is typed anywhere else', async () => {
    const page = await visitor.page('/');
    const id = await ask();
    await card(page, id).getByRole('button', { name: 'Add a word' }).click();
    await page.keyboard.type('a1d A2');
    await page.locator('h1').focus();
    await page.keyboard.type('a1d A2');
    await card(page, id).getByRole('button', { name: 'Dismiss' }).focus();
    await page.keyboard.type('a1d');
    expect(await outcome(id)).toEqual({ status: 'open', answer: undefined });
    await card(page, id).getByRole('button', { name: 'Deny' }).click();
    await card(page, id).getByText('Denied by').waitFor();
    expect(await outcome(id)).toEqual({ status: 'answered', answer: { option: 'no', text: 'a1d A2' } });
  });

  test('is answered by a tap, where it stands in the transcript', async () => {
    const id = await ask();
    const page = await visitor.page(`/s/${session}`, PHONE);
    await card(page, id).getByRole('button', { name: 'Allow' }).tap();
    await card(page, id).getByText('Allowed by').waitFor();
  });

  test('answered elsewhere tells who was first', async () => {
    const id = await ask();
    const [one, two] = [await visitor.page('/'), await visitor.page(`/s/${session}`, PHONE)];
    await card(two, id).waitFor();
    await card(one, id).getByRole('button', { name: 'Deny' }).click();
    await card(two, id).getByText('Denied by').waitFor();
    expect(await card(two, id).getByRole('button').count()).toBe(0);
  });
});

test('a half-typed answer survives news and a reload', async () => {
  const id = await ask({ kind: 'question', title: 'Which colour?', options: [] });
  const page = await visitor.page('/');
  const field = card(page, id).getByRole('textbox');
  await field.fill('Something like bl');
  const other = await ask({ title: 'Something else' });
  await page.locator(`[data-inbox-row="${other}"]`).waitFor();
  expect(await field.inputValue()).toBe('Something like bl');
  await page.reload();
  expect(await field.inputValue()).toBe('Something like bl');
  await field.pressSequentially('ue');
  await card(page, id).getByRole('button', { name: 'Send answer' }).click();
  await card(page, id).getByText('Answered by').waitFor();
  expect(await outcome(id)).toEqual({ status: 'answered', answer: { text: 'Something like blue' } });
  await visitor.call('POST', `/v1/requests/${other}/dismiss`);
});

test('what an agent writes is shown, not run', async () => {
  const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script> [x](javascript:document.title=3)';
  const id = await ask({ title: evil.slice(0, 200), question: evil, context: evil });
  const page = await visitor.page('/');
  await card(page, id).waitFor();
  expect(await card(page, id).locator('img, script, a[href^=javascript]').count()).toBe(0);
  expect(await page.title()).toContain('Trunkline');
  await visitor.call('POST', `/v1/requests/${id}/dismiss`);
});

test('who has no token is told how to get one', async () => {
  const page = await visitor.browser.newPage();
  await page.goto(`${visitor.base}/s/${session}`);
  await page.getByText('trunkline open', { exact: true }).waitFor();
  expect(await complaints(page)).toEqual([]);
  await page.close();
});
