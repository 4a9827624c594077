/** Content blocks, paths and principals as text. */

import type { Block } from './types';

/** A block as text (Markdown where a link is needed). What has no text is named in brackets. */
export function blockText(block: Block | null | undefined): string {
  switch (block?.type) {
    case 'text':
      return typeof block.text === 'string' ? block.text : '';
    case 'resource_link':
      return `[${block.name ?? block.uri ?? 'link'}](${block.uri ?? ''})`;
    case 'resource':
      return typeof block.resource?.text === 'string' ? block.resource.text : `[${block.resource?.uri ?? 'resource'}]`;
    case 'image':
    case 'audio':
      return `[${block.type}${block.mimeType ? `, ${block.mimeType}` : ''}]`;
    default:
      return block?.type ? `[${block.type}]` : '';
  }
}

export function blocksText(blocks: unknown): string {
  if (typeof blocks === 'string') return blocks;
  if (!Array.isArray(blocks)) return '';
  return blocks
    .map((block) => blockText(block as Block))
    .filter((text) => text !== '')
    .join('\n\n');
}

/** Who, for people: `token/phone` is `phone`. */
export function who(principal: string): string {
  if (principal.startsWith('token/')) return principal.slice(6);
  if (principal.startsWith('agent/')) return 'the agent';
  return principal;
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.replace(/\/+$/, '').split('/').at(-1) || path;
}

/** A number of bytes, for people: `3.2 MiB`. */
export function size(bytes: number): string {
  const [unit, per] = bytes < 1 << 20 ? ['KiB', 1 << 10] : ['MiB', 1 << 20];
  const n = bytes / (per as number);
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${unit}`;
}

/** A path as seen from a directory, if it lies in it. */
export function relative(path: string, directory: string | undefined): string {
  if (!directory) return path;
  const root = directory.endsWith('/') ? directory : `${directory}/`;
  return path.startsWith(root) ? path.slice(root.length) : path;
}

/** A sentence without the directory everybody knows. */
export function shorten(text: string, directory: string | undefined): string {
  return directory ? text.replaceAll(`${directory.replace(/\/$/, '')}/`, '') : text;
}

/** The first line, for places with room for one. */
export function firstLine(text: string): string {
  return text.trimStart().split('\n', 1)[0]?.trimEnd() ?? '';
}

/**
 * A text with every character visible that could hide another: control characters, zero-width ones, and those that
 * turn the direction of writing. For what a person is asked to allow.
 */
export function reveal(text: string): string {
  return text.replace(HIDDEN, (char) => {
    const code = char.codePointAt(0) as number;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

const HIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** `1 worker`, `2 workers`. */
export function inWords(n: number, thing: string): string {
  return `${n} ${thing}${n === 1 ? '' : 's'}`;
}
