// @ts-check
// Diagonal stripes, for windows that are not finished.

const SIZE_PX = 8;
const SCALE = 2;

/**
 * Stripes of a colour, as a fill; the plain colour where there is no canvas to draw them on.
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 */
export function hatch(context, colour) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = SIZE_PX * SCALE;
  const ctx = tile.getContext('2d');
  if (!ctx) return colour;
  ctx.scale(SCALE, SCALE);
  ctx.globalAlpha = 0.28;
  ctx.fillStyle = colour;
  ctx.fillRect(0, 0, SIZE_PX, SIZE_PX);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2.4;
  ctx.beginPath();
  for (const shift of [-SIZE_PX, 0, SIZE_PX]) {
    ctx.moveTo(shift - 1, SIZE_PX + 1);
    ctx.lineTo(shift + SIZE_PX + 1, -1);
  }
  ctx.stroke();
  const pattern = context.createPattern(tile, 'repeat');
  pattern?.setTransform?.(new DOMMatrix().scale(1 / SCALE));
  return pattern ?? colour;
}
