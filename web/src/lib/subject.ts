/** What a tool call is about, exactly: the command, the change or the arguments. */

import { picture } from './picture';
import { commandLine } from './terminal';
import { baseName, blockText, firstLine, relative, shorten } from './text';
import type { Diff, ToolContent, ToolUpdate } from './types';

export interface Subject {
  /** The command line, whole. */
  command: string | undefined;
  /** Where it runs. */
  cwd: string | undefined;
  diffs: Diff[];
  /** The arguments as JSON, when there is neither a command nor a change that says more. */
  json: string | undefined;
}

/** What a card needs of a tool call. */
export interface Call {
  title?: string | null | undefined;
  kind?: string | null | undefined;
  content?: ToolContent[] | null | undefined;
  locations?: { path: string }[] | null | undefined;
  input?: unknown;
}

export function subject(call: Call): Subject {
  const input = asObject(call.input);
  const diffs = (call.content ?? []).filter((content): content is Diff => content?.type === 'diff' && typeof content.newText === 'string');
  const command = commandOf(call);
  const cwd = ['cwd', 'workdir', 'directory'].map((name) => input[name]).find((value) => typeof value === 'string');
  const says = diffs.length > 0 || (command !== undefined && Object.keys(input).every((name) => PLAIN.has(name)));
  const json = says || call.input === undefined || call.input === null || isEmpty(call.input) ? undefined : pretty(call.input);
  return { command, cwd: cwd as string | undefined, diffs, json };
}

/** The call of a permission, in the shape of a card's. */
export function callOf(update: ToolUpdate): Call {
  return { ...update, input: update.rawInput };
}

/** The card's one line: the command, else the title, else the files. */
export function headline(call: Call, directory: string | undefined): string {
  const title = firstLine(call.title ?? '');
  const command = commandOf(call);
  if (command) return firstLine(command);
  if (title) return withoutVerb(shorten(title, directory), call.kind);
  const paths = [...subject(call).diffs, ...(call.locations ?? [])].map((place) => relative(place.path, directory));
  return paths[0] ?? call.kind ?? 'tool';
}

/** The text a tool has to show, apart from changes and terminals. */
export function outputText(content: ToolContent[], output: unknown): string {
  const texts = content.map((one) => (one?.type === 'content' && !picture(one.content) ? blockText(one.content) : '')).filter((text) => text !== '');
  if (texts.length > 0) return texts.join('\n');
  if (output === undefined || output === null || content.some((one) => one?.type === 'diff' || one?.type === 'terminal')) return '';
  if (typeof output === 'string') return output;
  const members = asObject(output);
  const own = ['output', 'stdout', 'text'].map((name) => members[name]).find((value) => typeof value === 'string');
  return (own as string | undefined) ?? (isEmpty(output) ? '' : pretty(output));
}

/** The word before the headline, if the kind has one. */
export function verb(kind: string | null | undefined): string {
  return VERBS[kind ?? ''] ?? '';
}

/** `src/a.ts` of a diff, with the directory it is in told apart. */
export function fileName(path: string, directory: string | undefined): { dir: string; name: string } {
  const shown = relative(path, directory);
  const name = baseName(shown);
  return { dir: shown.slice(0, shown.length - name.length), name };
}

const VERBS: Record<string, string> = {
  read: 'Read',
  edit: 'Edit',
  delete: 'Delete',
  move: 'Move',
  search: 'Search',
  execute: 'Run',
  think: 'Think',
  fetch: 'Fetch',
  switch_mode: 'Mode',
};

/** A title without the verb that stands before it anyway. */
function withoutVerb(title: string, kind: string | null | undefined): string {
  const known = `${verb(kind)} `.toLowerCase();
  return known !== ' ' && title.toLowerCase().startsWith(known) ? title.slice(known.length) : title;
}

/** Arguments that a command line and its directory tell already. */
const PLAIN = new Set(['command', 'cmd', 'args', 'argv', 'cwd', 'workdir', 'directory', 'description']);

/** Only what runs commands: an editing tool's `command` is the name of an edit. */
function commandOf(call: Call): string | undefined {
  if (call.kind && call.kind !== 'execute' && call.kind !== 'other') return undefined;
  const input = asObject(call.input);
  const command = input.command ?? input.cmd ?? input.argv;
  const args = Array.isArray(input.args) ? input.args.map(String) : [];
  if (typeof command === 'string' && command !== '') return args.length > 0 ? `${command} ${commandLine(args)}` : command;
  if (!Array.isArray(command) || command.length === 0) return undefined;
  const words = command.map(String);
  // `bash -lc <script>` is the script.
  const script = words.length === 3 && /(?:^|\/)(?:ba|z|da)?sh$/.test(words[0] ?? '') && /^-\w*c$/.test(words[1] ?? '');
  return script ? words[2] : commandLine([...words, ...args]);
}

function pretty(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
