// The start page: what is unusual in a sentence, all regions in groups, search and keys.

import assert from 'node:assert/strict';
import { api, loaded, param, spec, textOf, waitForParam } from './spec.js';

const REGIONS = '#region-list [data-region]';

spec('the overview says in a sentence what is unusual, and lists every region once', {}, async ({ page }) => {
  // No keys of texts in place of texts.
  await textOf(page, '#updated', /^Updated (just now|\d+ s(econds)? ago)/);
  await textOf(page, '#sentence', /^(?!Loading)\S/);
  // Read at one moment: the numbers change with each post.
  const { sentence, titles, listed, first } = await page.evaluate((rows) => {
    const texts = (/** @type {string} */ selector) => [...document.querySelectorAll(selector)].map((node) => node.textContent ?? '');
    return {
      sentence: texts('#sentence')[0] ?? '', titles: texts('.group-title'), listed: [...document.querySelectorAll(rows)].map((link) => link.getAttribute('data-region')), first: texts(`${rows} .name`)[0] ?? '',
    };
  }, REGIONS);
  assert.ok(titles.length > 0 && titles.every((title) => /^(Unusual|Somewhat outside the usual range|Within the usual range|Cannot be judged yet) \d+$/.test(title)), titles.join());
  if (titles[0]?.startsWith('Unusual')) assert.ok(sentence.includes(first), `${sentence} without ${first}`);
  else assert.match(sentence, /Nothing unusual|Too early/);
  const { regions } = await api('overview');
  assert.deepEqual(listed.sort(), regions.map((/** @type {{ region: string }} */ { region }) => region).sort());
  await page.waitForSelector('#region-list .row-spark svg');
  await page.waitForSelector('#region-list .row-state[data-state]:not([data-state="unknown"])');
});

spec('search finds regions by name without accents, and says when there is none', {}, async ({ page }) => {
  await page.waitForSelector(REGIONS);
  await page.keyboard.press('/');
  await page.keyboard.type('montreal');
  await page.waitForFunction((rows) => document.querySelectorAll(rows).length === 1, REGIONS);
  assert.equal(await page.locator(REGIONS).getAttribute('data-region'), 'montreal');
  await page.locator('#search').fill('no such place');
  assert.match(await textOf(page, '#region-list', /no such place/), /No region matches/);
  await page.locator('#search').fill('');
  await page.waitForFunction((rows) => document.querySelectorAll(rows).length > 1, REGIONS);
});

spec('j and k move through the list, Enter opens a region, Escape goes back', { isFrozen: true }, async ({ page }) => {
  await page.waitForSelector(REGIONS);
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('data-region'));
  const ids = await page.locator(REGIONS).evaluateAll((links) => links.map((link) => link.getAttribute('data-region')));
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  assert.equal(await focused(), ids[1]);
  await page.keyboard.press('k');
  assert.equal(await focused(), ids[0]);
  await page.keyboard.press('Enter');
  await waitForParam(page, 'region', ids[0] ?? null);
  await loaded(page);
  assert.ok(await page.locator('#view-region').isVisible());
  await page.keyboard.press('Escape');
  await waitForParam(page, 'region', null);
  assert.ok(await page.locator('#view-overview').isVisible());
});

spec('regions that are chosen with c can be compared', { isFrozen: true }, async ({ page }) => {
  await page.waitForSelector(REGIONS);
  for (const key of ['j', 'c', 'j', 'c']) await page.keyboard.press(key);
  await page.locator('#pick-compare').click();
  await waitForParam(page, 'view', 'compare');
  assert.equal(param(page, 'regions')?.split(',').length, 2);
  await page.waitForSelector('#view-compare canvas');
});
