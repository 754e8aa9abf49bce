// A small server with made-up data, to look at the dashboard without the real API:
// `npm run preview:fake`, then open the printed address. The same data for the same time, always.
// Region "quiet" is empty and region "broken" answers errors, to look at those states too.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const WINDOW_SECS = 300;
const STEPS = { '5m': 300, '15m': 900, '1h': 3600, '1d': 86400 };
const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' };
const POLICY = "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self' https:";

const REGIONS = [
  { id: 'harbour', name: 'Harbour Bay', rate: 42, boxes: [[-10, 50, -5, 55]], keywords: ['harbour'], languages: [] },
  { id: 'highlands', name: 'The Highlands and Outer Islands', rate: 3.1, boxes: [], keywords: ['glen'], languages: ['gd'] },
  { id: 'quiet', name: 'Quiet Valley (empty)', rate: 0, boxes: [], keywords: ['quiet'], languages: [] },
  { id: 'broken', name: 'Broken (errors)', rate: 5, boxes: [], keywords: [], languages: [] },
];
const TAGS = ['birdsong', 'harbourlights', 'photography', 'weather', 'trainspotting', 'Montréal', '東京', 'caturday', 'localelections2026', 'rugby', 'music', 'openstreetmap', 'gardening', 'bookshop', 'aVeryLongHashtagThatNeedsToBeShortened', 'tea'];
const HOSTS = ['youtu.be', 'news.example', 'example.org', 'photos.example.net', 'blog.example.com', 'maps.example', 'radio.example', 'a-rather-long-subdomain.of.example.org', 'zine.example'];
const LANGUAGES = { en: 60, es: 12, ga: 7, pl: 5, 'pt-BR': 4, fr: 4, de: 3, ja: 2, uk: 1.5, ar: 1, '': 0.5 };
const KINDS = { originals: 0.46, replies: 0.27, quotes: 0.07, reposts: 0.2 };

/** A number in 0..1 that depends on the words alone. */
function chance(...words) {
  let hash = 2166136261;
  for (const char of words.join('|')) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 2246822507);
  hash = Math.imul(hash ^ (hash >>> 13), 3266489909);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4294967296;
}

const iso = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');

function ranking(names, key, posts, share) {
  return names
    .map((name, i) => ({ [key]: name, count: Math.round((posts * share * (0.7 + 0.6 * chance(name))) / (i + 1.5)), error: i > 8 ? Math.round(posts / 4000) : 0 }))
    .filter((entry) => entry.count > 0);
}

function details(posts) {
  return {
    languages: Object.fromEntries(Object.entries(LANGUAGES).map(([code, part]) => [code, Math.round((posts * part) / 100)])),
    other_languages: 0,
    long_hashtags: posts > 20_000 ? 3 : 0,
    hashtags: ranking(TAGS, 'tag', posts, 0.09),
    mentions: Math.round(posts * 0.3),
    link_hosts: ranking(HOSTS, 'host', posts, 0.06),
    located: { point: Math.round(posts * 0.06), place: Math.round(posts * 0.22), rule: 0, text: Math.round(posts * 0.72), all: 0 },
    lag_ms: posts ? { mean: 1240, max: 5320 } : null,
  };
}

/** One window of `step` seconds from `start`, as far as `now` has seen it. */
function makeWindow(region, start, step, now) {
  const end = start + step * 1000;
  const perMinute = [];
  let frames = 0;
  let dropped = 0;
  let asked = 1;
  let unwatched = false;
  for (let at = start; at < end; at += 60_000) {
    const slot = Math.floor(at / (WINDOW_SECS * 1000));
    const day = Math.floor(at / 86_400_000);
    const hour = (at / 3_600_000) % 24;
    const away = hour > 3.2 && hour < 4.1 && chance('away', day) < 0.8;
    const wave = 0.35 + 0.65 * Math.sin(((hour - 5) / 24) * Math.PI * 2) ** 2;
    const spike = chance('spike', region.id, slot) > 0.985 ? 2.2 : 1;
    const whole = at + 60_000 <= now;
    const part = whole ? 1 : Math.max(0, (now - at) / 60_000);
    if (hour >= 20 && hour < 21.5) asked = Math.min(asked, 0.25);
    unwatched ||= away;
    if (away || part === 0) {
      perMinute.push(0);
      continue;
    }
    if (at % (WINDOW_SECS * 1000) === 0) frames += 5;
    if (chance('drop', region.id, slot) > 0.994) dropped += 3;
    perMinute.push(Math.round(region.rate * asked * wave * spike * part * (0.75 + 0.5 * chance(region.id, at))));
  }
  const posts = perMinute.reduce((a, b) => a + b, 0);
  const kinds = Object.fromEntries(Object.entries(KINDS).slice(1).map(([kind, part]) => [kind, Math.round(posts * part * (0.8 + 0.4 * chance(kind, start)))]));
  const originals = posts - Object.values(kinds).reduce((a, b) => a + b, 0);
  const authors = Math.round(posts ** 0.93);
  const flaws = [unwatched && 'unwatched', dropped > 0 && 'dropped', asked < 1 && 'sampled'].filter(Boolean);
  const slack = Math.round(authors * (authors > 64 ? 0.04 : 0));
  return {
    region: region.id, window_start: iso(start), window_end: iso(end),
    lifecycle: end > now - 30_000 ? 'provisional' : chance('revised', start) > 0.97 ? 'revised' : 'final',
    posts, originals, ...kinds, authors, authors_low: authors - slack, authors_high: Math.min(posts, authors + slack), authorless: 0, per_minute: perMinute, ...details(posts),
    completeness: {
      complete: frames > 0 && flaws.length === 0, flaws, frames, received: posts * 9, filtered: posts * 8, quarantined: 0, duplicates: 2, dropped, missed_secs: 0,
      sampled: asked, late: 0,
    },
  };
}

/** @returns {[status: number, body: object]} */
function windows(params, now) {
  const region = REGIONS.find((one) => one.id === (params.get('region') ?? REGIONS[0].id));
  if (!region) return [404, { error: { code: 'unknown_region', message: 'there is no such region', parameter: 'region' } }];
  if (region.id === 'broken') return [503, { error: { code: 'store_unavailable', message: 'the store does not answer', parameter: null } }];
  const step = STEPS[params.get('step') ?? '5m'];
  if (!step) return [400, { error: { code: 'bad_step', message: 'step is one of 5m, 15m, 1h, 1d', parameter: 'step' } }];
  const align = (ms) => Math.ceil(ms / (step * 1000)) * step * 1000;
  const to = align(Date.parse(params.get('to') ?? '') || now);
  const asked = Date.parse(params.get('from') ?? '') || to - 86_400_000;
  const from = Math.floor(asked / (step * 1000)) * step * 1000;
  const all = [];
  for (let at = from; at < to && all.length < 3000; at += step * 1000) all.push(makeWindow(region, at, step, now));
  const sum = (field) => all.reduce((total, one) => total + one[field], 0);
  const posts = sum('posts');
  const authors = Math.round(posts ** 0.83);
  const total = {
    posts, originals: sum('originals'), replies: sum('replies'), quotes: sum('quotes'), reposts: sum('reposts'),
    authors, authors_low: Math.round(authors * 0.98), authors_high: Math.min(posts, Math.round(authors * 1.02)), authorless: 0, ...details(posts),
    completeness: { complete: false, dropped: all.reduce((n, one) => n + one.completeness.dropped, 0) },
  };
  return [200, { region: region.id, name: region.name, from: iso(from), to: iso(to), window_secs: WINDOW_SECS, step_secs: step, total, windows: all }];
}

/** @returns {[status: number, body: object]} */
function status(now) {
  const newest = Math.floor((now - 1500) / 7000) * 7000;
  return [200, {
    now: iso(now), newest_post: iso(newest), freshness_secs: Math.round((now - newest) / 1000), lag_ms: { mean: 1240, max: 5320 }, window_secs: WINDOW_SECS,
    sources: [
      { source: 'jetstream', state: 'connected', last_post: iso(newest), connected_since: iso(now - 9_400_000), reconnects: 1 },
      { source: 'x-filtered', state: 'waiting', reason: 'the log in was refused', last_post: iso(now - 620_000), connected_since: null, reconnects: 4, gaps: 1, sampled: 0.25, spent_dollars: 12.5 },
    ],
    ledger: { from: iso(now - 86_400_000 - (now % 300_000)), to: iso(now - (now % 300_000)), received: 4_812_433, filtered: 4_731_020, quarantined: 3, duplicates: 412, dropped: 9, sent: 80_989, aggregated: 80_981, late: 8 },
  }];
}

export function createFakeApi({ clock = Date.now } = {}) {
  return createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const now = clock();
    if (url.pathname.startsWith('/api/')) {
      /** @type {[status: number, body: object]} */
      const [code, body] = url.pathname === '/api/regions'
        ? [200, { regions: REGIONS.map(({ rate, ...region }) => region), window_secs: WINDOW_SECS }]
        : url.pathname === '/api/windows' ? windows(url.searchParams, now)
          : url.pathname === '/api/status' ? status(now)
            : [404, { error: { code: 'not_found', message: 'no such route', parameter: null } }];
      const text = JSON.stringify(body);
      const etag = `"${createHash('sha1').update(text).digest('hex').slice(0, 16)}"`;
      if (code === 200 && request.headers['if-none-match'] === etag) return response.writeHead(304, { etag }).end();
      return response.writeHead(code, { 'content-type': 'application/json', etag, 'cache-control': 'no-cache' }).end(text);
    }
    try {
      const path = normalize(decodeURIComponent(url.pathname)).replace(/^(\.\.[/\\])+/, '');
      const file = join(DIST, path.endsWith('/') ? `${path}index.html` : path);
      const body = await readFile(file);
      return response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': POLICY }).end(body);
    } catch {
      return response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    }
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const port = Number(process.env.PORT ?? 8090);
  createFakeApi().listen(port, '127.0.0.1', () => console.log(`fake API and dashboard on http://127.0.0.1:${port}/`));
}
