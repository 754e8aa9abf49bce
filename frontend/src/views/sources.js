// @ts-check
// The page of the sources and the ledger.

import { t } from '../i18n.js';
import { renderStatus } from '../view/status.js';

/** @param {import('./types').Context} ctx @returns {import('./types').View} */
export default ({ doc, feed }) => ({
  title: () => t('tab.sources'),
  wanted: () => ({}),
  show() {
    if (feed.overview) renderStatus(doc, feed.overview, feed.nowMs());
  },
});
