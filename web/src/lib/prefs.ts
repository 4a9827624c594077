/** What a person has chosen for this browser. */

import type { Storage } from './drafts';
import { Store } from './store';

export type Theme = 'system' | 'light' | 'dark';

export interface Prefs {
  theme: Theme;
  /** Whether new requests are told on the desktop while the page is out of sight. */
  notify: boolean;
  /** The id by which the daemon tells this device, also while no page is open. */
  device?: string | undefined;
  /** Whether the details of a session stand beside its transcript. */
  rail: boolean;
  /** Whether the inbox is grouped by session. */
  grouped: boolean;
}

const KEY = 'trunkline.prefs';
const DEFAULTS: Prefs = { theme: 'system', notify: false, rail: true, grouped: false };

export class PrefStore extends Store<Prefs> {
  #storage: Storage | undefined;

  constructor(storage: Storage | undefined) {
    super(read(storage));
    this.#storage = storage;
  }

  change(some: Partial<Prefs>): void {
    this.set({ ...this.get(), ...some });
    try {
      this.#storage?.setItem(KEY, JSON.stringify(this.get()));
    } catch {
      // Without storage the choice lives as long as the page.
    }
  }

  /** Another tab may have chosen. */
  refresh(): void {
    this.set(read(this.#storage));
  }
}

/** What is stored, as far as it makes sense. */
function read(storage: Storage | undefined): Prefs {
  let stored: Partial<Record<keyof Prefs, unknown>> = {};
  try {
    stored = JSON.parse(storage?.getItem(KEY) ?? '{}') ?? {};
  } catch {
    // Rubbish means nothing was chosen.
  }
  const flag = (name: 'notify' | 'rail' | 'grouped') => (typeof stored[name] === 'boolean' ? (stored[name] as boolean) : DEFAULTS[name]);
  const theme = stored.theme === 'light' || stored.theme === 'dark' ? stored.theme : 'system';
  return { theme, notify: flag('notify'), rail: flag('rail'), grouped: flag('grouped') };
}

/** The colours of the system's own bars around the page, as `app.css` has them for the page's ground. */
export const GROUND = { light: '#f6f6f4', dark: '#141517' } as const;

/** Marks the document with the theme; without a mark the system decides. */
export function applyTheme(root: { dataset: Record<string, string | undefined> }, bars: Iterable<{ media: string; content: string }>, theme: Theme): void {
  if (theme === 'system') delete root.dataset.theme;
  else root.dataset.theme = theme;
  for (const bar of bars) bar.content = GROUND[theme !== 'system' ? theme : bar.media.includes('dark') ? 'dark' : 'light'];
}
