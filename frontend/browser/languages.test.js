// Three languages, chosen in the menu.

import assert from 'node:assert/strict';
import { spec } from './spec.js';

/** Words of the header in each language. @type {Record<string, RegExp>} */
const NOW = { fr: /Carte/, es: /Mapa/ };

for (const [language, words] of Object.entries(NOW)) {
  spec(`the page in ${language}`, {}, async ({ page }) => {
    assert.equal(await page.locator('header.top select').count(), 1);
    await page.locator('header.top select').selectOption(language);
    await page.waitForFunction((wanted) => document.documentElement.lang === wanted, language);
    const text = await page.locator('header.top').innerText();
    assert.match(text, words);
    assert.doesNotMatch(text, /\b(Map|Compare|Events|Sources and|Updated|Now)\b/);
  });
}
