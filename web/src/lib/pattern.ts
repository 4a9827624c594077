/** Rules that would cover what is asked, from the narrowest to the widest. The daemon decides what a rule means. */

import { callOf, subject } from './subject';
import { relative } from './text';
import type { RequestView } from './types';

/** A line that does one thing: no operators, substitutions, quotes or variables. */
const PLAIN = /^[\w@%+=:,./~ -]+$/;

/** Whether a standing rule could answer such a request in its giver's place. */
export function canHaveRule(request: Pick<RequestView, 'kind' | 'risk'>): boolean {
  return request.kind === 'permission' && request.risk !== undefined && request.risk.level !== 'high';
}

export function suggestions(request: RequestView): string[] {
  const call = request.tool_call;
  const found: string[] = [];
  if (call) {
    const { command, diffs } = subject(callOf(call));
    const paths = [...diffs.map((diff) => diff.path), ...(call.locations ?? []).map((place) => place.path)];
    if (command) found.push(...ofCommand(command));
    else if (call.kind === 'edit' || call.kind === 'read') found.push(...ofPath(call.kind, paths[0], request.workspace));
    else if (call.kind === 'fetch') found.push(...ofAddress(call.rawInput));
  }
  const mcp = /^mcp__(.+?)__(.+)$/.exec(request.tool ?? '');
  if (mcp) found.push(`mcp:${mcp[1]}/${mcp[2]}`, `mcp:${mcp[1]}/*`);
  return [...new Set(found)];
}

/** The narrowest one: exactly what is asked. */
export function exactly(request: RequestView): string | undefined {
  const [first] = suggestions(request);
  return first?.includes('*') ? undefined : first;
}

function ofCommand(line: string): string[] {
  const command = line.trim().replace(/ +/g, ' ');
  if (!PLAIN.test(command)) return [];
  const words = command.split(' ');
  const named = words.slice(0, 2).filter((word, i) => i === 0 || /^[a-z][\w:-]*$/i.test(word));
  const wider = [named, named.slice(0, 1)].map((head) => `shell(${head.join(' ')} *)`);
  return [`shell(${command})`, ...wider];
}

function ofPath(kind: string, path: string | undefined, workspace: string | undefined): string[] {
  if (!path) return [];
  const inside = relative(path, workspace);
  if (inside.startsWith('/') || inside.startsWith('..')) return [];
  const directory = inside.split('/').slice(0, -1).join('/');
  return [`${kind}(${inside})`, ...(directory ? [`${kind}(${directory}/**)`] : []), kind];
}

function ofAddress(input: unknown): string[] {
  const url = (input as { url?: unknown } | null | undefined)?.url;
  try {
    return typeof url === 'string' ? [`fetch(${new URL(url).hostname})`] : [];
  } catch {
    return [];
  }
}
