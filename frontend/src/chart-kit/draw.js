// @ts-check
// Draws charts on their canvases with Chart.js, and redraws them when the theme changes.

import { painted } from '../breathe.js';
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

/** Texts in charts are as large as small texts of the page. */
const FONT_REM = 0.75;
/** Charts are drawn when they are this close to the screen. */
const NEAR = '100% 0px';

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

  /** Canvases whose view has not been drawn yet. @type {Set<HTMLCanvasElement>} */
  const due = new Set();
  /** Those of them whose chart has its new data already. @type {Set<HTMLCanvasElement>} */
  const updated = new Set();
  let isUpdating = false;
  /** Canvases that are on the screen or close to it. @type {Set<Element>} */
  const near = new Set();
  const observer = 'IntersectionObserver' in globalThis ? new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) near[isIntersecting ? 'add' : 'delete'](target);
    start();
  }, { rootMargin: NEAR }) : null;
  let isRunning = false;
  let isEnded = false;

  const next = () => [...due].find((canvas) => !observer || near.has(canvas));
  /** Draws what is due and near, one chart a frame, after the numbers. The code is loaded in any case: all charts can be printed. */
  async function start() {
    if (isRunning || due.size === 0) return;
    isRunning = true;
    try {
      ({ Chart } = await loadChartJs());
      for (;;) {
        await painted();
        const canvas = next();
        if (!canvas || isEnded) return;
        drawNow(canvas);
      }
    } catch (error) {
      // Without its code there are the tables; the next answer tries again.
      if (Chart) throw error;
    } finally {
      isRunning = false;
    }
  }

  /**
   * Draws a view soon: when its canvas is near.
   * @template View
   * @param {HTMLCanvasElement} canvas
   * @param {import('./types').Chart<View>} chart
   * @param {View} view
   */
  function draw(canvas, chart, view) {
    if (!views.has(canvas)) observer?.observe(canvas);
    views.set(canvas, [chart, view]);
    due.add(canvas);
    updated.delete(canvas);
    start();
  }

  /**
   * Takes the next step towards what is due: makes the chart of a canvas, without data; gives it its data; draws it. All at once takes too long on a phone.
   * @param {HTMLCanvasElement} canvas
   */
  function drawNow(canvas) {
    const [chart, view] = views.get(canvas) ?? [];
    if (!chart?.config || !Chart) return due.delete(canvas);
    if (updated.delete(canvas)) {
      due.delete(canvas);
      charts.get(canvas)?.draw();
      return;
    }
    const palette = readPalette();
    const config = chart.config(view, palette);
    const state = { ...config.state, palette };
    Chart.defaults.font.family = palette.font;
    Chart.defaults.font.size = FONT_REM * (parseFloat(getComputedStyle(canvas.ownerDocument.documentElement).fontSize) || 16);

    const options = { responsive: true, maintainAspectRatio: false, animation: /** @type {const} */ (false), ...config.options };
    const known = charts.get(canvas);
    if (!known) {
      // Axes without data are not shown.
      const holder = { id: 'holder', beforeInit: (/** @type {object} */ created) => setState(created, state), beforeRender: () => charts.has(canvas) && !isUpdating };
      charts.set(canvas, new Chart(canvas, { type: config.type, data: { datasets: [] }, options, plugins: [holder, ...config.plugins] }));
      return;
    }
    setState(known, state);
    const { data } = known;
    data.labels = config.data.labels;
    // Datasets are changed in place, so that an open tooltip stays.
    config.data.datasets.forEach((dataset, i) => Object.assign((data.datasets[i] ??= dataset), dataset));
    data.datasets.length = config.data.datasets.length;
    known.options = options;
    isUpdating = true;
    try {
      known.update('none');
      updated.add(canvas);
    } finally {
      isUpdating = false;
      // A chart that cannot be drawn does not stop the others.
      if (!updated.has(canvas)) due.delete(canvas);
    }
  }

  return {
    draw,
    /** Draws everything again, in the colours of the current theme. */
    restyle() {
      for (const [canvas, [chart, view]] of views) draw(canvas, chart, view);
    },
    /** Fits all charts to a width at most, in pixels; to their holders without one. @param {number} [most] */
    fit(most) {
      if (Chart) for (const canvas of [...due]) while (due.has(canvas)) drawNow(canvas);
      for (const chart of charts.values()) {
        if (most === undefined) chart.resize();
        else if (chart.width > most) chart.resize(most, chart.height);
      }
    },
    destroy() {
      isEnded = true;
      observer?.disconnect();
      for (const chart of charts.values()) chart.destroy();
      charts.clear();
    },
  };
}
