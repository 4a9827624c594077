/** What is followed live: the keys of a namespace, and the tail of a topic, against a daemon in memory. */

import { describe, expect, test } from 'vitest';
import { Api } from './api';
import { KeyWatch } from './keywatch';
import { whileSeen } from './seen';
import { TopicTail } from './tail';
import { fakeClock, settle } from './testing';

/** Streams that a test writes into, and lists that it sets. */
class Daemon {
  calls: string[] = [];
  /** The answer to a list, by the start of its path. */
  lists: Record<string, () => Response | Promise<Response>> = {};
  /** Refuses streams from now on. */
  refusal: (() => Response) | undefined;
  #streams: ReadableStreamDefaultController<Uint8Array>[] = [];

  fetch = async (url: string, init: RequestInit = {}): Promise<Response> => {
    this.calls.push(url);
    if (!url.includes('/events')) {
      const path = Object.keys(this.lists).find((start) => url.startsWith(start));
      return path ? (this.lists[path] as () => Response | Promise<Response>)() : Response.json({ code: 'not_found', detail: 'no' }, { status: 404 });
    }
    if (this.refusal) return this.refusal();
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void this.#streams.push(controller) });
    init.signal?.addEventListener('abort', () => (this.#streams = []));
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };

  tell(event: string, data: unknown, id?: string): void {
    const text = `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
    this.#streams.at(-1)?.enqueue(new TextEncoder().encode(text));
  }

  cut(): void {
    this.#streams.pop()?.close();
  }
}

function setting() {
  const daemon = new Daemon();
  const { clock, pass } = fakeClock();
  const options = { clock, frame: (run: () => void) => run() };
  return { daemon, pass, options, api: new Api('t', { fetch: daemon.fetch }) };
}

const page = (...items: string[]) => () => new Response(`{"items":[${items.join()}]}`);
const entry = (key: string, revision: number, value = '1') => `{"key":"${key}","value":${value},"revision":${revision}}`;
const put = (key: string, revision: number, value = '1') => `{"type":"key.put","seq":1,"at":1,"by":"owner","data":${entry(key, revision, value)}}`;

describe('keys', () => {
  const shown = (watch: KeyWatch) => watch.view.get().list.items.map((one) => `${one.key}@${one.revision} ${one.value}`);

  test('are listed once the stream stands; what comes while the list is under way counts after it', async () => {
    const { daemon, api, options } = setting();
    const watch = new KeyWatch(api, 'a b', { prefix: '' }, options);
    let answer: (response: Response) => void = () => undefined;
    daemon.lists['/v1/kv/a%20b?'] = () => new Promise<Response>((done) => (answer = done));
    watch.start();
    await settle();
    daemon.tell('caught-up', { head: 0 });
    await settle();
    daemon.tell('message', put('x', 2, '{"n":1e400}'));
    daemon.tell('message', '{"type":"key.deleted","seq":2,"at":1,"by":"owner","data":{"key":"y"}}');
    daemon.tell('message', '{"type":"something.new","seq":3,"at":1,"by":"owner","data":{}}');
    await settle();
    answer(page(entry('x', 1), entry('y', 1))());
    await settle();
    expect(shown(watch)).toEqual(['x@2 {"n":1e400}']);
    daemon.tell('message', put('z', 3));
    await settle();
    expect(shown(watch)).toEqual(['x@2 {"n":1e400}', 'z@3 1']);
    watch.stop();
  });

  test('are read anew after a break, since numbers begin anew with the daemon', async () => {
    const { daemon, api, options, pass } = setting();
    const watch = new KeyWatch(api, 'ci', { prefix: '' }, options);
    daemon.lists['/v1/kv/ci?'] = page(entry('x', 1));
    watch.start();
    await settle();
    daemon.tell('caught-up', { head: 0 });
    await settle();
    daemon.lists['/v1/kv/ci?'] = page(entry('w', 5));
    daemon.cut();
    await pass(1_000);
    expect(shown(watch)).toEqual(['x@1 1']);
    daemon.tell('caught-up', { head: 0 });
    await settle();
    expect(shown(watch)).toEqual(['w@5 1']);
    watch.stop();
  });

  test('of which one is looked at: it may be missing, and comes when it is written', async () => {
    const { daemon, api, options } = setting();
    const watch = new KeyWatch(api, 'ci', { key: 'x' }, options);
    watch.start();
    await settle();
    daemon.tell('caught-up', { head: 0 });
    await settle();
    expect([watch.view.get().loaded, watch.view.get().problem, shown(watch)]).toEqual([true, '', []]);
    daemon.tell('message', put('x', 2));
    await settle();
    expect(shown(watch)).toEqual(['x@2 1']);
    daemon.tell('message', '{"type":"keys.cleared","seq":2,"at":9,"by":"token/phone","data":{"count":1}}');
    await settle();
    expect(watch.view.get().list.gone).toEqual({ how: 'deleted', at: 9, by: 'token/phone' });
    watch.stop();
  });

  test('that cannot be listed are asked for again; a namespace that is refused is not', async () => {
    const { daemon, api, options, pass } = setting();
    const watch = new KeyWatch(api, 'ci', { prefix: '' }, options);
    daemon.lists['/v1/kv/ci?'] = () => Response.json({ detail: 'not now' }, { status: 503 });
    watch.start();
    await settle();
    daemon.tell('caught-up', { head: 0 });
    await settle();
    expect(watch.view.get().problem).toBe('not now');
    daemon.lists['/v1/kv/ci?'] = page();
    await pass(5_000);
    expect([watch.view.get().problem, watch.view.get().loaded]).toEqual(['', true]);
    daemon.refusal = () => Response.json({ detail: 'too long a name' }, { status: 400 });
    daemon.cut();
    await pass(60_000);
    expect(watch.view.get().problem).toBe('too long a name');
    expect(daemon.calls.filter((call) => call.includes('events'))).toHaveLength(2);
  });
});

describe('a topic', () => {
  const message = (id: number, data = '1') => `{"id":${id},"topic":"t","seq":${id},"data":${data},"at":1}`;
  const shown = (tail: TopicTail) => tail.view.get().rows.map((row) => (row.kind === 'gap' ? 'gap' : `${row.key} ${row.message.data}`));

  async function following(daemon: Daemon, api: Api, options: object) {
    const tail = new TopicTail(api, 't', options);
    daemon.lists['/v1/topics/t/messages'] = page(message(1), message(2));
    tail.start();
    await settle();
    daemon.tell('caught-up', {}, '7.2');
    daemon.tell('message', message(3, '1.0'), '7.3');
    await settle();
    return tail;
  }

  test('shows what is retained and what comes, and goes on where it was', async () => {
    const { daemon, api, options, pass } = setting();
    const tail = await following(daemon, api, options);
    expect(shown(tail)).toEqual(['7.1 1', '7.2 1', '7.3 1.0']);
    daemon.cut();
    await pass(1_000);
    expect(daemon.calls.at(-1)).toBe('/v1/topics/t/events?after=7.3');
    daemon.tell('gap', {});
    daemon.tell('message', message(1), '8.1');
    daemon.tell('caught-up', {}, '8.1');
    await settle();
    expect(shown(tail)).toEqual(['7.1 1', '7.2 1', '7.3 1.0', 'gap', '8.1 1']);
    expect(daemon.calls.filter((call) => call.includes('messages'))).toHaveLength(1);
    tail.stop();
  });

  test('that is paused stands still and counts; resumed it has all', async () => {
    const { daemon, api, options } = setting();
    const tail = await following(daemon, api, options);
    tail.pause(true);
    daemon.tell('message', message(4), '7.4');
    daemon.tell('message', message(5), '7.5');
    await settle();
    expect([shown(tail).length, tail.view.get().fresh, tail.view.get().paused]).toEqual([3, 2, true]);
    tail.pause(false);
    await settle();
    expect([shown(tail).length, tail.view.get().fresh, tail.view.get().paused]).toEqual([5, 0, false]);
    tail.stop();
  });

  test('that is no topic says so, and is not asked for again', async () => {
    const { daemon, api, options, pass } = setting();
    daemon.refusal = () => Response.json({ detail: 'may have `>` as its last word only' }, { status: 400 });
    const tail = new TopicTail(api, '>.a', options);
    tail.start();
    await pass(60_000);
    expect([tail.view.get().problem, daemon.calls.length]).toEqual(['may have `>` as its last word only', 1]);
  });
});

test('a stream runs only while somebody looks, and wakes when the network may be back', () => {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const window = new EventTarget();
  const done: string[] = [];
  const end = whileSeen({ start: () => done.push('start'), stop: () => done.push('stop'), wake: () => done.push('wake') }, page, window);
  const look = (hidden: boolean) => {
    page.hidden = hidden;
    page.dispatchEvent(new Event('visibilitychange'));
    window.dispatchEvent(new Event('online'));
  };
  look(false);
  look(true);
  look(false);
  end();
  look(true);
  expect(done).toEqual(['start', 'wake', 'stop', 'start', 'wake', 'stop']);
});
