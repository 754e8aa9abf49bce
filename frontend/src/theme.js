// @ts-check
// Light and dark: follows the system until the reader picks one, which is then remembered.
// public/boot.js applies the same choice before the first paint.

import { t } from './i18n.js';

const KEY = 'birdsong-theme';

/** Colours of series whose number is not known beforehand, in the order in which they are given out. */
export const SERIES_COLOURS = ['series-1', 'series-2', 'series-3', 'series-4', 'series-5', 'series-6'];

/**
 * The theme to use for what is stored and what the system prefers.
 * @param {string | null} stored
 * @param {boolean} systemDark
 */
export const resolveTheme = (stored, systemDark) => (stored === 'light' || stored === 'dark' ? stored : systemDark ? 'dark' : 'light');

/**
 * Colours of the charts, from the style sheet's custom properties. `colour` looks up any of them by name.
 * @typedef {ReturnType<typeof readPalette>} Palette
 */
export function readPalette(element = document.documentElement) {
  const style = getComputedStyle(element);
  // Charts ask for a colour once a bar.
  /** @type {Map<string, string>} */
  const known = new Map();
  const get = (/** @type {string} */ name) => {
    const colour = known.get(name) ?? style.getPropertyValue(`--${name}`).trim();
    known.set(name, colour);
    return colour;
  };
  return {
    text: get('text'),
    muted: get('muted'),
    grid: get('grid'),
    surface: get('surface'),
    border: get('border'),
    accent: get('accent'),
    band: get('band'),
    colour: get,
    font: getComputedStyle(element.ownerDocument.body).fontFamily || 'system-ui, sans-serif',
  };
}

/**
 * Wires the toggle. Calls `onChange` after each switch, by hand or by the system.
 * @param {{ button?: HTMLElement, onChange?: (theme: string) => void, win?: globalThis.Window }} [options]
 */
export function initTheme({ button, onChange = () => {}, win = window } = {}) {
  const root = win.document.documentElement;
  const media = win.matchMedia?.('(prefers-color-scheme: dark)');
  /** What the address says comes first, so that a link and an embedded chart look the same everywhere. */
  const stored = () => {
    const named = new URLSearchParams(win.location?.search ?? '').get('theme');
    if (named === 'light' || named === 'dark') return named;
    try {
      return win.localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const store = (/** @type {string} */ theme) => {
    try {
      // The system's own theme is not stored, so that the page follows the system again.
      if (theme === resolveTheme(null, Boolean(media?.matches))) win.localStorage.removeItem(KEY);
      else win.localStorage.setItem(KEY, theme);
    } catch {
      // The choice then lasts as long as the page.
    }
  };
  /** Names what the button does, in the language of the page. */
  const label = () => {
    const text = root.getAttribute('data-theme') === 'dark' ? t('nav.toLight') : t('nav.toDark');
    button?.setAttribute('aria-label', text);
    button?.setAttribute('title', text);
  };
  const apply = (/** @type {string} */ theme) => {
    root.setAttribute('data-theme', theme);
    label();
    onChange(theme);
  };
  const fromSystem = () => apply(resolveTheme(stored(), Boolean(media?.matches)));
  const toggle = () => {
    const theme = root.getAttribute('data-theme') === 'dark' ? 'light' : 'dark';
    store(theme);
    const url = new URL(win.location.href);
    // The system's own theme has no place in the address.
    if (theme === resolveTheme(null, Boolean(media?.matches))) url.searchParams.delete('theme');
    else url.searchParams.set('theme', theme);
    win.history.replaceState(null, '', url.href.replaceAll('%2C', ',').replaceAll('%3A', ':'));
    apply(theme);
  };

  button?.addEventListener('click', toggle);
  media?.addEventListener?.('change', fromSystem);
  fromSystem();
  return {
    label,
    stop() {
      button?.removeEventListener('click', toggle);
      media?.removeEventListener?.('change', fromSystem);
    },
  };
}
