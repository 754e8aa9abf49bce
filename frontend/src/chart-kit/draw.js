// @ts-check
// Draws charts on their canvases with Chart.js, and redraws them when the theme changes.

import { setState } from './state.js';

/**
 * @typedef {import('./types').Chart<any>} Descriptor
 * @typedef {ReturnType<typeof createDrawer>} Drawer
 */

/** The code of Chart.js, loaded once; again after it could not be loaded. @type {Promise<typeof import('./chart-js.js')> | null} */
let loading = null;
export function loadChartJs() {
  loading ??= import('./chart-js.js');
  loading.catch(() => { loading = null; });
  return loading;
}

/** A chart that nobody waits for is drawn after this long at the latest. */
const IDLE_MS = 1_000;

/**
 * One Chart.js chart per canvas. `readPalette` is called at each drawing.
 * @param {() => import('../theme.js').Palette} readPalette
 */
export function createDrawer(readPalette) {
  /** @type {typeof import('./chart-js.js').Chart | null} */
  let Chart = null;
  /** @type {Map<HTMLCanvasElement, import('chart.js').Chart>} */
  const charts = new Map();
  /** @type {Map<HTMLCanvasElement, [Descriptor, unknown]>} */
  const views = new Map();
  const calm = globalThis.matchMedia?.('(prefers-reduced-motion: reduce)').matches ?? false;

  /** Canvases that have no chart yet. @type {HTMLCanvasElement[]} */
  const waiting = [];
  /** What the page waits for between two new charts: a paint before the first, so that the numbers come first, then idle time. @param {() => void} run */
  const later = (run) => (charts.size === 0 ? requestAnimationFrame(() => setTimeout(run)) : 'requestIdleCallback' in globalThis ? requestIdleCallback(run, { timeout: IDLE_MS }) : setTimeout(run));
  function start() {
    if (Chart) return later(drawNext);
    return loadChartJs().then((loaded) => {
      ({ Chart } = loaded);
      if (waiting.length > 0) later(drawNext);
    // Without it there are the tables; the next answer tries again.
    }, () => { waiting.length = 0; });
  }
  function drawNext() {
    const canvas = waiting.shift();
    const known = canvas && views.get(canvas);
    if (canvas && known && !isEnded) drawNow(canvas, ...known);
    if (waiting.length > 0) later(drawNext);
  }
  let isEnded = false;

  /**
   * Draws a view: a known chart at once, a new one soon.
   * @template View
   * @param {HTMLCanvasElement} canvas
   * @param {import('./types').Chart<View>} chart
   * @param {View} view
   */
  function draw(canvas, chart, view) {
    views.set(canvas, [chart, view]);
    if (charts.has(canvas)) drawNow(canvas, chart, view);
    else if (!waiting.includes(canvas)) {
      waiting.push(canvas);
      if (waiting.length === 1) start();
    }
  }

  /** @param {HTMLCanvasElement} canvas @param {Descriptor} chart @param {any} view */
  function drawNow(canvas, chart, view) {
    const palette = readPalette();
    if (!chart.config || !Chart) return;
    const config = chart.config(view, palette);
    const state = { ...config.state, palette };
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
      while (Chart && waiting.length > 0) drawNext();
      for (const chart of charts.values()) {
        if (most === undefined) chart.resize();
        else if (chart.width > most) chart.resize(most, chart.height);
      }
    },
    destroy() {
      isEnded = true;
      for (const chart of charts.values()) chart.destroy();
      charts.clear();
    },
  };
}
