// @ts-check
// Tests of keeping an answer up to date with the steps that changed.
import { describe, expect, it } from 'vitest';
import { canFollow, isSettling, mergeChanges } from '../../src/model/merge.js';
import { MINUTE, NOW, START, iso, report, windowAt } from '../reports.js';

const at = (/** @type {number} */ index) => iso(START + index * 5 * MINUTE);
/**
 * An answer for the windows `from..to`, which lists some of them.
 * @param {number} from
 * @param {number} to
 * @param {ReturnType<typeof windowAt>[]} windows
 * @param {object} [changes]
 */
const answerAt = (from, to, windows, changes = {}) => ({
  region: 'r', name: 'R', from: at(from), to: at(to), window_secs: 300, step_secs: 300, as_of: iso(NOW), total: report({ posts: 1 }), windows, ...changes,
});
const held = answerAt(0, 4, [0, 1, 2, 3].map((index) => windowAt(index)));
const numbers = (/** @type {ReturnType<typeof mergeChanges>} */ merged) => merged?.windows?.map((one) => [one?.window_start, one?.posts]) ?? null;

describe('mergeChanges', () => {
  it('replaces the steps that changed, and takes the rest of the answer from the later one', () => {
    const merged = mergeChanges(held, answerAt(0, 4, [windowAt(3, { posts: 11 })], { total: report({ posts: 41 }), as_of: at(4) }));
    expect(numbers(merged)).toEqual([[at(0), 10], [at(1), 10], [at(2), 10], [at(3), 11]]);
    expect(merged).toMatchObject({ total: { posts: 41 }, as_of: at(4) });
  });

  it('moves on with the range', () => {
    const moved = answerAt(2, 6, [windowAt(3, { posts: 12 }), windowAt(4), windowAt(5, { posts: 1 })]);
    expect(numbers(mergeChanges(held, moved))).toEqual([[at(2), 10], [at(3), 12], [at(4), 10], [at(5), 1]]);
    expect(numbers(mergeChanges(held, answerAt(1, 5, [])))).toEqual([[at(1), 10], [at(2), 10], [at(3), 10]]);
  });

  it('refuses what would have a hole', () => {
    expect(mergeChanges(held, answerAt(1, 6, [windowAt(5)]))).toBeNull();
    expect(mergeChanges(held, answerAt(4, 8, [windowAt(4)]))).toBeNull();
    expect(mergeChanges(answerAt(1, 5, [windowAt(1)]), answerAt(0, 4, []))).toBeNull();
  });

  it('refuses an answer of another region or step', () => {
    for (const other of [{ region: 'other' }, { step_secs: 900 }, { window_secs: 60 }, { from: 'soon' }]) expect(mergeChanges(held, answerAt(0, 4, [], other))).toBeNull();
  });
});

it('can follow an answer while the ranges overlap', () => {
  expect(canFollow(held, { from: at(0) })).toBe(true);
  expect(canFollow(held, { from: at(3) })).toBe(true);
  expect(canFollow(held, { from: at(4) })).toBe(false);
  expect(canFollow(held, { from: at(-1) })).toBe(false);
  expect(canFollow({ ...held, as_of: undefined }, { from: at(0) })).toBe(false);
});

it('knows which answers become final by themselves', () => {
  const open = answerAt(0, 2, [windowAt(0), windowAt(1, { lifecycle: 'provisional' })]);
  expect(isSettling(open, START + 9 * MINUTE)).toBe(false);
  expect(isSettling(open, START + 10 * MINUTE)).toBe(true);
  expect(isSettling(held, NOW)).toBe(false);
});
