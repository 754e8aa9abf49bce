// @ts-check
// Posts by the way in which they matched the region.

import { barChart, byCount } from '../chart-kit/bars.js';
import { t } from '../i18n.js';
import { count } from '../model/values.js';

/** @param {keyof NonNullable<import('../model/contract').Report['located']>} key */
const matchedBy = (key) => ({
  key,
  get label() { return t(`match.${key}.label`); },
  get note() { return t(`match.${key}.note`); },
});

export const WAYS = [
  matchedBy('point'),
  matchedBy('place'),
  matchedBy('rule'),
  matchedBy('text'),
  matchedBy('all'),
];

export default barChart({
  id: 'matched-by',
  reads: { total: ['posts', 'located'] },
  size: 'third',
  bars: ({ report }) => WAYS.map(({ key, label, note }) => ({ label, note, value: count(report.located?.[key]), error: 0 }))
    .filter((bar) => bar.value > 0)
    .sort(byCount),
});
