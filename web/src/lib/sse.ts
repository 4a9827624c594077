/** Event streams over fetch: a decoder, and a reader that comes back by itself. */

export interface Frame {
  /** The event's name; `message` if the server gave none. */
  event: string;
  data: string;
  /** The last id seen so far on this stream, this event's own included. */
  id: string | undefined;
}

/** How long an event may be. A longer one is an error: the stream is read again from the last id. */
export const MAX_EVENT_CHARS = 64 << 20;

/**
 * The `text/event-stream` format, pushed in pieces of any size.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class Decoder {
  /** What the server said to wait before coming back. */
  retry: number | undefined;

  #rest = '';
  #started = false;
  #afterCr = false;
  #data: string[] = [];
  #size = 0;
  #event = '';
  #id: string | undefined;

  push(text: string): Frame[] {
    if (!this.#started && text.length > 0) {
      this.#started = true;
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    const frames: Frame[] = [];
    let from = 0;
    if (this.#afterCr && text.length > 0) {
      this.#afterCr = false;
      if (text[0] === '\n') from = 1;
    }
    const end = /[\r\n]/g;
    end.lastIndex = from;
    for (let match = end.exec(text); match; match = end.exec(text)) {
      this.#line(this.#rest + text.slice(from, match.index), frames);
      this.#rest = '';
      from = match.index + 1;
      if (match[0] === '\r') {
        if (from === text.length) this.#afterCr = true;
        else if (text[from] === '\n') from += 1;
      }
      end.lastIndex = from;
    }
    this.#rest += text.slice(from);
    if (this.#rest.length + this.#size > MAX_EVENT_CHARS) throw new Error('an event of the stream is too long');
    return frames;
  }

  #line(line: string, frames: Frame[]): void {
    if (line === '') {
      if (this.#data.length > 0) frames.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
      this.#data = [];
      this.#size = 0;
      this.#event = '';
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'data') {
      this.#data.push(value);
      this.#size += value.length;
    } else if (field === 'event') this.#event = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

/** Time and chance, so that tests own them. */
export interface Clock {
  now(): number;
  /** Returns what cancels it. */
  after(ms: number, run: () => void): () => void;
  /** From 0 up to 1. */
  random(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

export type Link =
  | { state: 'connecting' }
  | { state: 'open' }
  /** `at`: when the next attempt is made. */
  | { state: 'waiting'; at: number; why: string };

interface Attempt {
  abort: AbortController;
  /** When the server last said anything. */
  heard: number;
  over: boolean;
}

export interface ReaderOptions {
  /** Opens the stream at wherever the reader stands by now. Throws when it cannot. */
  connect(signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  onFrame(frame: Frame): void;
  onLink(link: Link): void;
  /** Whether coming back is of no use, for instance because the token is refused. */
  isFinal?(error: unknown): boolean;
  clock?: Clock;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** The server speaks every 15 s; a stream silent for thrice that is dead without knowing. */
const SILENCE = 45_000;
/** After waking up a shorter silence is suspicious already. */
const SILENCE_AFTER_SLEEP = 20_000;

/** Keeps one event stream open: reconnects with growing, jittered waits, and at once when told to wake. */
export class Reader {
  #options: ReaderOptions;
  #clock: Clock;
  #attempt: Attempt | undefined;
  #failures = 0;
  #cancelWait: (() => void) | undefined;
  #cancelWatch: (() => void) | undefined;
  #stopped = true;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  start(): void {
    this.#stopped = false;
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#end();
  }

  /** Drops the connection, if any, and connects again now; for a change of what is to be read. */
  restart(): void {
    if (this.#stopped) return;
    this.#failures = 0;
    this.#connect();
  }

  /** The page came back to life: waits are cut short, and a stream that has been silent is not trusted. */
  wake(): void {
    if (this.#stopped) return;
    const silent = this.#attempt && this.#clock.now() - this.#attempt.heard > SILENCE_AFTER_SLEEP;
    if (this.#cancelWait || silent) this.restart();
  }

  #end(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    if (this.#attempt) {
      this.#attempt.over = true;
      this.#attempt.abort.abort();
    }
    this.#attempt = undefined;
  }

  #connect(): void {
    this.#end();
    const attempt = { abort: new AbortController(), heard: this.#clock.now(), over: false };
    this.#attempt = attempt;
    this.#options.onLink({ state: 'connecting' });
    this.#watch();
    void this.#run(attempt);
  }

  async #run(attempt: Attempt): Promise<void> {
    const decoder = new Decoder();
    let failure: unknown = new Error('the stream ended');
    try {
      const body = await this.#options.connect(attempt.abort.signal);
      if (attempt.over) return;
      attempt.heard = this.#clock.now();
      this.#options.onLink({ state: 'open' });
      await this.#read(body, decoder, attempt);
    } catch (error) {
      failure = error;
    }
    if (attempt.over) return;
    this.#end();
    if (this.#options.isFinal?.(failure)) {
      this.#stopped = true;
      return;
    }
    this.#wait(decoder.retry, failure);
  }

  async #read(body: ReadableStream<Uint8Array>, decoder: Decoder, attempt: Attempt): Promise<void> {
    const reader = body.getReader();
    const text = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || attempt.over) return;
      attempt.heard = this.#clock.now();
      for (const frame of decoder.push(text.decode(value, { stream: true }))) {
        this.#failures = 0;
        this.#options.onFrame(frame);
        if (attempt.over) return;
      }
    }
  }

  #wait(retry: number | undefined, failure: unknown): void {
    const base = Math.min(LONGEST_WAIT, (retry ?? FIRST_WAIT) * 2 ** this.#failures);
    const ms = Math.round(base * (0.75 + this.#clock.random() / 2));
    this.#failures = Math.min(this.#failures + 1, 10);
    const why = failure instanceof Error ? failure.message : String(failure);
    this.#options.onLink({ state: 'waiting', at: this.#clock.now() + ms, why });
    this.#cancelWait = this.#clock.after(ms, () => {
      this.#cancelWait = undefined;
      this.#connect();
    });
  }

  #watch(): void {
    this.#cancelWatch = this.#clock.after(SILENCE, () => {
      const attempt = this.#attempt;
      if (!attempt) return;
      if (this.#clock.now() - attempt.heard < SILENCE) return this.#watch();
      this.#end();
      this.#wait(undefined, new Error('the stream fell silent'));
    });
  }
}
