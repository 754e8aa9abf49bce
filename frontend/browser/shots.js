// Pictures of the page over the demo: `npm run shots FOLDER`. BIRDSONG is the binary, as in run.js; SITE is the address of a page that is served already.

import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

import { chromiumPath, startSite } from './site.js';

const folder = path.resolve(process.argv[2] ?? path.join(tmpdir(), 'birdsong-shots'));
const DESK = { viewport: { width: 1280, height: 860 } };
/** Long enough for the list. */
const PHONE = { viewport: { width: 390, height: 1180 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
/**
 * The query of each picture, and what is there when its data is. `region` is one that something happened to in the last day.
 * @type {Record<string, { search: (region: string) => string, ready: string, context?: import('playwright-core').BrowserContextOptions, type?: 'jpeg' }>}
 */
const SHOTS = {
  dashboard: { search: () => '', ready: '#region-list .row-spark svg' },
  region: { search: (region) => `?region=${region}`, ready: '.card:has(#chart-posts) .annotations li', context: { viewport: { width: 1280, height: 1180 } } },
  compare: { search: () => '?view=compare&regions=montreal,nyc,paris,sao-paulo&measure=index&range=7d', ready: '#compare-totals td', context: { viewport: { width: 1280, height: 1000 } } },
  map: { search: () => '?view=map', ready: '#map-list li' },
  sources: { search: () => '?view=sources', ready: '#sources-table td' },
  wall: { search: () => '?wall', ready: '#wall-spark svg', context: { viewport: { width: 1920, height: 1080 } } },
  // public/og.jpg, the picture of links.
  og: { search: () => '', ready: '#region-list .row-spark svg', context: { viewport: { width: 1200, height: 630 } }, type: 'jpeg' },
  phone: { search: () => '', ready: '#region-list .row-spark svg', context: PHONE },
};

mkdirSync(folder, { recursive: true });
const site = process.env.SITE ? { url: process.env.SITE, stop: async () => {} } : await startSite();
/** @type {{ events: { region: string, kind: string, is_open: boolean, comparison: { score: number } | null }[] }} */
const { events } = await (await fetch(`${site.url}api/events`)).json();
const unusual = events.filter(({ kind }) => kind === 'rising' || kind === 'spike').sort((a, b) => Number(b.is_open) - Number(a.is_open) || (b.comparison?.score ?? 0) - (a.comparison?.score ?? 0))[0];
const region = unusual?.region ?? 'montreal';
const browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox', '--disable-gpu'] });
try {
  for (const language of (process.env.LANGUAGES ?? 'en').split(',')) {
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      for (const [name, { search, ready, context: own, type }] of Object.entries(SHOTS)) {
        const context = await browser.newContext({ ...DESK, locale: language === 'en' ? 'en-GB' : language, timezoneId: 'America/Toronto', colorScheme, reducedMotion: 'reduce', ...own });
        const page = await context.newPage();
        await page.goto(site.url + search(region));
        await page.waitForSelector('#main:not(.loading):not([aria-busy="true"]):not([data-waiting])', { state: 'attached' });
        await page.waitForSelector(ready, { state: 'attached', timeout: 60_000 });
        // What is drawn after the answers.
        await page.waitForLoadState('networkidle');
        await page.waitForTimeout(500);
        await page.screenshot({ path: path.join(folder, `${name}-${colorScheme}-${language}.${type ?? 'png'}`), ...(type && { type, quality: 60 }) });
        await context.close();
      }
    }
  }
  console.log(folder);
} finally {
  await browser.close();
  await site.stop();
}
