// @ts-check
// What is special about a window, in words: why its counts are too low, and whether it is finished.

import { formatDuration, formatShare, formatSpan, plural } from '../format.js';
import { isKnown } from './answer.js';

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
  const damage = `log or store damaged${w.corrupt > 0 ? `, ${plural(w.corrupt, 'post')} missing` : ''}; a reprocess may restore them`;
  /** @type {[boolean, string][]} */
  const all = [
    [partial && w.flaws.includes('unwatched'), 'no source was running for part of the time'],
    [partial && w.missedSecs > 0, `a source was disconnected for ${formatDuration(w.missedSecs)}`],
    [partial && w.dropped > 0, `${plural(w.dropped, 'post')} dropped: log unavailable, spool full`],
    [partial && w.withheld > 0, `${plural(w.withheld, 'post')} withheld by the source`],
    [partial && w.quarantined > 0, `${plural(w.quarantined, 'line')} could not be read`],
    [partial && w.flaws.includes('corrupt'), damage],
    [!w.future && w.share < 1, `only ${formatShare(w.share, 1)} of a source's posts were requested`],
  ];
  return all.filter(([applies]) => applies).map(([, text]) => text);
}

const STATES = { silent: 'no data', partial: 'incomplete', sampled: 'sampled' };

/**
 * The state of a window, as a cell of a table.
 * @param {Window} w
 */
export function stateText(w) {
  const state = w.gap ? STATES[w.gap] : w.unfinished ? 'unfinished' : w.lifecycle;
  return [state, ...reasons(w)].join('; ');
}

/**
 * The same as lines of a tooltip; none when nothing is special.
 * @param {Window} w
 */
export function windowRemarks(w) {
  const remarks = [];
  if (w.gap === 'silent') remarks.push('No data arrived in this time');
  if (w.gap === 'partial') remarks.push('Incomplete');
  remarks.push(...reasons(w).map((why) => why.charAt(0).toUpperCase() + why.slice(1)));
  if (w.unfinished) remarks.push('Unfinished: still counting');
  if (w.lifecycle === 'revised') remarks.push('Revised by late posts');
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
  const part = shares.length < seen.length ? 'partly a ' : '';
  return `${part}sample of ${formatShare(Math.min(...shares), 1)}`;
}

/**
 * What is incomplete in a range, as sentences for below a picture; none when nothing is.
 * @param {Window[]} windows
 */
export function rangeMarks(windows) {
  const ended = windows.filter((w) => !w.future);
  const spans = gapSpans(ended);
  /** @param {import('./answer.js').Gap} kind */
  const of = (kind) => spans.filter((span) => span.kind === kind);
  /** @param {string} word @param {{ start: number, end: number }[]} some */
  const named = (word, some) => (some.length === 0 ? '' : `${word}: ${some.slice(0, MOST_SPANS).map(({ start, end }) => formatSpan(start, end)).join('; ')}${some.length > MOST_SPANS ? `, and ${some.length - MOST_SPANS} more` : ''}.`);
  const sample = sampleMark(ended);
  return [
    named('No data', of('silent')), named('Incomplete', of('partial')), sample ? `≈ ${sample.replace('sample of ', '')} sample.` : '',
    ended.some((w) => w.unfinished) ? 'The last step is unfinished.' : '',
  ].filter(Boolean);
}
