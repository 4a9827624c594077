/** The shapes of `/v1` beside sessions and requests, as far as this page reads them. Times are UTC milliseconds. */

import type { Raw } from './raw';
import type { RequestStatus, Risk } from './types';

/** The caller. */
export interface Me {
  principal: string;
  scope: string | { agent: string };
}

export interface Health {
  version: string;
  /** Seconds since the daemon started. */
  uptime: number;
  confined: boolean;
  sandbox: unknown;
}

/** Somebody who has a session open. */
export interface Client {
  client: number;
  name: string;
  principal: string;
  since: number;
}

export type GrantScope = 'once' | 'session' | 'project' | 'edits' | 'tool';

/** A standing permission. */
export interface Grant {
  id: string;
  at: number;
  by: string;
  expires?: number;
  mode?: string;
  pattern?: string;
  principal?: string;
  project?: string;
  request?: string;
  scope?: GrantScope;
  tool?: string;
  unconfined?: boolean;
}

export interface NewGrant {
  pattern?: string;
  mode?: string;
  scope?: GrantScope;
  session?: string;
  project?: string;
  request?: string;
  expires?: number;
  unconfined?: boolean;
}

/** What a rule would have done. */
export interface GrantPreview {
  pattern: string;
  since: number;
  looked_at: number;
  truncated: boolean;
  allowed: number;
  high_risk: number;
  refused: number;
  items: { request: string; session: string; at: number; title: string; risk: Risk; status: RequestStatus }[];
}

export interface Worker {
  worker: number;
  state: 'starting' | 'up' | 'waiting' | 'open' | 'half-open' | 'gone';
  pid?: number;
  restarts: number;
  retry_ms?: number;
  sessions: number;
  in_flight: number;
  queued_bytes: number;
  garbage_lines: number;
  stderr: string;
}

export interface Pool {
  name: string;
  title: string;
  argv: string[];
  drained: boolean;
  workers: Worker[];
}

export type TokenScope = 'viewer' | 'operator' | 'admin';

export interface Token {
  id: string;
  name: string;
  scope: string | { agent: string };
  created_at: number;
  created_by: string;
  expires?: number;
}

/** A new token. Its secret is shown once. */
export interface TokenMade extends Pick<Token, 'id' | 'name' | 'scope' | 'expires'> {
  token: string;
}

/** A device that Web Push tells of requests. */
export interface PushDevice {
  id: string;
  by: string;
  /** The host of its service. */
  service: string;
  since?: number;
  /** Its newest notification since the daemon started. */
  last?: { at: number; taken: boolean };
}

export interface Push {
  /** What browsers subscribe with. */
  key: string;
  devices: PushDevice[];
}

/** Where a model is. */
export interface Profile {
  name: string;
  provider: string;
  model: string;
  default: boolean;
  /** The address that counts. */
  address?: string;
  /** Why it cannot be used. */
  why?: string;
}

export interface ProfileTested {
  success: boolean;
  latency_ms: number;
  message?: string;
}

/** An MCP server that gives the built-in agent more tools. */
export interface McpServer {
  name: string;
  command?: string;
  args: string[];
  url?: string;
  description?: string;
  enabled: boolean;
  why?: string;
}

/** How a session stands to one. */
export interface McpSessionServer {
  status: 'connected' | 'connecting' | 'disconnected' | 'failed' | 'untrusted' | 'disabled';
  tools: { name: string; description?: string }[];
  error?: string;
  definition: McpServer;
}

export interface OneTimeLink {
  url: string;
  /** The same where other machines find the daemon, if it knows. */
  outside?: string;
  expires: number;
}

/** A command that runs without any model. */
export interface OperatorAction {
  name: string;
  label: string;
  description?: string;
  argv: string[];
  mutating: boolean;
  confirm: boolean;
  primary: boolean;
  before?: string;
  timeout_s: number;
}

export interface OperatorOutcome {
  duration_ms: number;
  exit_code?: number;
  error?: string;
  stdout?: string;
  stderr?: string;
  /** How many bytes before `stdout` are left out. */
  left_out?: number;
}

export interface OperatorRun {
  run: number;
  action: string;
  argv: string[];
  at: number;
  by: string;
  outcome?: OperatorOutcome;
}

/** An agent's process that is kept running. */
export interface RunningAgent {
  agent: string;
  session: string;
  pid?: number;
  incarnation: number;
  turn?: number;
}

/** Work that another agent can go on from. Its times are UTC microseconds. */
export interface Handoff {
  id: string;
  agent_id: string;
  status: string;
  task_summary?: string;
  repo?: string;
  session?: string;
  created: number;
  updated: number;
  created_by: string;
  automatic?: boolean;
  lanes: number;
  checkpoints: number;
  to?: string[];
  decisions: unknown;
  todos: unknown;
  files_touched: unknown;
  metadata: unknown;
}

export interface Lane {
  id: string;
  from_agent: string;
  to_agent: string;
  status: 'open' | 'closed';
  context: unknown;
  created: number;
  updated: number;
}

export interface Checkpoint {
  id: string;
  agent_id: string;
  created: number;
  automatic?: boolean;
  lane?: string;
  session?: string;
  snapshot: unknown;
}

export interface HandoffWhole {
  handoff: Handoff;
  lanes: { lane: Lane; said: { created: number; from_agent: string; text: string }[] }[];
  checkpoints: Checkpoint[];
}

export interface Available {
  id: string;
  name: string;
  description?: string;
}

/** One of several: `chosen` stands until the agent has answered. */
export interface Selection {
  available?: Available[];
  current?: string;
  chosen?: string;
}

/** What an agent can be set to, and is. */
export interface AgentSettings {
  mode?: Selection;
  model?: Selection;
  options?: { id: string; name: string; available?: Available[]; current?: string | boolean; chosen?: string | boolean }[];
}

/** A passage of a session's transcript that was found. */
export interface FoundPassage {
  session: string;
  title?: string;
  agent: string;
  seq: number;
  at: number;
  said: 'title' | 'prompt' | 'answer' | 'tool' | 'request' | 'message';
  /** Pieces that follow each other; what was looked for is marked. */
  excerpt: { text: string; found: boolean }[];
}

export interface FoundPassages {
  items: FoundPassage[];
  next?: string;
}

/** An agent that takes part on the bus, wherever it runs. */
export interface RegisteredAgent {
  agent: string;
  capabilities: string[];
  metadata?: unknown;
  first_seen: number;
  last_seen: number;
  /** Until when its lease runs, if it has one. */
  until?: number;
  /** Whether it may be counted on. */
  present: boolean;
}

export interface Agents {
  /** Those that this daemon keeps running. */
  items: RunningAgent[];
  registered: RegisteredAgent[];
}

export interface Namespace {
  namespace: string;
  keys: number;
}

export interface KeyEntry {
  key: string;
  /** As its text, since it is written back as it came. */
  value: Raw;
  owner?: string;
  expires_at?: number;
  revision: number;
}

/** What is to be written. */
export interface KeyWrite {
  value: Raw;
  owner?: string | undefined;
  ttl_ms?: number | undefined;
  if_revision?: number | undefined;
  if_absent?: boolean | undefined;
}

/** Keys that went over to another owner. */
export interface KeyTransfer {
  from: string;
  to: string;
  keys: string[];
  at?: number;
}

export interface Topic {
  topic: string;
  retained: number;
  subscribers: number;
  last_at?: number;
}

export interface TopicMessage {
  /** Among those of all topics, in one life of the daemon. */
  id: number;
  topic: string;
  /** Among those of the topic. */
  seq: number;
  /** As its text. */
  data: Raw;
  agent?: string;
  at: number;
}

export interface Published {
  id: number;
  seq: number;
  subscribers: number;
}
