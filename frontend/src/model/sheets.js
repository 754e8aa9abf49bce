// @ts-check
// What is shown as sheets of plain numbers, and times in the chosen zone with their difference to UTC, and a sheet as CSV (RFC 4180) or NDJSON. Pure functions.
// Columns have the names of the API's fields, in any language of the page.

import { currentZone, isUtcDays } from '../format.js';
import { begun } from './answer.js';
import { KINDS } from './report.js';
import { count, list } from './values.js';
import { isoIn } from './zone.js';

/** @typedef {{ name: string, columns: string[], rows: unknown[][] }} Sheet `name` is the middle of a file's name */

/** @param {unknown} value */
function cell(value) {
  // A cell that starts like a formula gets a quote, so that spreadsheets show it and do not run it.
  const text = value === null || value === undefined ? '' : typeof value === 'string' ? value.replace(/^[=+\-@\t\r]/, "'$&") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {unknown[][]} rows */
export const csv = (rows) => rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');

/** @param {Sheet} sheet */
export const sheetCsv = ({ columns, rows }) => csv([columns, ...rows]);

/** One JSON object a row; an empty cell is null. @param {Sheet} sheet */
export const sheetNdjson = ({ columns, rows }) => rows.map((row) => (
  `${JSON.stringify(Object.fromEntries(columns.map((column, i) => [column, row[i] === '' ? null : row[i] ?? null])))}\n`
)).join('');

/** The name of the days of UTC, where steps are days and times are those of another zone. @param {number} stepMs */
const dayColumn = (stepMs) => (isUtcDays(stepMs) ? ['utc_day'] : []);
/** @param {number} stepMs @param {number} start */
const dayCell = (stepMs, start) => (isUtcDays(stepMs) ? [new Date(start).toISOString().slice(0, 10)] : []);

/** @param {number | null} ms */
const iso = (ms) => (ms === null ? null : isoIn(currentZone(), ms));

/**
 * The steps of a region that have begun. Where no data arrived, counts are empty and not zero.
 * @param {import('./answer.js').Answer} answer
 * @returns {Sheet}
 */
export function stepsSheet(answer) {
  const networks = answer.networks ?? [];
  // The column is there only where the server compares with the counts of X.
  const hasReference = answer.windows.some((w) => typeof w.report.reference === 'number');
  return {
    name: `${answer.region ?? 'region'}-steps`,
    columns: [
      'region', 'start', 'end', ...dayColumn(answer.stepMs), 'state', 'flaws', 'sampled', 'posts', 'usual', 'usual_low', 'usual_high', ...KINDS.map(({ field }) => field), 'authors', 'authors_low', 'authors_high',
      ...networks.map((network) => `posts_${network}`), ...(hasReference ? ['reference'] : []),
    ],
    rows: begun(answer.windows).map((w) => {
      const counts = [w.posts, w.report.usual, w.report.usual_low, w.report.usual_high, ...KINDS.map(({ key }) => w.kinds[key]), w.authors, w.authorsLow, w.authorsHigh, ...networks.map((network) => w.networks?.get(network) ?? 0)];
      return [
        answer.region, iso(w.start), iso(w.end), ...dayCell(answer.stepMs, w.start), w.gap ?? w.lifecycle, w.flaws.join(' '), w.share < 1 ? w.share : null,
        ...(w.gap === 'silent' ? counts.map((n, i) => (i >= 1 && i <= 3 ? n : null)) : counts), ...(hasReference ? [w.report.reference] : []),
      ];
    }),
  };
}

/**
 * All regions in the order of the page.
 * @param {import('./unusual.js').RegionNow[]} regions
 * @returns {Sheet}
 */
export const regionsSheet = (regions) => ({
  name: 'regions',
  columns: ['region', 'name', 'group', 'posts_last_hour', 'usual', 'usual_low', 'usual_high', 'factor', 'event', 'since'],
  rows: regions.map((one) => [one.id, one.name, one.group, one.posts, one.usual, one.low, one.high, one.factor, one.event?.id, one.event?.start]),
});

/**
 * The lines of the regions: their steps, one region after the other.
 * @param {Iterable<import('./answer.js').Answer>} answers
 * @returns {Sheet}
 */
export const linesSheet = (answers) => ({
  name: 'regions-24h',
  columns: ['region', 'start', 'end', 'state', 'posts', 'usual', 'usual_low', 'usual_high'],
  rows: [...answers].flatMap((answer) => begun(answer.windows).map((w) => [
    answer.region, iso(w.start), iso(w.end), w.gap ?? w.lifecycle, w.gap === 'silent' ? null : w.posts, w.report.usual, w.report.usual_low, w.report.usual_high,
  ])),
});

/**
 * What rises, the most unusual first.
 * @param {import('./contract').Loose<import('./contract').TrendsAnswer> | null | undefined} trends
 * @returns {Sheet}
 */
export const risingSheet = (trends) => ({
  name: 'rising',
  columns: ['region', 'type', 'key', 'name', 'standing', 'since', 'posts', 'span_secs', 'usual', 'authors_low', 'authors_high', 'score'],
  rows: list(trends?.regions).flatMap(({ region, items }) => list(items).map((one) => ({ region, one })))
    .sort((a, b) => count(b.one.score) - count(a.one.score))
    .map(({ region, one }) => [
      region, one.subject?.type, one.subject?.key, one.subject?.name, one.standing, one.since, one.observed, one.span_secs, one.usual,
      one.authors?.low, one.authors?.high, one.score,
    ]),
});

/**
 * Events and notes in the order that is given.
 * @param {readonly (import('./unusual.js').LooseEvent | null)[] | null | undefined} events
 * @returns {Sheet}
 */
export const eventsSheet = (events) => ({
  name: 'events',
  columns: ['id', 'region', 'kind', 'subject_type', 'subject', 'start', 'end', 'is_open', 'observed', 'usual', 'span_secs', 'score', 'reason', 'sampled', 'windows', 'text'],
  rows: list(events).map((one) => [
    one.id, one.region, one.kind, one.subject?.type, one.subject?.name, one.start, one.end, one.is_open, one.comparison?.observed, one.comparison?.usual,
    one.comparison?.span_secs, one.comparison?.score, one.reason, one.sampled, one.windows, one.text,
  ]),
});

/**
 * A ranking of the range. The true count lies between `posts` and `posts_high`, and that of the earlier time between `posts_before` and
 * `posts_before_high`, which are there when an earlier time is known.
 * @param {string} id the chart
 * @param {import('./answer.js').Answer} answer
 * @param {{ bars: import('../chart-kit/types').Bar[], all: number }} ranking
 * @returns {Sheet}
 */
export function rankingSheet(id, answer, { bars, all }) {
  const isCompared = bars.some(({ before }) => before);
  return {
    name: `${answer.region ?? 'region'}-${id}`,
    columns: ['region', 'from', 'to', 'name', 'posts', 'posts_high', 'posts_in_all', ...(isCompared ? ['posts_before', 'posts_before_high'] : [])],
    rows: bars.map(({ label, value, error, before }) => [answer.region, iso(answer.from), iso(answer.to), label, value, value + error, all || null, ...(isCompared ? [before?.low, before?.high] : [])]),
  };
}

/**
 * The series of a hashtag or host, as two bounds a step.
 * @param {{ type: string, key: string }} focus
 * @param {import('../charts/focus.js').SeriesAnswer} answer
 * @returns {Sheet}
 */
export const seriesSheet = ({ type, key }, answer) => ({
  name: `${answer.region ?? 'region'}-${key.replace(/[^\p{L}\p{N}.-]+/gu, '_')}`,
  columns: ['region', 'type', 'key', 'start', 'end', ...dayColumn(answer.stepMs), 'state', 'posts', 'posts_high', 'usual', 'usual_low', 'usual_high'],
  rows: begun(answer.windows).map((w) => [
    answer.region, type, key, iso(w.start), iso(w.end), ...dayCell(answer.stepMs, w.start), w.gap ?? w.lifecycle, w.gap === 'silent' ? null : w.posts,
    w.gap === 'silent' ? null : answer.highs.get(w.start) ?? w.posts, w.report.usual, w.report.usual_low, w.report.usual_high,
  ]),
});
