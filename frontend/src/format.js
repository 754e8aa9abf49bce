// @ts-check
// Text for people: numbers, shares, durations, times and language names. Pure functions only.

const LOCALE = 'en-GB';
const DASH = '–';

const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const oneDecimal = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
const millions = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

const clockFormat = new Intl.DateTimeFormat(LOCALE, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clockSecondsFormat = new Intl.DateTimeFormat(LOCALE, {
  hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
});
const dayFormat = new Intl.DateTimeFormat(LOCALE, { weekday: 'short', day: 'numeric', month: 'short' });
const yearDayFormat = new Intl.DateTimeFormat(LOCALE, { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' });
const shortDayFormat = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short' });

/** @type {Intl.DisplayNames | null} */
let languageNames = null;
try {
  languageNames = new Intl.DisplayNames(['en'], { type: 'language', languageDisplay: 'standard' });
} catch {
  // Codes are shown as they are where the platform has no names.
}

/**
 * @param {unknown} n
 * @returns {n is number}
 */
const isNumber = (n) => typeof n === 'number' && Number.isFinite(n);

/**
 * A whole number with separators; above a million in short form (`1.234M`).
 * @param {unknown} n
 */
export function formatCount(n) {
  if (!isNumber(n)) return DASH;
  return Math.abs(n) >= 1_000_000 ? millions.format(n) : whole.format(n);
}

/**
 * A whole number in short form (`12.4K`), for axes.
 * @param {unknown} n
 */
export function formatCompact(n) {
  return isNumber(n) ? compact.format(n) : DASH;
}

/**
 * A rate: one decimal below 100.
 * @param {unknown} n
 */
export function formatRate(n) {
  if (!isNumber(n)) return DASH;
  return n < 100 ? oneDecimal.format(n) : formatCount(Math.round(n));
}

/**
 * `part / all` as a percentage. Never rounds up to 100 % nor down to 0 %.
 * @param {unknown} part
 * @param {unknown} all
 */
export function formatShare(part, all) {
  if (!isNumber(part) || !isNumber(all) || all <= 0) return DASH;
  const percent = (100 * part) / all;
  if (percent > 0 && percent < 0.1) return '<0.1%';
  if (percent < 100 && percent > 99.9) return '>99.9%';
  return `${percent < 10 || percent > 99 ? oneDecimal.format(percent) : whole.format(percent)}%`;
}

/**
 * Seconds as `3 s`, `4 min`, `2 h 5 min`, `3 d 4 h`.
 * @param {unknown} secs
 */
export function formatDuration(secs) {
  if (!isNumber(secs)) return DASH;
  const s = Math.max(0, Math.round(secs));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/**
 * Milliseconds as `850 ms`, `1.2 s` or a longer duration.
 * @param {unknown} ms
 */
export function formatMillis(ms) {
  if (!isNumber(ms)) return DASH;
  if (ms < 1000) return `${whole.format(Math.max(0, ms))} ms`;
  if (ms < 60_000) return `${oneDecimal.format(ms / 1000)} s`;
  return formatDuration(ms / 1000);
}

export const formatClock = (/** @type {number} */ ms) => clockFormat.format(ms);
export const formatClockSeconds = (/** @type {number} */ ms) => clockSecondsFormat.format(ms);
export const formatDay = (/** @type {number} */ ms) => dayFormat.format(ms);
export const formatShortDay = (/** @type {number} */ ms) => shortDayFormat.format(ms);
export const formatDayClock = (/** @type {number} */ ms) => `${dayFormat.format(ms)}, ${clockFormat.format(ms)}`;

/**
 * From–to of a window: the day once when both ends share it, a whole day without clock times, and the year when it
 * changes.
 * @param {number} startMs
 * @param {number} endMs
 */
export function formatSpan(startMs, endMs) {
  const [start, end] = [formatClock(startMs), formatClock(endMs)];
  if (yearDayFormat.format(startMs) === yearDayFormat.format(endMs - 1)) {
    return start === '00:00' && end === '00:00' ? formatDay(startMs) : `${formatDay(startMs)}, ${start}–${end}`;
  }
  const days = new Date(startMs).getFullYear() === new Date(endMs).getFullYear() ? dayFormat : yearDayFormat;
  return `${days.format(startMs)}, ${start} – ${days.format(endMs)}, ${end}`;
}

/**
 * How long ago the page was updated: `just now`, `12 s ago`.
 * @param {unknown} secs
 */
export function formatAgo(secs) {
  if (!isNumber(secs)) return 'not yet';
  return secs < 2 ? 'just now' : `${formatDuration(secs)} ago`;
}

/**
 * The English name of a language code; the code itself when there is none.
 * @param {string | null | undefined} code
 */
export function languageName(code) {
  const clean = String(code ?? '').trim();
  if (clean === '' || /^(und|unknown|none|xx|zxx|qme|qst|qht|qam|qct)$/i.test(clean)) return 'Not stated';
  try {
    return languageNames?.of(clean.replace(/_/g, '-')) ?? clean;
  } catch {
    return clean;
  }
}

/**
 * `1 post`, `2 posts`.
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export function plural(n, one, many = `${one}s`) {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}
