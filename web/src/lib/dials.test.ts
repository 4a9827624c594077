import { expect, test } from 'vitest';
import { dials } from './dials';

const values = (...ids: string[]) => ids.map((id) => ({ id, name: id.toUpperCase() }));

test('modes, models and options are dials, each once, with what was chosen before what is in force', () => {
  const found = dials({
    mode: { available: values('ask', 'auto'), current: 'ask', chosen: 'auto' },
    model: { available: values('small', 'large'), current: 'small' },
    options: [
      { id: 'mode', name: 'Mode', available: values('ask', 'auto'), current: 'ask' },
      { id: 'effort', name: 'Effort', available: values('low', 'high'), current: 'low' },
      { id: 'fast', name: 'Fast', current: false, chosen: false },
    ],
  });
  expect(found.map(({ name, value, pending }) => [name, value, pending])).toEqual([['Mode', 'auto', true], ['Model', 'small', false], ['Effort', 'low', false], ['Fast', false, false]]);
  expect(found.map((dial) => dial.target)).toEqual(['mode', 'model', { option: 'effort' }, { option: 'fast' }]);
});

test('what offers no choice is no dial', () => {
  expect(dials({ mode: { available: values('only'), current: 'only' }, model: {}, options: [{ id: 'x', name: 'X', available: values('one') }] })).toEqual([]);
  expect(dials({})).toEqual([]);
});
