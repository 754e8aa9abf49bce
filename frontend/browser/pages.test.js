// Compare, map, wall, events and notes, sources.

import assert from 'node:assert/strict';
import { NOTES_TOKEN } from './site.js';
import { api, choose, drawn, loaded, open, param, spec, textOf, waitForParam } from './spec.js';

spec('compare draws regions by each measure, with a table of totals', { search: '?view=compare&regions=montreal,paris' }, async ({ page }) => {
  await drawn(page, '#view-compare canvas');
  assert.match(await textOf(page, '#compare-totals', /Paris/), /Montréal/);
  for (const measure of ['rate', 'share', 'index']) {
    await choose(page, '#compare-card .choice-options', measure);
    await waitForParam(page, 'measure', measure);
    await drawn(page, '#view-compare canvas');
  }
});

spec('compare says when no usual number is known, in place of an empty chart', { isOpened: false }, async ({ page }) => {
  // The demo starts eight days ago, and what is usual needs two days.
  const at = (/** @type {number} */ days) => new Date(Date.now() - days * 86_400_000).toISOString();
  await open(page, `?${new URLSearchParams({ view: 'compare', regions: 'montreal,paris', measure: 'index', from: at(7.8), to: at(7.2) })}`);
  await textOf(page, '#view-compare', /No usual number is known in this range/);
  assert.ok(await page.locator('#view-compare canvas').isHidden());
});

spec('compare draws a region and earlier times', { search: '?view=compare&region=paris&periods=day' }, async ({ page }) => {
  await textOf(page, '#compare-totals', /The day before/);
  await choose(page, '#compare-periods', 'week');
  await waitForParam(page, 'periods', 'day,week');
  await textOf(page, '#compare-totals', /A week before/);
});

spec('the map is drawn, plays the last day, and opens a region', { search: '?view=map', isFrozen: true }, async ({ page }) => {
  await drawn(page, '#map-canvas');
  assert.equal(await page.locator('#map-list [data-map-region]').count(), (await api('regions')).regions.length);
  await choose(page, '#map-shade', 'posts');
  await waitForParam(page, 'shade', 'posts');
  await page.waitForFunction(() => Number(/** @type {HTMLInputElement} */ (document.getElementById('map-time')).max) >= 23);
  // Playing ends by itself after the last hour, so what it shows is noted in the page and not read from outside.
  await page.evaluate(() => {
    const when = document.getElementById('map-when');
    const seen = new Set([when?.textContent]);
    new MutationObserver(() => seen.add(when?.textContent)).observe(/** @type {Node} */ (when), { childList: true, characterData: true, subtree: true });
    Object.assign(globalThis, { seen });
  });
  await page.locator('#map-play').click();
  await page.waitForFunction(() => /** @type {any} */ (globalThis).seen.size >= 4);
  // While it plays, the list is sorted anew for each hour.
  const link = page.locator('#map-list [data-map-region="paris"]');
  await link.focus();
  await page.keyboard.press('Enter');
  await waitForParam(page, 'region', 'paris');
});

spec('the map can be played, stopped, and moved by hand', { search: '?view=map', isFrozen: true }, async ({ page }) => {
  const time = () => page.locator('#map-time').inputValue();
  await page.waitForFunction(() => Number(/** @type {HTMLInputElement} */ (document.getElementById('map-time')).max) >= 23);
  const now = await textOf(page, '#map-when');
  await page.locator('#map-time').focus();
  await page.keyboard.press('Home');
  assert.equal(await time(), '0');
  assert.notEqual(await textOf(page, '#map-when'), now);
  await page.keyboard.press('ArrowRight');
  assert.equal(await time(), '1');
  await page.keyboard.press('End');
  assert.equal(await textOf(page, '#map-when', /Last hour/).then(() => time()), await page.locator('#map-time').getAttribute('max'));
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

spec('events can be filtered by region and kind', { search: '?view=events&time=7d' }, async ({ page }) => {
  await page.waitForSelector('#event-list li[data-kind]');
  await page.locator('#event-region').selectOption('montreal');
  await waitForParam(page, 'at', 'montreal');
  await choose(page, '#event-kinds', 'rising');
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

spec('notifications come from the service worker where a page may not make them', { isOpened: false, permissions: ['notifications'] }, async ({ page }) => {
  await page.addInitScript(() => {
    class Phone {
      static permission = 'granted';
      constructor() { throw new TypeError('Illegal constructor'); }
    }
    Object.assign(globalThis, { Notification: Phone });
    localStorage.setItem('birdsong-alerts', JSON.stringify({ regions: ['paris'], seen: [] }));
  });
  await page.route('**/api/overview', async (route) => {
    const answer = await route.fetch();
    const overview = await answer.json();
    const event = {
      region: 'paris', id: 'paris-1', kind: 'rising', text: null, start: new Date(Date.now() - 600_000).toISOString(), end: null, is_open: true, comparison: null, reason: null, sampled: null, revision: null, windows: 2,
      subject: { type: 'hashtag', key: 'goal', name: 'Goal' }, carriers: [],
    };
    await route.fulfill({ response: answer, json: { ...overview, regions: overview.regions.map((/** @type {{ region: string }} */ one) => (one.region === 'paris' ? { ...one, event } : one)) } });
  });
  await open(page);
  await page.waitForFunction(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    return (await registration?.getNotifications())?.some(({ title, tag }) => title.includes('Paris') && tag === 'paris-1');
  });
});
