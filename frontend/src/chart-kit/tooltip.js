// @ts-check
// The look of all tooltips.

/** @param {import('../theme.js').Palette} palette */
export function tooltipStyle(palette) {
  return {
    backgroundColor: palette.surface,
    titleColor: palette.text,
    bodyColor: palette.text,
    footerColor: palette.muted,
    borderColor: palette.border,
    borderWidth: 1,
    padding: 10,
    cornerRadius: 8,
    boxWidth: 9,
    boxHeight: 9,
    boxPadding: 5,
    titleMarginBottom: 6,
    footerMarginTop: 6,
    footerFont: { weight: /** @type {const} */ ('normal') },
  };
}
