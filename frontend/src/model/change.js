// @ts-check
// How numbers compare with an earlier time of the same length.

import { formatCount, formatShare } from '../format.js';
import { count, parseTime } from './values.js';

/** @typedef {import('./contract').Loose<import('./contract').WindowsAnswer>} LooseAnswer */

const DAY_MS = 86_400_000;

/** What numbers can be compared with. @type {{ id: string, label: string, text: string, shiftMs: (spanMs: number) => number }[]} */
export const AGAINST = [
  { id: '', label: 'Time before', text: 'the time before', shiftMs: (spanMs) => spanMs },
  { id: 'day', label: 'Day before', text: 'the day before', shiftMs: () => DAY_MS },
  { id: 'week', label: 'Week before', text: 'the week before', shiftMs: () => 7 * DAY_MS },
];

/** @param {string | undefined} id */
export const againstById = (id) => AGAINST.find((one) => one.id === id) ?? /** @type {typeof AGAINST[number]} */ (AGAINST[0]);

/** @param {number} ms */
const iso = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');

/**
 * The earlier range that `answer` is compared with, as whole windows: of the step that is open, what has passed counts.
 * @param {{ from: number | null, to: number | null, windowMs: number }} answer
 * @param {typeof AGAINST[number]} against
 * @param {number} nowMs
 * @param {number} spanMs the length that the range's name says
 */
export function earlierRange({ from, to, windowMs }, against, nowMs, spanMs) {
  if (from === null || to === null) return null;
  const until = Math.max(from + windowMs, Math.round(Math.min(to, nowMs) / windowMs) * windowMs);
  const shift = against.shiftMs(Math.ceil(spanMs / windowMs) * windowMs);
  return { from: iso(from - shift), to: iso(until - shift) };
}

/**
 * A change as text: `+12% on the day before (1,230)`. Says so when the earlier number is unknown or too low.
 * @param {number} now
 * @param {LooseAnswer | null} earlier
 * @param {'posts' | 'authors'} field
 * @param {typeof AGAINST[number]} against
 */
export function changeText(now, earlier, field, { text }) {
  const total = earlier?.total;
  if (!total || parseTime(earlier.from) === null) return '';
  if (total.completeness?.frames === 0) return `no data for ${text}`;
  const before = count(total[field]);
  const mark = total.completeness?.complete === false ? '; that was incomplete' : '';
  if (before === 0) return `none ${text === 'the time before' ? 'in' : 'on'} ${text}${mark}`;
  const percent = Math.round((100 * (now - before)) / before);
  const change = percent === 0 ? 'as many as' : percent > 300 ? `${formatCount(Math.round(now / before))}× of` : `${percent > 0 ? '+' : '−'}${formatCount(Math.abs(percent))}% on`;
  return `${change} ${text} (${formatCount(before)})${mark}`;
}

/**
 * The same for a share, in points.
 * @param {[number, number]} now part and all
 * @param {LooseAnswer | null} earlier
 * @param {typeof AGAINST[number]} against
 */
export function shareChangeText([part, all], earlier, { text }) {
  const [beforePart, beforeAll] = [count(earlier?.total?.reposts), count(earlier?.total?.posts)];
  if (all === 0 || beforeAll === 0) return '';
  const points = Math.round((100 * part) / all - (100 * beforePart) / beforeAll);
  const change = points === 0 ? 'as on' : `${points > 0 ? '+' : '−'}${Math.abs(points)} ${Math.abs(points) === 1 ? 'point' : 'points'} on`;
  return `${change} ${text} (${formatShare(beforePart, beforeAll)})`;
}
