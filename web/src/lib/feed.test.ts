import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Api } from './api';
import { edge } from './edge';
import { Feed, type View } from './feed';
import { fakeClock, settle } from './testing';
import type { Event, RequestView, Session } from './types';

type Change = { pos: number; event: string; data: unknown };

/** The daemon's lists, logs and feed, in memory. */
class Daemon {
  sessions = new Map<string, Session>();
  requests = new Map<string, RequestView>();
  logs = new Map<string, Event[]>();
  changes: Change[] = [];
  /** Changes up to here can no longer be told. */
  forgotten = 0;
  /** Events of each log up to here are gone. */
  trimmed = 0;
  pageLimit = 1_000;
  calls: string[] = [];
  down = false;
  unauthorised = false;
  #streams = new Set<{ controller: ReadableStreamDefaultController<Uint8Array>; pos: number; cursors: Map<string, number> }>();

  fetch = async (url: string, init: RequestInit = {}): Promise<Response> => {
    this.calls.push(`${init.method} ${url}`);
    if (init.signal?.aborted) throw new DOMException('aborted', 'AbortError');
    if (this.down) throw new TypeError('fetch failed');
    if (this.unauthorised) return Response.json({ code: 'unauthorised', detail: 'no' }, { status: 401 });
    const { pathname, searchParams } = new URL(url, 'http://x');
    if (pathname === '/v1/sessions') {
      const found = [...this.sessions.values()].filter((one) => !searchParams.get('agent') || one.agent === searchParams.get('agent'));
      return Response.json({ items: found.slice(0, Number(searchParams.get('limit'))), at: this.changes.length });
    }
    const [, blob] = /\/blobs\/(.+)$/.exec(pathname) ?? [];
    if (blob) return Response.json({ content: { type: 'text', text: `whole ${blob}` } });
    if (pathname === '/v1/requests') {
      return Response.json({ items: [...this.requests.values()].filter((one) => one.status === 'open'), at: this.changes.length });
    }
    if (pathname === '/v1/feed') {
      const gone = [...(searchParams.get('sessions') ?? '').matchAll(/([^:,]+):/g)].find(([, id = '']) => !this.logs.has(id));
      if (gone) return Response.json({ code: 'deleted', detail: 'it was deleted' }, { status: 410 });
      return this.#feed(searchParams, init.signal as AbortSignal);
    }
    const [, id = '', rest] = /^\/v1\/sessions\/([^/]+)(\/events)?$/.exec(pathname) ?? [];
    const log = this.logs.get(id);
    if (!log) return Response.json({ code: 'not_found', detail: `no session ${id}` }, { status: 404 });
    return rest ? this.#page(log, Number(searchParams.get('after'))) : Response.json(this.sessions.get(id));
  };

  session(id: string, more: Partial<Session> = {}): void {
    const made = { id, agent: 'demo', driver: 'acp', state: 'idle', created_at: 1, created_by: 'owner', updated_at: 1, queued: 0, pending: 0, turns: 0 } as const;
    const session: Session = { ...made, ...this.sessions.get(id), ...more };
    this.sessions.set(id, session);
    if (!this.logs.has(id)) this.logs.set(id, []);
    this.#change('session', session);
  }

  remove(id: string): void {
    this.sessions.delete(id);
    this.logs.delete(id);
    this.#change('session-removed', { id });
  }

  request(id: string, more: Partial<RequestView> = {}): void {
    const made = { id, session: 's', agent: 'demo', status: 'open', kind: 'question', title: `Q ${id}`, priority: 'normal', created_at: 1, created_by: 'x' } as const;
    const request: RequestView = { ...made, ...this.requests.get(id), ...more };
    this.requests.set(id, request);
    this.#change('request', request);
  }

  say(id: string, n = 1): void {
    const log = this.logs.get(id) as Event[];
    for (let i = 0; i < n; i++) {
      const seq = log.length + 1;
      const update = { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: `${seq} ` } };
      log.push({ type: 'turn.update', seq, at: seq, by: 'agent/x', turn: 1, data: { v: 'acp/1', update } });
    }
    this.#flush();
  }

  cut(): void {
    for (const stream of this.#streams) stream.controller.close();
    this.#streams.clear();
  }

  get connections(): number {
    return this.#streams.size;
  }

  #change(event: string, data: unknown): void {
    this.changes.push({ pos: this.changes.length + 1, event, data });
    this.#flush();
  }

  #page(log: Event[], after: number): Response {
    const items = log.filter((event) => event.seq > Math.max(after, this.trimmed)).slice(0, this.pageLimit);
    const head = log.length;
    return Response.json({ items, first: this.trimmed + 1, head, more: (items.at(-1)?.seq ?? head) < head });
  }

  #feed(query: URLSearchParams, signal: AbortSignal): Response {
    const cursors = new Map<string, number>();
    for (const pair of (query.get('sessions') ?? '').split(',').filter(Boolean)) {
      const [id = '', after] = pair.split(':');
      cursors.set(id, Number(after));
    }
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const stream = { controller, pos: Number(query.get('after')), cursors };
        this.#streams.add(stream);
        signal.addEventListener('abort', () => this.#streams.delete(stream));
        if (stream.pos < this.forgotten) this.#send(stream, 'gap', { first: this.forgotten + 1 });
        this.#flush();
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  }

  #flush(): void {
    for (const stream of this.#streams) {
      for (const change of this.changes.slice(Math.max(stream.pos, this.forgotten))) {
        stream.pos = change.pos;
        this.#send(stream, change.event, change.data);
      }
      for (const [session, after] of stream.cursors) {
        if (after < this.trimmed) this.#send(stream, 'events', { session, events: [], gap: this.trimmed + 1 });
        const events = (this.logs.get(session) ?? []).filter((event) => event.seq > Math.max(after, this.trimmed));
        if (events.length === 0) continue;
        stream.cursors.set(session, events.at(-1)?.seq ?? after);
        this.#send(stream, 'events', { session, events });
      }
    }
  }

  #send(stream: { controller: ReadableStreamDefaultController<Uint8Array>; pos: number }, event: string, data: unknown): void {
    stream.controller.enqueue(new TextEncoder().encode(`id: ${stream.pos}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
  }
}

function page(daemon = new Daemon()) {
  const { clock, pass } = fakeClock();
  const frames: (() => void)[] = [];
  const api = new Api('t', { fetch: daemon.fetch });
  const feed = new Feed(api, { clock, frame: (run) => frames.push(run) });
  let drawn = 0;
  feed.view.subscribe(() => drawn++);
  /** Lets everything happen, then draws. */
  const view = async (): Promise<View> => {
    for (let i = 0; i < 20; i++) await settle();
    for (const run of frames.splice(0)) run();
    return feed.view.get();
  };
  const text = async () => {
    const open = (await view()).open;
    return open?.transcript.items.map((item) => (item.kind === 'prose' ? item.text : `<${item.kind}>`)).join('');
  };
  return { daemon, feed, view, text, pass, drawn: () => drawn };
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `${from + i} `).join('');

test('lists are loaded, then kept up by the stream', async () => {
  const { daemon, feed, view } = page();
  daemon.session('a');
  daemon.request('q');
  feed.start();
  let now = await view();
  expect([now.loaded, now.link.state]).toEqual([true, 'open']);
  expect([now.sessions.map((one) => one.id), now.requests.map((one) => one.id)]).toEqual([['a'], ['q']]);
  expect(now.notice.text).toBe('');
  daemon.session('b', { state: 'running' });
  daemon.request('r', { priority: 'urgent' });
  now = await view();
  expect([now.sessions.map((one) => one.id), now.requests.map((one) => one.id)]).toEqual([['b', 'a'], ['r', 'q']]);
  expect(now.notice.text).toBe('demo needs you: Q r');
  daemon.session('b', { state: 'idle', title: 'B', last_stop_reason: 'end_turn' });
  daemon.remove('a');
  now = await view();
  expect(now.sessions.map((one) => one.id)).toEqual(['b']);
  expect(now.notice.text).toBe('demo is done: B');
});

test('sessions at work come first and stand still; the rest goes by when it was moved', async () => {
  const { daemon, feed, view } = page();
  daemon.session('old', { created_at: 1, updated_at: 90, state: 'running' });
  daemon.session('new', { created_at: 2, updated_at: 80, state: 'waiting' });
  daemon.session('idle', { created_at: 3, updated_at: 99 });
  daemon.session('failed', { created_at: 4, updated_at: 95, state: 'failed' });
  feed.start();
  expect((await view()).sessions.map((one) => one.id)).toEqual(['new', 'old', 'idle', 'failed']);
});

test('a change between reading the lists and opening the stream is not missed', async () => {
  const { daemon, feed, view } = page();
  daemon.session('a');
  const fetch = daemon.fetch;
  daemon.fetch = fetch;
  const api = new Api('t', {
    fetch: async (url, init) => {
      if (url.startsWith('/v1/feed')) daemon.session('late');
      return fetch(url, init);
    },
  });
  const own = new Feed(api, { clock: fakeClock().clock, frame: (run) => run() });
  own.start();
  await view();
  expect(own.view.get().sessions.map((one) => one.id).sort()).toEqual(['a', 'late']);
  feed.stop();
});

test('a settled request stays until the reader looks away, and late news does not reopen it', async () => {
  const { daemon, feed, view } = page();
  daemon.request('q');
  feed.start();
  await view();
  const open = daemon.requests.get('q') as RequestView;
  daemon.request('q', { status: 'answered', closed: { outcome: 'answered', by: 'token/phone', at: 2 } });
  await view();
  feed.putRequest(open);
  const now = await view();
  expect(now.requests[0]).toMatchObject({ status: 'answered', closed: { by: 'token/phone' } });
  feed.tidy();
  expect((await view()).requests).toEqual([]);
});

describe('an open session', () => {
  test('is replayed page by page, then followed, over one connection', async () => {
    const { daemon, feed, text, view } = page();
    daemon.pageLimit = 10;
    daemon.session('s');
    daemon.say('s', 35);
    feed.open('s');
    feed.start();
    expect(await text()).toBe(numbers(1, 35));
    daemon.say('s', 5);
    expect(await text()).toBe(numbers(1, 40));
    expect(daemon.connections).toBe(1);
    const now = await view();
    expect(edge(now.link, now.open, 0)).toEqual({ state: 'live', text: 'live' });
  });

  test('may be another one at any moment', async () => {
    const { daemon, feed, text, view } = page();
    for (const id of ['s', 't']) daemon.session(id);
    daemon.say('s', 3);
    daemon.say('t', 2);
    feed.start();
    feed.open('s');
    feed.open('t');
    expect(await text()).toBe(numbers(1, 2));
    feed.open('s');
    expect(await text()).toBe(numbers(1, 3));
    feed.open(undefined);
    expect((await view()).open).toBeUndefined();
    expect(daemon.connections).toBe(1);
  });

  test('that does not exist is a problem of its own; the lists go on', async () => {
    const { daemon, feed, view } = page();
    feed.open('nowhere');
    feed.start();
    expect((await view()).open?.problem?.status).toBe(404);
    daemon.session('a');
    expect((await view()).sessions).toHaveLength(1);
  });

  test('that is deleted says so', async () => {
    const { daemon, feed, view } = page();
    daemon.session('s');
    feed.open('s');
    feed.start();
    await view();
    daemon.remove('s');
    expect((await view()).open?.problem?.code).toBe('deleted');
  });

  test('that was deleted while the network was away does not take the lists with it', async () => {
    const { daemon, feed, view, pass } = page();
    daemon.session('s');
    feed.open('s');
    feed.start();
    await view();
    daemon.down = true;
    daemon.cut();
    await settle();
    daemon.remove('s');
    daemon.session('t');
    daemon.down = false;
    await pass(20_000);
    const now = await view();
    expect([now.open?.problem?.code, now.link.state, now.sessions.map((one) => one.id)]).toEqual(['deleted', 'open', ['t']]);
  });

  test('whose beginning is gone starts with what is left; a hole in between is a gap', async () => {
    const { daemon, feed, text, view, pass } = page();
    daemon.session('s');
    daemon.say('s', 10);
    daemon.trimmed = 4;
    feed.open('s');
    feed.start();
    expect(await text()).toBe(numbers(5, 10));
    expect((await view()).open?.transcript).toMatchObject({ omitted: 4, missing: 0 });
    daemon.down = true;
    daemon.cut();
    await settle();
    daemon.say('s', 10);
    daemon.trimmed = 15;
    daemon.down = false;
    await pass(20_000);
    expect(await text()).toBe(`${numbers(5, 10)}<gap>${numbers(16, 20)}`);
    const now = await view();
    expect(edge(now.link, now.open, 0)).toEqual({ state: 'broken', text: 'gap of 5 events' });
  });
});

test('when changes of the lists were missed, the lists are read again', async () => {
  const { daemon, feed, view, pass } = page();
  daemon.session('a');
  feed.start();
  await view();
  daemon.down = true;
  daemon.cut();
  await settle();
  daemon.remove('a');
  daemon.session('b');
  daemon.forgotten = daemon.changes.length;
  daemon.down = false;
  await pass(20_000);
  expect((await view()).sessions.map((one) => one.id)).toEqual(['b']);
});

test('the edge counts down to the next attempt', async () => {
  const { daemon, feed, view, pass } = page();
  daemon.down = true;
  feed.start();
  await view();
  await pass(3_500);
  const { link } = await view();
  expect(edge(link, undefined, 3_500)).toEqual({ state: 'broken', text: 'reconnecting in 4 s' });
  daemon.down = false;
  feed.wake();
  expect((await view()).link.state).toBe('open');
});

test('a new connection starts where the last one ended, and tells no old news', async () => {
  const { daemon, feed, view, pass } = page();
  daemon.session('a', { state: 'running', updated_at: 1 });
  feed.start();
  await view();
  daemon.session('a', { state: 'idle', updated_at: 2 });
  daemon.session('b', { updated_at: 3 });
  const before = (await view()).notice;
  expect(before.n).toBe(1);
  daemon.cut();
  await pass(1_000);
  expect((await view()).notice).toEqual(before);
  const feeds = daemon.calls.filter((call) => call.includes('/v1/feed'));
  expect(feeds).toEqual(['GET /v1/feed?after=1', 'GET /v1/feed?after=3']);
});

test('an answer of the API that is older than the stream changes nothing', async () => {
  const { daemon, feed, view } = page();
  daemon.session('a', { updated_at: 1 });
  feed.start();
  await view();
  const old = daemon.sessions.get('a') as Session;
  daemon.session('a', { title: 'new', updated_at: 2 });
  await view();
  feed.putSession(old);
  expect((await view()).sessions[0]?.title).toBe('new');
});

test('a refused token ends it', async () => {
  const { daemon, feed, view, pass } = page();
  daemon.unauthorised = true;
  feed.start();
  await view();
  const calls = daemon.calls.length;
  await pass(60_000);
  expect(daemon.calls).toHaveLength(calls);
});

test('however much comes, it is drawn once per frame', async () => {
  const { daemon, feed, view, drawn } = page();
  daemon.session('s');
  feed.open('s');
  feed.start();
  await view();
  const before = drawn();
  for (let i = 0; i < 200; i++) daemon.say('s');
  await view();
  expect(drawn()).toBe(before + 1);
});

test('whatever breaks, nothing is lost and nothing comes twice', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('say' as const), session: fc.constantFrom('s', 't'), n: fc.integer({ min: 1, max: 7 }) }),
    fc.record({ do: fc.constant('open' as const), session: fc.constantFrom('s', 't', undefined) }),
    fc.record({ do: fc.constantFrom('cut' as const, 'down' as const, 'up' as const, 'wake' as const, 'settle' as const, 'wait' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { daemon, feed, text, pass } = page();
      daemon.pageLimit = 4;
      for (const id of ['s', 't']) daemon.session(id);
      feed.start();
      for (const one of steps) {
        if (one.do === 'say') daemon.say(one.session, one.n);
        else if (one.do === 'open') feed.open(one.session);
        else if (one.do === 'cut') daemon.cut();
        else if (one.do === 'down' || one.do === 'up') daemon.down = one.do === 'down';
        else if (one.do === 'wake') feed.wake();
        else if (one.do === 'settle') await settle();
        else await pass(1_000);
      }
      daemon.down = false;
      feed.open('s');
      await pass(40_000);
      expect(await text()).toBe(numbers(1, daemon.logs.get('s')?.length ?? 0));
      expect(daemon.connections).toBe(1);
      feed.stop();
    }),
    { numRuns: 60 },
  );
}, 60_000);

test('the raw events of the open session come along with its transcript, and none twice', async () => {
  const { daemon, feed, view, pass } = page();
  daemon.session('s');
  daemon.say('s', 3);
  feed.start();
  feed.open('s');
  expect((await view()).open?.events.map((event) => event.seq)).toEqual([1, 2, 3]);
  daemon.cut();
  daemon.say('s', 2);
  await pass(2_000);
  const before = (await view()).open?.events;
  expect(before?.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
  expect((await view()).open?.events).toBe(before);
});

test('an export has whole what was kept beside the log', async () => {
  const { daemon, feed, view } = page();
  daemon.session('s');
  const update = { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: 'the start of' } };
  daemon.logs.get('s')?.push({ type: 'turn.update', seq: 1, at: 1, by: 'agent/x', turn: 1, data: { v: 'acp/1', update, blob: { sha256: 'abc', bytes: 9 } } });
  feed.start();
  feed.open('s');
  await view();
  expect((await feed.wholeItems()).map((item) => (item.kind === 'prose' ? item.text : item.kind))).toEqual(['whole abc']);
});

test('sessions that a filter finds join those that were listed', async () => {
  const { daemon, feed, view } = page();
  for (let i = 0; i < 60; i++) daemon.session(`s${i}`, { agent: i === 59 ? 'rare' : 'demo' });
  feed.start();
  expect((await view()).sessions.some((one) => one.agent === 'rare')).toBe(false);
  await feed.findSessions({ agent: 'rare' });
  expect((await view()).sessions.filter((one) => one.agent === 'rare').map((one) => one.id)).toEqual(['s59']);
});
