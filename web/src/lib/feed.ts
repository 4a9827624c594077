/**
 * The one live connection of a tab: the lists, the inbox and the session that is open.
 *
 * Browsers allow six connections to a host, so everything comes over one stream. It is opened in three steps, each
 * repeated until it succeeds: load the lists, replay the open session page by page, then follow both from where those
 * ended. What arrives is taken in at once and shown once per frame.
 */

import { type Api, Problem, type SessionFilter } from './api';
import { EventLog } from './eventlog';
import { Transcript } from './fold';
import { nextFrame } from './frame';
import type { Item, Large, TranscriptView } from './items';
import { type Clock, type Frame, type Link, Reader, systemClock } from './sse';
import { isActive, Lists, Store } from './store';
import { firstLine } from './text';
import type { Event, RequestView, Session } from './types';

/** How many of a session's newest events are replayed. */
export const MAX_REPLAY = 50_000;
const PAGE = 5_000;

export interface OpenSession {
  id: string;
  session: Session | undefined;
  transcript: TranscriptView;
  /** Its newest events as they came. */
  events: readonly Event[];
  /** Progress while the past is read; undefined once it is there. */
  replay: { done: number; head: number } | undefined;
  /** Why the session cannot be shown. */
  problem: Problem | undefined;
}

export interface View {
  link: Link;
  /** Whether the lists are there. */
  loaded: boolean;
  sessions: Session[];
  moreSessions: boolean;
  requests: RequestView[];
  open: OpenSession | undefined;
  /** The newest thing to say aloud, and which one it is. */
  notice: { n: number; text: string };
}

interface Opened {
  id: string;
  transcript: Transcript;
  log: EventLog;
  view: TranscriptView | undefined;
  replayed: boolean;
  progress: { done: number; head: number };
  problem: Problem | undefined;
}

/** What the stream tells of an open session. */
interface Told {
  session: string;
  events: Event[];
  /** Events before this one are gone. */
  gap?: number;
}

export interface FeedOptions {
  clock?: Clock;
  /** Calls back at the next frame. */
  frame?: (run: () => void) => void;
}

export class Feed {
  readonly view: Store<View>;

  #api: Api;
  #clock: Clock;
  #frame: (run: () => void) => void;
  #reader: Reader;
  #lists = new Lists();
  #listed: { sessions: Session[]; requests: RequestView[] } | undefined;
  #loaded = false;
  #pos: string | undefined;
  #cursor: string | undefined;
  #link: Link = { state: 'connecting' };
  #opened: Opened | undefined;
  #notice = { n: 0, text: '' };
  #due = false;

  constructor(api: Api, options: FeedOptions = {}) {
    this.#api = api;
    this.#clock = options.clock ?? systemClock;
    this.#frame = options.frame ?? nextFrame;
    this.#reader = new Reader({
      connect: (signal) => this.#connect(signal),
      onFrame: (frame) => this.#take(frame),
      onLink: (link) => {
        this.#link = link;
        this.#show();
      },
      isFinal: (error) => error instanceof Problem && error.status === 401,
      clock: this.#clock,
    });
    this.view = new Store(this.#render());
  }

  start(): void {
    this.#reader.start();
  }

  stop(): void {
    this.#reader.stop();
  }

  /** Call when the page becomes visible or the network comes back. */
  wake(): void {
    this.#reader.wake();
  }

  /** Follows this session from its beginning, or none. */
  open(id: string | undefined): void {
    if (this.#opened?.id === id) return;
    this.#opened = id === undefined ? undefined : newOpened(id);
    this.#reader.restart();
    this.#show();
  }

  async loadMoreSessions(): Promise<void> {
    if (!this.#cursor) return;
    const page = await this.#api.sessions(this.#cursor);
    this.#cursor = page.next;
    for (const session of page.items) this.putSession(session);
  }

  /** Reads what fits a filter, so that also sessions that were not listed yet are found. */
  async findSessions(filter: SessionFilter): Promise<void> {
    const page = await this.#api.sessions(undefined, filter);
    for (const session of page.items) this.putSession(session);
  }

  /** Takes in what an answer of the API told before the feed does. */
  putSession(session: Session): void {
    this.#lists.putSession(session);
    this.#listed = undefined;
    this.#show();
  }

  putRequest(request: RequestView): void {
    this.#lists.putRequest(request);
    this.#listed = undefined;
    this.#show();
  }

  /** The reader has left the inbox: what was settled need not stay. */
  tidy(): void {
    this.#lists.tidy();
    this.#listed = undefined;
    this.#show();
  }

  async #connect(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (this.#pos === undefined) await this.#load(signal);
    const opened = this.#opened;
    if (opened && !opened.replayed && !opened.problem) await this.#replay(opened, signal);
    if (opened?.replayed && !opened.problem) {
      try {
        return await this.#stream(`${opened.id}:${opened.transcript.cursor}`, signal);
      } catch (error) {
        // It was deleted while nobody listened; the lists go on.
        if (!isRefusal(error)) throw error;
        opened.problem = error;
        this.#show();
      }
    }
    return this.#stream(undefined, signal);
  }

  async #stream(sessions: string | undefined, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const query = new URLSearchParams();
    if (this.#pos !== undefined) query.set('after', this.#pos);
    if (sessions !== undefined) {
      query.set('sessions', sessions);
      query.set('client', 'browser');
    }
    const response = await this.#api.stream(`/v1/feed?${query}`, signal);
    return response.body as ReadableStream<Uint8Array>;
  }

  /** The stream starts where the first list was read: seeing a change twice is harmless, missing one is not. */
  async #load(signal: AbortSignal): Promise<void> {
    const sessions = await this.#api.sessions();
    const requests: RequestView[] = [];
    for (let cursor: string | undefined, first = true; first || cursor; first = false) {
      const page = await this.#api.openRequests(cursor);
      requests.push(...page.items);
      cursor = requests.length < 1_000 ? page.next : undefined;
    }
    if (signal.aborted) return;
    this.#lists.reset(sessions.items, requests);
    this.#listed = undefined;
    this.#cursor = sessions.next;
    this.#pos = sessions.at === undefined ? undefined : String(sessions.at);
    this.#loaded = true;
    this.#show();
  }

  async #replay(opened: Opened, signal: AbortSignal): Promise<void> {
    try {
      if (!this.#lists.session(opened.id)) this.putSession(await this.#api.session(opened.id));
      await this.#pages(opened, signal);
      opened.replayed = true;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      opened.problem = error;
    }
    opened.view = undefined;
    this.#show();
  }

  async #pages(opened: Opened, signal: AbortSignal): Promise<void> {
    for (let page; !page || (page.more && page.items.length > 0); ) {
      page = await this.#api.events(opened.id, opened.transcript.cursor, PAGE, signal);
      if (signal.aborted) throw new Error('another session was opened');
      const start = Math.max(page.first - 1, page.head - MAX_REPLAY);
      if (opened.transcript.cursor === 0 && start > 0) {
        opened.transcript = new Transcript(start);
        page = await this.#api.events(opened.id, start, PAGE, signal);
      }
      for (const event of page.items) if (opened.transcript.apply(event)) opened.log.push(event);
      opened.progress = { done: opened.transcript.cursor, head: page.head };
      this.#show();
    }
  }

  #take(frame: Frame): void {
    const data = parse(frame.data);
    switch (frame.event) {
      case 'session':
        this.#takeSession(data as Session);
        break;
      case 'session-removed':
        this.#removeSession((data as { id: string }).id);
        break;
      case 'request':
        this.#takeRequest(data as RequestView);
        break;
      case 'events':
        this.#takeEvents(data as Told);
        break;
      case 'gap':
        // Some changes of the lists can no longer be told: read the lists again.
        this.#pos = undefined;
        this.#reader.restart();
        return;
    }
    if (frame.id !== undefined) this.#pos = frame.id;
    this.#show();
  }

  #takeSession(session: Session): void {
    const before = this.#lists.putSession(session);
    this.#listed = undefined;
    const isNews = this.#lists.session(session.id) === session;
    if (isNews && before && isActive(before) && !isActive(session)) {
      const end = session.state === 'failed' ? 'failed' : session.last_stop_reason === 'cancelled' ? 'was stopped' : 'is done';
      this.#say(`${session.agent} ${end}: ${sessionTitle(session)}`);
    }
  }

  #takeRequest(request: RequestView): void {
    if (this.#lists.putRequest(request)) this.#say(`${request.agent} needs you: ${firstLine(request.title)}`);
    this.#listed = undefined;
  }

  #takeEvents({ session, events, gap }: Told): void {
    const opened = this.#opened;
    if (opened?.id !== session) return;
    if (gap !== undefined) opened.transcript.skipTo(gap - 1, this.#clock.now());
    for (const event of events) if (opened.transcript.apply(event)) opened.log.push(event);
    opened.view = undefined;
  }

  #removeSession(id: string): void {
    this.#lists.removeSession(id);
    this.#listed = undefined;
    if (this.#opened?.id === id) this.#opened.problem = new Problem(410, 'deleted', 'This session was deleted.');
  }

  #say(text: string): void {
    this.#notice = { n: this.#notice.n + 1, text };
  }

  /** Loads what an item of the open session stands for. */
  async whole(item: Large): Promise<void> {
    const opened = this.#opened;
    if (!opened) return;
    const update = await this.#api.blob(opened.id, item.sha256);
    opened.transcript.fill(item.key, update);
    opened.view = undefined;
    this.#show();
  }

  /** The items of the open session, with all that was kept beside its log. */
  async wholeItems(): Promise<Item[]> {
    const opened = this.#opened;
    if (!opened) return [];
    for (const item of opened.transcript.view().items) if (item.kind === 'large') await this.whole(item);
    return opened.transcript.view().items;
  }

  #show(): void {
    if (this.#due) return;
    this.#due = true;
    this.#frame(() => {
      this.#due = false;
      this.view.set(this.#render());
    });
  }

  #render(): View {
    this.#listed ??= { sessions: this.#lists.sessions(), requests: this.#lists.requests() };
    return {
      link: this.#link,
      loaded: this.#loaded,
      ...this.#listed,
      moreSessions: this.#cursor !== undefined,
      open: this.#opened && this.#renderOpen(this.#opened),
      notice: this.#notice,
    };
  }

  #renderOpen(opened: Opened): OpenSession {
    if (opened.replayed) opened.view ??= opened.transcript.view();
    return {
      id: opened.id,
      session: this.#lists.session(opened.id),
      transcript: opened.view ?? NOTHING,
      events: opened.replayed ? opened.log.all() : [],
      replay: opened.replayed ? undefined : opened.progress,
      problem: opened.problem,
    };
  }
}

/** What people call a session: its title, or where it works. */
export function sessionTitle(session: Session): string {
  return session.title || (session.project ?? session.workspace ?? '').split('/').at(-1) || session.id.slice(0, 8);
}

/** The daemon will not give this, however often it is asked. */
function isRefusal(error: unknown): error is Problem {
  return error instanceof Problem && [400, 403, 404, 410, 422].includes(error.status);
}

/** Shown while the past is read: half a past would only jump about. */
const NOTHING = new Transcript().view();

function newOpened(id: string): Opened {
  return {
    id,
    transcript: new Transcript(),
    log: new EventLog(),
    view: undefined,
    replayed: false,
    progress: { done: 0, head: 0 },
    problem: undefined,
  };
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return {};
  }
}
