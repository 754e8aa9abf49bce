// @ts-check
// Tests of the first answers, which are asked for before the code of the page is there.
import { expect, it, vi } from 'vitest';
import { earlyFetch } from '../src/early.js';

/** @param {Record<string, Promise<any>>} birdsongEarly */
function makeWindow(birdsongEarly) {
  const fetch = vi.fn(async (/** @type {string} */ url) => `asked for ${url}`);
  return { win: /** @type {any} */ ({ birdsongEarly, fetch }), fetch };
}

it('gives an early answer once', async () => {
  const { win, fetch } = makeWindow({ '/a': Promise.resolve('early') });
  const get = earlyFetch(win);
  expect(await get('/a')).toBe('early');
  expect(fetch).not.toHaveBeenCalled();
  expect(await get('/a')).toBe('asked for /a');
});

it('asks when the early question failed, and without one', async () => {
  const { win } = makeWindow({ '/a': Promise.reject(new Error('no network')) });
  const get = earlyFetch(win);
  expect(await get('/a')).toBe('asked for /a');
  expect(await earlyFetch(/** @type {any} */ ({ fetch: win.fetch }))('/b')).toBe('asked for /b');
});

it('can be cancelled while the early answer is awaited', async () => {
  const { win } = makeWindow({ '/a': new Promise(() => {}) });
  const controller = new AbortController();
  const answer = earlyFetch(win)('/a', { signal: controller.signal });
  controller.abort();
  await expect(answer).rejects.toThrow('aborted');
});
