// @ts-check
import { describe, expect, it } from 'vitest';
import { pinsOf, slideAt, slidesOf, trustOf } from '../../src/model/wall.js';

const region = (/** @type {string} */ id, /** @type {any} */ group = 'usual') => /** @type {any} */ ({ id, group });
const regions = [region('a', 'unusual'), region('b', 'unusual'), region('c'), region('d'), region('e', 'unjudged')];
const turns = (/** @type {any[]} */ some, /** @type {string[]} */ pins, /** @type {number} */ n) => Array.from({ length: n }, (_, i) => slideAt(some, pins, i)?.id).join('');

describe('the region of a turn', () => {
  it('is an unusual one first, with one of the others after each round', () => {
    expect(turns(regions, [], 9)).toBe('abcabdabe');
  });

  it('is any of them when none is unusual, and when all are', () => {
    expect(turns(regions.slice(2), [], 4)).toBe('cdec');
    expect(turns(regions.slice(0, 2), [], 3)).toBe('aba');
    expect(slideAt([], [], 3)).toBeNull();
  });

  it('is one of those that are pinned, in their order', () => {
    expect(turns(regions, pinsOf('d,a'), 4)).toBe('dada');
    expect(slidesOf(regions, ['d', 'gone'])).toBe(1);
    expect(turns(regions, ['gone'], 3)).toBe('abc');
  });

  it('is one of all without pins', () => {
    expect([pinsOf('all'), pinsOf(''), pinsOf(undefined), pinsOf('a, a')]).toEqual([[], [], [], ['a']]);
  });
});

describe('whether numbers can be trusted', () => {
  const known = { isAway: false, updated: '10:00', newest: '09:59', newestMs: 10_000_000, windowSecs: 300, nowMs: 10_060_000, group: /** @type {const} */ ('usual'), coverage: { kind: 'complete', text: 'complete' } };

  it('says that all is there', () => {
    expect(trustOf(known)).toEqual({ tone: 'good', text: 'The last 24 hours are complete.' });
  });

  it('says the worst first', () => {
    const bad = { ...known, nowMs: known.newestMs + 1_000_000, coverage: { kind: 'silent', text: 'no data' } };
    expect(trustOf({ ...bad, isAway: true })).toEqual({ tone: 'bad', text: 'The server cannot be reached. These numbers are from 10:00.' });
    expect(trustOf(bad)).toEqual({ tone: 'bad', text: 'No new posts since 09:59.' });
    expect(trustOf({ ...bad, newestMs: null }).text).toBe('No posts yet.');
    expect(trustOf({ ...bad, nowMs: known.nowMs })).toEqual({ tone: 'warn', text: 'The last 24 hours: no data.' });
    expect(trustOf({ ...known, group: 'unjudged' }).text).toBe('No usual range yet: it needs two complete days.');
  });

  it('waits longer for long windows', () => {
    expect(trustOf({ ...known, windowSecs: 3600, nowMs: known.newestMs + 1_000_000 }).tone).toBe('good');
  });
});
