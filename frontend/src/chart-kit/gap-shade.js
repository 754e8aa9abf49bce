// @ts-check
// A plugin that shades the spans in which data is missing, behind the series.

import { stateOf } from './state.js';

/** @type {import('chart.js').Plugin} */
export const gapShade = {
  id: 'gapShade',
  beforeDatasetsDraw(chart) {
    const state = stateOf(chart);
    const { ctx, chartArea } = chart;
    const x = chart.scales.x;
    if (!state?.spans || !x) return;
    ctx.save();
    for (const { kind, start, end } of state.spans) {
      const left = Math.max(chartArea.left, x.getPixelForValue(start));
      const right = Math.min(chartArea.right, x.getPixelForValue(end));
      ctx.fillStyle = state.palette.gaps[kind];
      if (right > left) ctx.fillRect(left, chartArea.top, right - left, chartArea.bottom - chartArea.top);
    }
    ctx.restore();
  },
};
