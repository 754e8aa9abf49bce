// @ts-check
// A plugin that writes the name of each line at its end, so that lines differ without their colours.

const GAP_PX = 16;
const LEAD_PX = 10;

/**
 * Heights moved apart by at least `gap`, as near to where they belong as they fit between `top` and `bottom`.
 * @param {readonly number[]} wanted
 * @param {{ gap: number, top: number, bottom: number }} room
 * @returns {number[]} in the order of `wanted`
 */
export function spread(wanted, { gap, top, bottom }) {
  const order = wanted.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y || a.i - b.i);
  const ys = order.map(({ y }) => y);
  for (let i = 0; i < ys.length; i += 1) ys[i] = Math.max(ys[i] ?? 0, i === 0 ? top : (ys[i - 1] ?? 0) + gap);
  for (let i = ys.length - 1; i >= 0; i -= 1) ys[i] = Math.min(ys[i] ?? 0, i === ys.length - 1 ? Math.max(bottom, top + gap * (ys.length - 1)) : (ys[i + 1] ?? 0) - gap);
  /** @type {number[]} */
  const placed = [];
  order.forEach(({ i }, at) => { placed[i] = ys[at] ?? 0; });
  return placed;
}

/**
 * A text that fits, with an ellipsis where it was cut.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} width
 */
function fitted(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && ctx.measureText(`${letters.join('')}…`).width > width) letters.pop();
  return `${letters.join('')}…`;
}

/** @type {import('chart.js').Plugin<any>} */
export const endLabels = {
  id: 'endLabels',
  afterDatasetsDraw(chart) {
    const { ctx, chartArea } = chart;
    const ends = chart.data.datasets.flatMap((dataset, i) => {
      if (!chart.isDatasetVisible(i) || !dataset.label) return [];
      const points = chart.getDatasetMeta(i).data.filter((_, at) => typeof (/** @type {{ y?: unknown } | null} */ (dataset.data[at])?.y) === 'number');
      const last = points.at(-1);
      return last ? [{ label: dataset.label, colour: String(dataset.borderColor), x: last.x, y: last.y, dash: dataset.borderDash ?? [], width: Number(dataset.borderWidth) }] : [];
    });
    const ys = spread(ends.map(({ y }) => y), { gap: GAP_PX, top: chartArea.top + 6, bottom: chartArea.bottom - 4 });
    const left = chartArea.right + LEAD_PX;
    ctx.save();
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    ctx.font = `600 12px ${chart.options.font?.family ?? 'system-ui'}`;
    ends.forEach(({ label, colour, x, y }, i) => {
      const at = ys[i] ?? y;
      ctx.strokeStyle = colour;
      ctx.lineWidth = 1;
      ctx.setLineDash([1, 3]);
      ctx.beginPath();
      ctx.moveTo(x + 5, y);
      ctx.lineTo(left - 3, at);
      ctx.stroke();
      ctx.fillStyle = colour;
      ctx.fillText(fitted(ctx, label, chart.width - left - 2), left, at);
    });
    ctx.restore();
  },
};
