/** The registry of the bus, for people. */

import type { RegisteredAgent } from './things';
import { age, until } from './time';

/** Those that may be counted on first, the one that was seen last first among them. */
export function registryOrder(agents: RegisteredAgent[], query: string): RegisteredAgent[] {
  const words = query.toLowerCase().split(/\s+/);
  return agents
    .filter((one) => words.every((word) => [one.agent, ...one.capabilities].join(' ').toLowerCase().includes(word)))
    .sort((a, b) => Number(b.present) - Number(a.present) || b.last_seen - a.last_seen || (a.agent < b.agent ? -1 : 1));
}

/** Whether it may be counted on, and for how long. */
export function presence(agent: RegisteredAgent, now: number): string {
  const seen = age(agent.last_seen, now);
  if (agent.until !== undefined && agent.until > now) return `lease for ${until(agent.until, now)}`;
  if (agent.until !== undefined && !agent.present) return `lease over, seen ${ago(seen)}`;
  return `seen ${ago(seen)}`;
}

function ago(age: string): string {
  return age === 'now' ? 'just now' : `${age} ago`;
}
