// @ts-check
// Rankings as horizontal bars: one bar per hashtag, language and so on.

import { formatCount, formatShare } from '../format.js';
import { count, list } from '../model/values.js';

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
 * @param {(entry: Entry) => Bar['focus']} [focus]
 * @returns {Bar[]}
 */
export function topBars(entries, label, focus) {
  return list(entries)
    .flatMap((entry) => {
      const text = label(entry);
      return text && count(entry.count) > 0 ? [{ label: text, value: count(entry.count), error: count(entry.error), ...(focus && { focus: focus(entry) }) }] : [];
    })
    .sort(byCount);
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
    ranking: ({ bars: shown, all }) => ({ bars: shown, all }),
    table: (view) => barsTable(view, what, isBound),
    summary: (view) => barsSummary(chart.title, view.bars),
  };
}
