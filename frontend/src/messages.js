// @ts-check
// Texts for when something is missing: no posts, no regions, no answer. Pure functions.

import { ApiError } from './api.js';
import { t } from './i18n.js';
import { RANGES, rangeById } from './url-state.js';

/**
 * @typedef {import('./url-state.js').Choice} Choice
 * @typedef {{ title: string, text: string, actions: { label: string, change: Partial<Choice> }[] }} Message a choice to offer per action
 */

/** A range that is offered in place of an empty one is at least this long. */
const LONG_SECS = 86_400;

/**
 * What an error is, in the language of the page; that of the API where only the API knows it.
 * @param {ApiError} error
 */
function ownText({ kind, code, status, message, seconds }) {
  if (kind === 'network') return t('message.network');
  if (kind === 'timeout') return t('message.timeout', { seconds: String(seconds) });
  if (kind === 'parse') return t('message.parse');
  if (code === 'store_unavailable') return t('message.store_unavailable');
  if (code === 'overloaded') return t('message.overloaded');
  return message ? message.charAt(0).toUpperCase() + message.slice(1).replace(/\.$/, '') : t('message.http', { status: String(status) });
}

/**
 * An error as the start of a sentence.
 * @param {unknown} error
 */
export function explain(error) {
  if (!(error instanceof ApiError)) return t('message.unexpected');
  const message = ownText(error);
  return error.parameter ? t('message.withParameter', { error: message, parameter: error.parameter }) : message;
}

/**
 * What to do when the range has no posts.
 * @param {Choice} choice
 * @param {{ hasOtherRegions: boolean, hasPosts: boolean }} known `hasPosts` is whether any source has delivered a post
 * @returns {Message}
 */
export function emptyMessage({ range, networks }, { hasOtherRegions, hasPosts }) {
  const longer = RANGES.filter((other) => other.secs > rangeById(range).secs && other.secs >= LONG_SECS);
  const others = [longer.length > 0 && t('message.longerRange'), networks.length > 0 && t('message.allNetworks'), hasOtherRegions && t('message.otherRegion')]
    .filter((one) => one !== false);
  const advice = others.length > 0 ? t('message.try', { others: others.reduce((first, second) => t('message.or', { first, second })) }) : t('message.checkRegion');
  return {
    title: t('message.empty'),
    text: [advice, t('message.soon'), ...(hasPosts ? [] : [t('message.noSource')])].join(' '),
    actions: [
      ...longer.map(({ id }) => ({ label: t(/** @type {import('./i18n.js').Key} */ (`range.show.${id}`)), change: { range: id } })),
      ...(networks.length ? [{ label: t('message.showAllNetworks'), change: { networks: [] } }] : []),
    ],
  };
}

/** Shown when the server refused the networks of the address. */
export const refusedFilter = () => t('message.refusedFilter');
