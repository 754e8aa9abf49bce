// @ts-check
// Text for people in the language of the page: numbers, shares, durations, times and names of languages. Times are those of the chosen zone.

import { formatCount, locale, perLanguage, t } from './i18n.js';
import { localZoneId, zoneById } from './model/zone.js';

export { formatCount };

const DASH = '–';
/** English has its short numbers from the United States, where thousands are `K`. @param {string} tag */
const short = (tag) => (tag === 'en-GB' ? 'en' : tag);

const oneDecimal = perLanguage((tag) => new Intl.NumberFormat(tag, { maximumFractionDigits: 1 }));
const fixedDecimal = perLanguage((tag) => new Intl.NumberFormat(tag, { minimumFractionDigits: 1, maximumFractionDigits: 1 }));
const compact = perLanguage((tag) => new Intl.NumberFormat(short(tag), { notation: 'compact', maximumSignificantDigits: 3 }));
const percentWhole = perLanguage((tag) => new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 0 }));
const percentDecimal = perLanguage((tag) => new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 1 }));
const dollars = perLanguage((tag) => new Intl.NumberFormat(short(tag), { style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol' }));

/** @param {string} timeZone */
const timeFormats = (timeZone) => perLanguage((tag) => ({
  clock: new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone }),
  clockSeconds: new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone }),
  day: new Intl.DateTimeFormat(tag, { weekday: 'short', day: 'numeric', month: 'short', timeZone }),
  yearDay: new Intl.DateTimeFormat(tag, { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', timeZone }),
  shortDay: new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'short', timeZone }),
}));
const localZone = () => /** @type {import('./model/zone.js').Zone} */ (zoneById(localZoneId()) ?? zoneById('UTC'));

/** The zone of all times that are shown, and its formats. Made when it is first used: Intl takes a while. @type {{ zone: import('./model/zone.js').Zone, formats: ReturnType<typeof timeFormats> } | null} */
let chosen = null;
/** @param {import('./model/zone.js').Zone} zone */
const choose = (zone) => (chosen = { zone, formats: timeFormats(zone.id) });
const shown = () => chosen ?? choose(localZone());

/** The zone of all times that are shown. */
export const currentZone = () => shown().zone;

const DAY_MS = 86_400_000;
/** Whether a step is one of days in another zone than the one of all times: steps are aligned to UTC. @param {number} stepMs */
export const isUtcDays = (stepMs) => stepMs >= DAY_MS && currentZone().id !== 'UTC';

/**
 * Shows all times in a zone; in that of the reader's device when there is none with this name.
 * @param {string | null | undefined} id
 * @returns {boolean} whether the zone has changed
 */
export function setZone(id) {
  const next = zoneById(id) ?? localZone();
  if (next.id === currentZone().id) return false;
  choose(next);
  return true;
}

const languageNames = perLanguage((tag) => {
  try {
    return new Intl.DisplayNames([tag], { type: 'language', languageDisplay: 'standard' });
  } catch {
    // Codes are shown as they are where the platform has no names.
    return null;
  }
});

/**
 * @param {unknown} n
 * @returns {n is number}
 */
const isNumber = (n) => typeof n === 'number' && Number.isFinite(n);

/**
 * A whole number in short form (`12.4K`), for axes.
 * @param {unknown} n
 */
export function formatCompact(n) {
  return isNumber(n) ? compact().format(n) : DASH;
}

/**
 * A rate: one decimal below 100.
 * @param {unknown} n
 */
export function formatRate(n) {
  if (!isNumber(n)) return DASH;
  return n < 100 ? oneDecimal().format(n) : formatCount(Math.round(n));
}

/**
 * `part / all` as a percentage. Never rounds up to 100 % nor down to 0 %.
 * @param {unknown} part
 * @param {unknown} all
 */
export function formatShare(part, all) {
  if (!isNumber(part) || !isNumber(all) || all <= 0) return DASH;
  const percent = (100 * part) / all;
  if (percent > 0 && percent < 0.1) return `<${percentDecimal().format(0.001)}`;
  if (percent < 100 && percent > 99.9) return `>${percentDecimal().format(0.999)}`;
  return (percent < 10 || percent > 99 ? percentDecimal() : percentWhole()).format(percent / 100);
}

/** @param {(string | false)[]} units */
const joined = (...units) => units.filter(Boolean).join(' ');

/**
 * Seconds as `3 s`, `4 min`, `2 h 5 min`, `3 d 4 h`.
 * @param {unknown} secs
 */
export function formatDuration(secs) {
  if (!isNumber(secs)) return DASH;
  const s = Math.max(0, Math.round(secs));
  if (s < 60) return t('time.seconds', { n: s });
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return t('time.minutes', { n: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return joined(t('time.hours', { n: hours }), minutes % 60 > 0 && t('time.minutes', { n: minutes % 60 }));
  const days = Math.floor(hours / 24);
  return joined(t('time.days', { n: days }), hours % 24 > 0 && t('time.hours', { n: hours % 24 }));
}

/**
 * Milliseconds as `850 ms`, `1.2 s` or a longer duration.
 * @param {unknown} ms
 */
export function formatMillis(ms) {
  if (!isNumber(ms)) return DASH;
  if (ms < 1000) return t('time.milliseconds', { n: Math.max(0, ms) });
  if (ms < 60_000) return t('time.seconds', { n: oneDecimal().format(ms / 1000) });
  return formatDuration(ms / 1000);
}

/** A time of day; with its difference to UTC where the clock shows it twice. */
/** A time of day as lines: one that the clock shows twice has its difference to UTC below it. @param {number} ms */
export const formatClockLines = (ms) => [shown().formats().clock.format(ms), ...(currentZone().isRepeated(ms) ? [currentZone().offsetText(ms)] : [])];
export const formatClock = (/** @type {number} */ ms) => formatClockLines(ms).join(' ');
export const formatClockSeconds = (/** @type {number} */ ms) => shown().formats().clockSeconds.format(ms);
export const formatDay = (/** @type {number} */ ms) => shown().formats().day.format(ms);
export const formatShortDay = (/** @type {number} */ ms) => shown().formats().shortDay.format(ms);
export const formatDayClock = (/** @type {number} */ ms) => `${formatDay(ms)}, ${formatClock(ms)}`;

/**
 * From–to of a window: the day once when both ends share it, a whole day without clock times, and the year when it
 * changes.
 * @param {number} startMs
 * @param {number} endMs
 */
export function formatSpan(startMs, endMs) {
  const [start, end] = [formatClock(startMs), formatClock(endMs)];
  const { zone, formats } = shown();
  if (formats().yearDay.format(startMs) === formats().yearDay.format(endMs - 1)) {
    return zone.isDayStart(startMs) && zone.isDayStart(endMs) ? formatDay(startMs) : `${formatDay(startMs)}, ${start}–${end}`;
  }
  const days = zone.localAt(startMs).year === zone.localAt(endMs).year ? formats().day : formats().yearDay;
  return `${days.format(startMs)}, ${start} – ${days.format(endMs)}, ${end}`;
}

/**
 * How long ago the page was updated: `just now`, `12 s ago`.
 * @param {unknown} secs
 */
export function formatAgo(secs) {
  if (!isNumber(secs)) return t('time.notYet');
  return secs < 2 ? t('time.justNow') : t('time.ago', { time: formatDuration(secs) });
}

const UNKNOWN = /^(und|unknown|none|xx|zxx|qme|qst|qht|qam|qct|)$/i;
/** Whether a code names a language. @param {string | null | undefined} code */
export const isLanguage = (code) => !UNKNOWN.test(String(code ?? '').trim());

/**
 * The name of a language; the code itself when there is none.
 * @param {string | null | undefined} code
 */
export function languageName(code) {
  const clean = String(code ?? '').trim();
  if (!isLanguage(clean)) return t('language.unknown');
  try {
    return languageNames()?.of(clean.replace(/_/g, '-')) ?? clean;
  } catch {
    return clean;
  }
}

/** A text that starts with a capital letter. @param {string} text */
export const capital = (text) => text.charAt(0).toLocaleUpperCase(locale()) + text.slice(1);

/**
 * A factor without its sign: `4.4`, `12`.
 * @param {number} factor
 */
export const formatFactor = (factor) => (factor < 10 ? fixedDecimal().format(factor) : formatRate(factor));

/** A number of percent with a decimal: `33.3%`. @param {number} percent */
export const formatPercent = (percent) => percentDecimal().format(percent / 100);

/**
 * A change in percent with its sign: `+12%`.
 * @param {number} percent a whole number
 */
export const formatChange = (percent) => `${percent < 0 ? '−' : '+'}${percentWhole().format(Math.abs(percent) / 100)}`;

/** An amount of US dollars. @param {number} amount */
export const formatDollars = (amount) => dollars().format(amount);
