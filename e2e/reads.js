// A proxy in front of an emulator's DynamoDB that counts what the reads of a function would cost, and viewers.

import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Bytes of an attribute value as DynamoDB bills it, about. */
function valueBytes(value) {
  const [[type, content]] = Object.entries(value);
  if (type === 'B') return Buffer.from(content, 'base64').length;
  if (type === 'N') return Math.ceil(content.length / 2) + 1;
  return Buffer.byteLength(String(content));
}

const itemBytes = (item) => Object.entries(item).reduce((sum, [name, value]) => sum + name.length + valueBytes(value), 0);

/** Read request units of a call: 4 KB each, half of that when it is eventually consistent. */
function units(target, asked, answer) {
  const items = answer.Items ?? (answer.Item ? [answer.Item] : []);
  // A projection is billed as whole items; those here leave out little.
  const bytes = items.reduce((sum, item) => sum + itemBytes(item), 0);
  return /\.(Query|GetItem|Scan|BatchGetItem)$/.test(target) ? Math.max(1, Math.ceil(bytes / 4096)) * (asked.ConsistentRead ? 1 : 0.5) : 0;
}

/** Starts the proxy; `reads` has the calls so far and what they cost. */
export async function countReads(endpoint) {
  const reads = { calls: 0, units: 0 };
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const kept = Object.entries(request.headers).filter(([name]) => !['host', 'connection', 'content-length'].includes(name));
    const headers = Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
    try {
      const answer = await fetch(endpoint + request.url, { method: request.method, headers, body });
      const text = await answer.text();
      const target = request.headers['x-amz-target'] ?? '';
      if (answer.ok) {
        reads.calls += 1;
        reads.units += units(target, JSON.parse(body.toString()), JSON.parse(text || '{}'));
      }
      const names = ['content-type', 'x-amz-crc32', 'x-amzn-requestid'].filter((name) => answer.headers.has(name));
      response.writeHead(answer.status, Object.fromEntries(names.map((name) => [name, answer.headers.get(name)])));
      response.end(text);
    } catch (error) {
      response.writeHead(502).end(String(error));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${address.port}`, reads, close: () => server.close() };
}

/** An edge of a shared cache, as CloudFront is: it keeps each answer for `s-maxage`, and asks once for all who wait. Null is an error. */
export function edge() {
  const kept = new Map();
  return (url) => {
    const known = kept.get(url);
    if (known && Date.now() < known.until) return known.body;
    const asking = { until: Infinity, body: null };
    asking.body = fetch(url).then(async (answer) => {
      const secs = Number(/s-maxage=(\d+)/.exec(answer.headers.get('cache-control') ?? '')?.[1] ?? 0);
      asking.until = answer.ok ? Date.now() + secs * 1000 : 0;
      return answer.ok ? answer.json() : null;
    });
    kept.set(url, asking);
    return asking.body;
  };
}

/** What a visible page asks for: the overview every ten seconds, and the windows of a region when they changed. */
async function page(get, api, region, end, wait) {
  await sleep(wait);
  let changedAt, asOf, answers = 0;
  while (Date.now() < end) {
    const next = Date.now() + 10_000;
    const overview = await get(`${api}/api/overview`);
    if (!overview) {
      // A function that is too slow. The page shows what it has, and tries again.
      await sleep(1_000);
      continue;
    }
    answers += 1;
    const at = overview.regions.find((each) => each.region === region)?.changed_at;
    if (at !== changedAt) {
      // All pages of a region ask for the same range, so that a shared cache can answer them.
      const from = new Date(Math.floor(Date.now() / 300_000) * 300_000 - 21_600_000).toISOString();
      const query = new URLSearchParams({ region, from, step: '5m', fields: 'posts' });
      const windows = await get(`${api}/api/windows?${query}`);
      if (windows) {
        answers += 1;
        [changedAt, asOf] = [at, windows.as_of];
      }
    }
    await sleep(Math.max(0, next - Date.now()));
  }
  return { answers, asOf };
}

/** Lets a number of pages be open behind one edge for some seconds, and returns how many answers they got. */
export async function view(api, region, pages, seconds) {
  const get = edge();
  const end = Date.now() + seconds * 1000;
  const open = Array.from({ length: pages }, (_, n) => page(get, api, region, end, (n * 10_000) / pages));
  return (await Promise.all(open)).reduce((sum, { answers }) => sum + answers, 0);
}
