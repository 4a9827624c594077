import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asTexts, brief, direction, elements, isJson, joined, members, pretty, withText } from './raw';

describe('JSON as text', () => {
  test('is cut into what it is made of, and laid out, as JSON itself would', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 1, 3), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(JSON.parse(pretty(text))).toEqual(JSON.parse(text));
        expect(pretty(text)).toBe(JSON.stringify(JSON.parse(text), null, 2));
        if (Array.isArray(value)) expect(elements(text).map((one) => JSON.parse(one))).toEqual(JSON.parse(text));
        else if (typeof value === 'object' && value !== null) expect([...members(text)].map(([name, one]) => [name, JSON.parse(one)])).toEqual(Object.entries(JSON.parse(text)));
        else expect([elements(text), members(text).size]).toEqual([[], 0]);
      }),
    );
  });

  test('keeps numbers that no page could hold', () => {
    const text = '{"big": 123456789012345678901234567890, "exact": 1.10, "huge": 1e400}';
    expect(pretty(text)).toBe('{\n  "big": 123456789012345678901234567890,\n  "exact": 1.10,\n  "huge": 1e400\n}');
    expect(members(text).get('huge')).toBe('1e400');
  });

  test('is taken out of an answer, and put into a body, as it stands', () => {
    expect(withText('{"key":"a","value": {"n": 1.0},"revision":3}', 'value')).toEqual({ key: 'a', value: '{"n": 1.0}', revision: 3 });
    expect(asTexts('{"items":[{"id":1,"data":"x"},{"id":2,"data":[1e400]}],"next":"7"}', 'data')).toEqual({ items: [{ id: 1, data: '"x"' }, { id: 2, data: '[1e400]' }], next: '7' });
    expect([joined('value', '1.0', {}), joined('value', '[1e400]', { owner: 'ana', ttl_ms: undefined })]).toEqual(['{"value":1.0}', '{"value":[1e400],"owner":"ana"}']);
  });

  test('is brief where there is little room, with letters and no escapes', () => {
    expect(brief('{"a": [1, 2],\n "b": "caf\\u00e9"}', 80)).toBe('{"a": [1, 2], "b": "café"}');
    expect(brief('"\\u0645\\u0631\\u062d\\u0628\\u0627"', 80)).toBe('\u2068"مرحبا"\u2069');
    expect([direction('"مرحبا"'), direction(' {"مرحبا": 1}')]).toEqual(['auto', 'ltr']);
    expect(brief('"abcdefgh"', 5)).toBe('"abcd…');
    expect(brief('"ab🚀🚀"', 4)).toBe('"ab…');
    expect(brief(`"${'x'.repeat(1 << 20)}"`, 10)).toBe(`"${'x'.repeat(9)}…`);
    expect(brief(JSON.stringify(Array.from({ length: 1_000_000 }, () => 1)), 7)).toBe('[1, 1, …');
  });

  test('is told from what is none', () => {
    expect(['{"a":1}', '42', '"x"', '', 'done', '{"a":1,}'].map(isJson)).toEqual([true, true, true, false, false, false]);
  });
});
