// @ts-check
// Tests of what is asked for and when, against the fake API: one call of windows is enough for a whole, and what follows are changes.
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApi } from '../src/api.js';
import { CHARTS } from '../src/charts/index.js';
import { createFeed } from '../src/feed.js';
import { fieldsQuery } from '../src/model/fields.js';
import { tileReads } from '../src/model/tiles.js';
import { createPoller } from '../src/poller.js';
import { RANGES } from '../src/url-state.js';
import { assertAllowed } from './contract.js';
import { answer } from './fake-api.js';

const NOW = Date.UTC(2026, 10, 24, 14, 12, 30);
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** @typedef {import('../src/model/contract').WindowsAnswer} WindowsAnswer */

/**
 * A feed with its poller over the fake API, as the page has them.
 * @param {Partial<import('../src/url-state.js').Choice> & { windowSecs?: number }} [options]
 */
function start({ windowSecs = 300, ...chosen } = {}) {
  const choice = { region: 'harbour', range: '24h', networks: [], choices: {}, ...chosen };
  const self = {
    choice,
    version: '1',
    /** @type {URL[]} */
    calls: [],
    /** What the page would transfer: gzipped bodies, and nothing for a body that its cache has. */
    bytes: 0,
    answers: 0,
    /** Changes an answer, or replaces it by an error. @type {(url: URL, usual: import('./fake-api.js').Answer) => import('./fake-api.js').Answer} */
    alter: (_url, usual) => usual,
    asked: (/** @type {string} */ path) => self.calls.filter(({ pathname }) => pathname === path),
    /** The queries of windows since the last look. */
    queries: () => {
      const queries = self.asked('/api/windows').map(({ searchParams }) => Object.fromEntries(searchParams));
      self.calls.length = 0;
      return queries;
    },
    /** What the server would say to the whole query that was asked last. */
    whole: () => {
      const url = new URL(self.lastWindows ?? '');
      url.searchParams.delete('since');
      return /** @type {WindowsAnswer} */ (answer(url, { now: self.lastAt, windowSecs })[1]);
    },
    lastWindows: '',
    lastAt: 0,
    /** Whether answers are held to the contract, which takes time. */
    isChecked: true,
    async pass(/** @type {number} */ ms) { await vi.advanceTimersByTimeAsync(ms); },
  };
  /** @type {Map<string, string>} */
  const cache = new Map();
  const fetchImpl = async (/** @type {string} */ address) => {
    const url = new URL(address, 'http://localhost');
    self.calls.push(url);
    const [status, body] = self.alter(url, answer(url, { now: Date.now(), windowSecs, version: self.version }));
    if (url.pathname === '/api/windows') Object.assign(self, { lastWindows: url.href, lastAt: Date.now() });
    if (self.isChecked) assertAllowed(url.pathname, status, body);
    const text = JSON.stringify(body);
    self.answers += 1;
    if (cache.get(url.href) !== text) self.bytes += gzipSync(text).length;
    cache.set(url.href, text);
    return { ok: status < 400, status, json: async () => body };
  };
  const feed = createFeed({
    choice,
    fieldsOf: (range) => fieldsQuery([...CHARTS.map(({ reads }) => reads), tileReads(range)]),
    onRegions() {}, onOverview() {}, onWindows() {}, onRefusedFilter() {},
  });
  const api = createApi({ fetchImpl });
  const poller = createPoller({
    round: async (isCurrent) => {
      await feed.refresh(api, isCurrent);
      return feed.error === null;
    },
    isHidden: () => false,
  });
  stopAll = () => poller.stop();
  return Object.assign(self, { feed, poller });
}

let stopAll = () => {};
beforeEach(() => { vi.useFakeTimers({ now: NOW }); });
afterEach(() => {
  stopAll();
  vi.useRealTimers();
});

describe('the feed', () => {
  it('asks for the whole once, and then for what changed, with the same result', async () => {
    const page = start();
    await page.poller.poll();
    const [first] = page.queries();
    expect(first).toMatchObject({ step: 'auto' });
    expect(first).not.toHaveProperty('since');
    const asOf = page.feed.windows?.as_of;
    await page.pass(10 * SECOND);
    const [second, ...others] = page.queries();
    expect(others).toEqual([]);
    expect(second).toMatchObject({ step: '300', since: asOf, fields: first?.fields, total_fields: first?.total_fields });
    expect(page.feed.windows).toEqual(page.whole());
  });

  it.each([['24h', 300, 14], ['1h', 60, 14], ['6h', 720, 14], ['7d', 600, 14], ['30d', 900, 23], ['1y', 300, 23]])('holds the whole of %s with windows of %i s when the range has moved on', async (range, windowSecs, hour) => {
    vi.setSystemTime(Date.UTC(2026, 10, 24, hour, 30, 7));
    const page = start({ range, windowSecs });
    page.isChecked = false;
    await page.poller.poll();
    page.queries();
    const to = page.feed.windows?.to;
    for (let i = 0; i < 8; i++) {
      page.poller.pause();
      await page.pass(4 * MINUTE);
      await page.poller.poll();
    }
    expect(page.feed.windows).toEqual(page.whole());
    expect(page.feed.windows?.to).not.toBe(to);
    expect(page.queries().filter(({ since }) => !since)).toEqual([]);
  });

  it('does not ask for windows while nothing changes, until the range moves on to a new step', async () => {
    vi.setSystemTime(NOW + 4 * MINUTE);
    const page = start();
    page.alter = (url, [status, body]) => [status, url.pathname === '/api/overview'
      ? { ...body, regions: [{ .../** @type {any} */ (body).regions[0], changed_at: '2026-11-24T14:12:00Z' }] } : body];
    await page.poller.poll();
    page.queries();
    await page.pass(2 * MINUTE);
    expect(page.asked('/api/overview')).toHaveLength(12);
    expect(page.queries()).toEqual([]);
    await page.pass(2 * MINUTE);
    expect(page.queries()).toMatchObject([{ to: '2026-11-24T14:25:00Z', since: expect.any(String) }]);
  });

  it('asks again when a step that has ended becomes final', async () => {
    const page = start({ range: '1h' });
    await page.pass(SECOND);
    page.alter = (url, [status, body]) => [status, url.pathname === '/api/overview'
      ? { ...body, regions: [{ .../** @type {any} */ (body).regions[0], changed_at: '2026-11-24T14:12:00Z' }] } : body];
    await page.poller.poll();
    const states = () => page.feed.windows?.windows?.map((step) => step?.lifecycle).slice(-2);
    await page.pass(2 * MINUTE + 31 * SECOND);
    expect(states()).toEqual(['provisional', 'provisional']);
    page.queries();
    await page.pass(70 * SECOND);
    expect(page.queries()).toHaveLength(1);
    expect(states()).toEqual([expect.stringMatching(/final|revised/), 'provisional']);
    await page.pass(2 * MINUTE);
    expect(page.queries()).toEqual([]);
  });

  it('asks for the whole when the version changes', async () => {
    const page = start();
    await page.poller.poll();
    page.queries();
    page.version = '2';
    await page.pass(10 * SECOND);
    const [changed] = page.queries();
    expect(changed).toMatchObject({ step: 'auto' });
    expect(changed).not.toHaveProperty('since');
    await page.pass(10 * SECOND);
    expect(page.queries()).toMatchObject([{ since: expect.any(String) }]);
  });

  it('asks for the whole after a failure, and after a gap of some minutes', async () => {
    const page = start();
    await page.poller.poll();
    page.alter = (url, usual) => (url.pathname === '/api/windows' ? [500, { error: { code: 'internal', message: 'a defect', parameter: null } }] : usual);
    await page.pass(10 * SECOND);
    expect(page.feed.error).toMatchObject({ status: 500 });
    page.queries();
    page.alter = (_url, usual) => usual;
    await page.pass(10 * SECOND);
    expect(page.queries()[0]).not.toHaveProperty('since');
    page.poller.pause();
    await page.pass(4 * MINUTE);
    await page.poller.poll();
    expect(page.queries()[0]).toHaveProperty('since');
    page.poller.pause();
    await page.pass(6 * MINUTE);
    await page.poller.poll();
    expect(page.queries()[0]).not.toHaveProperty('since');
  });

  it('asks for the whole at once when the changes are refused or do not fit', async () => {
    const page = start();
    await page.poller.poll();
    page.alter = (url, usual) => (url.searchParams.has('since') ? [422, { error: { code: 'unprocessable', message: 'too long ago', parameter: 'since' } }] : usual);
    page.queries();
    await page.pass(10 * SECOND);
    expect(page.queries().map(({ since }) => Boolean(since))).toEqual([true, false]);
    expect(page.feed.error).toBeNull();
    page.alter = (url, [status, body]) => [status, url.searchParams.has('since') ? { ...body, step_secs: 3600 } : body];
    await page.pass(10 * SECOND);
    expect(page.queries().map(({ since }) => Boolean(since))).toEqual([true, false]);
    expect(page.feed.windows).toEqual(page.whole());
  });

  it('does not wait for the overview when the reader chooses', async () => {
    const page = start();
    await page.poller.poll();
    page.queries();
    page.choice.range = '7d';
    page.poller.poll();
    expect(page.calls.map(({ pathname }) => pathname)).toEqual(['/api/overview', '/api/windows']);
    await page.pass(0);
    expect(page.feed.fits()).toBe(true);
    expect(page.queries()[0]).not.toHaveProperty('since');
  });

  it('asks once a minute while the overview fails', async () => {
    const page = start();
    await page.poller.poll();
    page.alter = (url, usual) => (url.pathname === '/api/overview' ? [500, { error: { code: 'internal', message: 'a defect', parameter: null } }] : usual);
    page.queries();
    await page.pass(5 * MINUTE);
    expect(page.queries().length).toBeGreaterThanOrEqual(4);
    expect(page.feed.error).toMatchObject({ status: 500 });
  });

  it('reads the clock of the server from the freshest answer', async () => {
    const page = start();
    let age = 0;
    page.alter = (url, [status, body]) => [status, url.pathname === '/api/overview' ? { ...body, now: new Date(Date.now() + 5 * SECOND - age).toISOString() } : body];
    await page.poller.poll();
    age = 30 * SECOND;
    await page.pass(10 * SECOND);
    expect(page.feed.nowMs() - Date.now()).toBe(5 * SECOND);
    age = 2 * MINUTE;
    await page.pass(10 * SECOND);
    expect(page.feed.nowMs() - Date.now()).toBe(5 * SECOND - 2 * MINUTE);
  });
});

describe('an open page, with new posts each few seconds', () => {
  const MOST_BYTES = 1_500_000;

  // All minutes are alike.
  const minutes = 5;

  it.each(RANGES.map(({ id }) => id))('transfers little in the range %s', async (range) => {
    const page = start({ range });
    page.isChecked = false;
    await page.poller.poll();
    const first = page.bytes;
    Object.assign(page, { bytes: 0, answers: 0 });
    page.calls.length = 0;
    await page.pass(minutes * MINUTE);
    const windows = page.asked('/api/windows').length;
    console.log(`${range}: ${Math.round(((page.bytes / 1000) * 60) / minutes)} kB an hour, by ${page.answers} answers (${windows} of windows); the first ones ${(first / 1000).toFixed(1)} kB`);
    // Posts flow, so windows are asked for at each round.
    expect([page.asked('/api/overview').length, windows]).toEqual([6 * minutes, 6 * minutes]);
    expect((page.bytes * 60) / minutes).toBeLessThan(MOST_BYTES);
  });
});
