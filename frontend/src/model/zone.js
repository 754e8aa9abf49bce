// @ts-check
// Time zones: from moments to local times and back, also on the days on which clocks change. By Intl, without a table of zones of our own.

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Clocks change at whole quarters of an hour of UTC. */
const BLOCK_MS = 15 * MINUTE_MS;
const MOST_BLOCKS = 20_000;

/**
 * A local time. Months are 1 to 12; days, hours and minutes beyond their end belong to what follows.
 * @typedef {{ year: number, month: number, day: number, hour: number, minute: number }} Local
 * @typedef {ReturnType<typeof makeZone>} Zone
 */

/** @type {Map<string, Zone>} */
const zones = new Map();

/** To find out the zone of the device takes milliseconds, and it changes when somebody travels. */
const KEPT_MS = 60_000;
let device = { zone: '', at: -Infinity };

/** The zone of the reader's device. */
export function localZoneId() {
  if (Math.abs(Date.now() - device.at) > KEPT_MS) device = { zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC', at: Date.now() };
  return device.zone;
}

/**
 * The zone with this IANA name; null when there is none.
 * @param {string | null | undefined} id
 */
export function zoneById(id) {
  if (!id) return null;
  const known = zones.get(id);
  if (known) return known;
  try {
    const zone = makeZone(id);
    zones.set(id, zone);
    return zone;
  } catch {
    return null;
  }
}

/**
 * Names of all zones that the browser knows, with UTC.
 * @returns {string[]}
 */
export function zoneIds() {
  const names = typeof Intl.supportedValuesOf === 'function' ? Intl.supportedValuesOf('timeZone') : [];
  return [...new Set(['UTC', ...names])];
}

/** @param {Local} local */
const asUtc = ({ year, month, day, hour, minute }) => Date.UTC(year, month - 1, day, hour, minute);

/**
 * The difference of a zone to UTC as text: `UTC−4`, `UTC+5:45`.
 * @param {number} offsetMs
 */
export function offsetText(offsetMs) {
  if (offsetMs === 0) return 'UTC';
  const minutes = Math.round(Math.abs(offsetMs) / MINUTE_MS);
  const rest = minutes % 60;
  return `UTC${offsetMs < 0 ? '−' : '+'}${Math.floor(minutes / 60)}${rest ? `:${String(rest).padStart(2, '0')}` : ''}`;
}

/** @param {string} id */
function makeZone(id) {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: id, calendar: 'iso8601', numberingSystem: 'latn', hourCycle: 'h23', era: 'short',
    year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
  });
  /** @type {Map<number, number>} */
  const offsets = new Map();

  /**
   * How far local time is ahead of UTC at a moment, in milliseconds.
   * @param {number} ms
   */
  function offsetAt(ms) {
    const block = Math.floor(ms / BLOCK_MS);
    const known = offsets.get(block);
    if (known !== undefined) return known;
    const at = block * BLOCK_MS;
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    const offset = Date.UTC(year, month - 1, day, hour, minute, second) - at;
    if (offsets.size >= MOST_BLOCKS) offsets.clear();
    offsets.set(block, offset);
    return offset;
  }

  /**
   * The local time at a moment.
   * @param {number} ms
   * @returns {Local}
   */
  function localAt(ms) {
    const at = new Date(ms + offsetAt(ms));
    return { year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: at.getUTCDate(), hour: at.getUTCHours(), minute: at.getUTCMinutes() };
  }

  /**
   * The moments at which the clock shows a local time: one, two where the clock was put back, none where it was put forward.
   * @param {Local} local
   * @returns {number[]} in order
   */
  function momentsOf(local) {
    const utc = asUtc(local);
    const possible = new Set([offsetAt(utc - DAY_MS), offsetAt(utc + DAY_MS)]);
    return [...possible].flatMap((offset) => (offsetAt(utc - offset) === offset ? [utc - offset] : [])).sort((a, b) => a - b);
  }

  /**
   * The moment of a local time. Of two, the first one, or the last one when `isEnd`. A time that the clock skips is as much later
   * as the clock was put forward.
   * @param {Local} local
   * @param {{ isEnd?: boolean }} [options]
   */
  function momentOf(local, { isEnd = false } = {}) {
    const moments = momentsOf(local);
    const utc = asUtc(local);
    return (isEnd ? moments.at(-1) : moments[0]) ?? utc - offsetAt(utc - DAY_MS);
  }

  /**
   * The first moment of a local day, some days after that of `ms`.
   * @param {number} ms
   * @param {number} [days]
   */
  function startOfDay(ms, days = 0) {
    const { year, month, day } = localAt(ms);
    return momentOf({ year, month, day: day + days, hour: 0, minute: 0 });
  }

  return {
    id,
    offsetAt,
    localAt,
    momentsOf,
    momentOf,
    startOfDay,
    /** Whether the clock shows the time of this moment twice. @param {number} ms */
    isRepeated: (ms) => momentsOf(localAt(ms)).length > 1,
    /** Whether a local day starts at this moment. @param {number} ms */
    isDayStart: (ms) => startOfDay(ms) === ms,
    /** The difference to UTC at a moment, as text. @param {number} ms */
    offsetText: (/** @type {number} */ ms) => offsetText(offsetAt(ms)),
  };
}

/** @param {number} n @param {number} [digits] */
const padded = (n, digits = 2) => String(n).padStart(digits, '0');

/**
 * A moment as the value of a `datetime-local` field.
 * @param {Zone} zone
 * @param {number} ms
 */
export function fieldValue(zone, ms) {
  const { year, month, day, hour, minute } = zone.localAt(ms);
  return `${padded(year, 4)}-${padded(month)}-${padded(day)}T${padded(hour)}:${padded(minute)}`;
}

/**
 * The moment that the value of a `datetime-local` or `date` field names; null when it names none. The last moment of a time that
 * the clock shows twice when `isEnd`.
 * @param {Zone} zone
 * @param {string} value
 * @param {{ isEnd?: boolean }} [options]
 */
export function fieldMoment(zone, value, options) {
  const match = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::\d{2}(?:\.\d+)?)?)?$/.exec(value.trim());
  if (!match) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = match.slice(1).map((text) => Number(text ?? 0));
  const local = { year, month, day, hour, minute };
  // Such as the 31st of November.
  const back = new Date(asUtc(local));
  if (back.getUTCMonth() + 1 !== month || back.getUTCDate() !== day || hour > 23 || minute > 59) return null;
  return zone.momentOf(local, options);
}

/**
 * A moment in RFC 3339 with the difference to UTC: `2026-11-01T01:30:00-04:00`; in UTC with `Z`.
 * @param {Zone} zone
 * @param {number} ms
 */
export function isoIn(zone, ms) {
  const offset = zone.offsetAt(ms);
  const minutes = Math.round(Math.abs(offset) / MINUTE_MS);
  if (minutes === 0) return new Date(ms).toISOString();
  return `${new Date(ms + offset).toISOString().slice(0, 19)}${offset < 0 ? '-' : '+'}${padded(Math.floor(minutes / 60))}:${padded(minutes % 60)}`;
}
