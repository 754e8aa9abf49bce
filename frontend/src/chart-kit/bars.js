// @ts-check
// Charts of horizontal bars: one bar per hashtag, language and so on.

import { BarController, BarElement, CategoryScale, Chart, LinearScale, Tooltip } from 'chart.js';
import { formatCompact, formatCount, formatShare } from '../format.js';
import { count, list } from '../model/values.js';
import { stateOf } from './state.js';
import { tooltipStyle } from './tooltip.js';

Chart.register(BarController, BarElement, CategoryScale, LinearScale, Tooltip);

/**
 * @typedef {import('./types').Bar} Bar
 * @typedef {import('../model/answer.js').Total} Total
 * @typedef {{ bars: Bar[], all: number, note: string }} BarsView `all` is the number of posts that shares are of
 */

/**
 * Order of bars: by count, then by name.
 * @param {Bar} a
 * @param {Bar} b
 */
export const byCount = (a, b) => b.value - a.value || a.label.localeCompare(b.label);

/**
 * The top entries of a counted list. A count is a lower bound; the true one is at most `error` higher.
 * @template {{ readonly count?: number | null, readonly error?: number | null }} Entry
 * @param {readonly (Entry | null)[] | null | undefined} entries
 * @param {(entry: Entry) => string | null | undefined} label
 * @param {number} limit
 * @returns {Bar[]}
 */
export function topBars(entries, label, limit) {
  return list(entries)
    .flatMap((entry) => {
      const text = label(entry);
      return text && count(entry.count) > 0 ? [{ label: text, value: count(entry.count), error: count(entry.error) }] : [];
    })
    .sort(byCount)
    .slice(0, limit);
}

/**
 * `at most 3 more`, or nothing for an exact count.
 * @param {Pick<Bar, 'error'>} bar
 */
export const moreText = ({ error }) => (error > 0 ? `at most ${formatCount(error)} more` : '');

/**
 * The share of a bar in all posts, from its lower to its upper bound.
 * @param {Pick<Bar, 'value' | 'error'>} bar
 * @param {number} all
 */
export function shareText({ value, error }, all) {
  const [low, high] = [formatShare(value, all), formatShare(Math.min(all, value + error), all)];
  return low === high ? low : `${low} to ${high}`;
}

/** Writes each bar's count at its end, with a plus where it is a lower bound. @type {import('chart.js').Plugin} */
const endLabels = {
  id: 'endLabels',
  afterDatasetsDraw(chart) {
    const state = stateOf(chart);
    if (!state?.bars) return;
    const { ctx } = chart;
    ctx.save();
    ctx.font = `500 12px ${state.palette.font}`;
    ctx.fillStyle = state.palette.text;
    ctx.textBaseline = 'middle';
    for (const [i, bar] of state.bars.entries()) {
      const element = chart.getDatasetMeta(0).data[i];
      if (element) ctx.fillText(`${formatCompact(bar.value)}${bar.error > 0 ? '+' : ''}`, element.x + 6, element.y);
    }
    ctx.restore();
  },
};

/**
 * @param {BarsView} view
 * @param {import('../theme.js').Palette} palette
 * @returns {import('./types').Drawing}
 */
function barsConfig({ bars, all }, palette) {
  return {
    type: 'bar',
    data: {
      labels: bars.map((bar) => bar.label),
      datasets: [{
        data: bars.map((bar) => bar.value),
        // A function: a plain colour is shared by all bars and kept when the theme changes.
        backgroundColor: () => palette.accent,
        borderRadius: 4,
        maxBarThickness: 16,
        barPercentage: 0.7,
        categoryPercentage: 1,
      }],
    },
    options: {
      indexAxis: 'y',
      layout: { padding: { right: 48 } },
      interaction: { mode: 'index', intersect: false, axis: 'y' },
      scales: {
        x: { display: false, min: 0, max: Math.max(1, ...bars.map((bar) => bar.value)) },
        y: {
          border: { display: false },
          grid: { display: false },
          ticks: {
            color: palette.text,
            autoSkip: false,
            crossAlign: 'far',
            /** @this {import('chart.js').Scale} */
            callback(/** @type {number} */ value) {
              const label = [...this.getLabelForValue(value)];
              const most = Math.min(20, Math.max(10, Math.floor(this.chart.width / 19)));
              return label.length > most ? `${label.slice(0, most - 1).join('')}…` : label.join('');
            },
          },
        },
      },
      plugins: {
        tooltip: {
          ...tooltipStyle(palette),
          displayColors: false,
          callbacks: {
            title: (/** @type {{ dataIndex: number }[]} */ [item]) => (item && bars[item.dataIndex]?.label) ?? '',
            label: (/** @type {{ dataIndex: number }} */ { dataIndex }) => {
              const bar = bars[dataIndex];
              if (!bar) return '';
              return [
                `${bar.error ? 'at least ' : ''}${formatCount(bar.value)} posts${all ? ` (${shareText(bar, all)})` : ''}`,
                ...(bar.error ? [moreText(bar)] : []),
              ];
            },
            footer: (/** @type {{ dataIndex: number }[]} */ [item]) => (item && bars[item.dataIndex]?.note) ?? '',
          },
        },
      },
    },
    plugins: [endLabels],
    state: { bars },
  };
}

/**
 * The bars as a table; with two columns for the count where counts are bounds.
 * @param {BarsView} view
 * @param {string} what
 * @param {boolean} isBound
 * @returns {import('./types').Table}
 */
function barsTable({ bars, all }, what, isBound) {
  return {
    head: [what, ...(isBound ? ['Posts, at least', 'At most … more'] : ['Posts']), ...(all ? ['Share'] : [])],
    rows: bars.map((bar) => [
      bar.label, formatCount(bar.value), ...(isBound ? [formatCount(bar.error)] : []), ...(all ? [shareText(bar, all)] : []),
    ]),
  };
}

/**
 * @param {string} title
 * @param {Bar[]} bars
 */
function barsSummary(title, bars) {
  if (bars.length === 0) return `${title}: none in this range.`;
  const top = bars.slice(0, 3).map((bar) => `${bar.label} ${formatCount(bar.value)}${bar.error > 0 ? ` (${moreText(bar)})` : ''}`);
  return `${title}: ${top.join(', ')}${bars.length > 3 ? ' and more' : ''}. The numbers are in the table below.`;
}

/**
 * The descriptor of a chart of bars over the total of the range.
 * @param {Pick<import('./types').Chart<BarsView>, 'id' | 'title' | 'size' | 'noun' | 'reads'> & {
 *   what: string, none: string, bars: (total: Total) => Bar[], isBound?: boolean, remark?: (total: Total) => string,
 * }} parts `what` heads the column of labels, `none` is shown without bars, `isBound` says that counts are lower bounds
 * @returns {import('./types').Chart<BarsView>}
 */
export function barChart({ what, none, bars, isBound = false, remark, ...chart }) {
  return {
    ...chart,
    height: 'rows',
    view: ({ total }) => ({ bars: bars(total), all: total.posts, note: remark?.(total) ?? '' }),
    empty: (view) => (view.bars.length === 0 ? none : ''),
    note: (view) => view.note,
    rows: (view) => view.bars.length,
    config: barsConfig,
    table: (view) => barsTable(view, what, isBound),
    summary: (view) => barsSummary(chart.title, view.bars),
  };
}
