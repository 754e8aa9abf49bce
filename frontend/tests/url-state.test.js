// @ts-check
// Tests of what the address bar holds.
import { expect, it } from 'vitest';
import { DEFAULT_RANGE, RANGES, rangeById, readUrl, writeUrl } from '../src/url-state.js';

it('reads region, range, networks and the choices of charts', () => {
  expect(readUrl('?region=harbour&range=7d&network=x,bluesky&stack=network&other=1', ['stack'])).toEqual({
    region: 'harbour', range: '7d', networks: ['bluesky', 'x'], choices: { stack: 'network' },
  });
  expect(readUrl('?network=x&network=x,%20demo,').networks).toEqual(['demo', 'x']);
});

it('falls back to the first region, the default range and all networks', () => {
  expect(readUrl('', ['stack'])).toEqual({ region: null, range: DEFAULT_RANGE.id, networks: [], choices: {} });
  expect(readUrl('?range=99y').range).toBe(DEFAULT_RANGE.id);
});

it('writes what it reads, and keeps other parameters', () => {
  const choice = { region: 'a&b', range: '1h', networks: ['bluesky', 'x'], choices: { stack: 'network' } };
  const query = writeUrl('?debug=1', choice);
  expect(readUrl(query, ['stack'])).toEqual(choice);
  expect(query).toBe('?debug=1&region=a%26b&range=1h&network=bluesky,x&stack=network');
});

it('leaves out what is not chosen', () => {
  expect(writeUrl('?network=x&stack=network', { region: 'a', range: '24h', networks: [], choices: { stack: '' } })).toBe('?region=a&range=24h');
});

it('finds every range by its id, in order of length', () => {
  for (const range of RANGES) expect(rangeById(range.id)).toBe(range);
  const lengths = RANGES.map(({ secs }) => secs);
  expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
});
