/// <reference types="vitest/config" />
// How the dashboard is bundled (relative base: it may be served below any path) and tested.
import { defineConfig } from 'vite';
import { textProblems } from './check-texts.js';

// Local times in tests are the same everywhere.
if (process.env.VITEST) process.env.TZ = 'UTC';

/** Fails the build when a text is missing in a language. @type {import('vite').Plugin} */
const texts = {
  name: 'texts',
  apply: 'build',
  async buildStart() {
    const problems = await textProblems();
    if (problems.length > 0) this.error(`texts:\n${problems.join('\n')}`);
  },
};

/** Names the files of the texts in the page, for public/boot.js. @type {import('vite').Plugin} */
const textFiles = {
  name: 'text-files',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler(_, { bundle }) {
      const files = Object.values(bundle ?? {}).flatMap((file) => {
        const code = file.type === 'chunk' && /\/src\/text\/(\w+)\.js$/.exec(file.facadeModuleId ?? '')?.[1];
        return code ? [`${code} ./${file.fileName}`] : [];
      });
      return [{ tag: 'meta', attrs: { name: 'birdsong-texts', content: files.join(', ') }, injectTo: 'head-prepend' }];
    },
  },
};

/** Names the files of each page that is loaded when it is first shown, for public/boot.js. @type {import('vite').Plugin} */
const viewFiles = {
  name: 'view-files',
  apply: 'build',
  transformIndexHtml: {
    order: 'post',
    handler(_, { bundle }) {
      const chunks = Object.values(bundle ?? {}).filter((file) => file.type === 'chunk');
      const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
      /** A chunk and all that it imports. @param {(typeof chunks)[number] | undefined} chunk @returns {(typeof chunks)} */
      const closure = (chunk) => (chunk ? [chunk, ...chunk.imports.flatMap((name) => closure(byName.get(name)))] : []);
      const atFirst = new Set(chunks.filter(({ isEntry }) => isEntry).flatMap(closure));
      const views = chunks.flatMap((chunk) => {
        const view = /\/src\/views\/(\w+)\.js$/.exec(chunk.facadeModuleId ?? '')?.[1];
        if (!view || atFirst.has(chunk)) return [];
        // Without Chart.js, which is loaded after the numbers: it is larger than all else together.
        const all = [...new Set(closure(chunk))].filter((one) => !atFirst.has(one));
        const styles = all.flatMap((one) => [.../** @type {{ viteMetadata?: { importedCss: Set<string> } }} */ (one).viteMetadata?.importedCss ?? []]);
        return [[view, ...[...all.map(({ fileName }) => fileName), ...styles].map((name) => `./${name}`)].join(' ')];
      });
      return [{ tag: 'meta', attrs: { name: 'birdsong-views', content: views.join(', ') }, injectTo: 'head-prepend' }];
    },
  },
};

/**
 * Services that show a link with its picture need whole addresses (https://ogp.me), which the build knows by SITE_URL alone. Without it,
 * the page has no `og:image` and no `og:url`, so that links have a title and a text.
 * @type {import('vite').Plugin}
 */
const openGraph = {
  name: 'open-graph',
  transformIndexHtml: {
    order: 'post',
    handler(html) {
      const site = process.env.SITE_URL ?? '';
      if (!site) return html.replace(/\n *<meta property="og:(image[:\w]*|url)"[^>]*>/g, '').replace('content="summary_large_image"', 'content="summary"');
      if (!/^https?:\/\//.test(site) || !URL.canParse(site)) throw new Error(`SITE_URL is ${site}, not an address such as https://birdsong.example`);
      const base = new URL(site.endsWith('/') ? site : `${site}/`);
      return html.replace(/(<meta property="og:(?:image|url)" content=")([^"]+)/g, (_, tag, address) => `${tag}${new URL(address, base)}`);
    },
  },
};

export default defineConfig({
  plugins: [texts, textFiles, viewFiles, openGraph],
  base: './',
  server: { proxy: { '/api': 'http://localhost:8080' } },
  build: {
    // No inlined assets and no injected polyfill: the page runs under a strict content policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  // A machine that also builds other things may be slow.
  test: { include: ['tests/**/*.test.js'], setupFiles: ['tests/setup.js'], testTimeout: 120_000 },
});
