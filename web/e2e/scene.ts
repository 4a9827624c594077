/** A daemon with a day behind it: forty sessions of all kinds, requests of all risks, errors, pictures, names of all scripts. */

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { Visitor } from './browser';
import { Daemon } from './daemon';
import { share } from './shared';

const AGENT = resolve(import.meta.dirname, 'agent.mjs');

/** What a scene needs of the configuration. */
export const CONFIG = `
[agents.stage]
title = "Stage"
argv = ["${process.execPath}", "${AGENT}"]
presets = [{ label = "Say hello", prompt = "Hello" }, { label = "Is the disk full?", prompt = "Is a disk full?" }, { label = "What failed last night?", prompt = "What failed last night?" }]

[operator_actions.forensics]
argv = ["uname", "-a"]
label = "Forensics"
description = "What there is to see before anything is touched"

[operator_actions.reset]
argv = ["seq", "1", "200"]
label = "Reset the machine"
description = "As its button does"
mutating = true
primary = true
before = "forensics"

[operator_actions.broken]
argv = ["sh", "-c", "echo no such host >&2; exit 3"]
label = "Reach the other host"

[profiles.workshop]
provider = "custom"
model = "small-coder"
base_url = "http://127.0.0.1:9/v1"

[mcp_servers.tracker]
url = "http://127.0.0.1:9/mcp"
description = "Issues of the workshop"

[pools.crew]
command = "cat"
instances = 3
title = "The crew"

[pools.shaky]
command = "sh"
args = ["-c", "echo cannot open /dev/gpu0: permission denied >&2; exit 1"]
instances = 1
`;

/** A daemon that has been played to, and a browser at it. */
export interface Scene {
  daemon: Daemon;
  visitor: Visitor;
  ids: Awaited<ReturnType<typeof play>>;
}

/** The scene for the tests of one file. It is filled before the first of them; no page of theirs may have logged an error. */
export function scene(): Scene {
  const set = {} as Scene;
  beforeAll(async () => {
    set.daemon = await Daemon.start({}, CONFIG);
    set.visitor = await Visitor.arrive(set.daemon.link());
    set.ids = await play(set.daemon, set.visitor.call.bind(set.visitor));
  }, 120_000);
  afterEach(async () => {
    await set.visitor.clear();
    expect(set.visitor.errors.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await set.visitor?.leave();
    await set.daemon?.end();
  });
  return set;
}

type Call = <T>(method: string, path: string, body?: unknown) => Promise<T>;

const PROJECTS = ['rocket', 'moon', 'parser', 'docs-site'];
const TITLES = ['Rename the config keys', 'Why is the build slow?', 'Update dependencies', 'Écrire les notes de version', '修正する 日本語のパス', 'Über-refactoring 🚀🧑‍🚀', 'مراجعة الكود', 'A title that is much longer than any list has room for, because somebody pasted a whole paragraph into it'];

/** Plays it; the ids of the sessions that tests and pictures go to. `plain`: without what few fonts have. */
export async function play(daemon: Daemon, call: Call, plain = false): Promise<Record<'main' | 'push' | 'picture' | 'failed' | 'arabic' | 'outside' | 'handoff', string>> {
  const directory = (i: number) => {
    const path = join(daemon.work, PROJECTS[i % PROJECTS.length] as string);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const say = (text: string | undefined) => (plain ? text?.replace(/[\p{Extended_Pictographic}\u200d]/gu, '').trim() : text);
  const session = async (title: string, i: number) => (await call<{ id: string }>('POST', '/v1/sessions', { agent: 'stage', title, workspace: directory(i) })).id;
  const prompt = (id: string, text: string) => call('POST', `/v1/sessions/${id}/turns`, { prompt: text, when_busy: 'queue' });

  const external: string[] = [];
  for (let i = 0; i < 30; i++) {
    const title = i < TITLES.length ? say(TITLES[i]) : `${['Triage', 'Review', 'Bisect', 'Document', 'Port'][i % 5]} ${i}`;
    external.push((await call<{ id: string }>('POST', '/v1/sessions', { driver: 'external', agent: ['claude', 'codex', 'gemini'][i % 3], title, workspace: directory(i) })).id);
  }
  for (const id of external.slice(20, 24)) await call('POST', `/v1/sessions/${id}/close`);

  const main = await session('Fix the flaky retry test', 0);
  await prompt(main, 'Fix the flaky retry test. It fails on CI about one time in ten.');
  const push = await session('Greeting', 1);
  await prompt(push, 'Write the greeting');
  const danger = await session('Clean up old builds', 2);
  await prompt(danger, 'Run rm -rf /var/cache/builds /srv/artifacts/*');
  const check = await session('Check the API', 3);
  await prompt(check, 'Run npm run check -- --watch=false');
  const picture = await session('Draw the new icon', 3);
  await prompt(picture, 'Show a picture');
  const failed = await session('Summarise the incident', 2);
  await prompt(failed, 'Fail, please');
  const arabic = await session('ترجمة الواجهة', 1);
  await prompt(arabic, 'مرحبا');
  const busy = await session('Long migration', 0);
  await prompt(busy, 'Stream 5 600');
  await prompt(busy, 'And then write the notes');

  const ask = (i: number, body: object) => call('POST', `/v1/sessions/${external[i]}/requests`, { kind: 'question', title: 'Which database?', ...body });
  await ask(0, { title: 'Which of these names should the new setting have? I would take the first, but the documentation uses the second everywhere.', options: [{ id: 'a', name: 'retry.wait', kind: 'choice' }, { id: 'b', name: 'retry.backoff', kind: 'choice' }] });
  await ask(5, { title: say('Deploy to production now? 🚀'), priority: 'urgent', deadline: Date.now() + 20 * 60_000, on_timeout: 'deny', kind: 'permission', options: [{ id: 'y', name: 'Deploy', kind: 'allow_once' }, { id: 'n', name: 'Not now', kind: 'reject_once' }] });
  await ask(6, { title: 'هل أستخدم المسافات أم علامات الجدولة؟', question: 'الملفات الحالية **مختلطة**.' });
  await ask(2, { kind: 'form', title: 'Where should the release go?', schema: { type: 'object', required: ['version'], properties: { version: { type: 'string', title: 'Version' }, draft: { type: 'boolean', title: 'Draft' }, channel: { enum: ['stable', 'beta'] } } } });
  const { id: handoff } = await call<{ id: string }>('POST', '/v1/handoffs', {
    agent_id: 'claude',
    repo: directory(0),
    task_summary: 'Make `retry` wait between its tries. The wait is in, the suite is green but for one test on **macOS**.',
    todos: ['Find out why `socket.test.ts` fails on macOS', 'Write the release note'],
    decisions: ['The wait doubles: 100, 200, 400 ms', 'No jitter, the callers are few'],
    files_touched: [`${directory(0)}/src/net/retry.ts`, `${directory(0)}/src/net/retry.test.ts`],
  });
  const { id: lane } = await call<{ id: string }>('POST', `/v1/handoffs/${handoff}/lanes`, { from_agent: 'claude', to_agent: 'codex', context: { branch: 'fix/retry', head: '3f9c1d2' } });
  await call('POST', `/v1/handoffs/${handoff}/lanes/${lane}/messages`, { from_agent: 'codex', text: 'Which runner failed? I see `macos-14` and `macos-15`.' });
  await call('POST', `/v1/handoffs/${handoff}/lanes/${lane}/messages`, { from_agent: 'claude', text: 'Only `macos-15`; the other is green.' });
  await call('POST', `/v1/handoffs/${handoff}/checkpoints`, { agent_id: 'codex', snapshot: { head: '8a01be4', tests: { failed: 1, passed: 211 } } });
  await call('POST', '/v1/handoffs', { agent_id: 'gemini', status: 'completed', task_summary: 'Translate the README', repo: directory(3) });
  await share(call, plain);
  // Agents take their time to ask.
  for (const id of [main, push, danger, check]) {
    while ((await call<{ items: unknown[] }>('GET', `/v1/requests?session=${id}`)).items.length === 0) await new Promise((done) => setTimeout(done, 20));
  }
  return { main, push, picture, failed, arabic, outside: external[0] as string, handoff };
}
