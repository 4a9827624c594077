/** Handoffs: what became of one, in order, and its lists as texts. */

import type { Api } from './api';
import type { Handoff, HandoffWhole } from './things';

export interface Moment {
  key: string;
  /** UTC milliseconds. */
  at: number;
  kind: 'saved' | 'lane' | 'said' | 'closed' | 'checkpoint' | 'changed';
  who: string;
  text: string;
  /** The agent a lane leads to. */
  to?: string;
  /** More that belongs to it, as JSON. */
  detail: unknown;
}

/** How many handoffs are read at once. The daemon itself keeps one of each session, so there are many. */
export const HANDOFF_PAGE = 50;

/** The handoffs that were changed last, of about this many; `more`: whether there are others. */
export async function listHandoffs(api: Pick<Api, 'handoffs'>, many: number): Promise<{ items: Handoff[]; more: boolean }> {
  const items: Handoff[] = [];
  let cursor: string | undefined;
  do {
    const page = await api.handoffs({ cursor });
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined && items.length < many);
  // What is changed between two pages comes twice.
  return { items: [...new Map(items.map((one) => [one.id, one])).values()], more: cursor !== undefined };
}

/** Everything about a handoff that has a time, oldest first. */
export function timeline({ handoff, lanes, checkpoints }: HandoffWhole): Moment[] {
  const moments: Moment[] = [{ key: 'saved', at: ms(handoff.created), kind: 'saved', who: handoff.agent_id, text: '', detail: undefined }];
  for (const { lane, said } of lanes) {
    moments.push({ key: `lane-${lane.id}`, at: ms(lane.created), kind: 'lane', who: lane.from_agent, text: '', to: lane.to_agent, detail: filled(lane.context) });
    said.forEach((message, i) => moments.push({ key: `said-${lane.id}-${i}`, at: ms(message.created), kind: 'said', who: message.from_agent, text: message.text, detail: undefined }));
    if (lane.status === 'closed') moments.push({ key: `closed-${lane.id}`, at: ms(lane.updated), kind: 'closed', who: lane.from_agent, text: '', to: lane.to_agent, detail: undefined });
  }
  for (const checkpoint of checkpoints) {
    moments.push({ key: `check-${checkpoint.id}`, at: ms(checkpoint.created), kind: 'checkpoint', who: checkpoint.agent_id, text: checkpoint.automatic ? 'at the end of a turn' : '', detail: filled(checkpoint.snapshot) });
  }
  if (handoff.updated > handoff.created) moments.push({ key: 'changed', at: ms(handoff.updated), kind: 'changed', who: handoff.agent_id, text: handoff.status, detail: undefined });
  return moments.sort((a, b) => a.at - b.at);
}

/** What is normally a list of texts, whatever an agent made of it. */
export function texts(value: unknown): string[] {
  if (value === null || value === undefined || value === '') return [];
  if (Array.isArray(value)) return value.map(one);
  if (typeof value === 'object') return Object.entries(value).map(([name, member]) => `${name}: ${one(member)}`);
  return [one(value)];
}

/** Microseconds as the milliseconds that everything else here is in. */
export function ms(stamp: number): number {
  return Math.floor(stamp / 1_000);
}

function one(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null) {
    const { text, content, title, path } = value as Record<string, unknown>;
    const said = [text, content, title, path].find((member) => typeof member === 'string');
    if (said !== undefined) return said as string;
  }
  return JSON.stringify(value);
}

function filled(value: unknown): unknown {
  const empty = value === null || value === undefined || (typeof value === 'object' && Object.keys(value).length === 0);
  return empty ? undefined : value;
}
