// @ts-check
// Tests of absolute ranges.
import { afterEach, describe, expect, it } from 'vitest';
import { timeTicks } from '../../src/chart-kit/time-ticks.js';
import { formatClock, formatDayClock, formatSpan, setZone } from '../../src/format.js';
import { absoluteRange, brushedRange, rangeParams, shiftRange } from '../../src/model/range.js';
import { windowQuery } from '../../src/model/query.js';
import { isoIn, zoneById } from '../../src/model/zone.js';
import { rangeOf } from '../../src/url-state.js';

const at = (/** @type {string} */ text) => Date.parse(text);
const zone = (/** @type {string} */ id) => /** @type {import('../../src/model/zone.js').Zone} */ (zoneById(id));
const NOW = at('2026-11-27T06:00:30Z');
afterEach(() => void setZone('UTC'));

describe('the range of the address', () => {
  it('is read, and written in whole minutes', () => {
    const ends = absoluteRange({ from: '2026-11-01T04:00:00Z', to: '2026-11-02T05:00:00Z' });
    expect(ends).toEqual({ from: at('2026-11-01T04:00:00Z'), to: at('2026-11-02T05:00:00Z') });
    expect(rangeParams({ from: at('2026-11-01T04:00:59Z'), to: at('2026-11-02T05:00:00Z') })).toEqual({ from: '2026-11-01T04:00:00Z', to: '2026-11-02T05:00:00Z' });
  });
  it.each([
    [{ from: '2026-11-02T00:00:00Z', to: '2026-11-01T00:00:00Z' }], [{ from: '2026-11-02T00:00:00Z' }], [{ from: 'x', to: 'y' }],
    [{ from: '2026-11-02T00:00:00Z', to: '2026-11-02T00:00:59Z' }], [{ from: '1970-01-01T00:00:00Z', to: '2026-11-02T00:00:00Z' }],
  ])('%j does not exist, and the named range is shown', (choices) => {
    expect(absoluteRange(choices)).toBeNull();
    expect(rangeOf({ range: '7d', choices: /** @type {Record<string, string>} */ (choices) }).id).toBe('7d');
  });
});

describe.each([60, 300, 600, 1800, 3600])('windows of %i s', (windowSecs) => {
  it('an absolute range asks for the whole windows that it lies in', () => {
    const range = rangeOf({ range: '24h', choices: { from: '2026-11-20T08:12:00Z', to: '2026-11-20T08:19:00Z' } });
    const { query, endsInPast } = windowQuery({ region: 'a', range, windowSecs, nowMs: NOW, newestMs: at('2026-11-01T00:00:00Z') });
    expect(endsInPast).toBe(false);
    const [from, to] = [at(query.from), at(query.to)];
    expect([from, to].map((ms) => ms % (windowSecs * 1000))).toEqual([0, 0]);
    expect(from <= /** @type {number} */ (range.from) && to >= /** @type {number} */ (range.to)).toBe(true);
    expect(to - from).toBeLessThan(7 * 60_000 + 2 * windowSecs * 1000);
  });
  it('a brush of more than a window becomes whole windows, a shorter one whole minutes', () => {
    const windowMs = windowSecs * 1000;
    const start = at('2026-11-20T08:00:00Z');
    expect(brushedRange({ from: start + 0.1 * windowMs, to: start + 2.2 * windowMs }, windowMs)).toEqual({ from: start, to: start + 2 * windowMs });
    if (windowSecs > 60) expect(brushedRange({ from: start + 1_000, to: start + 61_000 }, windowMs)).toEqual({ from: start, to: start + 60_000 });
    expect(brushedRange({ from: start, to: start + 5_000 }, windowMs)).toBeNull();
  });
});

describe('the range before and after', () => {
  const toronto = zone('America/Toronto');
  it('has the same length, and ends at most now', () => {
    const ends = { from: at('2026-11-27T04:10:00Z'), to: at('2026-11-27T05:10:00Z') };
    expect(shiftRange(ends, -1, NOW, toronto)).toEqual({ from: at('2026-11-27T03:10:00Z'), to: at('2026-11-27T04:10:00Z') });
    expect(shiftRange(ends, 1, NOW, toronto)).toEqual({ from: at('2026-11-27T05:01:00Z'), to: at('2026-11-27T06:01:00Z') });
  });
  it('is a day of 25 hours before one of 24, where both ends are midnights', () => {
    const ends = { from: at('2026-11-02T05:00:00Z'), to: at('2026-11-03T05:00:00Z') };
    const before = shiftRange(ends, -1, NOW, toronto);
    expect(before).toEqual({ from: at('2026-11-01T04:00:00Z'), to: at('2026-11-02T05:00:00Z') });
    expect(shiftRange(before, 1, NOW, toronto)).toEqual(ends);
  });
});

describe('texts in a zone', () => {
  it('name an hour that occurs twice with its difference to UTC', () => {
    expect(setZone('America/Toronto')).toBe(true);
    expect(setZone('America/Toronto')).toBe(false);
    expect([at('2026-11-01T05:30:00Z'), at('2026-11-01T06:30:00Z'), at('2026-11-01T07:30:00Z')].map(formatClock)).toEqual(['01:30 UTC−4', '01:30 UTC−5', '02:30']);
    expect(formatSpan(at('2026-11-01T05:55:00Z'), at('2026-11-01T06:00:00Z'))).toBe('Sun 1 Nov, 01:55 UTC−4–01:00 UTC−5');
    expect(formatSpan(at('2026-11-01T04:00:00Z'), at('2026-11-02T05:00:00Z'))).toBe('Sun 1 Nov');
  });
  it('follow Kathmandu and fall back to the local zone', () => {
    setZone('Asia/Kathmandu');
    expect(formatDayClock(at('2026-11-27T18:20:00Z'))).toBe('Sat 28 Nov, 00:05');
    setZone('Atlantis/Capital');
    expect(formatClock(at('2026-11-27T18:20:00Z'))).toBe('18:20');
  });
  it('are unambiguous in files', () => {
    const times = [['America/Toronto', '2026-11-01T06:30:00Z'], ['Asia/Kathmandu', '2026-11-27T18:20:00Z'], ['UTC', '2026-11-27T18:20:00Z']];
    expect(times.map(([id = '', ms = '']) => isoIn(zone(id), at(ms)))).toEqual(['2026-11-01T01:30:00-05:00', '2026-11-28T00:05:00+05:45', '2026-11-27T18:20:00.000Z']);
  });
});

describe('ticks in a zone', () => {
  const clocks = (/** @type {string} */ id, /** @type {string} */ from, /** @type {string} */ to, /** @type {number} */ max) => {
    setZone(id);
    return timeTicks(at(from), at(to), max, zone(id)).map(({ value }) => formatClock(value));
  };
  it('stay at round hours after the clock is put back or forward', () => {
    expect(clocks('America/Toronto', '2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z', 10)).toEqual(['00:00', '03:00', '06:00', '09:00', '12:00', '15:00', '18:00', '21:00', '00:00']);
    expect(clocks('America/Toronto', '2026-03-08T05:00:00Z', '2026-03-08T10:00:00Z', 6)).toEqual(['00:00', '01:00', '03:00', '04:00', '05:00', '06:00']);
  });
  it('are two in an hour that occurs twice', () => {
    expect(clocks('America/Toronto', '2026-11-01T04:00:00Z', '2026-11-01T08:00:00Z', 6)).toEqual(['00:00', '01:00 UTC−4', '01:00 UTC−5', '02:00', '03:00']);
  });
  it('are at the hours of Lord Howe and Kathmandu, which lie between those of UTC', () => {
    expect(clocks('Australia/Lord_Howe', '2026-10-03T14:00:00Z', '2026-10-03T19:00:00Z', 6)).toEqual(['01:00', '03:00', '04:00', '05:00', '06:00']);
    expect(clocks('Asia/Kathmandu', '2026-11-27T00:00:00Z', '2026-11-27T06:00:00Z', 4)).toEqual(['06:00', '08:00', '10:00']);
  });
});
