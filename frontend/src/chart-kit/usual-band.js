// @ts-check
// The usual range behind counts over time.

import { t } from '../i18n.js';
import { points } from './over-time.js';

/** @typedef {import('../model/answer.js').Window} Window */

/**
 * The usual number of a window and its range; null without a baseline.
 * @param {Window} w
 */
export function usualOf({ report }) {
  const { usual, usual_low: low, usual_high: high } = report;
  return typeof usual === 'number' && typeof low === 'number' && typeof high === 'number' ? { usual, low, high } : null;
}

/** @param {Window[]} windows */
export const hasUsual = (windows) => windows.some((w) => usualOf(w) !== null);

/**
 * The datasets of the band; none without a baseline. They come after the series, so that they are drawn behind them.
 * @param {Window[]} windows
 * @param {import('../theme.js').Palette} palette
 */
export function usualBand(windows, palette) {
  if (!hasUsual(windows)) return [];
  const edge = {
    type: 'line', borderWidth: 1, borderColor: palette.colour('band-edge'), backgroundColor: palette.colour('band-fill'), pointRadius: 0,
    pointHoverRadius: 0, stepped: false, tension: 0.2, spanGaps: false,
  };
  return [
    { ...edge, label: t('series.usualAtLeast'), stack: 'usual-low', data: points(windows, (w) => usualOf(w)?.low ?? null), fill: false },
    { ...edge, label: t('series.usualAtMost'), stack: 'usual-high', data: points(windows, (w) => usualOf(w)?.high ?? null), fill: '-1' },
  ];
}

/**
 * A line of a tooltip: what is usual.
 * @param {Window} w
 */
export function usualText(w) {
  const usual = usualOf(w);
  return usual ? t('series.usual', { low: Math.round(usual.low), high: Math.round(usual.high) }) : t('series.usualUnknown');
}
