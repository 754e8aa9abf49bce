// @ts-check
// A small server with generated data, to look at the dashboard without the real API:
// `npm run preview:fake`, then open the printed address. PORT is its port, WINDOW_SECS the length of a window, REGIONS the number of regions.
// Region "quiet" is empty and region "broken" returns errors, so that these states can be seen too.
// An answer that the OpenAPI document does not allow is not sent: the request fails with the reason.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { REPORT_FIELDS, assertAllowed, refusedParameter } from './contract.js';
import { REGIONS, addRegions, iso, overviewAnswer, windowsAnswer } from './fake-data.js';

/** @typedef {[status: number, body: object, cacheControl?: string]} Answer */
/** @typedef {{ now: number, windowSecs?: number, version?: string }} Server when it answers, with which windows, and the version of its counts */

/** @type {Record<string, number>} */
const UNITS = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };
const DAY_SECS = 86_400;
const MOST_STEPS = 2016;
const OPEN = 'public, s-maxage=5, max-age=0, stale-while-revalidate=30, stale-if-error=300';
const CLOSED = 'public, max-age=86400';
const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
/** @type {Record<string, string>} */
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' };
const POLICY = "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self' https:";

/**
 * An error in the API's shape, with a code that the API has.
 * @param {number} status
 * @param {string} code
 * @param {string} message
 * @param {string | null} [parameter]
 * @returns {Answer}
 */
const failure = (status, code, message, parameter = null) => [status, { error: { code, message, parameter } }];

const NICE_STEPS = [60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, ...[1, 2, 7, 28, 91, 364].map((days) => days * DAY_SECS)];

/**
 * The shortest nice step that gives at most 300 steps, as the API chooses it.
 * @param {number} spanSecs
 * @param {number} windowSecs
 */
const autoStep = (spanSecs, windowSecs) => NICE_STEPS.find((step) => step % windowSecs === 0 && Math.floor(spanSecs / step) <= 300) ?? DAY_SECS;

/**
 * Some fields of a report.
 * @param {object} report
 * @param {string | null} names null for all
 */
function lean(report, names) {
  const wanted = names?.split(',');
  return wanted ? Object.fromEntries(Object.entries(report).filter(([name]) => /^window_/.test(name) || wanted.includes(name))) : report;
}

/**
 * @param {URLSearchParams} params
 * @param {Required<Server>} server
 * @returns {Answer}
 */
function windows(params, { now, windowSecs, version }) {
  const several = params.get('region')?.split(',') ?? [];
  if (several.length > 1) {
    const answers = several.map((one) => windows(new URLSearchParams({ ...Object.fromEntries(params), region: one }), { now, windowSecs, version }));
    return answers.find(([status]) => status !== 200) ?? [200, { regions: answers.map(([, body]) => body) }, OPEN];
  }
  const region = params.get('region') ?? REGIONS[0]?.id ?? '';
  if (!REGIONS.some(({ id }) => id === region)) return failure(404, 'unknown_region', `there is no region "${region}"`, 'region');
  if (region === 'broken') return failure(503, 'store_unavailable', 'the store does not answer');
  for (const name of ['fields', 'total_fields']) {
    const unknown = params.get(name)?.split(',').find((field) => !REPORT_FIELDS.includes(field) && !(field === 'none' && name === 'total_fields'));
    if (unknown) return failure(400, 'bad_parameter', `there is no field "${unknown}"`, name);
  }
  /** @param {string} name */
  const time = (name) => (params.has(name) ? Date.parse(params.get(name) ?? '') : null);
  const end = time('to') ?? now;
  const start = time('from') ?? end - DAY_SECS * 1000;
  if (start >= end) return failure(422, 'unprocessable', 'the range ends before it starts', 'from');
  const [, amount, unit] = /^([0-9]+)([smhd]?)$/.exec(params.get('step') ?? String(windowSecs)) ?? [];
  const step = amount === undefined ? autoStep((end - start) / 1000, windowSecs) : Number(amount) * (UNITS[unit ?? ''] ?? 1);
  if (step % windowSecs !== 0 || (DAY_SECS % step !== 0 && step % DAY_SECS !== 0)) {
    return failure(422, 'unprocessable', `"${params.get('step')}" is no step; use a multiple of the window (${windowSecs} s) that divides a day`, 'step');
  }
  const stepMs = step * 1000;
  const [from, to] = [Math.floor(start / stepMs) * stepMs, Math.ceil(end / stepMs) * stepMs];
  if ((to - from) / stepMs > MOST_STEPS) return failure(422, 'unprocessable', `the range has more than ${MOST_STEPS} steps`, 'step');
  const networks = (params.get('network') ?? '').split(',').filter(Boolean);
  const whole = windowsAnswer({ region, networks, windowSecs, now, from, to, step, since: time('since') });
  const totals = params.get('total_fields');
  const total = { ...whole.total, hashtags: whole.total.hashtags.slice(0, Number(params.get('top') ?? 20)), link_hosts: whole.total.link_hosts.slice(0, Number(params.get('top') ?? 10)) };
  const body = {
    ...whole,
    total: totals === 'none' ? null : lean(total, totals),
    windows: whole.windows.map((report) => lean(report, params.get('fields'))),
  };
  return [200, body, to > now ? OPEN : params.get('version') === version ? `${CLOSED}, immutable` : CLOSED];
}

/**
 * The answer to a path and query.
 * @param {URL} url
 * @param {Server} server
 * @returns {Answer}
 */
export function answer(url, { now, windowSecs = 300, version = '1' }) {
  const refused = refusedParameter(url.pathname, url.searchParams);
  switch (refused === null || !url.pathname.startsWith('/api/') ? url.pathname : 'refused') {
    case '/api/regions': return [200, { regions: REGIONS, window_secs: windowSecs }];
    case '/api/overview': return [200, overviewAnswer({ windowSecs, now, version })];
    case '/api/events': return [200, { from: iso(now - DAY_SECS * 1000), to: iso(now), is_cut: false, events: [] }];
    case '/api/trends': return [200, { regions: REGIONS.map(({ id }) => ({ region: id, at: iso(now - (now % 60_000)), has_baseline: true, items: [] })) }];
    case '/api/windows': return windows(url.searchParams, { now, windowSecs, version });
    case 'refused': return failure(400, 'bad_parameter', `${refused} is not as documented`, refused);
    default: return failure(404, 'unknown_path', `there is no ${url.pathname}`);
  }
}

/**
 * @param {Partial<Omit<Server, 'now'>> & { clock?: () => number }} [options]
 */
export function createFakeApi({ clock = Date.now, ...server } = {}) {
  return createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname.startsWith('/api/')) {
      const [code, body, cacheControl = OPEN] = answer(url, { ...server, now: clock() });
      try {
        assertAllowed(url.pathname, code, body);
      } catch (error) {
        response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error));
        return;
      }
      const zips = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
      const text = JSON.stringify(body);
      const bytes = zips ? gzipSync(text) : Buffer.from(text);
      const etag = `"${createHash('sha1').update(bytes).digest('hex').slice(0, 16)}"`;
      const headers = { etag, vary: 'accept-encoding', 'cache-control': code === 200 ? cacheControl : 'no-store' };
      if (code === 200 && request.headers['if-none-match'] === etag) response.writeHead(304, headers).end();
      else response.writeHead(code, { 'content-type': 'application/json', ...(zips && { 'content-encoding': 'gzip' }), ...headers }).end(bytes);
      return;
    }
    try {
      const path = normalize(decodeURIComponent(url.pathname)).replace(/^(\.\.[/\\])+/, '');
      const file = join(DIST, path.endsWith('/') ? `${path}index.html` : path);
      const body = await readFile(file);
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': POLICY }).end(body);
    } catch {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    }
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const port = Number(process.env.PORT ?? 8090);
  addRegions(Number(process.env.REGIONS ?? 0));
  createFakeApi({ windowSecs: Number(process.env.WINDOW_SECS ?? 300) }).listen(port, '127.0.0.1', () => console.log(`fake API and dashboard on http://127.0.0.1:${port}/`));
}
