/** The standing permissions there are, wherever they are kept. */

import type { Api } from './api';
import type { Grant } from './things';
import type { Session } from './types';

/** A permission, and the session it is of; of a project, if of none. */
export interface Held {
  grant: Grant;
  session: Session | undefined;
}

/** Of how many sessions it is asked: those that something moved last. */
export const MAX_ASKED = 40;

/** Those of projects first, then those of sessions that are not over; the newest first in each. */
export async function heldGrants(api: Pick<Api, 'grants'>, sessions: Session[]): Promise<Held[]> {
  const asked = sessions.filter((session) => session.state !== 'closed').slice(0, MAX_ASKED);
  const [projects, ...own] = await Promise.all([api.grants(), ...asked.map((session) => api.grants(session.id).catch(() => ({ items: [] as Grant[] })))]);
  const known = new Set(projects.items.map((grant) => grant.id));
  const ofSessions = own.flatMap((page, i) => page.items.filter((grant) => !known.has(grant.id) && !grant.project).map((grant) => ({ grant, session: asked[i] })));
  const newest = (a: Held, b: Held) => b.grant.at - a.grant.at;
  return [...projects.items.map((grant) => ({ grant, session: undefined })).sort(newest), ...ofSessions.sort(newest)];
}
