// @ts-check
// Tests of reading answers of /api/windows, complete or not.
import { describe, expect, it } from 'vitest';
import { readAnswer, readWindow } from '../../src/model/answer.js';
import { MINUTE, NOW, SAMPLED, START, answerOf, flawed, iso, silentAt, windowAt } from '../reports.js';

describe('readWindow', () => {
  it('fills in missing fields', () => {
    const read = readWindow({ window_start: iso(START), originals: 2, reposts: 1 }, NOW);
    expect(read).toMatchObject({ start: START, end: START + 5 * MINUTE, posts: 3, authors: 0, perMinute: [], gap: null, unfinished: false, networks: null });
    expect(readWindow(null, NOW)).toMatchObject({ posts: 0 });
  });

  it('separates gaps from unfinished and future windows', () => {
    const read = (/** @type {Parameters<typeof readWindow>[0]} */ report) => readWindow(report, NOW);
    expect(read(silentAt(0))).toMatchObject({ gap: 'silent', unfinished: false });
    expect(read(silentAt(0, { lifecycle: 'provisional' }))).toMatchObject({ gap: 'silent', unfinished: false });
    expect(read(windowAt(0, { completeness: flawed({ frames: 4, dropped: 2 }) }))).toMatchObject({ gap: 'partial', dropped: 2 });
    expect(read(windowAt(0, { completeness: SAMPLED }))).toMatchObject({ gap: 'sampled', share: 0.25 });
    expect(read(windowAt(0, { completeness: { ...SAMPLED, flaws: ['dropped', 'sampled'] } }))).toMatchObject({ gap: 'partial', share: 0.25 });
    expect(read(windowAt(0))).toMatchObject({ gap: null, share: 1, flaws: [] });
    expect(read(windowAt(3, { lifecycle: 'provisional', completeness: flawed({ frames: 4 }) }))).toMatchObject({ gap: null, unfinished: true });
    expect(read(silentAt(4, { lifecycle: 'provisional' }))).toMatchObject({ gap: null, unfinished: true, future: false });
    expect(read(silentAt(5, { lifecycle: 'provisional' }))).toMatchObject({ gap: null, unfinished: false, future: true });
  });

  it('keeps the estimate within its bounds', () => {
    expect(readWindow(windowAt(0, { authors: 8, authors_low: 9, authors_high: 7 }), NOW)).toMatchObject({ authorsLow: 8, authorsHigh: 8 });
    expect(readWindow({ ...windowAt(0), authors_low: undefined, authors_high: null }, NOW)).toMatchObject({ authorsLow: 8, authorsHigh: 8 });
  });

  it('counts by network when the server does', () => {
    const counts = { originals: 1, replies: 0, quotes: 0, reposts: 0 };
    const networks = [{ network: 'bluesky', posts: 3, ...counts }, { network: 'x', posts: 7, ...counts }];
    expect(readWindow(windowAt(0, { networks }), NOW).networks).toEqual(new Map([['bluesky', 3], ['x', 7]]));
    expect(readWindow({ ...windowAt(0), networks: [null, {}, { network: 'x' }] }, NOW).networks).toEqual(new Map([['x', 0]]));
    expect(readWindow(windowAt(0, { networks: [] }), NOW).networks).toEqual(new Map());
  });
});

describe('readAnswer', () => {
  it('uses the total of the API, and sums what it lacks', () => {
    const given = answerOf([windowAt(0)], { posts: 99, originals: 90, authors: 50, authors_low: 45, authors_high: 55 });
    expect(given.total).toMatchObject({ posts: 99, reposts: 2, authors: { authors: 50, authorsLow: 45, authorsHigh: 55 } });
    const summed = answerOf([windowAt(0), windowAt(1)]);
    expect(summed.total).toMatchObject({ posts: 20, reposts: 4, authors: null });
  });

  it('reads an empty object', () => {
    expect(readAnswer({}, NOW)).toMatchObject({ windows: [], from: null, networks: null, total: { posts: 0 } });
  });

  it('sorts windows by time', () => {
    expect(answerOf([windowAt(1), windowAt(0)]).windows.map((w) => w.start)).toEqual([START, START + 5 * MINUTE]);
  });
});
