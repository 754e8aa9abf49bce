// @ts-check
// What the wall shows: which region, for how long, and whether its numbers can be trusted. Pure functions.

import { t } from '../i18n.js';

/**
 * @typedef {import('./unusual.js').RegionNow} RegionNow
 * @typedef {{ tone: 'good' | 'warn' | 'bad', text: string }} Trust
 */

export const SLIDE_MS = 15_000;
/** Without a new post for this long, the numbers are called old; a window may be as long as an hour. */
const STALE_MS = 600_000;

/** The regions that the address pins; none for all of them. @param {string | undefined} wall */
export const pinsOf = (wall) => (!wall || wall === 'all' ? [] : [...new Set(wall.split(',').map((id) => id.trim()).filter(Boolean))]);

/**
 * The region of a turn. Unusual ones come first, and one of the others after each round of them. Pinned ones are shown in their order.
 * @param {readonly RegionNow[]} regions in their order
 * @param {readonly string[]} pins
 * @param {number} turn from 0 on
 * @returns {RegionNow | null}
 */
export function slideAt(regions, pins, turn) {
  const pinned = pins.flatMap((id) => regions.find((one) => one.id === id) ?? []);
  const pick = (/** @type {readonly RegionNow[]} */ some, /** @type {number} */ at) => some[((at % some.length) + some.length) % some.length] ?? null;
  if (pinned.length > 0) return pick(pinned, turn);
  const unusual = regions.filter(({ group }) => group === 'unusual');
  const others = regions.filter(({ group }) => group !== 'unusual');
  if (unusual.length === 0 || others.length === 0) return regions.length > 0 ? pick(regions, turn) : null;
  const round = unusual.length + 1;
  const [rounds, at] = [Math.floor(turn / round), ((turn % round) + round) % round];
  return at < unusual.length ? pick(unusual, at) : pick(others, rounds);
}

/** How many regions take turns. @param {readonly RegionNow[]} regions @param {readonly string[]} pins */
export const slidesOf = (regions, pins) => (pins.length > 0 ? regions.filter(({ id }) => pins.includes(id)).length : regions.length);

/**
 * Whether numbers can be trusted, the worst first: the server cannot be reached, no new posts, nothing to compare with, gaps.
 * @param {{
 *   isAway: boolean, updated: string, newest: string, newestMs: number | null, windowSecs: number, nowMs: number,
 *   group: RegionNow['group'], coverage: { kind: string, text: string },
 * }} known `updated` and `newest` are times of day
 * @returns {Trust}
 */
export function trustOf({ isAway, updated, newest, newestMs, windowSecs, nowMs, group, coverage }) {
  if (isAway) return { tone: 'bad', text: t('wall.trust.away', { time: updated }) };
  if (newestMs === null) return { tone: 'bad', text: t('wall.trust.noPosts') };
  if (nowMs - newestMs > Math.max(STALE_MS, 2000 * windowSecs)) return { tone: 'bad', text: t('wall.trust.stale', { time: newest }) };
  if (group === 'unjudged') return { tone: 'warn', text: t('wall.trust.unjudged') };
  if (coverage.kind === 'complete') return { tone: 'good', text: t('wall.trust.complete') };
  return coverage.text ? { tone: 'warn', text: t('wall.trust.gaps', { text: coverage.text }) } : { tone: 'good', text: '' };
}
