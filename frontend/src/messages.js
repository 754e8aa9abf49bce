// @ts-check
// Texts for when something is missing: no posts, no regions, no answer. Pure functions.

import { ApiError } from './api.js';
import { RANGES, rangeById } from './url-state.js';

/**
 * @typedef {import('./url-state.js').Choice} Choice
 * @typedef {{ title: string, text: string, actions: { label: string, change: Partial<Choice> }[] }} Message a choice to offer per action
 */

/** A range that is offered in place of an empty one is at least this long. */
const LONG_SECS = 86_400;

/**
 * An error as the start of a sentence.
 * @param {unknown} error
 */
export function explain(error) {
  if (!(error instanceof ApiError)) return 'An unexpected error occurred on this page';
  const message = error.message.charAt(0).toUpperCase() + error.message.slice(1).replace(/\.$/, '');
  return error.parameter ? `${message} (${error.parameter})` : message;
}

/**
 * What to do when the range has no posts.
 * @param {Choice} choice
 * @param {{ hasOtherRegions: boolean, hasPosts: boolean }} known `hasPosts` is whether any source has delivered a post
 * @returns {Message}
 */
export function emptyMessage({ range, networks }, { hasOtherRegions, hasPosts }) {
  const longer = RANGES.filter((other) => other.secs > rangeById(range).secs && other.secs >= LONG_SECS);
  const others = [longer.length && 'a longer range', networks.length && 'all networks', hasOtherRegions && 'another region'].filter(Boolean);
  const advice = others.length > 0 ? `Try ${others.join(' or ')}` : 'Check the keywords and boxes of this region';
  return {
    title: 'No posts in this range yet',
    text: `${advice}. New posts appear here within seconds of their arrival.`
      + (hasPosts ? '' : ' No source has delivered a post so far: check that one is running and connected.'),
    actions: [
      ...longer.map(({ id, long }) => ({ label: `Show the ${long}`, change: { range: id } })),
      ...(networks.length ? [{ label: 'Show all networks', change: { networks: [] } }] : []),
    ],
  };
}

/** Shown when the server refused the networks of the address. */
export const REFUSED_FILTER = 'The server does not accept this filter by network. The numbers are for all networks.';
