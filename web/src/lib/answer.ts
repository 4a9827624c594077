/** Answering requests: what a key means, what a form asks, how an outcome reads. */

import { type Api, type Once, Problem, reason } from './api';
import type { Feed } from './feed';
import { who } from './text';
import type { Answer, Ask, Closed, Option } from './types';

/** What became of an answer: the request's outcome, be it ours or one that was faster, or why there is none. */
export type Sent = { closed: Closed | undefined; problem?: undefined } | { problem: string };

export async function send(api: Api, feed: Feed, once: Once, request: string, body: Answer): Promise<Sent> {
  try {
    const view = await api.answer(request, body, once.key(body));
    once.done();
    feed.putRequest(view);
    return { closed: view.closed };
  } catch (error) {
    once.done(error);
    const winner = error instanceof Problem && error.code === 'request_closed' ? (error.body.closed as Closed | undefined) : undefined;
    return winner ? { closed: winner } : { problem: reason(error) };
  }
}

/** The option that a swipe to the right, or to the left, chooses. */
export function swiped(ask: Ask, side: 'allow' | 'deny'): Option | undefined {
  return ask.options?.find((option) => option.kind === (side === 'allow' ? 'allow_once' : 'reject_once'));
}

/** Options in the order a card shows them: as the agent gave them, those that allow before those that refuse. */
export function ordered(options: Option[]): Option[] {
  return [...options].sort((a, b) => RANK[a.kind] - RANK[b.kind]);
}

export function allows(option: Option): boolean {
  return option.kind === 'allow_once' || option.kind === 'allow_always';
}

export function refuses(option: Option): boolean {
  return option.kind === 'reject_once' || option.kind === 'reject_always';
}

/** What an option means, whatever the agent calls it. */
export const MEANING: Record<Option['kind'], string> = {
  allow_once: 'Allows this once',
  allow_always: 'Allows this from now on',
  reject_once: 'Refuses this once',
  reject_always: 'Refuses this from now on',
  choice: '',
};

/** Whether an answer wants a second step: what allows something of high risk is never one slip of a finger away. */
export function wantsSecondStep(ask: Ask, option: Option): boolean {
  return ask.risk?.level === 'high' && !refuses(option);
}

/** How kinds of harm read. */
export const MARK = {
  destructive: 'destructive',
  network: 'network',
  credential: 'credentials',
  outside_workspace: 'outside the workspace',
} as const;

/** What a key does on a card that itself has the focus. */
export type KeyAction = { do: 'choose'; option: Option } | { do: 'reply' } | { do: 'session' };

export function keyAction(key: string, options: Option[]): KeyAction | undefined {
  const shown = ordered(options);
  const first = (kind: Option['kind']) => shown.find((option) => option.kind === kind);
  const digit = /^[1-9]$/.test(key) ? shown[Number(key) - 1] : undefined;
  const option = digit ?? (key === 'a' ? first('allow_once') : key === 'A' ? first('allow_always') : key === 'd' ? first('reject_once') : undefined);
  if (option) return { do: 'choose', option };
  // The agent offers nothing that lasts: a rule for the session may.
  if (key === 'A') return { do: 'session' };
  return key === 'r' ? { do: 'reply' } : undefined;
}

/** The line a settled card shows: `Allowed by phone: Allow once`. */
export function outcomeText(ask: Ask, closed: Closed): string {
  const by = who(closed.by);
  switch (closed.outcome) {
    case 'answered': {
      const option = ask.options?.find((one) => one.id === closed.answer?.option);
      const did = option && allows(option) ? 'Allowed' : option && refuses(option) ? 'Denied' : 'Answered';
      return option ? `${did} by ${by}: ${option.name}` : `${did} by ${by}`;
    }
    case 'expired':
      return 'Expired without an answer';
    case 'cancelled':
      return by === 'the agent' || by === 'trunkline' ? 'No longer asked' : `Taken back by ${by}`;
    case 'superseded':
      return 'Asked again in another form';
  }
}

export interface Field {
  name: string;
  label: string;
  help: string | undefined;
  type: 'text' | 'number' | 'boolean' | 'choice';
  choices: string[];
  required: boolean;
  initial: string;
}

/** The fields of a flat JSON Schema; undefined if it is not flat, and must be answered as JSON. */
export function fields(schema: unknown): Field[] | undefined {
  const properties = (schema as { properties?: unknown } | undefined)?.properties;
  if (typeof properties !== 'object' || properties === null) return undefined;
  const required = (schema as { required?: unknown }).required;
  const needs = new Set(Array.isArray(required) ? required : []);
  const found: Field[] = [];
  for (const [name, value] of Object.entries(properties as Record<string, Record<string, unknown> | null>)) {
    const type = fieldType(value ?? {});
    if (!type) return undefined;
    const text = (member: string) => (typeof value?.[member] === 'string' ? (value[member] as string) : undefined);
    found.push({
      name,
      label: text('title') ?? name,
      help: text('description'),
      type,
      choices: type === 'choice' ? (value?.enum as unknown[]).map(String) : [],
      required: needs.has(name),
      initial: value?.default === undefined ? '' : String(value.default),
    });
  }
  return found;
}

/** The object a filled form stands for. Empty fields are left out. */
export function filled(fields: Field[], values: Record<string, string>): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const field of fields) {
    const value = values[field.name] ?? field.initial;
    if (field.type === 'boolean') object[field.name] = value === 'true';
    else if (value !== '') object[field.name] = field.type === 'number' ? Number(value) : value;
  }
  return object;
}

function fieldType(schema: Record<string, unknown>): Field['type'] | undefined {
  if (Array.isArray(schema.enum) && schema.enum.every((one) => typeof one === 'string')) return 'choice';
  switch (schema.type) {
    case 'string':
      return 'text';
    case 'number':
    case 'integer':
      return 'number';
    case 'boolean':
      return 'boolean';
    default:
      return undefined;
  }
}

const RANK: Record<Option['kind'], number> = { allow_once: 0, allow_always: 1, choice: 2, reject_once: 3, reject_always: 4 };
