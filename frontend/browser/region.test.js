// The page of a region: numbers, charts, events, focus.

import assert from 'node:assert/strict';
import { api, choose, complete, drawn, loaded, open, param, spec, textOf, waitForParam } from './spec.js';

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

spec('posts over time show the usual range and lettered events', { isOpened: false }, async ({ page }) => {
  // Events of the demo come and go, these two are always there.
  const at = (/** @type {number} */ hours) => new Date(Date.now() - hours * 3_600_000).toISOString();
  const note = { region: 'montreal', kind: 'note', subject: { type: 'posts', key: '' }, is_open: false, comparison: null, carriers: [], reason: null, sampled: null, revision: null, windows: 12 };
  const events = [
    { ...note, id: 'one', text: 'Parade until noon', start: at(9), end: at(8) },
    { ...note, id: 'two', text: 'Fireworks', start: at(3), end: at(2) },
  ];
  await page.route('**/api/events?*', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...await answer.json(), events } });
  });
  await open(page, search);
  await drawn(page, '#chart-posts');
  await page.waitForFunction(() => document.querySelectorAll('.card:has(#chart-posts) .annotations li').length === 2);
  const letters = await page.locator('.card:has(#chart-posts) .annotations li').allTextContents();
  assert.match(letters[0] ?? '', /^A.*Parade until noon/);
  assert.match(letters[1] ?? '', /^B.*Fireworks/);
  await page.locator('.card:has(#chart-posts) details.numbers summary').click();
  await textOf(page, '.card:has(#chart-posts) thead', /Usual, at least.*Usual, at most/);
});

for (const stack of ['minute', 'kind', 'network', 'language', 'match', 'usual']) {
  spec(`posts over time can be shown by ${stack}`, { search: stack === 'minute' ? `${search}&range=1h` : search }, async ({ page }) => {
    const options = '.card:has(#chart-posts) .choice-options';
    if (stack === 'usual') await choose(page, options, 'kind');
    await choose(page, options, stack);
    await page.waitForFunction((wanted) => (new URLSearchParams(location.search).get('stack') ?? 'usual') === wanted, stack);
    await loaded(page);
    await drawn(page, '#chart-posts');
    assert.ok(await page.locator(`${options} input[value="${stack}"]`).isChecked());
  });
}

spec('each headline number has its line, and what it is compared with', { search }, async ({ page }) => {
  await complete(page);
  for (const tile of ['posts', 'rate', 'authors', 'reposts']) await page.waitForSelector(`#tile-${tile} .tile-spark polyline`, { state: 'attached' });
  for (const tile of ['posts', 'authors', 'reposts']) await textOf(page, `#tile-${tile} .tile-change`, /before/);
  await textOf(page, '#tile-rate .tile-change', /usual in this hour/);
  await page.goto(new URL(`${search}&until=${new Date(Date.now() - 3_600_000).toISOString()}`, page.url()).href);
  await complete(page);
  assert.equal(await page.locator('#tile-rate .tile-change').textContent(), '', 'what is usual now is said of another time');
});

spec('rankings have the change since the time before, as the API has it', { search: '?region=toronto' }, async ({ page }) => {
  const hour = new Date(Math.floor(Date.now() / 3_600_000 - 1) * 3_600_000).toISOString();
  const [day, before] = [1, 2].map((days) => new Date(Date.parse(hour) - days * 86_400_000).toISOString());
  const of = async (/** @type {string} */ from, /** @type {string} */ to) => (await api(`windows?${new URLSearchParams({ region: 'toronto', from, to, step: '1h', fields: 'posts', total_fields: 'languages' })}`)).total.languages;
  const [now, earlier] = await Promise.all([of(day ?? '', hour), of(before ?? '', day ?? '')]);
  await open(page, `?${new URLSearchParams({ region: 'toronto', from: day ?? '', to: hour })}`);
  await complete(page);
  const percent = Math.round((100 * (now.en - earlier.en)) / earlier.en);
  const row = page.locator('#chart-languages li', { hasText: 'English' });
  assert.equal(await row.locator('.bar-change').textContent(), percent === 0 ? '0%' : `${percent < 0 ? '−' : '+'}${Math.abs(percent)}%`);
  await textOf(page, '.card:has(#chart-languages) .lead', /change on the time before/);
});

spec('a hashtag can be found in the ranking, and another one can be turned to by its name', { search }, async ({ page }) => {
  await complete(page);
  const field = page.locator('[data-find="hashtags"]');
  const first = (await page.locator('#chart-hashtags li button.link').first().textContent()) ?? '';
  await field.fill(first.slice(0, 4).toLowerCase());
  await page.waitForFunction((start) => [...document.querySelectorAll('#chart-hashtags li button.link')].every((button) => button.textContent?.toLowerCase().startsWith(start)), first.slice(0, 4).toLowerCase());
  await field.fill('nobodywritesthis');
  await textOf(page, '#chart-hashtags', /“nobodywritesthis” is not among the most frequent/);
  await field.press('Enter');
  await waitForParam(page, 'tag', 'nobodywritesthis');
  await textOf(page, '#focus-text', /In this range/);
});

spec('every chart is drawn, and has a table with the same numbers', { search }, async ({ page }) => {
  await page.waitForSelector('#charts .card canvas');
  await complete(page);
  for (const card of await page.locator('#charts .card:visible').all()) {
    if (!(await card.locator('.plot').isVisible())) continue;
    const canvas = card.locator('canvas');
    if (await canvas.count() > 0) await drawn(page, `#${await canvas.getAttribute('id')}`);
    else assert.ok(await card.locator('.bars li').count() > 0, await card.textContent() ?? '');
    await card.locator('details.numbers summary').click();
    await card.locator('table tbody tr').first().waitFor({ state: 'attached' });
  }
});

/** The answer of `/api/trends` with one rising hashtag, or with none. @param {import('playwright-core').Page} page @param {string | null} tag */
async function fakeTrends(page, tag) {
  await page.route('**/api/trends?*', async (route) => {
    const answer = await route.fetch();
    const { regions } = await answer.json();
    const item = (/** @type {string} */ key) => ({
      subject: { type: 'hashtag', key, name: key }, standing: 'rising', observed: 40, usual: 4, upper: 8, score: 9, span_secs: 900, since: new Date(Date.now() - 1_800_000).toISOString(), authors: null, profile: null, spark: [1, 2, 9, 40],
    });
    await route.fulfill({ response: answer, json: { regions: regions.map((/** @type {object} */ region) => ({ ...region, items: tag ? [item(tag)] : [] })) } });
  });
}

for (const [name, list, from] of [['the ranking', '.card:has(#chart-hashtags)', null], ['the list of what rises', '#rising', 'first']]) {
  spec(`a hashtag of ${name} turns the page to it, and Escape leads back to all posts, then to all regions`, { isOpened: false }, async ({ page }) => {
    // Whether anything rises depends on the hour of the demo.
    const { total } = await api(`windows?${new URLSearchParams({ region: 'montreal', from: new Date(Date.now() - 86_400_000).toISOString(), to: new Date().toISOString(), total_fields: 'hashtags' })}`);
    await fakeTrends(page, from && total.hashtags[0].tag);
    await open(page, search);
    await page.locator(`${list} button.link`).first().click();
    await page.waitForSelector('#focus:not([hidden])');
    assert.ok(param(page, 'tag'), page.url());
    await textOf(page, '#focus-text', /In this range/);
    await drawn(page, '#focus-card canvas');
    await page.keyboard.press('Escape');
    await waitForParam(page, 'tag', null);
    assert.ok(await page.locator('#focus').isHidden());
    await page.keyboard.press('Escape');
    await waitForParam(page, 'region', null);
  });
}

spec('a ranking lists as many as the reader wants, and the address keeps that', { isOpened: false }, async ({ page }) => {
  const from = new Date(Date.now() - 3 * 86_400_000).toISOString();
  const ends = { from, to: new Date(Date.now() - 3_600_000).toISOString() };
  const { total } = await api(`windows?${new URLSearchParams({ region: 'montreal', ...ends, step: '1h', total_fields: 'hashtags', top: '2048' })}`);
  assert.ok(total.hashtags.length > 12, `the demo has only ${total.hashtags.length} hashtags`);
  await open(page, `?${new URLSearchParams({ region: 'montreal', ...ends })}`);
  const bars = '.card:has(#chart-hashtags) .bars li';
  const shows = (/** @type {number} */ n) => page.waitForFunction(([selector, wanted]) => document.querySelectorAll(`${selector}:not(.more)`).length === wanted, /** @type {const} */ ([bars, n]));
  await shows(12);
  for (let label = ''; label !== 'Show 12'; label = await textOf(page, `${bars}.more button`, /Show/)) {
    await page.locator(`${bars}.more button`).click();
    await complete(page);
    await page.waitForFunction(() => new URLSearchParams(location.search).has('rows'));
  }
  await shows(total.hashtags.length);
  await page.reload();
  await loaded(page);
  await shows(total.hashtags.length);
});

spec('the page turns to a language', { search: '?region=montreal&language=fr' }, async ({ page }) => {
  await textOf(page, '#focus-title', /French.*Montréal/);
  await textOf(page, '#focus-text', /In this range/);
  await drawn(page, '#focus-card canvas');
  await page.locator('#focus-close').click();
  await waitForParam(page, 'language', null);
});
