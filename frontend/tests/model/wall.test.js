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
  const text = { away: (/** @type {string} */ t) => `away ${t}`, stale: (/** @type {string} */ t) => `stale ${t}`, noPosts: 'none', unjudged: 'unjudged', complete: 'complete', gaps: (/** @type {string} */ t) => `gaps ${t}` };
  const known = { isAway: false, updated: '10:00', newest: '09:59', newestMs: 10_000_000, windowSecs: 300, nowMs: 10_060_000, group: /** @type {const} */ ('usual'), coverage: { kind: 'complete', text: 'complete' } };

  it('says that all is there', () => {
    expect(trustOf(known, text)).toEqual({ tone: 'good', text: 'complete' });
  });

  it('says the worst first', () => {
    const bad = { ...known, nowMs: known.newestMs + 1_000_000, coverage: { kind: 'silent', text: 'no data' } };
    expect(trustOf({ ...bad, isAway: true }, text)).toEqual({ tone: 'bad', text: 'away 10:00' });
    expect(trustOf(bad, text)).toEqual({ tone: 'bad', text: 'stale 09:59' });
    expect(trustOf({ ...bad, newestMs: null }, text).text).toBe('none');
    expect(trustOf({ ...bad, nowMs: known.nowMs }, text)).toEqual({ tone: 'warn', text: 'gaps no data' });
    expect(trustOf({ ...known, group: 'unjudged' }, text).text).toBe('unjudged');
  });

  it('waits longer for long windows', () => {
    expect(trustOf({ ...known, windowSecs: 3600, nowMs: known.newestMs + 1_000_000 }, text).tone).toBe('good');
  });
});
