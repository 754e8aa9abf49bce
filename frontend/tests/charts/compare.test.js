// @ts-check
import { describe, expect, it } from 'vitest';
import { spread } from '../../src/chart-kit/end-labels.js';
import chart, { lineLook, measureText } from '../../src/charts/compare.js';
import { regionLines } from '../../src/model/compare.js';

const NOW = Date.parse('2026-11-24T10:30:00Z');
const window = (/** @type {number} */ hour, /** @type {number} */ posts, usual = 10) => ({
  window_start: `2026-11-24T0${hour}:00:00Z`, window_end: `2026-11-24T0${hour + 1}:00:00Z`, lifecycle: /** @type {const} */ ('final'), posts, usual,
  completeness: { complete: true, frames: 1, flaws: [] },
});
const lines = regionLines([
  { region: 'a', step_secs: 3600, windows: [window(7, 10), window(8, 30)] },
  { region: 'b', step_secs: 3600, windows: [window(7, 10), { ...window(8, 0), completeness: { complete: false, frames: 0, flaws: [] } }] },
], { order: ['a', 'b'], nameOf: (id) => id.toUpperCase(), nowMs: NOW });
const palette = /** @type {any} */ ({ text: 't', muted: 'm', grid: 'g', surface: 's', border: 'b', colour: (/** @type {string} */ name) => name, font: 'f' });
const options = { hidden: new Set(['b']), networks: [] };
const view = (/** @type {string} */ choice) => chart.view(/** @type {any} */ ({ lines, measures: ['posts', 'rate', 'share', 'index'] }), { ...options, choice });

describe('the chart that compares', () => {
  it('draws lines that differ without their colours', () => {
    const looks = Array.from({ length: 8 }, (_, i) => JSON.stringify([lineLook(i).dash, lineLook(i).width]));
    expect(new Set(looks).size).toBe(8);
  });

  it('draws each measure, with a break where there is no data', () => {
    const drawn = chart.config?.(view('index'), palette);
    expect(drawn?.data.datasets.map(({ data, hidden, label }) => [label, hidden, data.map((/** @type {any} */ { y }) => y)])).toEqual([['A', false, [100, 300]], ['B', true, [100, null]]]);
    expect(chart.config?.(view('share'), palette).data.datasets[0]?.data.map((/** @type {any} */ { y }) => y)).toEqual([50, 100]);
  });

  it('has a table with the newest step first, and names the line whose data is missing', () => {
    const table = chart.table(view('posts'));
    expect(table.head).toEqual(['Window', 'A', 'B', 'State']);
    expect(table.rows[0]?.slice(1)).toEqual(['30', '–', 'A: final; B: no data']);
    expect(table.rows[1]?.slice(1)).toEqual(['10', '10', 'final']);
  });

  it('is nothing without lines', () => {
    expect(chart.empty?.(chart.view(/** @type {any} */ ({}), { ...options, choice: null }))).not.toBe('');
  });

  it('writes numbers with their unit', () => {
    expect([measureText(null, 'posts'), measureText(12.34, 'share'), measureText(99.6, 'index'), measureText(0.52, 'rate')]).toEqual(['–', '12.3%', '100', '0.5']);
  });
});

describe('names at the ends of lines', () => {
  it('are moved apart and stay in the order of their lines', () => {
    expect(spread([50, 52, 10], { gap: 16, top: 0, bottom: 100 })).toEqual([50, 66, 10]);
  });

  it('stay in the chart', () => {
    expect(spread([98, 99, 97], { gap: 16, top: 0, bottom: 100 })).toEqual([84, 100, 68]);
  });
});
