// @ts-check
// A plugin for choosing a time in a chart, by pointer or keys. The canvas sends `brush` with the ends of what was chosen, and `read` with the
// time that the keys have moved to.

import { stateOf } from './state.js';

const LEAST_PX = 6;

/** @typedef {{ from: number, to: number }} Ends in milliseconds, in any order */
/** @typedef {{ span: Ends | null, at: number | null, stop: AbortController }} Brush */

/** @type {WeakMap<object, Brush>} */
const brushes = new WeakMap();

/** @type {import('chart.js').Plugin} */
export const brush = {
  id: 'brush',
  afterInit(chart) {
    const { canvas } = chart;
    const holder = canvas.parentElement;
    if (!holder) return;
    /** @type {Brush} */
    const state = { span: null, at: null, stop: new AbortController() };
    brushes.set(chart, state);
    holder.dataset.brush = '';
    const options = { signal: state.stop.signal };
    /** @param {string} type @param {unknown} detail */
    const send = (type, detail) => canvas.dispatchEvent(new CustomEvent(type, { bubbles: true, detail }));
    /** @param {number} ms */
    const within = (ms) => {
      const { min = 0, max = 0 } = chart.scales.x ?? {};
      return Math.min(max, Math.max(min, ms));
    };
    /** @param {Ends | null} span */
    const set = (span) => {
      state.span = span;
      chart.draw();
    };
    const finish = () => {
      const { span } = state;
      set(null);
      if (span && span.from !== span.to) send('brush', { from: Math.min(span.from, span.to), to: Math.max(span.from, span.to) });
    };

    /** @type {{ x: number, ms: number } | null} */
    let down = null;
    canvas.addEventListener('pointerdown', (event) => {
      const { left, right, top, bottom } = chart.chartArea;
      if (event.button !== 0 || event.offsetX < left || event.offsetX > right || event.offsetY < top || event.offsetY > bottom) return;
      down = { x: event.offsetX, ms: within(chart.scales.x?.getValueForPixel(event.offsetX) ?? 0) };
      canvas.setPointerCapture?.(event.pointerId);
    }, options);
    canvas.addEventListener('pointermove', (event) => {
      if (!down || (state.span === null && Math.abs(event.offsetX - down.x) < LEAST_PX)) return;
      set({ from: down.ms, to: within(chart.scales.x?.getValueForPixel(event.offsetX) ?? 0) });
    }, options);
    canvas.addEventListener('pointerup', () => {
      down = null;
      if (state.span) finish();
    }, options);
    canvas.addEventListener('pointercancel', () => {
      down = null;
      set(null);
    }, options);

    holder.addEventListener('keydown', (event) => {
      const xs = (chart.data.datasets[0]?.data ?? []).map((point) => Number(/** @type {{ x: number }} */ (point).x));
      const stepMs = (xs[1] ?? 0) - (xs[0] ?? 0);
      if (xs.length < 2 || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
        const direction = event.key === 'ArrowLeft' ? -1 : 1;
        const at = Math.min(xs.length - 1, Math.max(0, state.at === null ? (direction === 1 ? 0 : xs.length - 1) : state.at + direction));
        const x = xs[at] ?? 0;
        if (event.shiftKey) {
          const from = state.span?.from ?? (xs[state.at ?? at] ?? x) - (direction * stepMs) / 2;
          set({ from: within(from), to: within(x + (direction * stepMs) / 2) });
        } else if (state.span) set(null);
        state.at = at;
        const active = chart.data.datasets.flatMap((_, datasetIndex) => (chart.isDatasetVisible(datasetIndex) ? [{ datasetIndex, index: at }] : []));
        chart.setActiveElements(active);
        chart.tooltip?.setActiveElements(active, { x: 0, y: 0 });
        chart.update('none');
        send('read', x);
      } else if (event.key === 'Enter' && state.span) finish();
      else if (event.key === 'Escape' && state.span) set(null);
      else return;
      event.preventDefault();
    }, options);
    holder.addEventListener('blur', () => {
      state.at = null;
      set(null);
    }, options);
  },
  afterDraw(chart) {
    const span = brushes.get(chart)?.span;
    const x = chart.scales.x;
    const palette = stateOf(chart)?.palette;
    if (!span || !x || !palette) return;
    const [left, right] = [x.getPixelForValue(span.from), x.getPixelForValue(span.to)].sort((a, b) => a - b);
    const { ctx, chartArea: { top, bottom } } = chart;
    ctx.save();
    ctx.fillStyle = palette.band;
    ctx.fillRect(left ?? 0, top, (right ?? 0) - (left ?? 0), bottom - top);
    ctx.strokeStyle = palette.text;
    ctx.strokeRect(left ?? 0, top, (right ?? 0) - (left ?? 0), bottom - top);
    ctx.restore();
  },
  afterDestroy(chart) {
    brushes.get(chart)?.stop.abort();
  },
};
