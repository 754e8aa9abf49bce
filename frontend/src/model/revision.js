// @ts-check
// What changed in windows after they had been counted, in words: by how much, why and when.

import { formatDayClock } from '../format.js';
import { t } from '../i18n.js';
import { list, parseTime } from './values.js';

/** @typedef {import('./contract').Loose<import('../api-types').components['schemas']['Revision']>} LooseRevision */

const REASONS = /** @type {const} */ ({ late: 'revision.late', reprocess: 'revision.reprocess', retry: 'revision.retry', rule: 'revision.rule' });

/** @param {number | null | undefined} change */
function changeText(change) {
  if (typeof change !== 'number') return '';
  if (change === 0) return t('revision.same');
  return change > 0 ? t('revision.more', { n: change }) : t('revision.fewer', { n: -change });
}

/**
 * `4 posts more than before; late posts arrived; last changed 27 Nov, 14:05`; empty when nothing is known of it.
 * @param {LooseRevision | null | undefined} revision
 */
export function revisionText(revision) {
  const at = parseTime(revision?.changed_at);
  const why = list(revision?.why).map((one) => (one in REASONS ? t(REASONS[/** @type {keyof typeof REASONS} */ (one)]) : one)).join(', ');
  const when = at === null ? '' : t('revision.changed', { time: formatDayClock(at) });
  return [changeText(revision?.change), why, when].filter(Boolean).join(t('list.semicolon'));
}
