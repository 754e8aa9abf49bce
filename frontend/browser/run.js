// Runs the specs of this folder in a real browser, against the real binary: `npm run test:browser [NAME...]`.
//
// BIRDSONG is the binary, CHROMIUM the browser. PAGE is the page that is tested: `dist` (default) builds the page of this folder and serves it under
// the content policy of the CDN, with /api forwarded to the binary; `binary` is the page that is built into the binary, as it serves it.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

import { chromiumPath, startSite } from './site.js';

chromiumPath();
const names = process.argv.slice(2);
const files = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.test.js') && (names.length === 0 || names.includes(file.replace('.test.js', ''))))
  .map((file) => path.join(import.meta.dirname, file));
if (files.length === 0) throw new Error(`no such spec: ${names.join(', ')}`);

const site = await startSite();
process.env.BIRDSONG_SITE = site.url;
try {
  // Files run in processes of their own, two at a time.
  const tests = run({ files, concurrency: 2 });
  tests.on('test:fail', () => {
    process.exitCode = 1;
  });
  const output = tests.compose(new spec());
  output.pipe(process.stdout);
  await new Promise((resolve) => { output.on('end', resolve); });
} finally {
  await site.stop();
}
