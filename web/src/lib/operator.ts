/** Operator actions: what stands first, what is asked, and how a run reads. */

import type { OperatorAction, OperatorOutcome, OperatorRun } from './things';
import { duration } from './time';

/** The primary ones first, then those that only look, then those that change something. */
export function arranged(actions: OperatorAction[]): OperatorAction[] {
  const rank = (action: OperatorAction) => (action.primary ? 0 : action.mutating ? 2 : 1);
  return [...actions].sort((a, b) => rank(a) - rank(b));
}

/** Whether it is asked before it runs: what changes something always is. */
export function asks(action: OperatorAction): boolean {
  return action.mutating || action.confirm;
}

/** What runs before an action, by its name for people. */
export function firstRuns(action: OperatorAction, actions: OperatorAction[]): string | undefined {
  return action.before && (actions.find((one) => one.name === action.before)?.label ?? action.before);
}

/** The newest run of each action. */
export function latest(runs: OperatorRun[]): Map<string, OperatorRun> {
  const newest = new Map<string, OperatorRun>();
  for (const run of runs) if ((newest.get(run.action)?.run ?? -1) < run.run) newest.set(run.action, run);
  return newest;
}

export function ended(outcome: OperatorOutcome | undefined): { text: string; good: boolean } {
  if (!outcome) return { text: 'running', good: true };
  const took = duration(outcome.duration_ms);
  if (outcome.error) return { text: `${outcome.error}, ${took}`, good: false };
  return { text: outcome.exit_code === 0 ? `done, ${took}` : `exit code ${outcome.exit_code ?? '?'}, ${took}`, good: outcome.exit_code === 0 };
}
