/** A topic, or all that fit a pattern, live: what is retained, then what is published. Goes on where it was after a break. */

import { type Api, Problem, reason } from './api';
import { nextFrame } from './frame';
import { withText } from './raw';
import { type Clock, type Frame, type Link, Reader, systemClock } from './sse';
import { Store } from './store';
import type { TopicMessage } from './things';
import { came, NO_TAIL, type Row, type Tail, withHistory } from './topics';

export interface TailView {
  link: Link;
  /** What is shown: while it is paused, what was there then. */
  rows: Row[];
  /** Whether older messages were let go. */
  cut: boolean;
  /** Whether what is retained was read. */
  loaded: boolean;
  paused: boolean;
  /** How many came since it was paused. */
  fresh: number;
  /** Why it could not be read, or followed. */
  problem: string;
}

export interface TopicTailOptions {
  clock?: Clock;
  frame?: (run: () => void) => void;
}

/** How many retained messages are read at the beginning. */
const HISTORY = 100;
const RETRY_MS = 5_000;

export class TopicTail {
  readonly view: Store<TailView>;

  #api: Pick<Api, 'stream' | 'messages'>;
  #topic: string;
  #clock: Clock;
  #frame: (run: () => void) => void;
  #reader: Reader;
  #tail: Tail = NO_TAIL;
  /** What is shown in its place. */
  #held: Tail | undefined;
  #link: Link = { state: 'connecting' };
  /** Where the stream stands: `<life of the daemon>.<number>`. */
  #place: string | undefined;
  #loaded = false;
  #problem = '';
  #gaps = 0;
  #batch: Row[] = [];
  #cancel: (() => void) | undefined;
  #due = false;

  constructor(api: Pick<Api, 'stream' | 'messages'>, topic: string, options: TopicTailOptions = {}) {
    this.#api = api;
    this.#topic = topic;
    this.#clock = options.clock ?? systemClock;
    this.#frame = options.frame ?? nextFrame;
    this.view = new Store(this.#render());
    this.#reader = new Reader({
      connect: async (signal) => {
        const after = this.#place === undefined ? '' : `?after=${encodeURIComponent(this.#place)}`;
        return (await this.#api.stream(`/v1/topics/${encodeURIComponent(topic)}/events${after}`, signal)).body as ReadableStream<Uint8Array>;
      },
      onFrame: (frame) => this.#take(frame),
      onLink: (link) => {
        this.#link = link;
        this.#show();
      },
      isFinal: (error) => {
        if (!(error instanceof Problem && error.status >= 400 && error.status < 500)) return false;
        this.#problem = error.message;
        this.#show();
        return true;
      },
      clock: this.#clock,
    });
  }

  start(): void {
    this.#reader.start();
  }

  stop(): void {
    this.#cancel?.();
    this.#reader.stop();
  }

  /** Call when the network may be back. */
  wake(): void {
    this.#reader.wake();
  }

  /** Holds what is shown; what comes is kept, as far as a tail goes. */
  pause(on: boolean): void {
    this.#takeIn();
    this.#held = on ? this.#tail : undefined;
    this.#show();
  }

  #take(frame: Frame): void {
    if (frame.event === 'message') {
      const message = withText<TopicMessage>(frame.data, 'data');
      this.#batch.push({ kind: 'message', key: frame.id ?? '', message });
    } else if (frame.event === 'gap') this.#batch.push({ kind: 'gap', key: `gap-${++this.#gaps}` });
    if (frame.id !== undefined) this.#place = frame.id;
    if (frame.event === 'caught-up' && !this.#loaded) void this.#load();
    this.#show();
  }

  /** Reads what is retained; it is of the life of the daemon that the stream tells of. */
  async #load(): Promise<void> {
    this.#cancel?.();
    const life = (this.#place ?? '').split('.')[0] ?? '';
    try {
      const { items } = await this.#api.messages(this.#topic, HISTORY);
      if (this.#loaded) return;
      this.#takeIn();
      this.#tail = withHistory(this.#tail, life, items);
      // Whoever paused before there was anything to see wanted to see this.
      if (this.#held) this.#held = { ...withHistory(this.#held, life, items), seen: this.#held.seen };
      this.#loaded = true;
      this.#problem = '';
    } catch (error) {
      this.#problem = reason(error);
      this.#cancel = this.#clock.after(RETRY_MS, () => void this.#load());
    }
    this.#show();
  }

  #takeIn(): void {
    if (this.#batch.length > 0) this.#tail = came(this.#tail, this.#batch.splice(0));
  }

  #render(): TailView {
    const { rows, cut, seen } = this.#held ?? this.#tail;
    return { link: this.#link, rows, cut, loaded: this.#loaded, paused: this.#held !== undefined, fresh: this.#tail.seen - seen, problem: this.#problem };
  }

  #show(): void {
    if (this.#due) return;
    this.#due = true;
    this.#frame(() => {
      this.#due = false;
      this.#takeIn();
      this.view.set(this.#render());
    });
  }
}
