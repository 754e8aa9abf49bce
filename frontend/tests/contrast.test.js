// Tests that the colours of the style sheet can be read and told apart (WCAG AA).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync(new URL('../src/style.css', import.meta.url), 'utf8');

function tokens(selector) {
  const start = css.indexOf(`${selector} {`);
  const block = css.slice(start, css.indexOf('}', start));
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name, value]) => [name, value]));
}

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
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
    for (const mark of ['accent', 'control', 'focus', 'sampled', 'kind-original', 'kind-reply', 'kind-quote', 'kind-repost']) {
      expect(contrast(t[mark], t.surface), mark).toBeGreaterThanOrEqual(3);
    }
  });
});
