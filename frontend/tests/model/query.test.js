// @ts-check
// Tests of the query for a range, and of the time that an answer covers.
import { describe, expect, it } from 'vitest';
import { coveredText, windowQuery } from '../../src/model/query.js';
import { parseTime } from '../../src/model/values.js';
import { rangeById } from '../../src/url-state.js';
import { MINUTE, NOW, START } from '../reports.js';

describe('windowQuery', () => {
  const day = (/** @type {number} */ nowMs) => windowQuery({ region: 'r', range: rangeById('24h'), nowMs });

  it('ends with the open step, also exactly at its start, and starts the whole range before it', () => {
    expect(day(START + MINUTE)).toEqual({
      query: { region: 'r', from: '2026-11-23T08:00:00Z', to: '2026-11-24T08:15:00Z', step: '15m', network: '' }, endsInPast: false,
    });
    expect(day(START).query.to).toBe('2026-11-24T08:15:00Z');
  });

  it('covers at least the range that it is named for, and at most one open step more', () => {
    for (const id of ['1h', '6h', '24h', '7d']) {
      const range = rangeById(id);
      for (let nowMs = START; nowMs < START + 61 * MINUTE; nowMs += 17_001) {
        const covered = nowMs - (parseTime(windowQuery({ region: 'r', range, nowMs }).query.from) ?? 0);
        expect(covered).toBeGreaterThanOrEqual(range.secs * 1000);
        expect(covered).toBeLessThan((range.secs + range.stepSecs) * 1000);
      }
    }
  });

  it('is the same throughout a step, so that answers can be cached', () => {
    expect(day(START + 1)).toEqual(day(START + 4 * MINUTE));
  });

  it('ends with the newest post when that is long ago', () => {
    const hour = windowQuery({ region: 'r', range: rangeById('1h'), nowMs: START + 86_400_000, newestMs: START + MINUTE });
    expect(hour).toMatchObject({ query: { to: '2026-11-24T08:05:00Z' }, endsInPast: true });
    expect(windowQuery({ region: 'r', range: rangeById('7d'), nowMs: START + 86_400_000, newestMs: START }).endsInPast).toBe(false);
  });

  it('lists the chosen networks', () => {
    expect(windowQuery({ region: 'r', range: rangeById('1h'), networks: ['bluesky', 'x'], nowMs: NOW }).query.network).toBe('bluesky,x');
  });
});

it('names the time that an answer covers', () => {
  const at = (/** @type {number} */ ms) => [new Date(ms).getHours(), new Date(ms).getMinutes()].map((n) => String(n).padStart(2, '0')).join(':');
  const text = coveredText({ from: START, to: START + 65 * MINUTE }, START + 62 * MINUTE);
  expect(text).toContain(`${at(START)}–${at(START + 62 * MINUTE)}`);
  expect(coveredText({ from: START, to: START + 60 * MINUTE }, START + 9000 * MINUTE)).toContain(`${at(START)}–${at(START + 60 * MINUTE)}`);
  expect(coveredText({ from: null, to: null }, NOW)).toBe('');
});

it('reads times, or nothing', () => {
  expect(parseTime('2026-11-24T08:00:00Z')).toBe(START);
  expect(parseTime('soon')).toBeNull();
  expect(parseTime(null)).toBeNull();
});
