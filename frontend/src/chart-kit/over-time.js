// @ts-check
// What charts over time share: their time axis, shaded gaps, tooltips per window, and tables with one row per window.

import { formatSpan, isUtcDays } from '../format.js';
import { t } from '../i18n.js';
import { begun, isKnown } from '../model/answer.js';
import { gapSpans, stateText, windowRemarks } from '../model/flaws.js';
import { timeAxis } from './axes.js';
import { crossHair } from './cross-hair.js';
import { gapShade } from './gap-shade.js';
import { tooltipStyle } from './tooltip.js';

/**
 * @typedef {import('../model/answer.js').Answer} Answer
 * @typedef {import('../model/answer.js').Window} Window
 * @typedef {{ x: number, y: number | null }} Point
 * @typedef {{ dataIndex: number, datasetIndex: number }} Item what Chart.js passes to the callbacks of a tooltip
 */

/**
 * One point per window, at its middle; nothing where nothing is known.
 * @param {Window[]} windows
 * @param {(window: Window) => number | null} pick
 * @returns {Point[]}
 */
export const points = (windows, pick) => windows.map((w) => ({ x: w.middle, y: isKnown(w) ? pick(w) : null }));

/**
 * A drawing over time.
 * @param {{
 *   type: 'bar' | 'line', answer: Answer, palette: import('../theme.js').Palette, datasets: object[],
 *   y: object, stacked?: boolean, tooltip?: object, label: (window: Window, item: Item) => string | string[],
 *   total?: (window: Window) => string,
 * }} parts `label` and `total` are the lines of the tooltip of a window
 * @returns {import('./types').Drawing}
 */
export function overTime({ type, answer, palette, datasets, y, stacked = false, tooltip = {}, label, total }) {
  const { windows } = answer;
  /** @param {Item | undefined} item */
  const windowOf = (item) => (item ? windows[item.dataIndex] : undefined);
  const { callbacks = {}, ...look } = /** @type {{ callbacks?: object }} */ (tooltip);
  return {
    type,
    data: { datasets },
    options: {
      interaction: { mode: 'index', intersect: false, axis: 'x' },
      scales: { x: { ...timeAxis(palette, answer), stacked }, y },
      plugins: {
        tooltip: {
          ...tooltipStyle(palette),
          ...look,
          callbacks: {
            title: (/** @type {Item[]} */ [item]) => {
              const w = windowOf(item);
              return w ? formatSpan(w.start, w.end) : '';
            },
            label: (/** @type {Item} */ item) => {
              const w = windowOf(item);
              return w ? label(w, item) : '';
            },
            footer: (/** @type {Item[]} */ [item]) => {
              const w = windowOf(item);
              return w ? [...(total ? [total(w)] : []), ...windowRemarks(w)] : [];
            },
            ...callbacks,
          },
        },
      },
    },
    plugins: [gapShade, crossHair],
    state: { spans: gapSpans(windows) },
  };
}

/**
 * The data and look of a line: a dot for a point without neighbours, and dashes where windows are unfinished.
 * @param {Window[]} windows
 * @param {Point[]} data
 * @param {string} colour
 */
export function line(windows, data, colour) {
  /** @param {number} i */
  const isGap = (i) => (data[i]?.y ?? null) === null;
  /** @param {number} i */
  const isAlone = (i) => !isGap(i) && isGap(i - 1) && isGap(i + 1);
  return {
    data,
    borderColor: colour,
    backgroundColor: colour,
    borderWidth: 2,
    tension: 0.25,
    cubicInterpolationMode: 'monotone',
    // A number where it can be: Chart.js then works it out once, and not for each point.
    pointRadius: data.some((_, i) => isAlone(i)) ? (/** @type {Item} */ { dataIndex: i }) => (isAlone(i) ? 2.5 : 0) : 0,
    pointHoverRadius: 4,
    pointHitRadius: 12,
    segment: { borderDash: (/** @type {{ p1DataIndex: number }} */ { p1DataIndex }) => (windows[p1DataIndex]?.unfinished ? [4, 4] : undefined) },
  };
}

/**
 * One row per window that has begun, newest first: its time, the cells, and its state.
 * @param {Answer} answer
 * @param {string[]} head
 * @param {(window: Window) => string[]} cells
 * @returns {import('./types').Table}
 */
export function windowTable({ windows, stepMs }, head, cells) {
  return {
    head: [t(isUtcDays(stepMs) ? 'series.windowUtc' : 'series.window'), ...head, t('series.state')],
    rows: begun(windows).reverse().map((w) => [formatSpan(w.start, w.end), ...cells(w), stateText(w)]),
  };
}

/**
 * The time that some windows cover, for a summary.
 * @param {Window[]} windows
 */
export function spanText(windows) {
  const [first, last] = [windows[0], windows.at(-1)];
  return first && last ? formatSpan(first.start, last.end) : '';
}
