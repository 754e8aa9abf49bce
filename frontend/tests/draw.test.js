// @vitest-environment jsdom
// @ts-check
// Tests of the order in which charts are drawn, with a stand-in for Chart.js.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createDrawer } from '../src/chart-kit/draw.js';

/** What happened to charts, in order. @type {string[]} */
const log = [];
/** Whether Chart.js draws when it wants to: after an update, and when the size changes. */
const rendered = () => log.filter((line) => line.includes('rendered'));

const { FakeChart } = vi.hoisted(() => {
  class FakeChart {
    static defaults = { font: {} };
    /** @type {FakeChart[]} */
    static made = [];
    /** @param {HTMLCanvasElement} canvas @param {any} config */
    constructor(canvas, { data, options, plugins }) {
      Object.assign(this, { canvas, id: canvas.id, data, options, plugins, width: 900, height: 300 });
      FakeChart.made.push(this);
      for (const plugin of plugins) plugin.beforeInit?.(this);
      this.note('made');
      this.render();
    }

    /** @param {string} what */
    note(what) {
      const self = /** @type {any} */ (this);
      self.log.push(`${self.id} ${what}: ${self.options.scales ? 'axes' : 'no axes'}, ${self.data.datasets.map((/** @type {any} */ { label }) => label).join(' ') || 'no data'}`);
    }

    update() {
      this.note('updated');
      this.render();
    }

    render() {
      if (/** @type {any} */ (this).plugins.every((/** @type {any} */ plugin) => plugin.beforeRender?.(this) !== false)) this.note('rendered');
    }

    draw() { this.note('drawn'); }
    resize() { this.render(); }
    destroy() { this.note('destroyed'); }
  }
  return { FakeChart };
});
vi.mock('../src/chart-kit/chart-js.js', () => ({ Chart: FakeChart }));

/** @type {any} */
const palette = { font: 'sans-serif' };
/** A chart of lines with these names. @type {any} */
const chart = {
  id: 'posts',
  config: (/** @type {string} */ names) => {
    if (names === 'broken') throw new Error('broken');
    return { type: 'line', data: { datasets: names.split(' ').map((label) => ({ label, data: [] })) }, options: { scales: {} }, plugins: [], state: {} };
  },
};
const canvasOf = (/** @type {string} */ id) => Object.assign(document.createElement('canvas'), { id });

/** Frames that were asked for. @type {FrameRequestCallback[]} */
let frames = [];
/** Lets the next frame pass. */
async function frame() {
  for (const run of frames.splice(0)) run(0);
  await vi.advanceTimersByTimeAsync(1);
}
/** Lets all frames pass in which something is drawn; what happened in each. */
async function all() {
  const found = [];
  for (let idle = 0; idle < 2;) {
    const before = log.length;
    await frame();
    if (log.length > before) found.push(log.slice(before));
    idle = log.length > before || frames.length > 0 ? 0 : idle + 1;
  }
  return found;
}

/** @type {ReturnType<typeof createDrawer>} */
let drawer;
const errors = vi.fn();

beforeEach(async () => {
  log.length = 0;
  frames = [];
  FakeChart.made.length = 0;
  Object.assign(FakeChart.prototype, { log });
  errors.mockClear();
  vi.stubGlobal('requestAnimationFrame', (/** @type {FrameRequestCallback} */ run) => frames.push(run));
  vi.stubGlobal('reportError', errors);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  drawer = createDrawer(() => palette);
});

afterEach(() => {
  drawer.destroy();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a chart', () => {
  it('is made, gets its axes and one dataset after another, each in a frame of its own, and is drawn at the end', async () => {
    drawer.draw(canvasOf('a'), chart, 'x y z');
    expect(await all()).toEqual([
      ['a made: no axes, no data'], ['a updated: axes, no data'], ['a updated: axes, x'], ['a updated: axes, x y'], ['a updated: axes, x y z'], ['a drawn: axes, x y z'],
    ]);
  });

  it('does not draw by itself before it has all of its data, and does so afterwards', async () => {
    const canvas = canvasOf('a');
    drawer.draw(canvas, chart, 'x y');
    for (let i = 0; i < 5 && !log.some((line) => line.includes('axes, x')); i++) await frame();
    FakeChart.made[0]?.resize();
    expect(log.at(-1)).toBe('a updated: axes, x');
    expect(rendered()).toEqual([]);
    await all();
    FakeChart.made[0]?.resize();
    expect(rendered()).toEqual(['a rendered: axes, x y']);
  });

  it('that is known gets its new data at once, in the datasets that it has, and is drawn in the next frame', async () => {
    const canvas = canvasOf('a');
    drawer.draw(canvas, chart, 'x y');
    await all();
    const [made] = /** @type {any[]} */ (FakeChart.made);
    const [first] = made.data.datasets;
    drawer.draw(canvas, chart, 'u v w');
    expect(await all()).toEqual([['a updated: axes, u v w'], ['a drawn: axes, u v w']]);
    expect(FakeChart.made).toEqual([made]);
    expect(made.data.datasets[0]).toBe(first);
    drawer.draw(canvas, chart, 'u');
    await all();
    expect(log.at(-1)).toBe('a drawn: axes, u');
  });

  it('takes a newer view that comes between its steps', async () => {
    const canvas = canvasOf('a');
    drawer.draw(canvas, chart, 'x y z');
    for (let i = 0; i < 5 && !log.some((line) => line.includes('axes, x')); i++) await frame();
    drawer.draw(canvas, chart, 'u v');
    expect(await all()).toEqual([['a updated: axes, u v'], ['a drawn: axes, u v']]);
  });

  it('that cannot be drawn is reported, and does not stop the others', async () => {
    drawer.draw(canvasOf('a'), chart, 'broken');
    drawer.draw(canvasOf('b'), chart, 'x');
    await all();
    expect(errors.mock.calls.map(([error]) => error.message)).toEqual(['broken']);
    expect(log.at(-1)).toBe('b drawn: axes, x');
  });
});

describe('printing', () => {
  it('draws all that is due at once', async () => {
    const [a, b] = [canvasOf('a'), canvasOf('b')];
    drawer.draw(a, chart, 'x');
    await all();
    drawer.draw(a, chart, 'u');
    drawer.draw(b, chart, 'y z');
    const before = log.length;
    drawer.fit();
    const now = log.slice(before);
    expect(now.filter((line) => line.includes('drawn'))).toEqual(['a drawn: axes, u', 'b drawn: axes, y z']);
    expect(await all()).toEqual([]);
  });
});
