// @ts-check
// Why a hashtag or host is in the list of what rises, in words. Pure functions.

import { formatCount, formatRate, formatShare, languageName, plural } from '../format.js';
import { factorText, sinceText, subjectText } from './unusual.js';
import { count, list } from './values.js';

/**
 * @typedef {import('./contract').Loose<import('./contract').Trend>} LooseTrend
 * @typedef {{ region: string, name: string, label: string, type: string, key: string, posts: string, factor: string, since: string, reason: string, spark: number[], score: number }} Rise
 */

const MOST_PROFILE = 2;

/**
 * What is known about the posts with a tag, beside their number.
 * @param {LooseTrend} trend
 */
function profileText({ profile }) {
  if (!profile || !count(profile.posts)) return '';
  const [language] = list(profile.languages);
  const tags = list(profile.tags).slice(0, MOST_PROFILE).map(({ name }) => `#${name}`);
  return [
    language?.name && `${formatShare(language.posts, profile.posts)} in ${languageName(language.name)}`,
    count(profile.reposts) > 0 && `${formatShare(profile.reposts, profile.posts)} reposts`,
    tags.length > 0 && `seen with ${tags.join(', ')}`,
  ].filter(Boolean).join(', ');
}

/** @param {LooseTrend} trend */
function reasonText(trend) {
  const { authors, standing } = trend;
  const usual = count(trend.usual);
  const people = authors ? `${authors.low === authors.high ? formatCount(authors.value) : `${formatCount(authors.low)} to ${formatCount(authors.high)}`} people` : '';
  const against = standing === 'new' ? 'not seen in the days before' : usual < 0.5 ? 'hardly ever seen at this time' : `usually ${formatRate(usual)}`;
  return [against, people, profileText(trend)].filter(Boolean).join('; ');
}

/**
 * What rises, by score.
 * @param {import('./contract').Loose<import('./contract').TrendsAnswer> | null | undefined} trends
 * @param {{ nameOf: (region: string) => string, nowMs: number }} known
 * @returns {Rise[]}
 */
export const risingList = (trends, { nameOf, nowMs }) => list(trends?.regions).flatMap(({ region, items }) => list(items).flatMap((trend) => {
  const { subject } = trend;
  if (!subject?.key || !region) return [];
  const usual = count(trend.usual);
  return [{
    region, name: nameOf(region), label: subjectText(subject), type: subject.type ?? '', key: subject.key,
    posts: `${plural(count(trend.observed), 'post')} in ${Math.round(count(trend.span_secs) / 60)} min`,
    factor: trend.standing === 'new' || usual < 0.5 ? 'new' : factorText(count(trend.observed) / usual),
    since: sinceText(trend.since, nowMs), reason: reasonText(trend), spark: list(trend.spark).map(count), score: count(trend.score),
  }];
})).sort((a, b) => b.score - a.score);
