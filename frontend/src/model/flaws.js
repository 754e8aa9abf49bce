// @ts-check
// What is special about a window, in words: why its counts are too low, and whether it is finished.

import { formatDuration, formatShare, formatSpan } from '../format.js';
import { t } from '../i18n.js';
import { isKnown } from './answer.js';
import { revisionText } from './revision.js';

/** @typedef {import('./answer.js').Window} Window */

/** Spans that a sentence names. */
const MOST_SPANS = 3;

/**
 * Why the counts of a window are too low. Sampling is known before the window has ended, too.
 * @param {Window} w
 * @returns {string[]}
 */
function reasons(w) {
  const partial = w.gap === 'partial';
  /** @type {[boolean, string][]} */
  const all = [
    [partial && w.flaws.includes('unwatched'), t('flaw.unwatched')],
    [partial && w.flaws.includes('behind'), t('flaw.behind')],
    [partial && w.missedSecs > 0, t('flaw.missed', { time: formatDuration(w.missedSecs) })],
    [partial && w.dropped > 0, t('flaw.dropped', { n: w.dropped })],
    [partial && w.withheld > 0, t('flaw.withheld', { n: w.withheld })],
    [partial && w.quarantined > 0, t('flaw.quarantined', { n: w.quarantined })],
    [partial && w.flaws.includes('corrupt'), w.corrupt > 0 ? t('flaw.damagedPosts', { n: w.corrupt }) : t('flaw.damaged')],
    [!w.future && w.share < 1, t('flaw.requested', { share: formatShare(w.share, 1) })],
  ];
  return all.filter(([applies]) => applies).map(([, text]) => text);
}

/**
 * The state of a window, as a cell of a table.
 * @param {Window} w
 */
export function stateText(w) {
  const state = w.gap ? t(`flaw.${w.gap}`) : w.unfinished ? t('flaw.unfinished') : t(`flaw.${w.lifecycle}`);
  return [state, revisionText(w.report.revision), ...reasons(w)].filter(Boolean).join(t('list.semicolon'));
}

/**
 * The same as lines of a tooltip; none when nothing is special.
 * @param {Window} w
 */
export function windowRemarks(w) {
  const remarks = [];
  if (w.gap === 'silent') remarks.push(t('flaw.nothingArrived'));
  if (w.gap === 'partial') remarks.push(t('flaw.incomplete'));
  remarks.push(...reasons(w).map((why) => why.charAt(0).toUpperCase() + why.slice(1)));
  if (w.unfinished) remarks.push(t('flaw.stillCounting'));
  const revision = revisionText(w.report.revision);
  if (revision || w.lifecycle === 'revised') remarks.push([t('flaw.wasRevised'), revision].filter(Boolean).join(t('list.colon')));
  return remarks;
}

/**
 * Spans of time in which data is missing; neighbours with the same kind of gap are joined.
 * @param {Window[]} windows
 */
export function gapSpans(windows) {
  /** @type {{ kind: import('./answer.js').Gap, start: number, end: number }[]} */
  const spans = [];
  for (const { gap, start, end } of windows) {
    const last = spans.at(-1);
    if (gap === null) continue;
    if (last && last.kind === gap && last.end === start) last.end = end;
    else spans.push({ kind: gap, start, end });
  }
  return spans;
}

/**
 * How numbers are marked when some of their windows were sampled; null when none was.
 * @param {Window[]} windows
 */
export function sampleMark(windows) {
  const seen = windows.filter(isKnown);
  const shares = seen.map((w) => w.share).filter((share) => share < 1);
  if (shares.length === 0) return null;
  const share = formatShare(Math.min(...shares), 1);
  return shares.length < seen.length ? t('flaw.partlySampleOf', { share }) : t('flaw.sampleOf', { share });
}

/**
 * What is incomplete in a range, as sentences for below a picture; none when nothing is.
 * @param {Window[]} windows
 */
export function rangeMarks(windows) {
  const ended = windows.filter((w) => !w.future);
  const gaps = gapSpans(ended);
  /** @param {import('./answer.js').Gap} kind */
  const of = (kind) => gaps.filter((span) => span.kind === kind);
  /** The first spans, and how many more there are. @param {{ start: number, end: number }[]} some */
  const named = (some) => {
    const spans = some.slice(0, MOST_SPANS).map(({ start, end }) => formatSpan(start, end)).join(t('list.semicolon'));
    return some.length > MOST_SPANS ? t('flaw.moreSpans', { spans, n: some.length - MOST_SPANS }) : spans;
  };
  const [silent, partial] = [of('silent'), of('partial')];
  const shares = ended.filter(isKnown).map((w) => w.share).filter((share) => share < 1);
  return [
    silent.length > 0 && t('flaw.silentSpans', { spans: named(silent) }),
    partial.length > 0 && t('flaw.partialSpans', { spans: named(partial) }),
    shares.length > 0 && t('sentence.sample', { share: formatShare(Math.min(...shares), 1) }),
    ended.some((w) => w.unfinished) && t('flaw.lastUnfinished'),
  ].filter((one) => one !== false);
}
