// @ts-check
// Rankings as horizontal bars: one bar per hashtag, language and so on.

import { formatChange, formatCount, formatShare } from '../format.js';
import { t } from '../i18n.js';
import { readAnswer } from '../model/answer.js';
import { againstById } from '../model/change.js';
import { EARLIER_ROWS } from '../model/rows.js';
import { count, list } from '../model/values.js';

/**
 * @typedef {import('./types').Bar} Bar
 * @typedef {import('../model/answer.js').Total} Total
 * @typedef {{ bars: Bar[], all: number, note: string }} BarsView `all` is the number of posts that shares are of
 */

/** Beyond this, a change is said as a factor. */
const MOST_PERCENT = 300;

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
 * Bars with what they were at an earlier time. What its list lacks had at most the error then, or at most as many as the last entry
 * where the list was cut.
 * @param {Bar[]} bars
 * @param {Bar[]} earlier by count
 * @param {boolean} isBound
 * @returns {Bar[]}
 */
function compared(bars, earlier, isBound) {
  const boundsOf = (/** @type {Bar} */ bar) => ({ low: bar.value, high: bar.value + bar.error });
  const before = new Map(earlier.map((bar) => [bar.label.toLowerCase(), boundsOf(bar)]));
  const isCut = isBound && earlier.length >= EARLIER_ROWS;
  const lacking = { low: 0, high: (isCut ? earlier.at(-1)?.value ?? 0 : 0) + Math.max(0, ...earlier.map(({ error }) => error)) };
  return bars.map((bar) => ({ ...bar, before: before.get(bar.label.toLowerCase()) ?? lacking }));
}

/** @param {number} now @param {number} before */
function ratioText(now, before) {
  const percent = Math.round((100 * (now - before)) / before);
  if (percent === 0) return formatShare(0, 1);
  return percent > MOST_PERCENT ? t('factor.times', { factor: formatCount(Math.round(now / before)) }) : formatChange(percent);
}

/**
 * How a bar compares with before: `+12%`, or from one to the other where the counts are bounds. Empty when that is not known.
 * @param {Bar} bar
 */
export function barChange({ value, error, before }) {
  if (!before) return '';
  if (before.high === 0) return t('bars.new');
  if (before.low === 0) return '';
  const [low, high] = [ratioText(value, before.high), ratioText(value + error, before.low)];
  return low === high ? low : t('tile.between', { low, high });
}

/** `906`, or from one to the other where it is a bound. @param {{ low: number, high: number }} bounds */
const boundsText = ({ low, high }) => (low === high ? formatCount(low) : t('tile.between', { low, high }));

/**
 * The bars as a table; with two columns for the count where counts are bounds.
 * @param {BarsView} view
 * @param {string} what
 * @param {boolean} isBound
 * @returns {import('./types').Table}
 */
function barsTable({ bars, all }, what, isBound) {
  const isCompared = bars.some(({ before }) => before);
  return {
    head: [what, ...(isBound ? [t('series.postsAtLeast'), t('series.atMostMore')] : [t('series.posts')]), ...(all ? [t('series.share')] : []), ...(isCompared ? [t('series.before'), t('series.change')] : [])],
    rows: bars.map((bar) => [
      bar.label, formatCount(bar.value), ...(isBound ? [formatCount(bar.error)] : []), ...(all ? [shareText(bar, all)] : []),
      ...(isCompared ? [bar.before ? boundsText(bar.before) : '–', barChange(bar) || '–'] : []),
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
 * @param {Pick<import('./types').Chart<BarsView>, 'id' | 'size' | 'reads' | 'finds'> & {
 *   bars: (total: Total) => Bar[], isBound?: boolean, remark?: (total: Total) => string,
 * }} parts `isBound` says that counts are lower bounds. Its texts are `chart.ID.what`, which heads the column of labels, and `chart.ID.none`
 * @returns {import('./types').Chart<BarsView>}
 */
export function barChart({ bars, isBound = false, remark, ...chart }) {
  /** @param {string} name */
  const text = (name) => t(/** @type {import('../i18n.js').Key} */ (`chart.${chart.id}.${name}`));
  return {
    ...chart,
    isBound,
    height: 'rows',
    lead: ({ against } = {}) => t(`bars.lead.${againstById(against).key}`),
    view: ({ total }, { earlier } = /** @type {any} */ ({})) => {
      const completeness = earlier?.total?.completeness;
      const isKnown = earlier?.total && completeness?.frames !== 0;
      return {
        bars: isKnown ? compared(bars(total), bars(readAnswer(earlier, 0).total), isBound) : bars(total), all: total.posts,
        note: [remark?.(total), isKnown && completeness?.complete === false && t('bars.incomplete')].filter(Boolean).join(' '),
      };
    },
    empty: (view) => (view.bars.length === 0 ? text('none') : ''),
    note: (view) => view.note,
    ranking: ({ bars: shown, all }) => ({ bars: shown, all }),
    table: (view) => barsTable(view, text('what'), isBound),
    summary: (view) => barsSummary(text('title'), view.bars),
  };
}
