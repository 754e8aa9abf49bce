// @ts-check
// Tests of the charts of bars: which bars they have, and how bounds are shown.
import { describe, expect, it } from 'vitest';
import { barChange } from '../../src/chart-kit/bars.js';
import hashtags from '../../src/charts/hashtags.js';
import languages from '../../src/charts/languages.js';
import linkHosts from '../../src/charts/link-hosts.js';
import matchedBy from '../../src/charts/matched-by.js';
import { answerOf, viewOf } from '../reports.js';

/**
 * @typedef {import('../../src/model/contract').Loose<import('../../src/model/contract').Report>} LooseReport
 * @typedef {import('../../src/chart-kit/types').Chart<import('../../src/chart-kit/bars.js').BarsView>} BarChart
 */

const read = (/** @type {BarChart} */ chart, /** @type {LooseReport} */ total) => viewOf(chart, answerOf([], total));
const bars = (/** @type {BarChart} */ chart, /** @type {LooseReport} */ total) => read(chart, total).bars;

describe('hashtags and link hosts', () => {
  it('are ranked, with their errors', () => {
    const total = {
      hashtags: [{ tag: 'b', count: 3, error: 1 }, { tag: '#a', count: 5 }, { tag: 'none', count: 0 }, null, { count: 4 }],
      link_hosts: [{ host: 'x.example', count: 2, error: 0 }],
    };
    expect(bars(hashtags, total)).toEqual([
      { label: '#a', value: 5, error: 0, focus: { type: 'hashtag', key: 'a' } }, { label: '#b', value: 3, error: 1, focus: { type: 'hashtag', key: 'b' } },
    ]);
    expect(bars(linkHosts, total)).toEqual([{ label: 'x.example', value: 2, error: 0, focus: { type: 'host', key: 'x.example' } }]);
    const many = Array.from({ length: 20 }, (_, i) => ({ tag: `t${i}`, count: i + 1, error: 0 }));
    expect(bars(hashtags, { hashtags: many }).map(({ value }) => value)).toEqual(Array.from({ length: 20 }, (_, i) => 20 - i));
  });

  it('are lower bounds: at least the count, at most the error more, and never more than all posts', () => {
    const view = read(hashtags, { posts: 10, hashtags: [{ tag: 'a', count: 9, error: 0 }, { tag: 'b', count: 8, error: 5 }] });
    expect(hashtags.table(view)).toEqual({
      head: ['Hashtag', 'Posts, at least', 'At most … more', 'Share'], rows: [['#a', '9', '0', '90%'], ['#b', '8', '5', '80% to 100%']],
    });
    expect(hashtags.summary(read(hashtags, { hashtags: [{ tag: 'storm', count: 2375, error: 625 }] }))).toContain('#storm 2,375 (at most 625 more)');
  });

  it('note the hashtags that are too long to count', () => {
    expect([0, 2].map((n) => hashtags.note?.(read(hashtags, { long_hashtags: n })))).toEqual(['', '2 hashtags longer than the limit not counted.']);
  });
});

describe('the change of bars', () => {
  const total = { posts: 100, hashtags: [{ tag: 'Goal', count: 90, error: 0 }, { tag: 'b', count: 20, error: 0 }, { tag: 'c', count: 10, error: 2 }, { tag: 'd', count: 10, error: 0 }] };
  const changes = (/** @type {object} */ before, /** @type {object} */ completeness = {}) => {
    const earlier = /** @type {any} */ ({ total: { posts: 100, completeness: { frames: 9, complete: true, ...completeness }, ...before } });
    const view = hashtags.view(answerOf([], total), { choice: null, hidden: new Set(), networks: [], earlier });
    return { texts: view.bars.map(barChange), view };
  };

  it('is a percentage, a factor when it is large, and from one to the other where counts are bounds', () => {
    const { texts, view } = changes({ hashtags: [{ tag: 'goal', count: 9, error: 0 }, { tag: 'b', count: 25, error: 0 }, { tag: 'c', count: 8, error: 2 }, { tag: 'd', count: 10, error: 0 }] });
    expect(texts).toEqual(['10×', '−20%', '0% to +50%', '0%']);
    expect(hashtags.table(view).head.slice(-2)).toEqual(['Before', 'Change']);
    expect(hashtags.table(view).rows[2]?.slice(-2)).toEqual(['8 to 10', '0% to +50%']);
  });

  it('is new only when the earlier list has all that there was', () => {
    expect(changes({ hashtags: [{ tag: 'b', count: 10, error: 0 }] }).texts).toEqual(['new', '+100%', 'new', 'new']);
    const full = Array.from({ length: 256 }, (_, i) => ({ tag: `t${i}`, count: 50, error: 0 }));
    const cut = changes({ hashtags: full });
    expect(cut.texts).toEqual(['', '', '', '']);
    expect(hashtags.table(cut.view).rows[0]?.slice(-2)).toEqual(['0 to 50', '–']);
    // A count that was too low may have left an entry out.
    const inexact = changes({ hashtags: [{ tag: 'b', count: 10, error: 3 }] });
    expect(inexact.texts).toEqual(['', '+54% to +100%', '', '']);
    expect(hashtags.table(inexact.view).rows[0]?.slice(-2)).toEqual(['0 to 3', '–']);
  });

  it('is not known without earlier data, and said to be too high when that is incomplete', () => {
    expect(changes({ hashtags: [] }, { frames: 0 }).view.bars.map(({ before }) => before)).toEqual([undefined, undefined, undefined, undefined]);
    expect(changes({ hashtags: [{ tag: 'b', count: 10, error: 0 }] }, { complete: false }).view.note).toBe('The earlier time is incomplete, so the true changes are lower.');
    expect(hashtags.table(read(hashtags, total)).head).not.toContain('Change');
  });
});

describe('languages', () => {
  it('are shown by name, the rare ones together, and codes of one name as one', () => {
    const most = { en: 9, und: 1, '': 7, fr: 8, de: 7, es: 6, it: 5, nl: 4, pl: 3, sv: 2, da: 1 };
    expect(bars(languages, { languages: most }).map(({ label, value }) => `${label} ${value}`)).toEqual([
      'English 9', 'French 8', 'Not stated 8', 'German 7', 'Spanish 6', 'Italian 5', 'Dutch 4', '3 others 6',
    ]);
    expect(bars(languages, {})).toEqual([]);
    expect(bars(languages, { languages: { en: 9 }, other_languages: 4 })).toEqual([{ label: 'English', value: 9, error: 0, focus: { type: 'language', key: 'en' } }, { label: 'All others', value: 4, error: 0 }]);
  });

  it('are exact counts, with one column', () => {
    expect(languages.table(read(languages, { posts: 10, languages: { en: 9 } }))).toEqual({ head: ['Language', 'Posts', 'Share'], rows: [['English', '9', '90%']] });
    expect(languages.table(read(languages, { languages: { en: 9 } })).head).toEqual(['Language', 'Posts']);
  });

  it('have a text in place of an empty plot', () => {
    expect(languages.empty?.(read(languages, {}))).toBe('No languages in this range.');
    expect(languages.empty?.(read(languages, { languages: { en: 1 } }))).toBe('');
    expect(languages.summary(read(languages, {}))).toBe('Languages: none in this range.');
    expect(languages.summary(read(languages, { languages: { en: 5 } }))).toBe('Languages: English 5. The numbers are in the table below.');
  });
});

it('shows how posts matched the region, most first, without ways that no post took', () => {
  expect(bars(matchedBy, { located: { text: 7, point: 2, rule: 0 } }).map((bar) => [bar.label, bar.value])).toEqual([['Text match', 7], ['Coordinates of the post', 2]]);
});
