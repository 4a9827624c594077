/** Code as pieces that are drawn in different ways. The languages come in a file of their own, once some code is shown. */

/** What a piece is, as far as it is drawn differently. */
export type Kind = 'keyword' | 'string' | 'number' | 'comment' | 'name' | 'added' | 'removed';

export interface Piece {
  text: string;
  kind: Kind | undefined;
}

/** Longer code is shown as it is: nobody waits for its colours. */
export const MAX_CHARS = 50_000;

/** Undefined where nobody knows the language, or the code is too long. */
export async function highlight(text: string, language: string): Promise<Piece[] | undefined> {
  if (language === '' || text.length > MAX_CHARS) return undefined;
  const { tree } = await import('./languages');
  const root = tree(text, language);
  return root && flatten(root.children, undefined);
}

/** The part of a syntax tree that is read here. */
export type Node = { type: 'text'; value: string } | { type: 'element'; properties: { className?: unknown }; children: Node[] };

/** The innermost name that means something counts; neighbours of one kind are one piece. */
export function flatten(nodes: Node[], kind: Kind | undefined, pieces: Piece[] = []): Piece[] {
  for (const node of nodes) {
    if (node.type === 'element') flatten(node.children, kindOf(node.properties.className) ?? kind, pieces);
    else {
      const last = pieces.at(-1);
      if (last && last.kind === kind) last.text += node.value;
      else pieces.push({ text: node.value, kind });
    }
  }
  return pieces;
}

function kindOf(names: unknown): Kind | undefined {
  if (!Array.isArray(names)) return undefined;
  return names.map((name) => KINDS[String(name).replace(/^hljs-/, '')]).find(Boolean);
}

const KINDS: Record<string, Kind> = {
  keyword: 'keyword',
  'selector-tag': 'keyword',
  'template-tag': 'keyword',
  section: 'keyword',
  string: 'string',
  regexp: 'string',
  link: 'string',
  'meta-string': 'string',
  number: 'number',
  literal: 'number',
  symbol: 'number',
  bullet: 'number',
  comment: 'comment',
  quote: 'comment',
  meta: 'comment',
  title: 'name',
  name: 'name',
  attr: 'name',
  attribute: 'name',
  addition: 'added',
  deletion: 'removed',
};
