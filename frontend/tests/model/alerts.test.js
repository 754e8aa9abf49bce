// @ts-check
// Tests of notifications, of groups of events, and of embedding.
import { describe, expect, it } from 'vitest';
import { NOBODY, chooseRegions, dueAlerts, readWatching } from '../../src/model/alerts.js';
import { embedCode, embedOf, wholePage } from '../../src/model/embed.js';
import { groupEvents } from '../../src/model/event-groups.js';

/** @param {Record<string, string | null>} events ids by region */
const overviewOf = (events) => /** @type {any} */ ({
  regions: Object.entries(events).map(([region, id]) => ({ region, name: region.toUpperCase(), factor: 3, event: id && { id, kind: 'rising', is_open: true } })),
});

describe('alerts', () => {
  it('come once for each event that starts after the choice, of chosen regions only', () => {
    const first = overviewOf({ a: '1', b: null, c: null });
    const chosen = chooseRegions(NOBODY, ['a', 'b'], first);
    expect(dueAlerts(chosen, first).alerts).toEqual([]);
    const later = dueAlerts(chosen, overviewOf({ a: '1', b: '2', c: '3' }));
    expect(later.alerts.map(({ id }) => id)).toEqual(['2']);
    expect(dueAlerts(later.watching, overviewOf({ a: '1', b: '2', c: '3' })).alerts).toEqual([]);
    expect(dueAlerts(later.watching, overviewOf({ a: '4', b: '2', c: null })).alerts.map(({ name }) => name)).toEqual(['A']);
  });

  it('do not come for notes, and not for events that have ended', () => {
    const overview = /** @type {any} */ ({ regions: [{ region: 'a', event: { id: '1', kind: 'note', is_open: true } }, { region: 'b', event: { id: '2', kind: 'drop', is_open: false } }] });
    expect(dueAlerts({ regions: ['a', 'b'], seen: [] }, overview).alerts).toEqual([]);
  });

  it('survive anything that is stored', () => {
    for (const text of [null, '', '{', 'null', '[]', '{"regions":"a","seen":7}', '{"regions":[1,null]}']) expect(readWatching(text)).toEqual(NOBODY);
    expect(readWatching('{"regions":["a"],"seen":["1"]}')).toEqual({ regions: ['a'], seen: ['1'] });
  });
});

describe('groups of events', () => {
  const event = (/** @type {string} */ id, /** @type {string} */ kind, /** @type {string} */ start, /** @type {number} */ score, region = 'a') => /** @type {any} */ ({ id, kind, start, region, end: start, is_open: id === '2', comparison: { score } });

  it('are those of one region that start together, named by the most unusual tag', () => {
    const groups = groupEvents([event('1', 'spike', '08:00', 99), event('2', 'rising', '08:00', 5), event('3', 'rising', '08:00', 7), event('4', 'rising', '08:00', 9, 'b'), event('5', 'rising', '09:00', 1)]);
    expect(groups.map(({ lead, others, isOpen }) => [lead.id, others, isOpen])).toEqual([['3', 1, true], ['4', 0, false], ['5', 0, false]]);
  });

  it('leave notes, drops and gaps alone', () => {
    expect(groupEvents([event('1', 'note', '08:00', 0), event('2', 'note', '08:00', 0), event('3', 'gap', '08:00', 0)])).toHaveLength(3);
  });
});

describe('one chart alone', () => {
  it('is one that exists', () => {
    expect(embedOf('?embed=posts', ['posts'])).toBe('posts');
    expect(embedOf('?embed=other', ['posts'])).toBeNull();
    expect(embedOf('', ['posts'])).toBeNull();
  });

  it('has a code to copy, escaped, and a link back', () => {
    const code = embedCode('https://b.example/?region=a&range=24h&network=x,bluesky', 'posts', 'Posts "in" A', 420);
    expect(code).toContain('src="https://b.example/?region=a&amp;range=24h&amp;network=x,bluesky&amp;embed=posts"');
    expect(code).toContain('title="Posts &quot;in&quot; A"');
    expect(wholePage('https://b.example/?region=a&embed=posts')).toBe('https://b.example/?region=a');
  });
});
