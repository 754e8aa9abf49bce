// Tests of the pure shaping from API answers to what is shown.
import { describe, expect, it } from 'vitest';
import {
  authorSeries, authorsTable, barsSummary, barsTable, coveredText, freshnessTile, gapSpans, hashtagBars, hostBars, kindSeries, languageBars,
  ledgerRows, ledgerTitle, locatedBars, longHashtagsNote, parseTime, postsSummary, postsTable, problemText, rateNow, readAnswer, readWindow, sourceChips, sourcesTable, tiles, timeTicks,
  windowQuery, windowRemarks,
} from '../src/shape.js';
import { rangeById } from '../src/url-state.js';

const START = Date.UTC(2026, 10, 24, 8, 0);
const MINUTE = 60_000;
const iso = (ms) => new Date(ms).toISOString();

function window(index, changes = {}) {
  const start = START + index * 5 * MINUTE;
  return {
    region: 'r', window_start: iso(start), window_end: iso(start + 5 * MINUTE), lifecycle: 'final',
    posts: 10, originals: 4, replies: 3, quotes: 1, reposts: 2, authors: 8, authors_low: 7, authors_high: 9,
    per_minute: [2, 2, 2, 2, 2], completeness: { complete: true, frames: 5, dropped: 0 }, ...changes,
  };
}

const gone = { posts: 0, originals: 0, replies: 0, quotes: 0, reposts: 0, authors: 0, per_minute: [0, 0, 0, 0, 0], completeness: { complete: false, frames: 0 } };
const sampled = { complete: false, flaws: ['sampled'], frames: 5, dropped: 0, sampled: 0.25 };
const NOW = START + 22 * MINUTE;
const answerOf = (windows, total = {}) => readAnswer({ region: 'r', name: 'R', window_secs: 300, step_secs: 300, windows, total }, NOW);

describe('windowQuery', () => {
  it('ends with the open step, also exactly on one, and begins the whole range before it', () => {
    const at = (nowMs) => windowQuery({ region: 'r', range: rangeById('24h'), nowMs });
    expect(at(START + MINUTE)).toEqual({
      region: 'r', from: '2026-11-23T08:00:00Z', to: '2026-11-24T08:15:00Z', step: '15m', endsInPast: false,
    });
    expect(at(START).to).toBe('2026-11-24T08:15:00Z');
  });

  it('is never shorter than it is called, nor longer by more than the open step', () => {
    for (const id of ['1h', '6h', '24h', '7d']) {
      const range = rangeById(id);
      for (let nowMs = START; nowMs < START + 61 * MINUTE; nowMs += 17_001) {
        const covered = nowMs - parseTime(windowQuery({ region: 'r', range, nowMs }).from);
        expect(covered).toBeGreaterThanOrEqual(range.secs * 1000);
        expect(covered).toBeLessThan((range.secs + range.stepSecs) * 1000);
      }
    }
  });

  it('comes with the time that it covers', () => {
    const at = (ms) => [new Date(ms).getHours(), new Date(ms).getMinutes()].map((n) => String(n).padStart(2, '0')).join(':');
    const text = coveredText({ from: START, to: START + 65 * MINUTE }, START + 62 * MINUTE);
    expect(text).toContain(`${at(START)}–${at(START + 62 * MINUTE)}`);
    expect(coveredText({ from: START, to: START + 60 * MINUTE }, START + 9000 * MINUTE)).toContain(`${at(START)}–${at(START + 60 * MINUTE)}`);
    expect(coveredText({ from: null, to: null }, NOW)).toBe('');
  });

  it('asks the same throughout a step, so that answers can be cached', () => {
    const at = (nowMs) => windowQuery({ region: 'r', range: rangeById('1h'), nowMs });
    expect(at(START + 1)).toEqual(at(START + 4 * MINUTE));
  });

  it('ends with the newest post when that is long ago', () => {
    const query = windowQuery({ region: 'r', range: rangeById('1h'), nowMs: START + 86_400_000, newestMs: START + MINUTE });
    expect(query).toMatchObject({ to: '2026-11-24T08:05:00Z', endsInPast: true });
    expect(windowQuery({ region: 'r', range: rangeById('7d'), nowMs: START + 86_400_000, newestMs: START }).endsInPast).toBe(false);
  });
});

describe('readWindow', () => {
  it('fills in what is missing', () => {
    const read = readWindow({ window_start: iso(START), originals: 2, reposts: 1 }, NOW);
    expect(read).toMatchObject({ start: START, end: START + 5 * MINUTE, posts: 3, authors: 0, perMinute: [], gap: null, unfinished: false });
    expect(readWindow(null, NOW)).toMatchObject({ posts: 0 });
  });

  it('tells gaps from what is not finished and what has not begun', () => {
    const read = (index, changes) => readWindow(window(index, changes), NOW);
    expect(read(0, gone)).toMatchObject({ gap: 'silent', unfinished: false });
    expect(read(0, { ...gone, lifecycle: 'provisional' })).toMatchObject({ gap: 'silent', unfinished: false });
    expect(read(0, { completeness: { complete: false, frames: 4, dropped: 2 } })).toMatchObject({ gap: 'partial', dropped: 2 });
    expect(read(0, { completeness: sampled })).toMatchObject({ gap: 'sampled', share: 0.25 });
    expect(read(0, { completeness: { ...sampled, flaws: ['dropped', 'sampled'] } })).toMatchObject({ gap: 'partial', share: 0.25 });
    expect(read(0, {})).toMatchObject({ gap: null, share: 1, flaws: [] });
    expect(read(3, { lifecycle: 'provisional', completeness: { complete: false, frames: 4 } })).toMatchObject({ gap: null, unfinished: true });
    expect(read(4, { ...gone, lifecycle: 'provisional' })).toMatchObject({ gap: null, unfinished: true, future: false });
    expect(read(5, { ...gone, lifecycle: 'provisional' })).toMatchObject({ gap: null, unfinished: false, future: true });
  });

  it('keeps the estimate within its band', () => {
    expect(readWindow(window(0, { authors: 8, authors_low: 9, authors_high: 7 }), NOW)).toMatchObject({ authorsLow: 8, authorsHigh: 8 });
    expect(readWindow(window(0, { authors_low: undefined, authors_high: null }), NOW)).toMatchObject({ authorsLow: 8, authorsHigh: 8 });
  });
});

describe('readAnswer', () => {
  it('takes the total as the API gives it, and sums up what it lacks', () => {
    const given = answerOf([window(0)], { posts: 99, originals: 90, authors: 50, authors_low: 45, authors_high: 55 });
    expect(given.total).toMatchObject({ posts: 99, kinds: { original: 90, repost: 2 }, authors: 50, authorsLow: 45, authorsHigh: 55 });
    const summed = answerOf([window(0), window(1)]);
    expect(summed.total).toMatchObject({ posts: 20, kinds: { repost: 4 }, authors: null });
  });

  it('survives an empty object', () => {
    expect(readAnswer({}, NOW)).toMatchObject({ windows: [], from: null, total: { posts: 0 } });
  });

  it('puts windows in order of time', () => {
    expect(answerOf([window(1), window(0)]).windows.map((w) => w.start)).toEqual([START, START + 5 * MINUTE]);
  });
});

describe('series', () => {
  const { windows } = answerOf([window(0), window(1, gone), window(2, gone), window(3), window(5)]);

  it('stacks the kinds at the middle of each window, and leaves gaps empty', () => {
    const series = kindSeries(windows);
    expect(series.map((one) => one.key)).toEqual(['original', 'reply', 'quote', 'repost']);
    expect(series[0].points).toEqual([4, null, null, 4, null].map((y, i) => ({ x: windows[i].middle, y })));
    expect(windows[0].middle).toBe(START + 2.5 * MINUTE);
  });

  it('draws authors with their band', () => {
    const { low, authors, high } = authorSeries(windows);
    expect([low[0].y, authors[0].y, high[0].y]).toEqual([7, 8, 9]);
    expect(low[1].y).toBeNull();
  });

  it('joins neighbouring gaps of one kind', () => {
    expect(gapSpans(windows)).toEqual([{ kind: 'silent', start: START + 5 * MINUTE, end: START + 15 * MINUTE }]);
    const mixed = answerOf([window(0, gone), window(1, { completeness: { complete: false, frames: 1 } }), window(3, gone)]).windows;
    expect(gapSpans(mixed).map((span) => span.kind)).toEqual(['silent', 'partial', 'silent']);
    const shares = answerOf([window(0, { completeness: sampled }), window(1, { completeness: { ...sampled, sampled: 0.5 } }), window(2)]).windows;
    expect(gapSpans(shares)).toEqual([{ kind: 'sampled', start: START, end: START + 10 * MINUTE }]);
    expect(kindSeries(shares)[0].points[0].y).toBe(4);
  });
});

describe('timeTicks', () => {
  const clock = (ticks) => ticks.map(({ value }) => new Date(value).toISOString().slice(11, 16));

  it('lies at round times within the range', () => {
    expect(clock(timeTicks(START - 7 * MINUTE, START + 53 * MINUTE, 6))).toEqual(['08:00', '08:10', '08:20', '08:30', '08:40', '08:50']);
    expect(clock(timeTicks(START - 86_400_000, START, 8))).toEqual(['09:00', '12:00', '15:00', '18:00', '21:00', '00:00', '03:00', '06:00']);
  });

  it('goes over to days for long ranges', () => {
    expect(timeTicks(START - 7 * 86_400_000, START, 7)).toHaveLength(7);
    expect(timeTicks(START - 7 * 86_400_000, START, 3).length).toBeLessThanOrEqual(3);
    expect(timeTicks(START, START, 5)).toEqual([]);
    expect(timeTicks(undefined, undefined, 5)).toEqual([]);
  });
});

describe('bars', () => {
  it('ranks hashtags and hosts with their errors', () => {
    const total = {
      hashtags: [{ tag: 'b', count: 3, error: 1 }, { tag: '#a', count: 5 }, { tag: 'none', count: 0 }, null, { count: 4 }],
      linkHosts: [{ host: 'x.example', count: 2, error: 0 }],
    };
    expect(hashtagBars(total)).toEqual([{ label: '#a', value: 5, error: 0 }, { label: '#b', value: 3, error: 1 }]);
    expect(hashtagBars(total, 1)).toHaveLength(1);
    expect(hostBars(total)).toEqual([{ label: 'x.example', value: 2, error: 0 }]);
  });

  it('joins the rare languages, and codes of one name', () => {
    const bars = languageBars({ languages: { en: 9, und: 1, '': 2, fr: 5, de: 4, es: 3 } }, 3);
    expect(bars).toEqual([
      { label: 'English', value: 9, error: 0 }, { label: 'French', value: 5, error: 0 }, { label: 'German', value: 4, error: 0 },
      { label: '2 others', value: 6, error: 0 },
    ]);
    expect(languageBars({})).toEqual([]);
    expect(languageBars({ languages: { en: 9 }, otherLanguages: 4 })).toEqual([{ label: 'English', value: 9, error: 0 }, { label: 'All others', value: 4, error: 0 }]);
    expect([0, 2].map((longHashtags) => longHashtagsNote({ longHashtags }))).toEqual(['', '2 hashtags longer than the limit not counted.']);
  });

  it('says how posts were placed', () => {
    expect(locatedBars({ located: { text: 7, point: 2, rule: 0 } }).map((bar) => [bar.label, bar.value])).toEqual([['Text match', 7], ['Own coordinates', 2]]);
  });
});

describe('rateNow', () => {
  it('takes the last full minutes', () => {
    const { windows } = answerOf([window(3, { per_minute: [1, 1, 1, 4, 4] }), window(4, { per_minute: [6, 6, 99, 0, 0] })]);
    expect(rateNow(windows, NOW + 30_000)).toBe((1 + 4 + 4 + 6 + 6) / 5);
  });

  it('does with windows that do not tell minutes', () => {
    const { windows } = answerOf([window(3, { per_minute: [] }), window(4, { per_minute: [] })]);
    expect(rateNow(windows, NOW)).toBe(5);
    expect(rateNow([], NOW)).toBeNull();
  });
});

describe('tiles', () => {
  const status = { now: iso(NOW), newest_post: iso(NOW - 4000), lag_ms: { mean: 1200, max: 3000 } };
  const read = (windows, total, other = status) => Object.fromEntries(
    tiles({ answer: answerOf(windows, total), status: other, nowMs: NOW, rangeText: 'in the last hour' }).map((tile) => [tile.id, tile]),
  );

  it('sums up the range', () => {
    const all = read([window(0), window(1), window(4, { lifecycle: 'provisional' })], { authors: 20, authors_low: 19, authors_high: 21 });
    expect(all.posts.value).toBe('30');
    expect(all.reposts).toMatchObject({ value: '20%', note: '6 of 30 posts' });
    expect(all.authors).toMatchObject({ value: '≈ 20', note: '95% sure: 19 to 21' });
    expect(all.freshness).toMatchObject({ value: '4 s', tone: 'good' });
    expect(all.completeness).toMatchObject({ value: '100%', note: 'all 2 windows complete', tone: 'good' });
  });

  it('owns up to gaps', () => {
    const all = read([window(0), window(1, gone), window(2, { completeness: { complete: false, frames: 2, dropped: 3 } })], { completeness: { dropped: 3 } });
    expect(all.completeness).toMatchObject({ value: '33%', note: 'of 3 windows: 1 without data, 1 incomplete, 3 posts dropped', tone: 'bad' });
  });

  it('counts sampled windows apart, and warns of them', () => {
    const all = read([window(0, { completeness: sampled }), window(1)]);
    expect(all.completeness).toMatchObject({ value: '50%', note: 'of 2 windows: 1 sampled', tone: 'warn' });
  });

  it('marks each number of a sample as one', () => {
    const counts = { posts: 94, reposts: 47, authors: 20, authors_low: 19, authors_high: 21 };
    const one = { completeness: { ...sampled, sampled: 0.01 } };
    const all = read([window(3, one), window(4, { ...one, lifecycle: 'provisional' })], counts);
    expect(all.posts).toMatchObject({ value: '≥ 94', note: 'in the last hour; sample of 1%' });
    expect(all.rate).toMatchObject({ value: '≥ 2', note: 'mean of the last 5 full minutes; sample of 1%' });
    expect(all.authors).toMatchObject({ value: '≥ 19', note: 'sample of 1%' });
    expect(all.reposts).toMatchObject({ value: '≈ 50%', note: '47 of 94 posts; sample of 1%' });
    const part = read([window(0, one), window(4)], counts);
    expect(part.posts).toMatchObject({ value: '≥ 94', note: 'in the last hour; partly a sample of 1%' });
    expect(part.rate).toMatchObject({ value: '2', note: 'mean of the last 5 full minutes' });
  });

  it('says what is known of the number of authors', () => {
    const authors = (total) => read([window(0)], total).authors;
    expect(authors({ authors: 7, authors_low: 7, authors_high: 7 })).toMatchObject({ value: '7', note: 'exact' });
    expect(authors({ authors: 1, authors_low: 1, authors_high: 300, authorless: 300 })).toMatchObject({ value: '1 to 300', note: '300 posts without author' });
  });

  it('calls steps steps and windows windows', () => {
    const answer = readAnswer({ window_secs: 300, step_secs: 900, windows: [{ ...window(0), window_end: iso(START + 15 * MINUTE) }] }, NOW);
    const tile = tiles({ answer, status, nowMs: NOW }).find(({ id }) => id === 'completeness');
    expect(tile.note).toBe('all 1 step of 15 min complete');
  });

  it('says when the rate is of an archive, whose age is no alarm', () => {
    const old = { newest_post: iso(START + 9 * MINUTE), sources: [] };
    const all = Object.fromEntries(tiles({ answer: answerOf([window(0), window(1)]), status: old, nowMs: NOW + 86_400_000 }).map((tile) => [tile.id, tile]));
    expect(all.rate.note).toMatch(/^mean of 5 minutes up to .*24 Nov/);
    expect(all.freshness).toMatchObject({ value: '1 d', tone: 'plain' });
  });

  it('has something to say when there is nothing', () => {
    const all = read([], {}, null);
    expect(all.posts.value).toBe('0');
    expect(all.rate.value).toBe('–');
    expect(all.authors.value).toBe('–');
    expect(all.reposts.value).toBe('–');
    expect(all.freshness).toMatchObject({ value: '–', note: 'no post seen yet' });
    expect(all.completeness).toMatchObject({ value: '–', tone: 'plain' });
  });

  it('warns of old data', () => {
    expect(freshnessTile({ newest_post: iso(NOW - 300_000) }, NOW)).toMatchObject({ value: '5 min', tone: 'warn' });
    expect(freshnessTile({ newest_post: iso(NOW - 7_200_000) }, NOW).tone).toBe('bad');
    expect(freshnessTile({ newest_post: iso(NOW + 9000) }, NOW).value).toBe('0 s');
    expect(freshnessTile({ newest_post: null, freshness_secs: 8 }, NOW).value).toBe('8 s');
  });
});

describe('status', () => {
  it('gives each state of a source a tone', () => {
    const tone = (state) => sourceChips({ sources: [{ source: 's', state }] }, NOW)[0].tone;
    expect(['connected', 'live', 'streaming', 'running'].map(tone)).toEqual(Array(4).fill('good'));
    expect(['connecting', 'reconnecting', 'backing_off', 'backoff', 'waiting', 'silent'].map(tone)).toEqual(Array(6).fill('warn'));
    expect(['disconnected', 'failed', 'down', 'stopped', 'stale'].map(tone)).toEqual(Array(5).fill('bad'));
    expect(['finished', undefined].map(tone)).toEqual(['plain', 'plain']);
  });

  it('tells of a source what is known', () => {
    const [chip] = sourceChips({ sources: [{ source: 's', state: 'backing_off', last_post: iso(NOW - 60_000), reconnects: 1 }] }, NOW);
    expect(chip).toMatchObject({ name: 's', state: 'backing off', details: 'last post 1 min ago · 1 reconnect' });
    expect(sourceChips(null, NOW)).toEqual([]);
    const [all] = sourceChips({
      sources: [{
        source: 'x', state: 'stale', reason: 'the streamer has told nothing since then', last_post: iso(NOW - 60_000), connected_since: iso(NOW - 3_600_000),
        reconnects: 2, gaps: 1, sampled: 0.25, spent_dollars: 12.5, told: iso(NOW - 120_000),
      }],
    }, NOW);
    expect([chip.short, all.short]).toEqual(['', '25 % · $12.50']);
    expect(all.details).toBe('last post 1 min ago · connected for 1 h · 2 reconnects · 1 gap · sampled at 25 % · $12.50 spent this month · the streamer has told nothing since then');
  });

  it('holds a row a source', () => {
    const { head, rows } = sourcesTable({
      sources: [
        { source: 'x', state: 'waiting', reason: 'another connection', last_post: iso(NOW - 60_000), connected_since: null, reconnects: 1200, gaps: 1, sampled: 0.25, spent_dollars: 12.5 },
        { source: 'bluesky', state: 'connected', connected_since: iso(NOW - 3_600_000), reconnects: 0, gaps: 0 },
        {},
      ],
    }, NOW);
    expect(rows).toEqual([
      ['x', 'waiting', '–', '1 min', '1,200', '1', '25 %', '$12.50', 'another connection'],
      ['bluesky', 'connected', '1 h', '–', '0', '0', 'all posts', '–', '–'],
      ['source', 'unknown', '–', '–', '–', '–', 'all posts', '–', '–'],
    ]);
    expect(rows.every((row) => row.length === head.length)).toBe(true);
    expect(sourcesTable(null, NOW).rows).toEqual([]);
  });

  it('lists the ledger and marks its flaws', () => {
    const rows = ledgerRows({ ledger: { received: 10, dropped: 1, late: 0, other: 5 } });
    expect(rows.map((row) => [row.key, row.value, row.flaw])).toEqual([['received', '10', false], ['dropped', '1', true], ['late', '0', false]]);
    expect(ledgerRows({})).toEqual([]);
    expect(ledgerTitle({ ledger: {} })).toBe('Ledger of all regions: where every post went');
    expect(ledgerTitle({ ledger: { from: iso(START - 86_400_000), to: iso(START) } })).toMatch(/^Ledger of all regions, Mon,? 23 Nov, .* – Tue,? 24 Nov, .*: where/);
  });
});

describe('tables and summaries', () => {
  it('holds the numbers of the chart, newest first, without the future', () => {
    const { head, rows } = postsTable(answerOf([window(0), window(1, gone), window(5)]).windows);
    expect(head).toHaveLength(7);
    expect(rows.map((row) => row.at(-1))).toEqual(['no data', 'final']);
    expect(rows[1].slice(1, 6)).toEqual(['10', '4', '3', '1', '2']);
    const flawed = [{ completeness: sampled }, { completeness: { ...sampled, flaws: ['missed', 'sampled'], missed_secs: 60 } }, {}, { lifecycle: 'provisional', completeness: sampled }];
    const states = (table) => table(answerOf(flawed.map((changes, i) => window(i, changes))).windows).rows.map((row) => row.at(-1));
    const asked = "only 25% of a source's posts were asked for";
    const wanted = [`unfinished; ${asked}`, 'final', `incomplete; a source was away for 1 min; ${asked}`, `sampled; ${asked}`];
    expect(states(postsTable)).toEqual(wanted);
    expect(states(authorsTable)).toEqual(wanted);
  });

  it('has error and share columns only where asked for', () => {
    const bars = [{ label: '#a', value: 5, error: 1 }];
    expect(barsTable(bars, 'Hashtag', { errors: true, all: 10 })).toEqual({ head: ['Hashtag', 'Posts, at least', 'Up to … more', 'Share'], rows: [['#a', '5', '1', '50% to 60%']] });
    expect(barsTable(bars, 'Hashtag').head).toHaveLength(2);
    // A count is never too high; a share is not above all posts, and exact where the count is.
    const exact = [{ label: '#a', value: 9, error: 0 }, { label: '#b', value: 8, error: 5 }];
    expect(barsTable(exact, 'Hashtag', { errors: true, all: 10 }).rows).toEqual([['#a', '9', '0', '90%'], ['#b', '8', '5', '80% to 100%']]);
    expect(barsSummary('Top hashtags', [{ label: '#storm', value: 2375, error: 625 }])).toContain('#storm 2,375 (up to 625 more)');
  });

  it('says what keeps posts from being stored', () => {
    expect(problemText({ problems: [] })).toBeNull();
    expect(problemText(null)).toBeNull();
    expect(problemText({ problems: ['x: the log is full', 'windows cannot be stored'] })).toBe(
      'Posts are not stored at present: x: the log is full; windows cannot be stored. What is shown may be incomplete.',
    );
  });

  it('says in a sentence what a chart shows', () => {
    expect(postsSummary(answerOf([window(0), window(1, gone), window(2, { posts: 30 })]))).toMatch(/40 posts, most \(30\) in .*, 1 gap\./);
    expect(postsSummary(answerOf([window(0), window(1, { completeness: sampled })]))).toMatch(/, 1 window sampled, at 25% at the lowest\. The/);
    expect(postsSummary(answerOf([window(0)]))).toMatch(/\d\. The numbers/);
    expect(postsSummary(answerOf([]))).toMatch(/no windows/);
    expect(barsSummary('Top hashtags', [{ label: '#a', value: 5 }])).toBe('Top hashtags: #a 5. The numbers are in the table below.');
    expect(barsSummary('Languages', [])).toBe('Languages: none in this range.');
  });

  it('remarks on what is special about a window', () => {
    expect(windowRemarks(readWindow(window(0), NOW))).toEqual([]);
    expect(windowRemarks(readWindow(window(0, { completeness: { complete: false, frames: 1, dropped: 1 } }), NOW))).toEqual(['Incomplete', '1 post dropped: log away, spool full']);
    const all = { complete: false, flaws: ['unwatched', 'missed', 'dropped', 'unreadable', 'corrupt', 'sampled'], frames: 1, dropped: 2, missed_secs: 90, quarantined: 1, corrupt: 2, sampled: 0.5 };
    expect(windowRemarks(readWindow(window(0, { completeness: all }), NOW))).toEqual([
      'Incomplete', 'Nobody listened all the time', 'A source was away for 1 min', '2 posts dropped: log away, spool full',
      '1 line could not be read', 'Log or store damaged, 2 posts missing: a reprocess may restore them',
      "Only 50% of a source's posts were asked for",
    ]);
    expect(windowRemarks(readWindow(window(0, { completeness: sampled }), NOW))).toEqual(["Only 25% of a source's posts were asked for"]);
    expect(windowRemarks(readWindow(window(3, { lifecycle: 'provisional', completeness: sampled }), NOW))).toEqual([
      "Only 25% of a source's posts were asked for", 'Unfinished: still counting',
    ]);
    expect(windowRemarks(readWindow(window(5, { completeness: sampled }), NOW))).toEqual([]);
    expect(windowRemarks(readWindow(window(0, { lifecycle: 'revised' }), NOW))).toEqual(['Revised by late posts']);
  });
});

it('reads times, or nothing', () => {
  expect(parseTime('2026-11-24T08:00:00Z')).toBe(START);
  expect(parseTime('soon')).toBeNull();
  expect(parseTime(null)).toBeNull();
});
