// A spec: a fresh browser context on the page, and whether the page stayed clean. Nothing here measures time; time-outs are patience.

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { chromium } from 'playwright-core';

import { chromiumPath } from './site.js';

/** A machine that also compiles is slow: the page itself asks again 10 s after an answer that did not come. */
const PATIENCE_MS = 120_000;
export const site = process.env.BIRDSONG_SITE ?? '';
if (!site) throw new Error('run the specs with `npm run test:browser`, which starts the server');

const browser = await chromium.launch({
  executablePath: chromiumPath(),
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
after(() => browser.close());

/** Parts of the context that all specs have unless they say otherwise. @type {import('playwright-core').BrowserContextOptions} */
const CONTEXT = { viewport: { width: 1440, height: 900 }, locale: 'en-GB', timezoneId: 'America/Toronto', colorScheme: 'light', reducedMotion: 'reduce', permissions: ['clipboard-read', 'clipboard-write'] };
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/**
 * @typedef {{ page: import('playwright-core').Page, context: import('playwright-core').BrowserContext, problems: string[] }} Parts
 * @typedef {import('playwright-core').BrowserContextOptions & { search?: string, isOpened?: boolean, isFrozen?: boolean, allowed?: RegExp, todo?: string }} Options
 *   `search` is the query of the address; with `isFrozen` the overview stays as it was at first, so that lists keep their order; `todo` is what the page lacks for it, `allowed` are messages of the console that the spec causes itself; with `isOpened: false` the spec opens the page
 */

/**
 * Opens the page, runs the spec, and fails it for errors on the console (violations of the content policy are among them), uncaught errors, and
 * requests to other hosts.
 * @param {string} name
 * @param {Options} options
 * @param {(parts: Parts) => Promise<void>} body
 */
export function spec(name, { search = '', isOpened = true, isFrozen = false, allowed = /^$/, todo, ...own }, body) {
  test(name, { todo }, async () => {
    const context = await browser.newContext({ ...CONTEXT, .../** @type {object} */ (own) });
    context.setDefaultTimeout(PATIENCE_MS);
    /** @type {string[]} */
    const problems = [];
    try {
      const page = await context.newPage();
      page.on('pageerror', (error) => problems.push(`uncaught: ${error.stack ?? error}`));
      page.on('console', (message) => {
        if (message.type() === 'error' && !allowed.test(message.text())) problems.push(`console: ${message.text()}`);
      });
      page.on('request', (request) => {
        if (/^(https?|wss?):/.test(request.url()) && new URL(request.url()).origin !== new URL(site).origin) problems.push(`request to ${request.url()}`);
      });
      if (isFrozen) await freeze(page);
      if (isOpened) await open(page, search);
      await body({ page, context, problems });
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
    }
  });
}

/** Answers each question for the overview like the first one. @param {import('playwright-core').Page} page */
async function freeze(page) {
  /** @type {Promise<{ status: number, contentType: string, body: string }> | undefined} */
  let first;
  await page.route('**/api/overview', async (route) => {
    first ??= route.fetch().then(async (answer) => ({ status: answer.status(), contentType: 'application/json', body: await answer.text() }));
    await route.fulfill(await first);
  });
}

/**
 * Opens the page with a query, and waits for its data.
 * @param {import('playwright-core').Page} page
 * @param {string} [search]
 */
export async function open(page, search = '') {
  await page.goto(site + search);
  await loaded(page);
}

/** Waits for the data of what is chosen. @param {import('playwright-core').Page} page */
export const loaded = (page) => page.waitForSelector('#main:not(.loading):not([aria-busy="true"])', { state: 'attached' });

/** Waits until everything else that the page asks for at first is there, too. @param {import('playwright-core').Page} page */
export const complete = (page) => page.waitForSelector('#main:not(.loading):not([aria-busy="true"]):not([data-waiting])', { state: 'attached' });

/**
 * An answer of the API.
 * @param {string} query such as `overview`
 * @returns {Promise<any>}
 */
export async function api(query) {
  const answer = await fetch(`${site}api/${query}`);
  assert.equal(answer.status, 200, `${query}: ${answer.status}`);
  return answer.json();
}

/**
 * Waits until a text matches, and returns it.
 * @param {import('playwright-core').Page} page
 * @param {string} selector
 * @param {RegExp} pattern
 */
export async function textOf(page, selector, pattern = /\S/) {
  await page.waitForFunction(([where, source, flags]) => new RegExp(/** @type {string} */ (source), flags).test(document.querySelector(/** @type {string} */ (where))?.textContent ?? ''), [selector, pattern.source, pattern.flags])
    .catch(async (error) => { throw new Error(`${selector} is “${await page.locator(selector).first().textContent().catch(() => 'missing')}”, not ${pattern}`, { cause: error }); });
  return (await page.locator(selector).first().textContent()) ?? '';
}

/** A parameter of the address. @param {import('playwright-core').Page} page @param {string} name */
export const param = (page, name) => new URL(page.url()).searchParams.get(name);

/**
 * Waits until a parameter of the address is as wanted.
 * @param {import('playwright-core').Page} page
 * @param {string} name
 * @param {string | null} wanted null if it is not there
 */
export const waitForParam = (page, name, wanted) => page.waitForURL((url) => url.searchParams.get(name) === wanted, { waitUntil: 'commit' });

/**
 * Chooses one of the segments of a control.
 * @param {import('playwright-core').Page} page
 * @param {string} holder
 * @param {string} value
 */
export async function choose(page, holder, value) {
  const input = `${holder} input[value="${value}"]`;
  await page.locator(`label:has(> input[value="${value}"])`).and(page.locator(`${holder} label`)).click();
  await page.waitForFunction((where) => /** @type {HTMLInputElement | null} */ (document.querySelector(where))?.checked, input);
}

/**
 * Whether something was drawn on a canvas.
 * @param {import('playwright-core').Page} page
 * @param {string} selector
 */
export const drawn = (page, selector) => page.waitForFunction((where) => {
  const canvas = /** @type {HTMLCanvasElement | null} */ (document.querySelector(where));
  if (!canvas?.width) return false;
  const pixels = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
  return pixels.some((byte, at) => at % 4 === 3 && byte > 0);
}, selector);
