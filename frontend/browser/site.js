// What the specs look at: the binary with eight days of the demo's posts, and the page in front of it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

const frontend = path.resolve(import.meta.dirname, '..');
/** The token with which the server accepts notes. */
export const NOTES_TOKEN = 'token-of-the-browser-tests';
const PATIENCE_MS = 300_000;
const SETTLED_MS = 3_000;
/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json', '.jpg': 'image/jpeg', '.png': 'image/png',
};

/** The browser: CHROMIUM, or that of the system. */
export function chromiumPath() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const found = process.env.CHROMIUM ?? ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) => folders.map((folder) => path.join(folder, name))).find((file) => existsSync(file));
  if (!found || !existsSync(found)) {
    throw new Error(`${found ?? 'Chromium'} is missing: install Chromium (Debian: apt-get install chromium) or set CHROMIUM to the path of Chromium or Chrome`);
  }
  return found;
}

/** The content policy that the CDN sends. infra/modules/site/cdn.tf is the one place that has it. */
export function cdnPolicy() {
  const text = readFileSync(path.join(frontend, '../infra/modules/site/cdn.tf'), 'utf8');
  const directives = /content_security_policy\s*=\s*join\("; ", \[([^\]]+)\]/.exec(text)?.[1];
  // By default nobody may show the page in a frame.
  const shown = (directives ?? '').replace(/\$\{join\([^}]*\}/g, "'none'");
  const found = [...shown.matchAll(/"([^"]+)"/g)].map(([, directive]) => directive);
  if (found.length === 0) throw new Error('infra/modules/site/cdn.tf has no content_security_policy that can be read here');
  return found.join('; ');
}

/** Starts the binary on a free port; resolves when it has the eight days of the demo. */
async function startBinary() {
  const binary = path.resolve(process.env.BIRDSONG ?? path.join(frontend, '../target/debug/birdsong'));
  if (!existsSync(binary)) throw new Error(`${binary} is missing: build it with \`cargo build\`, or set BIRDSONG to its path`);
  const data = mkdtempSync(path.join(tmpdir(), 'birdsong-browser-'));
  const child = spawn(binary, ['run', '--port', '0', '--metrics-port', 'off', '--data', path.join(data, 'data'), '--source', 'demo'], {
    cwd: data, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, BIRDSONG_NOTES_TOKEN: NOTES_TOKEN },
  });
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(patience);
    rmSync(data, { recursive: true, force: true });
  };
  let output = '';
  child.stderr.on('data', (bytes) => { output += bytes; });
  let last = '';
  const started = Date.now();
  for (;;) {
    const address = /http:\/\/localhost:\d+/.exec(output)?.[0];
    if (address && /filled \d+ posts/.test(output)) {
      const url = address.replace('localhost', '127.0.0.1');
      const { regions } = /** @type {{ regions: { usual: number | null }[] }} */ (await (await fetch(`${url}/api/overview`)).json());
      const usual = regions.map((region) => region.usual);
      // The past is counted when every region has a usual range that no longer changes.
      if (usual.every((one) => one !== null) && usual.join() === last) return { url, stop };
      last = usual.join();
      await sleep(SETTLED_MS);
    }
    if (child.exitCode !== null || Date.now() - started > PATIENCE_MS) {
      await stop();
      throw new Error(`${binary} does not have the posts of the demo after ${Math.round((Date.now() - started) / 1000)} s:\n${output}`);
    }
    await sleep(200);
  }
}

/**
 * Starts what the specs look at.
 * @returns {Promise<{ url: string, stop: () => Promise<void> }>} `url` ends with a slash
 */
export async function startSite() {
  const page = process.env.PAGE ?? 'dist';
  if (page !== 'dist' && page !== 'binary') throw new Error(`PAGE is dist or binary, not ${page}`);
  if (page === 'dist') await build({ root: frontend, logLevel: 'warn' });
  const binary = await startBinary();
  if (page === 'binary') return { url: `${binary.url}/`, stop: binary.stop };

  const policy = cdnPolicy();
  const dist = path.join(frontend, 'dist');
  const api = new URL(binary.url);
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname.startsWith('/api/')) {
      const { method, headers } = request;
      const forwarded = http.request({ host: api.hostname, port: api.port, path: request.url, method, headers: { ...headers, host: api.host } }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      forwarded.on('error', () => response.destroy());
      request.pipe(forwarded);
      return;
    }
    const file = path.join(dist, pathname.endsWith('/') ? `${pathname}index.html` : pathname);
    if (!file.startsWith(dist) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
    const isGzip = /gzip/.test(String(request.headers['accept-encoding'])) && !/^image\/(jpeg|png)/.test(type);
    response.writeHead(200, {
      'content-type': type, 'content-security-policy': policy, 'x-content-type-options': 'nosniff', 'cache-control': pathname.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      vary: 'accept-encoding', ...(isGzip && { 'content-encoding': 'gzip' }),
    });
    response.end(isGzip ? gzipSync(readFileSync(file)) : readFileSync(file));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}/`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await binary.stop();
    },
  };
}
