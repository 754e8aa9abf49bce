// What can be taken away: data, pictures, one chart alone, links, paper.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { PHONE, api, drawn, loaded, open, param, spec, textOf } from './spec.js';

const hourMs = 3_600_000;
const to = new Date(Math.floor(Date.now() / hourMs - 1) * hourMs).toISOString();
const from = new Date(Date.parse(to) - 6 * hourMs).toISOString();
const search = `?${new URLSearchParams({ region: 'montreal', from, to, zone: 'UTC' })}`;

/** What a button of the dialog saves. @param {import('playwright-core').Page} page @param {string} label */
async function saved(page, label) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: label, exact: true }).click()]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

spec('CSV and NDJSON have the numbers of the API', { search }, async ({ page }) => {
  await page.locator('#take').click();
  const { name, bytes } = await saved(page, 'Counts of each step, CSV');
  assert.match(name, /^birdsong-montreal-steps.*\.csv$/);
  const [head = '', ...lines] = bytes.toString('utf8').trim().split('\r\n');
  const column = (/** @type {string} */ title) => head.split(',').indexOf(title);
  const answer = await api(`windows?${new URLSearchParams({ region: 'montreal', from, to, step: 'auto' })}`);
  const steps = answer.windows;
  assert.deepEqual(
    lines.map((line) => [Date.parse(line.split(',')[column('start')] ?? ''), Number(line.split(',')[column('posts')])]),
    steps.map((/** @type {{ window_start: string, posts: number }} */ step) => [Date.parse(step.window_start), step.posts]),
  );
  const ndjson = (await saved(page, 'Counts of each step, NDJSON')).bytes.toString('utf8').trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(ndjson.map(({ posts }) => posts), steps.map((/** @type {{ posts: number }} */ step) => step.posts));
});

spec('charts are saved as PNG and SVG', { search }, async ({ page }) => {
  await drawn(page, '#chart-posts');
  await page.locator('#take').click();
  const png = await saved(page, 'Posts over time, PNG');
  assert.equal(png.bytes.subarray(1, 4).toString(), 'PNG');
  assert.ok(png.bytes.length > 10_000, `${png.bytes.length} bytes`);
  const svg = (await saved(page, 'Posts over time, SVG')).bytes.toString('utf8');
  assert.match(svg, /<svg [^>]*>/);
  assert.match(svg, /Montréal/);
  assert.ok((svg.match(/<(path|rect)/g) ?? []).length > 20, 'a picture without marks');
});

spec('one chart alone, for other pages', { search: `${search}&embed=posts` }, async ({ page }) => {
  await drawn(page, '#chart-posts');
  assert.ok(await page.locator('header.top').isHidden());
  // Which card is shown may be decided after its chart is drawn.
  await page.locator('#charts .card:visible').first().waitFor();
  assert.equal(await page.locator('#charts .card:visible').count(), 1);
  assert.ok(!(await page.locator('#embed-source a').getAttribute('href') ?? '').includes('embed'));
});

spec('the link to this moment shows the same numbers later', { search: '?region=montreal&range=6h' }, async ({ page }) => {
  await page.locator('#copy-link').click();
  await textOf(page, '#copy-link', /Copied/);
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(new URL(link).searchParams.get('until'), link);
  assert.equal(new URL(link).searchParams.get('zone'), 'America/Toronto');
  await open(page, new URL(link).search);
  assert.equal(param(page, 'until'), new URL(link).searchParams.get('until'));
  await textOf(page, '#tile-posts .tile-value', /\d/);
});

spec('paper gets the light theme, without controls, from a dark page', { search: '?region=montreal', colorScheme: 'dark' }, async ({ page }) => {
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await page.evaluate(() => window.dispatchEvent(new Event('beforeprint')));
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
  for (const part of ['.top nav', '#view-region .actions', '.freshen']) assert.ok(await page.locator(part).first().isHidden(), part);
  await textOf(page, '#print-line', /Printed .*America\/Toronto/);
  await page.emulateMedia({ media: 'screen' });
  await page.evaluate(() => window.dispatchEvent(new Event('afterprint')));
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await loaded(page);
});

spec('about these numbers: rules, sources, delays and what is not known', { search: '?region=montreal' }, async ({ page }) => {
  await page.locator('#about').click();
  const text = await textOf(page, '#about-box', /latitude 45\.41 to 45\.7.*made-up posts.*Not known.*Page \d/);
  assert.match(text, /provisional|final/);
  await page.keyboard.press('Escape');
  await page.waitForSelector('#about-box', { state: 'detached' });
});

spec('a comparison over an absolute range can be taken away', { search: '?view=compare&regions=montreal,paris' }, async ({ page }) => {
  const before = await textOf(page, '#compare-totals', /Paris/);
  const day = (/** @type {number} */ ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
  await page.locator('#compare-from').fill(`${day(3)}T00:00`);
  await page.locator('#compare-to').fill(`${day(2)}T00:00`);
  await page.locator('#compare-apply').click();
  await page.waitForURL(/from=.*to=/);
  // The numbers of the chosen days, not those of before.
  await page.waitForFunction((old) => {
    const text = document.querySelector('#compare-totals')?.textContent ?? '';
    return text !== old && text.includes('Paris');
  }, before);
  await loaded(page);
  await page.locator('#take-compare').click();
  const download = page.waitForEvent('download');
  await page.locator('#take-box .take-buttons button').first().click();
  assert.match((await download).suggestedFilename(), /^birdsong-compare-custom\.csv$/);
});

spec('on a phone, the controls are behind a button that says what is chosen', { search: '?region=montreal', ...PHONE }, async ({ page }) => {
  assert.match(await textOf(page, '#show-controls'), /Montréal, last 24 hours/);
  assert.ok(await page.locator('#region-controls').isHidden());
  await page.locator('#show-controls').click();
  assert.ok(await page.locator('#region-controls').isVisible());
});

spec('links to the page have a title and a text, and only whole addresses', {}, async ({ page }) => {
  const tags = await page.locator('meta[property^="og:"]').evaluateAll((all) => Object.fromEntries(all.map((meta) => [meta.getAttribute('property'), meta.getAttribute('content')])));
  assert.ok(tags['og:title'] && tags['og:description']);
  for (const name of ['og:url', 'og:image']) assert.match(tags[name] ?? 'https://', /^https?:\/\//, name);
});
