/**
 * Keys of a namespace, live: its stream says what happens from now on, and once it stands the list is read. What comes while
 * the list is under way is taken in after it, so nothing is missed and nothing old wins.
 */

import { type Api, Problem, reason } from './api';
import { nextFrame } from './frame';
import { emptyList, happened, type KeyEvent, type KeyList, MAX_KEYS, type Which } from './kv';
import { members, type Raw } from './raw';
import { type Clock, type Frame, type Link, Reader, systemClock } from './sse';
import { Store } from './store';
import type { KeyEntry } from './things';

export interface KeyView {
  link: Link;
  list: KeyList;
  /** Whether the list was read once. */
  loaded: boolean;
  /** Why it could not be read, or followed. */
  problem: string;
}

export interface KeyWatchOptions {
  clock?: Clock;
  frame?: (run: () => void) => void;
}

/** How many keys a page has. */
const PAGE = 100;
const RETRY_MS = 5_000;

export class KeyWatch {
  readonly view: Store<KeyView>;

  #api: Pick<Api, 'stream' | 'keys' | 'key'>;
  #namespace: string;
  #clock: Clock;
  #frame: (run: () => void) => void;
  #reader: Reader;
  #state: KeyView;
  /** What was told since the list was asked for. */
  #queue: KeyEvent[] | undefined;
  #attempt = 0;
  #cancel: (() => void) | undefined;
  #due = false;

  constructor(api: Pick<Api, 'stream' | 'keys' | 'key'>, namespace: string, which: Which, options: KeyWatchOptions = {}) {
    this.#api = api;
    this.#namespace = namespace;
    this.#clock = options.clock ?? systemClock;
    this.#frame = options.frame ?? nextFrame;
    this.#state = { link: { state: 'connecting' }, list: emptyList(which), loaded: false, problem: '' };
    this.view = new Store(this.#state);
    this.#reader = new Reader({
      connect: async (signal) => (await this.#api.stream(`/v1/kv/${encodeURIComponent(namespace)}/events`, signal)).body as ReadableStream<Uint8Array>,
      onFrame: (frame) => this.#take(frame),
      onLink: (link) => this.#change({ link }),
      isFinal: (error) => {
        if (!(error instanceof Problem && error.status >= 400 && error.status < 500)) return false;
        this.#change({ problem: error.message });
        return true;
      },
      clock: this.#clock,
    });
  }

  start(): void {
    this.#reader.start();
  }

  stop(): void {
    this.#attempt += 1;
    this.#cancel?.();
    this.#reader.stop();
  }

  /** Call when the network may be back. */
  wake(): void {
    this.#reader.wake();
  }

  /** Looks at other keys of the namespace. */
  look(which: Which): void {
    this.#change({ list: emptyList(which), loaded: false });
    if (this.#state.link.state === 'open') void this.#load(PAGE);
  }

  /** Reads one page more. */
  async more(): Promise<void> {
    await this.#load(this.#state.list.items.length + PAGE);
  }

  /** Takes in what an answer told before the stream does. */
  put(entry: KeyEntry): void {
    this.#change({ list: happened(this.#state.list, { type: 'key.put', entry, at: this.#clock.now(), by: '' }) });
  }

  #take(frame: Frame): void {
    if (frame.event === 'caught-up' || frame.event === 'gap') return void this.#load(Math.max(PAGE, this.#state.list.items.length));
    const event = frame.event === 'message' ? keyEvent(frame.data) : undefined;
    if (!event) return;
    if (this.#queue) this.#queue.push(event);
    else this.#change({ list: happened(this.#state.list, event) });
  }

  /** Reads the list anew, of about as many keys. */
  async #load(many: number): Promise<void> {
    const attempt = ++this.#attempt;
    this.#cancel?.();
    const queue: KeyEvent[] = (this.#queue = []);
    const { which } = this.#state.list;
    try {
      const read = await this.#read(which, Math.min(many, MAX_KEYS));
      if (attempt !== this.#attempt) return;
      // How a key went is remembered from the list before, as long as it is not there again.
      const gone = read.items.length === 0 ? this.#state.list.gone : undefined;
      this.#queue = undefined;
      this.#change({ list: queue.reduce(happened, { ...read, gone }), loaded: true, problem: '' });
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#queue = undefined;
      this.#change({ problem: reason(error) });
      this.#cancel = this.#clock.after(RETRY_MS, () => void this.#load(many));
    }
  }

  async #read(which: Which, many: number): Promise<KeyList> {
    if ('key' in which) {
      const entry = await this.#api.key(this.#namespace, which.key).catch((error: unknown) => {
        if (error instanceof Problem && error.status === 404) return undefined;
        throw error;
      });
      return { ...emptyList(which), items: entry ? [entry] : [] };
    }
    const list = emptyList(which);
    do {
      const page = await this.#api.keys(this.#namespace, { prefix: which.prefix || undefined, limit: PAGE, cursor: list.next });
      list.items.push(...page.items);
      list.next = page.next;
    } while (list.next !== undefined && list.items.length < many);
    return list;
  }

  #change(some: Partial<KeyView>): void {
    this.#state = { ...this.#state, ...some };
    if (this.#due) return;
    this.#due = true;
    this.#frame(() => {
      this.#due = false;
      this.view.set(this.#state);
    });
  }
}

/** What a line of the stream tells, as far as it is shown. */
export function keyEvent(line: Raw): KeyEvent | undefined {
  const { type, at, by, data } = JSON.parse(line) as { type: string; at: number; by: string; data: Record<string, unknown> };
  switch (type) {
    case 'key.put': {
      const { key, owner, expires, revision } = data as { key: string; owner?: string; expires?: number; revision: number };
      const value = members(members(line).get('data') ?? '{}').get('value') ?? 'null';
      return { type, at, by, entry: { key, value, revision, ...(owner !== undefined && { owner }), ...(expires !== undefined && { expires_at: expires }) } };
    }
    case 'key.deleted':
    case 'key.expired':
      return { type, at, by, key: data.key as string };
    case 'keys.cleared':
      return { type, at, by };
    case 'keys.transferred':
      return { type, at, by, keys: data.keys as string[], to: data.to as string, revision: data.revision as number };
    default:
      return undefined;
  }
}
