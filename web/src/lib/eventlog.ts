/** The newest events of a session as they came, for who wants to see exactly that. */

import type { Event } from './types';

/** How many are kept. */
export const MAX_EVENTS = 2_000;

export class EventLog {
  #events: Event[] = [];
  #shown: readonly Event[] | undefined;

  push(event: Event): void {
    this.#events.push(event);
    // Shedding in steps costs less than shedding for each.
    if (this.#events.length >= MAX_EVENTS * 2) this.#events.splice(0, this.#events.length - MAX_EVENTS);
    this.#shown = undefined;
  }

  /** The same array as long as nothing came. */
  all(): readonly Event[] {
    return (this.#shown ??= this.#events.slice(-MAX_EVENTS));
  }
}

/** What an event is about, in one line. */
export function gist(event: Event): string {
  const data = asObject(event.data);
  const update = asObject(data.update);
  const words = [
    update.sessionUpdate,
    update.toolCallId,
    data.kind,
    update.status ?? data.outcome ?? data.stop_reason ?? data.state,
    update.title ?? data.title ?? data.path ?? data.message ?? data.name ?? asObject(update.content).text ?? data.text,
  ];
  return words.filter((word) => typeof word === 'string' && word !== '').join(' ').replace(/\s+/g, ' ').slice(0, 200);
}

/** Those whose type or text has all words of a filter; `-word` shuts out. */
export function filterEvents(events: readonly Event[], filter: string): readonly Event[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return events;
  return events.filter((event) => {
    const text = `${event.seq} ${JSON.stringify(event)}`.toLowerCase();
    return words.every((word) => (word.length > 1 && word.startsWith('-') ? !text.includes(word.slice(1)) : text.includes(word)));
  });
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
