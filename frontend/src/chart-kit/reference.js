// @ts-check
// The count that the X API itself gives for a step, beside ours: a dashed line.

import { formatCount } from '../format.js';
import { t } from '../i18n.js';
import { points } from './over-time.js';

/** @typedef {import('../model/answer.js').Window} Window */

/** The key of the series in the legend and in the address. */
export const REFERENCE = 'reference';
const COLOUR = 'strong';
const DASH = [6, 4];

/** The posts that X counts in a window, without reposts; null where it is not known. @param {Window} w */
export const referenceOf = ({ report }) => (typeof report.reference === 'number' ? report.reference : null);

/** @param {Window[]} windows */
export const hasReference = (windows) => windows.some((w) => referenceOf(w) !== null);

/** Its entry in the legend; none without a reference. @param {Window[]} windows @returns {import('./types').Series[]} */
export const referenceSeries = (windows) => (hasReference(windows) ? [{ key: REFERENCE, label: t('series.reference'), colour: COLOUR, isDashed: true }] : []);

/**
 * The dataset of the line, in front of all others; none without a reference.
 * @param {Window[]} windows
 * @param {import('../theme.js').Palette} palette
 * @param {ReadonlySet<string>} hidden
 */
export function referenceLine(windows, palette, hidden) {
  if (!hasReference(windows)) return [];
  return [{
    type: 'line', label: t('series.reference'), data: points(windows, referenceOf), hidden: hidden.has(REFERENCE), stack: REFERENCE, order: -1, fill: false, spanGaps: false,
    borderColor: palette.colour(COLOUR), backgroundColor: palette.colour(COLOUR), borderWidth: 2, borderDash: DASH, pointRadius: 0, pointHoverRadius: 4,
  }];
}

/** A line of a tooltip, or nothing. @param {Window} w */
export function referenceText(w) {
  const n = referenceOf(w);
  return n === null ? '' : t('series.line', { label: t('series.reference'), value: n });
}

/** A cell of a table. @param {Window} w */
export function referenceCell(w) {
  const n = referenceOf(w);
  return n === null ? '–' : formatCount(n);
}
