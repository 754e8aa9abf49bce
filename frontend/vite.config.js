/// <reference types="vitest/config" />
// How the dashboard is bundled (relative base: it may be served below any path) and tested.
import { defineConfig } from 'vite';

// Local times in tests are the same everywhere.
if (process.env.VITEST) process.env.TZ = 'UTC';

export default defineConfig({
  base: './',
  server: { proxy: { '/api': 'http://localhost:8080' } },
  build: {
    // No inlined assets and no injected polyfill: the page runs under a strict content policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  // A machine that also builds other things may be slow.
  test: { include: ['tests/**/*.test.js'], setupFiles: ['tests/setup.js'], testTimeout: 30_000 },
});
