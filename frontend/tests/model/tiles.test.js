// @ts-check
// Tests of the tiles: what each number says, and how it is marked.
import { describe, expect, it } from 'vitest';
import { readAnswer } from '../../src/model/answer.js';
import { freshnessTile } from '../../src/model/freshness.js';
import { rateNow } from '../../src/model/rate.js';
import { rateUsualText, tiles } from '../../src/model/tiles.js';
import { MINUTE, NOW, SAMPLED, START, answerOf, flawed, iso, silentAt, windowAt } from '../reports.js';

/** @typedef {import('../../src/model/contract').Loose<import('../../src/model/contract').Report>} LooseReport */

describe('rateNow', () => {
  it('is the mean of the last full minutes', () => {
    const { windows } = answerOf([windowAt(3, { per_minute: [1, 1, 1, 4, 4] }), windowAt(4, { per_minute: [6, 6, 99, 0, 0] })]);
    expect(rateNow(windows, NOW + 30_000)).toEqual({ rate: (1 + 4 + 4 + 6 + 6) / 5, step: null });
  });

  it('uses whole windows when there are no counts per minute', () => {
    const { windows } = answerOf([windowAt(3, { per_minute: [] }), windowAt(4, { per_minute: [] })]);
    // The last of the windows is two minutes old.
    expect(rateNow(windows, NOW)).toEqual({ rate: 5, step: { start: START + 20 * MINUTE, end: NOW } });
    expect(rateNow([], NOW)).toBeNull();
  });
});

describe('tiles', () => {
  const status = { now: iso(NOW), newest_post: iso(NOW - 4000), lag_ms: { mean: 1200, max: 3000 } };

  /**
   * @param {LooseReport[]} windows
   * @param {LooseReport} [total]
   * @param {import('../../src/model/freshness.js').LooseOverview | null} [other]
   */
  function read(windows, total, other = status) {
    const all = tiles({ answer: answerOf(windows, total), overview: other, nowMs: NOW, rangeText: 'in the last hour' });
    const byId = Object.fromEntries(all.map((tile) => [tile.id, tile]));
    return /** @type {Record<'posts' | 'rate' | 'authors' | 'reposts' | 'freshness' | 'completeness', typeof all[number]>} */ (byId);
  }

  it('sums up the range', () => {
    const all = read([windowAt(0), windowAt(1), windowAt(4, { lifecycle: 'provisional' })], { authors: 20, authors_low: 19, authors_high: 21 });
    expect(all.posts.value).toBe('30');
    expect(all.reposts).toMatchObject({ value: '20%', note: '6 of 30 posts' });
    expect(all.authors).toMatchObject({ value: '≈ 20', note: '95% sure: 19 to 21' });
    expect(all.freshness).toMatchObject({ value: '4 s', tone: 'good' });
    expect(all.completeness).toMatchObject({ value: '100%', note: 'all 2 windows complete', tone: 'good' });
  });

  it('draws lines of the steps that have ended, with gaps and the usual range', () => {
    const { posts, authors, reposts, rate } = read([windowAt(0, { usual_low: 4, usual_high: 8, authors: 3 }), silentAt(1), windowAt(2, { reposts: 0 }), windowAt(4, { lifecycle: 'provisional', per_minute: [7, 8, 9, 1, 0] })]);
    expect(posts.spark).toEqual([{ posts: 10, low: 4, high: 8, gap: null }, { posts: null, low: null, high: null, gap: 'silent' }, { posts: 10, low: null, high: null, gap: null }]);
    expect(authors.spark?.map((step) => step.posts)).toEqual([3, null, windowAt(2).authors]);
    expect(reposts.spark?.map((step) => step.posts)).toEqual([0.2, null, 0]);
    // Two minutes of the open window are full.
    expect(rate.spark?.slice(-2).map((step) => step.posts)).toEqual([7, 8]);
    const many = read(Array.from({ length: 200 }, (_, i) => windowAt(i - 200)));
    expect(many.posts.spark).toHaveLength(66);
    expect(many.posts.spark?.[0]?.posts).toBe(30);
  });

  it('says how many posts a minute are usual now', () => {
    expect(rateUsualText({ usual_low: 60, usual_high: 90 })).toBe('1 to 1.5 are usual in this hour');
    expect(rateUsualText({ usual_low: null, usual_high: null })).toBe('');
  });

  it('counts windows with gaps', () => {
    const all = read([windowAt(0), silentAt(1), windowAt(2, { completeness: flawed({ frames: 2, dropped: 3 }) })], { completeness: { dropped: 3 } });
    expect(all.completeness).toMatchObject({ value: '33%', note: 'of 3 windows: 1 without data, 1 incomplete, 3 posts dropped', tone: 'bad' });
  });

  it('counts sampled windows separately, with a warning', () => {
    const all = read([windowAt(0, { completeness: SAMPLED }), windowAt(1)]);
    expect(all.completeness).toMatchObject({ value: '50%', note: 'of 2 windows: 1 sampled', tone: 'warn' });
  });

  it('marks each number of a sample as one', () => {
    const counts = { posts: 94, reposts: 47, authors: 20, authors_low: 19, authors_high: 21 };
    const one = { completeness: { ...SAMPLED, sampled: 0.01 } };
    const all = read([windowAt(3, one), windowAt(4, { ...one, lifecycle: 'provisional' })], counts);
    expect(all.posts).toMatchObject({ value: '≥ 94', note: 'in the last hour; sample of 1%' });
    expect(all.rate).toMatchObject({ value: '≥ 2', note: 'mean of the last 5 full minutes; sample of 1%' });
    expect(all.authors).toMatchObject({ value: '≥ 19', note: 'sample of 1%' });
    expect(all.reposts).toMatchObject({ value: '≈ 50%', note: '47 of 94 posts; sample of 1%' });
    const part = read([windowAt(0, one), windowAt(4)], counts);
    expect(part.posts).toMatchObject({ value: '≥ 94', note: 'in the last hour; partly a sample of 1%' });
    expect(part.rate).toMatchObject({ value: '2', note: 'mean of the last 5 full minutes' });
  });

  it('shows how well the number of authors is known', () => {
    const authors = (/** @type {LooseReport} */ total) => read([windowAt(0)], total).authors;
    expect(authors({ authors: 7, authors_low: 7, authors_high: 7 })).toMatchObject({ value: '7', note: 'exact' });
    expect(authors({ authors: 1, authors_low: 1, authors_high: 300, authorless: 300 })).toMatchObject({ value: '1 to 300', note: '300 posts without author' });
  });

  it('names the time of the rate when it is the mean of a step', () => {
    const all = read([windowAt(3, { per_minute: [] }), windowAt(4, { per_minute: [] })]);
    expect(all.rate).toMatchObject({ value: '5', note: 'mean of Tue 24 Nov, 08:20–08:22' });
  });

  it('calls steps steps and windows windows', () => {
    const answer = readAnswer({ window_secs: 300, step_secs: 900, windows: [{ ...windowAt(0), window_end: iso(START + 15 * MINUTE) }] }, NOW);
    const tile = tiles({ answer, overview: status, nowMs: NOW }).find(({ id }) => id === 'completeness');
    expect(tile?.note).toBe('all 1 step of 15 min complete');
  });

  it('names the time of the rate of an archive, and does not warn of its age', () => {
    const old = { newest_post: iso(START + 9 * MINUTE), sources: [] };
    const all = tiles({ answer: answerOf([windowAt(0), windowAt(1)]), overview: old, nowMs: NOW + 86_400_000 });
    expect(all.find(({ id }) => id === 'rate')?.note).toMatch(/^mean of 5 minutes up to .*24 Nov/);
    expect(all.find(({ id }) => id === 'freshness')).toMatchObject({ value: '1 d', tone: 'plain' });
  });

  it('has a text for everything when there is nothing', () => {
    const all = read([], {}, null);
    expect(all.posts.value).toBe('0');
    expect(all.rate.value).toBe('–');
    expect(all.authors.value).toBe('–');
    expect(all.reposts.value).toBe('–');
    expect(all.freshness).toMatchObject({ value: '–', note: 'no post seen yet' });
    expect(all.completeness).toMatchObject({ value: '–', tone: 'plain' });
  });

  it('warns of old data', () => {
    expect(freshnessTile({ newest_post: iso(NOW - 300_000) }, NOW)).toMatchObject({ value: '5 min', tone: 'warn' });
    expect(freshnessTile({ newest_post: iso(NOW - 7_200_000) }, NOW).tone).toBe('bad');
    expect(freshnessTile({ newest_post: iso(NOW + 9000) }, NOW).value).toBe('0 s');
    expect(freshnessTile({ newest_post: null, freshness_secs: 8 }, NOW).value).toBe('8 s');
  });
});
