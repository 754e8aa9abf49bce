// @ts-check
// The age of the newest post, as a tile that changes each second.

import { formatDuration, formatMillis } from '../format.js';
import { parseTime } from './values.js';

/** @typedef {import('./contract').Loose<import('./contract').StatusAnswer>} LooseStatus */

const OLD_SECS = 120;
const VERY_OLD_SECS = 900;

/**
 * Seconds since the newest post; null when there is none.
 * @param {LooseStatus | null | undefined} status
 * @param {number} nowMs
 */
export function freshnessSecs(status, nowMs) {
  const newest = parseTime(status?.newest_post);
  if (newest !== null) return Math.max(0, (nowMs - newest) / 1000);
  return status?.freshness_secs ?? null;
}

/**
 * @param {LooseStatus | null | undefined} status
 * @param {number} nowMs
 * @returns {import('./tiles.js').Tile}
 */
export function freshnessTile(status, nowMs) {
  const secs = freshnessSecs(status, nowMs);
  const lag = status?.lag_ms;
  /** @type {import('./tiles.js').Tone} */
  let tone = 'plain';
  // Without a source there is only an archive, whose age is no fault.
  const isArchive = Array.isArray(status?.sources) && status.sources.length === 0;
  if (secs !== null && !isArchive) tone = secs > VERY_OLD_SECS ? 'bad' : secs > OLD_SECS ? 'warn' : 'good';
  return {
    id: 'freshness',
    value: formatDuration(secs),
    note: secs === null ? 'no post seen yet'
      : lag ? `lag ${formatMillis(lag.mean)} mean, ${formatMillis(lag.max)} max` : 'since the newest post',
    tone,
  };
}
