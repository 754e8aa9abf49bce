// @ts-check
// When to ask: at regular times, less often after failures, not while the page is hidden, and always one round at a time.

const EVERY_MS = 10_000;
const SLOWEST_MS = 30_000;

/**
 * Runs `round` again and again. A round that is started replaces the one under way, which must look at `isCurrent` after
 * each wait and then do nothing more.
 * @template Options
 * @param {{ round: (isCurrent: () => boolean, options: Options | undefined) => Promise<boolean>, isHidden: () => boolean }} parts
 *   `round` returns whether it succeeded
 */
export function createPoller({ round, isHidden }) {
  let running = true;
  let newest = 0;
  let failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const delay = () => (failures === 0 ? EVERY_MS : Math.min(SLOWEST_MS, EVERY_MS * 2 ** (failures - 1)));

  /**
   * Asks now, then at regular times, all while the page is visible.
   * @param {Options} [options]
   * @returns {Promise<void>}
   */
  async function poll(options) {
    clearTimeout(timer);
    if (isHidden()) return;
    const mine = ++newest;
    const started = Date.now();
    const isCurrent = () => running && mine === newest && !isHidden();
    const succeeded = await round(isCurrent, options);
    if (!isCurrent()) return;
    failures = succeeded ? 0 : failures + 1;
    // The time of the answer counts, so that a new post is never seen later than it has to be.
    timer = setTimeout(poll, Math.max(0, delay() - Math.max(0, Date.now() - started)));
  }

  return {
    poll,
    /** Stops until the next `poll`. */
    pause: () => clearTimeout(timer),
    stop() {
      running = false;
      clearTimeout(timer);
    },
  };
}
