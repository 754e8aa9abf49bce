// @ts-check
// Tests of changes against an earlier time, of marks, of reasons and of the series of a hashtag.
import { describe, expect, it } from 'vitest';
import { boundsText, readSeries } from '../../src/charts/focus.js';
import { againstById, changeText, earlierRange, shareChangeText } from '../../src/model/change.js';
import { eventMarksOf } from '../../src/model/marks.js';
import { risingList } from '../../src/model/reasons.js';
import { COMPLETE, MINUTE, NOW, SILENT, START, iso } from '../reports.js';

const HOUR = 60 * MINUTE;

describe('changes', () => {
  const earlier = (/** @type {object} */ total) => /** @type {any} */ ({ from: iso(START), total: { completeness: COMPLETE, ...total } });
  const [before, day] = [againstById(undefined), againstById('day')];

  it('compare whole windows of the same length', () => {
    const range = { from: START, to: START + HOUR + 5 * MINUTE, windowMs: 5 * MINUTE };
    expect(earlierRange(range, before, START + HOUR + 2 * MINUTE, HOUR)).toEqual({ from: '2026-11-24T07:00:00Z', to: '2026-11-24T08:00:00Z' });
    expect(earlierRange(range, day, START + HOUR + 3 * MINUTE, HOUR)).toEqual({ from: '2026-11-23T08:00:00Z', to: '2026-11-23T09:05:00Z' });
    expect(earlierRange({ ...range, from: null }, day, START, HOUR)).toBeNull();
  });

  it('are in percent, in multiples when they are large, and say when the earlier number is too low', () => {
    expect(changeText(112, earlier({ posts: 100 }), 'posts', day)).toBe('+12% on the day before (100)');
    expect(changeText(88, earlier({ posts: 100 }), 'posts', before)).toBe('−12% on the time before (100)');
    expect(changeText(500, earlier({ posts: 100 }), 'posts', day)).toBe('5× the day before (100)');
    expect(changeText(5, earlier({ posts: 0 }), 'posts', day)).toBe('none on the day before');
    expect(changeText(112, earlier({ posts: 100, completeness: { complete: false, frames: 3 } }), 'posts', day)).toMatch(/; that was incomplete$/);
    expect(changeText(112, earlier({ posts: 0, completeness: { complete: false, frames: 0 } }), 'posts', day)).toBe('no data for the day before');
    expect(changeText(112, null, 'posts', day)).toBe('');
  });

  it('of shares are in points', () => {
    expect(shareChangeText([40, 100], earlier({ posts: 100, reposts: 30 }), day)).toBe('+10 points on the day before (30%)');
    expect(shareChangeText([40, 100], null, day)).toBe('');
    expect(shareChangeText([40, 100], earlier({ posts: 0, reposts: 0, completeness: SILENT }), day)).toBe('no data for the day before');
  });
});

describe('marks of events', () => {
  const rising = (/** @type {number} */ at, /** @type {string} */ name, /** @type {number} */ score) => /** @type {any} */ ({ kind: 'rising', subject: { type: 'hashtag', name }, start: iso(at), comparison: { score } });

  it('are one for what starts together, in the order of time, without what is outside of the range', () => {
    const events = [rising(START + HOUR, 'b', 5), rising(START, 'low', 4), rising(START, 'high', 9), rising(START - HOUR, 'old', 99)];
    expect(eventMarksOf(events, START, START + 2 * HOUR, START + 2 * HOUR)).toEqual([
      { letter: 'A', at: START, time: '08:00', text: '#high, #low rising' }, { letter: 'B', at: START + HOUR, time: '09:00', text: '#b rising' },
    ]);
  });

  it('are the most unusual ones when there are too many', () => {
    const events = Array.from({ length: 12 }, (_, i) => rising(START + i * MINUTE, `t${i}`, i));
    const marks = eventMarksOf(events, START, START + HOUR, START + HOUR);
    expect([marks.length, marks[0]?.text, marks.at(-1)?.letter]).toEqual([8, '#t4 rising', 'H']);
  });
});

it('gives the reason why a hashtag rises', () => {
  const trend = {
    subject: { type: 'hashtag', name: 'Goal', key: 'goal' }, standing: 'rising', score: 9, observed: 31, span_secs: 900, usual: 4, since: iso(START),
    authors: { value: 22, low: 20, high: 25 }, spark: [1, 2], profile: { posts: 20, reposts: 5, languages: [{ name: 'fr', posts: 15 }], tags: [{ name: 'mtl', posts: 3 }] },
  };
  const list = risingList(/** @type {any} */ ({ regions: [{ region: 'a', items: [{ ...trend, score: 1 }, trend, { subject: null }] }] }), { nameOf: () => 'Alpha', nowMs: NOW });
  expect(list).toHaveLength(2);
  expect(list[0]).toMatchObject({
    name: 'Alpha', label: '#Goal',  factor: '7.8×', since: 'since 08:00', score: 9,
    why: '31 posts in 15 min; usually 4; 20 to 25 people; 75% in French, 25% reposts, seen with #mtl',
  });
});

it('reads the series of a hashtag with its bounds', () => {
  const series = readSeries({
    region: 'a', from: iso(START), to: iso(START + 10 * MINUTE), step_secs: 300,
    steps: [{ start: iso(START), posts: 4, posts_high: 6, is_known: true }, { start: iso(START + 5 * MINUTE), posts: 0, posts_high: 0, is_known: false }],
  }, NOW);
  expect(boundsText(series)).toBe('at least 4 and at most 6 posts');
  expect(series.windows.map(({ gap }) => gap)).toEqual([null, 'silent']);
});
