/** The original script of kollabor's web client, unchanged, in a real browser: on our page, and on a page of another port. */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Daemon } from './daemon';

/** What `make browser-test` has fetched. */
const CLIENT = resolve(import.meta.dirname, '../../target/kollabor/kollabor_webui/static/app.js');

/** A provider that writes a file when it is asked to, and else says what it was asked. */
const model = createServer((request, response) => {
  let body = '';
  request.on('data', (data) => (body += data));
  request.on('end', () => {
    const asked = JSON.parse(body) as { messages: { role: string; content: string }[] };
    const last = asked.messages.at(-1) as { role: string; content: string };
    const text = JSON.stringify(last.content);
    const call = { index: 0, id: 'call"><b>1', type: 'function', function: { name: 'write', arguments: '{"path":"made.txt","content":"made\\n"}' } };
    const writes = last.role === 'user' && text.includes('Write');
    const delta = writes ? { tool_calls: [call] } : { content: last.role === 'tool' ? 'It is written.' : 'Heard.' };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (choice: object, more: object = {}) => response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, ...choice }], ...more })}\n\n`);
    send({ delta: { role: 'assistant', ...delta } });
    send({ delta: {}, finish_reason: writes ? 'tool_calls' : 'stop' }, { usage: { prompt_tokens: 20, completion_tokens: 3, total_tokens: 23 } });
    response.end('data: [DONE]\n\n');
  });
});

let daemon: Daemon;
let browser: Browser;
let page: Page;
let elsewhere: Server;
const errors: string[] = [];

const listening = (server: Server) => new Promise<number>((done) => server.listen(0, '127.0.0.1', () => done((server.address() as AddressInfo).port)));
const engine = () => (daemon.runtime() as unknown as { engine: string }).engine;
const token = () => readFileSync(join(daemon.dir, '.kollab/engine.token'), 'utf8');

beforeAll(async () => {
  if (!existsSync(CLIENT)) throw new Error(`${CLIENT} is not there: make browser-test fetches it`);
  const provider = await listening(model);
  // A page of somebody else's, as the client's own server would serve it: the same files from another port.
  elsewhere = createServer(async (request, response) => {
    const file = await fetch(`${engine()}/ui/kollabor${request.url}`);
    response.writeHead(file.status, { 'content-type': file.headers.get('content-type') ?? '' });
    response.end(Buffer.from(await file.arrayBuffer()));
  });
  const other = await listening(elsewhere);
  daemon = await Daemon.start(
    {},
    `allowed_origins = ["http://127.0.0.1:${other}"]

[engine]
listen = "127.0.0.1:0"
client = "${CLIENT}"

[profiles.mine]
provider = "custom"
model = "<img src=x onerror=window.hacked=1>"
base_url = "http://127.0.0.1:${provider}/v1"
`,
  );
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  page = await browser.newPage();
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('dialog', (dialog) => dialog.accept());
});
afterAll(async () => {
  await browser?.close();
  await daemon?.end();
  elsewhere?.close();
  model.close();
});

const output = (of = page) => of.locator('.terminal-output').last();
async function say(text: string, of = page): Promise<void> {
  await of.locator('.terminal-input').last().fill(text);
  await of.locator('.send-btn').last().click();
}

async function create(of: Page, workspace: string): Promise<void> {
  mkdirSync(workspace, { recursive: true });
  const before = await of.locator('.session-panel').count();
  await of.locator('#btn-new-session').click();
  await of.locator('#new-session-profile option[value=mine]').waitFor({ state: 'attached' });
  await of.locator('#new-session-profile').selectOption('mine');
  await of.locator('#new-session-workspace').fill(workspace);
  await of.locator('#new-session-create').click();
  await of.locator('.session-panel').nth(before).waitFor();
}

test('a link opens the page, and the script is connected', async () => {
  await page.goto(daemon.command('open', '--engine', '--url'));
  await page.getByText('connected', { exact: true }).waitFor();
  expect(new URL(page.url()).pathname).toBe('/ui/kollabor/');
});

test('a session is made, asks before it writes, and goes on when it is allowed', async () => {
  await create(page, join(daemon.work, 'first'));
  expect(await page.locator('#sessions-count').textContent()).toBe('1');
  await say('Write it.');
  const card = output().locator('.output-line.permission');
  await card.getByText('write', { exact: true }).waitFor();
  expect(existsSync(join(daemon.work, 'first/made.txt'))).toBe(false);
  await card.getByRole('button', { name: 'approve' }).click();
  await output().getByText(/turn complete \| 40in\/6out \| 1 tools \| stop/).waitFor();
  expect(readFileSync(join(daemon.work, 'first/made.txt'), 'utf8')).toBe('made\n');
  expect(await output().textContent()).toContain('It is written.');
  expect(await output().textContent()).toContain('[once]');
});

test('its commands work', async () => {
  for (const [command, told] of [
    ['/history', 'conversation history (4 messages)'],
    ['/mode trust_all', 'approval mode set to: trust_all'],
    ['/cancel', 'turn cancelled'],
    ['/mode yolo', "Unknown mode 'yolo'"],
    ['/reset', 'conversation history reset'],
    ['/history', 'no history'],
  ] as const) {
    await say(command);
    await output().getByText(told).waitFor();
  }
});

test('profiles, agents and settings work, and what is a name stays a name', async () => {
  await page.locator('#profiles-btn').click();
  await page.locator('[data-profile=mine][data-action=test]').click();
  await page.locator('[data-profile=mine]', { hasText: /✓ \d+ms/ }).waitFor();
  expect(await page.evaluate('window.hacked')).toBeUndefined();
  await page.locator('#modal-close').click();

  await page.locator('#settings-btn').click();
  await page.locator('#settings-token').fill(token());
  await page.locator('#settings-engine-url').fill(engine());
  await page.locator('#settings-save').click();
  await page.locator('#modal-overlay').waitFor({ state: 'hidden' });
  await page.locator('#profiles-btn').click();
  await page.locator('#create-profile-btn').click();
  await page.locator('#profile-name').fill('made');
  await page.locator('#profile-provider').selectOption('custom');
  await page.locator('#profile-model').fill('m');
  await page.locator('#profile-apikey').fill('canary');
  await page.locator('#profile-baseurl').fill('http://127.0.0.1:9/v1');
  await page.locator('#profile-create').click();
  await page.locator('[data-profile=made][data-action=delete]').waitFor();
  expect(await page.content()).not.toContain('canary');
  await page.locator('[data-profile=made][data-action=delete]').click();
  await page.locator('[data-profile=made]').first().waitFor({ state: 'detached' });
  await page.locator('#modal-close').click();

  await page.locator('#hub-btn').click();
  await page.locator('.hub-agent-identity', { hasText: 'model-' }).waitFor();
  await page.locator('[data-action=status]').click();
  await page.locator('#modal-body pre', { hasText: '"state": "idle"' }).waitFor();
  await page.locator('#hub-status-back').click();
  await page.locator('#hub-broadcast-btn').click();
  await page.locator('#hub-send-content').fill('All: hello.');
  await page.locator('#hub-send-submit').click();
  await page.getByText('Message sent to *').waitFor();
});

test('servers of tools are added, switched off and removed', async () => {
  await page.locator('#mcp-btn').click();
  await page.locator('#add-mcp-btn').click();
  await page.locator('#mcp-name').fill('tools');
  await page.locator('#mcp-command').fill('true --tools');
  await page.locator('#mcp-add').click();
  await page.locator('.mcp-item', { hasText: 'true --tools' }).getByRole('button', { name: 'Disable' }).click();
  await page.locator('.mcp-item').getByRole('button', { name: 'Enable' }).waitFor();
  await page.locator('#modal-close').click();
  await say('/mcp');
  await output().getByText('total tools available: 0').waitFor();
  await page.locator('#mcp-btn').click();
  await page.locator('.mcp-item').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No MCP servers configured').waitFor();
  await page.locator('#modal-close').click();
});

test('a reload and a crash lose nothing, and the same token counts', async () => {
  await daemon.stop('SIGKILL');
  const port = new URL(engine()).port;
  const config = readFileSync(join(daemon.dir, 'home/config.toml'), 'utf8');
  daemon.configure(config.replace('listen = "127.0.0.1:0"', `listen = "127.0.0.1:${port}"`));
  await daemon.run();
  await page.reload();
  await page.getByText('connected', { exact: true }).waitFor();
  await page.locator('.session-panel').waitFor();
  await say('Hello.');
  await output().getByText('Heard.').waitFor();
  await output().getByText(/turn complete/).waitFor();
});

test('a panel is minimised, and closed with its session', async () => {
  await create(page, join(daemon.work, 'second'));
  expect(await page.locator('.session-panel').count()).toBe(2);
  await page.locator('.session-panel').first().locator('.minimize-btn').click();
  expect(await page.locator('.session-panel').first().getAttribute('class')).toContain('minimized');
  await page.locator('.session-panel').last().locator('.close-btn').click();
  await expect.poll(() => page.locator('.session-panel').count()).toBe(1);
  const answer = await fetch(`${engine()}/sessions`, { headers: { authorization: `Bearer ${token()}` } });
  expect(((await answer.json()) as { sessions: unknown[] }).sessions.length).toBe(1);
  expect(errors).toEqual([]);
});

test('a page of another port works where it is allowed, and is told why where it is not', async () => {
  const other = await browser.newPage();
  // Less than the test has, so that a step that waits in vain is named.
  other.setDefaultTimeout(12_000);
  const origin = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  const configured = (shown: string) =>
    other.evaluate(
      ([url, shown]) => {
        localStorage.setItem('kollabor_config', JSON.stringify({ engineUrl: url, profile: 'default', approvalMode: 'confirm_all', workspace: '' }));
        localStorage.setItem('kollabor_token', shown as string);
      },
      [daemon.runtime().base_url, shown],
    );
  await other.goto(`${origin}/`);
  await configured('no-such-token');
  await other.reload();
  await other.getByText('connected', { exact: true }).waitFor();
  await other.locator('#hub-btn').click();
  await other.getByText('Failed to load hub agents: Invalid token').waitFor();
  await configured(token());
  await other.reload();
  await other.getByText('connected', { exact: true }).waitFor();
  await create(other, join(daemon.work, 'third'));
  await say('Hello.', other);
  await output(other).getByText('Heard.').waitFor();
  await other.close();
});
