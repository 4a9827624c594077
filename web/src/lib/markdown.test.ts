import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Block, type Inline, parse, safeHref } from './markdown';

const blocks = (text: string) => parse(text).map((piece) => piece.block);

function inlineText(inline: Inline): string {
  if ('text' in inline) return inline.text;
  return 'children' in inline ? inline.children.map(inlineText).join('') : '\n';
}

function hrefs(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(hrefs);
  if (typeof value !== 'object' || value === null) return [];
  const own = 'href' in value ? [String(value.href)] : [];
  return [...own, ...Object.values(value).flatMap(hrefs)];
}

describe('markdown', () => {
  test('knows what agents write', () => {
    expect(blocks('# Plan\n\nFix `a < b` &amp; **go**\\*\n\n```rust\nfn a() {}\n```\n\n---')).toEqual<Block[]>([
      { kind: 'heading', level: 1, children: [{ kind: 'text', text: 'Plan' }] },
      {
        kind: 'paragraph',
        children: [
          { kind: 'text', text: 'Fix ' },
          { kind: 'code', text: 'a < b' },
          { kind: 'text', text: ' & ' },
          { kind: 'strong', children: [{ kind: 'text', text: 'go' }] },
          { kind: 'text', text: '*' },
        ],
      },
      { kind: 'code', text: 'fn a() {}', language: 'rust' },
      { kind: 'rule' },
    ]);
  });

  test('knows lists, tasks, quotes and tables', () => {
    const [list, quote, table] = blocks('2. a\n3. b\n\n> q\n\n| x | y |\n|--|:-:|\n| 1 | **2** |');
    expect(list).toMatchObject({ kind: 'list', ordered: true, start: 2 });
    expect(quote).toMatchObject({ kind: 'quote', blocks: [{ kind: 'paragraph' }] });
    expect(table).toMatchObject({ kind: 'table', head: [{ align: undefined }, { align: 'center' }], rows: [[{}, { children: [{ kind: 'strong' }] }]] });
    expect(blocks('- [x] done\n- [ ] open')).toMatchObject([{ items: [{ checked: true }, { checked: false }] }]);
  });

  test('shows raw HTML as the text it is', () => {
    const html = '<script>alert(1)</script>\n\nHi <img src=x onerror=alert(1)> there <b>you</b>';
    const text = blocks(html).map((block) => ('children' in block ? block.children.map(inlineText).join('') : ''));
    expect(text).toEqual(['<script>alert(1)</script>', 'Hi <img src=x onerror=alert(1)> there <b>you</b>']);
  });

  test('follows no link but to the web and to mail', () => {
    for (const good of ['http://a', 'https://a/b?c#d', 'mailto:a@b']) expect(safeHref(good)).toBe(good);
    const bad = ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', ' javascript:x', 'data:text/html,x', 'file:///etc', '//a', '/s/x', 'vbscript:x', 'javascript:"http://x"', 'java\nscript:x', ''];
    for (const one of bad) expect(safeHref(one)).toBeUndefined();
    expect(hrefs(blocks('[a](javascript:alert(1)) ![b](data:x) <javascript:alert(1)> [c](https://c) https://d.e'))).toEqual(['https://c', 'https://d.e']);
    expect(inlineText((blocks('[a](file:///b)')[0] as { children: Inline[] }).children[0] as Inline)).toBe('[a](file:///b)');
  });

  test('takes any text, however deep, and makes no unsafe link of it', () => {
    const bits = fc.constantFrom('[a](', 'javascript:x', ')', '<', '>', '> ', '- ', '\n', '\n\n', '`', '```', '*', '**', '|', '&#106;', '&colon;', '![', ']', ': ', '    ', 'http://x');
    fc.assert(
      fc.property(fc.array(fc.oneof(bits, fc.string({ maxLength: 5 })), { maxLength: 60 }), (parts) => {
        for (const href of hrefs(parse(parts.join('')))) expect(safeHref(href)).toBe(href);
      }),
      { numRuns: 300 },
    );
    expect(() => parse('> '.repeat(500) + 'deep')).not.toThrow();
  });

  test('a growing text keeps the pieces that stay', () => {
    const text = 'One.\n\n- a\n- b\n\n```\ncode\n```\n\nTwo and more';
    let before = parse('');
    for (let end = 0; end <= text.length; end++) {
      const now = parse(text.slice(0, end), before);
      expect(now).toEqual(parse(text.slice(0, end)));
      before = now;
    }
    const after = parse(`${text} words`, before);
    expect(after.slice(0, 3).map((piece, i) => piece === before[i])).toEqual([true, true, true]);
  });
});

test('no component inserts HTML', () => {
  const directory = new URL('../ui/', import.meta.url);
  for (const file of readdirSync(directory)) {
    expect(readFileSync(new URL(file, directory), 'utf8'), file).not.toMatch(/@html|innerHTML|outerHTML|insertAdjacentHTML|srcdoc/);
  }
});
