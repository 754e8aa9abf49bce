// @ts-check
// Which fields of the reports the page asks for: those that its charts and tiles name, and no others.

/**
 * The fields that a chart or a tile reads, of each step and of the total of the range. `window_start` and `window_end` are
 * always there and are not named.
 * @typedef {{ steps?: readonly import('./contract').Field[], total?: readonly import('./contract').Field[] }} Reads
 */

/**
 * The fields that say whether a step is complete and finished.
 * @type {readonly import('./contract').Field[]}
 */
export const STATE_FIELDS = ['completeness', 'lifecycle'];

/**
 * Every chart over time also says what changed in a step afterwards.
 * @type {readonly import('./contract').Field[]}
 */
export const SHOWN_STATE_FIELDS = [...STATE_FIELDS, 'revision'];

/**
 * The `fields` and `total_fields` of a query for everything that some readers read. They are in one order, so that pages
 * that show the same thing ask for the same address.
 * @param {Reads[]} all
 */
export function fieldsQuery(all) {
  /** @param {keyof Reads} part */
  const named = (part) => [...new Set(all.flatMap((reads) => reads[part] ?? []))].sort().join(',');
  return { fields: named('steps'), total_fields: named('total') || 'none' };
}

/** What a line of posts with its usual range is made of: parameters of `/api/windows`. */
export const LINE_FIELDS = { fields: 'completeness,lifecycle,posts,usual,usual_high,usual_low', total_fields: 'none' };
