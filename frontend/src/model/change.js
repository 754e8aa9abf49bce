// @ts-check
// How numbers compare with an earlier time of the same length.

import { formatChange, formatCount, formatShare } from '../format.js';
import { t } from '../i18n.js';
import { count, isoSecond, parseTime } from './values.js';

/** @typedef {import('./contract').Loose<import('./contract').WindowsAnswer>} LooseAnswer */

const DAY_MS = 86_400_000;

/**
 * What numbers can be compared with; `key` is that of its texts.
 * @type {{ id: string, key: 'before' | 'day' | 'week', label: string, shiftMs: (spanMs: number) => number }[]}
 */
export const AGAINST = [
  { id: '', key: 'before', get label() { return t('change.option.before'); }, shiftMs: (spanMs) => spanMs },
  { id: 'day', key: 'day', get label() { return t('change.option.day'); }, shiftMs: () => DAY_MS },
  { id: 'week', key: 'week', get label() { return t('change.option.week'); }, shiftMs: () => 7 * DAY_MS },
];

/** @param {string | undefined} id */
export const againstById = (id) => AGAINST.find((one) => one.id === id) ?? /** @type {typeof AGAINST[number]} */ (AGAINST[0]);

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
  return { from: isoSecond(from - shift), to: isoSecond(until - shift) };
}

/**
 * @param {number} now
 * @param {number} earlier
 * @param {typeof AGAINST[number]['key']} key
 */
function knownChange(now, earlier, key) {
  if (earlier === 0) return t(`change.none.${key}`);
  const before = formatCount(earlier);
  const percent = Math.round((100 * (now - earlier)) / earlier);
  if (percent === 0) return t(`change.same.${key}`, { before });
  if (percent > 300) return t(`change.times.${key}`, { factor: formatCount(Math.round(now / earlier)), before });
  return t(`change.percent.${key}`, { change: formatChange(percent), before });
}

/**
 * A change as text: `+12% on the day before (1,230)`. Says so when the earlier number is unknown or too low.
 * @param {number} now
 * @param {LooseAnswer | null} earlier
 * @param {'posts' | 'authors'} field
 * @param {typeof AGAINST[number]} against
 */
export function changeText(now, earlier, field, { key }) {
  const total = earlier?.total;
  if (!total || parseTime(earlier.from) === null) return '';
  if (total.completeness?.frames === 0) return t(`change.noData.${key}`);
  const before = count(total[field]);
  const change = knownChange(now, before, key);
  return total.completeness?.complete === false ? t('change.incomplete', { change }) : change;
}

/**
 * The same for a share, in points.
 * @param {[number, number]} now part and all
 * @param {LooseAnswer | null} earlier
 * @param {typeof AGAINST[number]} against
 */
export function shareChangeText([part, all], earlier, { key }) {
  if (earlier?.total?.completeness?.frames === 0) return t(`change.noData.${key}`);
  const [beforePart, beforeAll] = [count(earlier?.total?.reposts), count(earlier?.total?.posts)];
  if (all === 0 || beforeAll === 0) return '';
  const points = Math.round((100 * part) / all - (100 * beforePart) / beforeAll);
  const before = formatShare(beforePart, beforeAll);
  if (points === 0) return t(`change.samePoints.${key}`, { before });
  return t(`change.points.${key}`, { change: points > 0 ? t('change.pointsUp', { n: points }) : t('change.pointsDown', { n: -points }), before });
}
