/** What agents share after a day's work: an inhabited bus, with names of all scripts and values of all sizes. */

type Call = <T>(method: string, path: string, body?: unknown) => Promise<T>;

/** The topic and the keys that tests and pictures go to. */
export const TOPIC = 'build.app.done';
export const KEY = 'build.status';

export async function share(call: Call, plain = false): Promise<void> {
  const part = encodeURIComponent;
  const say = (text: string) => (plain ? text.replace(/[\p{Extended_Pictographic}\u200d]/gu, '').trim() : text);
  const put = (namespace: string, key: string, value: unknown, more: object = {}) => call('PUT', `/v1/kv/${part(namespace)}/keys/${part(key)}`, { value, ...more });
  const register = (agent: string, body: object) => call('PUT', `/v1/agents/${part(agent)}`, body);
  const publish = (topic: string, data: unknown, agent?: string) => call('POST', `/v1/topics/${part(topic)}/messages`, agent === undefined ? { data } : { data, agent });

  await register('ana', { capabilities: ['review', 'deploy'], lease_ms: 20 * 60_000, metadata: { host: 'build-3', model: 'large', queue: { depth: 2, oldest_s: 14 } } });
  await register('المراجع', { capabilities: ['مراجعة', 'translate'] });
  await register(say('astronaut 🧑‍🚀'), { capabilities: ['port', 'bisect', 'document', 'triage', 'profile', 'fuzz', 'summarise what happened', 'name things'] });
  await register('claude-2', { metadata: { session: 'Fix the flaky retry test' } });

  await put('default', KEY, { ok: false, failed: ['net/retry', 'net/socket'], took_s: 41.5, commit: '8a01be4', started_by: 'ana' }, { owner: 'ana', ttl_ms: 14 * 60_000 });
  await put('default', 'lock.deploy', 'ana', { owner: 'ana', ttl_ms: 5 * 60_000 });
  await put('default', 'release.notes', '## 1.4\n\n- `retry` waits between its tries.\n- The parser knows dates.\n', { owner: 'claude-2' });
  await put('default', 'اللغة.الحالية', { الترجمة: 'نصف مكتملة', بقي: 12 }, { owner: 'المراجع' });
  await put('default', say('launch 🚀/window'), [1_763_000_000, 1_763_003_600]);
  await put('default', 'a.key.whose.name.is.longer.than.any.row.has.room.for.because.somebody.put.a.whole.path.into.it', 'x'.repeat(9_000));
  for (let i = 0; i < 6; i++) await put('default', `shard.${i}`, { done: i * 17, of: 120 }, i % 2 ? { owner: 'codex' } : {});
  await call('POST', '/v1/kv/default/transfers', { from: 'codex', to: 'claude-2' });
  await put('ci', 'main', 'green');
  await put('ترجمة', 'حالة', true);

  for (let i = 1; i <= 8; i++) await publish(TOPIC, { took: 30 + i, ok: i % 3 !== 0, commit: `8a01b${i}4` }, i % 2 ? 'ana' : 'claude-2');
  await publish('build.docs.done', { took: 4, pages: ['guide/bus.md', 'guide/page.md'] }, 'codex');
  await publish('review.asked', 'Please look at the retry change before noon, it is the last one of the release.', 'claude-2');
  await publish('مراجعة', 'هل أستخدم المسافات أم علامات الجدولة؟', 'المراجع');
  await publish('logs', { lines: Array.from({ length: 400 }, (_, i) => `line ${i}: something went as it should`) });
}
