/** A real agent's session in a real browser: at work, asking, allowed, stopped, and a daemon that restarts under it. */

import { readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { PHONE, Visitor } from './browser';
import { BINARY, Daemon } from './daemon';

/** An agent that asks whether it may run each line of its prompt. */
const ASKER = resolve(import.meta.dirname, '../../crates/cli/tests/daemon/permissions.py');

let daemon: Daemon;
let visitor: Visitor;

beforeAll(async () => {
  daemon = await Daemon.start();
  visitor = await Visitor.arrive(daemon.link());
});
afterEach(async () => {
  await visitor.clear();
  for (const file of readdirSync(daemon.work)) rmSync(join(daemon.work, file), { recursive: true });
});
afterAll(async () => {
  await visitor.leave();
  await daemon.end();
});

/** A session of the demo agent that pauses `pace` milliseconds between its words. */
async function session(pace = 0): Promise<string> {
  const argv = [BINARY, 'demo-agent', '--pace', String(pace)];
  return (await visitor.call<{ id: string }>('POST', '/v1/sessions', { agent: 'demo', argv, workspace: daemon.work })).id;
}

async function prompt(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Prompt' }).fill(text);
  await page.keyboard.press('Enter');
}

const allow = (page: Page) => page.getByRole('button', { name: /^Allow( once)?$/ }).first();
const files = () => readdirSync(daemon.work);

test('a person sees the agent at work, allows what it asks, and the file is there', async () => {
  const page = await visitor.page(`/s/${await session()}`);
  await prompt(page, 'Write a greeting');
  await allow(page).waitFor();
  expect(files()).toEqual([]);
  await allow(page).click();
  await page.locator('.footer .reason', { hasText: 'Done' }).last().waitFor();
  expect(files()).toHaveLength(1);
  expect(visitor.errors.splice(0)).toEqual([]);
});

test('two browsers see the same, and the second sees who allowed it', async () => {
  const id = await session();
  const [desk, phone] = [await visitor.page(`/s/${id}`), await visitor.page(`/s/${id}`, PHONE)];
  await prompt(desk, 'Write a greeting');
  await allow(desk).waitFor();
  await allow(phone).tap();
  await desk.getByText('Allowed by').first().waitFor();
  expect(visitor.errors.splice(0)).toEqual([]);
});

test('what is of high risk is allowed by holding the button down, or the key, and by nothing shorter', async () => {
  const argv = ['python3', ASKER];
  const made = await visitor.call<{ id: string }>('POST', '/v1/sessions', { agent: 'asker', argv, workspace: daemon.work });
  const page = await visitor.page(`/s/${made.id}`);
  await prompt(page, 'rm -rf /\nrm -rf /home');
  const hold = page.getByRole('button', { name: /hold for a second/ });
  await hold.click();
  await page.locator('[data-request]').focus();
  await page.keyboard.press('a');
  const open = await visitor.call<{ items: { id: string }[] }>('GET', '/v1/requests?status=open');
  expect(open.items).toHaveLength(1);
  await hold.hover();
  await page.mouse.down();
  await page.getByText('Allowed by').first().waitFor();
  await page.mouse.up();
  await page.locator('[data-request].open').focus();
  await page.keyboard.down('a');
  await page.getByText('Allowed by').nth(1).waitFor();
  await page.keyboard.up('a');
  const { items } = await visitor.call<{ items: { closed: { answer: unknown } }[] }>('GET', `/v1/requests?session=${made.id}`);
  expect(items.map((one) => one.closed.answer)).toEqual([{ option: 'yes', confirm: true }, { option: 'yes', confirm: true }]);
  expect(visitor.errors.splice(0)).toEqual([]);
});

test('a reload and a restart of the daemon in mid-stream lose nothing and double nothing', async () => {
  const id = await session(40);
  const page = await visitor.page(`/s/${id}`);
  await prompt(page, 'Write a greeting');
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  // The first sentence is whole: a word or two of it would stand elsewhere on the page as well.
  await page.getByText('what I find').waitFor();
  await daemon.stop('SIGKILL');
  await daemon.run();
  await page.locator('[data-edge=live]').waitFor();
  await page.locator('.footer .reason', { hasText: 'Interrupted' }).waitFor();
  const { items } = await visitor.call<{ items: { type: string; data: { update?: { sessionUpdate?: string; content?: { text?: string } } } }[] }>(
    'GET',
    `/v1/sessions/${id}/events?limit=10000`,
  );
  // What the agent said, as the paragraphs that its tool calls leave.
  const updates = items.filter((event) => event.type === 'turn.update').map((event) => event.data.update);
  const paragraphs: string[] = [''];
  for (const update of updates) {
    if (update?.sessionUpdate === 'agent_message_chunk') paragraphs.push((paragraphs.pop() ?? '') + (update.content?.text ?? ''));
    else paragraphs.push('');
  }
  const words = (text: string) => text.replace(/[^\p{L}]+/gu, ' ').trim();
  const shown = words(await page.locator('main').innerText());
  // A word or two that the daemon died after may stand elsewhere on the page as well.
  const told = paragraphs.map(words).filter((paragraph) => paragraph.split(' ').length >= 5);
  expect(told).not.toEqual([]);
  expect(told.map((paragraph) => shown.split(paragraph).length - 1)).toEqual(told.map(() => 1));
  // The browser itself logs the connections that broke: that is not the page's complaint.
  visitor.errors.splice(0);
  await prompt(page, 'Write a greeting');
  await allow(page).click();
  await page.locator('.footer .reason', { hasText: 'Done' }).last().waitFor();
});
