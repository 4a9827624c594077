import { describe, expect, test, vi } from 'vitest';
import { fields, filled, keyAction, ordered, outcomeText } from './answer';
import { Api, newKey, Once, Problem } from './api';
import { codeOf, linkFor } from './auth';
import { Drafts, MAX_DRAFT_CHARS, MAX_DRAFTS, type Storage } from './drafts';
import { handoffPath, innerPath, keyPath, namespacePath, parent, parseRoute, requestPath, section, sessionPath, topicPath } from './router';
import { headline, outputText, subject } from './subject';
import { commandLine, MAX_OUTPUT, newTerminal, plain, wrote } from './terminal';
import { blocksText, relative, reveal, who } from './text';
import { age, duration, tokens, until } from './time';
import type { Ask, Option } from './types';
import { drawnEnd, earlier, edgeStart, later, MOST } from './window';

function memory(): Storage & { data: Map<string, string> } {
  const data = new Map<string, string>();
  return {
    data,
    getItem: (key) => data.get(key) ?? null,
    setItem: (key, value) => void data.set(key, value),
    removeItem: (key) => void data.delete(key),
  };
}

describe('drafts', () => {
  test('outlive the page, one per name', () => {
    const storage = memory();
    new Drafts(storage).set('session/a', 'half a thou');
    new Drafts(storage).set('request/b', 'yes, but');
    const drafts = new Drafts(storage);
    expect([drafts.get('session/a'), drafts.get('request/b'), drafts.get('session/c')]).toEqual(['half a thou', 'yes, but', '']);
    drafts.set('session/a', '');
    expect(new Drafts(storage).get('session/a')).toBe('');
  });

  test('do not undo what another tab wrote', () => {
    const storage = memory();
    const [one, two] = [new Drafts(storage), new Drafts(storage)];
    one.set('a', '1');
    two.set('b', '2');
    one.set('a', '11');
    expect([two.get('a'), two.get('b')]).toEqual(['11', '2']);
  });

  test('are bounded; the oldest goes first, and a huge one stays in the page', () => {
    const storage = memory();
    const drafts = new Drafts(storage);
    for (let i = 0; i <= MAX_DRAFTS; i++) drafts.set(`d${i}`, 'x');
    expect([drafts.get('d0'), drafts.get('d1')]).toEqual(['', 'x']);
    const huge = 'y'.repeat(MAX_DRAFT_CHARS + 1);
    drafts.set('huge', huge);
    expect(drafts.get('huge')).toBe(huge);
    expect(new Drafts(storage).get('huge')).toBe('');
  });

  test('live in the page when the browser refuses to store, or holds rubbish', () => {
    const refusing = new Drafts({ ...memory(), setItem: () => { throw new Error('quota'); } });
    refusing.set('a', 'kept');
    expect(refusing.get('a')).toBe('kept');
    const storage = memory();
    storage.data.set('trunkline.drafts', '{"no":[');
    const drafts = new Drafts(storage);
    drafts.set('a', 'kept');
    expect(drafts.get('a')).toBe('kept');
    const none = new Drafts(undefined);
    none.set('a', 'kept');
    expect(none.get('a')).toBe('kept');
  });
});

describe('the api', () => {
  const answering = (...answers: (Response | Error)[]) => {
    const calls: [string, RequestInit][] = [];
    const api = new Api('secret', {
      fetch: async (url, init = {}) => {
        calls.push([url, init]);
        const answer = answers.shift() as Response | Error;
        if (answer instanceof Error) throw answer;
        return answer;
      },
    });
    return { api, calls };
  };

  test('sends the token, JSON and the key, and reads its own writes', async () => {
    const { api, calls } = answering(Response.json({ turn: 5 }, { headers: { 'trunkline-at': '17' } }), Response.json({ items: [] }));
    expect(await api.prompt('a/b', 'hi', 'k1')).toEqual({ turn: 5 });
    await api.sessions();
    expect(calls[0]?.[0]).toBe('/v1/sessions/a%2Fb/turns');
    expect(calls[0]?.[1]).toMatchObject({
      method: 'POST',
      headers: { authorization: 'Bearer secret', 'content-type': 'application/json', 'idempotency-key': 'k1' },
      body: '{"prompt":"hi","when_busy":"queue"}',
    });
    expect(calls[1]?.[1].headers).toMatchObject({ 'trunkline-at': '17' });
  });

  test('turns refusals, error pages and silence into problems', async () => {
    const closed = { code: 'request_closed', detail: 'already answered', closed: { by: 'x' } };
    const { api } = answering(
      Response.json(closed, { status: 409, headers: { 'content-type': 'application/problem+json' } }),
      new Response('<html>', { status: 502 }),
      new TypeError('failed'),
      new Response('{"trunc', { status: 200 }),
    );
    const problem = async () => (await api.answer('r', {}, 'k').catch((error: unknown) => error)) as Problem;
    expect(await problem()).toMatchObject({ status: 409, code: 'request_closed', message: 'already answered', body: closed, unsettled: false });
    expect(await problem()).toMatchObject({ status: 502, code: 'http_502' });
    expect(await problem()).toMatchObject({ status: 0, code: 'unreachable', unsettled: true });
    expect(await problem()).toMatchObject({ code: 'unreadable', unsettled: true });
  });

  test('keeps a value as its text, and asks for no name that leads elsewhere', async () => {
    const { api, calls } = answering(new Response('{"key":"a","value":{"n":1e400},"revision":3}'), new Response('{"items":[{"key":"a","value":1.0,"revision":3}]}'), new Response('{"items":['));
    expect(await api.putKey('ns', 'a/b', { value: '{"n":1e400}', if_revision: 2 })).toEqual({ key: 'a', value: '{"n":1e400}', revision: 3 });
    expect([calls[0]?.[0], calls[0]?.[1].body]).toEqual(['/v1/kv/ns/keys/a%2Fb', '{"value":{"n":1e400},"if_revision":2}']);
    expect(await api.keys('ns', { prefix: 'a', limit: 5 })).toEqual({ items: [{ key: 'a', value: '1.0', revision: 3 }] });
    await expect(api.messages('build.>', 5)).rejects.toMatchObject({ code: 'unreadable' });
    for (const name of ['', '.', '..']) await expect(api.key('ns', name)).rejects.toMatchObject({ code: 'no_name' });
    expect(calls).toHaveLength(3);
  });

  test('tells when the token is refused', async () => {
    const onUnauthorised = vi.fn();
    const api = new Api(undefined, { fetch: async () => Response.json({ code: 'unauthorised' }, { status: 401 }), onUnauthorised });
    await expect(api.catalog()).rejects.toBeInstanceOf(Problem);
    expect(onUnauthorised).toHaveBeenCalledOnce();
  });

  test('a key is new each time, but for the same body while its fate is open', () => {
    expect(new Set(Array.from({ length: 50 }, newKey)).size).toBe(50);
    const once = new Once();
    const first = once.key({ a: 1 });
    once.done(new Problem(0, 'unreachable', ''));
    expect(once.key({ a: 1 })).toBe(first);
    const other = once.key({ a: 2 });
    expect(other).not.toBe(first);
    once.done(new Problem(409, 'turn_running', ''));
    expect(once.key({ a: 2 })).not.toBe(other);
  });
});

describe('answers', () => {
  const option = (id: string, kind: Option['kind']): Option => ({ id, name: id, kind });
  const options = [option('never', 'reject_always'), option('no', 'reject_once'), option('yes', 'allow_once'), option('always', 'allow_always')];

  test('keys choose by meaning or by place; others do nothing', () => {
    expect(ordered(options).map((one) => one.id)).toEqual(['yes', 'always', 'no', 'never']);
    const chosen = (key: string) => {
      const action = keyAction(key, options);
      return action?.do === 'choose' ? action.option.id : action?.do;
    };
    expect(['a', 'A', 'd', '4', '5', '0', 'r', 'x', 'Enter'].map(chosen)).toEqual(['yes', 'always', 'no', 'never', undefined, undefined, 'reply', undefined, undefined]);
    expect(keyAction('a', [option('x', 'choice')])).toBeUndefined();
  });

  test('an outcome says who did what', () => {
    const ask = { options } as Ask;
    const by = { by: 'token/phone', at: 1 };
    expect(outcomeText(ask, { outcome: 'answered', answer: { option: 'yes' }, ...by })).toBe('Allowed by phone: yes');
    expect(outcomeText(ask, { outcome: 'answered', answer: { option: 'no' }, ...by })).toBe('Denied by phone: no');
    expect(outcomeText(ask, { outcome: 'answered', answer: { text: 'hm' }, ...by })).toBe('Answered by phone');
    expect(outcomeText(ask, { outcome: 'cancelled', by: 'trunkline', at: 1 })).toBe('No longer asked');
  });

  test('a flat schema becomes fields, and those an object', () => {
    const schema = {
      required: ['name'],
      properties: {
        name: { type: 'string', title: 'Name' },
        age: { type: 'integer', default: 3 },
        ok: { type: 'boolean' },
        size: { enum: ['s', 'm'] },
      },
    };
    const found = fields(schema) ?? [];
    expect(found.map((field) => [field.label, field.type, field.required, field.initial])).toEqual([
      ['Name', 'text', true, ''],
      ['age', 'number', false, '3'],
      ['ok', 'boolean', false, ''],
      ['size', 'choice', false, ''],
    ]);
    expect(filled(found, { name: 'x', ok: 'true' })).toEqual({ name: 'x', age: 3, ok: true });
    for (const deep of [undefined, 7, {}, { properties: { a: { type: 'object' } } }, { properties: { a: null } }]) expect(fields(deep)).toBeUndefined();
  });
});

describe('the subject of a tool call', () => {
  test('is the exact command', () => {
    expect(subject({ kind: 'execute', input: { command: 'git push', cwd: '/w' } })).toMatchObject({ command: 'git push', cwd: '/w', json: undefined });
    expect(subject({ input: { command: ['bash', '-lc', 'ls | wc'] } }).command).toBe('ls | wc');
    expect(subject({ input: { command: ['rm', 'a b'] } }).command).toBe("rm 'a b'");
    expect(subject({ input: { command: 'rm', args: ['-r', "it's"] } }).command).toBe("rm -r 'it'\\''s'");
    expect(subject({ input: { command: 'ls', env: { A: '1' } } }).json).toContain('"A": "1"');
  });

  test('is the change, or else the arguments', () => {
    const diff = { type: 'diff' as const, path: '/w/a', newText: 'x' };
    expect(subject({ kind: 'edit', content: [diff], input: { command: 'create', path: '/w/a' } })).toMatchObject({ command: undefined, diffs: [diff], json: undefined });
    expect(subject({ kind: 'fetch', input: { url: 'http://x' } }).json).toBe('{\n  "url": "http://x"\n}');
    expect(subject({ input: {} }).json).toBeUndefined();
  });

  test('has a headline and an output', () => {
    expect(headline({ kind: 'execute', title: 'Shell', input: { command: 'ls -l\nrm' } }, '/w')).toBe('ls -l');
    expect(headline({ kind: 'read', title: 'Read /w/src/a.ts' }, '/w')).toBe('src/a.ts');
    expect(headline({ kind: 'other', title: 'Read it' }, undefined)).toBe('Read it');
    expect(headline({ kind: 'read', locations: [{ path: '/w/b.ts' }] }, '/w')).toBe('b.ts');
    expect(headline({}, undefined)).toBe('tool');
    expect(outputText([{ type: 'content', content: { type: 'text', text: 'hi' } }], { x: 1 })).toBe('hi');
    expect(outputText([], { output: 'text', exit: 0 })).toBe('text');
    expect(outputText([], { n: 1 })).toBe('{\n  "n": 1\n}');
    expect(outputText([{ type: 'terminal', terminalId: 'x' }], { n: 1 })).toBe('');
  });
});

test('terminal output is bounded and plain', () => {
  const terminal = wrote(wrote(newTerminal(), 'a'.repeat(MAX_OUTPUT)), 'bc');
  expect([terminal.text.length, terminal.text.slice(-3), terminal.cut]).toEqual([MAX_OUTPUT, 'abc', true]);
  expect(plain('\x1b[1;31mred\x1b[0m\r\n10%\r50%\r100%\r\n\x1b]0;title\x07ok')).toBe('red\n100%\nok');
  expect(commandLine(['a', '', '$x'])).toBe("a '' '$x'");
});

test('texts for people', () => {
  expect(['token/phone', 'owner', 'agent/0190', 'trunkline'].map(who)).toEqual(['phone', 'owner', 'the agent', 'trunkline']);
  expect(relative('/w/a', '/w')).toBe('a');
  expect(relative('/wide/a', '/w')).toBe('/wide/a');
  expect(reveal('rm \u202egpj.exe\u0000\tok\n')).toBe('rm \\u{202e}gpj.exe\\x00\tok\n');
  expect(blocksText([{ type: 'text', text: 'a' }, { type: 'image', mimeType: 'image/png' }, { type: 'resource_link', name: 'n', uri: 'file:///n' }, null])).toBe('a\n\n[image, image/png]\n\n[n](file:///n)');
});

test('times for people', () => {
  expect([0, 440, 12_400, 60_000, 185_000, 7_800_000].map(duration)).toEqual(['0.0 s', '0.4 s', '12 s', '1 min', '3 min 5 s', '2 h 10 min']);
  expect([0, 45_000, 720_000, 18_000_000, 300_000_000].map((ms) => age(0, ms))).toEqual(['now', '45 s', '12 min', '5 h', '3 d']);
  expect([0, 1, 4_000, 60_000].map((ms) => until(ms, 0))).toEqual(['now', '1 s', '4 s', '1 min']);
  expect([940, 12_400, 100_500, 999_600, 1_200_000].map(tokens)).toEqual(['940', '12.4k', '101k', '1M', '1.2M']);
});

test('addresses', () => {
  expect(['/', '/index.html', '/s', '/s/', '/pools', '/new', '/r/a', '/s/a%2Fb', '/s/a/', '/s/%', '/x'].map((path) => JSON.stringify(parseRoute(path)))).toEqual([
    '{"page":"inbox"}',
    '{"page":"inbox"}',
    '{"page":"sessions"}',
    '{"page":"sessions"}',
    '{"page":"pools"}',
    '{"page":"new"}',
    '{"page":"request","id":"a"}',
    '{"page":"session","id":"a/b"}',
    '{"page":"session","id":"a"}',
    '{"page":"unknown"}',
    '{"page":"unknown"}',
  ]);
  expect(parseRoute(sessionPath('a/b c'))).toEqual({ page: 'session', id: 'a/b c' });
  expect(parseRoute(requestPath('ü🚀'))).toEqual({ page: 'request', id: 'ü🚀' });
  expect(parseRoute(handoffPath('a b'))).toEqual({ page: 'handoff', id: 'a b' });
  const routes = [{ page: 'inbox' }, { page: 'request', id: '1' }, { page: 'session', id: '1' }, { page: 'handoff', id: '1' }, { page: 'settings' }, { page: 'unknown' }] as const;
  expect(routes.map(section)).toEqual(['inbox', 'inbox', 'sessions', 'bus', 'settings', undefined]);
  expect(routes.map(parent)).toEqual([undefined, '/', '/s', '/bus/handoffs', '/', '/']);
  const bus = [parseRoute('/bus/keys'), parseRoute(namespacePath('a/b')), parseRoute(keyPath('a', 'x/y 🚀')), parseRoute(topicPath('build.>')), parseRoute('/bus/topics/'), parseRoute('/bus/topics/a/b'), parseRoute('/s/a/b')];
  expect(bus).toEqual([{ page: 'keys' }, { page: 'namespace', namespace: 'a/b' }, { page: 'key', namespace: 'a', key: 'x/y 🚀' }, { page: 'topic', topic: 'build.>' }, { page: 'topics' }, { page: 'unknown' }, { page: 'unknown' }]);
  expect(bus.slice(0, 5).map(section)).toEqual(new Array(5).fill('bus'));
  expect(bus.slice(0, 4).map(parent)).toEqual(['/', '/bus/keys', '/bus/keys/a', '/bus/topics']);
  expect([codeOf('#code=ab%20c'), codeOf('#code='), codeOf('')]).toEqual(['ab c', undefined, undefined]);
});

test('a link for another device has an address that it may reach', () => {
  const link = 'http://127.0.0.1:7433/#code=ab';
  expect([linkFor(link, 'http://localhost:7433'), linkFor(link, 'https://box.tailnet.example'), linkFor('http://10.0.0.2:7433/#code=ab', 'http://127.0.0.1:7433')]).toEqual([
    { url: link, far: false },
    { url: 'https://box.tailnet.example/#code=ab', far: true },
    { url: 'http://10.0.0.2:7433/#code=ab', far: true },
  ]);
});

test('the window on a long transcript moves in steps and never leaves it', () => {
  expect([edgeStart(0, 10), edgeStart(5, 10), edgeStart(0, 1_000), edgeStart(0, 1_001), edgeStart(990, 1_000)]).toEqual([0, 5, 920, 920, 990]);
  expect([earlier(0, 880), earlier(0, 50), earlier(30, 50)]).toEqual([800, 0, 30]);
  expect([drawnEnd(0, 10_000), drawnEnd(9_900, 10_000)]).toEqual([MOST, 10_000]);
  // Step by step all of it is drawn, in both directions, and each step shares most with the one before.
  let start = edgeStart(0, 10_000);
  while (start > 0) start = earlier(0, start);
  for (let steps = 0; drawnEnd(start, 10_000) < 10_000; steps++) {
    const next = later(start, 10_000);
    expect(next > start && next < drawnEnd(start, 10_000)).toBe(true);
    start = next;
    expect(steps).toBeLessThan(200);
  }
  expect(later(start, 10_000)).toBe(start);
});

test('a click on a link stays in the page unless it is meant for the browser', () => {
  const link = { origin: 'http://x', pathname: '/s/1', target: '', hasAttribute: () => false, getAttribute: () => '/s/1' };
  const click = (more: object, on: object = {}) =>
    innerPath({ defaultPrevented: false, button: 0, target: { closest: () => ({ ...link, ...on }) }, ...more } as unknown as MouseEvent, 'http://x');
  expect(click({})).toBe('/s/1');
  for (const not of [{ ctrlKey: true }, { metaKey: true }, { button: 1 }, { defaultPrevented: true }]) expect(click(not)).toBeUndefined();
  for (const not of [{ origin: 'http://y' }, { target: '_blank' }, { getAttribute: () => '#x' }]) expect(click({}, not)).toBeUndefined();
});
