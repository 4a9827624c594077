/** The shapes of `/v1`, as far as this page reads them. Times are UTC milliseconds. */

export type SessionState = 'idle' | 'running' | 'waiting' | 'stopping' | 'failed' | 'closed';

export interface Session {
  id: string;
  state: SessionState;
  title?: string;
  agent: string;
  /** `external`: the agent lives elsewhere and takes no prompts from here. */
  driver: string;
  workspace?: string;
  project?: string;
  created_at: number;
  created_by: string;
  updated_at: number;
  turn?: number;
  queued: number;
  pending: number;
  turns: number;
  last_stop_reason?: StopReason;
  last_error?: string;
  /** What an agent that runs elsewhere says that it is doing. */
  reported?: string;
  /** Whether nobody has heard of it for two minutes. */
  unseen?: boolean;
}

export type StopReason =
  | 'end_turn'
  | 'max_tokens'
  | 'max_turn_requests'
  | 'refusal'
  | 'cancelled'
  | 'timeout'
  | 'interrupted'
  | 'error';

export interface Usage {
  input?: number;
  output?: number;
  cache_read?: number;
  cache_write?: number;
  thought?: number;
  /** US dollars. */
  cost?: number;
}

export type RequestKind = 'permission' | 'question' | 'form';
export type RequestStatus = 'open' | 'dismissed' | Outcome;
export type Outcome = 'answered' | 'expired' | 'cancelled' | 'superseded';
export type Priority = 'low' | 'normal' | 'high' | 'urgent';
export type OptionKind = 'allow_once' | 'allow_always' | 'reject_once' | 'reject_always' | 'choice';

export interface Option {
  id: string;
  name: string;
  kind: OptionKind;
}

export interface Answer {
  option?: string;
  text?: string;
  fields?: Record<string, unknown>;
  /** That high risk was seen and is meant. */
  confirm?: boolean;
}

export interface Closed {
  outcome: Outcome;
  answer?: Answer;
  by: string;
  at: number;
}

/** What both a request's row in the inbox and its place in a transcript know. */
export interface Ask extends Judged {
  id: string;
  status: RequestStatus;
  kind: RequestKind;
  title: string;
  question?: string;
  options?: Option[];
  tool_call?: ToolUpdate;
  schema?: unknown;
  context?: unknown;
  priority: Priority;
  created_at: number;
  created_by: string;
  deadline?: number;
  closed?: Closed;
}

export interface Risk {
  level: 'low' | 'medium' | 'unknown' | 'high';
  reason: string;
  marks?: ('destructive' | 'network' | 'credential' | 'outside_workspace')[];
}

/** What the rules say of a request, beside what was asked. */
export interface Judged {
  risk?: Risk;
  /** The rule by which a person is asked. */
  rule?: string;
  /** What the agent said last before it asked. */
  said?: string;
}

export interface RequestView extends Ask {
  session: string;
  agent: string;
  workspace?: string;
  project?: string;
  turn?: number;
  /** The tool's name, by which a grant would cover it. */
  tool?: string;
}

/** A content block of the Agent Client Protocol; only the members read here. */
export interface Block {
  type: string;
  text?: string;
  name?: string;
  uri?: string;
  mimeType?: string;
  /** A picture's or a sound's bytes, in base64. */
  data?: string;
  resource?: { uri?: string; text?: string };
}

export interface Diff {
  type: 'diff';
  path: string;
  oldText?: string | null;
  newText: string;
}

export type ToolContent =
  | { type: 'content'; content: Block }
  | Diff
  | { type: 'terminal'; terminalId: string };

/** A tool call or an update of one: an absent member says "as before". */
export interface ToolUpdate {
  toolCallId: string;
  title?: string | null;
  kind?: string | null;
  status?: string | null;
  content?: ToolContent[] | null;
  locations?: { path: string; line?: number | null }[] | null;
  rawInput?: unknown;
  rawOutput?: unknown;
}

export interface PlanEntry {
  content: string;
  priority?: string;
  status?: string;
}

/** A fact of a session's log. `data` depends on `type`; types not known are passed over. */
export interface Event {
  type: string;
  seq: number;
  at: number;
  by: string;
  turn?: number;
  data: unknown;
}

export interface Page<T> {
  items: T[];
  next?: string;
  at?: string | number;
}

export interface EventPage {
  items: Event[];
  first: number;
  head: number;
  more: boolean;
  gap?: boolean;
}

export interface CatalogEntry {
  name: string;
  title?: string;
  driver: string;
  argv?: string[];
  path?: string;
  found: boolean;
  why?: string;
  presets?: Preset[];
}

/** A prompt that a person may want to send at a touch. */
export interface Preset {
  label: string;
  prompt: string;
}
