// @ts-check
// Generated data for the fake API. It depends on the time alone, so that two runs look the same.

/**
 * @typedef {Required<import('../src/model/contract').Report>} Report every field, before those that are not asked for are left out
 * @typedef {import('../src/model/contract').Completeness} Completeness
 * @typedef {import('../src/model/contract').NetworkCounts} NetworkCounts
 */

const MINUTE_MS = 60_000;
/** How long a window stays provisional after its end. */
const LATENESS_MS = 30_000;
const CLOCK_SKEW_MS = 5_000;
/** What happens in the made-up data lasts this long. */
const SLOT_MS = 300_000;
/** In steps of more than an hour, one minute in this many is made up, and stands for the others. */
const STRIDE = 60;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Posts per minute by region. */
/** @type {Record<string, number>} */
const RATES = { harbour: 42, highlands: 3.1, quiet: 0, broken: 5 };

/** The regions, as /api/regions lists them. @type {{ id: string, name: string, boxes: number[][], keywords: string[], languages: string[], rules: string[] }[]} */
export const REGIONS = [
  { id: 'harbour', name: 'Harbour Bay', boxes: [[-10, 50, -5, 55]], keywords: ['harbour'], languages: [], rules: [] },
  { id: 'highlands', name: 'The Highlands and Outer Islands', boxes: [], keywords: ['glen'], languages: ['gd'], rules: [] },
  { id: 'quiet', name: 'Quiet Valley (empty)', boxes: [], keywords: ['quiet'], languages: [], rules: [] },
  { id: 'broken', name: 'Broken (errors)', boxes: [], keywords: [], languages: [], rules: [] },
];
const PLACES = ['Northgate', 'Southport', 'Eastfield', 'Westbrook', 'Old Town', 'Saint-Rémy-sur-Mer', 'Valle del Río', 'Lower Mill', 'Castle Hill', 'Riverside'];
/** Western Europe and the east of North America, as west, south, east, north. */
const CONTINENTS = [[-8, 38, 28, 58], [-122, 30, -72, 49]];

/** Adds made-up regions until there are `n`: some of them overlap, as those of real installations do. @param {number} n */
export function addRegions(n) {
  while (REGIONS.length < n) {
    const i = REGIONS.length;
    const id = `place-${i}`;
    const [west = 0, south = 0, east = 0, north = 0] = CONTINENTS[i % 3 === 0 ? 1 : 0] ?? [];
    const size = 0.2 + 1.2 * chance('size', id);
    const [x, y] = [west + (east - west) * chance('x', id), south + (north - south) * chance('y', id)];
    REGIONS.push({ id, name: `${PLACES[i % PLACES.length]} ${Math.floor(i / PLACES.length) + 1}`, boxes: [[x, y, x + size, y + size * 0.7]], keywords: [], languages: [], rules: [] });
    RATES[id] = 0.5 + 20 * chance('rate', id) ** 3;
  }
}

const TAGS = ['birdsong', 'harbourlights', 'photography', 'weather', 'trainspotting', 'Montréal', '東京', 'caturday', 'localelections2026', 'rugby', 'music', 'openstreetmap', 'gardening', 'bookshop', 'aVeryLongHashtagThatNeedsToBeShortened', 'tea'];
const HOSTS = ['youtu.be', 'news.example', 'example.org', 'photos.example.net', 'blog.example.com', 'maps.example', 'radio.example', 'a-rather-long-subdomain.of.example.org', 'zine.example'];
const LANGUAGES = { en: 60, es: 12, ga: 7, pl: 5, 'pt-BR': 4, fr: 4, de: 3, ja: 2, uk: 1.5, ar: 1, und: 0.5 };
const KINDS = /** @type {const} */ ({ replies: 0.27, quotes: 0.07, reposts: 0.2 });
const NETWORKS = { bluesky: 0.3, mastodon: 0.12, x: 0.58 };
const FIELDS = /** @type {const} */ (['posts', 'originals', 'replies', 'quotes', 'reposts']);

/**
 * A number from 0 to 1 that depends on the words alone.
 * @param {(string | number)[]} words
 */
function chance(...words) {
  let hash = 2166136261;
  for (const char of words.join('|')) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 15), 2246822507);
  hash = Math.imul(hash ^ (hash >>> 13), 3266489909);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4294967296;
}

/** @param {number} ms */
export const iso = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');

/** @param {number[]} numbers */
const sumOf = (numbers) => numbers.reduce((a, b) => a + b, 0);

/**
 * @param {string[]} names
 * @param {number} posts
 * @param {number} share
 */
function ranking(names, posts, share) {
  return names
    .map((name, i) => ({ name, count: Math.round((posts * share * (0.7 + 0.6 * chance(name))) / (i + 1.5)), error: i > 8 ? Math.round(posts / 4000) : 0 }))
    .filter((entry) => entry.count > 0)
    .sort((a, b) => b.count - a.count);
}

/**
 * The fields of a report that follow from its number of posts.
 * @param {number} posts
 */
function details(posts) {
  const languages = Object.entries(LANGUAGES).map(([code, part]) => /** @type {const} */ ([code, Math.round((posts * part) / 100)]));
  const point = Math.round(posts * 0.06);
  const place = Math.round(posts * 0.22);
  return {
    authorless: 0,
    languages: Object.fromEntries(languages.filter(([, n]) => n > 0)),
    other_languages: 0,
    hashtags: ranking(TAGS, posts, 0.09).map(({ name, ...entry }) => ({ tag: name, ...entry })),
    long_hashtags: posts > 20_000 ? 3 : 0,
    mentions: Math.round(posts * 0.3),
    link_hosts: ranking(HOSTS, posts, 0.06).map(({ name, ...entry }) => ({ host: name, ...entry })),
    located: { point, place, rule: 0, text: posts - point - place, all: 0 },
    lag_ms: posts ? { mean: 1240, max: 5320 } : null,
  };
}

/**
 * Posts of a network by kind.
 * @param {string} network
 * @param {number} posts
 * @param {number} start
 * @returns {NetworkCounts}
 */
function networkCounts(network, posts, start) {
  const counts = { network, posts, originals: posts, replies: 0, quotes: 0, reposts: 0 };
  for (const [kind, part] of Object.entries(KINDS)) {
    const n = Math.floor(posts * part * (0.8 + 0.4 * chance(kind, network, start)));
    counts[/** @type {keyof typeof KINDS} */ (kind)] = n;
    counts.originals -= n;
  }
  return counts;
}

/**
 * The networks of several reports as one list, by name.
 * @param {NetworkCounts[]} all
 */
function merged(all) {
  /** @type {Map<string, NetworkCounts>} */
  const byName = new Map();
  for (const counts of all) {
    const sum = byName.get(counts.network) ?? { network: counts.network, posts: 0, originals: 0, replies: 0, quotes: 0, reposts: 0 };
    for (const field of FIELDS) sum[field] += counts[field];
    byName.set(counts.network, sum);
  }
  return [...byName.values()].filter(({ posts }) => posts > 0).sort((a, b) => (a.network < b.network ? -1 : 1));
}

/**
 * @param {{ region: string, networks: NetworkCounts[], authors: number, start: number, end: number, lifecycle: Report['lifecycle'], perMinute: number[], media: number, completeness: Completeness }} parts
 * @returns {Report}
 */
function makeReport({ region, networks, authors, start, end, lifecycle, perMinute, media, completeness }) {
  /** @param {typeof FIELDS[number]} field */
  const sum = (field) => sumOf(networks.map((counts) => counts[field]));
  const posts = sum('posts');
  const slack = Math.round(authors * (authors > 64 ? 0.04 : 0));
  return {
    region, window_start: iso(start), window_end: iso(end), lifecycle, posts,
    revision: lifecycle === 'revised' ? { changed_at: iso(end + 1_800_000), why: ['late'], change: Math.min(posts, 2) } : null,
    originals: sum('originals'), replies: sum('replies'), quotes: sum('quotes'), reposts: sum('reposts'),
    authors, authors_low: authors - slack, authors_high: Math.min(posts, authors + slack), per_minute: perMinute,
    networks, media, ...details(posts), usual: null, usual_low: null, usual_high: null, reference: null, reference_share: null, completeness,
  };
}

/**
 * What is asked for; no networks for all.
 * @typedef {{ region: string, networks: string[], windowSecs: number, now: number }} Asked
 */

/** Reports of steps that are final. @type {Map<string, Report>} */
const finals = new Map();
const MOST_KEPT = 200_000;

/**
 * Makes a value the first time that it is wanted.
 * @template Value
 * @param {Map<string, Value>} kept
 * @param {string} key
 * @param {() => Value} make
 */
function once(kept, key, make) {
  const known = kept.get(key);
  if (known) return known;
  const made = make();
  if (kept.size >= MOST_KEPT) kept.clear();
  kept.set(key, made);
  return made;
}

/**
 * The report of `step` seconds from `start`, as it is known at `now`.
 * @param {Asked & { start: number, step: number }} asked
 * @returns {Report}
 */
function stepReport(asked) {
  const { region, networks, windowSecs, start, step, now } = asked;
  if (start + step * 1000 > now - LATENESS_MS) return makeStep(asked);
  return once(finals, `${region}|${networks}|${windowSecs}|${start}|${step}`, () => makeStep(asked));
}

/** Counts of minutes that have ended. @type {Map<string, NetworkCounts[]>} */
const minutes = new Map();

/** @param {Asked & { start: number, step: number }} asked */
function makeStep({ region, networks, windowSecs, start, step, now }) {
  const end = start + step * 1000;
  const stride = step > 3600 ? STRIDE : 1;
  const shares = Object.entries(NETWORKS).filter(([name]) => networks.length === 0 || networks.includes(name));
  const hasX = shares.some(([name]) => name === 'x');
  /** @type {number[]} */
  const perMinute = [];
  /** @type {NetworkCounts[]} */
  const counts = [];
  let frames = 0;
  let dropped = 0;
  let sampled = 1;
  let unwatched = false;
  for (let at = start; at < end; at += stride * MINUTE_MS) {
    const slot = Math.floor(at / SLOT_MS);
    const hour = (at / HOUR_MS) % 24;
    const away = hour > 3.2 && hour < 4.1 && chance('away', Math.floor(at / DAY_MS)) < 0.8;
    const part = Math.min(1, Math.max(0, (now - at) / MINUTE_MS));
    // One source, that of X, is sampled in the evening.
    const share = hour >= 20 && hour < 21.5 ? 0.25 : 1;
    if (hasX) sampled = Math.min(sampled, share);
    unwatched ||= away;
    if (away || part === 0) {
      perMinute.push(0);
      continue;
    }
    if (at % Math.min(windowSecs * 1000, HOUR_MS) === 0) frames += 5;
    const perMinuteRate = RATES[region] ?? 0;
    if (perMinuteRate === 0) {
      perMinute.push(0);
      continue;
    }
    if (at % SLOT_MS === 0 && chance('drop', region, slot) > 0.994) dropped += 15;
    const makeMinute = () => {
      const wave = 0.35 + 0.65 * Math.sin(((hour - 5) / 24) * Math.PI * 2) ** 2;
      const spike = chance('spike', region, slot) > 0.985 ? 2.2 : 1;
      const rate = stride * perMinuteRate * wave * spike * part * (0.75 + 0.5 * chance(region, at));
      return shares.map(([name, size]) => networkCounts(name, Math.round(rate * size * (name === 'x' ? share : 1)), at));
    };
    const minute = part < 1 ? makeMinute() : once(minutes, `${region}|${networks}|${stride}|${at}`, makeMinute);
    counts.push(...minute);
    perMinute.push(sumOf(minute.map(({ posts }) => posts)));
  }
  const posts = sumOf(perMinute);
  /** @type {Completeness['flaws']} */
  const flaws = [];
  if (unwatched) flaws.push('unwatched');
  if (dropped > 0) flaws.push('dropped');
  if (sampled < 1) flaws.push('sampled');
  return makeReport({
    region, networks: merged(counts), authors: Math.round(posts ** 0.93), start, end, perMinute: stride > 1 ? [] : perMinute,
    media: Math.round(posts * (0.3 + 0.15 * chance('media', start))),
    lifecycle: end > now - LATENESS_MS ? 'provisional' : chance('revised', start) > 0.97 ? 'revised' : 'final',
    completeness: {
      complete: frames > 0 && flaws.length === 0, flaws, frames, received: posts * 9, filtered: posts * 8, quarantined: 0, corrupt: 0, duplicates: 2,
      dropped, missed_secs: 0, withheld: 0, sampled, late: 0,
    },
  });
}

/**
 * The answer of /api/windows, with every field.
 * @param {Asked & { from: number, to: number, step: number, since?: number | null }} asked from and to lie on steps
 */
export function windowsAnswer({ from, to, step, since = null, ...asked }) {
  const { region, windowSecs, now } = asked;
  /** @type {Report[]} */
  const all = [];
  for (let start = from; start < Math.min(to, now); start += step * 1000) all.push(stepReport({ ...asked, start, step }));
  const posts = sumOf(all.map((one) => one.posts));
  /** @param {'frames' | 'received' | 'filtered' | 'dropped'} field */
  const sum = (field) => sumOf(all.map(({ completeness }) => completeness[field]));
  const flaws = [...new Set(all.flatMap(({ completeness }) => completeness.flaws))].sort();
  const total = makeReport({
    region, networks: merged(all.flatMap((one) => one.networks)), authors: Math.round(posts ** 0.83), start: from, end: to,
    lifecycle: 'provisional', perMinute: [], media: sumOf(all.map((one) => one.media)),
    completeness: {
      complete: flaws.length === 0, flaws, frames: sum('frames'), received: sum('received'), filtered: sum('filtered'), quarantined: 0, corrupt: 0,
      duplicates: 0, dropped: sum('dropped'), missed_secs: 0, withheld: 0, sampled: Math.min(1, ...all.map(({ completeness }) => completeness.sampled)), late: 0,
    },
  });
  const name = REGIONS.find(({ id }) => id === region)?.name ?? region;
  // A step has changed if it was not final then, be it that it has only become final.
  const windows = since === null ? all : all.filter(({ window_end }) => Date.parse(window_end) + LATENESS_MS >= since - CLOCK_SKEW_MS);
  return { region, name, from: iso(from), to: iso(to), window_secs: windowSecs, step_secs: step, as_of: iso(now - (now % MINUTE_MS)), total, windows };
}

/**
 * A region in the overview.
 * @param {{ id: string, name: string }} region
 * @param {{ windowSecs: number, now: number }} asked
 * @returns {import('../src/model/contract').RegionOverview}
 */
function regionOverview({ id, name }, { windowSecs, now }) {
  const asked = { region: id, networks: [], windowSecs, now };
  const hour = now - (now % HOUR_MS);
  const slots = Array.from({ length: HOUR_MS / SLOT_MS }, (_, i) => stepReport({ ...asked, start: hour + i * SLOT_MS, step: SLOT_MS / 1000 }).posts);
  const before = Array.from({ length: 23 }, (_, i) => stepReport({ ...asked, start: hour - (23 - i) * HOUR_MS, step: 3600 }).posts);
  const hours = [...before, sumOf(slots)];
  const windowMs = windowSecs * 1000;
  const start = now - (now % windowMs);
  const [last = 0, open = 0] = hours.slice(-2);
  const posts = Math.round(last * (1 - (now - hour) / HOUR_MS)) + open;
  const usual = posts > 0 ? Math.round(posts / (0.6 + 2 * chance('factor', id, hour))) : null;
  const hasPosts = sumOf(hours) > 0;
  return {
    region: id, name, hours, posts_last_hour: posts, usual, usual_low: usual && usual * 0.8, usual_high: usual && usual * 1.2, factor: usual ? posts / usual : null,
    event: null,
    latest: hasPosts ? { window_start: iso(start), posts: stepReport({ ...asked, start, step: windowSecs }).posts } : null,
    changed_at: hasPosts ? iso(newestPost(now)) : null,
  };
}

/** @param {number} now */
const newestPost = (now) => Math.floor((now - 1500) / 7000) * 7000;

/**
 * A source that is connected and has no trouble.
 * @param {number} now
 * @returns {import('../src/model/contract').Source}
 */
const source = (now) => ({
  source: 'demo', network: 'demo', status: 'connected', reason: null, problem: null, last_post: iso(newestPost(now)), connected_since: iso(now - 9_400_000),
  waiting_since: null, reconnects: 0, gaps: 0, replayed: 0, sampled: null, spent_dollars: null, updated_at: null,
});

/**
 * The answer of /api/overview.
 * @param {{ windowSecs: number, now: number, version?: string }} asked
 * @returns {import('../src/model/contract').OverviewAnswer}
 */
export function overviewAnswer({ windowSecs, now, version = '1' }) {
  const newest = newestPost(now);
  const to = now - (now % (windowSecs * 1000));
  return {
    version, updated_at: iso(now - (now % MINUTE_MS)), now: iso(now), window_secs: windowSecs, newest_post: iso(newest),
    freshness_secs: Math.round((now - newest) / 1000), lag_ms: { mean: 1240, max: 5320 },
    hours_from: iso(now - (now % HOUR_MS) - 23 * HOUR_MS), hour_secs: 3600,
    regions: REGIONS.map((region) => regionOverview(region, { windowSecs, now })),
    sources: [
      { ...source(now), source: 'bluesky', network: 'bluesky', reconnects: 1 },
      {
        ...source(now), source: 'x', network: 'x', status: 'waiting', reason: 'the log-in was refused', last_post: iso(now - 620_000),
        connected_since: null, waiting_since: iso(now - 600_000), reconnects: 4, gaps: 1, sampled: 0.25, spent_dollars: 12.5,
      },
      { ...source(now), source: 'mastodon:social.example', network: 'mastodon' },
    ],
    problems: [],
    ledger: {
      from: iso(to - DAY_MS), to: iso(to), received: 4_812_433, filtered: 4_731_020, quarantined: 3, duplicates: 412, dropped: 9, sent: 80_989,
      aggregated: 80_981, late: 8, corrupt: 0, corrupt_records: 0, corrupt_windows: 0, missing: 0, balanced: true,
    },
  };
}
