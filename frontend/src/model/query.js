// @ts-check
// From the chosen region, range and networks to the query of /api/windows.

import { formatSpan } from '../format.js';

/** @param {number} ms */
const isoSecond = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');

/**
 * The query for the whole steps of the range and the step that is open now, so that the answer never covers less than
 * the range's name says. When the newest post is older than half the range (a replay, or a source that was
 * disconnected for long), the range ends with the newest post instead, and `endsInPast` is true.
 * @param {{ region: string, range: import('../url-state.js').Range, networks?: string[], nowMs: number, newestMs?: number | null }} choice
 */
export function windowQuery({ region, range, networks = [], nowMs, newestMs = null }) {
  const stepMs = range.stepSecs * 1000;
  const spanMs = range.secs * 1000;
  const endsInPast = newestMs !== null && nowMs - newestMs > spanMs / 2;
  const open = Math.floor((endsInPast ? newestMs : nowMs) / stepMs) * stepMs;
  const query = { region, from: isoSecond(open - spanMs), to: isoSecond(open + stepMs), step: range.step, network: networks.join(',') };
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
