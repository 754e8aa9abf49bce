// @ts-check
import { afterEach, describe, expect, it, vi } from 'vitest';
import { breathe, inSlices } from '../src/breathe.js';

afterEach(() => { vi.unstubAllGlobals(); });

describe('a pause', () => {
  it('lets other work run, also where the browser has no word for it and while timers stand still', async () => {
    vi.stubGlobal('scheduler', undefined);
    vi.useFakeTimers();
    let isOver = false;
    const pause = breathe().then(() => { isOver = true; });
    await Promise.resolve();
    expect(isOver).toBe(false);
    await pause;
    expect(isOver).toBe(true);
    vi.useRealTimers();
  });
});

describe('work in slices', () => {
  /** Work of `cost` milliseconds for each item; what was done at each pause. @param {number} cost @param {{ since?: number, isWanted?: () => boolean }} [options] */
  async function pausesOf(cost, { since, isWanted } = {}) {
    let now = 100;
    /** @type {number[]} */
    const done = [];
    /** @type {number[]} */
    const pauses = [];
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    vi.stubGlobal('scheduler', { yield: async () => { pauses.push(done.length); } });
    await inSlices([1, 2, 3, 4, 5], (item) => {
      now += cost;
      done.push(item);
    }, isWanted, since);
    vi.mocked(performance.now).mockRestore();
    return { pauses, done };
  }

  it('has no pause when it is short', async () => {
    expect(await pausesOf(1)).toEqual({ pauses: [], done: [1, 2, 3, 4, 5] });
  });

  it('has a pause after each slice', async () => {
    expect((await pausesOf(5)).pauses).toEqual([2, 4]);
    expect((await pausesOf(20)).pauses).toEqual([1, 2, 3, 4]);
  });

  it('starts with a pause when it is the rest of work that took long', async () => {
    expect((await pausesOf(1, { since: 90 })).pauses).toEqual([0]);
    expect((await pausesOf(1, { since: 99 })).pauses).toEqual([]);
  });

  it('ends after a pause when it is no longer wanted', async () => {
    expect(await pausesOf(20, { isWanted: () => false })).toEqual({ pauses: [1], done: [1] });
  });
});
