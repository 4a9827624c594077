/** Which files a session has touched, and what it has used. */

import { diffLines, tally } from './diff';
import type { Footer, Item, Tool } from './items';
import { relative } from './text';
import type { Diff, Usage } from './types';

export interface Touched {
  path: string;
  /** As seen from where the agent works. */
  shown: string;
  did: 'changed' | 'read' | 'deleted';
  added: number;
  removed: number;
  diffs: { diff: Diff; key: string }[];
}

/** Counting lines is dear, and a diff never changes. */
const counts = new WeakMap<Diff, { added: number; removed: number }>();

function count(diff: Diff): { added: number; removed: number } {
  let known = counts.get(diff);
  if (!known) {
    known = tally(diffLines(diff.oldText ?? '', diff.newText));
    counts.set(diff, known);
  }
  return known;
}

/** Files by path: those that were changed first. Calls that failed or never came to an end touched nothing. */
export function touched(items: Item[], workspace: string | undefined): Touched[] {
  const files = new Map<string, Touched>();
  const file = (path: string): Touched => {
    const known = files.get(path);
    if (known) return known;
    const made: Touched = { path, shown: relative(path, workspace), did: 'read', added: 0, removed: 0, diffs: [] };
    files.set(path, made);
    return made;
  };
  for (const item of items) {
    if (item.kind !== 'tool' || item.status !== 'completed') continue;
    const diffs = item.content.filter((content): content is Diff => content?.type === 'diff' && typeof content.newText === 'string');
    for (const diff of diffs) {
      const one = file(diff.path);
      const { added, removed } = count(diff);
      one.did = 'changed';
      one.added += added;
      one.removed += removed;
      one.diffs.push({ diff, key: item.key });
    }
    for (const path of placesOf(item)) {
      const one = file(path);
      if (item.tool === 'delete') one.did = 'deleted';
      else if (item.tool === 'edit' || item.tool === 'move') one.did = 'changed';
    }
  }
  const rank = { changed: 0, deleted: 1, read: 2 };
  return [...files.values()].sort((a, b) => rank[a.did] - rank[b.did] || (a.shown < b.shown ? -1 : 1));
}

function placesOf(tool: Tool): string[] {
  if (!['read', 'edit', 'delete', 'move'].includes(tool.tool)) return [];
  return tool.locations.map((place) => place.path).filter((path) => typeof path === 'string');
}

export interface Used {
  turns: number;
  ms: number;
  tools: number;
  tokens: Required<Omit<Usage, 'cost'>>;
  cost: number | undefined;
  /** One per turn, oldest first. */
  each: { key: string; at: number; ms: number; tokens: number; cost: number | undefined }[];
}

/** What the turns in view used, as far as the agent told. */
export function used(items: Item[]): Used {
  const footers = items.filter((item): item is Footer => item.kind === 'footer');
  const sum = (name: keyof Usage) => footers.reduce((total, footer) => total + (footer.usage?.[name] ?? 0), 0);
  const costs = footers.filter((footer) => typeof footer.usage?.cost === 'number');
  return {
    turns: footers.length,
    ms: footers.reduce((total, footer) => total + footer.duration, 0),
    tools: items.filter((item) => item.kind === 'tool').length,
    tokens: { input: sum('input'), output: sum('output'), cache_read: sum('cache_read'), cache_write: sum('cache_write'), thought: sum('thought') },
    cost: costs.length > 0 ? sum('cost') : undefined,
    each: footers.map(({ key, at, duration, usage }) => ({ key, at, ms: duration, tokens: (usage?.input ?? 0) + (usage?.output ?? 0), cost: usage?.cost })),
  };
}
