import { describe, expect, test } from 'vitest';
import { type Loaded, Resource } from './resource';
import { fakeClock, settle } from './testing';

function counting() {
  let n = 0;
  return async () => ++n;
}

describe('a resource', () => {
  test('is asked for when somebody looks, again every so often, and no more when nobody does', async () => {
    const { clock, pass } = fakeClock();
    const load = counting();
    const resource = new Resource(load, { every: 1_000, clock, hidden: () => false });
    const seen: (number | undefined)[] = [];
    const leave = resource.subscribe(({ data }) => seen.push(data));
    await pass(2_500);
    expect(seen.at(-1)).toBe(3);
    leave();
    leave();
    await pass(10_000);
    expect(await load()).toBe(4);
  });

  test('is not asked for while the page is hidden', async () => {
    const { clock, pass } = fakeClock();
    let hidden = true;
    const resource = new Resource(counting(), { every: 1_000, clock, hidden: () => hidden });
    let last: Loaded<number> | undefined;
    resource.subscribe((loaded) => (last = loaded));
    await pass(5_500);
    expect(last?.data).toBe(1);
    hidden = false;
    await pass(1_000);
    expect(last?.data).toBe(2);
  });

  test('keeps what it had when an attempt fails, and says why', async () => {
    const { clock, pass } = fakeClock();
    let fails = false;
    const resource = new Resource(async () => { if (fails) throw new Error('the daemon is gone'); return 'there'; }, { every: 1_000, clock, hidden: () => false });
    let last: Loaded<string> | undefined;
    resource.subscribe((loaded) => (last = loaded));
    await settle();
    fails = true;
    await pass(1_000);
    expect(last).toEqual({ data: 'there', problem: 'the daemon is gone', loading: false });
    fails = false;
    await pass(5_000);
    expect(last?.problem).toBe('');
  });

  test('that one answer is enough for is asked for again until there is one', async () => {
    const { clock, pass } = fakeClock();
    let asked = 0;
    const resource = new Resource(async () => { if (++asked < 3) throw new Error('not yet'); return asked; }, { clock, hidden: () => false });
    let last: Loaded<number> | undefined;
    resource.subscribe((loaded) => (last = loaded));
    await pass(60_000);
    expect([last?.data, asked]).toEqual([3, 3]);
  });

  test('takes no answer to a question that was asked anew meanwhile', async () => {
    const answers: ((value: string) => void)[] = [];
    const resource = new Resource(() => new Promise<string>((done) => answers.push(done)));
    let last: Loaded<string> | undefined;
    resource.subscribe((loaded) => (last = loaded));
    void resource.reload();
    answers[1]?.('new');
    await settle();
    answers[0]?.('old');
    await settle();
    expect(last).toEqual({ data: 'new', problem: '', loading: false });
  });
});
