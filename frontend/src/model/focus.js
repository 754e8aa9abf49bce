// @ts-check
// What the page can show about the hashtag, host, language or network that it is turned to. Pure functions.

import { formatShare, languageName } from '../format.js';
import { t } from '../i18n.js';
import { count, list, parseTime } from './values.js';
import { networkLabel } from './networks.js';
import { subjectText } from './unusual.js';

/** @typedef {{ type: 'hashtag' | 'host' | 'language' | 'network', key: string }} Focus */

const DAY_MS = 86_400_000;
/** The longest range of /api/series. */
const LONGEST_MS = 62 * DAY_MS;

/**
 * What is focused on: the hashtag, host or language of the address, or else the one network that is chosen.
 * @param {{ networks: readonly string[], choices: Readonly<Record<string, string>> }} choice
 * @returns {Focus | null}
 */
export function focusOf({ networks, choices: { tag, host, language } }) {
  if (tag) return { type: 'hashtag', key: tag };
  if (host) return { type: 'host', key: host };
  if (language) return { type: 'language', key: language };
  const [network] = networks;
  return network && networks.length === 1 ? { type: 'network', key: network } : null;
}

/** Its name in a title. @param {Focus} focus */
export function focusName({ type, key }) {
  if (type === 'language') return languageName(key);
  return type === 'network' ? networkLabel(key) : subjectText({ type, name: key });
}

/**
 * The part of a range that a series of a hashtag or host may have: its last 62 days.
 * @param {{ from: string, to: string }} range
 */
export function seriesRange({ from, to }) {
  const [start, end] = [parseTime(from) ?? 0, parseTime(to) ?? 0];
  const isCut = end - start > LONGEST_MS;
  return { from: isCut ? new Date(end - LONGEST_MS).toISOString() : from, to, isCut };
}

/**
 * The steps of an answer as the series of a language: exact, except for rare languages that a window counts together.
 * @param {import('./contract').Loose<import('./contract').WindowsAnswer>} answer
 * @param {string} code
 * @returns {import('../api.js').Series}
 */
export const languageSeries = ({ region, from, to, step_secs, windows }, code) => ({
  region, tag: null, host: null, from, to, step_secs,
  steps: list(windows).flatMap(({ window_start, languages, other_languages, completeness }) => {
    const posts = count(languages?.[code]);
    return window_start ? [{ start: window_start, posts, posts_high: posts + (posts > 0 ? 0 : count(other_languages)), is_known: completeness?.frames !== 0 }] : [];
  }),
});

/**
 * What is exact, what is estimated, and what the stored data does not have.
 * @param {Focus} focus
 */
export function focusLimits({ type }) {
  switch (type) {
    case 'language': return t('focus.limits.language');
    case 'network': return t('focus.limits.network');
    default: return t('focus.limits.other');
  }
}

/**
 * Hashtags that come with the one that is focused on, of the profile in /api/trends; says so when there is none.
 * @param {import('../api.js').Trends | null} trends with all standings; null before there is an answer
 * @param {string} key
 */
export function companions(trends, key) {
  if (trends === null) return '';
  const wanted = key.toLowerCase();
  const item = list(trends.regions).flatMap(({ items }) => list(items)).find(({ subject }) => subject?.type === 'hashtag' && subject.key?.toLowerCase() === wanted);
  const profile = item?.profile;
  const tags = list(profile?.tags).filter(({ name, posts }) => name && count(posts) > 0);
  if (!profile || tags.length === 0) return t('focus.noCompanions');
  const error = count(profile.tags_error);
  const about = { n: count(profile.posts), tags: tags.map(({ name, posts }) => t('focus.companion', { tag: `#${name}`, share: formatShare(posts, profile.posts) })).join(', ') };
  return error > 0 ? t('focus.companionsAbout', { ...about, error }) : t('focus.companions', about);
}
