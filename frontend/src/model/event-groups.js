// @ts-check
// Events of one region that start together, as one line. Pure functions.

import { list, parseTime } from './values.js';

/**
 * @typedef {import('./unusual.js').LooseEvent} LooseEvent
 * @typedef {{ region: string, start: string, kind: string, lead: LooseEvent, others: number, isOpen: boolean, end: string, events: LooseEvent[] }} EventGroup
 *   `lead` is the most unusual event, `others` how many more there are
 */

/** What is part of a burst in a region: its hashtags and hosts, and its count as a whole. */
const BURST = ['rising', 'spike'];

/** @param {LooseEvent} event */
const score = (event) => event.comparison?.score ?? 0;

/**
 * The events in their order, with those of one burst as one. Notes, drops and gaps stay alone.
 * @param {readonly (LooseEvent | null)[] | null | undefined} events
 * @returns {EventGroup[]}
 */
export function groupEvents(events) {
  /** @type {Map<string, LooseEvent[]>} */
  const groups = new Map();
  for (const event of list(events)) {
    const isBurst = BURST.includes(event.kind ?? '');
    const key = isBurst ? `${event.region ?? ''} ${event.start ?? ''}` : `${event.id ?? ''} ${groups.size}`;
    groups.set(key, [...(groups.get(key) ?? []), event]);
  }
  return [...groups.values()].flatMap((members) => {
    // A named tag says more than the count of the region, whatever their scores are.
    const [lead] = [...members].sort((a, b) => Number(b.kind === 'rising') - Number(a.kind === 'rising') || score(b) - score(a));
    if (!lead) return [];
    const end = members.map((one) => one.end ?? '').sort((a, b) => (parseTime(a) ?? 0) - (parseTime(b) ?? 0)).at(-1) ?? '';
    return [{
      region: lead.region ?? '', start: lead.start ?? '', kind: lead.kind ?? '', lead, others: members.filter(({ kind }) => kind === 'rising').length - Number(lead.kind === 'rising'),
      isOpen: members.some((one) => one.is_open === true), end, events: members,
    }];
  });
}
