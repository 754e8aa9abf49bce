// @ts-check
// Tests that the colours of the style sheet can be read and distinguished (WCAG AA).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { KINDS } from '../src/model/report.js';
import { SERIES_COLOURS } from '../src/theme.js';
import { VISIONS, deltaE, lab, lightOf, seen } from './colour.js';

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

  /** Colours that lie on each other, from below. */
  const stacks = {
    kinds: KINDS.map(({ key }) => `kind-${key}`),
    series: SERIES_COLOURS,
    'series and the rest': [SERIES_COLOURS[4] ?? '', 'bar-pale'],
    'the usual range': ['bar', 'up-mark'],
    bounds: ['bar', 'bar-pale'],
  };
  const visions = /** @type {(keyof typeof VISIONS)[]} */ (Object.keys(VISIONS));
  const pairs = Object.entries(stacks).flatMap(([stack, names]) => names.slice(1).map((name, i) => ({ stack, pair: [names[i] ?? '', name] })));

  it.each(pairs)('distinguishes neighbours in the stack of $stack: $pair', ({ pair }) => {
    for (const vision of visions) {
      const [one, other] = pair.map((name) => lab(seen(lightOf(t[name] ?? ''), vision)));
      if (!one || !other) throw new Error('a pair is two colours');
      expect(deltaE(one, other), vision).toBeGreaterThanOrEqual(15);
      expect(Math.abs(one[0] - other[0]), `lightness, ${vision}`).toBeGreaterThanOrEqual(8);
    }
  });

  it('distinguishes any two of the series, for the ones between them may be hidden', () => {
    for (const vision of visions) {
      const labs = SERIES_COLOURS.map((name) => lab(seen(lightOf(t[name] ?? ''), vision)));
      for (const [i, one] of labs.entries()) for (const other of labs.slice(i + 1)) expect(deltaE(one, other), vision).toBeGreaterThanOrEqual(15);
    }
  });

  it('shows kinds less loudly than what is above the usual range', () => {
    const chroma = (/** @type {string} */ name) => Math.hypot(...lab(lightOf(t[name] ?? '')).slice(1));
    for (const { key } of KINDS) expect(chroma(`kind-${key}`), key).toBeLessThan(chroma('up-mark') * 0.7);
  });
});

describe('CIEDE2000', () => {
  // Pairs 1, 4, 7, 17 and 25 of the test data of Sharma, Wu and Dalal.
  it.each(/** @type {[[number, number, number], [number, number, number], number][]} */ ([
    [[50, 2.6772, -79.7751], [50, 0, -82.7485], 2.0425],
    [[50, -1.3802, -84.2814], [50, 0, -82.7485], 1],
    [[50, 0, 0], [50, -1, 2], 2.3669],
    [[50, 2.5, 0], [73, 25, -18], 27.1492],
    [[60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644],
  ]))('of %j and %j is %f', (one, other, expected) => expect(deltaE(one, other)).toBeCloseTo(expected, 4));
});
