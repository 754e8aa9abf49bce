// @ts-check
// Pauses in long work, so that the browser can paint and answer the reader in between.

/** Work of this many milliseconds is done in one go; on a slow phone it takes four times as long. */
const SLICE_MS = 8;

/** Lets the browser do what is waiting. @returns {Promise<void>} */
export function breathe() {
  const { scheduler } = /** @type {{ scheduler?: { yield?: () => Promise<void> } }} */ (globalThis);
  return scheduler?.yield?.() ?? new Promise((resolve) => {
    // No timer: browsers delay those, and tests stop them.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Resolves after the next paint. @returns {Promise<void>} */
export const painted = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });

/**
 * Does something for each item, with pauses. It stops when `isWanted` is false after a pause.
 * @template Item
 * @param {Iterable<Item>} items
 * @param {(item: Item) => void} run
 * @param {() => boolean} [isWanted]
 * @param {number} [since] when the work began of which this is the rest, by `performance.now()`
 */
export async function inSlices(items, run, isWanted = () => true, since = performance.now()) {
  let start = since;
  for (const item of items) {
    if (performance.now() - start >= SLICE_MS) {
      await breathe();
      if (!isWanted()) return;
      start = performance.now();
    }
    run(item);
  }
}
