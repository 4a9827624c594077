import { expect, test } from 'vitest';
import { browserOf } from './push';

test.each([
  ['fcm.googleapis.com', 'Chrome or a browser like it'],
  ['updates.push.services.mozilla.com', 'Firefox'],
  ['web.push.apple.com', 'Safari'],
  ['wns2-by3p.notify.windows.com', 'Edge'],
  ['127.0.0.1:4711', '127.0.0.1'],
  ['evil-googleapis.com', 'evil-googleapis.com'],
])('%s is the service of %s', (service, browser) => {
  expect(browserOf(service)).toBe(browser);
});
