// @ts-check
// One chart alone, for the page of somebody else: `?embed=posts`. Pure functions.

/**
 * The chart that the address asks for; null for the whole page.
 * @param {string} search
 * @param {readonly string[]} charts ids of all charts
 */
export function embedOf(search, charts) {
  const id = new URLSearchParams(search).get('embed');
  return id !== null && charts.includes(id) ? id : null;
}

/** The same view as a whole page. @param {string} href */
export function wholePage(href) {
  const url = new URL(href);
  url.searchParams.delete('embed');
  return url.href;
}

/**
 * What to put into another page.
 * @param {string} href the view
 * @param {string} chart
 * @param {string} title
 * @param {number} height pixels
 */
export function embedCode(href, chart, title, height) {
  const url = new URL(href);
  url.searchParams.set('embed', chart);
  const escaped = (/** @type {string} */ text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
  const src = url.href.replaceAll('%2C', ',').replaceAll('%3A', ':');
  return `<iframe src="${escaped(src)}" title="${escaped(title)}" width="100%" height="${height}" style="border:0" loading="lazy"></iframe>`;
}
