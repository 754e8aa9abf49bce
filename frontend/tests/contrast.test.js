// @ts-check
// Tests that the colours of the style sheet can be read and distinguished (WCAG AA).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { KINDS } from '../src/model/report.js';
import { SERIES_COLOURS } from '../src/theme.js';

const css = readFileSync(new URL('../src/style.css', import.meta.url), 'utf8');

/** @param {string} selector */
function tokens(selector) {
  const start = css.indexOf(`${selector} {`);
  const block = css.slice(start, css.indexOf('}', start));
  return /** @type {Record<string, string>} */ (Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name, value]) => [name, value])));
}

/** @param {string} hex */
function luminance(hex) {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/**
 * The contrast of two tokens, which the style sheet must have.
 * @param {string | undefined} a
 * @param {string | undefined} b
 */
function contrast(a, b) {
  if (!a || !b) throw new Error('the style sheet has no such colour');
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

describe.each([['light', ':root'], ['dark', ":root[data-theme='dark']"]])('%s theme', (_, selector) => {
  const t = tokens(selector);

  it('has text of at least 4.5 to 1', () => {
    for (const ground of [t.page, t.surface]) {
      for (const text of ['text', 'muted', 'good', 'warn', 'bad']) expect(contrast(t[text], ground), text).toBeGreaterThanOrEqual(4.5);
    }
    expect(contrast(t.surface, t.accent)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(t.text, t['bad-soft'])).toBeGreaterThanOrEqual(4.5);
  });

  it('has marks and controls of at least 3 to 1', () => {
    for (const mark of ['accent', 'control', 'focus', 'sampled', ...KINDS.map(({ key }) => `kind-${key}`), ...SERIES_COLOURS]) {
      expect(contrast(t[mark], t.surface), mark).toBeGreaterThanOrEqual(3);
    }
  });
});
