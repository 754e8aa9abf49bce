// @ts-check
// What is unusual now: the regions in their order, and sentences about them. Pure functions.

import { formatClock, formatDayClock, formatFactor, formatRate, formatShare } from '../format.js';
import { parts, t } from '../i18n.js';
import { revisionText } from './revision.js';
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
 * @typedef {import('../i18n.js').Part} Part
 */

/** Without an event, a count is unusual only beyond this factor: one hour in five is outside the usual range by chance. */
const CLEAR_FACTOR = 2;
/** A factor closer to 1 is not worth a place in a sentence. */
const SAID_FACTOR = 1.25;
/** Beyond this, a factor has no digits worth reading. */
const LARGE_FACTOR = 100;
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
export const factorText = (factor) => (factor >= LARGE_FACTOR ? t('factor.over', { factor: LARGE_FACTOR }) : t('factor.times', { factor: formatFactor(factor) }));

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
 * The same as a phrase: `since 19:32`; empty without a time.
 * @param {unknown} time
 * @param {number} nowMs
 */
export function sincePhrase(time, nowMs) {
  const ms = parseTime(time);
  if (ms === null) return '';
  return nowMs - ms < DAY_MS ? t('time.sinceClock', { time: formatClock(ms) }) : t('time.sinceDay', { time: formatDayClock(ms) });
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
  const nowMs = parseTime(overview?.now);
  // What ended on another day is not going on, whatever the overview says of it.
  const isPast = (/** @type {LooseEvent} */ { end }) => nowMs !== null && nowMs - (parseTime(end) ?? nowMs) > DAY_MS;
  const regions = list(overview?.regions).flatMap((one) => {
    if (!one.region) return [];
    const [posts, usual, low, high, factor] = [one.posts_last_hour, one.usual, one.usual_low, one.usual_high, one.factor].map(numberOf);
    const event = one.event && UNUSUAL_KINDS.includes(one.event.kind ?? '') && !isPast(one.event) ? one.event : null;
    const isClear = typeof factor === 'number' && (factor >= CLEAR_FACTOR || factor <= 1 / CLEAR_FACTOR);
    /** @type {Direction} */
    const direction = typeof posts !== 'number' ? null : typeof high === 'number' && posts > high ? 'up' : typeof low === 'number' && posts < low ? 'down' : null;
    /** @type {Group} */
    const group = event || (isClear && direction) ? 'unusual' : usual === null ? 'unjudged' : 'usual';
    return [/** @type {RegionNow} */ ({ id: one.region, name: one.name || one.region, group, direction, posts, usual, low, high, factor, event, hours: list(one.hours).map(count) })];
  });
  const order = { unusual: 0, usual: 1, unjudged: 2 };
  const isOutside = (/** @type {RegionNow} */ { group, direction }) => Number(group === 'usual' && direction !== null);
  return regions.sort((a, b) => order[a.group] - order[b.group] || isOutside(b) - isOutside(a) || surprise(b) - surprise(a) || a.name.localeCompare(b.name));
}

/**
 * Where the count of a region is, in a word that fits its factor; null when it is not outside of its usual range.
 * @param {Pick<RegionNow, 'group' | 'direction' | 'factor'>} region
 * @returns {'above' | 'below' | 'littleAbove' | 'littleBelow' | 'farAbove' | 'farBelow' | null}
 */
export function outside({ group, direction, factor }) {
  if (direction === null) return null;
  const isUp = direction === 'up';
  if (factor !== null && (factor >= CLEAR_FACTOR || factor <= 1 / CLEAR_FACTOR)) return isUp ? 'farAbove' : 'farBelow';
  const isLittle = group !== 'unusual' && (factor === null || (factor < SAID_FACTOR && factor > 1 / SAID_FACTOR));
  if (isLittle) return isUp ? 'littleAbove' : 'littleBelow';
  return isUp ? 'above' : 'below';
}

/**
 * What an event is, in a few words: `#Goal rising`.
 * @param {LooseEvent} event
 */
export function eventText(event) {
  const name = subjectText(event.subject) || subjectText(list(event.carriers)[0]?.subject);
  switch (event.kind) {
    case 'rising': return t('event.rising', { subject: name });
    case 'note': return event.text ?? t('event.note');
    case 'gap': return t('event.gap', { reason: gapReason(event.reason) });
    case 'sampled': return t('event.sampled', { share: formatShare(event.sampled, 1) });
    case 'restart': return t('event.restart');
    case 'revision': return [t('event.revision', { n: count(event.windows) }), revisionText(event.revision)].filter(Boolean).join(t('list.colon'));
    case 'spike': return withSubject(t('event.spike'), name);
    case 'drop': return withSubject(t('event.drop'), name);
    case 'silence': return withSubject(t('event.silence'), name);
    default: return withSubject(String(event.kind ?? ''), name);
  }
}

/** @param {string} event @param {string} subject */
const withSubject = (event, subject) => (subject ? t('event.mostly', { event, subject }) : event);

/** Why posts are missing. @param {string | null | undefined} reason */
function gapReason(reason) {
  switch (reason) {
    case 'unwatched': case 'missed': case 'lost': case 'damaged': return t(`gap.${reason}`);
    default: return t('gap.other');
  }
}

/**
 * The same with its time: `#Goal rising since 19:32`, or `#Goal rose from 19:32 to 20:05` when it has not been seen to rise for a while.
 * @param {LooseEvent} event
 * @param {number} nowMs
 */
export function eventSince(event, nowMs) {
  const [since, end] = [sincePhrase(event.start, nowMs), parseTime(event.end)];
  const name = subjectText(event.subject);
  if (event.kind === 'rising' && end !== null && nowMs - end > FADED_MS) return t('event.rose', { subject: name, from: sinceText(event.start, nowMs), to: sinceText(event.end, nowMs) });
  return since ? t('event.when', { event: eventText(event), since }) : eventText(event);
}

/**
 * The factor of a region as part of a sentence; null when its count is within the usual range.
 * @param {RegionNow} region
 * @returns {Part | null}
 */
function factorPart({ factor, direction }) {
  if (factor === null || direction === null || (factor < SAID_FACTOR && factor > 1 / SAID_FACTOR)) return null;
  return { text: t('factor.usual', { factor: factorText(factor) }), tone: direction };
}

/**
 * A region in a sentence: `Paris: 4.4× usual, #Marathon rising since 01:35`.
 * @param {RegionNow} region
 * @param {number} nowMs
 * @returns {Part[]}
 */
function clause(region, nowMs) {
  const factor = factorPart(region);
  const event = region.event ? eventSince(region.event, nowMs) : '';
  if (factor && event) return parts('sentence.factorEvent', { region: region.name, factor, event });
  return factor ? parts('sentence.factor', { region: region.name, factor }) : parts('sentence.event', { region: region.name, event });
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
    if (usual.length === 0) return parts('sentence.tooEarly', { n: unjudged.length });
    const rest = unjudged.length ? ` ${t('sentence.unjudged', { n: unjudged.length })}` : '';
    return [...parts('sentence.nothing', { n: usual.length }), ...(rest ? [/** @type {Part} */ ({ text: rest, tone: 'muted' })] : [])];
  }
  const sentence = unusual.slice(0, MOST_NAMED).flatMap((region) => [...clause(region, nowMs), /** @type {Part} */ ({ text: '. ', tone: 'plain' })]);
  const more = unusual.slice(MOST_NAMED).map(({ name }) => name);
  const rest = [
    more.length > 3 ? t('sentence.alsoMany', { n: more.length }) : more.length > 0 ? t('sentence.alsoNamed', { regions: more.join(', ') }) : '',
    unjudged.length > 0 ? t('sentence.unjudged', { n: unjudged.length }) : usual.length > 0 ? t('sentence.elsewhere') : '',
  ].filter(Boolean).join(' ');
  return rest ? [...sentence, { text: rest, tone: 'muted' }] : sentence;
}

/**
 * The state of one region as a sentence.
 * @param {RegionNow} region
 * @param {number} nowMs
 * @param {number | null} [sinceMs] when its first data arrived, where that is known
 * @returns {Part[]}
 */
export function regionSentence(region, nowMs, sinceMs = null) {
  if (region.group === 'unjudged') {
    const text = sinceMs === null ? t('sentence.noUsual') : t('sentence.collecting', { time: nowMs - sinceMs < DAY_MS ? formatClock(sinceMs) : formatDayClock(sinceMs) });
    return parts('sentence.event', { region: region.name, event: { text, tone: 'muted' } });
  }
  if (region.group === 'usual') {
    const place = outside(region);
    return parts('sentence.event', { region: region.name, event: { text: place ? t(`overview.${place}`) : t('sentence.nothingHere'), tone: 'muted' } });
  }
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
      ? t('evidence.usualUnknown')
      : low === null || high === null ? t('evidence.usual', { usual: Math.round(usual) }) : t('evidence.usualBetween', { low: Math.round(low), high: Math.round(high) });
    rows.push([t('evidence.howMany'), t('evidence.posts', { n: posts, region: name, compared })]);
  }
  const compared = event?.comparison;
  if (group === 'unusual' && event && compared) {
    const subject = subjectText(event.subject);
    const minutes = Math.round(count(compared.span_secs) / 60);
    const usualText = count(compared.usual) < 0.5 ? t('evidence.usualHardly') : t('evidence.usual', { usual: formatRate(count(compared.usual)) });
    const n = count(compared.observed);
    rows.push([t('evidence.whatItIs'), subject ? t('evidence.peakWith', { n, subject, minutes, usual: usualText }) : t('evidence.peak', { n, minutes, usual: usualText })]);
    const days = count(compared.baseline_days);
    const facts = [
      count(compared.baseline_missing) > 0 ? t('evidence.comparedMissing', { n: days, missing: formatShare(compared.baseline_missing, 1) }) : t('evidence.compared', { n: days }),
      typeof compared.authors_least === 'number' && t('evidence.authors', { n: compared.authors_least }),
      typeof compared.top_author_share === 'number' && t('evidence.topAuthor', { share: formatShare(compared.top_author_share, 1) }),
    ];
    rows.push([t('evidence.howSure'), t('evidence.sure', { facts: facts.filter(Boolean).join(t('list.semicolon')) })]);
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
  const waiting = sources.filter(({ status }) => status === 'waiting' || status === 'stale' || status === 'stopped').map(({ source }) => source ?? t('unknown.source'));
  const sampled = sources.flatMap(({ source, sampled: share }) => (typeof share === 'number' && share < 1 ? [t('unknown.share', { source: source ?? t('unknown.source'), share: formatShare(share, 1) })] : []));
  return [
    names.length > 3 ? t('unknown.many', { n: names.length }) : names.length > 0 && t('unknown.named', { regions: names.join(', ') }),
    waiting.length > 0 && t('unknown.silent', { sources: waiting.join(', ') }),
    sampled.length > 0 && t('unknown.sampled', { sources: sampled.join(', ') }),
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
export const groupText = ({ lead, others }) => (others > 0 && lead.kind === 'rising' ? t('event.othersRising', { subject: subjectText(lead.subject), n: others }) : eventText(lead));

/**
 * The smallest share that a source is asked for, as a part of the headline: `≈ 1% sample`. Null when all posts are asked for.
 * @param {LooseOverview | null | undefined} overview
 * @returns {Part | null}
 */
export function samplePart(overview) {
  const shares = list(overview?.sources).flatMap(({ sampled }) => (typeof sampled === 'number' && sampled > 0 && sampled < 1 ? [sampled] : []));
  return shares.length === 0 ? null : { text: ` ${t('sentence.sample', { share: formatShare(Math.min(...shares), 1) })}`, tone: 'muted' };
}
