// What the first view loads, compressed.

import assert from 'node:assert/strict';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { site } from './spec.js';

const MOST_BYTES = 130_000;

test('what index.html loads at first is at most 130 kB compressed', async () => {
  const get = async (/** @type {string} */ address) => (await fetch(new URL(address, site), { headers: { 'accept-encoding': 'identity' } })).text();
  const html = await get('');
  const known = new Set([...html.matchAll(/<(?:script|link)\b[^>]*?(?:src|href)="(\.\/[^"]+\.(?:js|css))"/g)].map(([, file = '']) => file).filter((file) => !file.includes('noscript')));
  // Modules that those import at once.
  for (const file of known) {
    if (!file.endsWith('.js')) continue;
    for (const [, name = ''] of (await get(file)).matchAll(/(?:^|[;}\s])(?:import|export)\s*(?:[\w$*\s{},]+?from)?\s*["'](\.\/[^"']+\.js)["']/g)) known.add(`./${new URL(name, new URL(file, 'http://host/')).pathname.slice(1)}`);
  }
  // The English texts, which are loaded before the first view.
  for (const file of [...known]) {
    if (file.endsWith('.js')) for (const [, name = ''] of (await get(file)).matchAll(/["'`](?:\.\/|assets\/)(en-[\w-]+\.js)["'`]/g)) known.add(`./assets/${name}`);
  }
  assert.ok([...known].some((file) => /\/en-/.test(file)), [...known].join());
  assert.ok(known.size >= 2, [...known].join());
  const sizes = await Promise.all([...known].map(async (file) => /** @type {const} */ ([file, gzipSync(await get(file)).length])));
  const all = gzipSync(html).length + sizes.reduce((sum, [, size]) => sum + size, 0);
  assert.ok(all <= MOST_BYTES, `${all} bytes: ${JSON.stringify(sizes)}`);
  console.log(`${all} bytes compressed, of ${known.size + 1} files`);
});
