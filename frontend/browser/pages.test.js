// Compare, map, wall, events and notes, sources.

import assert from 'node:assert/strict';
import { NOTES_TOKEN } from './site.js';
import { api, drawn, loaded, param, spec, textOf, waitForParam } from './spec.js';

spec('compare draws regions by each measure, with a table of totals', { search: '?view=compare&regions=montreal,paris' }, async ({ page }) => {
  await drawn(page, '#view-compare canvas');
  assert.match(await textOf(page, '#compare-totals', /Paris/), /Montréal/);
  for (const measure of ['rate', 'share', 'index']) {
    await page.locator(`#compare-card .choice-options input[value="${measure}"]`).check({ force: true });
    await waitForParam(page, 'measure', measure);
    await drawn(page, '#view-compare canvas');
  }
});

spec('compare draws a region and earlier times', { search: '?view=compare&region=paris&periods=day' }, async ({ page }) => {
  await textOf(page, '#compare-totals', /The day before/);
  await page.locator('#compare-periods input[value="week"]').check({ force: true });
  await waitForParam(page, 'periods', 'day,week');
  await textOf(page, '#compare-totals', /A week before/);
});

spec('the map is drawn, plays the last day, and opens a region', { search: '?view=map' }, async ({ page }) => {
  await drawn(page, '#map-canvas');
  assert.equal(await page.locator('#map-list [data-map-region]').count(), (await api('regions')).regions.length);
  await page.locator('#map-shade input[value="posts"]').check({ force: true });
  await waitForParam(page, 'shade', 'posts');
  await page.waitForFunction(() => Number(/** @type {HTMLInputElement} */ (document.getElementById('map-time')).max) >= 23);
  const now = await textOf(page, '#map-when');
  await page.locator('#map-play').click();
  await textOf(page, '#map-play', /Stop/);
  await page.waitForFunction(() => Number(/** @type {HTMLInputElement} */ (document.getElementById('map-time')).value) >= 2);
  assert.notEqual(await textOf(page, '#map-when'), now);
  await page.locator('#map-play').click();
  const link = page.locator('#map-list [data-map-region]').first();
  const region = await link.getAttribute('data-map-region');
  await link.click();
  await waitForParam(page, 'region', region);
});

spec('f opens the wall, the arrows turn it, time turns it, Escape closes it', { isOpened: false }, async ({ page }) => {
  await page.clock.install();
  await page.goto(process.env.BIRDSONG_SITE ?? '');
  await loaded(page);
  await page.keyboard.press('f');
  await waitForParam(page, 'wall', 'all');
  const current = () => page.locator('#wall-others [aria-current="true"]').textContent();
  await page.waitForSelector('#wall-others [aria-current="true"]');
  const first = await current();
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction((text) => document.querySelector('#wall-others [aria-current="true"]')?.textContent !== text, first);
  const second = await current();
  await page.clock.runFor(20_000);
  await page.waitForFunction((text) => document.querySelector('#wall-others [aria-current="true"]')?.textContent !== text, second);
  await page.keyboard.press('Escape');
  await waitForParam(page, 'wall', null);
  assert.ok(await page.locator('#view-overview').isVisible());
});

spec('events can be filtered by region and kind', { search: '?view=events' }, async ({ page }) => {
  await page.waitForSelector('#event-list li[data-kind]');
  await page.locator('#event-region').selectOption('montreal');
  await waitForParam(page, 'at', 'montreal');
  await page.locator('#event-kinds input[value="rising"]').check({ force: true });
  await waitForParam(page, 'kind', 'rising');
  await page.waitForFunction(() => [...document.querySelectorAll('#event-list li[data-kind]')].every((item) => item.getAttribute('data-kind') === 'rising' && item.textContent?.includes('Montréal')));
});

// The first request has the wrong token.
spec('a note needs the token, and is then listed', { search: '?view=events', allowed: /401/ }, async ({ page }) => {
  await page.waitForSelector('#event-list li');
  const text = `Parade until noon, ${Date.now()}`;
  await page.locator('#note-send').click();
  assert.equal(await textOf(page, '#note-error'), 'Write what happened.');
  await page.locator('#note-text').fill(text);
  await page.locator('#note-region').selectOption('paris');
  await page.locator('#note-token').fill('not the token');
  await page.locator('#note-send').click();
  await textOf(page, '#note-error', /not the one of this installation/);
  await page.locator('#note-token').fill(NOTES_TOKEN);
  await page.locator('#note-send').click();
  await textOf(page, '#note-state', /added/);
  assert.ok((await api('events?kind=note')).events.some((/** @type {{ text: string }} */ event) => event.text === text));
  await textOf(page, '#event-list', new RegExp(text));
});

spec('sources and audit show each source and the ledger', { search: '?view=sources' }, async ({ page }) => {
  await textOf(page, '#sources-table', /demo/);
  await textOf(page, '#ledger', /Received.*Aggregated/);
  assert.equal(param(page, 'view'), 'sources');
});
