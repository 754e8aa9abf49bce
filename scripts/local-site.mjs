// The page of a deployment on an emulator, at an address that any browser opens: files from the emulated bucket, and /api from
// the emulated API. The emulators' own addresses need names that do not resolve, or lead to https.
//
//     node scripts/local-site.mjs PORT BUCKET-URL API-URL

import http from 'node:http';
import { Readable } from 'node:stream';

const [port, bucket, api] = process.argv.slice(2);
if (!Number(port) || !bucket || !api) {
  console.error('usage: node scripts/local-site.mjs PORT BUCKET-URL API-URL');
  process.exit(2);
}
const PASSED_ON = ['content-type', 'cache-control', 'etag', 'last-modified', 'x-content-type-options', 'retry-after'];

http.createServer(async (request, response) => {
  const path = request.url ?? '/';
  const { pathname } = new URL(path, 'http://localhost');
  const isApi = pathname.startsWith('/api/') || pathname.startsWith('/feeds/');
  try {
    const answer = await fetch(isApi ? `${api}${path}` : `${bucket}${pathname.endsWith('/') ? `${pathname}index.html` : pathname}`, {
      method: request.method === 'HEAD' ? 'HEAD' : 'GET',
      headers: { accept: request.headers.accept ?? '*/*' },
    });
    const headers = PASSED_ON.map((name) => [name, answer.headers.get(name)]).filter(([, value]) => value !== null);
    response.writeHead(answer.status, Object.fromEntries(headers));
    if (answer.body) Readable.fromWeb(answer.body).on('error', () => response.destroy()).pipe(response);
    else response.end();
  } catch (error) {
    response.writeHead(502, { 'content-type': 'text/plain' }).end(`${error.cause?.message ?? error.message}: does the emulator run? make local-up\n`);
  }
}).listen(Number(port), '127.0.0.1');
