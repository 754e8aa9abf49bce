// @ts-check
// What the numbers of a region are made of, and what is not known: rows of a title and sentences. Pure functions.

import { formatClock, formatMillis, formatShare, languageName } from '../format.js';
import { t } from '../i18n.js';
import { networkLabel } from './networks.js';
import { list } from './values.js';

/**
 * @typedef {{ id: string, name: string, boxes: number[][], keywords: readonly string[], languages: readonly string[], rules: readonly string[] }} Rules
 * @typedef {{
 *   region: Rules, overview: import('./unusual.js').LooseOverview, windows: readonly import('./answer.js').Window[], version: string, updatedMs: number | null,
 * }} Known `windows` are those of the range that is shown; `version` is that of the page
 */

/** The rules of a region in words; every post counts where there are none. @param {Rules} region */
export function rulesText({ boxes, keywords, languages, rules }) {
  const named = languages.map(languageName).join(', ');
  const hasOther = boxes.length + keywords.length + rules.length > 0;
  const ways = [
    boxes.length > 0 && t('about.boxes', { boxes: boxes.map(([west, south, east, north]) => t('about.box', { south: String(south), north: String(north), west: String(west), east: String(east) })).join(t('list.semicolon')) }),
    keywords.length > 0 && t('about.keywords', { words: keywords.join(', ') }),
    rules.length > 0 && t('about.tags', { rules: rules.join(', ') }),
    languages.length > 0 && !hasOther && t('about.languages', { languages: named }),
  ].filter((way) => way !== false);
  if (ways.length === 0) return t('about.everything');
  return [t('about.rulesText', { ways: ways.join(t('list.semicolon')) }), languages.length > 0 && hasOther && t('about.narrowed', { languages: named })].filter(Boolean).join(' ');
}

/** A source, its network, and the share of the posts that it is asked for. @param {{ source?: string | null, network?: string | null, sampled?: number | null }} one */
function sourceText({ source, network, sampled }) {
  const share = typeof sampled === 'number' && sampled < 1 ? t('about.sampled', { share: formatShare(sampled, 1) }) : network === 'demo' ? t('about.madeUp') : t('about.allPosts');
  return t('about.source', { source: source ?? t('unknown.source'), network: networkLabel(network ?? ''), share });
}

/** @param {Known} known @returns {{ title: string, texts: string[] }[]} */
export function aboutRows({ region, overview, windows, version, updatedMs }) {
  const sources = list(overview.sources);
  const lag = overview.lag_ms;
  const open = windows.find((w) => w.isOpen);
  const revised = windows.filter((w) => w.lifecycle === 'revised').length;
  return [
    { title: t('about.rules'), texts: [rulesText(region)] },
    { title: t('about.sources'), texts: sources.length > 0 ? sources.map(sourceText) : [t('about.noSource')] },
    {
      title: t('about.delays'),
      texts: [
        lag ? t('about.lag', { mean: formatMillis(lag.mean ?? 0), max: formatMillis(lag.max ?? 0) }) : t('about.noLag'),
        open ? t('about.provisional', { time: formatClock(open.start) }) : t('about.allFinal'),
        revised > 0 ? t('about.revised', { n: revised }) : '',
      ].filter(Boolean),
    },
    { title: t('about.usual'), texts: [t('about.usualText'), t('help.usualRangeText')] },
    { title: t('about.sure'), texts: [t('about.sureText')] },
    { title: t('about.unknown'), texts: [t('about.unknownText'), t('about.lateness')] },
    { title: t('about.version'), texts: [updatedMs === null ? t('about.page', { version }) : t('about.pageAndCounts', { version, time: formatClock(updatedMs) })] },
  ];
}
