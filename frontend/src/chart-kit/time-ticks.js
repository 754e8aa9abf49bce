// @ts-check
// Ticks of a time axis at round local times.

const MINUTE = 60_000;
const DAY_MINUTES = 1440;
const STEPS = [5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE);

/**
 * At most about `max` ticks between two times, at round local hours or days.
 * @param {number | undefined} from
 * @param {number | undefined} to
 * @param {number} max
 */
export function timeTicks(from, to, max) {
  /** @type {{ value: number }[]} */
  const ticks = [];
  if (from === undefined || to === undefined || !(to > from)) return ticks;
  const step = STEPS.find((one) => (to - from) / one <= max) ?? null;
  const days = step === null ? Math.max(1, Math.ceil((to - from) / (DAY_MINUTES * MINUTE) / max)) : 1;
  const midnight = new Date(from);
  midnight.setHours(0, 0, 0, 0);
  while (midnight.getTime() <= to) {
    const next = new Date(midnight);
    next.setDate(next.getDate() + days);
    for (let at = midnight.getTime(); at < next.getTime() && at <= to; at += step ?? Infinity) {
      if (at >= from) ticks.push({ value: at });
    }
    midnight.setTime(next.getTime());
  }
  return ticks;
}
