/**
 * Streams beside the page's one feed run only while somebody looks: a browser has six connections to a host for all of its
 * tabs together.
 */

export interface Live {
  start(): void;
  stop(): void;
}

/** The part of a document that is used here. */
export type Looked = Pick<Document, 'hidden' | 'addEventListener' | 'removeEventListener'>;

/** Runs it while the page is in sight; returns what ends that. */
export function whileSeen(live: Live, page: Looked = document): () => void {
  let running = false;
  const look = () => {
    if (running === !page.hidden) return;
    running = !page.hidden;
    if (running) live.start();
    else live.stop();
  };
  look();
  page.addEventListener('visibilitychange', look);
  return () => {
    page.removeEventListener('visibilitychange', look);
    if (running) live.stop();
  };
}
