// All rules of axe on each page: light, dark and on a phone. The wall in each of its states is in wall.test.js.

import assert from 'node:assert/strict';
import { axeFindings } from './axe.js';
import { PHONE, complete, spec } from './spec.js';

/** The query of each page, and what is there when its data is. @type {Record<string, [search: string, ready: string]>} */
const PAGES = {
  overview: ['', '#region-list .row-spark svg'], region: ['?region=montreal', '#tile-posts .tile-value:not(:empty)'], compare: ['?view=compare&regions=montreal,paris', '#compare-totals td'],
  map: ['?view=map', '#map-list li'], events: ['?view=events', '#event-list li'], sources: ['?view=sources', '#sources-table td'], wall: ['?wall', '#wall-number:not(:empty)'],
};
/** @type {Record<string, object>} */
const LOOKS = { light: {}, dark: { colorScheme: 'dark' }, phone: PHONE };

for (const [look, options] of Object.entries(LOOKS)) {
  for (const [name, [search, ready]] of Object.entries(PAGES)) {
    spec(`axe finds nothing: ${name}, ${look}`, { search, ...options }, async ({ page }) => {
      await page.waitForSelector(ready, { state: 'attached' });
      await complete(page);
      assert.deepEqual(await axeFindings(page), []);
    });
  }
}
