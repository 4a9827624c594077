import { expect, test } from 'vitest';
import { heldGrants } from './grants';
import { arranged, asks, ended, firstRuns, latest } from './operator';
import type { Grant, OperatorAction } from './things';
import type { Session } from './types';
import { watchers } from './watchers';

const action = (name: string, more: Partial<OperatorAction> = {}): OperatorAction => ({ name, label: name.toUpperCase(), argv: [], mutating: false, confirm: false, primary: false, timeout_s: 1, ...more });

test('the primary action stands first, and those that change something last', () => {
  const all = [action('reset', { mutating: true }), action('logs'), action('wake', { primary: true, mutating: true })];
  expect(arranged(all).map((one) => one.name)).toEqual(['wake', 'logs', 'reset']);
  expect(all.map(asks)).toEqual([true, false, true]);
  expect(asks(action('x', { confirm: true }))).toBe(true);
});

test('what runs before an action is named as people know it', () => {
  const all = [action('forensics'), action('reset', { before: 'forensics' }), action('lost', { before: 'gone' })];
  expect(all.map((one) => firstRuns(one, all))).toEqual([undefined, 'FORENSICS', 'gone']);
});

test('of each action the newest run counts, and an end says how', () => {
  const run = (action: string, run: number) => ({ action, run, argv: [], at: 0, by: 'owner' });
  expect(latest([run('a', 1), run('b', 2), run('a', 3)]).get('a')?.run).toBe(3);
  expect(ended(undefined)).toEqual({ text: 'running', good: true });
  expect(ended({ duration_ms: 1_000, exit_code: 0 })).toEqual({ text: 'done, 1.0 s', good: true });
  expect(ended({ duration_ms: 1_000, exit_code: 2 })).toEqual({ text: 'exit code 2, 1.0 s', good: false });
  expect(ended({ duration_ms: 1_000, error: 'timed out' })).toEqual({ text: 'timed out, 1.0 s', good: false });
});

test('permissions of projects come first, those of sessions know which, and a session that cannot be asked has none', async () => {
  const grant = (id: string, at: number, project?: string) => ({ id, at, by: 'owner', ...(project ? { project } : {}) }) as Grant;
  const session = (id: string, state = 'idle') => ({ id, state }) as Session;
  const api = {
    async grants(id?: string) {
      if (id === 'broken') throw new Error('gone');
      if (id === undefined) return { items: [grant('p', 1, '/w')] };
      return { items: [grant('p', 1, '/w'), grant(`old-${id}`, 1), grant(`new-${id}`, 2)] };
    },
  };
  const held = await heldGrants(api, [session('a'), session('broken'), session('b', 'closed')]);
  expect(held.map((one) => `${one.grant.id} ${one.session?.id ?? '-'}`)).toEqual(['p -', 'new-a a', 'old-a a']);
});

test('each session is asked once who is there, and one that does not answer has nobody', async () => {
  const asked: string[] = [];
  const api = {
    async presence(id: string) {
      asked.push(id);
      if (id === 'b') throw new Error('gone');
      return { items: [{ client: 1, name: 'terminal', principal: 'owner', since: 0 }] };
    },
  };
  const found = await watchers(api, ['a', 'b', 'a']);
  expect(asked).toEqual(['a', 'b']);
  expect([found.get('a')?.length, found.get('b')?.length]).toEqual([1, 0]);
});
