// @ts-check
// The page of the sources and the ledger.

import { renderStatus } from '../view/status.js';

/** @param {import('./types').Context} ctx @returns {import('./types').View} */
export default ({ doc, feed }) => ({
  title: () => 'Sources · Birdsong',
  wanted: () => ({}),
  show() {
    if (feed.overview) renderStatus(doc, feed.overview, feed.nowMs());
  },
});
