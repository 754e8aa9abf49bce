// The start page: what is unusual in a sentence, all regions in groups, search and keys.

import assert from 'node:assert/strict';
import { PHONE, api, loaded, open, param, spec, textOf, waitForParam } from './spec.js';

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

spec('no row of a group contradicts its title', { isOpened: false }, async ({ page }) => {
  /** @type {Record<string, [posts: number, factor: number]>} */
  const counts = { montreal: [60, 0.6], toronto: [112, 1.12], nyc: [100, 1] };
  await page.route('**/api/overview', async (route) => {
    const answer = await route.fetch();
    const overview = await answer.json();
    const regions = overview.regions.flatMap((/** @type {{ region: string }} */ one) => {
      const [posts, factor] = counts[one.region] ?? [];
      return posts === undefined ? [] : [{ ...one, posts_last_hour: posts, factor, usual: 100, usual_low: 90, usual_high: 110, event: null }];
    });
    await route.fulfill({ response: answer, json: { ...overview, regions } });
  });
  await open(page);
  const groups = await page.locator('#region-list').evaluate((list) => [...list.querySelectorAll('ul')].map((rows) => [rows.previousElementSibling?.textContent, ...[...rows.querySelectorAll('.row-name')].map((link) => link.textContent)]));
  assert.deepEqual(groups, [
    ['Somewhat outside the usual range 2', 'Montréalbelow its usual range', 'Torontoa little above its usual range'], ['Within the usual range 1', 'New York'],
  ]);
});

spec('on a phone, numbers have their units, and no keys are shown', { ...PHONE, isFrozen: true }, async ({ page }) => {
  await page.waitForSelector(REGIONS);
  const row = page.locator('#region-list .row').first();
  assert.match(await row.locator('.row-factor').innerText(), /×\s*usual$/);
  assert.match(await row.locator('.row-posts').innerText(), /^[\d,]+ posts in the last hour$/);
  assert.equal(await page.locator('.button kbd:visible').count(), 0);
  await page.locator('#help').tap();
  await page.locator('.help-words').waitFor();
  assert.equal(await page.locator('#help-box kbd:visible').count(), 0);
});

spec('the help has every key', {}, async ({ page }) => {
  await page.keyboard.press('?');
  const keys = new Set(await page.locator('.help-keys kbd').allTextContents());
  for (const key of ['j', 'k', '1', '6', '←', '→', '/', 'Esc', 'f', 'Space', 'c', 't', '?']) assert.ok(keys.has(key), `${key} is not in ${[...keys].join(' ')}`);
  await page.keyboard.press('Escape');
  await page.locator('#help-box').waitFor({ state: 'hidden' });
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
