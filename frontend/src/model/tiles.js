// @ts-check
// The summary of the range, tile by tile.

import { formatCount, formatDayClock, formatDuration, formatRate, formatShare, formatSpan } from '../format.js';
import { t } from '../i18n.js';
import { STATE_FIELDS } from './fields.js';
import { sampleMark } from './flaws.js';
import { freshnessTile } from './freshness.js';
import { rateNow } from './rate.js';
import { count, parseTime } from './values.js';

/**
 * @typedef {'plain' | 'good' | 'warn' | 'bad'} Tone
 * @typedef {import('../view/svg.js').SparkStep} SparkStep
 * @typedef {{ id: string, value: string, note: string, tone: Tone, spark?: SparkStep[] }} Tile `spark` is its line over the range
 * @typedef {import('./answer.js').Answer} Answer
 * @typedef {import('./answer.js').Window} Window
 */

/** Without a post for this long, "now" is where the data ends. */
const QUIET_MS = 600_000;
const RATE_MS = 300_000;
/** The counts of minutes are small in ranges up to this; in longer ones they would be most of an answer. */
const MINUTES_SECS = 86_400;

/**
 * What the tiles read. Without counts of minutes, the rate is the mean of a step.
 * @param {{ secs: number }} range
 * @returns {import('./fields.js').Reads}
 */
export const tileReads = ({ secs }) => ({
  steps: [...STATE_FIELDS, 'posts', 'reposts', 'authors', 'usual_low', 'usual_high', ...(secs <= MINUTES_SECS ? [/** @type {const} */ ('per_minute')] : [])],
  total: ['posts', 'reposts', 'authors', 'authors_low', 'authors_high', 'authorless', 'completeness'],
});

/** @param {(string | null | false)[]} notes */
const joined = (...notes) => notes.filter(Boolean).join(t('list.semicolon'));

/**
 * The number of authors: exact, an estimate, or a lower bound.
 * @param {Answer['total']} total
 * @param {string | null} sample
 * @returns {Tile}
 */
function authorsTile({ authors: counts, authorless }, sample) {
  /**
   * @param {string} value
   * @param {(string | null | false)[]} notes
   * @returns {Tile}
   */
  const tile = (value, ...notes) => ({ id: 'authors', value, note: joined(...notes), tone: 'plain' });
  if (counts === null) return tile('–', t('tile.noneInRange'));
  const { authors, authorsLow, authorsHigh } = counts;
  if (authors === 0) return tile('0', t('tile.noneInRange'));
  const [low, high] = [formatCount(authorsLow), formatCount(authorsHigh)];
  const nameless = authorless > 0 && t('tile.authorless', { n: authorless });
  if (sample) return tile(t('tile.atLeast', { value: low }), sample, nameless);
  if (authorsLow === authorsHigh) return tile(low, t('tile.exact'));
  if (nameless) return tile(t('tile.between', { low, high }), nameless);
  return tile(t('tile.about', { value: authors }), t('tile.sure', { low, high }));
}

/**
 * How many of the windows that have ended are complete.
 * @param {Answer} answer
 * @param {number} nowMs
 * @returns {Tile}
 */
function completenessTile({ windows, total, stepMs, windowMs }, nowMs) {
  const ended = windows.filter((w) => !w.future && w.end <= nowMs);
  if (ended.length === 0) return { id: 'completeness', value: '–', note: t('tile.noWindowEnded'), tone: 'plain' };
  /** @param {import('./answer.js').Gap | null} gap */
  const having = (gap) => ended.filter((w) => w.gap === gap).length;
  const [whole, silent, partial, sampled] = [having(null), having('silent'), having('partial'), having('sampled')];
  const steps = stepMs === windowMs ? t('tile.windows', { n: ended.length }) : t('tile.steps', { n: ended.length, length: formatDuration(stepMs / 1000) });
  const flaws = [
    silent && t('tile.silent', { n: silent }),
    partial && t('tile.partial', { n: partial }),
    sampled && t('tile.sampled', { n: sampled }),
    total.dropped && t('tile.dropped', { n: total.dropped }),
  ].filter(Boolean);
  return {
    id: 'completeness',
    value: formatShare(whole, ended.length),
    note: flaws.length ? t('tile.flaws', { steps, flaws: flaws.join(', ') }) : t('tile.allComplete', { steps }),
    tone: whole === ended.length && !total.dropped ? 'good' : total.dropped ? 'bad' : 'warn',
  };
}

/** Steps of the lines of tiles: more are not seen in so small a drawing, and neighbours are drawn as one. */
const MOST_STEPS = 96;
/** Minutes of the line of posts per minute. */
const RATE_MINUTES = 60;

/**
 * The line of a tile: the steps that have ended, in groups of equal length.
 * @param {readonly Window[]} windows
 * @param {(group: readonly Window[]) => SparkStep} of
 */
function line(windows, of) {
  const ended = windows.filter((w) => !w.future && !w.isOpen);
  const size = Math.ceil(ended.length / MOST_STEPS);
  return size === 0 ? [] : Array.from({ length: Math.floor(ended.length / size) }, (_, i) => of(ended.slice(i * size, (i + 1) * size)));
}

/** @param {readonly Window[]} group @param {(w: Window) => number} pick */
const sum = (group, pick) => group.reduce((all, w) => all + pick(w), 0);
/** @param {readonly Window[]} group */
const isSilent = (group) => group.every(({ gap }) => gap === 'silent');
/** What is missing of a group. @param {readonly Window[]} group */
const gapOf = (group) => (isSilent(group) ? 'silent' : group.find(({ gap }) => gap !== null)?.gap === 'sampled' ? 'sampled' : group.some(({ gap }) => gap !== null) ? 'partial' : null);
/** The usual number of a group; null where it is not known for all of it. @param {readonly Window[]} group @param {'usual_low' | 'usual_high'} field */
const usualOf = (group, field) => (group.every(({ report }) => typeof report[field] === 'number') ? sum(group, ({ report }) => Number(report[field])) : null);

/** Posts over the range with the usual range. @param {readonly Window[]} windows */
const postsLine = (windows) => line(windows, (group) => ({
  posts: isSilent(group) ? null : sum(group, ({ posts }) => posts), low: usualOf(group, 'usual_low'), high: usualOf(group, 'usual_high'), gap: gapOf(group),
}));
/** Distinct authors of a step, on average: those of several steps do not add up. @param {readonly Window[]} windows */
const authorsLine = (windows) => line(windows, (group) => ({ posts: isSilent(group) ? null : sum(group, ({ report }) => count(report.authors)) / group.length, gap: gapOf(group) }));
/** The share of reposts. @param {readonly Window[]} windows */
const repostsLine = (windows) => line(windows, (group) => {
  const posts = sum(group, (w) => w.posts);
  return { posts: posts === 0 ? null : sum(group, ({ report }) => count(report.reposts)) / posts, gap: gapOf(group) };
});
/** The last minutes that are full. @param {readonly Window[]} windows @param {number} nowMs */
const minutesLine = (windows, nowMs) => windows.flatMap(({ start, perMinute, gap }) => perMinute.flatMap((posts, i) => (start + (i + 1) * 60_000 <= nowMs ? [{ posts: gap === 'silent' ? null : posts, gap }] : []))).slice(-RATE_MINUTES);

/**
 * How many posts a minute are usual in the last hour; empty when that is not known.
 * @param {{ usual_low?: number | null, usual_high?: number | null } | null | undefined} region of the overview
 */
export function rateUsualText(region) {
  const [low, high] = [region?.usual_low, region?.usual_high];
  return typeof low === 'number' && typeof high === 'number' ? t('tile.rateUsual', { low: formatRate(low / 60), high: formatRate(high / 60) }) : '';
}

/**
 * @param {{ answer: Answer, overview: import('./freshness.js').LooseOverview | null, nowMs: number, rangeText?: string }} shown
 * @returns {Tile[]}
 */
export function tiles({ answer, overview, nowMs, rangeText = '' }) {
  const { total, windows } = answer;
  const sample = sampleMark(windows);
  const newest = parseTime(overview?.newest_post);
  const refMs = newest !== null && nowMs - newest > QUIET_MS ? newest + 60_000 : nowMs;
  const rate = rateNow(windows, refMs);
  const rateSample = sampleMark(windows.filter((w) => w.start < refMs && w.end > refMs - RATE_MS));
  const rateTime = rate?.step ? t('tile.meanOf', { span: formatSpan(rate.step.start, rate.step.end) })
    : refMs === nowMs ? t('tile.meanNow') : t('tile.meanUntil', { time: formatDayClock(refMs) });
  const reposts = formatShare(total.reposts, total.posts);
  return [
    { id: 'posts', value: sample ? t('tile.atLeast', { value: total.posts }) : formatCount(total.posts), note: joined(rangeText, sample), tone: 'plain', spark: postsLine(windows) },
    {
      id: 'rate',
      value: rate === null ? '–' : rateSample ? t('tile.atLeast', { value: formatRate(rate.rate) }) : formatRate(rate.rate),
      note: joined(rateTime, rateSample),
      tone: 'plain',
      spark: minutesLine(windows, refMs),
    },
    { ...authorsTile(total, sample), spark: authorsLine(windows) },
    {
      id: 'reposts',
      value: sample && total.posts > 0 ? t('tile.about', { value: reposts }) : reposts,
      note: joined(t('tile.repostsOf', { reposts: total.reposts, n: total.posts }), sample),
      tone: 'plain',
      spark: repostsLine(windows),
    },
    freshnessTile(overview, nowMs),
    completenessTile(answer, nowMs),
  ];
}
