// @ts-check
// Ticks of a time axis at round times of a zone, also on days on which its clocks change.

const MINUTE = 60_000;
const DAY_MINUTES = 1440;
const HOUR_MINUTES = 60;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720];

/**
 * At most about `max` ticks between two times, at round minutes, hours or days of the zone. An hour that occurs twice has two ticks.
 * @param {number | undefined} from
 * @param {number | undefined} to
 * @param {number} max
 * @param {import('../model/zone.js').Zone} zone
 */
export function timeTicks(from, to, max, zone) {
  if (from === undefined || to === undefined || !(to > from)) return [];
  const step = STEPS.find((minutes) => (to - from) / (minutes * MINUTE) <= max) ?? null;
  const days = step === null ? Math.max(1, Math.ceil((to - from) / (DAY_MINUTES * MINUTE) / max)) : 1;
  /** @type {number[]} */
  const all = [];
  for (let day = zone.startOfDay(from); day <= to; day = zone.startOfDay(day, days)) {
    const next = zone.startOfDay(day, 1);
    if (step === null) all.push(day);
    else if (step < HOUR_MINUTES) for (let at = day; at < next && at <= to; at += step * MINUTE) all.push(at);
    else {
      const { year, month, day: date } = zone.localAt(day);
      all.push(day);
      for (let minute = step; minute < DAY_MINUTES; minute += step) {
        all.push(...zone.momentsOf({ year, month, day: date, hour: Math.floor(minute / HOUR_MINUTES), minute: minute % HOUR_MINUTES }));
      }
    }
  }
  return [...new Set(all)].filter((at) => at >= from && at <= to).sort((a, b) => a - b).map((value) => ({ value }));
}
