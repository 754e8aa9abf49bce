// Talks to the Birdsong API: addresses, time limits, cancelling, and errors one can show.

const DEFAULT_TIMEOUT_MS = 10_000;

/** What went wrong with a call. `kind` is one of network, timeout, http, parse, aborted. */
export class ApiError extends Error {
  constructor(kind, message, { status = 0, code = null, parameter = null } = {}) {
    super(message);
    this.name = 'ApiError';
    this.kind = kind;
    this.status = status;
    this.code = code;
    this.parameter = parameter;
  }
}

/**
 * The parts of fetch that are used here, so that tests can pass a small stand-in.
 * @typedef {(url: string, init?: RequestInit) => Promise<Pick<Response, 'ok' | 'status' | 'json'>>} Fetch
 */

/**
 * Reads config.json, which the deployment may replace. A missing or broken one means: same origin.
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
 * An API client below `base`. Each call takes `{ signal }`, to be cancelled by.
 * @param {{ base?: string, fetchImpl?: Fetch, timeoutMs?: number }} [options]
 */
export function createApi({ base = '', fetchImpl = globalThis.fetch, timeoutMs = DEFAULT_TIMEOUT_MS } = {}) {
  /**
   * @param {string} path
   * @param {object} [params]
   * @param {{ signal?: AbortSignal }} [options]
   */
  async function get(path, params = {}, { signal } = {}) {
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

    // Any await below may be what an abort interrupts, the body's included.
    const asApiError = (error, kind, message, status = 0) => {
      if (error instanceof ApiError) return error;
      if (timedOut) return new ApiError('timeout', `no answer within ${Math.round(timeoutMs / 1000)} s`);
      if (signal?.aborted) return new ApiError('aborted', 'cancelled');
      return new ApiError(kind, message, { status });
    };

    try {
      let response;
      try {
        // 'no-cache' asks again each time, but with the ETag: unchanged data costs a 304.
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

  /** @typedef {{ region?: string, from?: string, to?: string, step?: string }} WindowQuery */
  return {
    /** @param {{ signal?: AbortSignal }} [options] */
    regions: (options) => get('/api/regions', {}, options),
    /** @param {{ signal?: AbortSignal }} [options] */
    status: (options) => get('/api/status', {}, options),
    /** @type {(query: WindowQuery, options?: { signal?: AbortSignal }) => Promise<any>} */
    windows: ({ region, from, to, step }, options) => get('/api/windows', { region, from, to, step }, options),
  };
}
