// @ts-check
// What is unusual now: the regions in their order, and sentences about them. Pure functions.

import { formatClock, formatCount, formatDayClock, formatRate, formatShare, plural } from '../format.js';
import { count, list, parseTime } from './values.js';

/**
 * @typedef {import('./contract').Loose<import('./contract').OverviewAnswer>} LooseOverview
 * @typedef {import('./contract').Loose<import('./contract').Event>} LooseEvent
 * @typedef {'unusual' | 'usual' | 'unjudged'} Group
 * @typedef {'up' | 'down' | null} Direction
 * @typedef {{
 *   id: string, name: string, group: Group, direction: Direction, posts: number | null, usual: number | null, low: number | null, high: number | null,
 *   factor: number | null, event: LooseEvent | null, hours: number[],
 * }} RegionNow `posts` are those of the last hour; `direction` says on which side of the usual range they are
 * @typedef {{ text: string, tone: 'plain' | 'up' | 'down' | 'muted' }} Part a piece of a sentence
 */

/** Without an event, a count is unusual only beyond this factor: one hour in five is outside the usual range by chance. */
const CLEAR_FACTOR = 2;
/** A factor closer to 1 is not worth a place in a sentence. */
const SAID_FACTOR = 1.25;
/** After this long, a rise has faded, although its event may still be open. */
const FADED_MS = 1_200_000;
const DAY_MS = 86_400_000;
const MOST_NAMED = 2;
const UNUSUAL_KINDS = ['rising', 'spike', 'drop', 'silence'];

/** @param {unknown} n */
const numberOf = (n) => (typeof n === 'number' && Number.isFinite(n) ? n : null);

/**
 * The name of what an event is about: `#Goal`, a host, or a network; empty for a region.
 * @param {import('./contract').Loose<import('./contract').Subject> | null | undefined} subject
 */
export function subjectText(subject) {
  if (!subject?.name || subject.type === 'region') return '';
  return subject.type === 'hashtag' ? `#${subject.name.replace(/^#/, '')}` : subject.name;
}

/**
 * A factor as text: `4.4×`. Factors of a hundred and more come from next to nothing, and have no digits worth reading.
 * @param {number} factor
 */
export const factorText = (factor) => (factor >= 100 ? 'over 100×' : `${factor < 10 ? factor.toFixed(1) : formatRate(factor)}×`);

/**
 * A time of the last day as a clock, an earlier one with its day.
 * @param {unknown} time
 * @param {number} nowMs
 */
export function sinceText(time, nowMs) {
  const ms = parseTime(time);
  return ms === null ? '' : nowMs - ms < DAY_MS ? formatClock(ms) : formatDayClock(ms);
}

/**
 * How far a count is outside the usual range: 0 in its middle, 1 at its edge, either side.
 * @param {Pick<RegionNow, 'posts' | 'usual' | 'low' | 'high'>} region
 */
function surprise({ posts, usual, low, high }) {
  if (posts === null || usual === null) return 0;
  const edge = Math.max(1, posts >= usual ? (high ?? usual) - usual : usual - (low ?? usual));
  return Math.abs(posts - usual) / edge;
}

/**
 * All regions, the most unusual first. Those without a baseline come last: nothing can be said about them.
 * @param {LooseOverview | null | undefined} overview
 * @returns {RegionNow[]}
 */
export function rankRegions(overview) {
  const regions = list(overview?.regions).flatMap((one) => {
    if (!one.region) return [];
    const [posts, usual, low, high, factor] = [one.posts_last_hour, one.usual, one.usual_low, one.usual_high, one.factor].map(numberOf);
    const event = one.event && UNUSUAL_KINDS.includes(one.event.kind ?? '') ? one.event : null;
    const isClear = typeof factor === 'number' && (factor >= CLEAR_FACTOR || factor <= 1 / CLEAR_FACTOR);
    /** @type {Direction} */
    const direction = typeof posts !== 'number' ? null : typeof high === 'number' && posts > high ? 'up' : typeof low === 'number' && posts < low ? 'down' : null;
    /** @type {Group} */
    const group = event || (isClear && direction) ? 'unusual' : usual === null ? 'unjudged' : 'usual';
    return [/** @type {RegionNow} */ ({ id: one.region, name: one.name || one.region, group, direction, posts, usual, low, high, factor, event, hours: list(one.hours).map(count) })];
  });
  const order = { unusual: 0, usual: 1, unjudged: 2 };
  return regions.sort((a, b) => order[a.group] - order[b.group] || surprise(b) - surprise(a) || a.name.localeCompare(b.name));
}

/** @type {Record<string, string>} */
const VERBS = { rising: 'rising', spike: 'far more posts than usual', drop: 'far fewer posts than usual', silence: 'no posts' };

/**
 * What an event is, in a few words: `#Goal rising`.
 * @param {LooseEvent} event
 */
export function eventText(event) {
  const name = subjectText(event.subject) || subjectText(list(event.carriers)[0]?.subject);
  if (event.kind === 'rising') return `${name} rising`;
  if (event.kind === 'note') return event.text ?? 'note';
  if (event.kind === 'gap') return `gap: ${GAP_REASONS[event.reason ?? ''] ?? 'posts are missing'}`;
  if (event.kind === 'sampled') return `sample of ${formatShare(event.sampled, 1)}`;
  if (event.kind === 'restart') return 'collection restarted';
  if (event.kind === 'revision') return `${plural(count(event.windows), 'window')} revised`;
  return [VERBS[event.kind ?? ''] ?? event.kind ?? '', name && `mostly ${name}`].filter(Boolean).join(', ');
}

/** @type {Record<string, string>} */
const GAP_REASONS = { unwatched: 'not monitored', missed: 'a source was disconnected', lost: 'posts were lost', damaged: 'data is damaged' };

/**
 * The same with its time: `#Goal rising since 19:32`, or `#Goal rose from 19:32 to 20:05` when it has not been seen to rise for a while.
 * @param {LooseEvent} event
 * @param {number} nowMs
 */
export function eventSince(event, nowMs) {
  const [since, end] = [sinceText(event.start, nowMs), parseTime(event.end)];
  const name = subjectText(event.subject);
  if (event.kind === 'rising' && end !== null && nowMs - end > FADED_MS) return `${name} rose from ${since} to ${sinceText(event.end, nowMs)}`;
  return `${eventText(event)}${since && ` since ${since}`}`;
}

/**
 * The factor of a region as part of a sentence; null when its count is within the usual range.
 * @param {RegionNow} region
 * @returns {Part | null}
 */
function factorPart({ factor, direction }) {
  if (factor === null || direction === null || (factor < SAID_FACTOR && factor > 1 / SAID_FACTOR)) return null;
  return { text: `${factorText(factor)} usual`, tone: direction };
}

/**
 * A region in a sentence: `Paris: 4.4× usual, #Marathon rising since 01:35`.
 * @param {RegionNow} region
 * @param {number} nowMs
 * @returns {Part[]}
 */
function clause(region, nowMs) {
  /** @type {Part[]} */
  const parts = [{ text: `${region.name}: `, tone: 'plain' }];
  const factor = factorPart(region);
  if (factor) parts.push(factor);
  if (region.event) {
    parts.push({ text: `${factor ? ', ' : ''}${eventSince(region.event, nowMs)}`, tone: 'plain' });
  }
  return parts;
}

/**
 * The state of all regions as one sentence or two.
 * @param {RegionNow[]} regions in their order
 * @param {number} nowMs
 * @returns {Part[]}
 */
export function overviewSentence(regions, nowMs) {
  const having = (/** @type {Group} */ group) => regions.filter((one) => one.group === group);
  const [unusual, usual, unjudged] = [having('unusual'), having('usual'), having('unjudged')];
  if (regions.length === 0) return [];
  if (unusual.length === 0) {
    if (usual.length === 0) return [{ text: `Too early to say what is unusual: ${plural(unjudged.length, 'region')} without a usual range yet.`, tone: 'plain' }];
    const rest = unjudged.length ? ` ${plural(unjudged.length, 'region')} cannot be judged yet.` : '';
    return [{ text: `Nothing unusual in ${plural(usual.length, 'region')}.`, tone: 'plain' }, ...(rest ? [/** @type {Part} */ ({ text: rest, tone: 'muted' })] : [])];
  }
  /** @type {Part[]} */
  const parts = unusual.slice(0, MOST_NAMED).flatMap((region) => [...clause(region, nowMs), /** @type {Part} */ ({ text: '. ', tone: 'plain' })]);
  const more = unusual.slice(MOST_NAMED).map(({ name }) => name);
  const moreText = more.length > 3 ? `Also unusual: ${plural(more.length, 'other region')}. ` : more.length ? `Also unusual: ${more.join(', ')}. ` : '';
  const restText = unjudged.length ? `${plural(unjudged.length, 'region')} cannot be judged yet.` : usual.length ? 'Elsewhere nothing unusual.' : '';
  if (moreText || restText) parts.push({ text: `${moreText}${restText}`, tone: 'muted' });
  return parts;
}

/**
 * The state of one region as a sentence.
 * @param {RegionNow} region
 * @param {number} nowMs
 * @returns {Part[]}
 */
export function regionSentence(region, nowMs) {
  if (region.group === 'unjudged') return [{ text: `${region.name}: `, tone: 'plain' }, { text: 'no usual range yet', tone: 'muted' }];
  if (region.group === 'usual') return [{ text: `${region.name}: `, tone: 'plain' }, { text: 'nothing unusual', tone: 'muted' }];
  return clause(region, nowMs);
}

/**
 * The numbers behind a sentence, and how sure it is: rows of a title and a text.
 * @param {RegionNow} region
 * @returns {[string, string][]}
 */
export function evidence({ name, posts, usual, low, high, event, group }) {
  /** @type {[string, string][]} */
  const rows = [];
  if (posts !== null) {
    const compared = usual === null
      ? 'how many are usual is not known before two complete days'
      : low === null || high === null ? `${formatCount(Math.round(usual))} are usual` : `${formatCount(Math.round(low))} to ${formatCount(Math.round(high))} are usual`;
    rows.push(['How many', `${plural(posts, 'post')} in ${name} in the last hour; ${compared}.`]);
  }
  const compared = event?.comparison;
  if (group === 'unusual' && event && compared) {
    const subject = subjectText(event.subject);
    const minutes = Math.round(count(compared.span_secs) / 60);
    const usualText = count(compared.usual) < 0.5 ? 'hardly any are usual' : `${formatRate(count(compared.usual))} are usual`;
    rows.push(['What it is', `${plural(count(compared.observed), 'post')}${subject && ` with ${subject}`} in ${minutes} minutes at the peak, where ${usualText}.`]);
    const authors = typeof compared.authors_least === 'number' && `at least ${plural(compared.authors_least, 'author')}`;
    const top = typeof compared.top_author_share === 'number' && `the most active one wrote about ${formatShare(compared.top_author_share, 1)}`;
    const missing = count(compared.baseline_missing) > 0 ? `, ${formatShare(compared.baseline_missing, 1)} of which is missing` : '';
    rows.push(['How sure', `${[`Compared with ${plural(count(compared.baseline_days), 'day')}${missing}`, authors, top].filter(Boolean).join('; ')}.`]);
  }
  return rows;
}

/**
 * What limits the statements above: regions without a baseline, and sources that are not fully heard. Empty when nothing does.
 * @param {LooseOverview | null | undefined} overview
 * @param {RegionNow[]} regions
 */
export function unknownText(overview, regions) {
  const names = regions.filter(({ group }) => group === 'unjudged').map(({ name }) => name);
  const sources = list(overview?.sources);
  const waiting = sources.filter(({ status }) => status === 'waiting' || status === 'stale' || status === 'stopped').map(({ source }) => source ?? 'a source');
  const sampled = sources.flatMap(({ source, sampled: share }) => (typeof share === 'number' && share < 1 ? [`${source} (≈ ${formatShare(share, 1)})`] : []));
  return [
    names.length && `${names.length > 3 ? plural(names.length, 'region') : names.join(', ')} cannot be judged before two complete days.`,
    waiting.length && `Not heard: ${waiting.join(', ')}.`,
    sampled.length && `Only a sample: ${sampled.join(', ')}; small events would not show.`,
  ].filter(Boolean).join(' ');
}

/**
 * The title of the page's tab: the most unusual region first.
 * @param {RegionNow | undefined} first
 * @param {string} name
 */
export function tabTitle(first, name) {
  if (first?.group !== 'unusual') return `${name} · Birdsong`;
  const mark = first.direction === 'down' ? '▼' : '▲';
  return first.factor !== null && first.direction ? `${mark} ${factorText(first.factor)} ${first.name} · Birdsong` : `${mark} ${first.name} · Birdsong`;
}

/**
 * What a group of events is: `#Goal and 5 others rising`.
 * @param {Pick<import('./event-groups.js').EventGroup, 'lead' | 'others'>} group
 */
export const groupText = ({ lead, others }) => (others > 0 && lead.kind === 'rising' ? `${subjectText(lead.subject)} and ${plural(others, 'other')} rising` : eventText(lead));

/**
 * The smallest share that a source is asked for, as a part of the headline: `≈ 1% sample`. Null when all posts are asked for.
 * @param {LooseOverview | null | undefined} overview
 * @returns {Part | null}
 */
export function samplePart(overview) {
  const shares = list(overview?.sources).flatMap(({ sampled }) => (typeof sampled === 'number' && sampled > 0 && sampled < 1 ? [sampled] : []));
  return shares.length === 0 ? null : { text: ` ≈ ${formatShare(Math.min(...shares), 1)} sample.`, tone: 'muted' };
}
