// @ts-check
// The summary of the range, tile by tile.

import { formatCount, formatDayClock, formatDuration, formatRate, formatShare, formatSpan } from '../format.js';
import { t } from '../i18n.js';
import { STATE_FIELDS } from './fields.js';
import { sampleMark } from './flaws.js';
import { freshnessTile } from './freshness.js';
import { rateNow } from './rate.js';
import { parseTime } from './values.js';

/**
 * @typedef {'plain' | 'good' | 'warn' | 'bad'} Tone
 * @typedef {{ id: string, value: string, note: string, tone: Tone }} Tile
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
  steps: [...STATE_FIELDS, 'posts', ...(secs <= MINUTES_SECS ? [/** @type {const} */ ('per_minute')] : [])],
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
    { id: 'posts', value: sample ? t('tile.atLeast', { value: total.posts }) : formatCount(total.posts), note: joined(rangeText, sample), tone: 'plain' },
    {
      id: 'rate',
      value: rate === null ? '–' : rateSample ? t('tile.atLeast', { value: formatRate(rate.rate) }) : formatRate(rate.rate),
      note: joined(rateTime, rateSample),
      tone: 'plain',
    },
    authorsTile(total, sample),
    {
      id: 'reposts',
      value: sample && total.posts > 0 ? t('tile.about', { value: reposts }) : reposts,
      note: joined(t('tile.repostsOf', { reposts: total.reposts, n: total.posts }), sample),
      tone: 'plain',
    },
    freshnessTile(overview, nowMs),
    completenessTile(answer, nowMs),
  ];
}
