// Pictures of the page over the demo: `npm run shots FOLDER`. BIRDSONG is the binary, as in run.js.

import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

import { chromiumPath, startSite } from './site.js';

const folder = path.resolve(process.argv[2] ?? path.join(tmpdir(), 'birdsong-shots'));
const DESK = { viewport: { width: 1280, height: 860 } };
/** @type {Record<string, { search: string, ready: string, context?: import('playwright-core').BrowserContextOptions }>} */
const SHOTS = {
  dashboard: { search: '', ready: '#region-list .row-spark svg' },
  region: { search: '?region=montreal', ready: '#chart-posts', context: { viewport: { width: 1280, height: 1280 } } },
  compare: { search: '?view=compare&regions=montreal,nyc,paris,toronto&measure=index', ready: '#compare-totals td', context: { viewport: { width: 1280, height: 1000 } } },
  map: { search: '?view=map', ready: '#map-list li' },
  sources: { search: '?view=sources', ready: '#sources-table td' },
  wall: { search: '?wall', ready: '#wall-spark svg', context: { viewport: { width: 1920, height: 1080 } } },
  phone: { search: '', ready: '#region-list .row-spark svg', context: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true } },
};

mkdirSync(folder, { recursive: true });
const site = await startSite();
const browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox', '--disable-gpu'] });
try {
  for (const language of (process.env.LANGUAGES ?? 'en').split(',')) {
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      for (const [name, { search, ready, context: own }] of Object.entries(SHOTS)) {
        const context = await browser.newContext({ ...DESK, locale: language === 'en' ? 'en-GB' : language, timezoneId: 'America/Toronto', colorScheme, reducedMotion: 'reduce', ...own });
        const page = await context.newPage();
        await page.goto(site.url + search);
        await page.waitForSelector('#main:not(.loading):not([aria-busy="true"])', { state: 'attached' });
        await page.waitForSelector(ready, { state: 'attached' });
        // What is drawn after the answers.
        await page.waitForLoadState('networkidle');
        await page.waitForTimeout(500);
        await page.screenshot({ path: path.join(folder, `${name}-${colorScheme}-${language}.png`) });
        await context.close();
      }
    }
  }
  console.log(folder);
} finally {
  await browser.close();
  await site.stop();
}
