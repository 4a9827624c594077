import { expect, test } from 'vitest';
import { HANDOFF_PAGE, listHandoffs, ms, texts, timeline } from './handoff';
import type { Handoff, HandoffWhole } from './things';

const at = (second: number) => second * 1_000_000;

test('everything that has a time stands in one order', () => {
  const whole = {
    handoff: { id: 'h', agent_id: 'claude', status: 'completed', created: at(1), updated: at(9) },
    lanes: [
      { lane: { id: 'l', from_agent: 'claude', to_agent: 'codex', status: 'closed', context: {}, created: at(2), updated: at(8) }, said: [{ created: at(3), from_agent: 'codex', text: 'Which branch?' }, { created: at(5), from_agent: 'claude', text: 'main' }] },
    ],
    checkpoints: [{ id: 'c', agent_id: 'codex', created: at(4), automatic: true, snapshot: { head: 'abc' } }],
  } as unknown as HandoffWhole;
  expect(timeline(whole).map((moment) => `${moment.at / 1_000} ${moment.kind} ${moment.who}${moment.to ? ` to ${moment.to}` : ''} ${moment.text}`.trim())).toEqual([
    '1 saved claude',
    '2 lane claude to codex',
    '3 said codex Which branch?',
    '4 checkpoint codex at the end of a turn',
    '5 said claude main',
    '8 closed claude to codex',
    '9 changed claude completed',
  ]);
  expect(timeline(whole).map((moment) => moment.detail)).toEqual([undefined, undefined, undefined, { head: 'abc' }, undefined, undefined, undefined]);
});

test('a long list is read in pages, as far as somebody looks, each handoff once', async () => {
  const all = Array.from({ length: 120 }, (_, i) => ({ id: `h${i}` }) as Handoff);
  const api = {
    handoffs: async ({ cursor = '0' }: { cursor?: string | undefined }) => {
      // One was changed after the first page, so all others moved down.
      const from = Number(cursor) - (cursor === '0' ? 0 : 1);
      const to = from + HANDOFF_PAGE;
      return { items: all.slice(from, to), ...(to < all.length && { next: String(to) }) };
    },
  };
  const read = async (many: number) => listHandoffs(api, many).then(({ items, more }) => [items.length, more]);
  expect([await read(HANDOFF_PAGE), await read(2 * HANDOFF_PAGE), await read(1_000)]).toEqual([[50, true], [99, true], [120, false]]);
});

test('lists are texts, whatever an agent made of them', () => {
  expect([texts(['a', { text: 'b' }, { path: 'c' }, 4, { x: 1 }]), texts({ tests: 'pass' }), texts('one'), texts(null), texts('')]).toEqual([['a', 'b', 'c', '4', '{"x":1}'], ['tests: pass'], ['one'], [], []]);
  expect(ms(1_500_999)).toBe(1_500);
});
