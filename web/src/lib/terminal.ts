/** What a terminal that runs for an agent has shown. */

export interface Terminal {
  argv: string[];
  cwd: string;
  text: string;
  /** Whether older output was let go. */
  cut: boolean;
  running: boolean;
  code: number | undefined;
  signal: number | undefined;
}

/** How much of a terminal's output is kept: its end. */
export const MAX_OUTPUT = 64 << 10;

export function newTerminal(): Terminal {
  return { argv: [], cwd: '', text: '', cut: false, running: true, code: undefined, signal: undefined };
}

export function wrote(terminal: Terminal, text: string): Terminal {
  const all = terminal.text + text;
  if (all.length <= MAX_OUTPUT) return { ...terminal, text: all };
  return { ...terminal, text: all.slice(-MAX_OUTPUT), cut: true };
}

/** A command line as one would type it. */
export function commandLine(argv: string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

const ESCAPE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;

/** Output as plain text: no escape sequences, and of a line written over and over only what stands there last. */
export function plain(text: string): string {
  const clean = text.replace(ESCAPE, '').replaceAll('\r\n', '\n');
  if (!clean.includes('\r')) return clean;
  return clean
    .split('\n')
    .map((line) => line.split('\r').findLast((part) => part !== '') ?? '')
    .join('\n');
}
