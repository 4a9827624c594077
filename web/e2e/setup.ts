/** Starts a daemon for the specs that need any, unless `TRUNKLINE_LINK` points to one that runs already. */

import { Daemon } from './daemon';

export default async function setup(): Promise<() => Promise<void>> {
  if (process.env.TRUNKLINE_LINK) return async () => undefined;
  const daemon = await Daemon.start();
  process.env.TRUNKLINE_LINK = daemon.link();
  return () => daemon.end();
}
