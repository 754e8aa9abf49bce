// @ts-check
// Tests of what the page is turned to.
import { expect, it } from 'vitest';
import { boundsText, readSeries } from '../../src/charts/focus.js';
import { companions, focusLimits, focusName, focusOf, languageSeries, seriesRange } from '../../src/model/focus.js';

it('is a hashtag, host or language of the address, or the one chosen network', () => {
  expect(focusOf({ networks: ['x'], choices: { language: 'fr' } })).toEqual({ type: 'language', key: 'fr' });
  expect(focusOf({ networks: ['x'], choices: {} })).toEqual({ type: 'network', key: 'x' });
  expect(focusOf({ networks: ['bluesky', 'x'], choices: { tag: '' } })).toBeNull();
  expect([{ type: 'language', key: 'fr' }, { type: 'network', key: 'bluesky' }, { type: 'hashtag', key: 'goal' }].map((one) => focusName(/** @type {any} */ (one)))).toEqual(['French', 'Bluesky', '#goal']);
});

it('gives a language its own series, with bounds where rare languages are counted together', () => {
  const window = (/** @type {number} */ minute, /** @type {Record<string, number>} */ languages, other_languages = 0) => ({
    window_start: `2026-11-24T08:0${minute}:00Z`, languages, other_languages, completeness: { complete: true, frames: 1 },
  });
  const series = languageSeries({ region: 'a', from: '2026-11-24T08:00:00Z', to: '2026-11-24T08:10:00Z', step_secs: 300, windows: [window(0, { fr: 4, en: 9 }, 2), window(5, { en: 9 }, 3)] }, 'fr');
  expect(series.steps?.map((step) => [step?.posts, step?.posts_high])).toEqual([[4, 4], [0, 3]]);
  expect(boundsText(readSeries(series, Date.parse('2026-11-25T00:00:00Z')))).toBe('at least 4 and at most 7 posts');
});

it('says that a language has no usual range', () => {
  expect(focusLimits({ type: 'language', key: 'fr' })).toContain('no usual range');
});

it('cuts the series of a hashtag to its last 62 days', () => {
  const range = { from: '2026-01-01T00:00:00Z', to: '2026-11-01T00:00:00Z' };
  expect(seriesRange(range)).toEqual({ from: '2026-08-31T00:00:00.000Z', to: range.to, isCut: true });
  expect(seriesRange({ ...range, from: '2026-10-01T00:00:00Z' }).isCut).toBe(false);
});

it('names the hashtags that come with one, and says when they are not stored', () => {
  const trends = /** @type {any} */ ({ regions: [{ region: 'a', items: [{ subject: { type: 'hashtag', key: 'goal' }, profile: { posts: 40, tags: [{ name: 'habs', posts: 30 }], tags_error: 2 } }] }] });
  expect(companions(trends, 'Goal')).toBe('In the last 40 posts that its profile has, it comes with #habs (75%); each may be in up to 2 more. This is of now, not of the range.');
  expect(companions(trends, 'other')).toContain('not stored');
  expect(companions(null, 'goal')).toBe('');
});
