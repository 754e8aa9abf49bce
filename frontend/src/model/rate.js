// @ts-check
// The current rate of posts.

import { isKnown } from './answer.js';

const MINUTE_MS = 60_000;

/**
 * Posts per minute before `refMs`: the mean of the last full minutes, or of what has passed of the newest step with posts
 * when the steps have no counts of minutes. Null when nothing is known.
 * @param {import('./answer.js').Window[]} windows
 * @param {number} refMs
 * @param {number} [minutes]
 * @returns {{ rate: number, step: { start: number, end: number } | null } | null} `step` is the time of the mean when it is not the last minutes
 */
export function rateNow(windows, refMs, minutes = 5) {
  const limit = Math.floor(refMs / MINUTE_MS) * MINUTE_MS;
  /** @type {number[]} */
  const known = [];
  for (const window of windows) {
    const isNear = !window.future && window.end > limit - minutes * MINUTE_MS;
    const perMinute = isNear ? window.perMinute : [];
    if (perMinute.length === 0 || Math.round((window.end - window.start) / perMinute.length) !== MINUTE_MS) continue;
    perMinute.forEach((n, i) => {
      const at = window.start + i * MINUTE_MS;
      if (at + MINUTE_MS <= limit && at >= limit - minutes * MINUTE_MS) known.push(n);
    });
  }
  if (known.length > 0) return { rate: known.reduce((a, b) => a + b, 0) / known.length, step: null };
  const newest = windows.findLast((w) => isKnown(w) && w.start < refMs);
  if (!newest) return null;
  const end = Math.min(newest.end, refMs);
  return { rate: newest.posts / Math.max(1, (end - newest.start) / MINUTE_MS), step: { start: newest.start, end } };
}
