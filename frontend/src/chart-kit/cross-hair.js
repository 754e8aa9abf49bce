// @ts-check
// A plugin that draws a line at the time that the pointer is at, in every chart over time.

import { stateOf } from './state.js';

/** @type {Set<import('chart.js').Chart>} */
const charts = new Set();
/**
 * The time, in milliseconds, and the chart that the pointer is in.
 * @typedef {{ at: number, chart: import('chart.js').Chart } | null} Hover
 */
/** @type {Hover} */
let hover = null;

/** @param {Hover} next */
function move(next) {
  if (hover?.at === next?.at && hover?.chart === next?.chart) return;
  hover = next;
  for (const chart of charts) chart.draw();
}

/** @type {import('chart.js').Plugin} */
export const crossHair = {
  id: 'crossHair',
  afterInit: (chart) => void charts.add(chart),
  afterDestroy: (chart) => void charts.delete(chart),
  afterEvent(chart, { event }) {
    const [item] = chart.getActiveElements();
    if (event.type === 'mouseout') move(null);
    else if (event.type === 'mousemove' && item) {
      const at = chart.scales.x?.getValueForPixel(item.element.x);
      move(at === undefined ? null : { at, chart });
    }
  },
  afterDatasetsDraw(chart) {
    const palette = stateOf(chart)?.palette;
    const { ctx, chartArea: { left, right, top, bottom } } = chart;
    const x = hover && chart.scales.x?.getPixelForValue(hover.at);
    if (!palette || typeof x !== 'number' || x < left || x > right) return;
    ctx.save();
    ctx.strokeStyle = palette.muted;
    ctx.setLineDash([3, 3]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    ctx.restore();
  },
};
