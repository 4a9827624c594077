import { expect, test } from 'vitest';
import { answer, read, shown } from './pushed';

const message = { title: 'bot asks', body: 'Which port?', path: '/r/1', tag: '1', answer: { path: '/a/x', options: [{ id: 'b', name: '8080' }] } };

test('a message becomes a notification with a button for each answer', () => {
  const told = read(JSON.stringify(message));
  expect(told).toEqual(message);
  expect(shown(told)).toEqual({ body: 'Which port?', tag: '1', icon: '/icon-192.png', data: { path: '/r/1', answer: '/a/x' }, actions: [{ action: 'b', title: '8080' }] });
  expect(shown(read('{"title":"t"}'))).toMatchObject({ data: { path: '/' }, actions: [] });
});

test('what is no message of ours leads nowhere else', () => {
  expect(read('nonsense')).toMatchObject({ title: 'Trunkline', path: '/' });
  for (const path of ['https://elsewhere.example/', '//elsewhere.example/', 'javascript:alert(1)', 7]) expect(read(JSON.stringify({ ...message, path })).path).toBe('/');
  expect(read(JSON.stringify({ ...message, answer: { path: '//elsewhere.example', options: [] } })).answer).toBeUndefined();
});

test('an answer is sent without a token, and what is not taken is told', async () => {
  const sent: [string, RequestInit | undefined][] = [];
  const say = (response: () => Response) => (async (path: string, init?: RequestInit) => {
    sent.push([path, init]);
    return response();
  }) as typeof fetch;
  expect(await answer('/a/x', 'b', say(() => new Response('{}')))).toBeUndefined();
  expect(sent[0]).toEqual(['/a/x', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"option":"b"}', credentials: 'omit' }]);
  expect(await answer('/a/x', 'b', say(() => new Response('{"detail":"ana was first"}', { status: 409 })))).toBe('ana was first');
  expect(await answer('/a/x', 'b', say(() => new Response('<', { status: 502 })))).toBe('The daemon said 502.');
  const away = say(() => {
    throw new TypeError('no route');
  });
  expect(await answer('/a/x', 'b', away)).toMatch('not reached');
});
