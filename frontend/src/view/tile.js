// @ts-check
// The tiles of the summary, which index.html holds.

import { find, rebuild, setText } from './dom.js';
import { sparkline } from './svg.js';

/**
 * @param {Document} doc
 * @param {import('../model/tiles.js').Tile} tile
 */
export function renderTile(doc, tile) {
  const node = find(doc, `#tile-${tile.id}`);
  node.dataset.tone = tile.tone;
  setText(find(node, '.tile-value'), tile.value);
  setText(find(node, '.tile-note'), tile.note);
  const { spark } = tile;
  if (spark) rebuild(find(node, '.tile-spark'), [JSON.stringify(spark)], () => (spark.length > 1 ? [sparkline(doc, spark)] : []));
}
