// @ts-check
// The counts of one report (a window, a step or the total of a range) in the form that the page works with.

import { t } from '../i18n.js';
import { count, list } from './values.js';

/**
 * @typedef {import('./contract').Loose<import('./contract').Report>} LooseReport
 * @typedef {'original' | 'reply' | 'quote' | 'repost'} Kind
 */

/**
 * The four kinds of post, in the order in which they are stacked.
 * @type {{ key: Kind, field: 'originals' | 'replies' | 'quotes' | 'reposts', label: string }[]}
 */
export const KINDS = [
  { key: 'original', field: 'originals', get label() { return t('kind.original'); } },
  { key: 'reply', field: 'replies', get label() { return t('kind.reply'); } },
  { key: 'quote', field: 'quotes', get label() { return t('kind.quote'); } },
  { key: 'repost', field: 'reposts', get label() { return t('kind.repost'); } },
];

/**
 * Posts by kind.
 * @param {LooseReport | null | undefined} report
 */
export function kindCounts(report) {
  return /** @type {Record<Kind, number>} */ (Object.fromEntries(KINDS.map(({ key, field }) => [key, count(report?.[field])])));
}

/**
 * Posts by network, in the order of the answer. Null when the server does not count by network.
 * @param {LooseReport | null | undefined} report
 * @returns {Map<string, number> | null}
 */
export function networkCounts(report) {
  if (!Array.isArray(report?.networks)) return null;
  return new Map(list(report.networks).flatMap(({ network, posts }) => (network ? [[network, count(posts)]] : [])));
}

/**
 * Distinct authors: the estimate and its bounds, which always enclose it.
 * @param {LooseReport | null | undefined} report
 */
export function authorCounts(report) {
  const authors = count(report?.authors);
  return {
    authors,
    authorsLow: Math.min(authors, count(report?.authors_low ?? authors)),
    authorsHigh: Math.max(authors, count(report?.authors_high ?? authors)),
  };
}
