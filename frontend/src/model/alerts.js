// @ts-check
// For which events the reader gets a notification: those of chosen regions that start while the choice stands, once each. Pure functions.

import { list } from './values.js';

/**
 * @typedef {{ regions: string[], seen: string[] }} Watching `seen` are ids of events that are known already
 * @typedef {{ id: string, region: string, name: string, event: import('./unusual.js').LooseEvent, factor: number | null }} Alert
 */

/** More events than all regions have at the same time; the oldest are forgotten first. */
const MOST_SEEN = 500;
const KINDS = ['rising', 'spike', 'drop', 'silence'];

/** No region chosen. @type {Watching} */
export const NOBODY = { regions: [], seen: [] };

/**
 * What was stored, or nothing when it cannot be read.
 * @param {string | null} text
 * @returns {Watching}
 */
export function readWatching(text) {
  try {
    const { regions, seen } = JSON.parse(text ?? '{}') ?? {};
    const strings = (/** @type {unknown} */ value) => list(Array.isArray(value) ? value : []).filter((one) => typeof one === 'string');
    return { regions: strings(regions), seen: strings(seen).slice(-MOST_SEEN) };
  } catch {
    return NOBODY;
  }
}

/**
 * The open events of the overview, one a region.
 * @param {import('./unusual.js').LooseOverview | null | undefined} overview
 * @returns {Alert[]}
 */
const openEvents = (overview) => list(overview?.regions).flatMap(({ region, name, event, factor }) => (
  region && event?.id && event.is_open !== false && KINDS.includes(event.kind ?? '') ? [{ id: event.id, region, name: name || region, event, factor: typeof factor === 'number' ? factor : null }] : []
));

/**
 * Another choice of regions. What goes on at this time is known to the reader, who sees the page.
 * @param {Watching} watching
 * @param {string[]} regions
 * @param {import('./unusual.js').LooseOverview | null | undefined} overview
 * @returns {Watching}
 */
export const chooseRegions = (watching, regions, overview) => ({
  regions: [...new Set(regions)].sort(),
  seen: [...new Set([...watching.seen, ...openEvents(overview).map(({ id }) => id)])].slice(-MOST_SEEN),
});

/**
 * What to notify of, and the state after it.
 * @param {Watching} watching
 * @param {import('./unusual.js').LooseOverview | null | undefined} overview
 * @returns {{ alerts: Alert[], watching: Watching }}
 */
export function dueAlerts(watching, overview) {
  const alerts = openEvents(overview).filter(({ id, region }) => watching.regions.includes(region) && !watching.seen.includes(id));
  if (alerts.length === 0) return { alerts, watching };
  return { alerts, watching: { ...watching, seen: [...watching.seen, ...alerts.map(({ id }) => id)].slice(-MOST_SEEN) } };
}
