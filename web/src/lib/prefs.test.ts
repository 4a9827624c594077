import { expect, test } from 'vitest';
import { applyTheme, GROUND, PrefStore } from './prefs';

function memory() {
  const data = new Map<string, string>();
  return { data, getItem: (key: string) => data.get(key) ?? null, setItem: (key: string, value: string) => void data.set(key, value), removeItem: (key: string) => void data.delete(key) };
}

test('choices outlive the page, and reach other tabs', () => {
  const storage = memory();
  const [one, two] = [new PrefStore(storage), new PrefStore(storage)];
  one.change({ theme: 'dark', rail: false });
  expect(two.get().theme).toBe('system');
  two.refresh();
  expect(two.get()).toEqual({ theme: 'dark', notify: false, rail: false, grouped: false });
});

test('rubbish in storage, or none at all, means the defaults', () => {
  const storage = memory();
  for (const rubbish of ['{', 'null', '[]', '{"theme":"pink","notify":"yes"}']) {
    storage.data.set('trunkline.prefs', rubbish);
    expect(new PrefStore(storage).get()).toEqual({ theme: 'system', notify: false, rail: true, grouped: false });
  }
  const none = new PrefStore(undefined);
  none.change({ theme: 'light' });
  expect(none.get().theme).toBe('light');
});

test('the document carries a theme only where one was chosen', () => {
  const root = { dataset: {} as Record<string, string | undefined> };
  const bars = [{ media: '(prefers-color-scheme: light)', content: '' }, { media: '(prefers-color-scheme: dark)', content: '' }];
  applyTheme(root, bars, 'dark');
  expect([root.dataset, bars.map((bar) => bar.content)]).toEqual([{ theme: 'dark' }, [GROUND.dark, GROUND.dark]]);
  applyTheme(root, bars, 'system');
  expect([root.dataset, bars.map((bar) => bar.content)]).toEqual([{}, [GROUND.light, GROUND.dark]]);
});
