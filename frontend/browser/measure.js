// Measures the page over the demo and prints a table: `npm run measure`.
//
// Lighthouse and pa11y are not among the dependencies: `npm install --no-save lighthouse@12.8.2 pa11y@8.0.0` adds them. TOOLS is a folder whose
// node_modules has them instead. Without them, only the times and shifts are measured. SITE is the address of a page that is served already,
// RUNS the number of loads, ONLY names parts: times, lighthouse, pa11y. BIRDSONG and CHROMIUM are as in run.js.

import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

import { chromiumPath, startSite } from './site.js';

const RUNS = Number(process.env.RUNS ?? 5);
const PORT = 9333;
const isWanted = (/** @type {string} */ part) => (process.env.ONLY ?? part).split(',').includes(part);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run'];
/** Lighthouse's "slow 4G", applied to each request, and a processor four times slower. */
const SLOW = { latency: 150, downloadThroughput: (1638.4 * 1000) / 8, uploadThroughput: (750 * 1000) / 8, offline: false };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const PA11Y_LOOKS = { light: {}, dark: {}, phone: { viewport: PHONE.viewport } };
const DESK = { viewport: { width: 1350, height: 940 } };
/** Shifts are counted for this long after the data is there. */
const WATCH_MS = 25_000;
/** The query of each page, and what is there when its data is on the screen. @type {Record<string, [string, string]>} */
const PAGES = {
  overview: ['', '#region-list .row-posts'], region: ['?region=montreal', '#tile-posts .tile-value:not(:empty)'], map: ['?view=map', '#map-list li'],
  compare: ['?view=compare&regions=montreal,paris', '#compare-totals tbody th'], events: ['?view=events', '#event-list li[data-kind]'], sources: ['?view=sources', '#sources-table td'], wall: ['?wall', '#wall-number:not(:empty)'],
};
const pick = (/** @type {string} */ names) => Object.entries(PAGES).filter(([name]) => names.split(' ').includes(name));
const middle = (/** @type {number[]} */ all) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? NaN;

/** A tool, or null where it is not installed. @param {string} name @returns {Promise<any>} */
async function tool(name) {
  const from = createRequire(path.join(path.resolve(process.env.TOOLS ?? path.join(import.meta.dirname, '..')), 'package.json'));
  try {
    return (await import(pathToFileURL(from.resolve(name)).href)).default;
  } catch (error) {
    if (/** @type {{ code?: string }} */ (error).code !== 'MODULE_NOT_FOUND') throw error;
    console.log(`${name} is not installed: see the head of this file`);
    return null;
  }
}

/** Notes in the page when its data is there, and how much the layout has shifted. @param {string} ready */
function observe(ready) {
  const state = /** @type {any} */ (globalThis);
  state.shift = 0;
  state.moved = new Set();
  new PerformanceObserver((entries) => {
    for (const entry of /** @type {any[]} */ (entries.getEntries())) {
      if (entry.hadRecentInput) continue;
      state.shift += entry.value;
      for (const { node } of entry.sources) state.moved.add(`${node?.nodeName?.toLowerCase()}${node?.id ? `#${node.id}` : node?.className ? `.${node.className}` : ''}`);
    }
  }).observe({ type: 'layout-shift', buffered: true });
  const look = () => {
    const text = document.querySelector(ready)?.textContent ?? '';
    if (/\d/.test(text) || /\w{3}/.test(text)) state.dataAt ??= performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

/**
 * When the data is on the screen, and the shift of the layout until then and in the refreshes after it.
 * @param {import('playwright-core').Browser} browser @param {string} url @param {string} ready @param {boolean} isSlow @param {boolean} isWatched
 */
async function load(browser, url, ready, isSlow, isWatched) {
  const context = await browser.newContext({ ...(isSlow ? PHONE : DESK), locale: 'en-GB' });
  const page = await context.newPage();
  if (isSlow) {
    const session = await context.newCDPSession(page);
    await session.send('Network.enable');
    await session.send('Network.emulateNetworkConditions', SLOW);
    await session.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  }
  await page.addInitScript(observe, ready);
  await page.goto(url, { waitUntil: 'commit' });
  await page.waitForFunction(() => /** @type {any} */ (globalThis).dataAt !== undefined, undefined, { timeout: 60_000 });
  if (isWatched) await page.waitForTimeout(WATCH_MS);
  const { dataAt, shift, moved } = await page.evaluate(() => {
    const state = /** @type {any} */ (globalThis);
    return { dataAt: state.dataAt, shift: state.shift, moved: [...state.moved] };
  });
  await context.close();
  return { dataAt: /** @type {number} */ (dataAt), shift: /** @type {number} */ (shift), moved: /** @type {string[]} */ (moved) };
}

const site = process.env.SITE ? { url: process.env.SITE, stop: async () => {} } : await startSite();
const browser = await chromium.launch({ executablePath: chromiumPath(), args: [...FLAGS, `--remote-debugging-port=${PORT}`] });
try {
  if (isWanted('times')) console.log(`\nData on the screen, middle of ${RUNS} loads without cache; shift of the layout in the load and ${WATCH_MS / 1000} s of refreshes`);
  for (const [name, [search, ready]] of isWanted('times') ? Object.entries(PAGES) : []) {
    for (const isSlow of [false, true]) {
      const times = [];
      for (let i = 0; i < RUNS; i++) times.push((await load(browser, site.url + search, ready, isSlow, false)).dataAt);
      const { shift, moved } = await load(browser, site.url + search, ready, isSlow, true);
      console.log(`  ${name.padEnd(9)} ${(isSlow ? 'phone, slow 4G, 4 × CPU' : 'desktop, localhost').padEnd(24)} ${String(Math.round(middle(times))).padStart(5)} ms   shift ${shift.toFixed(4)}${shift > 0.005 ? ` (${moved.join(', ')})` : ''}`);
    }
  }

  const lighthouse = isWanted('lighthouse') && await tool('lighthouse');
  if (lighthouse) {
    console.log('\nLighthouse: performance, accessibility, best practices, SEO');
    const desktop = { formFactor: 'desktop', screenEmulation: { mobile: false, width: 1350, height: 940, deviceScaleFactor: 1, disabled: false }, throttling: { rttMs: 40, throughputKbps: 10_240, cpuSlowdownMultiplier: 1 } };
    for (const [name, [search]] of pick('overview region map')) {
      for (const form of /** @type {const} */ (['phone', 'desktop'])) {
        const { lhr } = await lighthouse(site.url + search, { port: PORT, output: 'json', logLevel: 'error' }, { extends: 'lighthouse:default', settings: form === 'desktop' ? desktop : {} });
        const scores = Object.values(lhr.categories).map((/** @type {any} */ { score }) => Math.round(100 * score));
        const worst = Object.values(lhr.audits).filter((/** @type {any} */ { score, scoreDisplayMode }) => score !== null && score < 0.9 && scoreDisplayMode !== 'informative').map((/** @type {any} */ { id, displayValue }) => `${id}${displayValue ? ` (${displayValue})` : ''}`);
        console.log(`  ${name.padEnd(9)} ${form.padEnd(8)} ${scores.join(' ')}   LCP ${lhr.audits['largest-contentful-paint'].displayValue}, CLS ${lhr.audits['cumulative-layout-shift'].displayValue}${worst.length ? `\n      ${worst.join(', ')}` : ''}`);
      }
    }
  }

  const pa11y = isWanted('pa11y') && await tool('pa11y');
  if (pa11y) {
    // Its axe also lists what it cannot decide, such as the contrast of a cell that is scrolled out of view; axe.test.js has the decided ones.
    console.log('\npa11y (WCAG2AA, HTML CodeSniffer and axe): issues');
    for (const [name, [search]] of Object.entries(PAGES)) {
      for (const [look, options] of Object.entries(PA11Y_LOOKS)) {
        const address = new URL(search, site.url);
        if (look === 'dark') address.searchParams.set('theme', 'dark');
        const { issues } = await pa11y(address.href, { chromeLaunchConfig: { executablePath: chromiumPath(), args: FLAGS }, runners: ['htmlcs', 'axe'], wait: 4000, timeout: 120_000, ...options });
        console.log(`  ${name.padEnd(9)} ${look.padEnd(6)} ${issues.length}`);
        for (const { code, message, selector } of issues) console.log(`      ${code}: ${message} ${selector}`);
      }
    }
  }
} finally {
  await browser.close();
  await site.stop();
}
