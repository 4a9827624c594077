/**
 * Events → what a reader sees of a session.
 *
 * The fold never fails on a payload: what it does not understand it passes over.
 */

import { isOver, requestsOf } from './items';
import type { Item, Large, Note, Placed, Queued, RunningTurn, Tool, TranscriptView } from './items';
import { picture, pictures } from './picture';
import { newTerminal, wrote } from './terminal';
import type { Terminal } from './terminal';
import { blocksText, blockText } from './text';
import { count } from './time';
import type { Answer, Ask, Block, Event, Judged, Option, Outcome, PlanEntry, StopReason, ToolUpdate, Usage } from './types';

/** How many items one transcript keeps; beyond that the oldest go and `dropped` counts them. */
export const MAX_ITEMS = 20_000;

/** Where an item stands: its index counted from the beginning of time, so that dropping old ones moves nothing. */
type Place = number;

export class Transcript {
  /** The last event taken in; what has this number or a lower one is passed over. */
  cursor: number;

  #items: (Item | undefined)[] = [];
  #dropped = 0;
  #tools = new Map<string, Place>();
  #requests = new Map<string, Place>();
  #terminals = new Map<string, Place>();
  #plan: { turn: number | undefined; place: Place } | undefined;
  #prompted: number | undefined;
  #queue: Queued[] = [];
  #turn: RunningTurn | undefined;
  #omitted: number;
  #missing = 0;
  #context: TranscriptView['context'];

  /** A transcript of what follows event `after`. */
  constructor(after = 0) {
    this.cursor = after;
    this.#omitted = after;
  }

  /** Takes in one event. False: it was known already. */
  apply(event: Event): boolean {
    if (event.seq <= this.cursor) return false;
    this.skipTo(event.seq - 1, event.at);
    this.cursor = event.seq;
    this.#handle(event, asObject(event.data));
    this.#bound();
    return true;
  }

  /** Events up to this one can no longer be read. */
  skipTo(seq: number, at: number): void {
    const missing = seq - this.cursor;
    if (missing <= 0) return;
    this.#missing += missing;
    this.#push({ kind: 'gap', key: `gap${this.cursor}`, at, turn: undefined, missing });
    this.cursor = seq;
  }

  view(): TranscriptView {
    const items = this.#items.filter((item) => item !== undefined);
    return {
      items,
      dropped: this.#dropped,
      omitted: this.#omitted,
      queue: this.#queue.slice(),
      turn: this.#turn,
      missing: this.#missing,
      pending: this.#pending(),
      context: this.#context,
    };
  }

  #pending(): TranscriptView['pending'] {
    const pending: TranscriptView['pending'] = [];
    for (const [id, place] of this.#requests) {
      const item = this.#at(place);
      const request = item && requestsOf(item).find((one) => one.id === id);
      if (item && request?.status === 'open') pending.push({ request, key: item.key });
    }
    return pending;
  }

  #handle(event: Event, data: Data): void {
    const [subject] = event.type.split('.', 1);
    if (subject === 'turn') this.#turnEvent(event, data);
    else if (subject === 'request') this.#requestEvent(event, data);
    else if (subject === 'terminal') this.#terminalEvent(event, data);
    else this.#otherEvent(event, data);
  }

  #turnEvent(event: Event, data: Data): void {
    const turn = event.turn ?? event.seq;
    switch (event.type) {
      case 'turn.queued': {
        const queued = { turn, text: blocksText(data.prompt), by: event.by, at: event.at };
        this.#queue = [...this.#queue.filter((one) => one.turn !== turn), queued];
        break;
      }
      case 'turn.unqueued':
        this.#queue = this.#queue.filter((one) => one.turn !== turn);
        break;
      case 'turn.started':
        this.#start(turn, data.prompt, event);
        break;
      case 'turn.update':
        if (data.v !== undefined && data.v !== 'acp/1') break;
        if (asObject(data.blob).sha256) this.#large(asObject(data.update), asObject(data.blob), event);
        else this.#update(asObject(data.update), event);
        break;
      case 'turn.note': {
        this.#park(asText(data.code), asObject(data.data));
        const detail = data.data === undefined || data.data === null ? undefined : JSON.stringify(data.data, null, 2);
        this.#note(event, 'warn', asText(data.message) ?? asText(data.code) ?? 'Something was noted.', detail);
        break;
      }
      case 'turn.stopping':
        if (this.#turn) this.#turn = { ...this.#turn, stopping: true };
        break;
      case 'turn.ended':
        this.#end(turn, event, data);
    }
  }

  /** A turn that waits for a provider's limit says until when, and when it goes on. */
  #park(code: string | undefined, data: Data): void {
    if (!this.#turn) return;
    if (code === 'parked' && typeof data.until === 'number') this.#turn = { ...this.#turn, parked: data.until };
    if (code === 'resumed') this.#turn = { ...this.#turn, parked: undefined };
  }

  #update(update: Data, event: Event): void {
    switch (update.sessionUpdate) {
      case 'agent_message_chunk': {
        const shown = picture(asObject(update.content) as unknown as Block);
        if (shown) this.#push({ kind: 'picture', ...placed('picture', event), picture: shown });
        else this.#say('prose', update, event);
        return;
      }
      case 'agent_thought_chunk':
        return this.#say('thought', update, event);
      case 'tool_call':
      case 'tool_call_update':
        if (asText(update.toolCallId)) this.#tool(update as unknown as ToolUpdate, event);
        return;
      case 'plan':
        if (Array.isArray(update.entries)) this.#setPlan(update.entries.map(asObject) as unknown as PlanEntry[], event);
    }
  }

  /** What can be shown of an update that is kept beside the log, and the way to the rest. */
  #large(update: Data, blob: Data, event: Event): void {
    const what = WHAT[String(update.sessionUpdate)];
    const sha256 = asText(blob.sha256);
    if (!what || !sha256) return;
    // A text's start stands in the item itself; a tool's card shows what there is.
    if (what === 'tool') this.#update(update, event);
    const start = what === 'prose' || what === 'thought' ? blockText(asObject(update.content) as unknown as Block) : '';
    this.#push({ kind: 'large', ...placed('large', event), sha256, bytes: asNumber(blob.bytes) ?? 0, what, start, event });
  }

  /** Puts a whole update in the place of the item that stood for it. */
  fill(key: string, update: unknown): void {
    const index = this.#items.findIndex((item) => item?.key === key);
    const item = this.#items[index];
    if (item?.kind !== 'large') return;
    const whole = asObject(update);
    this.#items[index] = undefined;
    const shown = picture(asObject(whole.content) as unknown as Block);
    if (shown) {
      this.#items[index] = { kind: 'picture', ...placed('picture', item.event), picture: shown };
    } else if (item.what === 'prose' || item.what === 'thought') {
      const text = blockText(asObject(whole.content) as unknown as Block);
      this.#items[index] = { kind: item.what, ...placed(item.what, item.event), text, message: undefined, until: item.at };
    } else {
      this.#update(whole, item.event);
    }
  }

  #requestEvent(event: Event, data: Data): void {
    const id = asText(data.id);
    if (!id) return;
    switch (event.type) {
      case 'request.opened':
        return this.#openRequest(asked(id, data, event), event);
      case 'request.judged': {
        const { risk, rule, said } = data as Judged;
        return this.#editRequest(id, (ask) => ({ ...ask, ...(risk && { risk }), ...(rule && { rule }), ...(said && { said }) }));
      }
      case 'request.escalated':
        return this.#editRequest(id, (ask) => ({ ...ask, priority: 'urgent', status: 'open' }));
      case 'request.dismissed':
        return this.#editRequest(id, (ask) => ({ ...ask, status: 'dismissed' }));
      case 'request.closed': {
        const outcome = (asText(data.outcome) ?? 'answered') as Outcome;
        const answer = data.answer ? { answer: data.answer as Answer } : {};
        const closed = { outcome, by: event.by, at: event.at, ...answer };
        return this.#editRequest(id, (ask) => ({ ...ask, status: outcome, closed }));
      }
    }
  }

  #terminalEvent(event: Event, data: Data): void {
    const id = asText(data.terminal);
    if (!id) return;
    switch (event.type) {
      case 'terminal.started': {
        const argv = Array.isArray(data.argv) ? data.argv.map(String) : [];
        return this.#terminal(id, event, (terminal) => ({ ...terminal, argv, cwd: asText(data.cwd) ?? '' }));
      }
      case 'terminal.output':
        return this.#terminal(id, event, (terminal) => wrote(terminal, asText(data.text) ?? ''));
      case 'terminal.exited': {
        const end = { running: false, code: asNumber(data.code), signal: asNumber(data.signal) };
        return this.#terminal(id, event, (terminal) => ({ ...terminal, ...end }));
      }
    }
  }

  #otherEvent(event: Event, data: Data): void {
    switch (event.type) {
      case 'agent.status': {
        const { used, size } = asObject(data.update);
        const told = data.kind === 'usage_update' && typeof used === 'number' && typeof size === 'number' && size > 0;
        if (told) this.#context = { used: used as number, size: size as number };
        return;
      }
      case 'session.closed':
        return this.#note(event, 'info', 'The session was closed.');
      case 'grant.added':
        return this.#note(event, 'info', `${asText(data.tool) ?? 'A tool'} is allowed from now on.`);
      case 'grant.revoked':
        return this.#note(event, 'info', 'A standing permission was taken back.');
      case 'file.written': {
        const bytes = asNumber(data.bytes);
        const size = bytes === undefined ? '' : `, ${count(bytes)} bytes`;
        return this.#note(event, 'info', `${data.created ? 'Created' : 'Wrote'} ${asText(data.path) ?? 'a file'}${size}`);
      }
      case 'agent.exited': {
        const [code, signal] = [asNumber(data.code), asNumber(data.signal)];
        if (!code && !signal) return;
        const how = signal ? `was ended by signal ${signal}` : `exited with code ${code}`;
        // SIGTERM is how the daemon itself ends an agent it no longer needs.
        this.#note(event, signal === 15 ? 'info' : 'warn', `The agent's process ${how}.`, asText(data.stderr));
      }
    }
  }

  #note(event: Event, tone: Note['tone'], text: string, detail?: string): void {
    this.#push({ kind: 'note', ...placed('note', event), tone, text, detail });
  }

  #push(item: Item): Place {
    this.#items.push(item);
    return this.#dropped + this.#items.length - 1;
  }

  #at(place: Place | undefined): Item | undefined {
    return place === undefined ? undefined : this.#items[place - this.#dropped];
  }

  #put(place: Place, item: Item | undefined): void {
    if (place >= this.#dropped) this.#items[place - this.#dropped] = item;
  }

  #say(kind: 'prose' | 'thought', update: Data, event: Event): void {
    const text = blockText(asObject(update.content) as unknown as Block);
    if (text === '') return;
    const message = asText(update.messageId);
    const last = this.#items.at(-1);
    if (last?.kind === kind && last.message === message && last.turn === event.turn) {
      this.#items[this.#items.length - 1] = { ...last, text: last.text + text, until: event.at };
    } else {
      this.#push({ kind, ...placed(kind, event), text, message, until: event.at });
    }
  }

  /**
   * Finds the card of a call. An id belongs to its turn, since some agents count from zero again; only a bare update
   * of an older call, a straggler, finds the card it had there.
   */
  #toolPlace(update: ToolUpdate, event: Event): Place | undefined {
    const own = this.#tools.get(`${event.turn}/${update.toolCallId}`);
    if (own !== undefined || update.title) return own;
    return this.#tools.get(update.toolCallId);
  }

  #tool(update: ToolUpdate, event: Event): Place {
    const known = this.#toolPlace(update, event);
    const before = this.#at(known);
    const base: Tool = before?.kind === 'tool' ? before : newTool(update, event);
    const tool: Tool = {
      ...base,
      title: update.title ?? base.title,
      tool: update.kind ?? base.tool,
      status: update.status ?? base.status,
      content: Array.isArray(update.content) ? update.content : base.content,
      locations: Array.isArray(update.locations) ? update.locations : base.locations,
      input: update.rawInput ?? base.input,
      output: update.rawOutput ?? base.output,
    };
    if (isOver(tool.status) && tool.ended === undefined) tool.ended = event.at;
    const place = known !== undefined && before ? known : this.#push(tool);
    this.#tools.set(`${event.turn}/${update.toolCallId}`, place);
    this.#tools.set(update.toolCallId, place);
    this.#put(place, this.#adopt(tool, place));
    return place;
  }

  /** A terminal that a tool's card shows stands there and no longer by itself. */
  #adopt(tool: Tool, place: Place): Tool {
    for (const content of tool.content) {
      if (content?.type !== 'terminal' || tool.terminals[content.terminalId]) continue;
      const stands = this.#terminals.get(content.terminalId);
      const item = this.#at(stands);
      if (stands === undefined || item?.kind !== 'terminal') continue;
      tool = { ...tool, terminals: { ...tool.terminals, [content.terminalId]: item.terminal } };
      this.#put(stands, undefined);
      this.#terminals.set(content.terminalId, place);
    }
    return tool;
  }

  #terminal(id: string, event: Event, edit: (terminal: Terminal) => Terminal): void {
    const place = this.#terminals.get(id);
    const item = this.#at(place);
    if (place === undefined || !item) {
      const made = { kind: 'terminal', ...placed('terminal', event), terminal: edit(newTerminal()) } as const;
      this.#terminals.set(id, this.#push(made));
      this.#claim(id);
    } else if (item.kind === 'terminal') {
      this.#put(place, { ...item, terminal: edit(item.terminal) });
    } else if (item.kind === 'tool' && item.terminals[id]) {
      this.#put(place, { ...item, terminals: { ...item.terminals, [id]: edit(item.terminals[id]) } });
    }
  }

  /** The card may name the terminal before the terminal's first event comes. */
  #claim(id: string): void {
    for (let i = this.#items.length - 1; i >= 0 && i >= this.#items.length - 50; i--) {
      const item = this.#items[i];
      if (item?.kind !== 'tool') continue;
      if (item.content.some((content) => content?.type === 'terminal' && content.terminalId === id)) {
        this.#items[i] = this.#adopt(item, this.#dropped + i);
        return;
      }
    }
  }

  /** A turn has one plan; a new one replaces it where it stands. */
  #setPlan(entries: PlanEntry[], event: Event): void {
    const before = this.#plan?.turn === event.turn ? this.#at(this.#plan?.place) : undefined;
    if (this.#plan && before?.kind === 'plan') this.#put(this.#plan.place, { ...before, entries });
    else this.#plan = { turn: event.turn, place: this.#push({ kind: 'plan', ...placed('plan', event), entries }) };
  }

  #openRequest(ask: Ask, event: Event): void {
    if (ask.tool_call?.toolCallId) {
      const place = this.#tool(ask.tool_call, event);
      const tool = this.#at(place) as Tool;
      this.#put(place, { ...tool, requests: [...tool.requests, ask] });
      this.#requests.set(ask.id, place);
    } else {
      this.#requests.set(ask.id, this.#push({ kind: 'request', ...placed('request', event), request: ask }));
    }
  }

  #editRequest(id: string, edit: (ask: Ask) => Ask): void {
    const place = this.#requests.get(id);
    const item = this.#at(place);
    if (place === undefined || !item) return;
    const change = (ask: Ask) => (ask.id === id ? edit(ask) : ask);
    if (item.kind === 'request') this.#put(place, { ...item, request: change(item.request) });
    if (item.kind === 'tool') this.#put(place, { ...item, requests: item.requests.map(change) });
  }

  #start(turn: number, prompt: unknown, event: Event): void {
    const queued = this.#queue.find((one) => one.turn === turn);
    this.#queue = this.#queue.filter((one) => one.turn !== turn);
    this.#turn = { turn, since: event.at, stopping: false };
    if (this.#prompted === turn) return this.#note(event, 'info', 'The turn was started again.');
    this.#prompted = turn;
    const by = queued?.by ?? event.by;
    const shown = pictures(prompt);
    // A picture that is drawn needs no words in its place.
    const text = blocksText(Array.isArray(prompt) ? prompt.filter((block) => !picture(block as Block)) : prompt);
    this.#push({ kind: 'prompt', ...placed('prompt', event), text: text || (shown.length > 0 ? '' : (queued?.text ?? '')), pictures: shown, by });
  }

  #end(turn: number, event: Event, data: Data): void {
    this.#queue = this.#queue.filter((one) => one.turn !== turn);
    if (this.#turn?.turn === turn) this.#turn = undefined;
    this.#stopTools(event);
    this.#push({
      kind: 'footer',
      ...placed('footer', event),
      reason: (asText(data.stop_reason) ?? 'end_turn') as StopReason,
      duration: asNumber(data.duration_ms) ?? 0,
      usage: data.usage ? (asObject(data.usage) as Usage) : undefined,
      error: asText(data.error),
    });
  }

  /** What the turn left unfinished is over now. */
  #stopTools(event: Event): void {
    for (let i = this.#items.length - 1; i >= 0; i--) {
      const item = this.#items[i];
      if (item?.kind === 'prompt' && item.turn === event.turn) break;
      if (item?.kind === 'tool' && item.turn === event.turn && !isOver(item.status)) {
        this.#items[i] = { ...item, stopped: true, ended: event.at };
      }
    }
  }

  #bound(): void {
    if (this.#items.length <= MAX_ITEMS) return;
    const surplus = Math.ceil(MAX_ITEMS / 10);
    this.#items.splice(0, surplus);
    this.#dropped += surplus;
    for (const places of [this.#tools, this.#requests, this.#terminals] as Map<string, Place>[]) {
      for (const [key, place] of places) if (place < this.#dropped) places.delete(key);
    }
  }
}

type Data = Record<string, unknown>;

/** What an update is, by its tag. */
const WHAT: Record<string, Large['what']> = {
  agent_message_chunk: 'prose',
  agent_thought_chunk: 'thought',
  tool_call: 'tool',
  tool_call_update: 'tool',
  plan: 'plan',
};

function placed(kind: string, event: Event): Placed {
  return { key: `${kind}${event.seq}`, at: event.at, turn: event.turn };
}

function asked(id: string, data: Data, event: Event): Ask {
  return {
    ...(data as unknown as Ask),
    id,
    status: 'open',
    title: asText(data.title) ?? 'The agent asks',
    options: Array.isArray(data.options) ? (data.options as Option[]) : [],
    priority: (asText(data.priority) ?? 'normal') as Ask['priority'],
    created_at: event.at,
    created_by: event.by,
  };
}

function newTool(update: ToolUpdate, event: Event): Tool {
  return {
    kind: 'tool',
    ...placed('tool', event),
    id: update.toolCallId,
    title: '',
    tool: 'other',
    status: 'pending',
    content: [],
    locations: [],
    input: undefined,
    output: undefined,
    ended: undefined,
    stopped: false,
    requests: [],
    terminals: {},
  };
}

function asObject(value: unknown): Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Data) : {};
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
