// @ts-check
// Tests of the method note of a region.
import { describe, expect, it } from 'vitest';
import { aboutRows, rulesText } from '../../src/model/about.js';
import { answerOf, windowAt } from '../reports.js';

const REGION = { id: 'a', name: 'A', boxes: [[-73.98, 45.41, -73.47, 45.7]], keywords: ['montréal', '#MTL'], languages: [], rules: [] };
const source = (/** @type {object} */ changes) => /** @type {any} */ ({ source: 'x', network: 'x', sampled: null, ...changes });

describe('the rules of a region', () => {
  it('are named with their boxes and words', () => {
    expect(rulesText(REGION)).toBe('A post counts once if it matches any of these: its coordinates, or the place that it names, in latitude 45.41 to 45.7, longitude -73.98 to -73.47; a word or hashtag of its text: montréal, #MTL.');
  });

  it('say that languages narrow a region, or are the region', () => {
    expect(rulesText({ ...REGION, languages: ['fr'] })).toContain('Only posts in French count.');
    expect(rulesText({ ...REGION, boxes: [], keywords: [], languages: ['fr'] })).toBe('A post counts once if it matches any of these: its language: French.');
    expect(rulesText({ ...REGION, boxes: [], keywords: [] })).toBe('Every post counts.');
  });
});

describe('the note', () => {
  /** @param {object} overview @param {object[]} [windows] */
  const note = (overview, windows = [windowAt(0)]) => Object.fromEntries(aboutRows({ region: REGION, overview, windows: answerOf(windows).windows, version: '1.2.3', updatedMs: null }).map(({ title, texts }) => [title, texts.join(' ')]));

  it('names each source with its share, and made-up posts as such', () => {
    expect(note({ sources: [source({ sampled: 0.01 }), source({ source: 'demo', network: 'demo' })] }).Sources).toMatch(/^x, network X: a sample of 1%.*demo, network .*: made-up posts/);
    expect(note({ sources: [] }).Sources).toContain('No source is running');
  });

  it('gives the delay where it is known, and says which numbers can still change', () => {
    expect(note({ lag_ms: { mean: 1500, max: 5700 } }).Delays).toBe('Posts arrive 1.5 s after they were published on average, and 5.7 s at most, in the last windows. All numbers of this range are final.');
    expect(note({}, [windowAt(0), windowAt(1, { lifecycle: 'provisional' })]).Delays).toBe('How long posts take to arrive is not known now. Numbers from 08:05 on are provisional: late posts can still raise them.');
    expect(note({}, [windowAt(0, { lifecycle: 'revised' })]).Delays).toContain('1 step was revised');
  });

  it('has the version, and what is not known', () => {
    const { Version, 'Not known': unknown } = note({});
    expect(Version).toBe('Page 1.2.3.');
    expect(unknown).toContain('the API does not name it');
  });
});
