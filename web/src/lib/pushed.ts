/** What the daemon tells a device by Web Push, and what a click on it means. */

export interface Told {
  title: string;
  body: string;
  /** Where to look at it. */
  path: string;
  tag: string;
  /** Where it is answered without opening the page, and with what. */
  answer: { path: string; options: { id: string; name: string }[] } | undefined;
}

/** Reads a message. What is none of ours still says that something waits, since a browser wants something shown. */
export function read(text: string): Told {
  const empty: Told = { title: 'Trunkline', body: 'Something waits for you.', path: '/', tag: 'push', answer: undefined };
  try {
    const said = JSON.parse(text) as Partial<Told>;
    const own = (path: unknown): path is string => typeof path === 'string' && /^\/(?!\/)/.test(path);
    const word = (value: unknown, otherwise: string) => (typeof value === 'string' && value ? value : otherwise);
    const answer = said.answer && own(said.answer.path) && Array.isArray(said.answer.options) ? said.answer : undefined;
    return { title: word(said.title, empty.title), body: word(said.body, ''), path: own(said.path) ? said.path : '/', tag: word(said.tag, 'push'), answer };
  } catch {
    return empty;
  }
}

/** A notification of it: a button for each answer, as many as the browser shows. */
export function shown({ body, tag, path, answer }: Told): NotificationOptions & { data: Clicked } {
  const actions = (answer?.options ?? []).map(({ id, name }) => ({ action: id, title: name }));
  const options = { body, tag, icon: '/icon-192.png', data: { path, answer: answer?.path }, actions };
  return options;
}

/** What a notification knows of itself when it is clicked. */
export interface Clicked {
  path?: string;
  answer?: string | undefined;
}

/** Answers, and gives what to tell if that was not taken. */
export async function answer(path: string, option: string, send: typeof fetch): Promise<string | undefined> {
  try {
    const response = await send(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ option }), credentials: 'omit' });
    if (response.ok) return undefined;
    const problem = (await response.json().catch(() => ({}))) as { detail?: string };
    return problem.detail ?? `The daemon said ${response.status}.`;
  } catch {
    return 'The daemon was not reached. Nothing was answered.';
  }
}
