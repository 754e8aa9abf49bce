// @ts-check
// Why a hashtag or host is in the list of what rises, in words. Pure functions.

import { formatRate, formatShare, isLanguage, languageName } from '../format.js';
import { t } from '../i18n.js';
import { factorText, sincePhrase, subjectText } from './unusual.js';
import { count, list } from './values.js';

/**
 * @typedef {import('./contract').Loose<import('./contract').Trend>} LooseTrend
 * @typedef {{ region: string, name: string, label: string, type: string, key: string, factor: string, since: string, why: string, spark: number[], score: number }} Rise
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
    language?.name && isLanguage(language.name) && t('rise.language', { share: formatShare(language.posts, profile.posts), language: languageName(language.name) }),
    count(profile.reposts) > 0 && t('rise.reposts', { share: formatShare(profile.reposts, profile.posts) }),
    tags.length > 0 && t('rise.seenWith', { tags: tags.join(', ') }),
  ].filter(Boolean).join(', ');
}

/** @param {LooseTrend} trend */
function reasonText(trend) {
  const { authors, standing } = trend;
  const usual = count(trend.usual);
  const people = !authors ? '' : authors.low === authors.high ? t('rise.people', { n: count(authors.value) }) : t('rise.peopleBetween', { low: count(authors.low), high: count(authors.high) });
  const against = standing === 'new' ? t('rise.new') : usual < 0.5 ? t('rise.hardly') : t('rise.usually', { usual: formatRate(usual) });
  return [against, people, profileText(trend)].filter(Boolean).join(t('list.semicolon'));
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
    why: t('rise.posts', { n: count(trend.observed), minutes: Math.round(count(trend.span_secs) / 60), reason: reasonText(trend) }),
    factor: trend.standing === 'new' || usual < 0.5 ? t('factor.new') : factorText(count(trend.observed) / usual),
    since: sincePhrase(trend.since, nowMs), spark: list(trend.spark).map(count), score: count(trend.score),
  }];
})).sort((a, b) => b.score - a.score);
