import { expect, test } from 'vitest';
import { presence, registryOrder } from './registry';
import type { RegisteredAgent } from './things';

const agent = (name: string, last_seen: number, more: Partial<RegisteredAgent> = {}): RegisteredAgent => ({ agent: name, capabilities: [], first_seen: 0, last_seen, present: true, ...more });

test('who may be counted on comes first, and is found by name or by what it can', () => {
  const all = [agent('old', 1), agent('gone', 9, { present: false }), agent('ana', 5, { capabilities: ['review', 'Deploy'] })];
  expect(registryOrder(all, '').map((one) => one.agent)).toEqual(['ana', 'old', 'gone']);
  expect([registryOrder(all, 'ANA deploy'), registryOrder(all, 'ana build')].map((found) => found.length)).toEqual([1, 0]);
});

test('presence says for how long, or since when', () => {
  const minute = 60_000;
  expect([
    presence(agent('a', 0, { until: 3 * minute }), minute),
    presence(agent('a', 0, { until: minute, present: false }), 5 * minute),
    presence(agent('a', minute), minute),
    presence(agent('a', 0), 2 * minute),
  ]).toEqual(['lease for 2 min', 'lease over, seen 5 min ago', 'seen just now', 'seen 2 min ago']);
});
