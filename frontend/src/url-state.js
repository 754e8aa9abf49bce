// @ts-check
// What the address bar holds: the region, the range, the networks, and the choices made in charts. Pure functions.

import { formatSpan } from './format.js';
import { absoluteRange } from './model/range.js';

/** @typedef {{ id: string, label: string, long: string, secs: number, from?: number, to?: number }} Range `from` and `to` are the ends of an absolute one */

const DAY_SECS = 86_400;

/** The default range is used when the address names none, or none that exists. */
export const DEFAULT_RANGE = { id: '24h', label: '24 h', long: 'last 24 hours', secs: DAY_SECS };

/**
 * Ranges that can be chosen. The API chooses the step that keeps a chart readable.
 * @type {Range[]}
 */
export const RANGES = [
  { id: '1h', label: '1 h', long: 'last hour', secs: 3600 },
  { id: '6h', label: '6 h', long: 'last 6 hours', secs: 6 * 3600 },
  DEFAULT_RANGE,
  { id: '7d', label: '7 d', long: 'last 7 days', secs: 7 * DAY_SECS },
  { id: '30d', label: '30 d', long: 'last 30 days', secs: 30 * DAY_SECS },
  { id: '1y', label: '1 y', long: 'last year', secs: 365 * DAY_SECS },
];

/** @param {string | null} id */
export const rangeById = (id) => RANGES.find((range) => range.id === id) ?? DEFAULT_RANGE;

/**
 * The range that a choice shows: the absolute one of `from` and `to`, or else the named one.
 * @param {{ range: string, choices: Readonly<Record<string, string>> }} choice
 * @returns {Range}
 */
export function rangeOf({ range, choices }) {
  const ends = absoluteRange(choices);
  return ends ? { id: 'custom', label: 'Custom', long: formatSpan(ends.from, ends.to), secs: (ends.to - ends.from) / 1000, ...ends } : rangeById(range);
}

/**
 * What the reader chose. No networks means all of them. `choices` are those of charts, by their parameter.
 * @typedef {{ region: string | null, range: string, networks: string[], choices: Record<string, string> }} Choice
 */

/** What a parameter without a value means. @type {Record<string, string>} */
const ALONE = { wall: 'all' };

/**
 * Reads `?region=…&range=…&network=x,bluesky` and the parameters of charts.
 * @param {string} search
 * @param {string[]} [params] the parameters of charts
 * @returns {Choice}
 */
export function readUrl(search, params = []) {
  const query = new URLSearchParams(search);
  const networks = query.getAll('network').flatMap((names) => names.split(',')).map((name) => name.trim()).filter(Boolean);
  return {
    region: query.get('region') || null,
    range: rangeById(query.get('range')).id,
    networks: [...new Set(networks)].sort(),
    choices: Object.fromEntries(params.flatMap((param) => {
      const value = query.get(param) || (query.has(param) ? ALONE[param] : '');
      return value ? [[param, value]] : [];
    })),
  };
}

/**
 * The query for a choice. Other parameters stay as they are; those of charts are left out when they are empty.
 * @param {string} search
 * @param {Choice} choice
 */
export function writeUrl(search, { region, range, networks, choices }) {
  const query = new URLSearchParams(search);
  const values = { region, range: rangeById(range).id, network: networks.join(','), ...choices };
  for (const [name, value] of Object.entries(values)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  // Commas, colons and slashes may be in a query as they are, and are easier to read so.
  return `?${query.toString().replaceAll('%2C', ',').replaceAll('%3A', ':').replaceAll('%2F', '/')}`;
}
