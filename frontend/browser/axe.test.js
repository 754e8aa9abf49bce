// All rules of axe on each page: light, dark and on a phone.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { PHONE, spec } from './spec.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** @type {Record<string, [search: string, ready: string]>} */
const PAGES = {
  overview: ['', '#region-list .row-spark svg'], region: ['?region=montreal', '#chart-posts'], compare: ['?view=compare&regions=montreal,paris', '#compare-totals td'],
  map: ['?view=map', '#map-list li'], events: ['?view=events', '#event-list li'], sources: ['?view=sources', '#sources-table td'], wall: ['?wall', '#view-wall > *'],
};
/** @type {Record<string, object>} */
const LOOKS = { light: {}, dark: { colorScheme: 'dark' }, phone: PHONE };

for (const [look, options] of Object.entries(LOOKS)) {
  for (const [name, [search, ready]] of Object.entries(PAGES)) {
    // Evaluated by the debugger, to which the content policy does not apply.
    spec(`axe finds nothing: ${name}, ${look}`, { search, ...options }, async ({ page }) => {
      await page.waitForSelector(ready, { state: 'attached' });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ['violations'], rules: Object.fromEntries(/** @type {any} */ (globalThis).axe.getRules().map((/** @type {{ ruleId: string }} */ { ruleId }) => [ruleId, { enabled: true }])) }));
      assert.deepEqual(violations.map((/** @type {any} */ one) => `${one.id}: ${one.nodes.map((/** @type {any} */ node) => node.target.join(' ')).slice(0, 3).join(', ')}`), []);
    });
  }
}
