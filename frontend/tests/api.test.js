// @ts-check
// Tests of the API client with a fake fetch.
import { describe, expect, it, vi } from 'vitest';
import { createApi, loadConfig } from '../src/api.js';

const answer = (/** @type {unknown} */ body, status = 200) => ({
  ok: status < 400, status, json: async () => (typeof body === 'string' ? JSON.parse(body) : body),
});

/** A fetch that answers only when it is cancelled. @type {import('../src/api.js').Fetch} */
const hanging = (_url, { signal } = {}) => new Promise((_, reject) => {
  const fail = () => reject(new DOMException('aborted', 'AbortError'));
  if (signal?.aborted) fail();
  signal?.addEventListener('abort', fail);
});

describe('createApi', () => {
  it('sends requests below the base, without empty parameters', async () => {
    const fetchImpl = vi.fn(async (/** @type {string} */ _url, /** @type {RequestInit | undefined} */ _init) => answer({ windows: [] }));
    const api = createApi({ base: 'https://api.example', fetchImpl });
    await api.windows({ region: 'a b', from: '2026-11-24T08:00:00Z', to: null, step: '5m', network: 'bluesky,x' });
    expect(fetchImpl.mock.calls[0]?.[0]).toBe('https://api.example/api/windows?region=a+b&from=2026-11-24T08%3A00%3A00Z&step=5m&network=bluesky%2Cx');
    expect(fetchImpl.mock.calls[0]?.[1]?.cache).toBe('no-cache');
    await api.overview();
    expect(fetchImpl.mock.calls[1]?.[0]).toBe('https://api.example/api/overview');
  });

  it("passes on the API's description of an error", async () => {
    const body = { error: { code: 'bad_parameter', message: 'step is wrong', parameter: 'step' } };
    const api = createApi({ fetchImpl: async () => answer(body, 400) });
    await expect(api.windows({})).rejects.toMatchObject({
      kind: 'http', status: 400, code: 'bad_parameter', parameter: 'step', message: 'step is wrong',
    });
  });

  it('reads errors that are not JSON', async () => {
    const api = createApi({ fetchImpl: async () => answer('<html>', 502) });
    await expect(api.overview()).rejects.toMatchObject({ kind: 'http', status: 502 });
  });

  it('rejects answers that are not JSON objects', async () => {
    await expect(createApi({ fetchImpl: async () => answer('<html>') }).overview()).rejects.toMatchObject({ kind: 'parse' });
    await expect(createApi({ fetchImpl: async () => answer(null) }).overview()).rejects.toMatchObject({ kind: 'parse' });
  });

  it('distinguishes network errors, timeouts and cancellation', async () => {
    const failing = async () => { throw new TypeError('failed to fetch'); };
    await expect(createApi({ fetchImpl: failing }).overview()).rejects.toMatchObject({ kind: 'network' });
    await expect(createApi({ fetchImpl: hanging, timeoutMs: 5 }).overview()).rejects.toMatchObject({ kind: 'timeout' });
    const controller = new AbortController();
    const call = createApi({ fetchImpl: hanging }).overview({ signal: controller.signal });
    controller.abort();
    await expect(call).rejects.toMatchObject({ kind: 'aborted' });
    await expect(createApi({ fetchImpl: hanging }).overview({ signal: controller.signal })).rejects.toMatchObject({ kind: 'aborted' });
  });
});

describe('loadConfig', () => {
  it('reads the base without its last slash', async () => {
    expect(await loadConfig(async () => answer({ apiBase: 'https://api.example/' }))).toEqual({ apiBase: 'https://api.example' });
  });

  it('uses the same origin when there is no usable file', async () => {
    expect(await loadConfig(async () => answer({}, 404))).toEqual({ apiBase: '' });
    expect(await loadConfig(async () => answer('<html>'))).toEqual({ apiBase: '' });
    expect(await loadConfig(async () => { throw new TypeError('offline'); })).toEqual({ apiBase: '' });
    expect(await loadConfig(async () => answer({ apiBase: 7 }))).toEqual({ apiBase: '' });
  });
});
