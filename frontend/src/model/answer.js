// @ts-check
// Reads the answer of /api/windows into the windows and the total that charts and tiles show.

import { KINDS, authorCounts, kindCounts, networkCounts } from './report.js';
import { count, list, parseTime } from './values.js';

/**
 * @typedef {import('./report.js').LooseReport} LooseReport
 * @typedef {import('./contract').Loose<import('./contract').WindowsAnswer>} LooseAnswer
 * @typedef {ReturnType<typeof readWindow>} Window
 * @typedef {ReturnType<typeof readAnswer>} Answer
 * @typedef {Answer['total']} Total
 * @typedef {'silent' | 'partial' | 'sampled'} Gap
 */

const DEFAULT_STEP_MS = 300_000;

/**
 * What is missing from a window that has ended: everything (`silent`), some of it (`partial`), or what a source was
 * not asked for (`sampled`).
 * @param {LooseReport['completeness']} completeness
 * @param {boolean} isOpen whether the window may still change
 * @returns {Gap | null}
 */
function gapOf(completeness, isOpen) {
  if (completeness?.frames === 0) return 'silent';
  if (isOpen || completeness?.complete !== false) return null;
  const flaws = list(completeness.flaws);
  return flaws.length === 1 && flaws[0] === 'sampled' ? 'sampled' : 'partial';
}

/**
 * One window with every field in place. `report` is the window as the API sent it, for charts of further metrics.
 * @param {LooseReport | null | undefined} report
 * @param {number} nowMs the server's time, which decides whether the window has begun and ended
 * @param {number} [stepMs] its length when the report names no end
 */
export function readWindow(report, nowMs, stepMs = DEFAULT_STEP_MS) {
  const start = parseTime(report?.window_start) ?? 0;
  const end = parseTime(report?.window_end) ?? start + stepMs;
  const kinds = kindCounts(report);
  const completeness = report?.completeness;
  const future = start >= nowMs;
  const isOpen = !future && report?.lifecycle === 'provisional';
  const gap = !future && end <= nowMs ? gapOf(completeness, isOpen) : null;
  return {
    report: report ?? {},
    start,
    end,
    middle: (start + end) / 2,
    lifecycle: report?.lifecycle ?? 'final',
    future,
    // Nothing arrived in a silent window, so there is nothing to mark as unfinished.
    unfinished: isOpen && gap === null,
    gap,
    posts: typeof report?.posts === 'number' ? count(report.posts) : Object.values(kinds).reduce((a, b) => a + b, 0),
    kinds,
    networks: networkCounts(report),
    ...authorCounts(report),
    perMinute: list(report?.per_minute).map(count),
    flaws: list(completeness?.flaws),
    dropped: count(completeness?.dropped),
    quarantined: count(completeness?.quarantined),
    missedSecs: count(completeness?.missed_secs),
    withheld: count(completeness?.withheld),
    corrupt: count(completeness?.corrupt),
    // The smallest share of its posts that any source was asked for; 1 is all.
    share: typeof completeness?.sampled === 'number' ? completeness.sampled : 1,
  };
}

/**
 * The answer of /api/windows with every field in place, windows in order of time. Counts that the total lacks are
 * summed from the windows.
 * @param {LooseAnswer | null | undefined} answer
 * @param {number} nowMs
 */
export function readAnswer(answer, nowMs) {
  const stepMs = (count(answer?.step_secs) || count(answer?.window_secs)) * 1000 || DEFAULT_STEP_MS;
  const windows = list(answer?.windows)
    .map((report) => readWindow(report, nowMs, stepMs))
    .sort((a, b) => a.start - b.start);
  /** @type {LooseReport} */
  const total = answer?.total ?? {};
  /** @param {(window: Window) => number} pick */
  const summed = (pick) => windows.reduce((sum, window) => sum + pick(window), 0);
  const kinds = kindCounts(total);
  for (const { key, field } of KINDS) {
    if (typeof total[field] !== 'number') kinds[key] = summed((w) => w.kinds[key]);
  }
  const networks = networkCounts(total);
  return {
    region: answer?.region ?? null,
    name: answer?.name ?? answer?.region ?? '',
    from: parseTime(answer?.from) ?? windows[0]?.start ?? null,
    to: parseTime(answer?.to) ?? windows.at(-1)?.end ?? null,
    stepMs,
    windowMs: count(answer?.window_secs) * 1000 || stepMs,
    windows,
    // Null when the server does not count by network.
    networks: networks && [...networks.keys()],
    total: {
      report: total,
      posts: typeof total.posts === 'number' ? count(total.posts) : summed((w) => w.posts),
      kinds,
      ...(typeof total.authors === 'number' ? authorCounts(total) : { authors: null, authorsLow: null, authorsHigh: null }),
      authorless: count(total.authorless),
      dropped: count(total.completeness?.dropped),
    },
  };
}

/**
 * The windows that have begun: those of which anything can be known.
 * @param {Window[]} windows
 */
export const begun = (windows) => windows.filter((w) => !w.future);

/**
 * Whether anything is known of a window: it has begun and was not silent.
 * @param {Window} w
 */
export const isKnown = (w) => !w.future && w.gap !== 'silent';
