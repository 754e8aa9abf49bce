// @ts-check
// Reads the answer of /api/windows into the windows and the total that charts and tiles show.

import { authorCounts, kindCounts, networkCounts } from './report.js';
import { count, list, parseTime } from './values.js';

/**
 * @typedef {import('./report.js').LooseReport} LooseReport
 * @typedef {import('./contract').Loose<import('./contract').WindowsAnswer>} LooseAnswer
 * @typedef {ReturnType<typeof readWindow>} Window
 * @typedef {ReturnType<typeof readAnswer> & { asked?: import('./range.js').Ends }} Answer `asked` is the absolute range, within its whole windows
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

/** One window with every field in place. A class, for an answer has hundreds of them, and getters that each has for itself take long to make. */
class ReadWindow {
  /**
   * @param {LooseReport} report the window as the API sent it, for charts of further metrics
   * @param {number} nowMs
   * @param {number} stepMs
   */
  constructor(report, nowMs, stepMs) {
    this.report = report;
    this.start = parseTime(report.window_start) ?? 0;
    this.end = parseTime(report.window_end) ?? this.start + stepMs;
    this.middle = (this.start + this.end) / 2;
    this.future = this.start >= nowMs;
    this.hasEnded = this.end <= nowMs;
  }

  // The rest is read when it is used: a report has only the fields that were asked for.
  get lifecycle() { return this.report.lifecycle ?? 'final'; }
  get isOpen() { return !this.future && this.lifecycle === 'provisional'; }
  get gap() { return !this.future && this.hasEnded ? gapOf(this.report.completeness, this.isOpen) : null; }
  // Nothing arrived in a silent window, so there is nothing to mark as unfinished.
  get unfinished() { return this.isOpen && this.gap === null; }
  get flaws() { return list(this.report.completeness?.flaws); }
  get dropped() { return count(this.report.completeness?.dropped); }
  get quarantined() { return count(this.report.completeness?.quarantined); }
  get missedSecs() { return count(this.report.completeness?.missed_secs); }
  get withheld() { return count(this.report.completeness?.withheld); }
  get corrupt() { return count(this.report.completeness?.corrupt); }
  // The smallest share of its posts that any source was asked for; 1 is all.
  get share() { return typeof this.report.completeness?.sampled === 'number' ? this.report.completeness.sampled : 1; }
  get posts() {
    return typeof this.report.posts === 'number' ? count(this.report.posts) : Object.values(this.kinds).reduce((a, b) => a + b, 0);
  }
  get kinds() { return kindCounts(this.report); }
  get networks() { return networkCounts(this.report); }
  get authors() { return authorCounts(this.report).authors; }
  get authorsLow() { return authorCounts(this.report).authorsLow; }
  get authorsHigh() { return authorCounts(this.report).authorsHigh; }
  get perMinute() { return list(this.report.per_minute).map(count); }
}

/**
 * @param {LooseReport | null | undefined} report
 * @param {number} nowMs the server's time, which decides whether the window has begun and ended
 * @param {number} [stepMs] its length when the report names no end
 */
export const readWindow = (report, nowMs, stepMs = DEFAULT_STEP_MS) => new ReadWindow(report ?? {}, nowMs, stepMs);

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
  return {
    region: answer?.region ?? null,
    name: answer?.name ?? answer?.region ?? '',
    from: parseTime(answer?.from) ?? windows[0]?.start ?? null,
    to: parseTime(answer?.to) ?? windows.at(-1)?.end ?? null,
    stepMs,
    windowMs: count(answer?.window_secs) * 1000 || stepMs,
    windows,
    /** Null when the server does not count by network. */
    get networks() {
      const networks = networkCounts(total);
      return networks && [...networks.keys()];
    },
    total: {
      report: total,
      get posts() { return typeof total.posts === 'number' ? count(total.posts) : summed((w) => w.posts); },
      get reposts() { return typeof total.reposts === 'number' ? count(total.reposts) : summed((w) => w.kinds.repost); },
      /** Null when the server does not count authors. */
      get authors() { return typeof total.authors === 'number' ? authorCounts(total) : null; },
      get authorless() { return count(total.authorless); },
      get dropped() { return count(total.completeness?.dropped); },
    },
  };
}

/**
 * The windows that have begun: those of which anything can be known.
 * @param {Window[]} windows
 */
export const begun = (windows) => windows.filter((w) => !w.future);

/**
 * When the first data arrived; null when it was there from the start of the range, or is not there yet.
 * @param {readonly Window[]} windows in order of time
 */
export function collectingSince(windows) {
  if (windows[0]?.gap !== 'silent') return null;
  return windows.find((w) => !w.future && w.gap !== 'silent')?.start ?? null;
}

/**
 * Whether anything is known of a window: it has begun and was not silent.
 * @param {Window} w
 */
export const isKnown = (w) => !w.future && w.gap !== 'silent';
