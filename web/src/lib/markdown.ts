/**
 * Markdown as a tree that components draw.
 *
 * No HTML is made anywhere: raw HTML in a text is shown as the text it is, pictures are links, and links go to http,
 * https and mailto only. So nothing an agent writes can run or load anything.
 */

import { marked } from 'marked';
import type { Token, Tokens } from 'marked';

export type Inline =
  | { kind: 'text' | 'code'; text: string }
  | { kind: 'strong' | 'em' | 'del'; children: Inline[] }
  | { kind: 'link'; href: string; children: Inline[] }
  | { kind: 'break' };

export type Block =
  | { kind: 'paragraph'; children: Inline[] }
  | { kind: 'heading'; level: number; children: Inline[] }
  | { kind: 'code'; text: string; language: string }
  | { kind: 'quote'; blocks: Block[] }
  | { kind: 'list'; ordered: boolean; start: number; items: { checked: boolean | undefined; blocks: Block[] }[] }
  | { kind: 'table'; head: Cell[]; rows: Cell[][] }
  | { kind: 'rule' };

export interface Cell {
  align: 'left' | 'center' | 'right' | undefined;
  children: Inline[];
}

/** A block with the text it came from. */
export interface Piece {
  raw: string;
  block: Block;
}

/** How deep quotes and lists may nest; what is deeper is shown as it was written. */
const MAX_DEPTH = 20;

/**
 * Parses a text. While it grows, most of it stays as it was: a piece whose text is the same as in `before` is the same
 * object, so nothing of it is drawn anew.
 */
export function parse(text: string, before: Piece[] = []): Piece[] {
  const pieces: Piece[] = [];
  for (const token of marked.lexer(text, { gfm: true, breaks: false })) {
    if (token.type === 'space' || token.type === 'def') continue;
    const known = before[pieces.length];
    // A reference like [name] means what its definition elsewhere says, so only pieces without brackets are certain.
    if (known?.raw === token.raw && !token.raw.includes('[')) pieces.push(known);
    else for (const block of blocks([token], 0)) pieces.push({ raw: token.raw, block });
  }
  return pieces;
}

/** The address if a link may go there. */
export function safeHref(href: string): string | undefined {
  return /^(?:https?:\/\/|mailto:)/i.test(href) ? href : undefined;
}

function blocks(tokens: Token[], depth: number): Block[] {
  return tokens.flatMap((token): Block[] => {
    if (depth > MAX_DEPTH) return [{ kind: 'paragraph', children: [{ kind: 'text', text: token.raw }] }];
    switch (token.type) {
      case 'space':
      case 'def':
        return [];
      case 'heading':
        return [{ kind: 'heading', level: (token as Tokens.Heading).depth, children: inlines(inner(token) ?? []) }];
      case 'code':
        return [{ kind: 'code', text: token.text, language: ((token as Tokens.Code).lang ?? '').split(/\s/, 1)[0] ?? '' }];
      case 'blockquote':
        return [{ kind: 'quote', blocks: blocks(inner(token) ?? [], depth + 1) }];
      case 'list':
        return [list(token as Tokens.List, depth)];
      case 'table':
        return [table(token as Tokens.Table)];
      case 'hr':
        return [{ kind: 'rule' }];
      case 'html':
        return [{ kind: 'paragraph', children: [{ kind: 'text', text: token.raw.trimEnd() }] }];
      default:
        return [{ kind: 'paragraph', children: inlines(inner(token) ?? [token]) }];
    }
  });
}

function list(token: Tokens.List, depth: number): Block {
  const items = token.items.map((item) => ({
    checked: item.task ? Boolean(item.checked) : undefined,
    blocks: blocks(
      item.tokens.filter((inner) => inner.type !== 'checkbox'),
      depth + 1,
    ),
  }));
  return { kind: 'list', ordered: token.ordered, start: token.start === '' ? 1 : token.start, items };
}

function table(token: Tokens.Table): Block {
  const cell = ({ tokens, align }: Tokens.TableCell): Cell => ({ align: align ?? undefined, children: inlines(tokens) });
  return { kind: 'table', head: token.header.map(cell), rows: token.rows.map((row) => row.map(cell)) };
}

function inlines(tokens: Token[], depth = 0): Inline[] {
  return tokens.flatMap((token): Inline[] => {
    if (depth > MAX_DEPTH) return [{ kind: 'text', text: token.raw }];
    const children = () => inlines(inner(token) ?? [], depth + 1);
    switch (token.type) {
      case 'strong':
      case 'em':
      case 'del':
        return [{ kind: token.type, children: children() }];
      case 'codespan':
        return [{ kind: 'code', text: token.text }];
      case 'br':
        return [{ kind: 'break' }];
      case 'checkbox':
        return [];
      case 'link':
        return link(token.href, children(), token.raw);
      case 'image':
        return link(token.href, [{ kind: 'text', text: token.text || 'image' }], token.raw);
      case 'escape':
        return [{ kind: 'text', text: token.text }];
      case 'text':
        return inner(token) ? children() : [{ kind: 'text', text: entities(token.text) }];
      default:
        return [{ kind: 'text', text: token.raw }];
    }
  });
}

function inner(token: Token): Token[] | undefined {
  return 'tokens' in token ? token.tokens : undefined;
}

/** A link that may not be followed shows where it would have gone. */
function link(href: string, children: Inline[], raw: string): Inline[] {
  const safe = safeHref(href);
  if (safe) return [{ kind: 'link', href: safe, children }];
  return href.startsWith('#') ? children : [{ kind: 'text', text: raw }];
}

const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

function entities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]+));/gi, (whole, decimal, hex, name) => {
    if (name) return NAMED[name] ?? whole;
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  });
}
