import { expect, test } from 'vitest';
import { mayAdmin, mayOperate } from './access';

test.each([
  [undefined, true, true],
  ['admin', true, true],
  ['operator', true, false],
  ['viewer', false, false],
  [{ agent: '0190' }, false, false],
] as const)('%o: operates %s, administers %s', (scope, operates, administers) => {
  const me = scope === undefined ? undefined : { scope };
  expect([mayOperate(me), mayAdmin(me)]).toEqual([operates, administers]);
});
