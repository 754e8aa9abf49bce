// @ts-check
// Two to eight series side by side: regions, hashtags of one region, or one region and the same time before. Pure functions.

import { readAnswer } from './answer.js';
import { count, isoSecond, list, parseTime } from './values.js';

/**
 * @typedef {import('./contract').Loose<import('./contract').WindowsAnswer>} LooseAnswer
 * @typedef {import('./answer.js').Window} Window
 * @typedef {'regions' | 'tags' | 'periods'} Mode
 * @typedef {'posts' | 'rate' | 'share' | 'index'} Measure
 * @typedef {{ mode: Mode, regions: string[], tags: string[], periods: string[], region: string | null, measure: Measure }} Comparison
 *   `region` is the one whose hashtags or periods are compared
 * @typedef {{ start: number, end: number, posts: number, high: number, usual: number | null, all: number | null, minutes: number, window: Window }} Step
 *   `posts` is a lower bound and `high` an upper one; `all` is what a share is of; `minutes` have passed of it
 * @typedef {{ key: string, label: string, shiftMs: number, steps: Step[] }} Line `shiftMs` is how much earlier its time is than that of the chart
 */

export const MODES = /** @type {const} */ (['regions', 'tags', 'periods']);
export const MEASURES = /** @type {const} */ (['posts', 'rate', 'share', 'index']);
/** The earlier times that a region can be compared with, in days. @type {Record<string, number>} */
export const PERIOD_DAYS = { day: 1, week: 7, fortnight: 14, month: 28 };
export const LEAST_LINES = 2;
export const MOST_LINES = 8;
/** Where fewer posts than this are usual in a step, an index says nothing. */
const LEAST_USUAL = 1;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const LONGEST_TAG = 140;

/** @param {string | undefined} text */
const names = (text) => [...new Set((text ?? '').split(',').map((name) => name.trim()).filter(Boolean))];

/** A hashtag as it is written in the address: without its sign. @param {string} text */
export const cleanTag = (text) => text.trim().replace(/^[#\uff03]+/u, '').replace(/[\s,]+/gu, '').slice(0, LONGEST_TAG);

/**
 * What the address asks for. Too many names are cut; a measure that does not fit is the first one.
 * @param {Readonly<Record<string, string | undefined>>} choices
 * @param {string | null} region
 * @returns {Comparison}
 */
export function readComparison(choices, region) {
  const [regions, tags] = [names(choices.regions), names(choices.tags).map(cleanTag).filter(Boolean)];
  const periods = names(choices.periods).filter((id) => id in PERIOD_DAYS);
  /** @type {Mode} */
  const mode = choices.tags !== undefined && choices.tags !== '' ? 'tags' : periods.length > 0 ? 'periods' : 'regions';
  const measure = MEASURES.find((one) => one === choices.measure) ?? 'posts';
  return {
    mode,
    regions: regions.slice(0, MOST_LINES),
    tags: [...new Map(tags.map((tag) => [tag.toLowerCase(), tag])).values()].slice(0, MOST_LINES),
    periods: periods.slice(0, MOST_LINES - 1),
    region,
    measure: mode === 'periods' && measure === 'share' ? 'posts' : measure,
  };
}

/** Measures that make sense: a period is no share of anything. @param {Mode} mode */
export const measuresOf = (mode) => MEASURES.filter((one) => one !== 'share' || mode !== 'periods');

/** How many lines a comparison has. @param {Comparison} comparison */
export const linesOf = ({ mode, regions, tags, periods, region }) => (mode === 'regions' ? regions.length : !region ? 0 : mode === 'tags' ? tags.length : periods.length + 1);

/** Whether there are enough lines to compare. @param {Comparison} comparison */
export const isEnough = (comparison) => linesOf(comparison) >= LEAST_LINES;

/**
 * The same names with one more or one less; unchanged when there is no room for one more.
 * @param {readonly string[]} chosen
 * @param {string} name
 */
export function toggled(chosen, name, most = MOST_LINES) {
  if (chosen.includes(name)) return chosen.filter((one) => one !== name);
  return chosen.length < most ? [...chosen, name] : [...chosen];
}

/**
 * A range so many days earlier.
 * @param {{ from: string, to: string }} range
 * @param {string} period
 */
export function earlierBy({ from, to }, period) {
  const shiftMs = (PERIOD_DAYS[period] ?? 0) * DAY_MS;
  return { from: isoSecond((parseTime(from) ?? 0) - shiftMs), to: isoSecond((parseTime(to) ?? 0) - shiftMs) };
}

/**
 * @param {Window} window
 * @param {number} nowMs
 * @param {{ posts?: number, high?: number, usual?: unknown }} [counts] in place of those of the window
 * @returns {Step}
 */
function stepOf(window, nowMs, { posts = window.posts, high = posts, usual = window.report.usual } = {}) {
  const minutes = Math.max(1, (Math.min(window.end, nowMs) - window.start) / MINUTE_MS);
  return { start: window.start, end: window.end, posts, high, usual: typeof usual === 'number' ? usual : null, all: null, minutes, window };
}

/**
 * Lines of several regions. A share is of all posts of the regions that are compared.
 * @param {readonly (LooseAnswer | null)[]} answers
 * @param {{ order: readonly string[], nameOf: (region: string) => string, nowMs: number }} about
 * @returns {Line[]}
 */
export function regionLines(answers, { order, nameOf, nowMs }) {
  const byRegion = new Map(list(answers).map((answer) => [answer.region ?? '', readAnswer(answer, nowMs)]));
  /** @type {Map<number, number>} */
  const all = new Map();
  const lines = order.flatMap((region) => {
    const answer = byRegion.get(region);
    if (!answer) return [];
    const steps = answer.windows.map((window) => stepOf(window, nowMs));
    for (const { start, posts } of steps) all.set(start, (all.get(start) ?? 0) + posts);
    return [{ key: region, label: nameOf(region), shiftMs: 0, steps }];
  });
  for (const { steps } of lines) for (const step of steps) step.all = all.get(step.start) ?? null;
  return lines;
}

/**
 * Lines of hashtags in a region. A share is of all posts of the region.
 * @param {readonly (import('../api.js').Series | null)[]} series one per hashtag, in order
 * @param {{ tags: readonly string[], base: LooseAnswer | null, nowMs: number }} about `base` are the counts of the region in the same steps
 * @returns {Line[]}
 */
export function tagLines(series, { tags, base, nowMs }) {
  const windows = new Map(readAnswer(base, nowMs).windows.map((window) => [window.start, window]));
  return tags.flatMap((tag, i) => {
    const one = series[i];
    if (!one) return [];
    const steps = list(one.steps).flatMap((step) => {
      const window = windows.get(parseTime(step.start) ?? NaN);
      if (!window || step.is_known === false) return [];
      const posts = count(step.posts);
      return [{ ...stepOf(window, nowMs, { posts, high: Math.max(posts, count(step.posts_high)), usual: step.usual }), all: window.posts }];
    });
    return [{ key: tag.toLowerCase(), label: `#${tag}`, shiftMs: 0, steps }];
  });
}

/**
 * Lines of one region now and at earlier times, whose steps are moved to the time of the first.
 * @param {LooseAnswer | null} current
 * @param {readonly (LooseAnswer | null)[]} earlier
 * @param {{ periods: readonly string[], labelOf: (period: string) => string, nowMs: number }} about `labelOf('')` names the time that is shown
 * @returns {Line[]}
 */
export function periodLines(current, earlier, { periods, labelOf, nowMs }) {
  return ['', ...periods].flatMap((period, i) => {
    const answer = i === 0 ? current : earlier[i - 1];
    const shiftMs = (PERIOD_DAYS[period] ?? 0) * DAY_MS;
    if (!answer) return [];
    const steps = readAnswer(answer, nowMs).windows.map((window) => stepOf(window, nowMs)).map((step) => ({ ...step, start: step.start + shiftMs, end: step.end + shiftMs }));
    return [{ key: period || 'now', label: labelOf(period), shiftMs, steps }];
  });
}

/** Whether anything is known of a step. @param {Step} step */
export const isKnownStep = ({ window }) => !window.future && window.gap !== 'silent';

/** @param {Pick<Step, 'posts' | 'usual' | 'all' | 'minutes'>} counts @param {Measure} measure */
function measured({ posts, usual, all, minutes }, measure) {
  switch (measure) {
    case 'rate': return posts / minutes;
    case 'share': return all ? (100 * posts) / all : null;
    case 'index': return usual !== null && usual >= LEAST_USUAL ? (100 * posts) / usual : null;
    default: return posts;
  }
}

/**
 * A step in a measure: posts, posts per minute, percent, or 100 for what is usual. Null where it is not known. The step that
 * is still open has no index: what is usual is that of the whole step.
 * @param {Step} step
 * @param {Measure} measure
 */
export function valueOf(step, measure) {
  if (!isKnownStep(step) || (measure === 'index' && step.window.isOpen)) return null;
  return measured(step, measure);
}

/**
 * The sums of a line over the steps that are known. The index is over the steps that have ended and have a usual count.
 * @param {Line} line
 */
export function totalsOf({ steps }) {
  const known = steps.filter(isKnownStep);
  const sum = (/** @type {Step[]} */ some, /** @type {(step: Step) => number} */ pick) => some.reduce((total, step) => total + pick(step), 0);
  const judged = known.filter(({ usual, window }) => usual !== null && !window.isOpen);
  const all = known.some((step) => step.all !== null) ? sum(known, (step) => step.all ?? 0) : null;
  const [posts, minutes] = [sum(known, (step) => step.posts), sum(known, (step) => step.minutes)];
  return {
    posts,
    high: sum(known, (step) => step.high),
    rate: minutes > 0 ? posts / minutes : null,
    share: all ? (100 * posts) / all : null,
    index: judged.length > 0 ? measured({ posts: sum(judged, (step) => step.posts), usual: sum(judged, (step) => step.usual ?? 0), all: null, minutes }, 'index') : null,
    isExact: known.every(({ posts: low, high }) => low === high),
  };
}

/** All starts of steps, in their order. @param {readonly Line[]} lines */
export const startsOf = (lines) => [...new Set(lines.flatMap(({ steps }) => steps.map(({ start }) => start)))].sort((a, b) => a - b);

/** How many digits a number of the file has. @param {number | null} n */
const digits = (n) => (n === null ? '' : Number(n.toFixed(3)));

/**
 * The comparison as a sheet, one row per line and step; the times are those of the counts, not those of the chart.
 * @param {readonly Line[]} lines
 * @returns {import('./sheets.js').Sheet}
 */
export const compareSheet = (lines) => ({
  name: 'compare',
  columns: ['series', 'start', 'end', 'state', 'flaws', 'posts', 'posts_high', 'posts_per_minute', 'share_percent', 'usual', 'index'],
  rows: lines.flatMap(({ label, shiftMs, steps }) => steps.filter(({ window }) => !window.future).map((step) => {
    const isKnown = isKnownStep(step);
    return [
      label, new Date(step.start - shiftMs).toISOString(), new Date(step.end - shiftMs).toISOString(), step.window.gap ?? step.window.lifecycle, step.window.flaws.join(' '),
      isKnown ? step.posts : '', isKnown ? step.high : '', digits(valueOf(step, 'rate')), digits(valueOf(step, 'share')), digits(step.usual), digits(valueOf(step, 'index')),
    ];
  })),
});
