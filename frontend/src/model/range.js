// @ts-check
// Absolute ranges: from the address and back, the time before and after, and what was brushed in a chart. Pure functions.

import { isoMinute, parseTime } from './values.js';

/** @typedef {{ from: number, to: number }} Ends in milliseconds */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const LONGEST_MS = 3660 * DAY_MS;

/**
 * The ends that the address names; null when it names none, or none that can be shown.
 * @param {Readonly<Record<string, string | undefined>>} choices
 * @returns {Ends | null}
 */
export function absoluteRange({ from: first, to: last }) {
  const [from, to] = [parseTime(first), parseTime(last)];
  return from !== null && to !== null && isRange({ from, to }) ? { from, to } : null;
}

/**
 * Whether a range is at least a minute and at most ten years long.
 * @param {Ends} ends
 */
export const isRange = ({ from, to }) => from >= 0 && to - from >= MINUTE_MS && to - from <= LONGEST_MS;

/**
 * The parameters of the address for a range.
 * @param {Ends} ends
 */
export const rangeParams = ({ from, to }) => ({ from: isoMinute(from), to: isoMinute(to) });

/**
 * The range before or after, of the same length: by whole days of the zone when both ends are midnights there, so that days on
 * which clocks change are whole. Later ranges end at most with the minute of now.
 * @param {Ends} ends
 * @param {-1 | 1} direction
 * @param {number} nowMs
 * @param {import('./zone.js').Zone} zone
 * @returns {Ends}
 */
export function shiftRange({ from, to }, direction, nowMs, zone) {
  const days = zone.isDayStart(from) && zone.isDayStart(to) ? Math.round((to + zone.offsetAt(to) - from - zone.offsetAt(from)) / DAY_MS) : 0;
  const next = days > 0
    ? { from: zone.startOfDay(from, direction * days), to: zone.startOfDay(to, direction * days) }
    : { from: from + direction * (to - from), to: to + direction * (to - from) };
  const end = Math.max(to, Math.ceil(nowMs / MINUTE_MS) * MINUTE_MS);
  return direction === 1 && days === 0 && next.to > end ? { from: end - (to - from), to: end } : next;
}

/**
 * What was brushed as a range: to the nearest ends of windows, or to whole minutes within a window. Null for less than a minute.
 * @param {Ends} ends
 * @param {number} windowMs
 * @returns {Ends | null}
 */
export function brushedRange({ from, to }, windowMs) {
  const round = (/** @type {number} */ stepMs) => ({ from: Math.round(from / stepMs) * stepMs, to: Math.round(to / stepMs) * stepMs });
  const windows = round(windowMs);
  const ends = to - from >= windowMs && windows.to > windows.from ? windows : round(MINUTE_MS);
  return isRange(ends) ? ends : null;
}
