// @ts-check
// The axes of charts over time.

import { currentZone, formatClockLines, formatCompact, formatShortDay } from '../format.js';
import { timeTicks } from './time-ticks.js';

/** @typedef {import('../theme.js').Palette} Palette */

const LABEL_PX = 56;
const AXIS_PX = 48;

/**
 * @param {Palette} palette
 * @param {import('../model/answer.js').Answer} answer
 */
export function timeAxis(palette, { windows, from: first, to: last }) {
  const from = first ?? windows[0]?.start;
  const to = last ?? windows.at(-1)?.end;
  return {
    // Times are numbers here: the ticks and their texts are our own, so that they follow the chosen zone.
    type: 'linear',
    bounds: 'data',
    offset: false,
    min: from,
    max: to,
    // Ticks at round times of the zone, whatever the range starts with.
    afterBuildTicks: (/** @type {import('chart.js').Scale} */ scale) => {
      scale.ticks = timeTicks(from, to, Math.max(2, Math.floor((scale.chart.width - AXIS_PX) / LABEL_PX)), currentZone());
    },
    border: { color: palette.border },
    grid: { display: false, offset: false },
    ticks: {
      color: palette.muted,
      maxRotation: 0,
      autoSkip: false,
      callback: (/** @type {number} */ value) => (currentZone().isDayStart(value) ? formatShortDay(value) : formatClockLines(value)),
    },
  };
}

/**
 * An axis of counts from zero.
 * @param {Palette} palette
 */
export function countAxis(palette, { stacked = false } = {}) {
  return {
    stacked,
    beginAtZero: true,
    suggestedMax: 4,
    border: { display: false },
    grid: { color: palette.grid },
    ticks: { color: palette.muted, precision: 0, maxTicksLimit: 6, padding: 6, callback: formatCompact },
  };
}
