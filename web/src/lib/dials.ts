/** What an agent can be set to, as dials of one kind. */

import type { AgentSettings, Available } from './things';

export interface Dial {
  /** Where it is set: the mode, the model, or an option by its id. */
  target: 'mode' | 'model' | { option: string };
  name: string;
  /** Its values; none where it is on or off. */
  available: Available[];
  value: string | boolean | undefined;
  /** It was chosen, and the agent has not answered yet. */
  pending: boolean;
}

/** The ones that can be turned. Modes and models are options too with some agents; each stands here once. */
export function dials(settings: AgentSettings): Dial[] {
  const found: Dial[] = [];
  for (const target of ['mode', 'model'] as const) {
    const { available = [], current, chosen } = settings[target] ?? {};
    if (available.length > 1) found.push({ target, name: target === 'mode' ? 'Mode' : 'Model', available, value: chosen ?? current, pending: chosen !== undefined && chosen !== current });
  }
  const taken = new Set(found.map((dial) => dial.available.map((one) => one.id).join('\n')));
  for (const { id, name, available = [], current, chosen } of settings.options ?? []) {
    if (available.length === 1 || (available.length > 1 && taken.has(available.map((one) => one.id).join('\n')))) continue;
    found.push({ target: { option: id }, name, available, value: chosen ?? current, pending: chosen !== undefined && chosen !== current });
  }
  return found;
}
