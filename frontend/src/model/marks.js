// @ts-check
// Events as lettered marks of a chart: those that start together are one mark.

import { t } from '../i18n.js';
import { eventText, sinceText, subjectText } from './unusual.js';
import { list, parseTime } from './values.js';

/** @typedef {{ letter: string, at: number, time: string, text: string }} Mark */

const MOST = 8;
const MOST_NAMES = 3;
const LETTERS = 'ABCDEFGH';

/**
 * @param {readonly (import('./unusual.js').LooseEvent | null)[] | null | undefined} events
 * @param {number | null} from
 * @param {number | null} to
 * @param {number} nowMs
 * @returns {Mark[]} by time; the most unusual ones when there are too many
 */
export function eventMarksOf(events, from, to, nowMs) {
  /** @type {Map<number, import('./unusual.js').LooseEvent[]>} */
  const byStart = new Map();
  for (const event of list(events)) {
    const at = parseTime(event.start);
    if (at === null || from === null || to === null || at < from || at >= to) continue;
    byStart.set(at, [...(byStart.get(at) ?? []), event]);
  }
  const score = (/** @type {import('./unusual.js').LooseEvent} */ event) => (event.kind === 'note' ? Infinity : event.comparison?.score ?? 0);
  const best = (/** @type {import('./unusual.js').LooseEvent[]} */ all) => Math.max(...all.map(score));
  return [...byStart].sort((a, b) => best(b[1]) - best(a[1])).slice(0, MOST).sort((a, b) => a[0] - b[0]).map(([at, all], i) => {
    const rising = all.filter(({ kind }) => kind === 'rising').sort((a, b) => score(b) - score(a)).map(({ subject }) => subjectText(subject));
    const subjects = rising.slice(0, MOST_NAMES).join(', ');
    const more = rising.length - MOST_NAMES;
    const risingText = rising.length === 0 ? '' : more > 0 ? t('event.manyMoreRising', { subjects, n: more }) : t('event.manyRising', { subjects });
    const texts = [...all.filter(({ kind }) => kind !== 'rising').map(eventText), risingText];
    return { letter: LETTERS.charAt(i), at, time: sinceText(new Date(at).toISOString(), nowMs), text: texts.filter(Boolean).join(t('list.semicolon')) };
  });
}
