// @ts-check
// Posts by language: the most frequent ones by name, the rest as one bar.

import { barChart, byCount } from '../chart-kit/bars.js';
import { languageName } from '../format.js';
import { count } from '../model/values.js';

const MOST = 7;

/** @param {import('../model/answer.js').Total} total */
function languageBars({ report }) {
  /** @type {Map<string, number>} */
  const byName = new Map();
  for (const [code, n] of Object.entries(report.languages ?? {})) {
    const name = languageName(code);
    if (count(n) > 0) byName.set(name, (byName.get(name) ?? 0) + count(n));
  }
  const all = [...byName].map(([label, value]) => ({ label, value, error: 0 })).sort(byCount);
  const nameless = count(report.other_languages);
  if (all.length <= MOST + 1 && nameless === 0) return all;
  const rest = all.slice(MOST);
  const value = rest.reduce((sum, bar) => sum + bar.value, nameless);
  return [...all.slice(0, MOST), { label: nameless ? 'All others' : `${rest.length} others`, value, error: 0 }];
}

export default barChart({
  id: 'languages',
  title: 'Languages',
  reads: { total: ['posts', 'languages', 'other_languages'] },
  size: 'third',
  noun: 'languages',
  what: 'Language',
  none: 'No languages in this range.',
  bars: languageBars,
});
