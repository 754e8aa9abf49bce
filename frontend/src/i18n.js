// @ts-check
// The language of the page and its texts. Only the chosen language is loaded.

/**
 * @typedef {string | { one: string, other: string }} Text with `{name}` for a parameter; the form is chosen by the parameter `n`
 * @typedef {keyof typeof import('./text/en.js').default} Key
 * @typedef {{ text: string, tone: 'plain' | 'up' | 'down' | 'muted' }} Part a piece of a sentence
 * @typedef {string | number | Part} Value numbers are formatted as counts
 */

const STORED = 'birdsong-language';

/**
 * The languages of the page: their own names, the locale of numbers and times, and their texts.
 * @type {Record<string, { name: string, locale: string, load: () => Promise<{ default: Record<string, Text> }> }>}
 */
export const LANGUAGES = {
  en: { name: 'English', locale: 'en-GB', load: () => import('./text/en.js') },
  fr: { name: 'Français', locale: 'fr-FR', load: () => import('./text/fr.js') },
  es: { name: 'Español', locale: 'es-ES', load: () => import('./text/es.js') },
};
export const DEFAULT_LANGUAGE = 'en';

let current = DEFAULT_LANGUAGE;
/** @type {Record<string, Text>} */
let texts = {};
let plurals = new Intl.PluralRules('en-GB');

/** The code of the language that is shown. */
export const language = () => current;
/** Its locale, for numbers and times. */
export const locale = () => LANGUAGES[current]?.locale ?? 'en-GB';

/**
 * Something that is made once per language, such as a format.
 * @template T
 * @param {(locale: string) => T} make
 * @returns {() => T}
 */
export function perLanguage(make) {
  /** @type {Map<string, T>} */
  const made = new Map();
  return () => {
    const known = made.get(current);
    if (known !== undefined) return known;
    const value = make(locale());
    made.set(current, value);
    return value;
  };
}

const whole = perLanguage((tag) => new Intl.NumberFormat(tag, { maximumFractionDigits: 0 }));
const millions = perLanguage((tag) => new Intl.NumberFormat(tag === 'en-GB' ? 'en' : tag, { notation: 'compact', maximumSignificantDigits: 4 }));

/**
 * A whole number with separators; above a million in short form (`1.234M`).
 * @param {unknown} n
 */
export function formatCount(n) {
  if (typeof n !== 'number' || !Number.isFinite(n)) return '–';
  return (Math.abs(n) >= 1_000_000 ? millions() : whole()).format(n);
}

/**
 * The text with this key, in its form for `n`.
 * @param {string} key
 * @param {Record<string, Value>} params
 */
function formOf(key, params) {
  const text = texts[key] ?? key;
  if (typeof text === 'string') return text;
  return plurals.select(Number(params.n)) === 'one' ? text.one : text.other;
}

/**
 * A text in the language of the page.
 * @param {Key} key
 * @param {Record<string, string | number>} [params]
 */
export const t = (key, params = {}) => formOf(key, params).replace(/\{(\w+)\}/g, (_, name) => {
  const value = params[name] ?? '';
  return typeof value === 'number' ? formatCount(value) : value;
});

/**
 * The same for a sentence of which some parameters have a tone.
 * @param {Key} key
 * @param {Record<string, Value>} params
 * @returns {Part[]} without empty pieces; neighbours of one tone are joined
 */
export function parts(key, params) {
  /** @type {Part[]} */
  const found = [];
  for (const piece of formOf(key, params).split(/(\{\w+\})/)) {
    const name = /^\{(\w+)\}$/.exec(piece)?.[1];
    const value = name === undefined ? piece : params[name] ?? '';
    const part = typeof value === 'object' ? value : { text: typeof value === 'number' ? formatCount(value) : value, tone: /** @type {const} */ ('plain') };
    const last = found.at(-1);
    if (part.text === '') continue;
    if (last && last.tone === part.tone) last.text += part.text;
    else found.push({ ...part });
  }
  return found;
}

/** The language of a tag such as `fr-CA`, if the page has it. @param {string | null | undefined} tag */
const known = (tag) => {
  const code = String(tag ?? '').toLowerCase().split(/[-_]/)[0] ?? '';
  return Object.hasOwn(LANGUAGES, code) ? code : null;
};

/**
 * The language to show: of the address (`?lang=`), else the one that was chosen before, else of the browser.
 * @param {globalThis.Window} win
 */
export function wantedLanguage(win) {
  let stored = null;
  try {
    stored = win.localStorage.getItem(STORED);
  } catch {
    // Without storage, the browser's languages decide.
  }
  const named = [new URLSearchParams(win.location.search).get('lang'), stored, ...(win.navigator.languages ?? [])];
  return named.map(known).find((code) => code !== null) ?? DEFAULT_LANGUAGE;
}

/** Keeps the choice of the reader. @param {globalThis.Window} win @param {string} code */
export function storeLanguage(win, code) {
  try {
    win.localStorage.setItem(STORED, code);
  } catch {
    // The choice then lasts as long as the page.
  }
}

/**
 * Loads the texts of a language and uses them. The language stays as it is when they cannot be loaded.
 * @param {string} code
 * @returns {Promise<void>} rejects when they cannot be loaded
 */
export async function useLanguage(code) {
  const { default: loaded } = await /** @type {typeof LANGUAGES[string]} */ (LANGUAGES[known(code) ?? DEFAULT_LANGUAGE]).load();
  current = known(code) ?? DEFAULT_LANGUAGE;
  texts = loaded;
  plurals = new Intl.PluralRules(locale());
}

/** Attributes of index.html that name the key of a text, and what they set. */
export const TEXT_ATTRIBUTES = [
  ['data-t', null], ['data-t-label', 'aria-label'], ['data-t-title', 'title'], ['data-t-placeholder', 'placeholder'], ['data-t-content', 'content'],
];

/**
 * Writes the texts of `root` whose keys are in its attributes, also in templates.
 * @param {ParentNode} root
 */
export function translate(root) {
  for (const [from, to] of TEXT_ATTRIBUTES) {
    for (const node of root.querySelectorAll(`[${from}]`)) {
      const text = t(/** @type {Key} */ (node.getAttribute(from ?? '')));
      // Most texts are there already when the page is in English, and a text that is written is laid out again.
      if (to) node.setAttribute(to, text);
      else if (node.textContent !== text) node.textContent = text;
    }
  }
  for (const template of root.querySelectorAll('template')) translate(template.content);
}
