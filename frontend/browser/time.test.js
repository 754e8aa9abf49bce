// Ranges, dates, the time before and after, a time chosen in the chart, zones.

import assert from 'node:assert/strict';
import { complete, drawn, loaded, open, param, spec, textOf, waitForParam } from './spec.js';

const search = '?region=montreal';

spec('1 to 6 choose ranges', { search }, async ({ page }) => {
  for (const [i, range] of ['1h', '6h', '24h', '7d', '30d', '1y'].entries()) {
    await page.keyboard.press(String(i + 1));
    await page.waitForFunction((wanted) => /** @type {HTMLInputElement} */ (document.querySelector('#ranges input:checked'))?.value === wanted, range);
    await loaded(page);
    assert.match(await textOf(page, '#tile-posts .tile-value', /\d/), /\d/);
  }
});

spec('the arrows lead to the time before and after', { search }, async ({ page }) => {
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction(() => new URLSearchParams(location.search).has('until'));
  const until = Date.parse(param(page, 'until') ?? '');
  await page.locator('#earlier-range').click();
  await page.waitForFunction((before) => Date.parse(new URLSearchParams(location.search).get('until') ?? '') === before - 86_400_000, until);
  await page.locator('#later-range').click();
  await page.keyboard.press('ArrowRight');
  await waitForParam(page, 'until', null);
  assert.ok(await page.locator('#later-range').isHidden());
});

spec('the time after leads back to now, also when minutes have passed', { isOpened: false }, async ({ page }) => {
  await page.clock.install();
  await open(page, search);
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction(() => new URLSearchParams(location.search).has('until'));
  await page.clock.fastForward('10:00');
  await page.keyboard.press('ArrowRight');
  await waitForParam(page, 'until', null);
});

spec('dates of the fields are those of the chosen zone', { search }, async ({ page }) => {
  await page.locator('#zone').selectOption('UTC');
  await waitForParam(page, 'zone', 'UTC');
  await textOf(page, '.card:has(#chart-posts) .zone', /UTC/);
  const day = new Date(Date.now() - 2 * 86_400_000).toISOString().slice(0, 10);
  await page.locator('#range-from').fill(`${day}T10:00`);
  await page.locator('#range-to').fill(`${day}T12:00`);
  await page.locator('#range-apply').click();
  await page.waitForFunction(() => new URLSearchParams(location.search).has('from'));
  assert.equal(Date.parse(param(page, 'from') ?? ''), Date.parse(`${day}T10:00:00Z`));
  assert.equal(Date.parse(param(page, 'to') ?? ''), Date.parse(`${day}T12:00:00Z`));
  await page.locator('#zone').selectOption('');
  await waitForParam(page, 'zone', null);
  await page.locator('#range-to').fill('');
  // A refresh leaves what was typed.
  await page.locator('#refresh').click();
  await page.waitForSelector('#refresh:not([aria-busy])');
  await page.locator('#range-apply').click();
  await textOf(page, '#range-note', /both fields/);
});

spec('any zone can be named', { search }, async ({ page }) => {
  await page.locator('#zone').selectOption('other');
  // A refresh leaves the field open.
  await page.locator('#refresh').click();
  await page.waitForSelector('#refresh:not([aria-busy])');
  await page.locator('#zone-other').fill('Asia/Kolkata');
  await page.locator('#zone-other').press('Tab');
  await waitForParam(page, 'zone', 'Asia/Kolkata');
  await textOf(page, '.card:has(#chart-posts) .zone', /Kolkata/);
});

spec('a time can be chosen in the chart by pointer, and Escape leads back', { search }, async ({ page }) => {
  await drawn(page, '#chart-posts');
  await complete(page);
  const canvas = page.locator('#chart-posts');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  assert.ok(box);
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.5, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, y, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.7, y, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction(() => new URLSearchParams(location.search).has('from'));
  const hours = (Date.parse(param(page, 'to') ?? '') - Date.parse(param(page, 'from') ?? '')) / 3_600_000;
  assert.ok(hours > 3 && hours < 8, `${hours} h of 24 h`);
  await loaded(page);
  await page.keyboard.press('Escape');
  await waitForParam(page, 'from', null);
});

// Before the chart was drawn, the arrows moved the page to another time.
spec('arrows in a chart that is not drawn yet leave the page where it is', { isOpened: false }, async ({ page }) => {
  let release = () => {};
  const isReleased = new Promise((resolve) => { release = () => resolve(null); });
  await page.route(/chart-js.*\.js/, async (route) => {
    await isReleased;
    await route.continue();
  });
  await open(page, search);
  // What is still hidden cannot have the focus.
  await complete(page);
  await page.locator('.plot:has(#chart-posts)').focus();
  await page.keyboard.press('ArrowLeft');
  release();
  await drawn(page, '#chart-posts');
  assert.equal(param(page, 'until'), null);
});

spec('a time can be chosen in the chart by keys', { search }, async ({ page }) => {
  await drawn(page, '#chart-posts');
  await complete(page);
  await page.locator('.plot:has(#chart-posts)').focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await textOf(page, '#live', /posts/);
  for (let i = 0; i < 4; i += 1) await page.keyboard.press('Shift+ArrowLeft');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => new URLSearchParams(location.search).has('from'));
  assert.ok(await page.locator('#whole-range').isVisible());
  await page.locator('#whole-range').click();
  await waitForParam(page, 'from', null);
});
