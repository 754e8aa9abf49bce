// @ts-check
// Diagonal stripes, for windows that are not finished.

import { stateOf } from './state.js';

const SIZE_PX = 8;
const SCALE = 2;

/**
 * Stripes of a colour, as a fill; the plain colour where there is no canvas to draw them on.
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 */
function hatch(context, colour) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = SIZE_PX * SCALE;
  const ctx = tile.getContext('2d');
  if (!ctx) return colour;
  ctx.scale(SCALE, SCALE);
  ctx.globalAlpha = 0.28;
  ctx.fillStyle = colour;
  ctx.fillRect(0, 0, SIZE_PX, SIZE_PX);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2.4;
  ctx.beginPath();
  for (const shift of [-SIZE_PX, 0, SIZE_PX]) {
    ctx.moveTo(shift - 1, SIZE_PX + 1);
    ctx.lineTo(shift + SIZE_PX + 1, -1);
  }
  ctx.stroke();
  const pattern = context.createPattern(tile, 'repeat');
  pattern?.setTransform?.(new DOMMatrix().scale(1 / SCALE));
  return pattern ?? colour;
}

/**
 * A plugin that fills the bars of unfinished windows with stripes of their colour. A colour that depends on the bar would do the same, but Chart.js
 * then works out all options of each bar.
 * @type {import('chart.js').Plugin}
 */
export const hatchBars = {
  id: 'hatchBars',
  beforeDatasetsDraw(chart) {
    const hatched = stateOf(chart)?.hatched ?? [];
    if (hatched.length === 0) return;
    for (const { type, data } of chart.getSortedVisibleDatasetMetas()) {
      if (type !== 'bar') continue;
      /** @type {Map<unknown, unknown>} */
      const fills = new Map();
      for (const i of hatched) {
        const bar = data[i];
        const colour = bar?.options.backgroundColor;
        if (!bar || typeof colour !== 'string') continue;
        const fill = fills.get(colour) ?? hatch(chart.ctx, colour);
        fills.set(colour, fill);
        bar.options = { ...bar.options, backgroundColor: fill };
      }
    }
  },
};
