// Tests of what the address bar holds.
import { expect, it } from 'vitest';
import { DEFAULT_RANGE, RANGES, rangeById, readUrl, writeUrl } from '../src/url-state.js';

it('reads region and range', () => {
  expect(readUrl('?region=harbour&range=7d')).toEqual({ region: 'harbour', range: '7d' });
});

it('falls back to the first region and the default range', () => {
  expect(readUrl('')).toEqual({ region: null, range: DEFAULT_RANGE });
  expect(readUrl('?range=99y')).toEqual({ region: null, range: DEFAULT_RANGE });
});

it('writes back what it reads and keeps other parameters', () => {
  const query = writeUrl('?debug=1', { region: 'a&b', range: '1h' });
  expect(readUrl(query)).toEqual({ region: 'a&b', range: '1h' });
  expect(query).toContain('debug=1');
});

it('divides every range into a whole number of steps that a chart can show', () => {
  for (const range of RANGES) {
    expect(range.secs % range.stepSecs).toBe(0);
    expect(range.secs / range.stepSecs).toBeLessThanOrEqual(200);
    expect(rangeById(range.id)).toBe(range);
  }
});
