// @ts-check
// Tests of the texts: that all are there in each language, and that the check of the build finds what is not.
import { afterEach, describe, expect, it } from 'vitest';
import { htmlProblems, languageProblems, moduleProblems, textProblems } from '../check-texts.js';
import { formatChange, formatCompact, formatCount, formatDollars, formatDuration, formatFactor, formatShare, formatSpan, languageName } from '../src/format.js';
import { language, parts, t, useLanguage, wantedLanguage } from '../src/i18n.js';

const DAY = Date.UTC(2026, 10, 24, 8);

afterEach(() => useLanguage('en'));

it('has every text in every language, and no other', { timeout: 60_000 }, async () => {
  expect(await textProblems()).toEqual([]);
});

describe('the check of the build', () => {
  it('finds what differs between languages', () => {
    const en = { a: '{x} and {y}', b: { one: '{n} post', other: '{n} posts' }, c: 'c', d: { one: 'one post', other: '{n} posts' } };
    expect(languageProblems({ en, fr: { a: '{x} et', b: '{n}', e: 'e', d: '{n}' } })).toEqual([
      'fr a: other parameters than en', 'fr c: missing', 'en d: its forms have other parameters', 'en d: forms need {n}', 'fr d: other parameters than en', 'fr e: not in en',
    ]);
  });

  it('finds texts of index.html without a key, and keys without their text', () => {
    const { problems, used } = htmlProblems('<p>Hello</p><p data-t="a">Other</p><p data-t="none">None</p><template><b title="Yes"></b></template><i data-t="a">A text</i>', { a: 'A text' });
    expect(problems).toEqual([
      'index.html <p>: “Hello” has no key', 'index.html <p>: “Other” is not the text a', 'index.html <p>: no text none', 'index.html <b> title: “Yes” has no key',
    ]);
    expect(used).toEqual(['a', 'none', 'a']);
  });

  it('finds visible texts in modules', () => {
    const found = (/** @type {string} */ source) => moduleProblems('a.js', source).problems;
    expect(found("setText(node, 'Hello')")).toEqual(['a.js:1: “Hello” has no key']);
    expect(found("el(doc, 'p', {}, isNew ? 'New' : '–')")).toEqual(['a.js:1: “New” has no key']);
    expect(found('const a = { title: `${n} posts` }')).toEqual(['a.js:1: “… posts” has no key']);
    expect(found("node.setAttribute('aria-label', 'Hello'); el(doc, 'p', { 'aria-label': 'There' })")).toHaveLength(2);
    expect(found("setText(node, t('a.b')); el(doc, 'p', { class: 'muted' }, '▲ ', name)")).toEqual([]);
    expect(moduleProblems('a.js', "t('a.b'); t(`c.${d}.e`)").used.map(String)).toEqual(['/^a\\.b$/', '/^c\\.[\\w-]+\\.e$/']);
  });
});

describe('a text', () => {
  it('has parameters, counts and the form for a count', async () => {
    expect([t('unit.posts', { n: 1 }), t('unit.posts', { n: 12_345 })]).toEqual(['1 post', '12,345 posts']);
    await useLanguage('fr');
    expect([0, 1, 2].map((n) => t('unit.posts', { n }))).toEqual(['0 publication', '1 publication', '2 publications']);
    await useLanguage('es');
    expect([0, 1, 12_345].map((n) => t('unit.posts', { n }))).toEqual(['0 publicaciones', '1 publicación', '12.345 publicaciones']);
  });

  it('keeps the tone of its parts, in the order of the language', async () => {
    const params = () => ({ region: 'Paris', factor: { text: t('factor.usual', { factor: t('factor.times', { factor: formatFactor(1.8) }) }), tone: /** @type {const} */ ('up') }, event: '#Goal' });
    expect(parts('sentence.factorEvent', params())).toEqual([{ text: 'Paris: ', tone: 'plain' }, { text: '1.8× usual', tone: 'up' }, { text: ', #Goal', tone: 'plain' }]);
    await useLanguage('fr');
    expect(parts('sentence.factorEvent', params()).map(({ text }) => text).join('')).toBe('Paris\u00a0: 1,8\u00a0×\u00a0l’habituel, #Goal'.replace('×\u00a0l', '× l'));
  });
});

describe('numbers and times', () => {
  it('are written as the language does', async () => {
    const all = () => [formatCount(40_663), formatCompact(12_400), formatShare(1, 30), formatShare(1, 100_000), formatChange(-12), formatDollars(12.5), formatDuration(3 * 86_400 + 7200), languageName('fr'), formatSpan(DAY, DAY + 300_000)]
      .map((text) => text.replace(/[\u00a0\u202f]/g, ' '));
    await useLanguage('fr');
    expect(all()).toEqual(['40 663', '12,4 k', '3,3 %', '<0,1 %', '−12 %', '12,50 $', '3 j 2 h', 'français', 'mar. 24 nov., 08:00–08:05']);
    await useLanguage('es');
    expect(all()).toEqual(['40.663', '12,4 mil', '3,3 %', '<0,1 %', '−12 %', '12,50 $', '3 d 2 h', 'francés', 'mar, 24 nov, 08:00–08:05']);
  });
});

describe('the language', () => {
  /** @param {{ search?: string, stored?: string | null, languages?: string[] }} known */
  const wanted = ({ search = '', stored = null, languages = [] }) => wantedLanguage(/** @type {any} */ ({ location: { search }, localStorage: { getItem: () => stored }, navigator: { languages } }));

  it('is that of the address, of the reader, or of the browser, else English', () => {
    expect(wanted({ search: '?lang=es', stored: 'fr', languages: ['de'] })).toBe('es');
    expect(wanted({ search: '?lang=xx', stored: 'fr', languages: ['es'] })).toBe('fr');
    expect(wanted({ languages: ['de-CH', 'fr-CA', 'en'] })).toBe('fr');
    expect(wanted({ languages: ['constructor'] })).toBe('en');
  });

  it('is English for one that the page does not have', async () => {
    await useLanguage('xx');
    expect(language()).toBe('en');
  });
});
