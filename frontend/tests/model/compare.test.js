// @ts-check
import { describe, expect, it } from 'vitest';
import { sheetCsv } from '../../src/model/sheets.js';
import { cleanTag, compareSheet, earlierBy, isEnough, linesOf, measuresOf, periodLines, readComparison, regionLines, startsOf, tagLines, toggled, totalsOf, valueOf } from '../../src/model/compare.js';

const NOW = Date.parse('2026-11-24T10:30:00Z');
const HOUR = 3_600_000;
const complete = { complete: true, frames: 3, flaws: [] };

/** @param {string} region @param {(object | null)[]} steps from 08:00 on, an hour each @param {string} [from] */
function answer(region, steps, from = '2026-11-24T08:00:00Z') {
  const at = (/** @type {number} */ i) => new Date(Date.parse(from) + i * HOUR).toISOString();
  return {
    region, step_secs: 3600, window_secs: 300, from, to: at(steps.length),
    windows: steps.map((step, i) => ({ window_start: at(i), window_end: at(i + 1), lifecycle: /** @type {const} */ ('final'), completeness: complete, ...step })),
  };
}
const silent = { posts: 0, completeness: { complete: false, frames: 0, flaws: ['unwatched'] } };
const open = { lifecycle: 'provisional' };

describe('what the address asks for', () => {
  it('is regions, hashtags of a region, or periods of a region', () => {
    expect(readComparison({ regions: 'a,b' }, null)).toMatchObject({ mode: 'regions', regions: ['a', 'b'], measure: 'posts' });
    expect(readComparison({ tags: '#Goal,goal, Snow ' }, 'a')).toMatchObject({ mode: 'tags', tags: ['goal', 'Snow'], region: 'a' });
    expect(readComparison({ periods: 'day,never,week' }, 'a')).toMatchObject({ mode: 'periods', periods: ['day', 'week'] });
  });

  it('is cut to eight lines, each once', () => {
    const nine = Array.from({ length: 9 }, (_, i) => `r${i}`);
    expect(readComparison({ regions: [...nine, 'r0'].join() }, null).regions).toEqual(nine.slice(0, 8));
    expect(toggled(nine.slice(0, 8), 'r8')).toEqual(nine.slice(0, 8));
    expect(toggled(['r0', 'r1'], 'r0')).toEqual(['r1']);
  });

  it('has no share of periods, and no unknown measure', () => {
    expect(readComparison({ periods: 'day', measure: 'share' }, 'a').measure).toBe('posts');
    expect(readComparison({ regions: 'a,b', measure: 'mood' }, null).measure).toBe('posts');
    expect(measuresOf('periods')).not.toContain('share');
  });

  it('is enough with two lines', () => {
    expect(isEnough(readComparison({ regions: 'a' }, null))).toBe(false);
    expect(isEnough(readComparison({ regions: 'a,b' }, null))).toBe(true);
    expect(isEnough(readComparison({ periods: 'day' }, 'a'))).toBe(true);
    expect(linesOf(readComparison({ tags: 'x,y' }, null))).toBe(0);
  });

  it('removes signs and separators from hashtags', () => {
    expect(cleanTag(' #GoHabs,Go ')).toBe('GoHabsGo');
    expect(cleanTag('#渋谷')).toBe('渋谷');
  });
});

describe('regions', () => {
  const lines = regionLines([
    answer('b', [{ posts: 30, usual: 60 }, silent, { posts: 10, usual: 40, ...open }]),
    answer('a', [{ posts: 90, usual: 30 }, { posts: 60, usual: 30 }, { posts: 20, usual: 30, ...open }]),
  ], { order: ['a', 'b', 'gone'], nameOf: (id) => id.toUpperCase(), nowMs: NOW });
  const at = (/** @type {number} */ line, /** @type {number} */ step) => /** @type {import('../../src/model/compare.js').Step} */ (lines[line]?.steps[step]);

  it('are in the order in which they were chosen', () => {
    expect(lines.map(({ key, label }) => [key, label])).toEqual([['a', 'A'], ['b', 'B']]);
    expect(startsOf(lines)).toHaveLength(3);
  });

  it('have counts, rates, shares of what is compared, and an index to usual', () => {
    expect(['posts', 'rate', 'share', 'index'].map((one) => valueOf(at(0, 0), /** @type {any} */ (one)))).toEqual([90, 1.5, 75, 300]);
  });

  it('have no value where there is no data', () => {
    expect(['posts', 'rate', 'share', 'index'].map((one) => valueOf(at(1, 1), /** @type {any} */ (one)))).toEqual([null, null, null, null]);
  });

  it('count only what has passed of the open step, which has no index', () => {
    expect(valueOf(at(0, 2), 'rate')).toBeCloseTo(20 / 30);
    expect(valueOf(at(0, 2), 'index')).toBeNull();
  });

  it('have sums of what is known', () => {
    expect(totalsOf(/** @type {any} */ (lines[0]))).toMatchObject({ posts: 170, index: 250, isExact: true });
    expect(totalsOf(/** @type {any} */ (lines[1]))).toMatchObject({ posts: 40, index: 50 });
    expect(totalsOf(/** @type {any} */ (lines[1])).rate).toBeCloseTo(40 / 90);
  });

  it('have no index where hardly any posts are usual', () => {
    const [line] = regionLines([answer('a', [{ posts: 3, usual: 0.2 }])], { order: ['a'], nameOf: String, nowMs: NOW });
    expect(totalsOf(/** @type {any} */ (line)).index).toBeNull();
  });
});

describe('hashtags', () => {
  const base = answer('a', [{ posts: 100 }, { posts: 50 }, { posts: 10, ...open }]);
  const step = (/** @type {string} */ start, /** @type {number} */ posts, posts_high = posts, is_known = true) => ({ start, posts, posts_high, is_known, usual: 2, usual_low: 1, usual_high: 3 });
  const lines = tagLines([
    { region: 'a', tag: 'x', step_secs: 3600, steps: [step('2026-11-24T08:00:00Z', 20), step('2026-11-24T09:00:00Z', 0, 4), step('2026-11-24T10:00:00Z', 1)] },
    null,
  ], { tags: ['X', 'y'], base, nowMs: NOW });

  it('have bounds, and a share of all posts of the region', () => {
    expect(lines).toHaveLength(1);
    expect(lines[0]?.label).toBe('#X');
    expect(lines[0]?.steps.map(({ posts, high }) => [posts, high])).toEqual([[20, 20], [0, 4], [1, 1]]);
    expect(valueOf(/** @type {any} */ (lines[0]?.steps[0]), 'share')).toBe(20);
    expect(totalsOf(/** @type {any} */ (lines[0]))).toMatchObject({ posts: 21, high: 25, isExact: false });
  });
});

describe('periods', () => {
  const lines = periodLines(
    answer('a', [{ posts: 4 }, { posts: 5 }]),
    [answer('a', [{ posts: 1 }, { posts: 2 }], '2026-11-23T08:00:00Z')],
    { periods: ['day'], labelOf: (id) => id || 'shown', nowMs: NOW },
  );

  it('are at the times of the range that is shown', () => {
    expect(lines.map(({ key, label }) => [key, label])).toEqual([['now', 'shown'], ['day', 'day']]);
    expect(lines[1]?.steps.map(({ start }) => start)).toEqual(lines[0]?.steps.map(({ start }) => start));
    expect(earlierBy({ from: '2026-11-24T08:00:00Z', to: '2026-11-24T10:00:00Z' }, 'week')).toEqual({ from: '2026-11-17T08:00:00Z', to: '2026-11-17T10:00:00Z' });
  });

  it('are in the file at their own times', () => {
    const rows = sheetCsv(compareSheet(lines)).split('\r\n');
    expect(rows).toHaveLength(6);
    expect(rows[3]).toBe('day,2026-11-23T08:00:00.000Z,2026-11-23T09:00:00.000Z,final,,1,1,0.017,,,');
  });
});
