// @ts-check
// From the chosen region, range and networks to the query of /api/windows.

import { formatSpan } from '../format.js';
import { isoSecond } from './values.js';

/**
 * The query for the whole steps of the range and the step that is open now, so that the answer never covers less than
 * the range's name says. When the newest post is older than half the range (a replay, or a source that was
 * disconnected for long), the range ends with the newest post instead, and `endsInPast` is true. An absolute range is
 * rounded to whole windows.
 *
 * Without `stepSecs` the API chooses the step, and rounds the range to it. With it, the query names this step, so that
 * the answer fits an earlier one.
 * @param {{
 *   region: string, range: import('../url-state.js').Range, networks?: string[], windowSecs: number, stepSecs?: number | null,
 *   nowMs: number, newestMs?: number | null, version?: string | null,
 * }} choice `version` is that of the overview, for ranges that have ended
 */
export function windowQuery({ region, range, networks = [], windowSecs, stepSecs = null, nowMs, newestMs = null, version = null }) {
  const windowMs = windowSecs * 1000;
  const stepMs = (stepSecs ?? windowSecs) * 1000;
  const spanMs = range.secs * 1000;
  const isFixed = range.from !== undefined && range.to !== undefined;
  const endsInPast = !isFixed && newestMs !== null && nowMs - newestMs > spanMs / 2;
  const open = Math.floor((endsInPast ? newestMs : nowMs) / windowMs) * windowMs;
  // Rounded as the API does: a range need not be a whole number of steps, such as a year of steps of two days.
  const from = Math.floor((range.from ?? open - spanMs) / stepMs) * stepMs;
  const to = Math.ceil((range.to ?? open + windowMs) / stepMs) * stepMs;
  const query = {
    region,
    from: isoSecond(from),
    to: isoSecond(to),
    step: stepSecs === null ? 'auto' : String(stepSecs),
    network: networks.join(','),
    // The answer for a range that has ended may be cached for long, until the version changes.
    version: to <= nowMs ? version : null,
  };
  return { query, endsInPast };
}

/**
 * The time that the numbers of an answer cover, as text. Of the open step it names what has passed.
 * @param {{ from: number | null, to: number | null }} answer
 * @param {number} nowMs
 */
export function coveredText({ from, to }, nowMs) {
  return from === null || to === null ? '' : formatSpan(from, Math.max(from, Math.min(to, nowMs)));
}
