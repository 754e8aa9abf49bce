// @ts-check
// What is shown as CSV (RFC 4180), with plain numbers, and times in the chosen zone with their difference to UTC.

import { currentZone } from '../format.js';
import { begun } from './answer.js';
import { KINDS } from './report.js';
import { isoIn } from './zone.js';

/** @param {unknown} value */
function cell(value) {
  // A cell that starts like a formula gets a quote, so that spreadsheets show it and do not run it.
  const text = value === null || value === undefined ? '' : typeof value === 'string' ? value.replace(/^[=+\-@\t\r]/, "'$&") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {unknown[][]} rows */
export const csv = (rows) => rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');

/** @param {number} ms */
const iso = (ms) => isoIn(currentZone(), ms);

/**
 * The steps of a region.
 * @param {import('./answer.js').Answer} answer
 */
export const stepsCsv = (answer) => csv([
  ['region', 'start', 'end', 'state', 'flaws', 'posts', 'usual', 'usual_low', 'usual_high', ...KINDS.map(({ field }) => field), 'authors', 'authors_low', 'authors_high'],
  ...begun(answer.windows).map((w) => [
    answer.region, iso(w.start), iso(w.end), w.gap ?? w.lifecycle, w.flaws.join(' '), ...(w.gap === 'silent' ? [''] : [w.posts]),
    w.report.usual, w.report.usual_low, w.report.usual_high, ...KINDS.map(({ key }) => (w.gap === 'silent' ? '' : w.kinds[key])),
    ...(w.gap === 'silent' ? ['', '', ''] : [w.authors, w.authorsLow, w.authorsHigh]),
  ]),
]);

/**
 * All regions in their order.
 * @param {import('./unusual.js').RegionNow[]} regions
 */
export const regionsCsv = (regions) => csv([
  ['region', 'name', 'group', 'posts_last_hour', 'usual', 'usual_low', 'usual_high', 'factor', 'event', 'since'],
  ...regions.map((one) => [one.id, one.name, one.group, one.posts, one.usual, one.low, one.high, one.factor, one.event?.id, one.event?.start]),
]);
