// @ts-check
// A plugin that marks the spans in which data is missing, behind the series: by a pattern, and by a word where there is room.

import { t } from '../i18n.js';
import { stateOf } from './state.js';

const SPACING_PX = 7;
const DOT_PX = 1.1;
const MARGIN_PX = 8;

/**
 * Diagonal lines for no data, upright ones for incomplete, dots for a sample.
 * @param {CanvasRenderingContext2D} ctx
 * @param {import('../model/answer.js').Gap} kind
 * @param {{ left: number, right: number, top: number, bottom: number }} area
 */
function drawPattern(ctx, kind, { left, right, top, bottom }) {
  const height = bottom - top;
  ctx.beginPath();
  ctx.rect(left, top, right - left, height);
  ctx.clip();
  ctx.beginPath();
  if (kind === 'sampled') {
    for (let x = left + SPACING_PX / 2; x < right; x += SPACING_PX) {
      for (let y = top + SPACING_PX / 2; y < bottom; y += SPACING_PX) {
        ctx.moveTo(x + DOT_PX, y);
        ctx.arc(x, y, DOT_PX, 0, 2 * Math.PI);
      }
    }
    ctx.fill();
    return;
  }
  const lean = kind === 'silent' ? height : 0;
  for (let x = left - lean + SPACING_PX / 2; x < right; x += SPACING_PX) {
    ctx.moveTo(x, bottom);
    ctx.lineTo(x + lean, top);
  }
  ctx.stroke();
}

/** @type {import('chart.js').Plugin} */
export const gapShade = {
  id: 'gapShade',
  beforeDatasetsDraw(chart) {
    const state = stateOf(chart);
    const { ctx, chartArea } = chart;
    const x = chart.scales.x;
    if (!state?.spans || !x) return;
    const { palette } = state;
    for (const { kind, start, end } of state.spans) {
      const left = Math.max(chartArea.left, x.getPixelForValue(start));
      const right = Math.min(chartArea.right, x.getPixelForValue(end));
      if (right <= left) continue;
      const area = { left, right, top: chartArea.top, bottom: chartArea.bottom };
      ctx.save();
      ctx.strokeStyle = palette.colour('bar-pale');
      ctx.fillStyle = palette.colour('bar');
      ctx.lineWidth = 1;
      drawPattern(ctx, kind, area);
      ctx.restore();
      ctx.save();
      ctx.font = `500 12px ${palette.font}`;
      ctx.textAlign = 'center';
      ctx.textBaseline = 'top';
      const word = t(`marks.${kind}`);
      const width = ctx.measureText(word).width + MARGIN_PX;
      if (right - left > width) {
        const middle = (left + right) / 2;
        ctx.fillStyle = palette.surface;
        ctx.fillRect(middle - width / 2, chartArea.top + 20, width, 18);
        ctx.fillStyle = palette.muted;
        ctx.fillText(word, middle, chartArea.top + 23);
      }
      ctx.restore();
    }
  },
};
