/**
 * Streams beside the page's one feed run only while somebody looks: a browser has six connections to a host for all of its
 * tabs together.
 */

export interface Live {
  start(): void;
  stop(): void;
  /** The network may be back: waits are cut short. */
  wake(): void;
}

/** The parts of a document and a window that are used here. */
export type Looked = Pick<Document, 'hidden'> & Pick<EventTarget, 'addEventListener' | 'removeEventListener'>;

const AWAKE = ['online', 'pageshow', 'focus'];

/** Runs it while the page is in sight; returns what ends that. */
export function whileSeen(live: Live, page: Looked = document, window: Pick<EventTarget, 'addEventListener' | 'removeEventListener'> = globalThis): () => void {
  let running = false;
  const look = () => {
    if (running === !page.hidden) return;
    running = !page.hidden;
    if (running) live.start();
    else live.stop();
  };
  const wake = () => {
    if (running) live.wake();
  };
  look();
  page.addEventListener('visibilitychange', look);
  for (const event of AWAKE) window.addEventListener(event, wake);
  return () => {
    page.removeEventListener('visibilitychange', look);
    for (const event of AWAKE) window.removeEventListener(event, wake);
    if (running) live.stop();
  };
}
