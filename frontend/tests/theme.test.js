// @vitest-environment jsdom
// @ts-check
// Tests of the theme: the system's until one is picked, which is then remembered.
import { beforeEach, expect, it, vi } from 'vitest';
import { initTheme, resolveTheme } from '../src/theme.js';

const theme = () => document.documentElement.getAttribute('data-theme');

/** @param {boolean} systemDark */
function start(systemDark) {
  const button = document.createElement('button');
  document.body.replaceChildren(button);
  const media = {
    matches: systemDark,
    change: () => {},
    addEventListener: (/** @type {string} */ _, /** @type {() => void} */ run) => { media.change = run; },
    removeEventListener() {},
  };
  window.matchMedia = () => /** @type {any} */ (media);
  const onChange = vi.fn();
  const stop = initTheme({ button, onChange, win: window });
  return { button, media, onChange, stop };
}

beforeEach(() => localStorage.clear());

it('prefers what is stored', () => {
  expect(resolveTheme('light', true)).toBe('light');
  expect(resolveTheme('pink', true)).toBe('dark');
  expect(resolveTheme(null, false)).toBe('light');
});

it('follows the system until the toggle is used, and again after it is taken back', () => {
  const { button, media, onChange } = start(true);
  expect(theme()).toBe('dark');
  button.click();
  expect(theme()).toBe('light');
  expect(localStorage.getItem('birdsong-theme')).toBe('light');
  expect(button.getAttribute('aria-label')).toBe('Switch to dark theme');
  button.click();
  expect(localStorage.getItem('birdsong-theme')).toBeNull();
  media.matches = false;
  media.change();
  expect(theme()).toBe('light');
  expect(onChange).toHaveBeenCalledTimes(4);
});

it('works where storage is blocked', () => {
  const get = vi.spyOn(Storage.prototype, 'getItem').mockImplementation(() => { throw new Error('blocked'); });
  const set = vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => { throw new Error('blocked'); });
  const { button } = start(false);
  button.click();
  expect(theme()).toBe('dark');
  get.mockRestore();
  set.mockRestore();
});
