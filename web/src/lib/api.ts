/** The daemon's HTTP API: one method per endpoint this page uses, errors as one class. */

import type { Dial } from './dials';
import { asTexts, isJson, joined, type Raw, withText } from './raw';
import type { Agents, AgentSettings, Client, FoundPassages, Grant, GrantPreview, Handoff, HandoffWhole, Health, KeyEntry, KeyTransfer, KeyWrite, McpServer, McpSessionServer, Me, Namespace, NewGrant, OneTimeLink, OperatorAction, OperatorRun, Pool, Profile, ProfileTested, Published, Push, PushDevice, Token, TokenMade, TokenScope, Topic, TopicMessage } from './things';
import type { Answer, CatalogEntry, EventPage, Page, RequestView, Session } from './types';

/** Which sessions to list. */
export interface SessionFilter {
  state?: string | undefined;
  agent?: string | undefined;
  project?: string | undefined;
}

/** What went wrong, as the daemon (problem+json) or the network said it. `status` 0: no answer came. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = 'Problem';
  }

  /** Whether the daemon may or may not have acted: it is safe to ask again with the same idempotency key. */
  get unsettled(): boolean {
    return this.status === 0;
  }
}

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface ApiOptions {
  fetch?: Fetch;
  /** Called when the daemon does not know the token (any more). */
  onUnauthorised?: () => void;
}

interface Call {
  body?: unknown;
  /** A body that is JSON already. */
  json?: Raw;
  /** Makes a repeated call count once. */
  key?: string;
  signal?: AbortSignal;
}

export class Api {
  #fetch: Fetch;
  #onUnauthorised: () => void;
  /** Where the log stood after our last change: lists wait for it, so we read our own writes. */
  #at: string | undefined;

  constructor(
    public token: string | undefined,
    options: ApiOptions = {},
  ) {
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
    this.#onUnauthorised = options.onUnauthorised ?? (() => {});
  }

  exchange(code: string): Promise<{ token: string; name: string }> {
    return this.#json('POST', '/v1/exchange', { body: { code } });
  }

  catalog(): Promise<Page<CatalogEntry>> {
    return this.#json('GET', '/v1/catalog');
  }

  me(): Promise<Me> {
    return this.#json('GET', '/v1/me');
  }

  health(): Promise<Health> {
    return this.#json('GET', '/health');
  }

  /** What was said that has all the words. */
  search(words: string, cursor?: string): Promise<FoundPassages> {
    return this.#json('GET', `/v1/search?${query({ q: words, limit: 20, cursor })}`);
  }

  sessions(cursor?: string, filter: SessionFilter = {}): Promise<Page<Session>> {
    return this.#json('GET', `/v1/sessions?${query({ limit: 50, cursor, ...filter })}`);
  }

  session(id: string): Promise<Session> {
    return this.#json('GET', `/v1/sessions/${seg(id)}`);
  }

  createSession(body: { agent: string; workspace?: string; title?: string }, key: string): Promise<Session> {
    return this.#json('POST', '/v1/sessions', { body, key });
  }

  renameSession(id: string, title: string): Promise<Session> {
    return this.#json('PATCH', `/v1/sessions/${seg(id)}`, { body: { title } });
  }

  closeSession(id: string): Promise<unknown> {
    return this.#json('POST', `/v1/sessions/${seg(id)}/close`, { body: {} });
  }

  deleteSession(id: string): Promise<unknown> {
    return this.#json('DELETE', `/v1/sessions/${seg(id)}`, { body: {} });
  }

  events(id: string, after: number, limit: number, signal?: AbortSignal): Promise<EventPage> {
    return this.#json('GET', `/v1/sessions/${seg(id)}/events?${query({ after, limit })}`, signal ? { signal } : {});
  }

  /** What was too large for a session's log. */
  blob(id: string, sha256: string): Promise<unknown> {
    return this.#json('GET', `/v1/sessions/${seg(id)}/blobs/${seg(sha256)}`);
  }

  /** Runs the prompt, or queues it when a turn runs already. */
  prompt(id: string, prompt: string, key: string): Promise<{ turn: number; state: string }> {
    return this.#json('POST', `/v1/sessions/${seg(id)}/turns`, { body: { prompt, when_busy: 'queue' }, key });
  }

  cancel(id: string, turn?: number): Promise<unknown> {
    return this.#json('POST', `/v1/sessions/${seg(id)}/cancel`, { body: turn === undefined ? {} : { turn } });
  }

  unqueue(id: string, turn: number): Promise<unknown> {
    return this.#json('DELETE', `/v1/sessions/${seg(id)}/queue/${turn}`, { body: {} });
  }

  openRequests(cursor?: string): Promise<Page<RequestView>> {
    return this.#json('GET', `/v1/requests?${query({ status: 'open', limit: 100, cursor })}`);
  }

  request(id: string): Promise<RequestView> {
    return this.#json('GET', `/v1/requests/${seg(id)}`);
  }

  answer(id: string, answer: Answer, key: string): Promise<RequestView> {
    return this.#json('POST', `/v1/requests/${seg(id)}/answer`, { body: answer, key });
  }

  dismiss(id: string): Promise<RequestView> {
    return this.#json('POST', `/v1/requests/${seg(id)}/dismiss`, { body: {} });
  }

  settings(session: string): Promise<AgentSettings> {
    return this.#json('GET', `/v1/sessions/${seg(session)}/settings`);
  }

  setDial(session: string, target: Dial['target'], value: string | boolean): Promise<unknown> {
    const path = `/v1/sessions/${seg(session)}`;
    if (typeof target === 'object') return this.#json('PUT', `${path}/options/${seg(target.option)}`, { body: { value } });
    return this.#json('PUT', `${path}/${target}`, { body: { [target]: value } });
  }

  presence(session: string): Promise<Page<Client>> {
    return this.#json('GET', `/v1/sessions/${seg(session)}/presence`);
  }

  /** Those of all projects, or of a session with those of its project. */
  grants(session?: string): Promise<Page<Grant>> {
    return this.#json('GET', `/v1/grants?${query({ session })}`);
  }

  addGrant(grant: NewGrant): Promise<Grant> {
    return this.#json('POST', '/v1/grants', { body: grant });
  }

  revokeGrant(id: string, session?: string): Promise<void> {
    return this.#json('DELETE', `/v1/grants/${seg(id)}?${query({ session })}`, { body: {} });
  }

  previewGrant(body: { pattern: string; session?: string; project?: string }, signal?: AbortSignal): Promise<GrantPreview> {
    return this.#json('POST', '/v1/grants/preview', signal ? { body, signal } : { body });
  }

  pools(): Promise<Page<Pool>> {
    return this.#json('GET', '/v1/pools');
  }

  changePool(name: string, change: 'restart' | 'drain' | 'resume'): Promise<unknown> {
    return this.#json('POST', `/v1/pools/${seg(name)}/${change}`, { body: {} });
  }

  agents(): Promise<Agents> {
    return this.#json('GET', '/v1/agents');
  }

  forgetAgent(agent: string): Promise<void> {
    return this.#json('DELETE', `/v1/agents/${seg(agent)}`, { body: {} });
  }

  namespaces(): Promise<Page<Namespace>> {
    return this.#json('GET', '/v1/kv');
  }

  keys(namespace: string, filter: { prefix?: string | undefined; limit?: number; cursor?: string | undefined }): Promise<Page<KeyEntry>> {
    return this.#page('value', `/v1/kv/${seg(namespace)}?${query(filter)}`);
  }

  async key(namespace: string, key: string): Promise<KeyEntry> {
    return withText<KeyEntry>(await this.#text('GET', keyPath(namespace, key)), 'value');
  }

  async putKey(namespace: string, key: string, { value, ...how }: KeyWrite): Promise<KeyEntry> {
    return withText<KeyEntry>(await this.#text('PUT', keyPath(namespace, key), { json: joined('value', value, how) }), 'value');
  }

  /** Deletes it, if it still has this revision. */
  deleteKey(namespace: string, key: string, revision: number): Promise<void> {
    return this.#json('DELETE', `${keyPath(namespace, key)}?${query({ revision })}`, { body: {} });
  }

  transfers(namespace: string): Promise<Page<KeyTransfer>> {
    return this.#json('GET', `/v1/kv/${seg(namespace)}/transfers`);
  }

  topics(): Promise<Page<Topic>> {
    return this.#json('GET', '/v1/topics');
  }

  /** The newest messages of a topic, or of all that fit a pattern; the oldest of them first. */
  messages(topic: string, limit: number): Promise<Page<TopicMessage>> {
    return this.#page('data', `/v1/topics/${seg(topic)}/messages?${query({ limit })}`);
  }

  publish(topic: string, data: Raw, agent: string | undefined): Promise<Published> {
    return this.#json('POST', `/v1/topics/${seg(topic)}/messages`, { json: joined('data', data, { agent }) });
  }

  handoffs(filter: { status?: string | undefined; cursor?: string | undefined } = {}): Promise<Page<Handoff>> {
    return this.#json('GET', `/v1/handoffs?${query(filter)}`);
  }

  handoff(id: string): Promise<HandoffWhole> {
    return this.#json('GET', `/v1/handoffs/${seg(id)}?${query({ checkpoints: 50 })}`);
  }

  /** The prompt with which another agent takes the work over. */
  handoffPrompt(id: string): Promise<{ prompt: string }> {
    return this.#json('GET', `/v1/handoffs/${seg(id)}/prompt`);
  }

  tokens(): Promise<Page<Token>> {
    return this.#json('GET', '/v1/tokens');
  }

  createToken(body: { name: string; scope: TokenScope; ttl_s?: number }): Promise<TokenMade> {
    return this.#json('POST', '/v1/tokens', { body });
  }

  revokeToken(id: string): Promise<void> {
    return this.#json('DELETE', `/v1/tokens/${seg(id)}`, { body: {} });
  }

  /** What a browser subscribes to Web Push with, and which devices are told. */
  push(): Promise<Push> {
    return this.#json('GET', '/v1/push');
  }

  addPushDevice(body: PushSubscriptionJSON): Promise<PushDevice> {
    return this.#json('POST', '/v1/push/devices', { body });
  }

  removePushDevice(id: string): Promise<void> {
    return this.#json('DELETE', `/v1/push/devices/${seg(id)}`, { body: {} });
  }

  testPushDevice(id: string): Promise<{ taken: boolean; detail: string }> {
    return this.#json('POST', `/v1/push/devices/${seg(id)}/test`, { body: {} });
  }

  profiles(): Promise<Page<Profile>> {
    return this.#json('GET', '/v1/profiles');
  }

  /** Has a model answer with a word. It costs a little. */
  testProfile(name: string): Promise<ProfileTested> {
    return this.#json('POST', `/v1/profiles/${seg(name)}/test`, { body: {} });
  }

  mcpServers(): Promise<Page<McpServer>> {
    return this.#json('GET', '/v1/mcp/servers');
  }

  /** The MCP servers of a session of the built-in agent. */
  sessionMcp(session: string): Promise<Page<McpSessionServer>> {
    return this.#json('GET', `/v1/sessions/${seg(session)}/mcp`);
  }

  /** A link that lets one more browser in, once. */
  link(): Promise<OneTimeLink> {
    return this.#json('POST', '/v1/links', { body: {} });
  }

  operatorActions(): Promise<Page<OperatorAction>> {
    return this.#json('GET', '/v1/operator-actions');
  }

  operatorRuns(): Promise<Page<OperatorRun>> {
    return this.#json('GET', '/v1/operator-runs');
  }

  /** Runs an action to its end. */
  runAction(name: string, confirm: boolean): Promise<OperatorRun> {
    return this.#json('POST', `/v1/operator-actions/${seg(name)}/run`, { body: { confirm } });
  }

  /** Opens an event stream; throws a `Problem` unless it is one. */
  async stream(path: string, signal: AbortSignal): Promise<Response> {
    const response = await this.#send('GET', path, { signal }, 'text/event-stream');
    if (!response.body || !response.headers.get('content-type')?.includes('text/event-stream')) {
      throw new Problem(response.status, 'not_a_stream', 'The daemon did not answer with an event stream.');
    }
    return response;
  }

  async #json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const response = await this.#send(method, path, call, 'application/json');
    if (response.status === 204) return undefined as T;
    try {
      return (await response.json()) as T;
    } catch {
      throw new Problem(0, 'unreadable', 'The answer broke off or was not JSON.');
    }
  }

  /** A page of items of which one member each stays a text. */
  async #page<T>(member: string, path: string): Promise<Page<T>> {
    return asTexts<Page<T>>(await this.#text('GET', path), member);
  }

  async #text(method: string, path: string, call: Call = {}): Promise<string> {
    const response = await this.#send(method, path, call, 'application/json');
    const text = await response.text().catch(() => '');
    if (!isJson(text)) throw new Problem(0, 'unreadable', 'The answer broke off or was not JSON.');
    return text;
  }

  async #send(method: string, path: string, call: Call, accept: string): Promise<Response> {
    const body = call.json ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    const headers: Record<string, string> = { accept };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (call.key) headers['idempotency-key'] = call.key;
    if (method === 'GET' && this.#at) headers['trunkline-at'] = this.#at;
    const init: RequestInit = { method, headers, cache: 'no-store' };
    if (body !== undefined) init.body = body;
    if (call.signal) init.signal = call.signal;
    let response: Response;
    try {
      response = await this.#fetch(path, init);
    } catch (error) {
      if (call.signal?.aborted) throw error;
      throw new Problem(0, 'unreachable', 'The daemon cannot be reached.');
    }
    if (!response.ok) throw await this.#problem(response);
    if (method !== 'GET') this.#at = response.headers.get('trunkline-at') ?? this.#at;
    return response;
  }

  async #problem(response: Response): Promise<Problem> {
    if (response.status === 401) this.#onUnauthorised();
    let body: Record<string, unknown> = {};
    try {
      const parsed: unknown = await response.json();
      if (typeof parsed === 'object' && parsed !== null) body = parsed as Record<string, unknown>;
    } catch {
      // A proxy's error page is not a problem document; the status says enough.
    }
    const text = (name: string) => (typeof body[name] === 'string' ? (body[name] as string) : undefined);
    const message = text('detail') ?? text('title') ?? `The daemon answered ${response.status}.`;
    return new Problem(response.status, text('code') ?? `http_${response.status}`, message, body);
  }
}

/**
 * The idempotency key of an attempt. The same body sent again while nobody knows what became of it has the same key, so
 * that it counts once.
 */
export class Once {
  #body: string | undefined;
  #key = '';

  key(body: unknown): string {
    const line = JSON.stringify(body);
    if (this.#body !== line) this.#key = newKey();
    this.#body = line;
    return this.#key;
  }

  /** The attempt came to an end, unless the error leaves that open. */
  done(error?: unknown): void {
    if (!(error instanceof Problem && error.unsettled)) this.#body = undefined;
  }
}

/** A key no other call has. (`crypto.randomUUID` exists in secure contexts only; a LAN address is none.) */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** One line that says what went wrong. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A name as a part of a path. What the browser would take for a step up or for nothing is refused before it leads elsewhere. */
function seg(id: string): string {
  if (id === '' || id === '.' || id === '..') throw new Problem(0, 'no_name', `“${id}” is no name that a page can ask for.`);
  return encodeURIComponent(id);
}

function keyPath(namespace: string, key: string): string {
  return `/v1/kv/${seg(namespace)}/keys/${seg(key)}`;
}

function query(members: Record<string, string | number | undefined>): string {
  const given = Object.entries(members).filter(([, value]) => value !== undefined);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}
