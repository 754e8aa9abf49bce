// @ts-check
// The charts of the page, in their order. Cards of one size stand together, so that the rows of the grid are full.

import authors from './authors.js';
import hashtags from './hashtags.js';
import languages from './languages.js';
import linkHosts from './link-hosts.js';
import matchedBy from './matched-by.js';
import media from './media.js';
import posts from './posts.js';

/** @type {import('../chart-kit/types').Chart<any>[]} */
export const CHARTS = [posts, hashtags, authors, languages, linkHosts, matchedBy, media];
