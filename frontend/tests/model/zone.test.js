// @ts-check
// Tests of time zones on the days on which clocks change.
import { describe, expect, it } from 'vitest';
import { fieldMoment, fieldValue, offsetText, zoneById, zoneIds } from '../../src/model/zone.js';

const zone = (/** @type {string} */ id) => {
  const found = zoneById(id);
  if (!found) throw new Error(`there is no zone ${id}`);
  return found;
};
const at = (/** @type {string} */ text) => Date.parse(text);
const iso = (/** @type {number | null} */ ms) => (ms === null ? null : new Date(ms).toISOString());
const HOUR = 3_600_000;

it('knows the zones of the platform and refuses others', () => {
  expect(zoneIds()).toEqual(expect.arrayContaining(['UTC', 'America/Toronto', 'Australia/Lord_Howe']));
  expect(zoneById('Atlantis/Capital')).toBeNull();
  expect(zoneById('')).toBeNull();
});

it('writes differences to UTC', () => {
  expect([0, -4 * HOUR, 5.75 * HOUR, 10.5 * HOUR].map(offsetText)).toEqual(['UTC', 'UTC−4', 'UTC+5:45', 'UTC+10:30']);
});

describe('Toronto, 1 November 2026: the hour from 01:00 occurs twice', () => {
  const toronto = zone('America/Toronto');
  it('distinguishes the two hours', () => {
    const [first, second] = [at('2026-11-01T05:30:00Z'), at('2026-11-01T06:30:00Z')];
    expect([first, second].map((ms) => fieldValue(toronto, ms))).toEqual(['2026-11-01T01:30', '2026-11-01T01:30']);
    expect([first, second].map(toronto.isRepeated)).toEqual([true, true]);
    expect([first, second].map(toronto.offsetText)).toEqual(['UTC−4', 'UTC−5']);
    expect(['2026-11-01T04:59:00Z', '2026-11-01T07:00:00Z'].map(at).map(toronto.isRepeated)).toEqual([false, false]);
  });
  it('reads a field as the first of both for a start, and as the last for an end', () => {
    expect(iso(fieldMoment(toronto, '2026-11-01T01:30'))).toBe('2026-11-01T05:30:00.000Z');
    expect(iso(fieldMoment(toronto, '2026-11-01T01:30', { isEnd: true }))).toBe('2026-11-01T06:30:00.000Z');
  });
  it('has a day of 25 hours', () => {
    const start = toronto.startOfDay(at('2026-11-01T12:00:00Z'));
    expect(iso(start)).toBe('2026-11-01T04:00:00.000Z');
    expect(toronto.startOfDay(start, 1) - start).toBe(25 * HOUR);
    expect([start, start + HOUR].map(toronto.isDayStart)).toEqual([true, false]);
  });
});

describe('Toronto, 8 March 2026: the hour from 02:00 does not occur', () => {
  const toronto = zone('America/Toronto');
  it('has no moment for it, and reads a field as an hour later', () => {
    expect(toronto.momentsOf({ year: 2026, month: 3, day: 8, hour: 2, minute: 30 })).toEqual([]);
    expect(iso(fieldMoment(toronto, '2026-03-08T02:30'))).toBe('2026-03-08T07:30:00.000Z');
    expect(fieldValue(toronto, at('2026-03-08T07:30:00Z'))).toBe('2026-03-08T03:30');
  });
  it('has a day of 23 hours', () => {
    const start = toronto.startOfDay(at('2026-03-08T12:00:00Z'));
    expect(toronto.startOfDay(start, 1) - start).toBe(23 * HOUR);
  });
});

it('Lord Howe: clocks change by half an hour', () => {
  const howe = zone('Australia/Lord_Howe');
  // 5 April 2026, 02:00 becomes 01:30; 4 October 2026, 02:00 becomes 02:30.
  const moments = howe.momentsOf({ year: 2026, month: 4, day: 5, hour: 1, minute: 45 });
  expect(moments.map(iso)).toEqual(['2026-04-04T14:45:00.000Z', '2026-04-04T15:15:00.000Z']);
  expect(moments.map(howe.offsetText)).toEqual(['UTC+11', 'UTC+10:30']);
  expect(howe.isRepeated(at('2026-04-04T14:15:00Z'))).toBe(false);
  expect(howe.momentsOf({ year: 2026, month: 10, day: 4, hour: 2, minute: 15 })).toEqual([]);
  expect(howe.startOfDay(at('2026-10-03T20:00:00Z'), 1) - howe.startOfDay(at('2026-10-03T20:00:00Z'))).toBe(23.5 * HOUR);
});

it('Kathmandu: 5 h 45 min ahead, the whole year', () => {
  const kathmandu = zone('Asia/Kathmandu');
  expect(iso(kathmandu.startOfDay(at('2026-11-27T12:00:00Z')))).toBe('2026-11-26T18:15:00.000Z');
  expect(fieldValue(kathmandu, at('2026-11-27T12:00:00Z'))).toBe('2026-11-27T17:45');
  expect(kathmandu.isRepeated(at('2026-11-01T05:30:00Z'))).toBe(false);
});

it('starts a day that has no midnight at its first moment, and one with two at the first', () => {
  // Santiago, 6 September 2026: 00:00 becomes 01:00. Havana, 1 November 2026: 01:00 becomes 00:00.
  expect(iso(zone('America/Santiago').startOfDay(at('2026-09-06T12:00:00Z')))).toBe('2026-09-06T04:00:00.000Z');
  expect(iso(zone('America/Havana').startOfDay(at('2026-11-01T12:00:00Z')))).toBe('2026-11-01T04:00:00.000Z');
});

it('refuses fields that name no time', () => {
  for (const value of ['', '2026-11-31', '2026-13-01T00:00', '2026-01-01T24:00', 'yesterday']) expect(fieldMoment(zone('UTC'), value), value).toBeNull();
  expect(iso(fieldMoment(zone('UTC'), '2026-11-27'))).toBe('2026-11-27T00:00:00.000Z');
});

it('goes from every quarter of an hour to its field and back, in a year of Toronto', () => {
  const toronto = zone('America/Toronto');
  const wrong = [];
  for (let ms = at('2026-01-01T00:00:00Z'); ms < at('2027-01-01T00:00:00Z'); ms += 900_000) {
    if (!toronto.momentsOf(toronto.localAt(ms)).includes(ms)) wrong.push(iso(ms));
  }
  expect(wrong).toEqual([]);
});
