/** The inbox: what comes first, how a row reads, who waits for whom. */

import { type Item, isOver, type Tool } from './items';
import { callOf, headline, subject, verb } from './subject';
import { firstLine, relative, who } from './text';
import type { Client } from './things';
import type { Ask, RequestView, Risk, Session } from './types';

/** How much a request presses: urgent ones first, then by risk; a priority of its own counts where there is little risk. */
export function weight(request: Pick<Ask, 'risk' | 'priority'>): number {
  if (request.priority === 'urgent') return 5;
  const risk = RISK[request.risk?.level ?? 'low'];
  if (request.priority === 'high') return Math.max(risk, 3);
  return request.priority === 'low' && risk === 0 ? -1 : risk;
}

const RISK: Record<Risk['level'], number> = { low: 0, medium: 1, unknown: 2, high: 4 };

/** By weight, then the one that waits longest. */
export function inOrder(requests: RequestView[]): RequestView[] {
  return [...requests].sort((a, b) => weight(b) - weight(a) || a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
}

export interface Group {
  session: string;
  requests: RequestView[];
}

/** One group per session, in the order of what presses most in each. */
export function bySession(requests: RequestView[]): Group[] {
  const groups = new Map<string, RequestView[]>();
  for (const request of requests) groups.set(request.session, [...(groups.get(request.session) ?? []), request]);
  return [...groups].map(([session, requests]) => ({ session, requests }));
}

/** Whether a row has all words of a filter somewhere. */
export function fits(request: RequestView, filter: string): boolean {
  const text = [request.title, request.agent, request.project, request.workspace, request.question, request.risk?.level, request.tool].join(' ').toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

export interface Phrase {
  /** What the agent wants: "wants to run". */
  wants: string;
  what: string;
  /** Whether `what` is a command or a path. */
  code: boolean;
}

/** `wants to run` `git push origin main`. */
export function phrase(request: RequestView): Phrase {
  const title = firstLine(request.title);
  if (request.kind === 'question') return { wants: 'asks', what: title, code: false };
  if (request.kind === 'form') return { wants: 'asks you to fill in', what: title, code: false };
  const call = request.tool_call && callOf({ ...request.tool_call, title: request.tool_call.title ?? request.title });
  const wants = WANTS[call?.kind ?? ''];
  if (!call || !wants) return { wants: /[?？؟]\s*\W*$/u.test(title) ? 'asks' : 'wants', what: title, code: false };
  const path = AT_PATHS.has(call.kind ?? '') ? (subject(call).diffs[0]?.path ?? call.locations?.[0]?.path) : undefined;
  return { wants, what: path ? relative(path, request.workspace) : headline(call, request.workspace), code: true };
}

/** What is done to files is told by the file. */
const AT_PATHS = new Set(['read', 'edit', 'delete', 'move']);

const WANTS: Record<string, string> = {
  read: 'wants to read',
  edit: 'wants to change',
  delete: 'wants to delete',
  move: 'wants to move',
  search: 'wants to search',
  execute: 'wants to run',
  fetch: 'wants to fetch',
  switch_mode: 'wants to change its mode',
};

export interface Step {
  key: string;
  verb: string;
  line: string;
  status: 'done' | 'failed' | 'running' | 'stopped';
}

/** The last tool calls before a request, oldest first. */
export function stepsBefore(items: Item[], request: string, workspace: string | undefined, limit = 3): Step[] {
  const asked = items.findIndex((item) => (item.kind === 'request' ? item.request.id === request : item.kind === 'tool' && item.requests.some((one) => one.id === request)));
  const before = (asked < 0 ? items : items.slice(0, asked)).filter((item): item is Tool => item.kind === 'tool');
  return before.slice(-limit).map((tool) => ({
    key: tool.key,
    verb: verb(tool.tool),
    line: headline({ title: tool.title, kind: tool.tool, content: tool.content, locations: tool.locations, input: tool.input }, workspace),
    status: tool.status === 'failed' ? 'failed' : isOver(tool.status) ? 'done' : tool.stopped ? 'stopped' : 'running',
  }));
}

/** Who else has a session open, by name; our own connection is left out once. */
export function others(clients: Client[], me: { principal: string; name: string } | undefined): string[] {
  const own = clients.findIndex((client) => client.principal === me?.principal && client.name === me.name);
  const names = clients.filter((_, i) => i !== own).map((client) => `${who(client.principal)} (${client.name})`);
  return [...new Set(names)];
}

/** What the sessions are at, for an inbox in which nothing waits. */
export function atWork(sessions: Session[]): { running: Session[]; parked: Session[] } {
  return {
    running: sessions.filter((session) => session.state === 'running' || session.state === 'stopping'),
    parked: sessions.filter((session) => session.state === 'idle' || session.state === 'failed' || session.state === 'waiting'),
  };
}
