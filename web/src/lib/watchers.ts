/** Who has which sessions open, for the rows of the inbox. */

import type { Api } from './api';
import type { Client } from './things';

/** Of how many sessions it is asked at a time. */
export const MAX_WATCHED = 20;

/** A session that cannot be asked about has nobody, as far as anybody can tell. */
export async function watchers(api: Pick<Api, 'presence'>, sessions: Iterable<string>): Promise<Map<string, Client[]>> {
  const asked = [...new Set(sessions)].slice(0, MAX_WATCHED);
  const answers = await Promise.all(asked.map((id) => api.presence(id).then((page) => page.items, () => [])));
  return new Map(asked.map((id, i) => [id, answers[i] ?? []]));
}
