/** Keys: which press means what, and who acts on it. */

/** What a key asks for. */
export type Action =
  | 'down'
  | 'up'
  | 'back'
  | 'filter'
  | 'palette'
  | 'help'
  | 'new'
  | 'composer'
  | 'details'
  | 'inbox'
  | 'sessions'
  | 'bus'
  | 'keys'
  | 'topics'
  | 'pools'
  | 'settings';

/** What the help shows, in its order. Keys that act on a request's card stand in `lib/answer`. */
export const KEYS: { keys: string[]; does: string; action?: Action }[] = [
  { keys: ['j'], does: 'Next', action: 'down' },
  { keys: ['k'], does: 'Previous', action: 'up' },
  { keys: ['Enter'], does: 'Open' },
  { keys: ['Esc'], does: 'Back', action: 'back' },
  { keys: ['/'], does: 'Filter', action: 'filter' },
  { keys: ['Ctrl K', '⌘ K'], does: 'Everything, by name', action: 'palette' },
  { keys: ['g i'], does: 'Inbox', action: 'inbox' },
  { keys: ['g s'], does: 'Sessions', action: 'sessions' },
  { keys: ['g b'], does: 'Bus', action: 'bus' },
  { keys: ['g k'], does: 'Keys of the bus', action: 'keys' },
  { keys: ['g t'], does: 'Topics of the bus', action: 'topics' },
  { keys: ['g p'], does: 'Pools', action: 'pools' },
  { keys: ['g ,'], does: 'Settings', action: 'settings' },
  { keys: ['n'], does: 'New session', action: 'new' },
  { keys: ['i'], does: 'Write a prompt', action: 'composer' },
  { keys: ['e'], does: 'Details of the session', action: 'details' },
  { keys: ['?'], does: 'These keys', action: 'help' },
];

/** Keys that act only while a request's card itself has the focus. */
export const CARD_KEYS = [
  { keys: ['a'], does: 'Allow once; held down where the risk is high' },
  { keys: ['A'], does: 'Allow for the session' },
  { keys: ['d'], does: 'Deny' },
  { keys: ['r'], does: 'Reply, or add a word' },
  { keys: ['1', '9'], does: 'Pick an option' },
];

const SINGLE: Record<string, Action> = { j: 'down', k: 'up', '/': 'filter', '?': 'help', n: 'new', i: 'composer', e: 'details', Escape: 'back' };
const AFTER_G: Record<string, Action> = { i: 'inbox', s: 'sessions', b: 'bus', k: 'keys', t: 'topics', p: 'pools', ',': 'settings' };
/** How long a `g` waits for its second key. */
const CHORD_MS = 1_200;

/** The part of a keyboard event that is read here. */
export interface Press {
  key: string;
  ctrlKey?: boolean;
  metaKey?: boolean;
  altKey?: boolean;
  /** Whether what has the focus takes text. */
  typing?: boolean;
}

/** Reads presses, and remembers a `g` that waits for what follows. */
export class Chords {
  #since: number | undefined;

  press(press: Press, now: number): Action | undefined {
    const waiting = this.#since !== undefined && now - this.#since < CHORD_MS;
    this.#since = undefined;
    if ((press.ctrlKey || press.metaKey) && !press.altKey && press.key.toLowerCase() === 'k') return 'palette';
    if (press.ctrlKey || press.metaKey || press.altKey) return undefined;
    if (press.typing) return press.key === 'Escape' ? 'back' : undefined;
    if (waiting) return AFTER_G[press.key];
    if (press.key === 'g') this.#since = now;
    return SINGLE[press.key];
  }
}

type Handlers = Partial<Record<Action, () => void>>;

/** Who acts: of those that know an action, the one that came last. */
export class Keymap {
  #bound: Handlers[] = [];

  /** Returns what takes them away again. */
  bind(handlers: Handlers): () => void {
    this.#bound.push(handlers);
    return () => {
      this.#bound = this.#bound.filter((one) => one !== handlers);
    };
  }

  /** Whether anybody acted. */
  run(action: Action): boolean {
    const handlers = this.#bound.findLast((one) => one[action]);
    handlers?.[action]?.();
    return handlers !== undefined;
  }
}

/** Whether an element takes what is typed. */
export function takesText(element: Element | null): boolean {
  if (!element) return false;
  const tag = element.tagName;
  if (tag === 'TEXTAREA' || tag === 'SELECT') return true;
  if (tag === 'INPUT') return !['checkbox', 'radio', 'button', 'submit', 'range'].includes((element as HTMLInputElement).type);
  return (element as HTMLElement).isContentEditable === true;
}

/** Where a move in a list of this length leads; it stops at the ends. */
export function moved(at: number, by: 1 | -1, length: number): number {
  if (length === 0) return -1;
  if (at < 0) return by > 0 ? 0 : length - 1;
  return Math.min(length - 1, Math.max(0, at + by));
}
