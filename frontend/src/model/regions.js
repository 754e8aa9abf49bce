// @ts-check
// All regions at a glance, from the overview: the last hour, how it compares with what is usual, and the last hours as a line.

import { formatCount, formatRate, plural } from '../format.js';
import { count, list } from './values.js';

/**
 * @typedef {{ id: string, name: string, posts: string, usual: string, isHigh: boolean, hours: number[] }} RegionGlance
 *   `isHigh` is whether there are far more posts than usual
 */

const HIGH_FACTOR = 2;

/**
 * @param {import('./freshness.js').LooseOverview | null | undefined} overview
 * @returns {RegionGlance[]}
 */
export const regionGlances = (overview) => list(overview?.regions).flatMap(({ region, name, posts_last_hour, usual, factor, hours }) => (region ? [{
  id: region,
  name: name || region,
  posts: `${typeof posts_last_hour === 'number' ? plural(posts_last_hour, 'post') : '–'} in the last hour`,
  usual: typeof factor === 'number' ? `${formatRate(factor)}× the usual` : typeof usual === 'number' ? `usually ${formatCount(Math.round(usual))}` : 'usual number not known yet',
  isHigh: typeof factor === 'number' && factor >= HIGH_FACTOR,
  hours: list(hours).map(count),
}] : []));

/**
 * The points of a line through some numbers, from the left edge to the right, with 0 at the bottom.
 * @param {number[]} numbers
 * @param {{ width: number, height: number }} size
 */
export function sparkline(numbers, { width, height }) {
  const most = Math.max(1, ...numbers);
  const step = numbers.length > 1 ? width / (numbers.length - 1) : 0;
  return numbers.map((n, i) => `${(i * step).toFixed(1)},${(height - (n / most) * height).toFixed(1)}`).join(' ');
}
