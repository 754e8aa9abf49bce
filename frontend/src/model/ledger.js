// @ts-check
// The ledger: what became of every post that was received.

import { formatCount, formatSpan } from '../format.js';
import { t } from '../i18n.js';
import { parseTime } from './values.js';

/**
 * @typedef {import('./freshness.js').LooseOverview} LooseOverview
 * @typedef {keyof import('./contract').OverviewAnswer['ledger']} Field
 */

/**
 * The rows, in the order in which posts pass through. A row with `flaw` is marked when it is not zero.
 * @type {{ key: Exclude<Field, 'from' | 'to' | 'balanced' | 'corrupt_records' | 'corrupt_windows'>, flaw?: true }[]}
 */
const ROWS = [
  { key: 'received' },
  { key: 'filtered' },
  { key: 'quarantined', flaw: true },
  { key: 'duplicates' },
  { key: 'dropped', flaw: true },
  { key: 'sent' },
  { key: 'aggregated' },
  { key: 'late', flaw: true },
  { key: 'corrupt', flaw: true },
  { key: 'missing', flaw: true },
];

/**
 * What the ledger covers: all regions, and its time when the API reports it.
 * @param {LooseOverview | null | undefined} overview
 */
export function ledgerTitle(overview) {
  const [from, to] = [parseTime(overview?.ledger?.from), parseTime(overview?.ledger?.to)];
  return from !== null && to !== null ? t('ledger.titleTime', { span: formatSpan(from, to) }) : t('ledger.title');
}

/** @param {LooseOverview | null | undefined} overview */
export function ledgerRows(overview) {
  const ledger = overview?.ledger;
  return ROWS.flatMap(({ key, flaw }) => {
    const value = ledger?.[key];
    return typeof value === 'number' ? [{ key, label: t(`ledger.${key}.label`), note: t(`ledger.${key}.note`), value: formatCount(value), flaw: flaw === true && value > 0 }] : [];
  });
}
