/** The live edge: how close what one sees is to what happens. */

import type { OpenSession } from './feed';
import type { Link } from './sse';
import { count, until } from './time';

export interface Edge {
  state: 'live' | 'behind' | 'broken';
  text: string;
}

export function edge(link: Link, open: OpenSession | undefined, now: number): Edge {
  if (link.state === 'waiting') return { state: 'broken', text: `reconnecting in ${until(link.at, now)}` };
  if (open?.replay && !open.problem) {
    const { done, head } = open.replay;
    return { state: 'behind', text: head > 0 ? `replaying ${count(done)}/${count(head)}` : 'replaying' };
  }
  if (link.state === 'connecting') return { state: 'behind', text: 'connecting' };
  const missing = open?.transcript.missing ?? 0;
  if (missing > 0) return { state: 'broken', text: `gap of ${count(missing)} event${missing === 1 ? '' : 's'}` };
  return { state: 'live', text: 'live' };
}
