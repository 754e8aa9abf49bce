// @ts-check
// Rankings as horizontal bars: one bar per hashtag, language and so on.

import { formatCount, formatShare } from '../format.js';
import { t } from '../i18n.js';
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
export const moreText = ({ error }) => (error > 0 ? t('series.more', { value: error }) : '');

/**
 * The share of a bar in all posts, from its lower to its upper bound.
 * @param {Pick<Bar, 'value' | 'error'>} bar
 * @param {number} all
 */
export function shareText({ value, error }, all) {
  const [low, high] = [formatShare(value, all), formatShare(Math.min(all, value + error), all)];
  return low === high ? low : t('tile.between', { low, high });
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
    head: [what, ...(isBound ? [t('series.postsAtLeast'), t('series.atMostMore')] : [t('series.posts')]), ...(all ? [t('series.share')] : [])],
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
  if (bars.length === 0) return t('summary.barsNone', { title });
  const top = bars.slice(0, 3).map((bar) => `${bar.label} ${formatCount(bar.value)}${bar.error > 0 ? ` (${moreText(bar)})` : ''}`);
  return `${bars.length > 3 ? t('summary.barsMore', { title, bars: top.join(', ') }) : t('summary.bars', { title, bars: top.join(', ') })} ${t('series.below')}`;
}

/**
 * The descriptor of a chart of bars over the total of the range.
 * @param {Pick<import('./types').Chart<BarsView>, 'id' | 'size' | 'reads'> & {
 *   bars: (total: Total) => Bar[], isBound?: boolean, remark?: (total: Total) => string,
 * }} parts `isBound` says that counts are lower bounds. Its texts are `chart.ID.what`, which heads the column of labels, and `chart.ID.none`
 * @returns {import('./types').Chart<BarsView>}
 */
export function barChart({ bars, isBound = false, remark, ...chart }) {
  /** @param {string} name */
  const text = (name) => t(/** @type {import('../i18n.js').Key} */ (`chart.${chart.id}.${name}`));
  return {
    ...chart,
    height: 'rows',
    view: ({ total }) => ({ bars: bars(total), all: total.posts, note: remark?.(total) ?? '' }),
    empty: (view) => (view.bars.length === 0 ? text('none') : ''),
    note: (view) => view.note,
    ranking: ({ bars: shown, all }) => ({ bars: shown, all }),
    table: (view) => barsTable(view, text('what'), isBound),
    summary: (view) => barsSummary(text('title'), view.bars),
  };
}
