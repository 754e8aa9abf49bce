// @ts-check
// Reports and answers for tests, complete as the API's contract wants them. Each test changes what it is about.

import { readAnswer } from '../src/model/answer.js';

/**
 * @typedef {import('../src/model/contract').Report} Report
 * @typedef {import('../src/model/contract').Completeness} Completeness
 */

export const START = Date.UTC(2026, 10, 24, 8, 0);
export const MINUTE = 60_000;

/** @param {number} ms */
export const iso = (ms) => new Date(ms).toISOString();

/** @type {Completeness} */
export const COMPLETE = {
  complete: true, flaws: [], frames: 5, received: 90, filtered: 80, quarantined: 0, corrupt: 0, duplicates: 0, dropped: 0, missed_secs: 0,
  withheld: 0, sampled: 1, late: 0,
};

/**
 * The report of a window without posts.
 * @param {Partial<Report>} [changes]
 * @returns {Report}
 */
export const report = (changes = {}) => ({
  region: 'r', window_start: iso(START), window_end: iso(START + 5 * MINUTE), lifecycle: 'final', revision: null,
  posts: 0, originals: 0, replies: 0, quotes: 0, reposts: 0, authors: 0, authors_low: 0, authors_high: 0, authorless: 0,
  per_minute: [0, 0, 0, 0, 0], languages: {}, other_languages: 0, hashtags: [], long_hashtags: 0, mentions: 0, link_hosts: [],
  located: { point: 0, place: 0, rule: 0, text: 0, all: 0 }, media: 0, networks: [], lag_ms: null, usual: null, usual_low: null, usual_high: null, completeness: COMPLETE, ...changes,
});

/** A time within the fifth window. */
export const NOW = START + 22 * MINUTE;

/** What a window without any frame reports. @type {Completeness} */
export const SILENT = { ...COMPLETE, complete: false, flaws: ['unwatched'], frames: 0 };

/** What a window reports when a source was asked for a quarter of its posts. @type {Completeness} */
export const SAMPLED = { ...COMPLETE, complete: false, flaws: ['sampled'], sampled: 0.25 };

/**
 * What a window reports that is incomplete.
 * @param {Partial<Completeness>} changes
 */
export const flawed = (changes) => ({ ...COMPLETE, complete: false, ...changes });

/**
 * The report of the `index`-th window of five minutes, with ten posts.
 * @param {number} index
 * @param {Partial<Report>} [changes]
 */
export function windowAt(index, changes = {}) {
  const start = START + index * 5 * MINUTE;
  return report({
    window_start: iso(start), window_end: iso(start + 5 * MINUTE), posts: 10, originals: 4, replies: 3, quotes: 1, reposts: 2,
    authors: 8, authors_low: 7, authors_high: 9, per_minute: [2, 2, 2, 2, 2], ...changes,
  });
}

/**
 * The report of a window in which nothing arrived.
 * @param {number} index
 * @param {Partial<Report>} [changes]
 */
export function silentAt(index, changes = {}) {
  const { window_start, window_end } = windowAt(index);
  return report({ window_start, window_end, completeness: SILENT, ...changes });
}

/**
 * An answer of /api/windows as the page reads it.
 * @param {import('../src/model/contract').Loose<Report>[]} windows
 * @param {import('../src/model/contract').Loose<Report>} [total] left out, it is summed from the windows
 */
export const answerOf = (windows, total = {}) => readAnswer({ region: 'r', name: 'R', window_secs: 300, step_secs: 300, windows, total }, NOW);

/**
 * What a chart shows of an answer.
 * @template View
 * @param {import('../src/chart-kit/types').Chart<View>} chart
 * @param {import('../src/model/answer.js').Answer} answer
 * @param {Partial<import('../src/chart-kit/types').ChartOptionsOfReader>} [options]
 */
export const viewOf = (chart, answer, options = {}) => chart.view(answer, { choice: null, hidden: new Set(), networks: [], ...options });

/**
 * What a chart draws with Chart.js, which rankings do not.
 * @template View
 * @param {import('../src/chart-kit/types').Chart<View>} chart
 * @param {View} view
 * @param {import('../src/theme.js').Palette} palette
 */
export function drawingOf(chart, view, palette) {
  if (!chart.config) throw new Error(`${chart.id} draws nothing`);
  return chart.config(view, palette);
}
