/** Notifications of the desktop, by the browser. */

import { phrase } from './inbox';
import { requestPath } from './router';
import type { RequestView } from './types';

export type Permission = 'granted' | 'denied' | 'default' | 'unsupported';

export function permission(): Permission {
  return 'Notification' in globalThis ? Notification.permission : 'unsupported';
}

/** Asks the person, through the browser. */
export async function askPermission(): Promise<Permission> {
  return 'Notification' in globalThis ? await Notification.requestPermission() : 'unsupported';
}

/** What a notification says: the agent, and what it wants. */
export function words(request: RequestView): { title: string; body: string } {
  const { wants, what } = phrase(request);
  const risk = request.risk && request.risk.level !== 'low' ? `${request.risk.level} risk` : '';
  return { title: `${request.agent} ${wants}`, body: [what, risk].filter(Boolean).join('\n') };
}

/** Shows one. A worker's goes on when the page is gone, and phones know no other. */
export async function notify(request: Pick<RequestView, 'id'> & RequestView, onclick: () => void): Promise<void> {
  if (permission() !== 'granted') return;
  const { title, body } = words(request);
  const options = { body, tag: request.id, icon: '/icon-192.png', data: { path: requestPath(request.id) } };
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker?.active) return worker.showNotification(title, options);
  const shown = new Notification(title, options);
  shown.onclick = () => {
    window.focus();
    onclick();
    shown.close();
  };
}

/** Shows one now, and says whether the browser took it. */
export async function test(): Promise<string> {
  const options = { body: 'This is what one looks like.', tag: 'test', icon: '/icon-192.png' };
  try {
    const worker = await navigator.serviceWorker?.getRegistration();
    if (worker?.active) await worker.showNotification('Trunkline', options);
    else new Notification('Trunkline', options);
    return 'The browser took it. If nothing was to be seen, the system holds it back.';
  } catch (error) {
    return `The browser refused: ${error instanceof Error ? error.message : String(error)}`;
  }
}
