// The wall in each of its states and on screens of each shape: nothing is cut off, nothing covers anything else, and axe finds nothing.

import assert from 'node:assert/strict';
import { axeFindings } from './axe.js';
import { PHONE, complete, loaded, site, spec, textOf } from './spec.js';

/** @type {Record<string, object>} */
const SCREENS = {
  'phone': PHONE, 'small phone': { ...PHONE, viewport: { width: 320, height: 568 } }, 'phone on its side': { ...PHONE, viewport: { width: 844, height: 390 } },
  'desktop': {}, '4K': { viewport: { width: 3840, height: 2160 } },
};
const counts = (/** @type {number} */ posts, /** @type {number} */ usual) => ({ posts_last_hour: posts, usual, usual_low: usual * 0.8, usual_high: usual * 1.2, factor: posts / usual, event: null });
const event = {
  region: 'montreal', id: 'one', kind: 'rising', text: null, end: null, is_open: true, comparison: null, reason: null, sampled: null, revision: null, windows: 12,
  subject: { type: 'hashtag', key: 'averyveryveryverylonghashtagofthestormoverthecity', name: 'AVeryVeryVeryVeryLongHashtagOfTheStormOverTheCity' }, carriers: [],
};
/** What the overview says of the region that is shown, and what the wall then says. @type {Record<string, [region: () => object, text: RegExp]>} */
const STATES = {
  'above the usual range': [() => counts(140, 100), /Above its usual range/],
  'far below it': [() => counts(2, 1000), /Far below its usual range/],
  'with an event': [() => ({ ...counts(123_456, 1000), event: { ...event, start: new Date(Date.now() - 3_600_000).toISOString() } }), /AVery.*rising/],
  'usual': [() => counts(100, 100), /Nothing unusual/],
  'first day': [() => ({ ...counts(100, 100), usual: null, usual_low: null, usual_high: null, factor: null }), /two complete days/],
};

/** Visible parts that cover one another, or stick out of the wall. */
function faults() {
  const wall = document.getElementById('view-wall');
  if (!wall) return ['no wall'];
  const parts = [...wall.querySelectorAll(':scope > :not(.wall-main), .wall-main > *')].filter((node) => node.checkVisibility({ opacityProperty: true }) && node.textContent?.trim());
  const named = parts.map((node) => ({ name: node.id || node.className, box: node.getBoundingClientRect() }));
  const found = named.flatMap(({ name, box }, i) => named.slice(i + 1).flatMap(({ name: other, box: on }) => (
    box.left < on.right - 1 && on.left < box.right - 1 && box.top < on.bottom - 1 && on.top < box.bottom - 1 ? [`${name} covers ${other}`] : []
  )));
  const { scrollWidth, clientWidth, scrollHeight, clientHeight } = wall;
  if (scrollWidth > clientWidth) found.push(`${scrollWidth} px wide on ${clientWidth}`);
  const isScrollable = getComputedStyle(wall).overflowY === 'auto';
  if (scrollHeight > clientHeight && !isScrollable) found.push(`${scrollHeight} px high on ${clientHeight}`);
  for (const node of wall.querySelectorAll('p, h2, h3, button, strong')) if (node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0 && getComputedStyle(node).display !== 'inline') found.push(`${node.id || node.textContent} is cut off`);
  return found;
}

for (const [screen, options] of Object.entries(SCREENS)) {
  spec(`the wall is whole in each state: ${screen}`, { isOpened: false, ...options }, async ({ page }) => {
    /** @type {() => object} */
    let state = () => ({});
    await page.route('**/api/overview', async (route) => {
      const answer = await route.fetch();
      const overview = await answer.json();
      await route.fulfill({ response: answer, json: { ...overview, regions: overview.regions.map((/** @type {{ region: string }} */ one) => (one.region === 'montreal' ? { ...one, ...state() } : one)) } });
    });
    for (const [name, [region, text]] of Object.entries(STATES)) {
      state = region;
      await page.goto(`${site}?wall=montreal`);
      await loaded(page);
      await textOf(page, '#view-wall', text);
      assert.deepEqual(await page.evaluate(faults), [], name);
      assert.deepEqual(await axeFindings(page), [], name);
    }
  });
}

// The wall was hidden as a whole until its lines were there, on a slow connection for seconds: an empty screen, and a page without heading.
for (const [screen, options] of Object.entries({ desktop: SCREENS.desktop, phone: SCREENS.phone })) {
  spec(`while answers are on their way, the wall shows what is known, and has its headings: ${screen}`, { isOpened: false, ...options }, async ({ page }) => {
    /** Lets the answers to a question pass. @type {Record<string, () => void>} */
    const release = {};
    for (const part of ['overview', 'windows']) {
      const isReleased = new Promise((resolve) => { release[part] = () => resolve(null); });
      await page.route(new RegExp(`/api/${part}`), async (route) => {
        await isReleased;
        await route.continue();
      });
    }
    await page.goto(`${site}?wall=montreal`);
    await page.locator('#wall-sentence').filter({ hasText: /^Loading/ }).waitFor();
    assert.deepEqual(await axeFindings(page), [], 'without any answer');
    release.overview?.();
    await page.locator('#wall-number').filter({ hasText: /\d/ }).waitFor();
    assert.ok(await page.locator('#main[data-waiting]').count() > 0, 'the lines are there already');
    assert.deepEqual(await page.evaluate(faults), [], 'without lines');
    assert.deepEqual(await axeFindings(page), [], 'without lines');
    release.windows?.();
    await complete(page);
    assert.match(await textOf(page, '#wall-trust'), /24 hours|usual range/);
    assert.deepEqual(await page.evaluate(faults), []);
  });
}

spec('when the API is away from the start, the wall says so, and nothing else is behind it', { isOpened: false, allowed: /Failed to load resource/ }, async ({ page }) => {
  await page.route('**/api/**', (route) => route.abort());
  await page.goto(`${site}?wall`);
  await textOf(page, '#wall-sentence', /cannot be reached/);
  await loaded(page);
  assert.ok(await page.locator('#panel').isHidden(), 'the message of the other pages can be reached by keys');
  assert.deepEqual(await axeFindings(page), []);
});

spec('on a phone, the controls of the wall stay', { search: '?wall', ...PHONE }, async ({ page }) => {
  await page.waitForSelector('#wall-number:not(:empty)');
  await page.locator('#wall-next').tap();
  await page.waitForSelector('#wall-others [aria-current="true"]');
  await page.locator('#wall-close').tap();
  await page.waitForSelector('#view-overview', { state: 'visible' });
});
