// @ts-check
// What is special about a window, in words: why its counts are too low, and whether it is finished.

import { formatDuration, formatShare, plural } from '../format.js';
import { isKnown } from './answer.js';

/** @typedef {import('./answer.js').Window} Window */

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
