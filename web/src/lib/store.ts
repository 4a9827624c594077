/** What the page shows of the daemon: an observable value, and the lists of sessions and requests. */

import type { Priority, RequestView, Session } from './types';

/** A value that tells when it changes. Components read it by Svelte's store contract. */
export class Store<T> {
  #value: T;
  #readers = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get(): T {
    return this.#value;
  }

  set(value: T): void {
    this.#value = value;
    for (const reader of [...this.#readers]) reader(value);
  }

  /** Calls `reader` now and at each change; returns what ends that. */
  subscribe(reader: (value: T) => void): () => void {
    this.#readers.add(reader);
    reader(this.#value);
    return () => this.#readers.delete(reader);
  }
}

/** How many settled requests stay in view until the reader looks away. */
const MAX_SETTLED = 50;

/** Sessions, and the requests that are open or were answered while somebody looked. */
export class Lists {
  #sessions = new Map<string, Session>();
  #requests = new Map<string, RequestView>();

  /** Takes fresh lists in place of all there was. */
  reset(sessions: Session[], requests: RequestView[]): void {
    this.#sessions = new Map(sessions.map((session) => [session.id, session]));
    this.#requests = new Map(requests.map((request) => [request.id, request]));
  }

  session(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Takes in a session and returns what it was before. */
  putSession(session: Session): Session | undefined {
    const before = this.#sessions.get(session.id);
    if (before && before.updated_at > session.updated_at) return before;
    this.#sessions.set(session.id, session);
    return before;
  }

  removeSession(id: string): void {
    this.#sessions.delete(id);
    for (const request of this.#requests.values()) {
      if (request.session === id) this.#requests.delete(request.id);
    }
  }

  /** Takes in a request and says whether it asks somebody anew. An outcome is final: late news of it being open is old. */
  putRequest(request: RequestView): boolean {
    const before = this.#requests.get(request.id);
    if (before && isSettled(before) && !isSettled(request)) return false;
    if (!before && request.status !== 'open') return false;
    this.#requests.set(request.id, request);
    this.#bound();
    return request.status === 'open' && before?.status !== 'open';
  }

  /** Lets go of requests that are no longer open. */
  tidy(): void {
    for (const request of this.#requests.values()) {
      if (request.status !== 'open') this.#requests.delete(request.id);
    }
  }

  /** At work first, the rest by when something last moved them. */
  sessions(): Session[] {
    return [...this.#sessions.values()].sort(
      (a, b) =>
        Number(isActive(b)) - Number(isActive(a)) ||
        (isActive(a) ? b.created_at - a.created_at : b.updated_at - a.updated_at) ||
        (a.id < b.id ? 1 : -1),
    );
  }

  /** By urgency, then by age. */
  requests(): RequestView[] {
    return [...this.#requests.values()].sort(
      (a, b) => URGENCY[b.priority] - URGENCY[a.priority] || a.created_at - b.created_at || (a.id < b.id ? -1 : 1),
    );
  }

  #bound(): void {
    const settled = [...this.#requests.values()].filter((request) => request.status !== 'open');
    for (const request of settled.slice(0, -MAX_SETTLED)) this.#requests.delete(request.id);
  }
}

/** Whether a turn runs or somebody is asked. */
export function isActive(session: Session): boolean {
  return session.state === 'running' || session.state === 'waiting' || session.state === 'stopping';
}

const URGENCY: Record<Priority, number> = { low: 0, normal: 1, high: 2, urgent: 3 };

function isSettled(request: RequestView): boolean {
  return request.status !== 'open' && request.status !== 'dismissed';
}
