/** A session as a file: its events line by line, or its transcript as Markdown. */

import { sessionTitle } from './feed';
import type { Item } from './items';
import { headline, outputText, subject, verb } from './subject';
import { plain } from './terminal';
import { who } from './text';
import { dollars, duration } from './time';
import type { Event, EventPage, Session } from './types';

/** How many events one page of an export asks for. */
const PAGE = 5_000;

/**
 * All events of a log, page by page, up to the head there is at the start: the log may grow meanwhile. What is kept beside it
 * stands in its place.
 */
export async function allEvents(page: (after: number, limit: number) => Promise<EventPage>, blob: (sha256: string) => Promise<unknown>): Promise<Event[]> {
  const events: Event[] = [];
  let head = Number.POSITIVE_INFINITY;
  for (let after = 0, more = true; more; ) {
    const got = await page(after, PAGE);
    head = Math.min(head, got.head);
    for (const event of got.items) if (event.seq <= head) events.push(await whole(event, blob));
    after = got.items.at(-1)?.seq ?? after;
    more = got.more && got.items.length > 0 && after < head;
  }
  return events;
}

async function whole(event: Event, blob: (sha256: string) => Promise<unknown>): Promise<Event> {
  const { blob: kept, ...data } = (event.data ?? {}) as { blob?: { sha256?: unknown }; v?: unknown };
  if (event.type !== 'turn.update' || typeof kept?.sha256 !== 'string') return event;
  return { ...event, data: { ...data, update: await blob(kept.sha256) } };
}

/** The format of `trunkline export`: one line that says what this is, then the events. */
export function toJsonLines(session: Session, events: Event[], now: number): string {
  const head = { trunkline: 'export/1', exported_at: now, session, first: events[0]?.seq ?? 1, head: events.at(-1)?.seq ?? 0 };
  // What a driver remembers is its own affair, and never exported.
  const lines = events.map((event) => JSON.stringify(event.type === 'driver.memo' ? { ...event, data: null } : event));
  return `${[JSON.stringify(head), ...lines].join('\n')}\n`;
}

export function toMarkdown(session: Session, items: Item[]): string {
  const facts = [`Agent: ${session.agent}`, session.workspace ? `Directory: \`${session.workspace}\`` : '', `Made: ${new Date(session.created_at).toISOString()}`];
  const head = [`# ${sessionTitle(session)}`, facts.filter(Boolean).map((fact) => `- ${fact}`).join('\n')];
  const parts = items.map((item) => part(item, session.workspace)).filter((text) => text !== '');
  return `${[...head, ...parts].join('\n\n')}\n`;
}

function part(item: Item, workspace: string | undefined): string {
  switch (item.kind) {
    case 'prompt':
      return `## ${who(item.by)}\n\n${item.text}`;
    case 'prose':
      return item.text.trim();
    case 'thought':
      return quote(item.text.trim());
    case 'tool':
      return tool(item, workspace);
    case 'terminal':
      return fenced('console', `$ ${item.terminal.argv.join(' ')}\n${plain(item.terminal.text)}`);
    case 'plan':
      return item.entries.map((entry) => `- [${entry.status === 'completed' ? 'x' : ' '}] ${entry.content}`).join('\n');
    case 'request':
      return `**${item.request.title}**: ${item.request.closed ? `${item.request.closed.outcome} by ${who(item.request.closed.by)}` : 'open'}`;
    case 'note':
      return `_${item.text}_`;
    case 'footer': {
      const cost = typeof item.usage?.cost === 'number' ? `, ${dollars(item.usage.cost)}` : '';
      return `_${item.error ?? item.reason}, ${duration(item.duration)}${cost}_\n\n---`;
    }
    case 'picture':
      return `_${item.picture.alt}_`;
    case 'large':
      return item.start;
    case 'gap':
      return `_${item.missing} events are missing here_`;
  }
}

function tool(item: Extract<Item, { kind: 'tool' }>, workspace: string | undefined): string {
  const call = { title: item.title, kind: item.tool, content: item.content, locations: item.locations, input: item.input };
  const about = subject(call);
  const line = `**${[verb(item.tool), `\`${headline(call, workspace).replaceAll('`', "'")}\``].filter(Boolean).join(' ')}** ${item.stopped ? 'stopped' : item.status}`;
  const changes = about.diffs.map((diff) => fenced('diff', [`--- ${diff.path}`, ...lines('-', diff.oldText ?? ''), ...lines('+', diff.newText)].join('\n')));
  const output = plain(outputText(item.content, item.output)).trim();
  const terminals = Object.values(item.terminals).map((terminal) => fenced('console', plain(terminal.text)));
  return [line, ...changes, ...terminals, output === '' ? '' : fenced('', output)].filter(Boolean).join('\n\n');
}

function lines(sign: string, text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n').map((line) => sign + line);
}

function quote(text: string): string {
  return text.split('\n').map((line) => `> ${line}`).join('\n');
}

/** A fence that is longer than any in the text. */
function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text.replace(/\n$/, '')}\n${fence}`;
}

/** A name that any file system takes. */
export function fileStem(session: Session): string {
  const words = sessionTitle(session).normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 40);
  return `${words || 'session'}-${session.id.slice(0, 8)}`;
}
