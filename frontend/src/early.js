// @ts-check
// The first answers, which public/boot.js asked for while the code of the page was loaded.

/**
 * `fetch` that gives each early answer once, and asks as usual for everything else and where the early question failed.
 * @param {globalThis.Window} win
 * @returns {import('./api.js').Fetch}
 */
export function earlyFetch(win) {
  const early = /** @type {Record<string, ReturnType<import('./api.js').Fetch>>} */ (/** @type {any} */ (win).birdsongEarly ?? {});
  return (url, init) => {
    const answer = early[url];
    delete early[url];
    if (!answer) return win.fetch(url, init);
    return new Promise((resolve, reject) => {
      init?.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')), { once: true });
      answer.then(resolve, () => win.fetch(url, init).then(resolve, reject));
    });
  };
}
