// @ts-check
// The current rate of posts.

import { isKnown } from './answer.js';

/**
 * Posts per minute: the mean of the last full minutes before `refMs`. Null when no minute is known.
 * @param {import('./answer.js').Window[]} windows
 * @param {number} refMs
 * @param {number} [minutes]
 */
export function rateNow(windows, refMs, minutes = 5) {
  const limit = Math.floor(refMs / 60_000) * 60_000;
  /** @type {number[]} */
  const known = [];
  for (const window of windows) {
    const slots = window.perMinute.length;
    if (window.future || slots === 0 || Math.round((window.end - window.start) / slots) !== 60_000) continue;
    window.perMinute.forEach((n, i) => {
      const at = window.start + i * 60_000;
      if (at + 60_000 <= limit && at >= limit - minutes * 60_000) known.push(n);
    });
  }
  if (known.length > 0) return known.reduce((a, b) => a + b, 0) / known.length;
  // Coarse windows have no counts per minute: use the newest one that has posts, over the time that has passed of it.
  const newest = windows.findLast((w) => isKnown(w) && w.start < refMs);
  if (!newest) return null;
  const elapsed = (Math.min(newest.end, refMs) - newest.start) / 60_000;
  return newest.posts / Math.max(1, elapsed);
}
