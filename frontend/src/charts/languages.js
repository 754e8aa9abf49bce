// @ts-check
// Posts by language: the most frequent ones by name, the rest as one bar.

import { barChart, byCount } from '../chart-kit/bars.js';
import { capital, languageName } from '../format.js';
import { t } from '../i18n.js';
import { count } from '../model/values.js';

const MOST = 7;

/** @param {import('../model/answer.js').Total} total */
function languageBars({ report }) {
  /** @type {Map<string, number>} */
  const byName = new Map();
  /** The codes by name: one with several cannot be turned to. @type {Map<string, string[]>} */
  const codes = new Map();
  for (const [code, n] of Object.entries(report.languages ?? {})) {
    const name = capital(languageName(code));
    codes.set(name, [...(codes.get(name) ?? []), code]);
    if (count(n) > 0) byName.set(name, (byName.get(name) ?? 0) + count(n));
  }
  /** @type {import('../chart-kit/types').Bar[]} */
  const all = [...byName].map(([label, value]) => {
    const [key, ...others] = codes.get(label) ?? [];
    return { label, value, error: 0, ...(key !== undefined && others.length === 0 && { focus: { type: 'language', key } }) };
  }).sort(byCount);
  const nameless = count(report.other_languages);
  if (all.length <= MOST + 1 && nameless === 0) return all;
  const rest = all.slice(MOST);
  const value = rest.reduce((sum, bar) => sum + bar.value, nameless);
  return [...all.slice(0, MOST), { label: nameless ? t('series.allOthers') : t('series.others', { n: rest.length }), value, error: 0 }];
}

export default barChart({
  id: 'languages',
  reads: { total: ['posts', 'languages', 'other_languages'] },
  size: 'third',
  bars: languageBars,
});
