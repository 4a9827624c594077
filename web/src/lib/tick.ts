/** The time now, told each second for as long as somebody listens. Svelte's store contract. */

const readers = new Set<(now: number) => void>();
let timer: ReturnType<typeof setInterval> | undefined;

export const now = {
  subscribe(reader: (now: number) => void): () => void {
    readers.add(reader);
    reader(Date.now());
    timer ??= setInterval(() => {
      const time = Date.now();
      for (const one of readers) one(time);
    }, 1_000);
    return () => {
      readers.delete(reader);
      if (readers.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  },
};
