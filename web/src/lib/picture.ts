/** Pictures in content blocks. They come with their bytes; nothing is fetched for them. */

import type { Block } from './types';

export interface Picture {
  /** A `data:` address. */
  src: string;
  alt: string;
}

/** What browsers draw and what cannot bring anything else along. */
const KINDS = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif']);
/** How many characters of base64 one may have. */
export const MAX_PICTURE = 16 << 20;

export function picture(block: Block | null | undefined): Picture | undefined {
  if (block?.type !== 'image' || typeof block.data !== 'string' || !KINDS.has(block.mimeType ?? '')) return undefined;
  if (block.data.length > MAX_PICTURE || !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(block.data)) return undefined;
  return { src: `data:${block.mimeType};base64,${block.data}`, alt: block.uri ? `Picture ${block.uri}` : 'Picture from the agent' };
}

export function pictures(blocks: unknown): Picture[] {
  return Array.isArray(blocks) ? blocks.flatMap((block) => picture(block as Block) ?? []) : [];
}
