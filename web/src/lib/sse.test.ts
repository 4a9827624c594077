import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Decoder, type Frame, type Link, Reader } from './sse';
import { fakeClock, settle } from './testing';

function decode(pieces: string[]): Frame[] {
  const decoder = new Decoder();
  return pieces.flatMap((piece) => decoder.push(piece));
}

describe('the decoder', () => {
  test('knows every rule of the format', () => {
    const text =
      '\ufeff: hello\n\nid: 1\ndata: a\ndata:  b\ndata\n\nevent: x\rdata:c\r\rid: 2\r\nevent: none\r\n\r\ndata: d\n\nretry: 70\nretry: x\nid: n\0n\ndata: e\n\ndata: unfinished';
    const decoder = new Decoder();
    expect(decoder.push(text)).toEqual([
      { event: 'message', data: 'a\n b\n', id: '1' },
      { event: 'x', data: 'c', id: '1' },
      { event: 'message', data: 'd', id: '2' },
      { event: 'message', data: 'e', id: '2' },
    ]);
    expect(decoder.retry).toBe(70);
  });

  test('gives the same however the text is split', () => {
    const line = fc.oneof(
      fc.constantFrom('', '', ':', ': c', 'data', 'data:', 'id: 7', 'id', 'event: e', 'retry: 5', 'x: y'),
      fc.string({ maxLength: 8 }).map((text) => `data: ${text}`),
    );
    const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n'))).map((all) => all.flat().join(''));
    fc.assert(
      fc.property(stream, fc.array(fc.nat(200)), (text, cuts) => {
        const at = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
        const pieces = [0, ...at].map((from, i) => text.slice(from, at[i] ?? text.length));
        expect(pieces.join('')).toBe(text);
        expect(decode(pieces)).toEqual(decode([text]));
        expect(decode([...text])).toEqual(decode([text]));
      }),
    );
  });

  test('reads back what a server writes', () => {
    const frame = fc.record({ event: fc.constantFrom('message', 'session', 'gap'), data: fc.string().map((text) => JSON.stringify(text)), id: fc.nat().map(String) });
    fc.assert(
      fc.property(fc.array(frame), (frames) => {
        const text = frames.map(({ id, event, data }) => `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`).join(': keep-alive\n\n');
        expect(decode([text])).toEqual(frames);
      }),
    );
  });
});

/** A server whose every connection the test holds in its hand. */
function fakeServer() {
  const streams: { send(text: string): void; end(): void; signal: AbortSignal }[] = [];
  let refuse = false;
  const connect = async (signal: AbortSignal) => {
    if (refuse) throw new Error('refused');
    return new ReadableStream<Uint8Array>({
      start(controller) {
        streams.push({ send: (text) => controller.enqueue(new TextEncoder().encode(text)), end: () => controller.close(), signal });
      },
    });
  };
  return { streams, connect, refuse: (yes: boolean) => (refuse = yes) };
}

function reading() {
  const { clock, pass } = fakeClock();
  const server = fakeServer();
  const links: Link[] = [];
  const frames: Frame[] = [];
  const reader = new Reader({ connect: server.connect, onFrame: (frame) => frames.push(frame), onLink: (link) => links.push(link), clock });
  return { reader, server, links, frames, pass };
}

describe('the reader', () => {
  test('comes back with growing waits that a frame resets', async () => {
    const { reader, server, links, pass } = reading();
    server.refuse(true);
    reader.start();
    await settle();
    await pass(500);
    await pass(1_000);
    expect(links.filter((link) => link.state === 'waiting').map((link) => link.at)).toEqual([500, 1_500, 3_500]);
    server.refuse(false);
    await pass(2_000);
    server.streams[0]?.send('data: 1\n\n');
    await settle();
    server.streams[0]?.end();
    await settle();
    expect(links.at(-1)).toMatchObject({ state: 'waiting', at: 4_000 });
    await pass(500);
    expect(links.at(-1)).toEqual({ state: 'open' });
  });

  test('waits as long as the server says, and never more than 15 s', async () => {
    const { reader, server, links, pass } = reading();
    reader.start();
    await settle();
    server.streams[0]?.send('retry: 2000\nevent: bye\ndata: {}\n\n');
    await settle();
    server.streams[0]?.end();
    await settle();
    expect(links.at(-1)).toMatchObject({ state: 'waiting', at: 2_000 });
    server.refuse(true);
    await pass(200_000);
    const last = links.at(-1);
    expect(last?.state === 'waiting' && last.at).toBeLessThanOrEqual(215_000);
  });

  test('comes back at once when woken, and leaves a healthy stream alone', async () => {
    const { reader, server, links, pass } = reading();
    reader.start();
    await settle();
    reader.wake();
    expect(server.streams).toHaveLength(1);
    server.streams[0]?.end();
    await settle();
    expect(links.at(-1)?.state).toBe('waiting');
    reader.wake();
    await settle();
    expect(links.at(-1)?.state).toBe('open');
    await pass(25_000);
    reader.wake();
    expect(server.streams[1]?.signal.aborted).toBe(true);
  });

  test('does not trust a stream that has fallen silent', async () => {
    const { reader, server, pass } = reading();
    reader.start();
    await settle();
    await pass(40_000);
    server.streams[0]?.send(': keep-alive\n\n');
    await settle();
    await pass(40_000);
    expect(server.streams[0]?.signal.aborted).toBe(false);
    await pass(60_000);
    expect(server.streams[0]?.signal.aborted).toBe(true);
    expect(server.streams.length).toBeGreaterThan(1);
  });

  test('hears nothing more from a stream it has left', async () => {
    const { reader, server, frames } = reading();
    reader.start();
    await settle();
    reader.restart();
    await settle();
    server.streams[0]?.send('data: old\n\n');
    server.streams[1]?.send('data: new\n\n');
    await settle();
    expect(frames.map((frame) => frame.data)).toEqual(['new']);
    reader.stop();
    server.streams[1]?.send('data: late\n\n');
    await settle();
    expect(frames).toHaveLength(1);
  });

  test('does not knock again where it is not let in', async () => {
    const { clock, pass } = fakeClock();
    let tries = 0;
    const reader = new Reader({
      connect: async () => {
        tries += 1;
        throw new Error('401');
      },
      onFrame: () => {},
      onLink: () => {},
      isFinal: () => true,
      clock,
    });
    reader.start();
    await settle();
    await pass(60_000);
    expect(tries).toBe(1);
  });
});
