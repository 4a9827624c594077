/** Times, durations and counts for people. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long something took: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`. */
export function duration(ms: number): string {
  if (ms < 10 * SECOND) return `${(Math.max(0, ms) / SECOND).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return join(Math.floor(ms / MINUTE), 'min', Math.floor((ms % MINUTE) / SECOND), 's');
  return join(Math.floor(ms / HOUR), 'h', Math.floor((ms % HOUR) / MINUTE), 'min');
}

/** How long ago, short: `now`, `45 s`, `12 min`, `5 h`, `3 d`. */
export function age(at: number, now: number): string {
  const ms = Math.max(0, now - at);
  if (ms < 5 * SECOND) return 'now';
  return coarse(ms);
}

/** How long until: `12 s`, `4 min`; `now` when it is past. */
export function until(at: number, now: number): string {
  return at <= now ? 'now' : coarse(at - now + SECOND - 1);
}

/** The exact time, for a title. */
export function exact(at: number): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

/** The time of day. */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}

/** The time of day, to the second. */
export function moment(at: number): string {
  return new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
}

/** `1,240`. */
export function count(n: number): string {
  return n.toLocaleString('en');
}

/** `940`, `12.4k`, `1.2M`. */
export function tokens(n: number): string {
  if (n < 1_000) return String(n);
  if (n < 999_500) return `${short(n / 1_000)}k`;
  return `${short(n / 1_000_000)}M`;
}

/** `$0.031`, `$1.20`. */
export function dollars(cost: number): string {
  return `$${cost.toFixed(cost < 0.1 ? 3 : 2)}`;
}

function coarse(ms: number): string {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

function join(a: number, unit: string, b: number, smaller: string): string {
  return b === 0 ? `${a} ${unit}` : `${a} ${unit} ${b} ${smaller}`;
}

function short(n: number): string {
  return n < 100 ? n.toFixed(1).replace(/\.0$/, '') : String(Math.round(n));
}
