// @ts-check
// Posts by the way in which they matched the region.

import { barChart, byCount } from '../chart-kit/bars.js';
import { count } from '../model/values.js';

/** @type {{ key: keyof NonNullable<import('../model/contract').Report['located']>, label: string, note: string }[]} */
export const WAYS = [
  { key: 'point', label: 'Own coordinates', note: 'the post has coordinates inside the region' },
  { key: 'place', label: 'Named place', note: 'the place that the post names overlaps the region' },
  { key: 'rule', label: 'Source rule', note: "the source's own rule for the region matched" },
  { key: 'text', label: 'Text match', note: 'a keyword, hashtag or language of the region matched' },
  { key: 'all', label: 'Every post', note: 'the region includes every post' },
];

export default barChart({
  id: 'matched-by',
  title: 'How posts matched the region',
  reads: { total: ['posts', 'located'] },
  size: 'third',
  noun: 'matches',
  what: 'Matched by',
  none: 'No matches in this range.',
  bars: ({ report }) => WAYS.map(({ key, label, note }) => ({ label, note, value: count(report.located?.[key]), error: 0 }))
    .filter((bar) => bar.value > 0)
    .sort(byCount),
});
