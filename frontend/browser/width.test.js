// No page is wider than the screen, in any language, from a small phone to a large desktop.

import assert from 'node:assert/strict';
import { complete, open, spec } from './spec.js';

const LANGUAGES = ['en', 'fr', 'es'];
/** @type {Record<string, string>} */
const PAGES = { overview: '?', region: '?region=montreal', events: '?view=events', compare: '?view=compare&regions=montreal,paris', map: '?view=map', sources: '?view=sources', wall: '?wall' };
const [NARROWEST, WIDEST, STEP] = [320, 1920, 20];

for (const [name, search] of Object.entries(PAGES)) {
  spec(`${name} needs no scrolling sideways at ${NARROWEST} to ${WIDEST} px in ${LANGUAGES.join(', ')}`, { isOpened: false }, async ({ page }) => {
    /** @type {string[]} */
    const found = [];
    for (const language of LANGUAGES) {
      await open(page, `${search}&lang=${language}`);
      await complete(page);
      for (let width = NARROWEST; width <= WIDEST; width += STEP) {
        await page.setViewportSize({ width, height: 900 });
        // Charts take their new size a moment after the page.
        const fits = await page.waitForFunction(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth, undefined, { timeout: 2_000 }).then(() => true, () => false);
        if (!fits) found.push(`${language} at ${width}: ${await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)} px, by ${await page.evaluate(widest)}`);
      }
    }
    assert.deepEqual(found, []);
  });
}

spec('the header has one row of pages, fields show their whole placeholder, and labels of neighbours are level', { isOpened: false }, async ({ page }) => {
  /** @type {string[]} */
  const found = [];
  for (const language of LANGUAGES) {
    for (const search of ['?', '?view=map', '?region=montreal']) {
      await open(page, `${search}&lang=${language}`);
      await complete(page);
      for (let width = NARROWEST; width <= WIDEST; width += 2 * STEP) {
        await page.setViewportSize({ width, height: 900 });
        for (const fault of await page.evaluate(uneven)) found.push(`${language} ${search} at ${width}: ${fault}`);
      }
    }
  }
  assert.deepEqual(found, []);
});

/** Links of the header that take two lines or rows, placeholders that are cut, and labels of fields in a row that are not level. */
function uneven() {
  const isShown = (/** @type {Element} */ node) => node.checkVisibility();
  const links = [...document.querySelectorAll('.top nav a')].map((link) => link.getBoundingClientRect());
  const faults = links.some(({ height, top }) => height > 46 || top !== links[0]?.top) ? ['the links of the header are in two lines'] : [];
  const pen = document.createElement('canvas').getContext('2d');
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('input[type="search"]'))) {
    if (!isShown(field) || !pen) continue;
    const style = getComputedStyle(field);
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    // The browser's own button that empties the field takes as much as the text is high.
    const room = field.clientWidth - parseFloat(style.paddingInlineStart) - parseFloat(style.paddingInlineEnd) - parseFloat(style.fontSize);
    if (pen.measureText(field.placeholder).width > room) faults.push(`“${field.placeholder}” is cut`);
  }
  const labels = [...document.querySelectorAll('.pickers > .field:not([hidden]) .field-label')].filter(isShown).map((label) => ({ top: label.getBoundingClientRect().top, text: label.textContent }));
  for (const [i, label] of labels.entries()) {
    const other = labels.slice(i + 1).find(({ top }) => top !== label.top && Math.abs(top - label.top) < 10);
    if (other) faults.push(`“${label.text}” and “${other.text}” are ${other.top - label.top} px off`);
  }
  return faults;
}

/** The parts that reach beyond the screen and are in no box that scrolls or cuts. */
function widest() {
  const edge = document.documentElement.clientWidth;
  const isCut = (/** @type {Element} */ node) => {
    for (let box = node.parentElement; box && box !== document.body; box = box.parentElement) if (getComputedStyle(box).overflowX !== 'visible') return true;
    return false;
  };
  return [...document.querySelectorAll('body *')].filter((node) => node.getBoundingClientRect().right > edge + 0.5 && !isCut(node))
    .map((node) => `${node.localName}${node.id && `#${node.id}`}${[...node.classList].map((one) => `.${one}`).join('')}`).slice(-3).join(', ');
}
