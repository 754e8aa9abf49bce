// @ts-check
// Reads single values of an answer, whatever is in their place.

/**
 * A count: zero for anything that is not a positive number.
 * @param {unknown} n
 */
export const count = (n) => (typeof n === 'number' && Number.isFinite(n) && n > 0 ? n : 0);

/**
 * A list without its empty places; an empty list for anything else.
 * @template T
 * @param {readonly (T | null | undefined)[] | null | undefined} value
 * @returns {T[]}
 */
export const list = (value) => (Array.isArray(value) ? value.filter((item) => item !== null && item !== undefined) : []);

/**
 * Milliseconds of an RFC 3339 time; null for anything else.
 * @param {unknown} text
 */
export function parseTime(text) {
  const ms = typeof text === 'string' ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** A time of a query: RFC 3339 in UTC, without a fraction for whole seconds. @param {number} ms */
export const isoSecond = (ms) => new Date(ms).toISOString().replace('.000Z', 'Z');

/** The start of the minute of a time, as `isoSecond`. @param {number} ms */
export const isoMinute = (ms) => isoSecond(Math.floor(ms / 60_000) * 60_000);

/** Letters without accents, in lower case, to search in. @param {string} text */
export const plain = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
