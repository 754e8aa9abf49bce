// @ts-check
// A plugin that marks events with a line and a letter. The letters are explained below the chart.

import { stateOf } from './state.js';

const RADIUS = 8;
/** Between letters, in pixels. */
const GAP = 2;

/**
 * The row of each letter, so that none covers another: the highest one that is free.
 * @param {readonly number[]} lefts where they are, in pixels, from left to right
 */
export function rowsOf(lefts) {
  /** Where the last letter of each row is. @type {number[]} */
  const ends = [];
  return lefts.map((left) => {
    const free = ends.findIndex((end) => left - end >= 2 * RADIUS + GAP);
    const row = free < 0 ? ends.length : free;
    ends[row] = left;
    return row;
  });
}

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
    const marks = state.marks.map(({ letter, at }) => ({ letter, left: x.getPixelForValue(at) })).filter(({ left }) => left >= chartArea.left && left <= chartArea.right);
    const rows = rowsOf(marks.map(({ left }) => left));
    const placed = marks.map((mark, i) => ({ ...mark, top: chartArea.top + RADIUS + (rows[i] ?? 0) * (2 * RADIUS + GAP) }));
    ctx.strokeStyle = palette.text;
    ctx.lineWidth = 1;
    for (const { left, top } of placed) {
      ctx.beginPath();
      ctx.moveTo(left, top);
      ctx.lineTo(left, chartArea.bottom);
      ctx.stroke();
    }
    // After all lines, so that none crosses a letter.
    for (const { letter, left, top } of placed) {
      ctx.fillStyle = palette.text;
      ctx.beginPath();
      ctx.arc(left, top, RADIUS, 0, 2 * Math.PI);
      ctx.fill();
      ctx.fillStyle = palette.surface;
      ctx.fillText(letter, left, top + 0.5);
    }
    ctx.restore();
  },
};
