// All rules of axe.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * What axe finds on a page, as texts. It is evaluated by the debugger, to which the content policy does not apply.
 * @param {import('playwright-core').Page} page
 * @returns {Promise<string[]>}
 */
export async function axeFindings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => {
    const { axe: tool } = /** @type {any} */ (globalThis);
    return tool.run(document, { resultTypes: ['violations'], rules: Object.fromEntries(tool.getRules().map((/** @type {{ ruleId: string }} */ { ruleId }) => [ruleId, { enabled: true }])) });
  });
  return violations.map((/** @type {any} */ one) => `${one.id}: ${one.nodes.map((/** @type {any} */ node) => node.target.join(' ')).slice(0, 3).join(', ')}`);
}
