// @ts-check
// The status of each source, as a chip and as a row of a table, and what keeps posts from being stored.

import { formatAgo, formatCount, formatDollars, formatDuration, formatShare } from '../format.js';
import { t } from '../i18n.js';
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
const nameOf = (source) => source.source ?? t('source.unnamed');
/** @param {LooseSource} source */
const statusLabel = ({ status }) => (status && !Object.hasOwn(TONES, status) ? String(status).replaceAll('_', ' ') : t(`source.status.${status ?? 'unknown'}`));
/** @param {LooseSource} source */
const shareText = (source) => typeof source.sampled === 'number' && formatShare(source.sampled, 1);
/** @param {LooseSource} source */
const spentText = (source) => typeof source.spent_dollars === 'number' && formatDollars(source.spent_dollars);
/** @param {LooseSource} source */
const whyText = (source) => [source.reason, source.problem].filter(Boolean).join(t('list.semicolon'));

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
      last === null ? t('source.noPost') : t('source.lastPost', { ago: formatAgo((nowMs - last) / 1000) }),
      since !== null && t('source.connectedFor', { time: formatDuration((nowMs - since) / 1000) }),
      typeof source.reconnects === 'number' && t('source.reconnects', { n: source.reconnects }),
      source.gaps && t('source.gaps', { n: source.gaps }),
      share && t('source.sampledAt', { share }),
      spent && t('source.spent', { amount: spent }),
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
    head: [
      t('source.headSource'), t('source.headStatus'), t('source.headConnected'), t('source.headAge'), t('source.headReconnects'), t('source.headGaps'),
      t('source.headShare'), t('source.headSpent'), t('source.headReason'),
    ],
    rows: sourcesOf(overview).map((source) => [
      nameOf(source),
      statusLabel(source),
      age(source.connected_since),
      age(source.last_post),
      formatCount(source.reconnects),
      formatCount(source.gaps),
      shareText(source) || t('source.allPosts'),
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
  return problems.length ? t('source.problems', { problems: problems.join(t('list.semicolon')) }) : null;
}
