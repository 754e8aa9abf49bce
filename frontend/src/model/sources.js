// @ts-check
// The status of each source, as a chip and as a row of a table, and what keeps posts from being stored.

import { formatCount, formatDuration, plural } from '../format.js';
import { list, parseTime } from './values.js';

/**
 * @typedef {import('./contract').Loose<import('./contract').Source>} LooseSource
 * @typedef {import('./freshness.js').LooseOverview} LooseOverview
 */

/**
 * The colour of each status of the API; one that the page does not know is plain.
 * @type {Record<import('./contract').Source['status'], import('./tiles.js').Tone>}
 */
const TONES = {
  starting: 'warn',
  backfill: 'good',
  connected: 'good',
  waiting: 'warn',
  stale: 'bad',
  stopped: 'bad',
};

/** @param {LooseSource} source */
const nameOf = (source) => source.source ?? 'source';
/** @param {LooseSource} source */
const statusLabel = (source) => (source.status ?? 'unknown').replaceAll('_', ' ');
/** @param {LooseSource} source */
const shareText = (source) => typeof source.sampled === 'number' && `${Math.round(source.sampled * 100)} %`;
/** @param {LooseSource} source */
const spentText = (source) => typeof source.spent_dollars === 'number' && `$${source.spent_dollars.toFixed(2)}`;
/** @param {LooseSource} source */
const whyText = (source) => [source.reason, source.problem].filter(Boolean).join('; ');

/**
 * @param {LooseOverview | null | undefined} overview
 * @returns {LooseSource[]}
 */
const sourcesOf = (overview) => list(overview?.sources);

/**
 * @param {LooseOverview | null | undefined} overview
 * @param {number} nowMs
 */
export function sourceChips(overview, nowMs) {
  return sourcesOf(overview).map((source) => {
    const last = parseTime(source.last_post);
    const since = parseTime(source.connected_since);
    const [share, spent] = [shareText(source), spentText(source)];
    const details = [
      last === null ? 'no post yet' : `last post ${formatDuration((nowMs - last) / 1000)} ago`,
      since !== null && `connected for ${formatDuration((nowMs - since) / 1000)}`,
      typeof source.reconnects === 'number' && plural(source.reconnects, 'reconnect'),
      source.gaps && plural(source.gaps, 'gap'),
      share && `sampled at ${share}`,
      spent && `${spent} spent this month`,
      whyText(source),
    ];
    return {
      name: nameOf(source),
      status: statusLabel(source),
      tone: (source.status && TONES[source.status]) ?? 'plain',
      short: [share, spent].filter(Boolean).join(' · '),
      details: details.filter(Boolean).join(' · '),
    };
  });
}

/**
 * One row per source, with more than fits on its chip.
 * @param {LooseOverview | null | undefined} overview
 * @param {number} nowMs
 * @returns {import('../chart-kit/types').Table}
 */
export function sourcesTable(overview, nowMs) {
  /** @param {unknown} text */
  const age = (text) => {
    const ms = parseTime(text);
    return ms === null ? '–' : formatDuration((nowMs - ms) / 1000);
  };
  return {
    head: ['Source', 'Status', 'Connected for', 'Age of last post', 'Reconnects', 'Gaps', 'Requested share', 'Spent this month', 'Reason'],
    rows: sourcesOf(overview).map((source) => [
      nameOf(source),
      statusLabel(source),
      age(source.connected_since),
      age(source.last_post),
      formatCount(source.reconnects),
      formatCount(source.gaps),
      shareText(source) || 'all posts',
      spentText(source) || '–',
      whyText(source) || '–',
    ]),
  };
}

/**
 * The networks of the sources.
 * @param {LooseOverview | null | undefined} overview
 */
export const sourceNetworks = (overview) => sourcesOf(overview).flatMap(({ network }) => network || []);

/**
 * What keeps posts from being stored, such as a full disk; null when nothing does.
 * @param {LooseOverview | null | undefined} overview
 */
export function problemText(overview) {
  const problems = list(overview?.problems);
  return problems.length ? `Posts are not being stored: ${problems.join('; ')}. The numbers may be incomplete.` : null;
}
