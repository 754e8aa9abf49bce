// The page of a region: numbers, charts, events, focus.

import assert from 'node:assert/strict';
import { api, drawn, loaded, param, spec, textOf, waitForParam } from './spec.js';

const search = '?region=montreal';
const digits = (/** @type {string} */ text) => Number(text.replace(/\D/g, ''));

spec('the numbers of a region are those of the API, with a change', { search: '?region=toronto&until=2000-01-01T00:00:00Z' }, async ({ page }) => {
  assert.ok(await page.locator('#panel').isVisible(), 'a range without posts has a message');
  const hour = new Date(Math.floor(Date.now() / 3_600_000 - 1) * 3_600_000).toISOString();
  const day = new Date(Date.parse(hour) - 86_400_000).toISOString();
  const { total } = await api(`windows?${new URLSearchParams({ region: 'toronto', from: day, to: hour, step: '1h' })}`);
  await page.goto(new URL(`?${new URLSearchParams({ region: 'toronto', from: day, to: hour })}`, page.url()).href);
  await loaded(page);
  assert.equal(digits(await textOf(page, '#tile-posts .tile-value', /\d/)), total.posts);
  await textOf(page, '#tile-posts .tile-change', /before/);
});

spec('posts over time show the usual range and lettered events', { search }, async ({ page }) => {
  await drawn(page, '#chart-posts');
  const events = (await api('events?region=montreal')).events;
  if (events.length > 0) {
    const letters = await page.locator('#card-posts .annotations li, .card:has(#chart-posts) .annotations li').allTextContents();
    assert.ok(letters.length > 0 && letters.every((text) => /^\s*[A-Z]/.test(text)), letters.join(' | '));
  }
  await page.locator('.card:has(#chart-posts) details.numbers summary').click();
  await textOf(page, '.card:has(#chart-posts) thead', /Usual, at least.*Usual, at most/);
});

for (const stack of ['minute', 'kind', 'network', 'language', 'match', 'usual']) {
  spec(`posts over time can be shown by ${stack}`, { search: stack === 'minute' ? `${search}&range=1h` : search }, async ({ page }) => {
    const option = page.locator(`.card:has(#chart-posts) .choice-options input[value="${stack}"]`);
    await page.waitForSelector('.card:has(#chart-posts) .choice-options input');
    if (stack === 'usual') await page.locator('.card:has(#chart-posts) .choice-options input[value="kind"]').check({ force: true });
    await option.check({ force: true });
    await page.waitForFunction((wanted) => (new URLSearchParams(location.search).get('stack') ?? 'usual') === wanted, stack);
    await loaded(page);
    await drawn(page, '#chart-posts');
    assert.ok(await option.isChecked());
  });
}

spec('every chart is drawn, and has a table with the same numbers', { search }, async ({ page }) => {
  await page.waitForSelector('#charts .card canvas');
  for (const card of await page.locator('#charts .card:visible').all()) {
    if (!(await card.locator('.plot').isVisible())) continue;
    const canvas = card.locator('canvas');
    if (await canvas.count() > 0) await drawn(page, `#${await canvas.getAttribute('id')}`);
    else assert.ok(await card.locator('.bars li').count() > 0, await card.textContent() ?? '');
    await card.locator('details.numbers summary').click();
    assert.ok(await card.locator('table tbody tr').count() > 0, await card.locator('h2').textContent() ?? '');
  }
});

spec('a hashtag turns the page to it, and Escape leads back to all posts, then to all regions', { search }, async ({ page }) => {
  const rise = page.locator('#rising button.link, .card:has(#chart-hashtags) button.link').first();
  await rise.click();
  await page.waitForSelector('#focus:not([hidden])');
  const tag = param(page, 'tag') ?? param(page, 'host');
  assert.ok(tag, page.url());
  await textOf(page, '#focus-text', /In this range/);
  await drawn(page, '#focus-card canvas');
  await page.keyboard.press('Escape');
  await waitForParam(page, 'tag', null);
  assert.ok(await page.locator('#focus').isHidden());
  await page.keyboard.press('Escape');
  await waitForParam(page, 'region', null);
});

spec('the page turns to a language', { search: '?region=montreal&language=fr' }, async ({ page }) => {
  await textOf(page, '#focus-title', /French.*Montréal/);
  await textOf(page, '#focus-text', /In this range/);
  await drawn(page, '#focus-card canvas');
  await page.locator('#focus-close').click();
  await waitForParam(page, 'language', null);
});
