// A stand-in for the daemon, for looking at the page while nothing else runs: `node dev/fake-daemon.mjs [port]`.
// It plays scripted sessions over the shapes of /v1 from memory, and serves web/dist. It checks nothing.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';

const port = Number(process.argv[2] ?? 7433);
const dist = new URL('../dist/', import.meta.url).pathname;
const sessions = new Map();
const requests = new Map();
const logs = new Map();
const changes = [];
const streams = new Set();
let ids = 0;
const newId = () => `0190163d-8694-739b-aea5-${String(++ids).padStart(12, '0')}`;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function change(event, data) {
  changes.push({ pos: changes.length + 1, event, data: JSON.parse(JSON.stringify(data)) });
  for (const stream of streams) stream.flush();
}

function add(id, type, data, more = {}) {
  const log = logs.get(id);
  const event = { type, seq: log.length + 1, at: Date.now() - (sessions.get(id)?.ago ?? 0), by: 'trunkline', data, ...more };
  log.push(event);
  for (const stream of streams) stream.flush();
  return event;
}

function put(id, patch) {
  const session = Object.assign(sessions.get(id), patch, { updated_at: Date.now() - (sessions.get(id).ago ?? 0) });
  change('session', session);
}

export function create(agent, workspace, title, ago = 0, driver = 'acp') {
  const id = newId();
  const at = Date.now() - ago;
  sessions.set(id, { id, state: 'idle', title, agent, driver, workspace, project: workspace, created_at: at, created_by: 'owner', updated_at: at, queued: 0, pending: 0, turns: 0, ago });
  logs.set(id, []);
  add(id, 'session.created', { id, driver, agent, workspace, title }, { by: 'owner' });
  change('session', sessions.get(id));
  return id;
}

const update = (id, turn, update) => add(id, 'turn.update', { v: 'acp/1', update }, { turn, by: `agent/${id}` });

async function say(id, turn, text, pace = 12) {
  for (const word of text.match(/\S+\s*|\s+/g) ?? []) {
    update(id, turn, { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: word } });
    if (pace) await wait(pace);
  }
}

function begin(id, text, by = 'owner') {
  const turn = add(id, 'turn.queued', { prompt: [{ type: 'text', text }] }, { by }).seq;
  logs.get(id).at(-1).turn = turn;
  return turn;
}

function start(id, turn, text) {
  add(id, 'turn.started', { prompt: [{ type: 'text', text }] }, { turn });
  put(id, { state: 'running', turn });
}

function end(id, turn, stop_reason = 'end_turn', more = {}) {
  add(id, 'turn.ended', { stop_reason, duration_ms: 8_400, usage: { input: 18_240, output: 1_310, cache_read: 12_000, cost: 0.042 }, ...more }, { turn });
  put(id, { state: stop_reason === 'error' ? 'failed' : 'idle', turn: undefined, last_stop_reason: stop_reason, last_error: more.error, turns: sessions.get(id).turns + 1 });
  const next = sessions.get(id).queue?.shift();
  if (next) {
    put(id, { queued: sessions.get(id).queue.length });
    void play(id, next.turn, next.text);
  }
}

const OPTIONS = [
  { id: 'once', name: 'Allow once', kind: 'allow_once' },
  { id: 'always', name: 'Always allow edits here', kind: 'allow_always' },
  { id: 'no', name: 'Deny', kind: 'reject_once' },
];

export function ask(id, turn, more) {
  const session = sessions.get(id);
  const data = { id: newId(), kind: 'permission', options: OPTIONS, priority: 'normal', ...more };
  add(id, 'request.opened', data, { turn, by: `agent/${id}` });
  const view = { ...data, session: id, agent: session.agent, workspace: session.workspace, project: session.project, turn, status: 'open', created_at: Date.now() - session.ago, created_by: `agent/${id}` };
  requests.set(data.id, view);
  change('request', view);
  put(id, { state: 'waiting', pending: session.pending + 1 });
  return new Promise((resolve) => (view.done = resolve));
}

export function close(request, outcome, answer, by) {
  const view = requests.get(request);
  const closed = { outcome, answer, by, at: Date.now() };
  Object.assign(view, { status: outcome, closed });
  add(view.session, 'request.closed', { id: request, outcome, answer }, { turn: view.turn, by });
  change('request', view);
  const session = sessions.get(view.session);
  put(view.session, { pending: session.pending - 1, state: session.turn ? 'running' : 'idle' });
  view.done?.(answer);
}

const OLD = `import { open } from 'node:fs/promises';\n\nexport async function load(path) {\n  const file = await open(path);\n  return JSON.parse(await file.readFile('utf8'));\n}\n\nexport function names(config) {\n  return Object.keys(config);\n}\n`;
const NEW = OLD.replace("  const file = await open(path);\n  return JSON.parse(await file.readFile('utf8'));", "  const file = await open(path);\n  try {\n    return JSON.parse(await file.readFile('utf8'));\n  } finally {\n    await file.close();\n  }");

/** One turn with everything in it. */
async function play(id, turn, text, pace = 12) {
  start(id, turn, text);
  if (text === 'flood') return flood(id, turn);
  const nap = (ms) => (pace ? wait(ms) : undefined);
  const session = sessions.get(id);
  const stopped = () => session.cancelled === turn;
  update(id, turn, { sessionUpdate: 'agent_thought_chunk', content: { type: 'text', text: 'The file handle is never closed. Let me see who calls `load`.' } });
  update(id, turn, { sessionUpdate: 'plan', entries: [{ content: 'Find the leak', priority: 'high', status: 'in_progress' }, { content: 'Close the file', priority: 'high', status: 'pending' }, { content: 'Run the tests', priority: 'medium', status: 'pending' }] });
  await say(id, turn, 'I will look at how the configuration is **loaded** first.\n', pace);
  update(id, turn, { sessionUpdate: 'tool_call', toolCallId: `r${turn}`, title: `Read ${session.workspace}/src/config.js`, kind: 'read', status: 'in_progress', locations: [{ path: `${session.workspace}/src/config.js` }] });
  await nap(400);
  update(id, turn, { sessionUpdate: 'tool_call_update', toolCallId: `r${turn}`, status: 'completed', content: [{ type: 'content', content: { type: 'text', text: OLD } }] });
  await say(id, turn, 'The handle stays open when parsing fails:\n\n```js\nconst file = await open(path);\nreturn JSON.parse(await file.readFile("utf8"));\n```\n\nTwo things follow:\n\n1. each failed reload leaks a descriptor, and\n2. after `ulimit -n` of them the server **stops** accepting.\n\nSee [the docs](https://nodejs.org/api/fs.html). <script>alert(1)</script>\n', pace);
  if (stopped()) return finish();
  const diff = { type: 'diff', path: `${session.workspace}/src/config.js`, oldText: OLD, newText: NEW };
  update(id, turn, { sessionUpdate: 'tool_call', toolCallId: `e${turn}`, title: 'Edit config.js', kind: 'edit', status: 'pending', content: [diff] });
  const answer = await ask(id, turn, { title: 'Edit src/config.js', tool_call: { toolCallId: `e${turn}`, title: 'Edit config.js', kind: 'edit', content: [diff] } });
  if (stopped() || !answer) return finish();
  if (answer.option === 'no') {
    update(id, turn, { sessionUpdate: 'tool_call_update', toolCallId: `e${turn}`, status: 'failed' });
    await say(id, turn, 'Understood, I leave the file alone.', pace);
    return end(id, turn);
  }
  update(id, turn, { sessionUpdate: 'tool_call_update', toolCallId: `e${turn}`, status: 'completed' });
  add(id, 'file.written', { path: `${session.workspace}/src/config.js`, sha256: '', bytes: NEW.length, created: false }, { turn });
  update(id, turn, { sessionUpdate: 'plan', entries: [{ content: 'Find the leak', status: 'completed' }, { content: 'Close the file', status: 'completed' }, { content: 'Run the tests', status: 'in_progress' }] });
  update(id, turn, { sessionUpdate: 'tool_call', toolCallId: `x${turn}`, title: 'Shell', kind: 'execute', status: 'in_progress', rawInput: { command: 'npm test -- --reporter dot' }, content: [{ type: 'terminal', terminalId: `t${turn}` }] });
  add(id, 'terminal.started', { terminal: `t${turn}`, argv: ['npm', 'test', '--', '--reporter', 'dot'], cwd: session.workspace }, { turn });
  for (const line of ['> config@1.0.0 test\n', '\x1b[32m....................\x1b[0m\n', '20 passed (1.2 s)\n']) {
    add(id, 'terminal.output', { terminal: `t${turn}`, text: line }, { turn });
    await nap(700);
    if (stopped()) return finish();
  }
  add(id, 'terminal.exited', { terminal: `t${turn}`, code: 0 }, { turn });
  update(id, turn, { sessionUpdate: 'tool_call_update', toolCallId: `x${turn}`, status: 'completed' });
  await say(id, turn, 'Done. The file is closed on every path now, and all tests pass.\n\n| check | result |\n|---|---|\n| tests | 20 passed |\n| open files after 1,000 reloads | 24 |\n', pace);
  end(id, turn);

  function finish() {
    end(id, turn, 'cancelled');
  }
}

/** Two hundred events a second for ten seconds. */
async function flood(id, turn) {
  for (let i = 0; i < 200; i++) {
    for (let j = 0; j < 10; j++) {
      const n = i * 10 + j;
      if (n % 10 === 0) update(id, turn, { sessionUpdate: 'tool_call', toolCallId: `f${turn}-${n}`, title: `Step ${n}`, kind: 'read', status: 'completed' });
      else update(id, turn, { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: `word **${n}** and \`code\` ` } });
    }
    await wait(50);
  }
  end(id, turn);
}

async function scenario() {
  const leak = create('gemini', '/home/ana/config-server', 'Fix the descriptor leak', 60_000);
  void play(leak, begin(leak, 'The server runs out of file descriptors after a day. Find out why and fix it.', 'token/phone'), 'The server runs out of file descriptors after a day. Find out why and fix it.', 0);
  const push = create('codex', '/home/ana/site', 'Release 2.4', 400_000);
  const turn = begin(push, 'Release 2.4');
  start(push, turn, 'Release 2.4');
  await say(push, turn, 'Everything is tagged. I only have to push.', 0);
  void ask(push, turn, {
    title: 'Run git push origin main --follow-tags',
    priority: 'high',
    deadline: Date.now() + 540_000,
    tool_call: { toolCallId: 'p', title: 'Shell', kind: 'execute', rawInput: { command: 'git push origin main --follow-tags', cwd: '/home/ana/site' } },
  });
  const docs = create('claude', '/home/ana/docs', 'Translate the handbook', 3_000_000);
  const question = begin(docs, 'Translate the handbook');
  start(docs, question, 'Translate the handbook');
  void ask(docs, question, { kind: 'question', title: 'Which form of address?', question: 'The handbook says **you** throughout. In German, shall I write *du* or *Sie*?', options: [{ id: 'du', name: 'du', kind: 'choice' }, { id: 'sie', name: 'Sie', kind: 'choice' }] });
  const busy = create('opencode', '/home/ana/api', 'Index the logs', 20_000);
  void play(busy, begin(busy, 'Index the logs'), 'Index the logs', 60);
  const broken = create('qwen', '/home/ana/lab', undefined, 7_200_000);
  const t = begin(broken, 'Try the new model');
  start(broken, t, 'Try the new model');
  end(broken, t, 'error', { error: 'The agent could not be started: qwen --acp exited with code 1.\nInvalid API key' });
  const long = create('demo', '/home/ana/long', 'Ten thousand events', 90_000_000);
  const lt = begin(long, 'Count to two thousand');
  start(long, lt, 'Count to two thousand');
  for (let i = 0; i < 2_000; i++) {
    update(long, lt, { sessionUpdate: 'tool_call', toolCallId: `c${i}`, title: `Step ${i}`, kind: 'other', status: 'in_progress' });
    update(long, lt, { sessionUpdate: 'tool_call_update', toolCallId: `c${i}`, status: 'completed', content: [{ type: 'content', content: { type: 'text', text: `result ${i}` } }] });
    for (let j = 0; j < 3; j++) update(long, lt, { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: `Step **${i}** is *done*, part ${j}. ` } });
  }
  end(long, lt);
  for (const [agent, name, ago] of [['claude', 'Rename the crates', 9e7], ['gemini', 'Explain the flaky test', 1.8e8], ['goose', 'Weekly digest', 6e8]]) {
    const id = create(agent, '/home/ana/work', name, ago);
    void play(id, begin(id, name), name, 0);
    while (![...requests.values()].some((one) => one.session === id)) await wait(1);
    for (const request of [...requests.values()].filter((one) => one.session === id)) close(request.id, 'answered', { option: 'once' }, 'owner');
  }
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const CSP = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

async function serve(path, response) {
  const file = /\.\w+$/.test(path) ? path : '/index.html';
  try {
    const body = await readFile(join(dist, file));
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': CSP });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}

function feed(url, request, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const cursors = new Map((url.searchParams.get('sessions') ?? '').split(',').filter(Boolean).map((pair) => [pair.split(':')[0], Number(pair.split(':')[1])]));
  const stream = {
    pos: Number(url.searchParams.get('after') ?? changes.length),
    flush() {
      for (const { pos, event, data } of changes.slice(this.pos)) {
        this.pos = pos;
        response.write(`id: ${pos}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      }
      for (const [session, after] of cursors) {
        const events = (logs.get(session) ?? []).slice(after);
        if (events.length === 0) continue;
        cursors.set(session, after + events.length);
        response.write(`event: events\ndata: ${JSON.stringify({ session, events })}\n\n`);
      }
    },
  };
  streams.add(stream);
  request.on('close', () => streams.delete(stream));
  response.write(': hello\n\n');
  stream.flush();
}

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text === '' ? {} : JSON.parse(text);
}

const problem = (status, code, detail, more) => ({ status, body: { type: 'about:blank', title: code, status, code, detail, ...more } });

const routes = [
  ['POST', /^\/v1\/exchange$/, (_, { code }) => (code === 'used' ? problem(401, 'code_used', 'This link was used already. Run `trunkline open` for a new one.') : { body: { token: 'fake', name: 'browser-1' } })],
  ['GET', /^\/v1\/sessions$/, () => ({ body: { items: [...sessions.values()], at: changes.length } })],
  ['POST', /^\/v1\/sessions$/, (_, { agent = 'external', workspace, title, driver }) => ({ status: 201, body: sessions.get(create(agent, workspace, title, 0, driver)) })],
  ['POST', /^\/v1\/sessions\/([^/]+)\/requests$/, ([id], asked) => (void ask(id, undefined, asked), { status: 201, body: [...requests.values()].at(-1) })],
  ['GET', /^\/v1\/requests\/([^/]+)$/, ([id]) => ({ body: requests.get(id) })],
  ['GET', /^\/v1\/sessions\/([^/]+)$/, ([id]) => (sessions.has(id) ? { body: sessions.get(id) } : problem(404, 'not_found', `There is no session ${id}.`))],
  ['DELETE', /^\/v1\/sessions\/([^/]+)$/, ([id]) => (sessions.delete(id), change('session-removed', { id }), { status: 204 })],
  ['POST', /^\/v1\/sessions\/([^/]+)\/close$/, ([id]) => (add(id, 'session.closed', {}), put(id, { state: 'closed' }), { body: sessions.get(id) })],
  [
    'GET',
    /^\/v1\/sessions\/([^/]+)\/events$/,
    ([id], _, query) => {
      const log = logs.get(id);
      const after = Number(query.get('after'));
      const items = log.slice(after, after + Number(query.get('limit') ?? 100));
      return { body: { items, first: 1, head: log.length, more: after + items.length < log.length } };
    },
  ],
  [
    'POST',
    /^\/v1\/sessions\/([^/]+)\/turns$/,
    ([id], { prompt }) => {
      const session = sessions.get(id);
      const turn = begin(id, prompt, 'token/browser-1');
      if (!session.turn) void play(id, turn, prompt);
      else {
        (session.queue ??= []).push({ turn, text: prompt });
        put(id, { queued: session.queue.length });
      }
      return { status: 201, body: { turn, state: session.turn === turn ? 'running' : 'queued', session: id } };
    },
  ],
  [
    'POST',
    /^\/v1\/sessions\/([^/]+)\/cancel$/,
    ([id]) => {
      const session = sessions.get(id);
      session.cancelled = session.turn;
      add(id, 'turn.stopping', { why: 'cancelled', until: Date.now() + 5_000 }, { turn: session.turn });
      put(id, { state: 'stopping' });
      for (const request of requests.values()) if (request.session === id && request.status === 'open') close(request.id, 'cancelled', undefined, 'trunkline');
      return { status: 202, body: { turn: session.turn } };
    },
  ],
  [
    'DELETE',
    /^\/v1\/sessions\/([^/]+)\/queue\/(\d+)$/,
    ([id, turn]) => {
      const session = sessions.get(id);
      session.queue = session.queue.filter((one) => one.turn !== Number(turn));
      add(id, 'turn.unqueued', {}, { turn: Number(turn) });
      put(id, { queued: session.queue.length });
      return { status: 204 };
    },
  ],
  ['GET', /^\/v1\/requests$/, () => ({ body: { items: [...requests.values()].filter((one) => one.status === 'open'), at: changes.length } })],
  [
    'POST',
    /^\/v1\/requests\/([^/]+)\/answer$/,
    ([id], answer) => {
      const request = requests.get(id);
      if (request.closed) return problem(409, 'request_closed', 'Somebody answered already.', { closed: request.closed });
      close(id, 'answered', answer, 'token/browser-1');
      return { body: request };
    },
  ],
  [
    'POST',
    /^\/v1\/requests\/([^/]+)\/dismiss$/,
    ([id]) => {
      const request = Object.assign(requests.get(id), { status: 'dismissed' });
      add(request.session, 'request.dismissed', { id });
      change('request', request);
      return { body: request };
    },
  ],
  [
    'GET',
    /^\/v1\/catalog$/,
    () => ({
      body: {
        items: [
          { name: 'demo', title: 'Demo agent', driver: 'acp', argv: ['trunkline', 'demo-agent'], found: true },
          { name: 'gemini', title: 'Gemini CLI', driver: 'acp', argv: ['gemini', '--acp'], path: '/usr/bin/gemini', found: true },
          { name: 'codex', title: 'Codex', driver: 'acp', argv: ['codex-acp'], path: '/usr/bin/codex-acp', found: true },
          { name: 'goose', title: 'goose', driver: 'acp', argv: ['goose', 'acp'], found: false, why: '`goose` is not on the PATH' },
          { name: 'kimi', title: 'Kimi', driver: 'acp', argv: ['kimi', 'acp'], found: false, why: '`kimi` is not on the PATH' },
        ],
      },
    }),
  ],
];

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://x');
  if (!url.pathname.startsWith('/v1/')) return serve(url.pathname, response);
  const sent = await body(request).catch(() => ({}));
  const answer = (status, value, headers = {}) => response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json', ...headers }).end(value && JSON.stringify(value, (name, one) => (name === 'done' || name === 'ago' ? undefined : one)));
  if (url.pathname !== '/v1/exchange' && request.headers.authorization !== 'Bearer fake') return answer(401, { code: 'unauthorised', detail: 'Unknown token.' });
  if (url.pathname === '/v1/feed') return feed(url, request, response);
  for (const [method, path, handle] of routes) {
    const match = method === request.method && path.exec(url.pathname);
    if (!match) continue;
    const { status = 200, body: value } = handle(match.slice(1).map(decodeURIComponent), sent, url.searchParams);
    return answer(status, value, { 'trunkline-at': String(changes.length) });
  }
  answer(404, { code: 'not_found', detail: `Nothing is at ${url.pathname}.` });
}).listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}/#code=once`));

await scenario();
