// @ts-check
import { describe, expect, it } from 'vitest';
import { asksOf, mostOf, nextRows } from '../../src/model/rows.js';

describe('the entries of a ranking', () => {
  it('are 12 at first, 50 or all by the address, for each chart', () => {
    const rows = 'hashtags.50,link-hosts.all,languages.7';
    expect(['hashtags', 'link-hosts', 'languages', 'media'].map((chart) => mostOf(rows, chart))).toEqual([50, Infinity, 12, 12]);
    expect([undefined, '', ',', 'hashtags', 'hashtags.'].map((text) => mostOf(text, 'hashtags'))).toEqual([12, 12, 12, 12, 12]);
  });

  it('are asked for with one more, to know whether there are others', () => {
    expect([undefined, 'hashtags.50', 'languages.50', 'hashtags.50,link-hosts.all'].map((rows) => asksOf(rows, ['hashtags', 'link-hosts']))).toEqual([20, 51, 20, 2048]);
    expect(asksOf('hashtags.50', [])).toBe(20);
  });

  /** The labels of clicks one after another, and the address after each. @param {boolean} isListed whether the API lists only as many as it is asked for @param {number} all */
  function clicks(isListed, all) {
    const seen = [];
    for (let rows = 'media.50', i = 0; i < 4; i += 1) {
      const asked = isListed ? asksOf(rows, ['hashtags']) : Infinity;
      const next = nextRows(rows, 'hashtags', { length: Math.min(all, asked), isWhole: !isListed || all < asked });
      if (!next) return seen;
      seen.push([next.isAll ? `all ${next.n ?? '?'}` : `${next.n}`, next.rows]);
      ({ rows } = next);
    }
    return seen;
  }

  it('are shown by clicks: 12, 50, all, and 12 again, with a number as soon as it is known', () => {
    const [few, some, every] = ['media.50', 'media.50,hashtags.50', 'media.50,hashtags.all'];
    expect(clicks(false, 12)).toEqual([]);
    expect(clicks(true, 12)).toEqual([]);
    expect(clicks(false, 13)).toEqual([['all 13', every], ['12', few], ['all 13', every], ['12', few]]);
    expect(clicks(true, 19)).toEqual([['all 19', every], ['12', few], ['all 19', every], ['12', few]]);
    expect(clicks(true, 20)).toEqual([['50', some], ['12', few], ['50', some], ['12', few]]);
    expect(clicks(false, 51)).toEqual([['50', some], ['all 51', every], ['12', few], ['50', some]]);
    expect(clicks(true, 51)).toEqual([['50', some], ['all ?', every], ['12', few], ['50', some]]);
    expect(clicks(true, 5000)).toEqual([['50', some], ['all ?', every], ['12', few], ['50', some]]);
  });
});
