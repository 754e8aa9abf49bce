// Away, without JavaScript; and what a screen reader gets.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { site, spec, textOf } from './spec.js';

spec('when the API is away, what is old says since when; when it is back, that is gone', { search: '?region=montreal', allowed: /Failed to load resource/ }, async ({ page }) => {
  await page.route('**/api/**', (route) => route.abort());
  await page.locator('#refresh').click();
  await textOf(page, '#banner-text', /cannot be reached.*These numbers are from \d/);
  await textOf(page, '#updated', /Not updated since \d/);
  await page.unroute('**/api/**');
  await page.locator('#retry').click();
  await page.waitForSelector('#banner', { state: 'hidden' });
  await textOf(page, '#updated', /^Updated/);
});

spec('when the API is away from the start, the page says so', { isOpened: false, allowed: /Failed to load resource/ }, async ({ page }) => {
  await page.route('**/api/**', (route) => route.abort());
  await page.goto(site);
  await textOf(page, '#panel-title', /cannot be loaded/);
  await textOf(page, '#panel-text', /keeps trying/);
});

spec('without JavaScript there is a sentence and links to the numbers', { isOpened: false, javaScriptEnabled: false }, async ({ page }) => {
  await page.goto(site);
  const text = page.locator('noscript .no-script');
  assert.match(await text.innerText(), /needs JavaScript/);
  assert.equal(await text.locator('a').count(), 2);
});

/** Roles and names, without what comes from the data. @param {string} snapshot */
const withoutData = (snapshot) => snapshot.replace(/\d+/g, 'N');
/** @type {Record<string, [search: string, parts: string[]]>} */
const SNAPSHOTS = { overview: ['', ['header.top', '.search', '.list-actions', '#view-overview .keys']], region: ['?region=montreal', ['header.top', '.pickers', '#view-region .actions']] };
for (const [name, [search, parts]] of Object.entries(SNAPSHOTS)) {
  spec(`roles and names: ${name} (UPDATE=1 writes them)`, { search }, async ({ page }) => {
    const snapshots = [];
    for (const part of parts) snapshots.push(withoutData(await page.locator(part).first().ariaSnapshot()));
    const text = `${snapshots.join('\n').replace(/text: (Updated|Loading).*/, 'text: Updated')}\n`;
    const file = path.join(import.meta.dirname, 'aria', `${name}.yml`);
    if (process.env.UPDATE) {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    assert.equal(text, readFileSync(file, 'utf8'));
  });
}
