// @ts-check
// The ledger: what became of every post that was received.

import { formatCount, formatSpan } from '../format.js';
import { parseTime } from './values.js';

/**
 * @typedef {import('./freshness.js').LooseOverview} LooseOverview
 * @typedef {keyof import('./contract').OverviewAnswer['ledger']} Field
 */

/** One line in a hundred that cannot be read, or is late, is no reason to act. */
const NOISE = 0.01;

/**
 * The rows, in the order in which posts pass through. A row with `flaw` is marked when it is not zero, one with `isNoise` when it is more than noise.
 * @type {{ key: Field, label: string, note: string, flaw?: true, isNoise?: true }[]}
 */
const ROWS = [
  { key: 'received', label: 'Received', note: 'read from the sources' },
  { key: 'filtered', label: 'Filtered', note: 'in no region' },
  { key: 'quarantined', label: 'Quarantined', note: 'could not be read', flaw: true, isNoise: true },
  { key: 'duplicates', label: 'Duplicates', note: 'received before' },
  { key: 'dropped', label: 'Dropped', note: 'lost: log unavailable and spool full', flaw: true },
  { key: 'sent', label: 'Sent', note: 'written to the log' },
  { key: 'aggregated', label: 'Aggregated', note: 'counted in windows' },
  { key: 'late', label: 'Late', note: 'arrived after their window had closed', flaw: true, isNoise: true },
  { key: 'corrupt', label: 'Corrupt', note: 'in damaged records of the log', flaw: true },
  { key: 'missing', label: 'Missing', note: 'sent, but in no window', flaw: true },
];

/**
 * What the ledger covers: all regions, and its time when the API reports it.
 * @param {LooseOverview | null | undefined} overview
 */
export function ledgerTitle(overview) {
  const [from, to] = [parseTime(overview?.ledger?.from), parseTime(overview?.ledger?.to)];
  const time = from !== null && to !== null ? `, ${formatSpan(from, to)}` : '';
  return `Ledger of all regions${time}: what became of every post`;
}

/** @param {LooseOverview | null | undefined} overview */
export function ledgerRows(overview) {
  const ledger = overview?.ledger;
  const received = typeof ledger?.received === 'number' ? ledger.received : 0;
  return ROWS.flatMap(({ key, label, note, flaw, isNoise }) => {
    const value = ledger?.[key];
    return typeof value === 'number' ? [{ key, label, note, value: formatCount(value), flaw: flaw === true && value > (isNoise ? received * NOISE : 0) }] : [];
  });
}
