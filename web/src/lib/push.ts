/** Notifications of this device by Web Push: also while no page is open. */

import type { Api } from './api';
import type { Push, PushDevice } from './things';

/** Whether this browser can be told so. It takes a service worker, which wants HTTPS or localhost. */
export function canPush(): boolean {
  return 'serviceWorker' in navigator && 'PushManager' in globalThis;
}

/** Subscribes with the browser's service, and has the daemon tell it. */
export async function subscribe(api: Pick<Api, 'push' | 'addPushDevice'>): Promise<PushDevice> {
  const { key } = await api.push();
  const { pushManager } = await navigator.serviceWorker.ready;
  const before = await pushManager.getSubscription();
  // One that was made for another daemon's key takes nothing from this one.
  if (before && encode(before.options.applicationServerKey) !== key) await before.unsubscribe();
  const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint = '', keys = {} } = made.toJSON();
  return api.addPushDevice({ endpoint, keys });
}

/** Has the daemon tell this device no more, and gives the subscription back. */
export async function unsubscribe(api: Pick<Api, 'removePushDevice'>, id: string): Promise<void> {
  const registration = await navigator.serviceWorker.getRegistration();
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
  await api.removePushDevice(id);
}

/** Which of the devices that are told this one is. */
export function own(push: Push | undefined, id: string | undefined): PushDevice | undefined {
  return push?.devices.find((device) => device.id === id);
}

/** Whose browser a device is, by the host of its service: `fcm.googleapis.com` → “Chrome or a browser like it”. */
export function browserOf(service: string): string {
  const host = service.replace(/:\d+$/, '');
  const ends = (name: string) => host === name || host.endsWith(`.${name}`);
  if (ends('mozilla.com')) return 'Firefox';
  if (ends('push.apple.com')) return 'Safari';
  if (ends('windows.com')) return 'Edge';
  if (ends('googleapis.com') || ends('google.com')) return 'Chrome or a browser like it';
  return host;
}

function encode(bytes: ArrayBuffer | null): string {
  const text = String.fromCharCode(...new Uint8Array(bytes ?? new ArrayBuffer(0)));
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
