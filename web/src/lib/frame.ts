/** A hidden page draws no frames; its title and its notices must go on. */
export function nextFrame(run: () => void): void {
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    clearTimeout(timer);
    run();
  };
  const timer = setTimeout(once, 250);
  requestAnimationFrame(once);
}
