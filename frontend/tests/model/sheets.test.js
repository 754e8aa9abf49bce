// @ts-check
// Tests of what is taken away as CSV and NDJSON.
import { describe, expect, it } from 'vitest';
import { windowTable } from '../../src/chart-kit/over-time.js';
import { setZone } from '../../src/format.js';
import { eventsSheet, linesSheet, rankingSheet, risingSheet, sheetCsv, sheetNdjson, stepsSheet } from '../../src/model/sheets.js';
import { SAMPLED, answerOf, silentAt, windowAt } from '../reports.js';

describe('sheets', () => {
  it('have empty cells, and not zeros, where no data arrived; what is usual is known all the same', () => {
    const sheet = stepsSheet(answerOf([windowAt(0), { ...silentAt(1), usual: 9, usual_low: 7, usual_high: 11 }]));
    const rows = sheetNdjson(sheet).trim().split('\n').map((line) => JSON.parse(line));
    expect(rows[0]).toMatchObject({ region: 'r', start: '2026-11-24T08:00:00.000Z', state: 'final', posts: 10, sampled: null });
    expect(rows[1]).toMatchObject({ state: 'silent', posts: null, originals: null, authors: null, usual: 9, usual_high: 11 });
  });

  it('name the share of a sample', () => {
    const [row] = sheetNdjson(stepsSheet(answerOf([windowAt(0, { completeness: SAMPLED })]))).trim().split('\n').map((line) => JSON.parse(line));
    expect(row).toMatchObject({ state: 'sampled', sampled: 0.25 });
  });

  it('have one column a network that is in the answer', () => {
    const networks = [{ network: 'x', posts: 7, originals: 7, replies: 0, quotes: 0, reposts: 0 }];
    const answer = answerOf([windowAt(0, { networks })], { networks });
    const { columns, rows } = stepsSheet(answer);
    expect(rows[0]?.[columns.indexOf('posts_x')]).toBe(7);
  });

  it('have the count of X only where the answer has it', () => {
    const { columns, rows } = stepsSheet(answerOf([windowAt(0, { reference: 12 }), windowAt(1)]));
    expect(rows.map((row) => row[columns.indexOf('reference')])).toEqual([12, undefined]);
    expect(stepsSheet(answerOf([windowAt(0)])).columns).not.toContain('reference');
  });

  it('name the day of UTC where steps are days and the zone is another', () => {
    const answer = { ...answerOf([windowAt(0)]), stepMs: 86_400_000 };
    expect(stepsSheet(answer).columns).not.toContain('utc_day');
    setZone('America/Toronto');
    const { columns, rows } = stepsSheet(answer);
    expect(rows[0]?.[columns.indexOf('utc_day')]).toBe('2026-11-24');
    expect(windowTable(answer, [], () => []).head[0]).toBe('Window (days in UTC)');
    expect(stepsSheet(answerOf([windowAt(0)])).columns).not.toContain('utc_day');
    setZone('UTC');
  });

  it('defuse formulas and quote what has to be quoted, in CSV alone', () => {
    const sheet = { name: 'n', columns: ['a'], rows: [['=1+1'], ['say "x", y']] };
    expect(sheetCsv(sheet)).toBe('a\r\n\'=1+1\r\n"say ""x"", y"\r\n');
    expect(sheetNdjson(sheet)).toBe('{"a":"=1+1"}\n{"a":"say \\"x\\", y"}\n');
  });

  it('give a ranking with both bounds', () => {
    const { columns, rows } = rankingSheet('hashtags', answerOf([windowAt(0)]), { bars: [{ label: '#a', value: 5, error: 2 }], all: 50 });
    expect(Object.fromEntries(columns.map((name, i) => [name, rows[0]?.[i]]))).toMatchObject({ region: 'r', name: '#a', posts: 5, posts_high: 7, posts_in_all: 50 });
    expect(columns).not.toContain('posts_before');
    const compared = rankingSheet('hashtags', answerOf([windowAt(0)]), { bars: [{ label: '#a', value: 5, error: 2, before: { low: 3, high: 4 } }, { label: '#b', value: 1, error: 0, before: null }], all: 50 });
    expect(compared.rows.map((row) => row.slice(-2))).toEqual([[3, 4], [undefined, undefined]]);
    expect(compared.columns.slice(-2)).toEqual(['posts_before', 'posts_before_high']);
  });

  it('list what rises by its score over all regions, and events in their order', () => {
    const trend = (/** @type {string} */ key, /** @type {number} */ score) => /** @type {any} */ ({ subject: { type: 'hashtag', key, name: key }, score, observed: 3, span_secs: 600 });
    const rising = risingSheet(/** @type {any} */ ({ regions: [{ region: 'a', items: [trend('low', 1)] }, { region: 'b', items: [trend('high', 9)] }] }));
    expect(rising.rows.map(([region, , key]) => [region, key])).toEqual([['b', 'high'], ['a', 'low']]);
    const events = eventsSheet(/** @type {any} */ ([{ id: '1', kind: 'note', text: 'Derby', region: null }, null]));
    expect(events.rows).toHaveLength(1);
    expect(events.rows[0]?.at(-1)).toBe('Derby');
    expect(linesSheet([answerOf([windowAt(0), silentAt(1)])]).rows.map((row) => row[4])).toEqual([10, null]);
  });
});
