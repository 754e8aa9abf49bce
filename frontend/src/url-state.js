// @ts-check
// What the address bar holds: the region, the range, the networks, and the choices made in charts. Pure functions.

import { formatSpan } from './format.js';
import { t } from './i18n.js';
import { absoluteRange } from './model/range.js';

/** @typedef {{ id: string, label: string, long: string, secs: number, from?: number, to?: number }} Range `label` and `long` are in the language of the page; `from` and `to` are the ends of an absolute one */

const DAY_SECS = 86_400;

/**
 * @param {string} id
 * @param {number} secs
 * @returns {Range}
 */
function named(id, secs) {
  return {
    id, secs,
    get label() { return t(/** @type {import('./i18n.js').Key} */ (`range.${id}`)); },
    get long() { return t(/** @type {import('./i18n.js').Key} */ (`range.long.${id}`)); },
  };
}

/** The default range is used when the address names none, or none that exists. */
export const DEFAULT_RANGE = named('24h', DAY_SECS);

/**
 * Ranges that can be chosen. The API chooses the step that keeps a chart readable.
 * @type {Range[]}
 */
export const RANGES = [
  named('1h', 3600),
  named('6h', 6 * 3600),
  DEFAULT_RANGE,
  named('7d', 7 * DAY_SECS),
  named('30d', 30 * DAY_SECS),
  named('1y', 365 * DAY_SECS),
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
  return ends ? { id: 'custom', label: t('range.custom'), long: formatSpan(ends.from, ends.to), secs: (ends.to - ends.from) / 1000, ...ends } : rangeById(range);
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
