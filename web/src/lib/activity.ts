/** What a session is at, in one line, from what lists tell. */

import { phrase } from './inbox';
import { firstLine } from './text';
import type { RequestView, Session, StopReason } from './types';

export interface Activity {
  text: string;
  tone: 'need' | 'work' | 'bad' | 'rest';
}

export function activity(session: Session, request: RequestView | undefined): Activity {
  const queued = session.queued > 0 ? `, ${session.queued} queued` : '';
  switch (session.state) {
    case 'waiting':
      return { text: request ? `${phrase(request).wants} ${phrase(request).what}` : 'waits for you', tone: 'need' };
    case 'running':
      return { text: `at work on turn ${session.turns + 1}${queued}`, tone: 'work' };
    case 'stopping':
      return { text: `is being stopped${queued}`, tone: 'work' };
    case 'failed':
      return { text: firstLine(session.last_error ?? '') || 'failed', tone: 'bad' };
    case 'closed':
      return { text: 'closed', tone: 'rest' };
    case 'idle':
      if (session.unseen) return { text: 'not heard of for two minutes', tone: 'bad' };
      if (session.reported) return { text: `says: ${session.reported}`, tone: 'rest' };
      if (session.turns === 0) return { text: 'nothing was asked yet', tone: 'rest' };
      return { text: `${ENDS[session.last_stop_reason ?? 'end_turn'] ?? 'done'} after ${session.turns} turn${session.turns === 1 ? '' : 's'}${queued}`, tone: 'rest' };
  }
}

const ENDS: Record<StopReason, string> = {
  end_turn: 'done',
  max_tokens: 'stopped at the token limit',
  max_turn_requests: 'stopped at the request limit',
  refusal: 'refused',
  cancelled: 'stopped',
  timeout: 'out of time',
  interrupted: 'interrupted',
  error: 'failed',
};

export interface SessionQuery {
  /** `all`, or one of the groups a person thinks in. */
  state: 'all' | 'needs' | 'running' | 'idle' | 'failed' | 'closed';
  agent: string;
  project: string;
  words: string;
}

export const EVERYTHING: SessionQuery = { state: 'all', agent: '', project: '', words: '' };

const GROUPS: Record<Exclude<SessionQuery['state'], 'all'>, (session: Session) => boolean> = {
  needs: (session) => session.pending > 0 || session.state === 'waiting',
  running: (session) => session.state === 'running' || session.state === 'stopping',
  idle: (session) => session.state === 'idle',
  failed: (session) => session.state === 'failed',
  closed: (session) => session.state === 'closed',
};

export function matches(session: Session, query: SessionQuery): boolean {
  const text = [session.title, session.agent, session.project, session.workspace, session.id].join(' ').toLowerCase();
  return (
    (query.state === 'all' || GROUPS[query.state](session)) &&
    (query.agent === '' || session.agent === query.agent) &&
    (query.project === '' || projectOf(session) === query.project) &&
    query.words.toLowerCase().split(/\s+/).every((word) => text.includes(word))
  );
}

/** How many sessions each state group has, among those the rest of the query leaves. */
export function tallies(sessions: Session[], query: SessionQuery): Record<SessionQuery['state'], number> {
  const rest = sessions.filter((session) => matches(session, { ...query, state: 'all' }));
  const count = (state: Exclude<SessionQuery['state'], 'all'>) => rest.filter(GROUPS[state]).length;
  return { all: rest.length, needs: count('needs'), running: count('running'), idle: count('idle'), failed: count('failed'), closed: count('closed') };
}

export function projectOf(session: Session): string {
  return session.project ?? session.workspace ?? '';
}
