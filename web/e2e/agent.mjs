/**
 * An agent that plays scenes, for the browser's tests, the bench and the pictures: it speaks the Agent Client Protocol on
 * stdin and stdout. A prompt that starts with the name of a scene plays that; any other is answered with a sentence.
 */

import { createInterface } from 'node:readline';

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const waiting = new Map();
const cancelled = new Set();
let ids = 0;

function call(method, params) {
  const id = `own-${++ids}`;
  send({ id, method, params });
  return new Promise((done) => waiting.set(id, done));
}

const OPTIONS = [
  { optionId: 'once', name: 'Allow once', kind: 'allow_once' },
  { optionId: 'no', name: 'Deny', kind: 'reject_once' },
];

/** What a scene does with. */
class Stage {
  #calls = 0;
  constructor(session, cwd) {
    this.session = session;
    this.cwd = cwd;
  }
  get over() {
    return cancelled.has(this.session);
  }
  update(update) {
    send({ method: 'session/update', params: { sessionId: this.session, update } });
  }
  say(text) {
    this.update({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text } });
  }
  think(text) {
    this.update({ sessionUpdate: 'agent_thought_chunk', content: { type: 'text', text } });
  }
  show(data, mimeType = 'image/png') {
    this.update({ sessionUpdate: 'agent_message_chunk', content: { type: 'image', mimeType, data } });
  }
  plan(...entries) {
    this.update({ sessionUpdate: 'plan', entries: entries.map(([content, status]) => ({ content, status, priority: 'medium' })) });
  }
  tool(kind, title, more = {}) {
    const toolCallId = `call-${++this.#calls}-${Math.random().toString(36).slice(2, 8)}`;
    this.update({ sessionUpdate: 'tool_call', toolCallId, kind, title, status: 'completed', ...more });
    return toolCallId;
  }
  async ask(kind, title, rawInput, more = {}) {
    const toolCall = { toolCallId: `ask-${++this.#calls}-${Math.random().toString(36).slice(2, 8)}`, kind, title, status: 'pending', rawInput, ...more };
    const { result } = await call('session/request_permission', { sessionId: this.session, toolCall, options: OPTIONS });
    const allowed = result?.outcome?.optionId === 'once';
    this.update({ sessionUpdate: 'tool_call_update', toolCallId: toolCall.toolCallId, status: allowed ? 'completed' : 'failed' });
    return allowed;
  }
}

const text = (value) => [{ type: 'content', content: { type: 'text', text: value } }];

const OLD = `export async function retry<T>(run: () => Promise<T>, times = 3): Promise<T> {
  let last: unknown;
  for (let i = 0; i < times; i++) {
    try {
      return await run();
    } catch (error) {
      last = error;
    }
  }
  throw last;
}
`;
const NEW = OLD.replace('times = 3)', 'times = 3, wait = 100)').replace('      last = error;\n', '      last = error;\n      // Each wait is twice the one before.\n      await sleep(wait * 2 ** i);\n');

const SCENES = {
  /** A whole day's work: prose, thoughts, a plan, tools that succeed and fail, changes, and a question in the end. */
  async 'Fix the flaky retry test'(stage) {
    stage.think('The test fails one time in ten. It may be the clock, or that retries come at once.\n\nLet me look at the code first.');
    stage.plan(['Find out why it fails', 'in_progress'], ['Wait longer between tries', 'pending'], ['Run the suite', 'pending']);
    stage.say('I look at `retry.ts` and its test first.\n\n');
    stage.tool('read', 'Read src/net/retry.ts', { locations: [{ path: `${stage.cwd}/src/net/retry.ts` }], rawInput: { path: 'src/net/retry.ts' }, content: text(OLD) });
    stage.tool('search', 'Search for “retry(” in src', { rawInput: { pattern: 'retry\\(' }, content: text('src/net/client.ts:41\nsrc/net/socket.ts:17\nsrc/jobs/queue.ts:88') });
    stage.tool('execute', 'npm test -- retry', { rawInput: { command: 'npm test -- retry --reporter=verbose --retry=0 --sequence.shuffle --pool=threads --poolOptions.threads.maxThreads=1' }, status: 'failed', content: text('FAIL src/net/retry.test.ts > gives up after three tries\nAssertionError: expected 2 to be 3\n    at src/net/retry.test.ts:31:21\n\nTests  1 failed | 11 passed (12)') });
    stage.plan(['Find out why it fails', 'completed'], ['Wait longer between tries', 'in_progress'], ['Run the suite', 'pending']);
    stage.say('The tries come **at once**, so a server that is busy for 50 ms refuses all three:\n\n| try | at | answer |\n|---|--:|---|\n| 1 | 0 ms | `503` |\n| 2 | 1 ms | `503` |\n| 3 | 2 ms | `503` |\n\nA wait that doubles is the usual cure:\n\n```ts\nawait sleep(wait * 2 ** i); // 100, 200, 400 ms\n```\n');
    stage.tool('edit', 'Edit src/net/retry.ts', { locations: [{ path: `${stage.cwd}/src/net/retry.ts` }], content: [{ type: 'diff', path: `${stage.cwd}/src/net/retry.ts`, oldText: OLD, newText: NEW }] });
    stage.plan(['Find out why it fails', 'completed'], ['Wait longer between tries', 'completed'], ['Run the suite', 'in_progress']);
    stage.say('Now the whole suite, and then I push the branch.');
    await stage.ask('execute', 'git push --force origin fix/retry', { command: 'git push --force origin fix/retry && gh pr create --fill --base main --label flaky --reviewer ana', cwd: stage.cwd });
  },
  async 'Write the greeting'(stage) {
    stage.say('I write the file.');
    stage.tool('read', 'Read README.md', { locations: [{ path: `${stage.cwd}/README.md` }] });
    await stage.ask('edit', 'Write hello.txt', {}, { locations: [{ path: `${stage.cwd}/hello.txt` }], content: [{ type: 'diff', path: `${stage.cwd}/hello.txt`, oldText: null, newText: 'Hello, world.\n' }] });
  },
  /** `Run` and a line of shell, which it asks for. */
  async Run(stage, line) {
    stage.say('There is a command to run.');
    const allowed = await stage.ask('execute', line, { command: line });
    stage.say(allowed ? 'It ran.' : 'I leave it.');
  },
  /** A picture, and one inside of a tool's output. */
  async 'Show a picture'(stage) {
    stage.say('Here it is:');
    stage.show(PICTURE);
    stage.tool('other', 'Take a screenshot', { content: [{ type: 'content', content: { type: 'image', mimeType: 'image/png', data: PICTURE } }] });
  },
  async 'مرحبا'(stage) {
    stage.say('مرحبا! هذا نص عربي طويل بما يكفي ليُرى اتجاهه، وفيه `code` وكلمة English في الوسط.\n\n- أولا\n- ثانيا');
  },
  /** As many events as are asked for, at once. */
  async History(stage, n) {
    for (let i = 0; i < Number(n) && !stage.over; i++) {
      if (i % 3 === 0) stage.say(`Step ${i}: I look at file ${i} and say *something* about \`it\`.`);
      else stage.tool(i % 3 === 1 ? 'read' : 'execute', i % 3 === 1 ? `Read src/file${i}.ts` : `make step-${i}`, { rawInput: i % 3 === 1 ? {} : { command: `make step-${i}` }, content: text(`line one of ${i}\nline two`) });
      if (i % 500 === 499) await new Promise((done) => setTimeout(done, 20));
    }
  },
  /** So many updates a second, for so many seconds: each an event of its own. */
  async Stream(stage, line) {
    const [rate, seconds] = line.split(' ').map(Number);
    const every = 10;
    for (let i = 0, start = Date.now(); Date.now() - start < seconds * 1_000 && !stage.over; ) {
      const due = ((Date.now() - start) / 1_000) * rate;
      for (; i < due; i++) {
        if (i % 2 === 0) stage.say(`Word ${i} of **many** words. `);
        else stage.tool('read', `Read file${i}.ts`);
      }
      await new Promise((done) => setTimeout(done, every));
    }
  },
  async Fail() {
    throw new Error('the model is overloaded; try again in a minute');
  },
};

const PICTURE =
  'iVBORw0KGgoAAAANSUhEUgAAAMAAAABwCAIAAADHdOglAAACY0lEQVR42u3cIa4iQRiF0beQyVsCK+iwgUlQLQkKWUEhO6iSHRSygmpJUKVZQYfMkmYN17U4yefrr+To+/Pn77+o3fCK2g9LVHrPaXhEXYY5Kr3nPkxRz+Eald7zGc5R3+EY9QMQQAABBBBAAAEEEEAAAQQQQAABBBBAAAEEEEAAAQQQQAABBBBAAAEE0KYA/Y49aje+otIPH8YWdRofUek9t7FG3ccpKr3nPZaoz3iOSu8BCCCAAAIIIIAAAggggAACCCCAAAIIIIAAAggggAACCCCAAAIIIIAAAmhjgEqPSh/YlyXqUFpUes+lzFG3UqPSe57lGvUuJSq951uOUQABBBBAAAEEEEAAAQQQQAABBBBAAAEEEEAAAQQQQAABBBBAAAEEEEAAbQtQPDBVX1H7ukTFA1P1EXWpc1Q8MFWnqGe9RsUDU/Uc9a3HKIAAAggggAACCCCAAAIIIIAAAggggAACCCCAAAIIIIAAAggggAACCCCAtgXot/WoXXtFxQNTrUWd2iMqHphqNerepqh4YKqVqE87R+UDUwABBBBAAAEEEEAAAQQQQAABBBBAAAEEEEAAAQQQQAABBBBAAAEEEEAAbQpQ71HxwFRfog69RcUDU32OuvUaFQ9M9WvUu5eoeGCqH6MAAggggAACCCCAAAIIIIAAAggggAACCCCAAAIIIIAAAggggAACCCCAANoWoHhgan1F7dclKh6YWh9Rl3WOigem1inquV6j4oGp9Rz1XY9RAAEEEEAAAQQQQAABBBBAAAEEEEAAAQQQQAABBBBAAAEEEEAAAQQQQABtCtB/H3Ga6w2poC0AAAAASUVORK5CYII=';

const sessions = new Map();

async function prompt(id, { sessionId, prompt }) {
  const said = prompt.map((block) => block.text ?? '').join('\n');
  const name = Object.keys(SCENES).find((scene) => said.startsWith(scene));
  const stage = new Stage(sessionId, sessions.get(sessionId) ?? '.');
  cancelled.delete(sessionId);
  try {
    if (name) await SCENES[name](stage, said.slice(name.length).trim());
    else stage.say(`You said: ${said}`);
    send({ id, result: { stopReason: cancelled.has(sessionId) ? 'cancelled' : 'end_turn' } });
  } catch (error) {
    send({ id, error: { code: -32603, message: error.message } });
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params, result, error } = JSON.parse(line);
  if (method === 'initialize') send({ id, result: { protocolVersion: 1, agentCapabilities: {}, authMethods: [], agentInfo: { name: 'stage', version: '1' } } });
  else if (method === 'session/new') {
    const sessionId = `stage-${++ids}`;
    sessions.set(sessionId, params.cwd);
    send({ id, result: { sessionId, modes: { currentModeId: 'ask', availableModes: [{ id: 'ask', name: 'Ask first' }, { id: 'plan', name: 'Plan only' }] } } });
  } else if (method === 'session/set_mode') send({ id, result: {} });
  else if (method === 'session/prompt') void prompt(id, params);
  else if (method === 'session/cancel') cancelled.add(params.sessionId);
  else if (method === undefined) {
    waiting.get(id)?.({ result, error });
    waiting.delete(id);
  } else if (id !== undefined) send({ id, error: { code: -32601, message: 'not known here' } });
});
