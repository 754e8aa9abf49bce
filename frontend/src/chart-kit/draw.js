// @ts-check
// Draws charts on their canvases with Chart.js, and redraws them when the theme changes.

import { Chart } from 'chart.js';
import { setState } from './state.js';

/**
 * @typedef {import('./types').Chart<any>} Descriptor
 * @typedef {ReturnType<typeof createDrawer>} Drawer
 */

/**
 * One Chart.js chart per canvas. `readPalette` is called at each drawing.
 * @param {() => import('../theme.js').Palette} readPalette
 */
export function createDrawer(readPalette) {
  /** @type {Map<HTMLCanvasElement, Chart>} */
  const charts = new Map();
  /** @type {Map<HTMLCanvasElement, [Descriptor, unknown]>} */
  const views = new Map();
  const calm = globalThis.matchMedia?.('(prefers-reduced-motion: reduce)').matches ?? false;

  /**
   * @template View
   * @param {HTMLCanvasElement} canvas
   * @param {import('./types').Chart<View>} chart
   * @param {View} view
   */
  function draw(canvas, chart, view) {
    const palette = readPalette();
    if (!chart.config) return;
    const config = chart.config(view, palette);
    const state = { ...config.state, palette };
    views.set(canvas, [chart, view]);
    Chart.defaults.font.family = palette.font;
    Chart.defaults.font.size = 12;

    const options = { responsive: true, maintainAspectRatio: false, ...(calm ? { animation: /** @type {const} */ (false) } : { animation: { duration: 350 } }), ...config.options };
    const known = charts.get(canvas);
    if (!known) {
      const holder = { id: 'holder', beforeInit: (/** @type {object} */ created) => setState(created, state) };
      charts.set(canvas, new Chart(canvas, { type: config.type, data: config.data, options, plugins: [holder, ...config.plugins] }));
      return;
    }
    setState(known, state);
    const { data } = known;
    data.labels = config.data.labels;
    // Datasets are changed in place, so that an open tooltip stays.
    config.data.datasets.forEach((dataset, i) => Object.assign((data.datasets[i] ??= dataset), dataset));
    data.datasets.length = config.data.datasets.length;
    known.options = options;
    known.update('none');
  }

  return {
    draw,
    /** Draws everything again, in the colours of the current theme. */
    restyle() {
      for (const [canvas, [chart, view]] of views) draw(canvas, chart, view);
    },
    /** Fits all charts to a width at most, in pixels; to their holders without one. @param {number} [most] */
    fit(most) {
      for (const chart of charts.values()) {
        if (most === undefined) chart.resize();
        else if (chart.width > most) chart.resize(most, chart.height);
      }
    },
    destroy() {
      for (const chart of charts.values()) chart.destroy();
      charts.clear();
    },
  };
}
