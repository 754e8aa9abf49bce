// @ts-check
// Tests of the order of the regions, and of the sentences about them.
import { describe, expect, it } from 'vitest';
import { evidence, factorText, outside, overviewSentence, rankRegions, regionSentence, tabTitle, unknownText } from '../../src/model/unusual.js';

const NOW = Date.UTC(2026, 10, 24, 20, 42);
const COMPARISON = { span_secs: 900, observed: 263, usual: 0.2, score: 20, authors_least: 80, top_author_share: 0.02, baseline_days: 7, baseline_missing: 0.1 };
const GOAL = { kind: 'rising', subject: { type: 'hashtag', name: 'Goal', key: 'goal' }, start: '2026-11-24T19:32:00Z', comparison: COMPARISON, carriers: [] };

/** @param {string} name @param {object} [changes] @returns {any} */
const region = (name, changes = {}) => ({ region: name, name, posts_last_hour: 100, usual: 100, usual_low: 90, usual_high: 110, factor: 1, event: null, hours: [], ...changes });
const MONTREAL = region('Montréal', { posts_last_hour: 310, factor: 3.1, event: GOAL });
const CALM = region('Paris');
const NEW = region('Lagos', { usual: null, usual_low: null, usual_high: null, factor: null });

/** @param {any[]} regions */
const rank = (...regions) => rankRegions({ regions });
/** @param {any[]} regions */
const sentence = (...regions) => overviewSentence(rank(...regions), NOW).map(({ text }) => text).join('');

describe('the order', () => {
  it('has events first, then what is farthest from usual, then what cannot be judged', () => {
    const near = region('Near', { posts_last_hour: 112, factor: 1.12 });
    const half = region('Half', { posts_last_hour: 40, factor: 0.4 });
    expect(rank(NEW, CALM, near, half, MONTREAL).map(({ name, group, direction }) => [name, group, direction])).toEqual([
      ['Montréal', 'unusual', 'up'], ['Half', 'unusual', 'down'], ['Near', 'usual', 'up'], ['Paris', 'usual', null], ['Lagos', 'unjudged', null],
    ]);
  });

  it('does not count what ended on another day', () => {
    const group = (/** @type {string} */ now) => rankRegions({ now, regions: [region('a', { event: { ...GOAL, end: '2026-11-24T20:05:00Z' } })] })[0]?.group;
    expect(group('2026-11-24T21:00:00Z')).toBe('unusual');
    expect(group('2026-11-27T21:00:00Z')).toBe('usual');
  });

  it('does not count gaps and notes as unusual', () => {
    for (const kind of ['gap', 'note', 'restart']) expect(rank(region('a', { event: { kind } }))[0]?.group).toBe('usual');
  });
});

describe('the sentence', () => {
  it('names what is unusual, since when, and what the rest does', () => {
    expect(sentence(CALM, MONTREAL)).toBe('Montréal: 3.1× usual, #Goal rising since 19:32. Elsewhere nothing unusual.');
    expect(sentence(CALM, MONTREAL, NEW)).toBe('Montréal: 3.1× usual, #Goal rising since 19:32. 1 region cannot be judged yet.');
  });

  it('does not call a calm place unusual, nor one that cannot be judged calm', () => {
    expect(sentence(CALM)).toBe('Nothing unusual in 1 region.');
    expect(sentence(CALM, NEW)).toBe('Nothing unusual in 1 region. 1 region cannot be judged yet.');
    expect(sentence(NEW)).toBe('Too early to say what is unusual: 1 region without a usual range yet.');
    expect(sentence()).toBe('');
  });

  it('names two regions, and counts the others', () => {
    const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({ ...MONTREAL, region: name, name }));
    expect(sentence(...all.slice(0, 3))).toMatch(/^a: .*\. b: .*\. Also unusual: c\.$/);
    expect(sentence(...all)).toMatch(/Also unusual: 4 other regions\.$/);
  });

  it('does not say that something rises when it has faded', () => {
    const faded = { ...MONTREAL, event: { ...GOAL, end: '2026-11-24T20:05:00Z' } };
    expect(sentence(faded)).toBe('Montréal: 3.1× usual, #Goal rose from 19:32 to 20:05. ');
    expect(sentence({ ...MONTREAL, event: { ...GOAL, end: '2026-11-24T20:40:00Z' } })).toMatch(/#Goal rising since 19:32/);
  });

  it('leaves out a factor that is within the usual range', () => {
    expect(sentence({ ...MONTREAL, posts_last_hour: 100, factor: 1 })).toBe('Montréal: #Goal rising since 19:32. ');
    expect(regionSentence(/** @type {any} */ (rank(CALM)[0]), NOW).map(({ text }) => text).join('')).toBe('Paris: nothing unusual');
  });

  it('does not say that nothing is unusual where the count is outside of the usual range', () => {
    const text = (/** @type {any} */ one) => regionSentence(/** @type {any} */ (rank(one)[0]), NOW).map((part) => part.text).join('');
    expect(text(region('Paris', { posts_last_hour: 60, factor: 0.6 }))).toBe('Paris: below its usual range');
    expect(text(region('Paris', { posts_last_hour: 112, factor: 1.12 }))).toBe('Paris: a little above its usual range');
  });
});

it('gives the numbers behind it, and how sure they are', () => {
  expect(evidence(/** @type {any} */ (rank(MONTREAL)[0]))).toEqual([
    ['How many', '310 posts in Montréal in the last hour; 90 to 110 are usual.'],
    ['What it is', '263 posts with #Goal in 15 minutes at the peak, where hardly any are usual.'],
    ['How sure', 'Compared with 7 days, 10% of which is missing; at least 80 authors; the most active one wrote about 2%.'],
  ]);
});

it('says what is not known', () => {
  const overview = /** @type {any} */ ({ sources: [{ source: 'x', status: 'connected', sampled: 0.01 }, { source: 'rss', status: 'waiting' }] });
  expect(unknownText(overview, rank(NEW))).toBe('Lagos cannot be judged before two complete days. Not heard: rss. Only a sample: x (≈ 1%); small events would not show.');
  expect(unknownText({ sources: [] }, rank(CALM))).toBe('');
});

it('puts the state into the title of the tab', () => {
  expect(tabTitle(rank(MONTREAL)[0], 'Now')).toBe('▲ 3.1× Montréal · Birdsong');
  expect(tabTitle(rank(CALM)[0], 'Now')).toBe('Now · Birdsong');
  expect([factorText(4974), factorText(0.4)]).toEqual(['over 100×', '0.4×']);
});

describe('the word for a count outside of the usual range', () => {
  /** @type {[import('../../src/model/unusual.js').Group, import('../../src/model/unusual.js').Direction, number | null, string | null][]} */
  const cases = [
    ['usual', null, 1, null], ['usual', 'up', 1.1, 'littleAbove'], ['usual', 'down', 0.9, 'littleBelow'], ['usual', 'up', 1.6, 'above'], ['usual', 'down', 0.7, 'below'],
    ['unusual', 'up', 3, 'farAbove'], ['unusual', 'down', 0.5, 'farBelow'], ['unusual', 'up', 1.1, 'above'], ['usual', 'up', null, 'littleAbove'],
  ];
  for (const [group, direction, factor, wanted] of cases) it(`${group}, ${direction}, ${factor}: ${wanted}`, () => expect(outside({ group, direction, factor })).toBe(wanted));
});

describe('a region without a usual range', () => {
  const [unjudged] = rankRegions({ regions: [region('a', { usual: null, usual_low: null, usual_high: null, factor: null })] });
  const text = (/** @type {number | null} */ since) => (unjudged ? regionSentence(unjudged, NOW, since).map((part) => part.text).join('') : '');

  it('says since when it is collected, where that is known', () => {
    expect(text(NOW - 3_600_000)).toBe('a: collecting since 19:42; the usual range needs two complete days');
    expect(text(null)).toBe('a: no usual range yet');
  });
});
