// @ts-check
// Tests that each chart and tile names the fields that it reads: the page asks the API for these alone.
import { describe, expect, it } from 'vitest';
import { CHARTS } from '../src/charts/index.js';
import { readAnswer } from '../src/model/answer.js';
import { fieldsQuery } from '../src/model/fields.js';
import { tileReads, tiles } from '../src/model/tiles.js';
import { RANGES, rangeById } from '../src/url-state.js';
import { VIEWS } from '../src/views/index.js';
import { HIDE_PARAM } from '../src/view/cards.js';
import { REPORT_FIELDS } from './contract.js';
import { answer } from './fake-api.js';
import { drawingOf } from './reports.js';

/** @typedef {import('../src/model/fields.js').Reads} Reads */

const NOW = Date.UTC(2026, 10, 24, 21, 12, 30);
/** A palette whose colours are their names. */
const palette = /** @type {import('../src/theme.js').Palette} */ (/** @type {unknown} */ ({ colour: (/** @type {string} */ name) => name }));

/**
 * The fields of one kind of report that are read.
 * @param {Set<string>} into
 * @returns {ProxyHandler<object>}
 */
const recorder = (into) => ({
  get(report, name, receiver) {
    if (typeof name === 'string' && REPORT_FIELDS.includes(name) && !name.startsWith('window_')) into.add(name);
    return Reflect.get(report, name, receiver);
  },
});

/**
 * What is read of the reports of an answer while `use` runs.
 * @param {string} query
 * @param {(answer: import('../src/model/answer.js').Answer) => void} use
 */
function readsOf(query, use) {
  const [status, body] = answer(new URL(`http://localhost/api/windows?region=harbour&${query}`), { now: NOW });
  expect(status).toBe(200);
  const whole = /** @type {import('../src/model/contract').WindowsAnswer} */ (body);
  const [steps, total] = [new Set(), new Set()];
  const read = readAnswer({
    ...whole, total: new Proxy(whole.total ?? {}, recorder(total)), windows: whole.windows.map((report) => new Proxy(report, recorder(steps))),
  }, NOW);
  use(read);
  return { steps: [...steps].sort(), total: [...total].sort() };
}

/** @param {Reads} reads */
const named = ({ steps = [], total = [] }) => ({ steps: [...new Set(steps)].sort(), total: [...new Set(total)].sort() });

/**
 * A query for what is named.
 * @param {Reads} reads
 */
const queryFor = (reads) => new URLSearchParams(Object.entries(fieldsQuery([reads])).filter(([, names]) => names !== ''));

/**
 * Everything that the page does with a chart, tooltips included.
 * @param {import('../src/chart-kit/types').Chart<any>} chart
 * @param {import('../src/model/answer.js').Answer} answer
 */
function useChart(chart, answer) {
  for (const choice of chart.choice?.options(answer).map(({ id }) => id) ?? [null]) {
    const view = chart.view(answer, { choice, hidden: new Set(), networks: ['bluesky', 'mastodon', 'x'] });
    for (const part of /** @type {const} */ (['empty', 'note', 'series', 'ranking', 'annotations', 'table', 'summary'])) chart[part]?.(view);
    if (!chart.config) continue;
    const drawing = /** @type {any} */ (drawingOf(chart, view, palette));
    const { title, label, footer } = drawing.options.plugins.tooltip.callbacks;
    drawing.data.datasets.forEach((/** @type {{ data: unknown[] }} */ { data }, /** @type {number} */ datasetIndex) => data.forEach((_, dataIndex) => {
      for (const text of [title([{ dataIndex, datasetIndex }]), label({ dataIndex, datasetIndex }), footer([{ dataIndex, datasetIndex }])]) expect(text).toBeDefined();
    }));
  }
}

describe.each(CHARTS.map((chart) => /** @type {const} */ ([chart.id, chart])))('the chart %s', (_, chart) => {
  it('names the fields that it reads, and no others', () => {
    const options = ['', 'usual', 'minute', 'kind', 'network', 'language', 'match'];
    const more = options.map((choice) => chart.more?.(choice, { secs: 7 * 86_400 }) ?? {});
    const all = [chart.reads, ...more];
    expect(readsOf('step=1h', (answer) => useChart(chart, answer))).toEqual(named({ steps: all.flatMap(({ steps = [] }) => steps), total: all.flatMap(({ total = [] }) => total) }));
  });

  it('shows the same when it is given these alone', () => {
    const show = (/** @type {string} */ query) => {
      /** @type {unknown[]} */
      const shown = [];
      readsOf(query, (answer) => {
        const view = chart.view(answer, { choice: null, hidden: new Set(), networks: [] });
        shown.push(chart.table(view), chart.summary(view), chart.note?.(view), chart.config && drawingOf(chart, view, palette).data.datasets.map(({ data }) => data));
      });
      return shown;
    };
    expect(show(`step=1h&${queryFor(chart.reads)}`)).toEqual(show('step=1h'));
  });
});

describe('the tiles', () => {
  it.each(RANGES.map(({ id }) => id))('name the fields that they read in the range %s', (id) => {
    const reads = tileReads(rangeById(id));
    const read = readsOf(`step=15m&${queryFor(reads)}`, (answer) => {
      // Long after the last step there are no minutes for the rate.
      for (const nowMs of [NOW, NOW + 7_200_000]) tiles({ answer, overview: null, nowMs });
    });
    // Counts of minutes are used if there are any.
    if (!reads.steps?.includes('per_minute')) read.steps = read.steps.filter((field) => field !== 'per_minute');
    expect(read).toEqual(named(reads));
  });
});

describe('the query', () => {
  it('has each field once, in one order', () => {
    expect(fieldsQuery([{ steps: ['posts', 'media'], total: ['posts'] }, { steps: ['authors', 'posts'] }])).toEqual({ fields: 'authors,media,posts', total_fields: 'posts' });
    expect(fieldsQuery([{ steps: ['posts'] }]).total_fields).toBe('none');
  });
});

it('has the choices of all charts among the parameters of the page of a region', () => {
  const params = VIEWS.find(({ id }) => id === 'region')?.params;
  expect(params).toEqual(expect.arrayContaining([HIDE_PARAM, ...CHARTS.flatMap(({ choice }) => choice?.param ?? [])]));
});
