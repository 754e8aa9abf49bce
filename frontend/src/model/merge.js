// @ts-check
// Keeps an answer of /api/windows up to date with later answers that list changed steps only.

import { count, list, parseTime } from './values.js';

/** @typedef {import('./contract').Loose<import('./contract').WindowsAnswer>} LooseAnswer */

/** @param {LooseAnswer} answer */
const rangeOf = ({ from, to }) => ({ from: parseTime(from) ?? NaN, to: parseTime(to) ?? NaN });

/**
 * Whether an answer for `query` can be made from `held` and what changed since: the range has moved on, but not past
 * its end.
 * @param {LooseAnswer} held
 * @param {{ from: string }} query
 */
export function canFollow(held, query) {
  const { from, to } = rangeOf(held);
  const next = parseTime(query.from) ?? NaN;
  return typeof held.as_of === 'string' && count(held.step_secs) > 0 && next >= from && next < to;
}

/**
 * The whole answer, from the one that is held and one with the steps that changed since. Steps before the new range are
 * left out. Null when the two do not fit together: the whole has to be asked for again.
 * @param {LooseAnswer} held
 * @param {LooseAnswer} changes
 * @returns {LooseAnswer | null}
 */
export function mergeChanges(held, changes) {
  const { from, to } = rangeOf(changes);
  const isSame = held.region === changes.region && held.step_secs === changes.step_secs && held.window_secs === changes.window_secs;
  if (!isSame || !(from >= rangeOf(held).from && from < rangeOf(held).to)) return null;
  /** @type {Map<number, import('./contract').Loose<import('./contract').Report>>} */
  const steps = new Map();
  for (const step of [...list(held.windows), ...list(changes.windows)]) {
    const start = parseTime(step.window_start);
    if (start !== null && start >= from && start < to) steps.set(start, step);
  }
  const starts = [...steps.keys()].sort((a, b) => a - b);
  const stepMs = count(held.step_secs) * 1000;
  if (starts.some((start, i) => i > 0 && start - (starts[i - 1] ?? 0) !== stepMs)) return null;
  return { ...changes, windows: starts.flatMap((start) => steps.get(start) ?? []) };
}

/**
 * Whether a step has ended but was not final yet: it becomes final with time alone, without any new post.
 * @param {LooseAnswer} held
 * @param {number} nowMs
 */
export const isSettling = (held, nowMs) => list(held.windows).some(
  ({ lifecycle, window_end }) => lifecycle === 'provisional' && (parseTime(window_end) ?? Infinity) <= nowMs,
);
