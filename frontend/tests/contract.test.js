// @ts-check
// Tests that answers are held to the OpenAPI document, and that the fake API keeps to it.
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asksOf } from '../src/model/rows.js';
import { refusedParameter, violations } from './contract.js';
import { createFakeApi } from './fake-api.js';
import { report } from './reports.js';

const NOW = Date.UTC(2026, 10, 24, 21, 12, 30);

describe('the contract', () => {
  const answer = (changes = {}, /** @type {object} */ total = report()) => ({
    region: 'r', name: 'R', from: '2026-11-24T08:00:00Z', to: '2026-11-24T09:00:00Z', window_secs: 300, step_secs: 300,
    as_of: '2026-11-24T08:31:00Z', total, windows: [], ...changes,
  });

  it('allows what the document describes', () => {
    expect(violations('/api/windows', 200, answer())).toEqual([]);
  });

  it('finds fields that are missing, unknown, renamed or of another type, at any depth', () => {
    const found = (/** @type {object} */ body) => violations('/api/windows', 200, body).join();
    expect(found(answer({ name: undefined }))).toContain("required property 'name'");
    expect(found(answer({ title: 'R' }))).toContain('"title"');
    expect(found(answer({}, { ...report(), posts: '12' }))).toContain('/total/posts must be integer');
    expect(found(answer({}, { ...report(), retweets: 1 }))).toContain('"retweets"');
    expect(found(answer({}, { ...report(), networks: [{ network: 'x', posts: 1 }] }))).toContain('/total/networks/0');
    expect(found(answer({ from: 'yesterday' }))).toContain('date-time');
  });

  it('finds statuses that the document does not name', () => {
    expect(violations('/api/windows', 418, {})).toEqual(['/api/windows is not documented to answer 418']);
  });
});

describe('the fake API', () => {
  const server = createFakeApi({ clock: () => NOW });
  let base = '';
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the fake API has no port');
    base = `http://127.0.0.1:${address.port}`;
  });
  afterAll(() => { server.close(); });

  const ask = async (/** @type {string} */ path) => {
    const response = await fetch(base + path);
    return { status: response.status, body: /** @type {any} */ (await response.json()) };
  };

  // The server itself refuses to send an answer that the document does not allow.
  it('answers as the document says, for each region, step and network', async () => {
    const { regions } = (await ask('/api/regions')).body;
    for (const { id } of regions) {
      for (const rest of [
        'step=5m&from=2026-11-24T18:00:00Z', 'step=15m', 'step=1h&network=x', 'step=1d&network=bluesky,x',
        'step=auto&from=2025-11-24T18:00:00Z', 'fields=posts,authors&total_fields=none', 'top=50', 'since=2026-11-24T21:00:00Z',
      ]) {
        const { status, body } = await ask(`/api/windows?region=${id}&${rest}`);
        expect([status, body.error?.code], `${id} ${rest}`).toEqual(id === 'broken' ? [503, 'store_unavailable'] : [200, undefined]);
      }
    }
    expect((await ask('/api/overview')).status).toBe(200);
  });

  it('answers errors with codes of the API', async () => {
    const code = async (/** @type {string} */ path) => {
      const { status, body } = await ask(path);
      return [status, body.error.code, body.error.parameter];
    };
    expect(await code('/api/windows?region=nowhere')).toEqual([404, 'unknown_region', 'region']);
    expect(await code('/api/windows?step=7m')).toEqual([422, 'unprocessable', 'step']);
    expect(await code('/api/windows?network=NO!')).toEqual([400, 'bad_parameter', 'network']);
    expect(await code('/api/windows?fields=posts,retweets')).toEqual([400, 'bad_parameter', 'fields']);
    expect(refusedParameter('/api/windows', new URLSearchParams({ top: String(asksOf('hashtags.all', ['hashtags'])) })), 'the page asks for as many as there may be').toBeNull();
    for (const top of ['0', '2049', 'all']) expect(await code(`/api/windows?top=${top}`)).toEqual([400, 'bad_parameter', 'top']);
    expect(await code('/api/windows?colour=red')).toEqual([400, 'bad_parameter', 'colour']);
    expect(await code('/api/windows?step=5m&from=2026-01-01T00:00:00Z')).toEqual([422, 'unprocessable', 'step']);
    expect(await code('/api/nothing')).toEqual([404, 'unknown_path', null]);
  });

  it('leaves out what is not asked for', async () => {
    const { body } = await ask('/api/windows?region=harbour&step=15m&fields=posts,media&total_fields=none&since=2026-11-24T21:12:00Z');
    expect(body.windows.map(Object.keys)).toEqual([['window_start', 'window_end', 'posts', 'media']]);
    expect(body.total).toBeNull();
    expect((await ask('/api/windows?region=harbour&top=3')).body.total).toMatchObject({ hashtags: { length: 3 }, link_hosts: { length: 3 } });
    expect((await ask('/api/windows?region=harbour&total_fields=posts')).body.total).toEqual({
      window_start: expect.any(String), window_end: expect.any(String), posts: expect.any(Number),
    });
  });

  it('may be cached, by encoding, and for long when the range has ended', async () => {
    const day = '/api/windows?region=harbour&step=1h&from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z';
    const cacheControl = async (/** @type {string} */ path) => (await fetch(base + path)).headers.get('cache-control');
    expect(await cacheControl('/api/overview')).toBe('public, s-maxage=5, max-age=0, stale-while-revalidate=30, stale-if-error=300');
    expect(await cacheControl(day)).toBe('public, max-age=86400');
    expect(await cacheControl(`${day}&version=1`)).toBe('public, max-age=86400, immutable');
    expect(await cacheControl('/api/windows?region=broken')).toBe('no-store');
    const etags = await Promise.all(['gzip', 'identity'].map(async (encoding) => (await fetch(base + day, { headers: { 'accept-encoding': encoding } })).headers.get('etag')));
    expect(new Set(etags).size).toBe(2);
    const again = await fetch(base + day, { headers: { 'if-none-match': etags[0] ?? '', 'accept-encoding': 'gzip' } });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  it('counts by network, and only those of the query', async () => {
    const read = async (/** @type {string} */ query) => (await ask(`/api/windows?region=harbour&step=1h${query}`)).body.total;
    const [all, one, two] = await Promise.all([read(''), read('&network=x'), read('&network=x,bluesky')]);
    const names = (/** @type {any} */ total) => total.networks.map((/** @type {any} */ { network }) => network);
    expect([names(all), names(one), names(two)]).toEqual([['bluesky', 'mastodon', 'x'], ['x'], ['bluesky', 'x']]);
    for (const total of [all, one, two]) {
      expect(total.posts).toBe(total.networks.reduce((/** @type {number} */ sum, /** @type {any} */ { posts }) => sum + posts, 0));
    }
    expect(one.posts).toBeLessThan(two.posts);
    expect(await read('&network=unheard')).toMatchObject({ posts: 0, networks: [] });
  });
});
