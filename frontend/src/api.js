// @ts-check
// The client of the Birdsong API: addresses, time limits, cancellation, and errors that can be shown.

import { list } from './model/values.js';

const DEFAULT_TIMEOUT_MS = 10_000;

/** @typedef {'network' | 'timeout' | 'http' | 'parse' | 'aborted'} ErrorKind */

/** Why a call failed. `status`, `code` and `parameter` are those of the API's answer, if there was one; `seconds` were waited for one. */
export class ApiError extends Error {
  /**
   * @param {ErrorKind} kind
   * @param {string} message
   * @param {{ status?: number, code?: string | null, parameter?: string | null, seconds?: number }} [details]
   */
  constructor(kind, message, { status = 0, code = null, parameter = null, seconds = 0 } = {}) {
    super(message);
    this.name = 'ApiError';
    this.kind = kind;
    this.status = status;
    this.code = code;
    this.parameter = parameter;
    this.seconds = seconds;
  }
}

/**
 * The parts of fetch that are used here, so that tests can pass a small stand-in.
 * @typedef {(url: string, init?: RequestInit) => Promise<Pick<Response, 'ok' | 'status' | 'json'>>} Fetch
 */

/**
 * Reads config.json, which the deployment may replace. Without a usable one, the API is at the page's own origin.
 * @param {Fetch} [fetchImpl]
 */
export async function loadConfig(fetchImpl = globalThis.fetch, url = './config.json') {
  try {
    const response = await fetchImpl(url, { cache: 'no-cache' });
    if (!response.ok) return { apiBase: '' };
    const config = await response.json();
    return { apiBase: typeof config?.apiBase === 'string' ? config.apiBase.trim().replace(/\/+$/, '') : '' };
  } catch {
    return { apiBase: '' };
  }
}

/**
 * @typedef {ReturnType<typeof createApi>} Api
 * @typedef {{ signal?: AbortSignal }} Options
 * @typedef {import('./model/contract').Loose<import('./model/contract').RegionsAnswer>} Regions
 * @typedef {import('./model/contract').Loose<import('./model/contract').OverviewAnswer>} Overview
 * @typedef {import('./model/contract').Loose<import('./model/contract').WindowsAnswer>} Windows
 * @typedef {import('./model/contract').Loose<import('./model/contract').EventsAnswer>} Events
 * @typedef {import('./model/contract').Loose<import('./model/contract').TrendsAnswer>} Trends
 * @typedef {import('./model/contract').Loose<import('./model/contract').SeriesAnswer>} Series
 */

/**
 * An API client below `base`. Each call accepts a `signal` that cancels it.
 * @param {{ base?: string, fetchImpl?: Fetch, timeoutMs?: number }} [options]
 */
export function createApi({ base = '', fetchImpl = globalThis.fetch, timeoutMs = DEFAULT_TIMEOUT_MS } = {}) {
  /**
   * @param {string} path
   * @param {object} params
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<any>} the body, which is an object
   */
  async function get(path, params, { signal } = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined && value !== null && value !== '') query.set(name, String(value));
    }
    const text = query.toString();
    const url = `${base}${path}${text && `?${text}`}`;

    const controller = new AbortController();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      controller.abort();
    }, timeoutMs);
    const cancel = () => controller.abort();
    if (signal?.aborted) cancel();
    signal?.addEventListener('abort', cancel, { once: true });

    /**
     * An abort may interrupt any await below, also that of the body.
     * @param {unknown} error
     * @param {ErrorKind} kind
     * @param {string} message
     */
    const asApiError = (error, kind, message, status = 0) => {
      if (error instanceof ApiError) return error;
      if (timedOut) return new ApiError('timeout', `no answer within ${Math.round(timeoutMs / 1000)} s`, { seconds: Math.round(timeoutMs / 1000) });
      if (signal?.aborted) return new ApiError('aborted', 'cancelled');
      return new ApiError(kind, message, { status });
    };

    try {
      let response;
      try {
        // 'no-cache' asks each time, with the ETag: unchanged data costs a 304, and nothing stale is shown.
        response = await fetchImpl(url, {
          cache: 'no-cache',
          headers: { accept: 'application/json' },
          signal: controller.signal,
        });
      } catch (error) {
        throw asApiError(error, 'network', 'the API cannot be reached');
      }
      let body;
      try {
        body = await response.json();
      } catch (error) {
        throw response.ok
          ? asApiError(error, 'parse', 'the answer is not JSON')
          : asApiError(error, 'http', `the API answered ${response.status}`, response.status);
      }
      if (!response.ok) {
        const details = body?.error ?? {};
        throw new ApiError('http', details.message || `the API answered ${response.status}`, {
          status: response.status,
          code: details.code ?? null,
          parameter: details.parameter ?? null,
        });
      }
      if (body === null || typeof body !== 'object') throw new ApiError('parse', 'the answer is not an object');
      return body;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    }
  }

  /**
   * Adds a note. Errors have the status of the answer: 401 for a wrong token, 403 where nobody can add notes.
   * @param {{ text: string, region?: string, start?: string, end?: string }} note
   * @param {string} token
   */
  async function addNote(note, token) {
    let response;
    try {
      response = await fetchImpl(`${base}/api/notes`, {
        method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify(note), signal: AbortSignal.timeout(timeoutMs),
      });
    } catch {
      throw new ApiError('network', 'the API cannot be reached');
    }
    const body = await response.json().catch(() => null);
    if (response.ok) return body;
    throw new ApiError('http', body?.error?.message || `the API answered ${response.status}`, { status: response.status, code: body?.error?.code ?? null, parameter: body?.error?.parameter ?? null });
  }

  return {
    addNote,
    /** @type {(options?: Options) => Promise<Regions>} */
    regions: (options) => get('/api/regions', {}, options),
    /** @type {(options?: Options) => Promise<Overview>} */
    overview: (options) => get('/api/overview', {}, options),
    /** @type {(query: import('./model/contract').WindowQuery, options?: Options) => Promise<Windows>} */
    windows: (query, options) => get('/api/windows', query, options),
    /**
     * Windows of one or several regions, one answer each; none for no regions.
     * @type {(regions: readonly string[], query: import('./model/contract').WindowQuery, options?: Options) => Promise<Windows[]>}
     */
    async windowsOf(regions, query, options) {
      if (regions.length === 0) return [];
      const answer = await get('/api/windows', { ...query, region: regions.join(',') }, options);
      return regions.length === 1 ? [answer] : list(answer.regions);
    },
    /** @type {(query: { region?: string, kind?: string, from?: string, to?: string }, options?: Options) => Promise<Events>} */
    events: (query, options) => get('/api/events', query, options),
    /** @type {(query: { region?: string, network?: string, standing?: string }, options?: Options) => Promise<Trends>} */
    trends: (query, options) => get('/api/trends', query, options),
    /** @type {(query: { region: string, tag?: string, host?: string, from?: string, to?: string, step?: string }, options?: Options) => Promise<Series>} */
    series: (query, options) => get('/api/series', query, options),
  };
}
