// @ts-check
// The ledger: what became of every post that was received.

import { formatCount, formatSpan } from '../format.js';
import { t } from '../i18n.js';
import { parseTime } from './values.js';

/**
 * @typedef {import('./freshness.js').LooseOverview} LooseOverview
 * @typedef {keyof import('./contract').OverviewAnswer['ledger']} Field
 */

/** One line in a hundred that cannot be read, or is late, is no reason to act. */
const NOISE = 0.01;

/**
 * The rows, in the order in which posts pass through. A row with `flaw` is marked when it is not zero, one with `isNoise` when it is more than noise.
 * @type {{ key: Exclude<Field, 'from' | 'to' | 'balanced' | 'corrupt_records' | 'corrupt_windows'>, flaw?: true, isNoise?: true }[]}
 */
const ROWS = [
  { key: 'received' },
  { key: 'filtered' },
  { key: 'quarantined', flaw: true, isNoise: true },
  { key: 'duplicates' },
  { key: 'dropped', flaw: true },
  { key: 'sent' },
  { key: 'aggregated' },
  { key: 'late', flaw: true, isNoise: true },
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
  const received = typeof ledger?.received === 'number' ? ledger.received : 0;
  return ROWS.flatMap(({ key, flaw, isNoise }) => {
    const value = ledger?.[key];
    return typeof value === 'number' ? [{ key, label: t(`ledger.${key}.label`), note: t(`ledger.${key}.note`), value: formatCount(value), flaw: flaw === true && value > (isNoise ? received * NOISE : 0) }] : [];
  });
}
