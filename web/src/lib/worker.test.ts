import { expect, test } from 'vitest';
import { plan } from './worker';

test('the page is kept, and nothing that the daemon says', () => {
  const origin = 'http://127.0.0.1:7433';
  const say = (path: string, more: object = {}) => plan({ method: 'GET', url: path.startsWith('http') ? path : origin + path, mode: 'cors', ...more }, origin, ['/icon.svg']);
  const navigate = { mode: 'navigate' };
  expect([say('/', navigate), say('/s/abc', navigate), say('/settings?x', navigate)]).toEqual(['shell', 'shell', 'shell']);
  expect([say('/assets/index-abc.js'), say('/icon.svg')]).toEqual(['asset', 'file']);
  for (const path of ['/v1/sessions', '/v1/feed?after=1', '/api/sessions', '/mcp', '/a/x', '/health', '/.well-known/x']) expect([say(path), say(path, navigate)]).toEqual(['pass', 'pass']);
  expect([say('/', { ...navigate, method: 'POST' }), say('https://elsewhere.example/assets/x.js'), say('/other.txt')]).toEqual(['pass', 'pass', 'pass']);
});
