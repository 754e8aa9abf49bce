// @ts-check
// The age of the newest post, as a tile that changes each second.

import { formatDuration, formatMillis } from '../format.js';
import { t } from '../i18n.js';
import { parseTime } from './values.js';

/** @typedef {import('./contract').Loose<import('./contract').OverviewAnswer>} LooseOverview */

const OLD_SECS = 120;
const VERY_OLD_SECS = 900;

/**
 * Seconds since the newest post; null when there is none.
 * @param {LooseOverview | null | undefined} overview
 * @param {number} nowMs
 */
export function freshnessSecs(overview, nowMs) {
  const newest = parseTime(overview?.newest_post);
  if (newest !== null) return Math.max(0, (nowMs - newest) / 1000);
  return overview?.freshness_secs ?? null;
}

/**
 * @param {LooseOverview | null | undefined} overview
 * @param {number} nowMs
 * @returns {import('./tiles.js').Tile}
 */
export function freshnessTile(overview, nowMs) {
  const secs = freshnessSecs(overview, nowMs);
  const lag = overview?.lag_ms;
  /** @type {import('./tiles.js').Tone} */
  let tone = 'plain';
  // Without a source there is only an archive, whose age is no fault.
  const isArchive = Array.isArray(overview?.sources) && overview.sources.length === 0;
  if (secs !== null && !isArchive) tone = secs > VERY_OLD_SECS ? 'bad' : secs > OLD_SECS ? 'warn' : 'good';
  return {
    id: 'freshness',
    value: formatDuration(secs),
    note: secs === null ? t('tile.noPostYet')
      : lag ? t('tile.lag', { mean: formatMillis(lag.mean), max: formatMillis(lag.max) }) : t('tile.sinceNewest'),
    tone,
  };
}
