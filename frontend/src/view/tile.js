// @ts-check
// The tiles of the summary, which index.html holds.

import { find, setText } from './dom.js';

/**
 * @param {Document} doc
 * @param {import('../model/tiles.js').Tile} tile
 */
export function renderTile(doc, tile) {
  const node = find(doc, `#tile-${tile.id}`);
  node.dataset.tone = tile.tone;
  setText(find(node, '.tile-value'), tile.value);
  setText(find(node, '.tile-note'), tile.note);
}
