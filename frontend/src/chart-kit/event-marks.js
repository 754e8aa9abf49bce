// @ts-check
// A plugin that marks events with a line and a letter. The letters are explained below the chart.

import { stateOf } from './state.js';

const RADIUS = 8;

/** @type {import('chart.js').Plugin} */
export const eventMarks = {
  id: 'eventMarks',
  afterDatasetsDraw(chart) {
    const state = stateOf(chart);
    const { ctx, chartArea } = chart;
    const x = chart.scales.x;
    if (!state?.marks || !x) return;
    const { palette } = state;
    ctx.save();
    ctx.font = `600 11px ${palette.font}`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    for (const { letter, at } of state.marks) {
      const left = x.getPixelForValue(at);
      if (left < chartArea.left || left > chartArea.right) continue;
      ctx.strokeStyle = palette.text;
      ctx.lineWidth = 1;
      ctx.beginPath();
      ctx.moveTo(left, chartArea.top + RADIUS * 2);
      ctx.lineTo(left, chartArea.bottom);
      ctx.stroke();
      ctx.fillStyle = palette.text;
      ctx.beginPath();
      ctx.arc(left, chartArea.top + RADIUS, RADIUS, 0, 2 * Math.PI);
      ctx.fill();
      ctx.fillStyle = palette.surface;
      ctx.fillText(letter, left, chartArea.top + RADIUS + 0.5);
    }
    ctx.restore();
  },
};
