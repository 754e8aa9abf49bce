// The start page: what is unusual in a sentence, all regions in groups, search and keys.

import assert from 'node:assert/strict';
import { api, loaded, param, spec, textOf, waitForParam } from './spec.js';

const REGIONS = '#region-list [data-region]';

spec('the overview says in a sentence what is unusual, and lists every region once', {}, async ({ page }) => {
  // No keys of texts in place of texts.
  await textOf(page, '#updated', /^Updated (just now|\d+ s(econds)? ago)/);
  const sentence = await textOf(page, '#sentence', /^(?!Loading)\S/);
  const { regions } = await api('overview');
  const events = regions.filter(({ event }) => event?.is_open && event.comparison);
  if (events.length > 0) assert.ok(events.some(({ name }) => sentence.includes(name)), sentence);
  else assert.match(sentence, /Nothing unusual|Too early/);
  const listed = await page.locator(REGIONS).evaluateAll((links) => links.map((link) => link.getAttribute('data-region')));
  assert.deepEqual(listed.sort(), regions.map(({ region }) => region).sort());
  const titles = await page.locator('.group-title').allTextContents();
  assert.ok(titles.length > 0 && titles.every((title) => /^(Unusual|Within the usual range|Cannot be judged yet) \d+$/.test(title)), titles.join());
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

spec('j and k move through the list, Enter opens a region, Escape goes back', {}, async ({ page }) => {
  await page.waitForSelector(REGIONS);
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('data-region'));
  const ids = await page.locator(REGIONS).evaluateAll((links) => links.map((link) => link.getAttribute('data-region')));
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  assert.equal(await focused(), ids[1]);
  await page.keyboard.press('k');
  assert.equal(await focused(), ids[0]);
  await page.keyboard.press('Enter');
  await waitForParam(page, 'region', ids[0]);
  await loaded(page);
  assert.ok(await page.locator('#view-region').isVisible());
  await page.keyboard.press('Escape');
  await waitForParam(page, 'region', null);
  assert.ok(await page.locator('#view-overview').isVisible());
});

spec('regions that are chosen with c can be compared', {}, async ({ page }) => {
  await page.waitForSelector(REGIONS);
  for (const key of ['j', 'c', 'j', 'c']) await page.keyboard.press(key);
  await page.locator('#pick-compare').click();
  await waitForParam(page, 'view', 'compare');
  assert.equal(param(page, 'regions')?.split(',').length, 2);
  await page.waitForSelector('#view-compare canvas');
});
