/** The command palette: what it offers, and how well a query fits. */

import { sessionTitle } from './feed';
import { requestPath, SCREENS, sessionPath, topicPath } from './router';
import { baseName, firstLine } from './text';
import { isPattern } from './topics';
import type { RequestView, Session } from './types';

export interface Entry {
  /** Unique in the palette. */
  id: string;
  kind: 'go' | 'request' | 'session' | 'do';
  title: string;
  /** Shown beside it, and searched as well. */
  note: string;
  path: string;
}

const SCREEN_ENTRIES: [keyof typeof SCREENS, string, string][] = [
  ['inbox', 'Inbox', 'g i'],
  ['sessions', 'Sessions', 'g s'],
  ['bus', 'Bus: agents', 'g b'],
  ['keys', 'Bus: keys', 'g k'],
  ['topics', 'Bus: topics', 'g t'],
  ['handoffs', 'Bus: handoffs', ''],
  ['pools', 'Pools', 'g p'],
  ['settings', 'Settings', 'g ,'],
];

/** Everything that can be gone to: requests first, since they wait. */
export function entries(sessions: Session[], requests: RequestView[]): Entry[] {
  return [
    ...requests
      .filter((request) => request.status === 'open')
      .map((request): Entry => ({ id: `r${request.id}`, kind: 'request', title: firstLine(request.title), note: request.agent, path: requestPath(request.id) })),
    { id: 'new', kind: 'do', title: 'New session', note: 'n', path: SCREENS.new },
    ...SCREEN_ENTRIES.map(([page, title, keys]): Entry => ({ id: `go-${page}`, kind: 'go', title, note: keys, path: SCREENS[page] })),
    ...sessions.map((session): Entry => {
      const where = session.project ?? session.workspace;
      return { id: `s${session.id}`, kind: 'session', title: sessionTitle(session), note: `${session.agent}${where ? ` · ${baseName(where)}` : ''}`, path: sessionPath(session.id) };
    }),
  ];
}

/** How many entries are shown. */
export const MAX_SHOWN = 50;

/** The entries that fit, best first; all of them, in their order, if nothing is asked for. */
export function search(all: Entry[], query: string): Entry[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return all.slice(0, MAX_SHOWN);
  const found = all
    .map((entry, at) => ({ entry, at, score: score(entry, words) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.at - b.at)
    .slice(0, MAX_SHOWN)
    .map(({ entry }) => entry);
  return [...found, ...followed(query.trim())];
}

/** What reads as a topic or a pattern can be followed, whether anything was published on it or not. */
function followed(query: string): Entry[] {
  const isTopic = /^[^\s/]+$/.test(query) && (query.includes('.') || isPattern(query));
  return isTopic ? [{ id: 'follow', kind: 'do', title: `Follow ${query}`, note: 'topic', path: topicPath(query) }] : [];
}

/** Every word must be found: at the start of a word of the title counts most, letters in order count least. */
function score(entry: Entry, words: string[]): number {
  const [title, note] = [entry.title.toLowerCase(), entry.note.toLowerCase()];
  let sum = 0;
  for (const word of words) {
    const one = title.startsWith(word) ? 8 : ` ${title}`.includes(` ${word}`) ? 6 : title.includes(word) ? 4 : note.includes(word) ? 3 : inOrder(title, word) ? 1 : 0;
    if (one === 0) return 0;
    sum += one;
  }
  return sum;
}

function inOrder(text: string, letters: string): boolean {
  let at = 0;
  for (const letter of letters) {
    at = text.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
