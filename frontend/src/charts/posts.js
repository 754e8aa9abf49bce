// @ts-check
// Posts over time, stacked by kind or by network.

import { countAxis } from '../chart-kit/axes.js';
import { hatch } from '../chart-kit/hatch.js';
import { overTime, points, spanText, windowTable } from '../chart-kit/over-time.js';
import { formatCount, formatShare, formatSpan, plural } from '../format.js';
import { begun } from '../model/answer.js';
import { STATE_FIELDS } from '../model/fields.js';
import { gapSpans } from '../model/flaws.js';
import { networkLabel } from '../model/networks.js';
import { KINDS } from '../model/report.js';
import { SERIES_COLOURS } from '../theme.js';

/**
 * @typedef {import('../model/answer.js').Window} Window
 * @typedef {import('../chart-kit/types').Series & { pick: (window: Window) => number }} Stack
 * @typedef {{ answer: import('../model/answer.js').Answer, by: string, stacks: Stack[], hidden: ReadonlySet<string> }} PostsView
 */

/** @type {Stack[]} */
const BY_KIND = KINDS.map(({ key, label }) => ({ key, label, colour: `kind-${key}`, pick: (w) => w.kinds[key] }));

/**
 * A network keeps its colour whatever others are shown.
 * @param {readonly string[]} shown
 * @param {readonly string[]} known
 * @returns {Stack[]}
 */
const byNetwork = (shown, known) => shown.map((network) => ({
  key: network,
  label: networkLabel(network),
  colour: SERIES_COLOURS[Math.max(0, known.indexOf(network)) % SERIES_COLOURS.length] ?? 'accent',
  pick: (w) => w.networks?.get(network) ?? 0,
}));

/** @type {import('../chart-kit/types').Chart<PostsView>} */
const posts = {
  id: 'posts',
  title: 'Posts over time',
  // Both choices, so that the reader can switch without another question to the API.
  reads: { steps: [...STATE_FIELDS, 'posts', ...KINDS.map(({ field }) => field), 'networks'], total: ['posts', 'networks'] },
  size: 'wide',
  height: 'tall',
  noun: 'posts',
  hasMarks: true,
  choice: {
    param: 'stack',
    label: 'Stacked by',
    options: ({ networks }) => [{ id: 'kind', label: 'Kind' }, ...(networks?.length ? [{ id: 'network', label: 'Network' }] : [])],
  },

  view: (answer, { choice, hidden, networks }) => (choice === 'network' && answer.networks?.length
    ? { answer, by: 'network', stacks: byNetwork(answer.networks, networks), hidden }
    : { answer, by: 'kind', stacks: BY_KIND, hidden }),

  series: ({ stacks }) => stacks,

  config({ answer, stacks, hidden }, palette) {
    const { windows } = answer;
    /** @type {Map<string, ReturnType<typeof hatch>>} */
    const hatches = new Map();
    /**
     * @param {CanvasRenderingContext2D} context
     * @param {string} colour
     */
    const hatched = (context, colour) => {
      const fill = hatches.get(colour) ?? hatch(context, palette.colour(colour));
      hatches.set(colour, fill);
      return fill;
    };
    return overTime({
      type: 'bar',
      answer,
      palette,
      stacked: true,
      y: countAxis(palette, { stacked: true }),
      datasets: stacks.map(({ key, label, colour, pick }) => ({
        label,
        data: points(windows, pick),
        hidden: hidden.has(key),
        stack: 'posts',
        barPercentage: 0.86,
        categoryPercentage: 1,
        maxBarThickness: 60,
        backgroundColor: (/** @type {{ chart: import('chart.js').Chart, dataIndex: number }} */ { chart, dataIndex }) => (
          windows[dataIndex]?.unfinished ? hatched(chart.ctx, colour) : palette.colour(colour)
        ),
      })),
      tooltip: {
        itemSort: (/** @type {{ datasetIndex: number }} */ a, /** @type {{ datasetIndex: number }} */ b) => b.datasetIndex - a.datasetIndex,
        callbacks: {
          labelColor: (/** @type {{ datasetIndex: number }} */ item) => {
            const colour = palette.colour(stacks[item.datasetIndex]?.colour ?? 'accent');
            return { borderColor: colour, backgroundColor: colour, borderRadius: 2 };
          },
        },
      },
      label: (w, { datasetIndex }) => {
        const stack = stacks[datasetIndex];
        return stack ? `${stack.label}  ${formatCount(stack.pick(w))}` : '';
      },
      total: (w) => `Posts  ${formatCount(w.posts)}`,
    });
  },

  table: ({ answer, stacks }) => windowTable(
    answer,
    ['Posts', ...stacks.map(({ label }) => label)],
    (w) => [formatCount(w.posts), ...stacks.map(({ pick }) => formatCount(pick(w)))],
  ),

  summary({ answer, by }) {
    const seen = begun(answer.windows);
    if (seen.length === 0) return 'Posts per window: no windows in this range.';
    const peak = seen.reduce((a, b) => (b.posts > a.posts ? b : a));
    const gaps = gapSpans(answer.windows).filter((span) => span.kind !== 'sampled').length;
    const sampled = seen.filter((w) => w.share < 1);
    const least = Math.min(...sampled.map((w) => w.share));
    return `Posts per window by ${by}, ${spanText(seen)}: `
      + `${plural(answer.total.posts, 'post')}, most (${formatCount(peak.posts)}) in ${formatSpan(peak.start, peak.end)}`
      + `${gaps ? `, ${plural(gaps, 'gap')}` : ''}`
      + `${sampled.length ? `, ${plural(sampled.length, 'window')} sampled, at ${formatShare(least, 1)} at the lowest` : ''}. The numbers are in the table below.`;
  },
};

export default posts;
