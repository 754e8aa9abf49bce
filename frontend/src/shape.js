// Turns what the API answers into what the page shows: tiles, series, bars, gaps and tables.
// Pure functions: no DOM, no Chart.js, no clock of their own. Missing fields count as zero.

import {
  formatCount, formatDay, formatClock, formatDayClock, formatDuration, formatMillis, formatRate, formatShare, formatSpan,
  languageName, plural,
} from './format.js';

/** The four kinds of post, in the order in which they are stacked. */
export const KINDS = [
  { key: 'original', field: 'originals', label: 'Original' },
  { key: 'reply', field: 'replies', label: 'Reply' },
  { key: 'quote', field: 'quotes', label: 'Quote' },
  { key: 'repost', field: 'reposts', label: 'Repost' },
];

const LOCATED = [
  { key: 'point', label: 'Own coordinates', note: 'the post carries coordinates inside the region' },
  { key: 'place', label: 'Named place', note: 'the place the post names overlaps the region' },
  { key: 'rule', label: 'Source rule', note: "the source's own rule for the region matched" },
  { key: 'text', label: 'Text match', note: 'a keyword, hashtag or language of the region matched' },
  { key: 'all', label: 'Takes every post', note: 'the region takes every post' },
];

const count = (n) => (typeof n === 'number' && Number.isFinite(n) && n > 0 ? n : 0);
const list = (value) => (Array.isArray(value) ? value : []);

/** Milliseconds of a time in the API's form; null when there is none. */
export function parseTime(text) {
  const ms = typeof text === 'string' ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

const isoSecond = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');

/**
 * What to ask /api/windows for: the whole steps of the range, and the step that is open now, so that
 * the range is never shorter than its name. When the newest post is older than half the range (a
 * replay, or a source long away), it ends with the newest post instead.
 */
export function windowQuery({ region, range, nowMs, newestMs = null }) {
  const stepMs = range.stepSecs * 1000;
  const spanMs = range.secs * 1000;
  const old = newestMs !== null && nowMs - newestMs > spanMs / 2;
  const open = Math.floor((old ? newestMs : nowMs) / stepMs) * stepMs;
  return { region, from: isoSecond(open - spanMs), to: isoSecond(open + stepMs), step: range.step, endsInPast: old };
}

/** The time that the numbers of an answer cover, as text; of a step that is open, what has passed. */
export function coveredText({ from, to }, nowMs) {
  return from === null || to === null ? '' : formatSpan(from, Math.max(from, Math.min(to, nowMs)));
}

/** One window with every field in place. `nowMs` tells what has ended. */
export function readWindow(raw, nowMs, stepMs = 300_000) {
  const start = parseTime(raw?.window_start) ?? 0;
  const end = parseTime(raw?.window_end) ?? start + stepMs;
  const kinds = Object.fromEntries(KINDS.map(({ key, field }) => [key, count(raw?.[field])]));
  const sum = Object.values(kinds).reduce((a, b) => a + b, 0);
  const completeness = raw?.completeness ?? {};
  const authors = count(raw?.authors);
  const future = start >= nowMs;
  const unfinished = !future && raw?.lifecycle === 'provisional';
  const silent = completeness.frames === 0;

  const flaws = list(completeness.flaws);
  let gap = null;
  if (!future && end <= nowMs) {
    if (silent) gap = 'silent';
    else if (!unfinished && completeness.complete === false) gap = flaws.length === 1 && flaws[0] === 'sampled' ? 'sampled' : 'partial';
  }
  return {
    start,
    end,
    middle: (start + end) / 2,
    lifecycle: raw?.lifecycle ?? 'final',
    future,
    // A window of which nothing came has nothing to hatch.
    unfinished: unfinished && gap === null,
    gap,
    posts: typeof raw?.posts === 'number' ? count(raw.posts) : sum,
    kinds,
    authors,
    authorsLow: Math.min(authors, count(raw?.authors_low ?? authors)),
    authorsHigh: Math.max(authors, count(raw?.authors_high ?? authors)),
    perMinute: list(raw?.per_minute).map(count),
    flaws,
    dropped: count(completeness.dropped),
    quarantined: count(completeness.quarantined),
    missedSecs: count(completeness.missed_secs),
    withheld: count(completeness.withheld),
    corrupt: count(completeness.corrupt),
    // The smallest share of its posts that a source was asked for; 1 is all.
    share: typeof completeness.sampled === 'number' ? completeness.sampled : 1,
    late: count(completeness.late),
  };
}

/** The answer of /api/windows with every field in place, windows in order of time. */
export function readAnswer(answer, nowMs) {
  const stepMs = (count(answer?.step_secs) || count(answer?.window_secs) || 300) * 1000;
  const windows = list(answer?.windows)
    .map((raw) => readWindow(raw, nowMs, stepMs))
    .sort((a, b) => a.start - b.start);
  const total = answer?.total ?? {};
  const summed = (pick) => windows.reduce((sum, window) => sum + pick(window), 0);
  const kinds = Object.fromEntries(
    KINDS.map(({ key, field }) => [key, typeof total[field] === 'number' ? count(total[field]) : summed((w) => w.kinds[key])]),
  );
  const authors = typeof total.authors === 'number' ? count(total.authors) : null;
  return {
    region: answer?.region ?? null,
    name: answer?.name ?? answer?.region ?? '',
    from: parseTime(answer?.from) ?? windows[0]?.start ?? null,
    to: parseTime(answer?.to) ?? windows.at(-1)?.end ?? null,
    stepMs,
    windowMs: count(answer?.window_secs) * 1000 || stepMs,
    windows,
    total: {
      posts: typeof total.posts === 'number' ? count(total.posts) : summed((w) => w.posts),
      kinds,
      authors,
      authorsLow: authors === null ? null : Math.min(authors, count(total.authors_low ?? authors)),
      authorsHigh: authors === null ? null : Math.max(authors, count(total.authors_high ?? authors)),
      authorless: count(total.authorless),
      mentions: count(total.mentions),
      lag: total.lag_ms ?? null,
      dropped: count(total.completeness?.dropped),
      languages: total.languages ?? {},
      otherLanguages: count(total.other_languages),
      hashtags: list(total.hashtags),
      longHashtags: count(total.long_hashtags),
      linkHosts: list(total.link_hosts),
      located: total.located ?? {},
    },
  };
}

const MINUTE = 60_000;
const TICK_STEPS = [5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE);

/** At most about `max` ticks between two times, at round local hours and days. */
export function timeTicks(from, to, max) {
  if (!(to > from)) return [];
  const step = TICK_STEPS.find((one) => (to - from) / one <= max) ?? null;
  const days = step === null ? Math.max(1, Math.ceil((to - from) / (1440 * MINUTE) / max)) : 1;
  const ticks = [];
  const midnight = new Date(from);
  midnight.setHours(0, 0, 0, 0);
  while (midnight.getTime() <= to) {
    const next = new Date(midnight);
    next.setDate(next.getDate() + days);
    for (let at = midnight.getTime(); at < next.getTime() && at <= to; at += step ?? Infinity) {
      if (at >= from) ticks.push({ value: at });
    }
    midnight.setTime(next.getTime());
  }
  return ticks;
}

/** Spans of time without (all) data, by `gap`: silent, partial or sampled; neighbours of one kind joined. */
export function gapSpans(windows) {
  const spans = [];
  for (const { gap, start, end } of windows) {
    const last = spans.at(-1);
    if (gap === null) continue;
    if (last && last.kind === gap && last.end === start) last.end = end;
    else spans.push({ kind: gap, start, end });
  }
  return spans;
}

/** Points of the stacked bars, one series for each kind; nothing where nothing is known. */
export function kindSeries(windows) {
  return KINDS.map(({ key, label }) => ({
    key,
    label,
    points: windows.map((w) => ({ x: w.middle, y: w.future || w.gap === 'silent' ? null : w.kinds[key] })),
  }));
}

/** Points of the authors line and of its band. */
export function authorSeries(windows) {
  const points = (pick) => windows.map((w) => ({ x: w.middle, y: w.future || w.gap === 'silent' ? null : pick(w) }));
  return {
    authors: points((w) => w.authors),
    low: points((w) => w.authorsLow),
    high: points((w) => w.authorsHigh),
  };
}

const byCount = (a, b) => b.value - a.value || a.label.localeCompare(b.label);

/** Top entries of a counted list. A count is never too high; `error` is by how much it may be too low. */
function topBars(entries, name, label, limit) {
  return list(entries)
    .filter((entry) => entry && typeof entry[name] === 'string' && count(entry.count) > 0)
    .map((entry) => ({ label: label(entry[name]), value: count(entry.count), error: count(entry.error) }))
    .sort(byCount)
    .slice(0, limit);
}

export const hashtagBars = (total, limit = 12) => topBars(total.hashtags, 'tag', (tag) => `#${tag.replace(/^#/, '')}`, limit);
export const hostBars = (total, limit = 8) => topBars(total.linkHosts, 'host', (host) => host, limit);

/** How many hashtags have no count since they are too long; an empty text when none. */
export function longHashtagsNote({ longHashtags }) {
  return longHashtags > 0 ? `${plural(longHashtags, 'hashtag')} longer than the limit not counted.` : '';
}

/** Posts by language, the most frequent ones by name, the rest as one bar. */
export function languageBars(total, limit = 7) {
  const byName = new Map();
  for (const [code, n] of Object.entries(total.languages ?? {})) {
    if (count(n) > 0) byName.set(languageName(code), (byName.get(languageName(code)) ?? 0) + count(n));
  }
  const all = [...byName].map(([label, value]) => ({ label, value, error: 0 })).sort(byCount);
  const nameless = count(total.otherLanguages);
  if (all.length <= limit + 1 && nameless === 0) return all;
  const rest = all.slice(limit);
  const value = rest.reduce((sum, bar) => sum + bar.value, nameless);
  return [...all.slice(0, limit), { label: nameless ? 'All others' : `${rest.length} others`, value, error: 0 }];
}

/** Posts by the way their region was decided. */
export function locatedBars(total) {
  return LOCATED.map(({ key, label, note }) => ({ label, note, value: count(total.located?.[key]), error: 0 }))
    .filter((bar) => bar.value > 0)
    .sort(byCount);
}

/**
 * Posts per minute over the last full minutes (five at most) before `refMs`. Null when no minute
 * is known.
 */
export function rateNow(windows, refMs, minutes = 5) {
  const limit = Math.floor(refMs / 60_000) * 60_000;
  const known = [];
  for (const window of windows) {
    const slots = window.perMinute.length;
    if (window.future || slots === 0 || Math.round((window.end - window.start) / slots) !== 60_000) continue;
    window.perMinute.forEach((n, i) => {
      const at = window.start + i * 60_000;
      if (at + 60_000 <= limit && at >= limit - minutes * 60_000) known.push(n);
    });
  }
  if (known.length > 0) return known.reduce((a, b) => a + b, 0) / known.length;
  // Coarse windows say nothing about minutes: the newest one that has posts, over its elapsed time.
  const newest = windows.findLast((w) => !w.future && w.start < refMs && w.gap !== 'silent');
  if (!newest) return null;
  const elapsed = (Math.min(newest.end, refMs) - newest.start) / 60_000;
  return newest.posts / Math.max(1, elapsed);
}

/** Seconds since the newest post; null when there is none. */
export function freshnessSecs(status, nowMs) {
  const newest = parseTime(status?.newest_post);
  if (newest !== null) return Math.max(0, (nowMs - newest) / 1000);
  return typeof status?.freshness_secs === 'number' ? status.freshness_secs : null;
}

/** The tile on freshness alone: it ticks each second. */
export function freshnessTile(status, nowMs) {
  const secs = freshnessSecs(status, nowMs);
  const lag = status?.lag_ms;
  let tone = 'plain';
  // Without a source there is only an archive, and its age is no fault.
  const isArchive = Array.isArray(status?.sources) && status.sources.length === 0;
  if (secs !== null && !isArchive) tone = secs > 900 ? 'bad' : secs > 120 ? 'warn' : 'good';
  return {
    id: 'freshness',
    value: secs === null ? '–' : formatDuration(secs),
    note: secs === null ? 'no post seen yet'
      : lag ? `lag ${formatMillis(lag.mean)} mean, ${formatMillis(lag.max)} worst` : 'since the newest post',
    tone,
  };
}

/** How the numbers of windows are marked of which some were sampled; null when none was. */
export function sampleMark(windows) {
  const seen = windows.filter((w) => !w.future && w.gap !== 'silent');
  const shares = seen.map((w) => w.share).filter((share) => share < 1);
  if (shares.length === 0) return null;
  const part = shares.length < seen.length ? 'partly a ' : '';
  return `${part}sample of ${formatShare(Math.min(...shares), 1)}`;
}

/** The number of authors: exact, an estimate, or what is known at least. */
function authorsTile({ authors, authorsLow, authorsHigh, authorless }, sample) {
  const tile = (value, ...notes) => ({ id: 'authors', value, note: notes.filter(Boolean).join('; '), tone: 'plain' });
  if (authors === null) return tile('–', 'none in this range');
  if (authors === 0) return tile('0', 'none in this range');
  const [low, high] = [formatCount(authorsLow), formatCount(authorsHigh)];
  const nameless = authorless > 0 && `${plural(authorless, 'post')} without author`;
  if (sample) return tile(`≥ ${low}`, sample, nameless);
  if (authorsLow === authorsHigh) return tile(low, 'exact');
  if (nameless) return tile(`${low} to ${high}`, nameless);
  return tile(`≈ ${formatCount(authors)}`, `95% sure: ${low} to ${high}`);
}

/** The summary of the range, tile by tile. */
export function tiles({ answer, status, nowMs, rangeText = '' }) {
  const { total, windows, stepMs, windowMs } = answer;
  const { kinds } = total;
  const sample = sampleMark(windows);
  const atLeast = sample ? '≥ ' : '';
  const noted = (note, mark = sample) => [note, mark].filter(Boolean).join('; ');
  const newest = parseTime(status?.newest_post);
  // Without fresh posts "now" is where the data ends.
  const refMs = newest !== null && nowMs - newest > 600_000 ? newest + 60_000 : nowMs;
  const rate = rateNow(windows, refMs);
  const rateSample = sampleMark(windows.filter((w) => w.start < refMs && w.end > refMs - 300_000));

  const ended = windows.filter((w) => !w.future && w.end <= nowMs);
  const silent = ended.filter((w) => w.gap === 'silent').length;
  const partial = ended.filter((w) => w.gap === 'partial').length;
  const sampled = ended.filter((w) => w.gap === 'sampled').length;
  const whole = ended.length - silent - partial - sampled;
  const steps = (n) => (stepMs === windowMs ? plural(n, 'window') : `${plural(n, 'step')} of ${formatDuration(stepMs / 1000)}`);
  const flaws = [
    silent && `${formatCount(silent)} without data`,
    partial && `${formatCount(partial)} incomplete`,
    sampled && `${formatCount(sampled)} sampled`,
    total.dropped && `${plural(total.dropped, 'post')} dropped`,
  ].filter(Boolean);

  return [
    {
      id: 'posts',
      value: `${atLeast}${formatCount(total.posts)}`,
      note: noted(rangeText),
      tone: 'plain',
    },
    {
      id: 'rate',
      value: rate === null ? '–' : `${rateSample ? '≥ ' : ''}${formatRate(rate)}`,
      note: noted(refMs === nowMs ? 'mean of the last 5 full minutes' : `mean of 5 minutes up to ${formatDayClock(refMs)}`, rateSample),
      tone: 'plain',
    },
    authorsTile(total, sample),
    {
      id: 'reposts',
      value: sample && total.posts > 0 ? `≈ ${formatShare(kinds.repost, total.posts)}` : formatShare(kinds.repost, total.posts),
      note: noted(`${formatCount(kinds.repost)} of ${plural(total.posts, 'post')}`),
      tone: 'plain',
    },
    freshnessTile(status, nowMs),
    {
      id: 'completeness',
      value: formatShare(whole, ended.length),
      note: ended.length === 0 ? 'no window has ended yet'
        : flaws.length ? `of ${steps(ended.length)}: ${flaws.join(', ')}` : `all ${steps(ended.length)} complete`,
      tone: ended.length === 0 ? 'plain' : whole === ended.length && !total.dropped ? 'good' : (whole + sampled) / ended.length < 0.9 ? 'bad' : 'warn',
    },
  ];
}

/** Sources with a tone for their state; the state itself is shown as a word. */
export function sourceChips(status, nowMs) {
  return list(status?.sources).map((source) => {
    const state = String(source?.state ?? 'unknown');
    const tone = /disconnect|down|fail|error|stopp|stale|refus|closed|dead|denied|unauthor/i.test(state) ? 'bad'
      : /connecting|reconnect|retry|back(ing)?.?off|wait|silent|idle|start|throttl|limit/i.test(state) ? 'warn'
        : /connected|live|stream|ok|up|run|active|read/i.test(state) ? 'good' : 'plain';
    const last = parseTime(source?.last_post);
    const since = parseTime(source?.connected_since);
    const details = [
      last === null ? 'no post yet' : `last post ${formatDuration((nowMs - last) / 1000)} ago`,
      since !== null && `connected for ${formatDuration((nowMs - since) / 1000)}`,
      typeof source?.reconnects === 'number' && plural(source.reconnects, 'reconnect'),
      source?.gaps > 0 && plural(source.gaps, 'gap'),
      sampledText(source) && `sampled at ${sampledText(source)}`,
      spentText(source) && `${spentText(source)} spent this month`,
      source?.reason,
    ].filter(Boolean);
    const short = [sampledText(source), spentText(source)].filter(Boolean).join(' · ');
    return { name: String(source?.source ?? 'source'), state: state.replace(/_/g, ' '), tone, short, details: details.join(' · ') };
  });
}

const sampledText = (source) => typeof source?.sampled === 'number' && `${Math.round(source.sampled * 100)} %`;
const spentText = (source) => typeof source?.spent_dollars === 'number' && `$${source.spent_dollars.toFixed(2)}`;

/** What is known of each source, for who wants to know more than its chip tells. */
export function sourcesTable(status, nowMs) {
  const ago = (text) => {
    const ms = parseTime(text);
    return ms === null ? '–' : formatDuration((nowMs - ms) / 1000);
  };
  return {
    head: ['Source', 'State', 'Connected for', 'Last post, age', 'Reconnects', 'Gaps', 'Asked for', 'Spent this month', 'Why'],
    rows: list(status?.sources).map((source) => [
      String(source?.source ?? 'source'),
      String(source?.state ?? 'unknown').replace(/_/g, ' '),
      ago(source?.connected_since),
      ago(source?.last_post),
      formatCount(source?.reconnects),
      formatCount(source?.gaps),
      sampledText(source) || 'all posts',
      spentText(source) || '–',
      String(source?.reason ?? '–'),
    ]),
  };
}

const LEDGER = [
  ['received', 'Received', 'read from the sources'],
  ['filtered', 'Filtered', 'in no region'],
  ['quarantined', 'Quarantined', 'could not be read'],
  ['duplicates', 'Duplicates', 'seen before'],
  ['dropped', 'Dropped', 'given up: the log was away and the spool full'],
  ['sent', 'Sent', 'handed to the aggregator'],
  ['aggregated', 'Aggregated', 'counted in windows'],
  ['late', 'Late', 'came after their window had closed'],
  ['corrupt', 'Corrupt', 'in damaged records of the log'],
  ['missing', 'Missing', 'sent and in no window'],
];

/** What keeps posts from being stored, such as a full disk; null when all is well. */
export function problemText(status) {
  const problems = list(status?.problems).filter((problem) => typeof problem === 'string');
  return problems.length ? `Posts are not stored at present: ${problems.join('; ')}. What is shown may be incomplete.` : null;
}

/** What the ledger covers: all regions, and its time when the API says so. */
export function ledgerTitle(status) {
  const [from, to] = [parseTime(status?.ledger?.from), parseTime(status?.ledger?.to)];
  const time = from !== null && to !== null ? `, ${formatSpan(from, to)}` : '';
  return `Ledger of all regions${time}: where every post went`;
}

/** The ledger of posts, in the order in which they pass through. */
export function ledgerRows(status) {
  const ledger = status?.ledger;
  if (!ledger) return [];
  return LEDGER.filter(([key]) => typeof ledger[key] === 'number')
    .map(([key, label, note]) => ({ key, label, note, value: formatCount(ledger[key]), flaw: /dropped|quarantined|late|corrupt|missing/.test(key) && ledger[key] > 0 }));
}

/** Why the counts of a window are too low. That it was sampled counts before it has ended, too. */
function flawReasons(w) {
  const partial = w.gap === 'partial';
  return [
    partial && w.flaws.includes('unwatched') && 'nobody listened all the time',
    partial && w.missedSecs > 0 && `a source was away for ${formatDuration(w.missedSecs)}`,
    partial && w.dropped > 0 && `${plural(w.dropped, 'post')} dropped: log away, spool full`,
    partial && w.withheld > 0 && `${plural(w.withheld, 'post')} withheld by the source`,
    partial && w.quarantined > 0 && `${plural(w.quarantined, 'line')} could not be read`,
    partial && w.flaws.includes('corrupt') && `log or store damaged${w.corrupt > 0 ? `, ${plural(w.corrupt, 'post')} missing` : ''}: a reprocess may restore them`,
    !w.future && w.share < 1 && `only ${formatShare(w.share, 1)} of a source's posts were asked for`,
  ].filter(Boolean);
}

const STATES = { silent: 'no data', partial: 'incomplete', sampled: 'sampled' };

function stateText(w) {
  const state = STATES[w.gap] ?? (w.unfinished ? 'unfinished' : w.lifecycle);
  return [state, ...flawReasons(w)].join('; ');
}

/** Lines that say in a tooltip what is special about a window. */
export function windowRemarks(w) {
  const remarks = [];
  if (w.gap === 'silent') remarks.push('No data came in this time');
  if (w.gap === 'partial') remarks.push('Incomplete');
  remarks.push(...flawReasons(w).map((why) => why.charAt(0).toUpperCase() + why.slice(1)));
  if (w.unfinished) remarks.push('Unfinished: still counting');
  if (w.lifecycle === 'revised') remarks.push('Revised by late posts');
  return remarks;
}

/** Numbers of the posts chart as a table, newest first. */
export function postsTable(windows) {
  return {
    head: ['Window', 'Posts', ...KINDS.map((kind) => kind.label), 'State'],
    rows: windows.filter((w) => !w.future).reverse().map((w) => [
      formatSpan(w.start, w.end), formatCount(w.posts), ...KINDS.map(({ key }) => formatCount(w.kinds[key])), stateText(w),
    ]),
  };
}

/** Numbers of the authors chart as a table, newest first. */
export function authorsTable(windows) {
  return {
    head: ['Window', 'Authors, about', 'At least (95%)', 'At most (95%)', 'State'],
    rows: windows.filter((w) => !w.future).reverse().map((w) => [
      formatSpan(w.start, w.end), formatCount(w.authors), formatCount(w.authorsLow), formatCount(w.authorsHigh), stateText(w),
    ]),
  };
}

/** Share of a bar in all posts: from what it has at least to what it has at most. */
export function shareText({ value, error = 0 }, all) {
  const [low, high] = [formatShare(value, all), formatShare(Math.min(all, value + error), all)];
  return low === high ? low : `${low} to ${high}`;
}

/** `up to 3 more`, or nothing for a count that is exact. */
export const moreText = ({ error = 0 }) => (error > 0 ? `up to ${formatCount(error)} more` : '');

/** Numbers of a bar chart as a table; the error column only where counts may be too low. */
export function barsTable(bars, what, { errors = false, all = 0 } = {}) {
  return {
    head: [what, errors ? 'Posts, at least' : 'Posts', ...(errors ? ['Up to … more'] : []), ...(all ? ['Share'] : [])],
    rows: bars.map((bar) => [
      bar.label, formatCount(bar.value), ...(errors ? [formatCount(bar.error)] : []), ...(all ? [shareText(bar, all)] : []),
    ]),
  };
}

/** One sentence on the posts chart for those who do not see it. */
export function postsSummary(answer) {
  const { windows, total } = answer;
  const seen = windows.filter((w) => !w.future);
  if (seen.length === 0) return 'Posts per window: no windows in this range.';
  const peak = seen.reduce((a, b) => (b.posts > a.posts ? b : a));
  const gaps = gapSpans(windows).filter((span) => span.kind !== 'sampled').length;
  const sampled = seen.filter((w) => w.share < 1);
  const least = Math.min(...sampled.map((w) => w.share));
  return `Posts per window by kind, ${formatDay(seen[0].start)} ${formatClock(seen[0].start)} to ${formatDay(seen.at(-1).end)} ${formatClock(seen.at(-1).end)}: `
    + `${plural(total.posts, 'post')}, most (${formatCount(peak.posts)}) in ${formatSpan(peak.start, peak.end)}`
    + `${gaps ? `, ${plural(gaps, 'gap')}` : ''}`
    + `${sampled.length ? `, ${plural(sampled.length, 'window')} sampled, at ${formatShare(least, 1)} at the lowest` : ''}. The numbers are in the table below.`;
}

/** One sentence on a bar chart. */
export function barsSummary(title, bars) {
  if (bars.length === 0) return `${title}: none in this range.`;
  return `${title}: ${bars.slice(0, 3).map((bar) => `${bar.label} ${formatCount(bar.value)}${bar.error > 0 ? ` (${moreText(bar)})` : ''}`).join(', ')}${bars.length > 3 ? ' and more' : ''}. The numbers are in the table below.`;
}
