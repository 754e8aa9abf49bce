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

  /** Canvases whose view has not been drawn yet, with the steps that are left. @type {Map<HTMLCanvasElement, Iterator<void, void>>} */
  const due = new Map();
  /** Whether a chart is being changed, which is drawn later. */
  let isUpdating = false;
  /** Canvases whose chart has all of its data. @type {WeakSet<HTMLCanvasElement>} */
  const whole = new WeakSet();
  /** Canvases that are on the screen or close to it. @type {Set<Element>} */
  const near = new Set();
  const observer = 'IntersectionObserver' in globalThis ? new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) near[isIntersecting ? 'add' : 'delete'](target);
    start();
  }, { rootMargin: NEAR }) : null;
  let isRunning = false;
  let isEnded = false;

  const next = () => [...due.keys()].find((canvas) => !observer || near.has(canvas));
  /** Draws what is due and near, one step a frame, after the numbers. The code is loaded in any case: all charts can be printed. */
  async function start() {
    if (isRunning || due.size === 0) return;
    isRunning = true;
    try {
      ({ Chart } = await loadChartJs());
      for (;;) {
        await painted();
        const canvas = next();
        if (!canvas || isEnded) return;
        step(canvas);
      }
    } catch {
      // Without its code there are the tables; the next answer tries again.
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
    due.set(canvas, steps(canvas, chart, view));
    start();
  }

  /** Takes the next step towards what is due on a canvas. A chart that cannot be drawn does not stop the others. @param {HTMLCanvasElement} canvas */
  function step(canvas) {
    try {
      if (due.get(canvas)?.next().done) due.delete(canvas);
    } catch (error) {
      // What has thrown has no further step.
      reportError(error);
    }
  }

  /** Changes a chart without drawing it. @param {import('chart.js').Chart} chart */
  function update(chart) {
    isUpdating = true;
    try {
      chart.update('none');
    } finally {
      isUpdating = false;
    }
  }

  /**
   * Draws a view in steps, for all at once takes too long on a phone: a new chart is made bare, gets its axes and one dataset after another, and is
   * drawn when it has all of them. One that is known gets its data at once: its code is warm.
   * @template View
   * @param {HTMLCanvasElement} canvas
   * @param {import('./types').Chart<View>} chart
   * @param {View} view
   */
  function* steps(canvas, chart, view) {
    if (!chart.config || !Chart) return;
    const palette = readPalette();
    const config = chart.config(view, palette);
    const state = { ...config.state, palette };
    Chart.defaults.font.family = palette.font;
    Chart.defaults.font.size = FONT_REM * (parseFloat(getComputedStyle(canvas.ownerDocument.documentElement).fontSize) || 16);

    const bare = { responsive: true, maintainAspectRatio: false, animation: /** @type {const} */ (false) };
    const options = { ...bare, ...config.options };
    yield;
    let known = charts.get(canvas);
    if (!known) {
      // Axes without data, or with some of it, are not shown.
      const holder = { id: 'holder', beforeInit: (/** @type {object} */ created) => setState(created, state), beforeRender: () => whole.has(canvas) && !isUpdating };
      known = new Chart(canvas, { type: config.type, data: { datasets: [] }, options: bare, plugins: [holder, ...config.plugins] });
      charts.set(canvas, known);
      yield;
      known.options = options;
      update(known);
      for (const dataset of config.data.datasets.slice(0, -1)) {
        yield;
        known.data.datasets.push(dataset);
        update(known);
      }
      yield;
    }
    setState(known, state);
    const { data } = known;
    data.labels = config.data.labels;
    // Datasets are changed in place, so that an open tooltip stays.
    config.data.datasets.forEach((dataset, i) => Object.assign((data.datasets[i] ??= dataset), dataset));
    data.datasets.length = config.data.datasets.length;
    known.options = options;
    update(known);
    whole.add(canvas);
    yield;
    known.draw();
  }

  return {
    draw,
    /** Draws everything again, in the colours of the current theme. */
    restyle() {
      for (const [canvas, [chart, view]] of views) draw(canvas, chart, view);
    },
    /** Fits all charts to a width at most, in pixels; to their holders without one. @param {number} [most] */
    fit(most) {
      if (Chart) for (const canvas of [...due.keys()]) while (due.has(canvas)) step(canvas);
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
