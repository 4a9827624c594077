/** Topics: their list with the newest message of each, and the tail of one as its stream tells it. */

import type { Api } from './api';
import { pretty } from './raw';
import type { Topic, TopicMessage } from './things';

/** How many messages a tail has; the oldest go first. */
export const MAX_TAIL = 500;
/** How many characters they have together, the newest one in any case. */
export const MAX_TAIL_CHARS = 4 << 20;

export type Row =
  | { kind: 'message'; key: string; message: TopicMessage }
  /** Here messages are missing that are no longer retained. */
  | { kind: 'gap'; key: string };

export interface Tail {
  /** Oldest first. */
  rows: Row[];
  chars: number;
  /** How many messages ever came in. */
  seen: number;
  /** Whether older ones were let go. */
  cut: boolean;
}

export const NO_TAIL: Tail = { rows: [], chars: 0, seen: 0, cut: false };

/** Takes in what came, in its order. */
export function came(tail: Tail, rows: Row[]): Tail {
  if (rows.length === 0) return tail;
  return bounded({ ...tail, rows: [...tail.rows, ...rows], chars: tail.chars + weight(rows), seen: tail.seen + rows.filter((row) => row.kind === 'message').length });
}

/** Puts what is retained of before in front of what came meanwhile. */
export function withHistory(tail: Tail, life: string, history: TopicMessage[]): Tail {
  const known = new Set(tail.rows.map((row) => row.key));
  const rows = history.map((message): Row => ({ kind: 'message', key: `${life}.${message.id}`, message })).filter((row) => !known.has(row.key));
  const all = [...rows, ...tail.rows];
  return bounded({ ...tail, rows: all, chars: weight(all) });
}

function bounded(tail: Tail): Tail {
  let { chars } = tail;
  let from = 0;
  while (tail.rows.length - from > 1 && (tail.rows.length - from > MAX_TAIL || chars > MAX_TAIL_CHARS)) {
    chars -= weight([tail.rows[from] as Row]);
    from += 1;
  }
  return from === 0 ? tail : { ...tail, rows: tail.rows.slice(from), chars, cut: true };
}

function weight(rows: Row[]): number {
  return rows.reduce((sum, row) => sum + (row.kind === 'message' ? row.message.data.length : 0), 0);
}

/** The rows with messages that have all of these words; what is missing stays to be seen. */
export function finding(rows: Row[], query: string): Row[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  // Many programs write letters as escapes; who searches does not.
  const text = ({ agent, topic, data }: TopicMessage) => `${agent ?? ''} ${topic} ${data.includes('\\u') ? pretty(data) : data}`.toLowerCase();
  return rows.filter((row) => row.kind === 'gap' || words.every((word) => text(row.message).includes(word)));
}

/** Whether it stands for more than one topic. */
export function isPattern(topic: string): boolean {
  return topic.split('.').some((word) => word === '*' || word === '>');
}

/** Whether a pattern stands for a topic: `*` for any one word, `>` at the end for one or more. */
export function stands(pattern: string, topic: string): boolean {
  const [wanted, words] = [pattern.split('.'), topic.split('.')];
  if (wanted.at(-1) === '>') return words.length >= wanted.length && stands(wanted.slice(0, -1).join('.'), words.slice(0, wanted.length - 1).join('.'));
  return wanted.length === words.length && wanted.every((word, i) => word === '*' || word === words[i]);
}

/** Topics that the daemon itself publishes on; nobody else does. */
export function isOwn(topic: string): boolean {
  return topic.startsWith('__bus__.');
}

export interface TopicRow extends Topic {
  last: TopicMessage | undefined;
}

/** Of how many topics the newest message is asked for at once. */
const MAX_ASKED = 20;
/** How many topics are listed at once. */
export const MAX_TOPICS = 100;

/** The topics, the one that was published on last first, those of the daemon behind all others. */
export function inOrder<T extends Topic>(topics: T[]): T[] {
  return [...topics].sort((a, b) => Number(isOwn(a.topic)) - Number(isOwn(b.topic)) || (b.last_at ?? 0) - (a.last_at ?? 0) || (a.topic < b.topic ? -1 : 1));
}

/** Reads the list, and the newest messages that are not known yet; `known` is what the call before gave. */
export async function listTopics(api: Pick<Api, 'topics' | 'messages'>, known: TopicRow[]): Promise<TopicRow[]> {
  const before = new Map(known.map((row) => [row.topic, row]));
  const rows = inOrder((await api.topics()).items).map((topic): TopicRow => ({ ...topic, last: before.get(topic.topic)?.last }));
  // A name that reads as a pattern would be answered with messages of other topics.
  const stale = rows.slice(0, MAX_TOPICS).filter((row) => row.retained > 0 && !isPattern(row.topic) && row.last?.at !== row.last_at);
  const ask = async (row: TopicRow) => void (row.last = (await api.messages(row.topic, 1)).items.at(-1));
  // One that fails has no line, or that of before.
  await Promise.all(stale.slice(0, MAX_ASKED).map((row) => ask(row).catch(() => undefined)));
  return rows;
}
