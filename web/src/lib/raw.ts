/**
 * JSON as its text. What agents share may have numbers that are larger than those of JavaScript, and must be written back as
 * it came, so it is cut out of an answer and laid out anew without ever being turned into values.
 */

/** A JSON text. */
export type Raw = string;

const SPACE = ' \t\r\n';

/** The members of an object, each as it stands; none if it is no object. The text must be JSON. */
export function members(text: Raw): Map<string, Raw> {
  const found = new Map<string, Raw>();
  let at = skip(text, 0);
  if (text[at] !== '{') return found;
  at = skip(text, at + 1);
  while (at < text.length && text[at] !== '}') {
    const nameEnd = end(text, at);
    const from = skip(text, skip(text, nameEnd) + 1);
    const to = end(text, from);
    found.set(JSON.parse(text.slice(at, nameEnd)) as string, text.slice(from, to));
    at = after(text, to);
  }
  return found;
}

/** The elements of an array, each as it stands; none if it is no array. The text must be JSON. */
export function elements(text: Raw): Raw[] {
  const found: Raw[] = [];
  let at = skip(text, 0);
  if (text[at] !== '[') return found;
  at = skip(text, at + 1);
  while (at < text.length && text[at] !== ']') {
    const to = end(text, at);
    found.push(text.slice(at, to));
    at = after(text, to);
  }
  return found;
}

/** An object of which one member stays the text that it was. */
export function withText<T>(text: Raw, member: string): T {
  return { ...(JSON.parse(text) as T), [member]: members(text).get(member) ?? 'null' };
}

/** A page of such objects. */
export function asTexts<T extends { items: unknown[] }>(text: Raw, member: string): T {
  const items = elements(members(text).get('items') ?? '[]').map((item) => withText(item, member));
  return { ...(JSON.parse(text) as T), items };
}

/** An object with a member that is a text already; those that are undefined are left out. */
export function joined(member: string, value: Raw, rest: object): Raw {
  const others = JSON.stringify(rest).slice(1, -1);
  return `{${JSON.stringify(member)}:${value}${others === '' ? '' : `,${others}`}}`;
}

/** Whether a text is JSON. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Laid out for people, two spaces deep for each level. The text must be JSON. */
export function pretty(text: Raw): string {
  const out: string[] = [];
  let depth = 0;
  const line = () => out.push('\n', '  '.repeat(depth));
  for (let at = skip(text, 0); at < text.length; at = skip(text, at)) {
    const char = text[at] as string;
    if (char === '{' || char === '[') {
      const close = skip(text, at + 1);
      if (text[close] === '}' || text[close] === ']') {
        out.push(char, text[close] as string);
        at = close + 1;
        continue;
      }
      out.push(char);
      depth += 1;
      line();
      at += 1;
    } else if (char === '}' || char === ']') {
      depth -= 1;
      line();
      out.push(char);
      at += 1;
    } else if (char === ',') {
      out.push(',');
      line();
      at += 1;
    } else if (char === ':') {
      out.push(': ');
      at += 1;
    } else {
      const to = end(text, at);
      out.push(token(text, at, to));
      at = to;
    }
  }
  return out.join('');
}

/** On one line, cut off with an ellipsis where it is longer than this. */
export function brief(text: Raw, max: number): string {
  let out = '';
  for (let at = skip(text, 0); at < text.length && out.length <= max; at = skip(text, at)) {
    const char = text[at] as string;
    if ('{}[],:'.includes(char)) {
      out += char === ',' || char === ':' ? `${char} ` : char;
      at += 1;
    } else {
      const to = end(text, at);
      // A long text need not be read to its end to show its start.
      out += apart(to - at > 4 * max + 16 ? text.slice(at, at + max + 1) : token(text, at, to));
      at = to;
    }
  }
  return out.length > max ? `${whole(out, max)}…` : out;
}

/** Which way a value is written: a text as its letters say, anything else as JSON is, from the left to the right. */
export function direction(text: Raw): 'auto' | 'ltr' {
  return text.trimStart().startsWith('"') ? 'auto' : 'ltr';
}

/** A text without half of a character at its end. */
function whole(text: string, max: number): string {
  const code = text.charCodeAt(max - 1);
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? max - 1 : max);
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/** Set apart by isolates, so that letters that go from the right to the left do not turn around what stands beside them. */
function apart(word: string): string {
  return RIGHT_TO_LEFT.test(word) ? `\u2068${word}\u2069` : word;
}

/** A string with its letters in place of their escapes, anything else as it stands. */
function token(text: string, from: number, to: number): string {
  const raw = text.slice(from, to);
  return raw.startsWith('"') && raw.includes('\\') ? JSON.stringify(JSON.parse(raw)) : raw;
}

function skip(text: string, at: number): number {
  while (at < text.length && SPACE.includes(text[at] as string)) at += 1;
  return at;
}

/** Behind the comma, if one stands here. */
function after(text: string, at: number): number {
  const next = skip(text, at);
  return text[next] === ',' ? skip(text, next + 1) : next;
}

/** Where the value ends that begins here. */
function end(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return stringEnd(text, at);
  if (first !== '{' && first !== '[') {
    let to = at;
    while (to < text.length && !'{}[],:"'.includes(text[to] as string) && !SPACE.includes(text[to] as string)) to += 1;
    return Math.max(to, at + 1);
  }
  let depth = 0;
  for (let to = at; to < text.length; ) {
    const char = text[to];
    if (char === '"') {
      to = stringEnd(text, to);
      continue;
    }
    to += 1;
    if (char === '{' || char === '[') depth += 1;
    else if ((char === '}' || char === ']') && --depth === 0) return to;
  }
  return text.length;
}

function stringEnd(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text[quote - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
  return text.length;
}
