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
