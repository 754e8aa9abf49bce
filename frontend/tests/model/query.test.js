// @ts-check
// Tests of the query for a range, and of the time that an answer covers.
import { describe, expect, it } from 'vitest';
import { coveredText, windowQuery } from '../../src/model/query.js';
import { parseTime } from '../../src/model/values.js';
import { RANGES, rangeById } from '../../src/url-state.js';
import { answer } from '../fake-api.js';
import { MINUTE, NOW, START } from '../reports.js';

describe('windowQuery', () => {
  const ask = (/** @type {Partial<Parameters<typeof windowQuery>[0]>} */ changes) => windowQuery({ region: 'r', range: rangeById('24h'), windowSecs: 300, nowMs: NOW, ...changes });

  it('ends with the open window, also exactly at its start, and starts the whole range before it', () => {
    expect(ask({ nowMs: START + MINUTE })).toEqual({
      query: { region: 'r', from: '2026-11-23T08:00:00Z', to: '2026-11-24T08:05:00Z', step: 'auto', network: '', version: null }, endsInPast: false,
    });
    expect(ask({ nowMs: START }).query.to).toBe('2026-11-24T08:05:00Z');
  });

  it('ends with the open step of an earlier answer', () => {
    expect(ask({ nowMs: START + MINUTE, stepSecs: 900 }).query).toMatchObject({ from: '2026-11-23T08:00:00Z', to: '2026-11-24T08:15:00Z', step: '900' });
  });

  it('is the same throughout a step, so that answers can be cached', () => {
    expect(ask({ nowMs: START + 1 })).toEqual(ask({ nowMs: START + 4 * MINUTE }));
    expect(ask({ nowMs: START + 1, stepSecs: 3600 })).toEqual(ask({ nowMs: START + 59 * MINUTE, stepSecs: 3600 }));
  });

  it('ends with the newest post when that is long ago, and then names the version', () => {
    const hour = ask({ range: rangeById('1h'), nowMs: START + 86_400_000, newestMs: START + MINUTE, version: '7' });
    expect(hour).toMatchObject({ query: { to: '2026-11-24T08:05:00Z', version: '7' }, endsInPast: true });
    expect(ask({ range: rangeById('7d'), nowMs: START + 86_400_000, newestMs: START, version: '7' })).toMatchObject({ query: { version: null }, endsInPast: false });
  });

  it('lists the chosen networks', () => {
    expect(ask({ networks: ['bluesky', 'x'] }).query.network).toBe('bluesky,x');
  });
});

describe('each range, with windows of any length', () => {
  const lengths = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60].map((minutes) => minutes * 60);

  it.each(lengths)('is answered with windows of %i s, and covered, by at most a step and a window more', (windowSecs) => {
    for (const range of RANGES) {
      for (const nowMs of [START, START + 16 * 3_600_000 + 61_000]) {
        const read = (/** @type {number | null} */ stepSecs) => {
          const { query } = windowQuery({ region: 'quiet', range, windowSecs, stepSecs, nowMs });
          const { region, from, to, step } = query;
          const url = new URL(`http://localhost/api/windows?${new URLSearchParams({ region, from, to, step, fields: 'posts', total_fields: 'none' })}`);
          const [status, body] = answer(url, { now: nowMs, windowSecs });
          expect([status, range.id], JSON.stringify(body)).toEqual([200, range.id]);
          return /** @type {import('../../src/model/contract').WindowsAnswer} */ (body);
        };
        const first = read(null);
        const covered = nowMs - Date.parse(first.from);
        expect(covered).toBeGreaterThanOrEqual(range.secs * 1000);
        expect(covered).toBeLessThan((range.secs + first.step_secs + windowSecs) * 1000);
        expect(Date.parse(first.to)).toBeGreaterThan(nowMs);
        // The range of the next query, with the step of this answer, is the same.
        expect(read(first.step_secs)).toMatchObject({ from: first.from, to: first.to, step_secs: first.step_secs });
      }
    }
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
