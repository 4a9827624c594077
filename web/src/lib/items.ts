/** What a transcript is made of. Items are replaced, never changed: the same object looks the same. */

import type { Picture } from './picture';
import type { Terminal } from './terminal';
import type { Ask, Event, PlanEntry, StopReason, ToolContent, Usage } from './types';

export interface Placed {
  /** Unique in the transcript. */
  key: string;
  at: number;
  turn: number | undefined;
}

export interface Prompt extends Placed {
  kind: 'prompt';
  text: string;
  pictures: Picture[];
  by: string;
}

export interface PictureItem extends Placed {
  kind: 'picture';
  picture: Picture;
}

export interface Prose extends Placed {
  /** `thought`: what the agent says to itself. */
  kind: 'prose' | 'thought';
  text: string;
  message: string | undefined;
  /** When its last piece came. */
  until: number;
}

export interface Tool extends Placed {
  kind: 'tool';
  id: string;
  title: string;
  tool: string;
  status: string;
  content: ToolContent[];
  locations: { path: string; line?: number | null }[];
  input: unknown;
  output: unknown;
  ended: number | undefined;
  /** Its turn ended before it did. */
  stopped: boolean;
  requests: Ask[];
  /** The terminals its content shows, by id. */
  terminals: Record<string, Terminal>;
}

export interface TerminalItem extends Placed {
  kind: 'terminal';
  terminal: Terminal;
}

export interface Plan extends Placed {
  kind: 'plan';
  entries: PlanEntry[];
}

export interface RequestItem extends Placed {
  kind: 'request';
  request: Ask;
}

export interface Note extends Placed {
  kind: 'note';
  tone: 'info' | 'warn' | 'error';
  text: string;
  detail: string | undefined;
}

export interface Footer extends Placed {
  kind: 'footer';
  reason: StopReason;
  duration: number;
  usage: Usage | undefined;
  error: string | undefined;
}

/** An update that was too large for the log and is kept beside it. */
export interface Large extends Placed {
  kind: 'large';
  sha256: string;
  bytes: number;
  /** What it is, in a word: the kind of update. */
  what: 'prose' | 'thought' | 'tool' | 'plan';
  /** The start of its text, if it is one. */
  start: string;
  /** The event it came with. */
  event: Event;
}

export interface Gap extends Placed {
  kind: 'gap';
  missing: number;
}

export type Item = Prompt | Prose | PictureItem | Tool | TerminalItem | Plan | RequestItem | Note | Footer | Large | Gap;

export interface Queued {
  turn: number;
  text: string;
  by: string;
  at: number;
}

export interface RunningTurn {
  turn: number;
  since: number;
  stopping: boolean;
  /** Until when it waits for a provider's limit; absent while it works. */
  parked?: number | undefined;
}

/** What the page draws. */
export interface TranscriptView {
  items: Item[];
  /** How many older items were let go. */
  dropped: number;
  /** How many events before the first were never loaded. */
  omitted: number;
  queue: Queued[];
  turn: RunningTurn | undefined;
  /** How many events are missing in between. */
  missing: number;
  /** Requests that wait for a person, and the key of the item each stands in. */
  pending: { request: Ask; key: string }[];
  /** How much of the model's context is used, where the agent tells. */
  context: { used: number; size: number } | undefined;
}

/** The requests an item shows. */
export function requestsOf(item: Item): Ask[] {
  if (item.kind === 'request') return [item.request];
  return item.kind === 'tool' ? item.requests : [];
}

/** Whether a tool call is past its work. */
export function isOver(status: string): boolean {
  return status === 'completed' || status === 'failed';
}
