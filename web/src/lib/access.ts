/** What whoever has let this page in may do. The daemon decides; the page shows no form that it would refuse. */

import type { Me } from './things';

/** Whether they may prompt, answer and write. Until it is known they are taken for the owner, who mostly it is. */
export function mayOperate(me: Pick<Me, 'scope'> | undefined): boolean {
  return me === undefined || me.scope === 'operator' || me.scope === 'admin';
}

/** Whether they may let others in, and see who is. */
export function mayAdmin(me: Pick<Me, 'scope'> | undefined): boolean {
  return me === undefined || me.scope === 'admin';
}
