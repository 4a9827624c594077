/** A link that answers, in a browser that was never let in. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PHONE, Visitor } from './browser';
import { Daemon } from './daemon';

/** What a service is told of a request. */
interface Told {
  request: { id: string };
  answer?: { url: string };
}

let daemon: Daemon;
let visitor: Visitor;
const told: Told[] = [];
let wake = () => {};
const service = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    told.push(JSON.parse(Buffer.concat(parts).toString()) as Told);
    response.end();
    wake();
  });
});

beforeAll(async () => {
  await new Promise<void>((done) => service.listen(0, '127.0.0.1', done));
  const HOOK = `http://127.0.0.1:${(service.address() as AddressInfo).port}/`;
  daemon = await Daemon.start({ HOOK }, '[notify_targets.chat]\nkind = "webhook"\nurl_env = "HOOK"\nanswer = true\n');
  visitor = await Visitor.arrive(daemon.link());
});
afterAll(async () => {
  await visitor?.leave();
  await daemon?.end();
  service.close();
});

test('shows what is asked, takes one answer by a button, and says afterwards who gave it', async () => {
  const { id: session } = await visitor.call<{ id: string }>('POST', '/v1/sessions', { driver: 'external', agent: 'tester' });
  const options = [
    { id: 'a', name: '80', kind: 'choice' },
    { id: 'b', name: '8080', kind: 'choice' },
  ];
  const heard = new Promise<void>((done) => (wake = done));
  const { id } = await visitor.call<{ id: string }>('POST', `/v1/sessions/${session}/requests`, { kind: 'question', title: 'Which port?', options });
  await heard;
  const link = told.find(({ request }) => request.id === id)?.answer?.url ?? '';
  const context = await visitor.browser.newContext(PHONE);
  const page = await context.newPage();
  await page.goto(link);
  await page.getByRole('heading', { name: 'Which port?' }).waitFor();
  await page.getByRole('button', { name: '8080' }).click();
  await page.getByRole('heading', { name: 'Answered' }).waitFor();
  const { closed } = await visitor.call<{ closed: { by: string; answer: { option: string } } }>('GET', `/v1/requests/${id}`);
  expect([closed.by, closed.answer.option]).toEqual(['link/chat', 'b']);
  await page.goto(link);
  await page.getByText('link/chat has answered it already').waitFor();
  expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);
  await context.close();
});
