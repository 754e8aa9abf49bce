// @ts-check
// A small server with generated data, to look at the dashboard without the real API:
// `npm run preview:fake`, then open the printed address.
// Region "quiet" is empty and region "broken" returns errors, so that these states can be seen too.
// An answer that the OpenAPI document does not allow is not sent: the request fails with the reason.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { assertAllowed } from './contract.js';
import { REGIONS, WINDOW_SECS, statusAnswer, windowsAnswer } from './fake-data.js';

/** @typedef {[status: number, body: object]} Answer */

/** @type {Record<string, number>} */
const STEPS = { '5m': 300, '15m': 900, '1h': 3600, '1d': 86400 };
const MOST_WINDOWS = 3000;
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

/**
 * @param {URLSearchParams} params
 * @param {number} now
 * @returns {Answer}
 */
function windows(params, now) {
  const region = params.get('region') ?? REGIONS[0]?.id ?? '';
  if (!REGIONS.some(({ id }) => id === region)) return failure(404, 'unknown_region', `there is no region "${region}"`, 'region');
  if (region === 'broken') return failure(503, 'store_unavailable', 'the store does not answer');
  const step = STEPS[params.get('step') ?? '5m'];
  if (!step) return failure(422, 'unprocessable', `use one of ${Object.keys(STEPS).join(', ')}`, 'step');
  const networks = (params.get('network') ?? '').split(',').filter(Boolean);
  if (!networks.every((name) => /^[a-z0-9]+$/.test(name))) return failure(400, 'bad_parameter', 'use names of networks with commas between them', 'network');
  const stepMs = step * 1000;
  const to = Math.ceil((Date.parse(params.get('to') ?? '') || now) / stepMs) * stepMs;
  const from = Math.floor((Date.parse(params.get('from') ?? '') || to - 86_400_000) / stepMs) * stepMs;
  return [200, windowsAnswer({ region, networks, from: Math.max(from, to - MOST_WINDOWS * stepMs), to, step, now })];
}

/**
 * @param {URL} url
 * @param {number} now
 * @returns {Answer}
 */
function answer(url, now) {
  switch (url.pathname) {
    case '/api/regions': return [200, { regions: REGIONS, window_secs: WINDOW_SECS }];
    case '/api/windows': return windows(url.searchParams, now);
    case '/api/status': return [200, statusAnswer(now)];
    default: return failure(404, 'unknown_path', `there is no ${url.pathname}`);
  }
}

export function createFakeApi({ clock = Date.now } = {}) {
  return createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname.startsWith('/api/')) {
      const [code, body] = answer(url, clock());
      try {
        assertAllowed(url.pathname, code, body);
      } catch (error) {
        response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error));
        return;
      }
      const text = JSON.stringify(body);
      const etag = `"${createHash('sha1').update(text).digest('hex').slice(0, 16)}"`;
      if (code === 200 && request.headers['if-none-match'] === etag) response.writeHead(304, { etag }).end();
      else response.writeHead(code, { 'content-type': 'application/json', etag, 'cache-control': 'no-cache' }).end(text);
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
  createFakeApi().listen(port, '127.0.0.1', () => console.log(`fake API and dashboard on http://127.0.0.1:${port}/`));
}
