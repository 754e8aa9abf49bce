// @ts-check
// Differences between colours as people see them, also with a deficiency of colour vision.

/**
 * A colour as linear light, red, green and blue from 0 to 1.
 * @typedef {[number, number, number]} Light
 */

/** Severity 1.0 of Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), table 1. */
export const VISIONS = {
  typical: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900],
};
/** White of D65. */
const WHITE = [0.95047, 1, 1.08883];

/**
 * @param {string} hex such as `#1f6fb2`
 * @returns {Light}
 */
export function lightOf(hex) {
  if (!/^#[0-9a-f]{6}$/i.test(hex)) throw new Error(`${hex} is not a colour`);
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return [r, g, b];
}

/**
 * What a colour looks like to an eye of this kind.
 * @param {Light} light
 * @param {keyof typeof VISIONS} vision
 * @returns {Light}
 */
export function seen([r, g, b], vision) {
  const m = VISIONS[vision];
  const row = (/** @type {number} */ i) => Math.min(1, Math.max(0, (m[i] ?? 0) * r + (m[i + 1] ?? 0) * g + (m[i + 2] ?? 0) * b));
  return [row(0), row(3), row(6)];
}

/**
 * CIELAB of a colour: lightness from 0 to 100, and two axes of colour.
 * @param {Light} light
 * @returns {[number, number, number]}
 */
export function lab([r, g, b]) {
  const xyz = [0.4124564 * r + 0.3575761 * g + 0.1804375 * b, 0.2126729 * r + 0.7151522 * g + 0.072175 * b, 0.0193339 * r + 0.119192 * g + 0.9503041 * b];
  const [x = 0, y = 0, z = 0] = xyz.map((value, i) => value / (WHITE[i] ?? 1)).map((t) => (t > 216 / 24389 ? Math.cbrt(t) : (24389 / 27 * t + 16) / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/**
 * CIEDE2000 of two colours in CIELAB (Sharma, Wu and Dalal, 2005).
 * @param {[number, number, number]} one
 * @param {[number, number, number]} other
 */
export function deltaE([l1, a1, b1], [l2, a2, b2]) {
  const { PI, atan2, cos, exp, hypot, sin, sqrt, abs } = Math;
  const rad = (/** @type {number} */ deg) => (deg * PI) / 180;
  const mean = (hypot(a1, b1) + hypot(a2, b2)) / 2;
  const g = 0.5 * (1 - sqrt(mean ** 7 / (mean ** 7 + 25 ** 7)));
  const [ap1, ap2] = [(1 + g) * a1, (1 + g) * a2];
  const [c1, c2] = [hypot(ap1, b1), hypot(ap2, b2)];
  const hue = (/** @type {number} */ a, /** @type {number} */ b) => (a === 0 && b === 0 ? 0 : ((atan2(b, a) * 180) / PI + 360) % 360);
  const [h1, h2] = [hue(ap1, b1), hue(ap2, b2)];
  const turn = c1 * c2 === 0 ? 0 : h2 - h1 > 180 ? h2 - h1 - 360 : h2 - h1 < -180 ? h2 - h1 + 360 : h2 - h1;
  const [dl, dc, dh] = [l2 - l1, c2 - c1, 2 * sqrt(c1 * c2) * sin(rad(turn / 2))];
  const [l, c] = [(l1 + l2) / 2, (c1 + c2) / 2];
  const h = c1 * c2 === 0 ? h1 + h2 : abs(h1 - h2) <= 180 ? (h1 + h2) / 2 : (h1 + h2 + (h1 + h2 < 360 ? 360 : -360)) / 2;
  const t = 1 - 0.17 * cos(rad(h - 30)) + 0.24 * cos(rad(2 * h)) + 0.32 * cos(rad(3 * h + 6)) - 0.2 * cos(rad(4 * h - 63));
  const [sl, sc, sh] = [1 + (0.015 * (l - 50) ** 2) / sqrt(20 + (l - 50) ** 2), 1 + 0.045 * c, 1 + 0.015 * c * t];
  const rt = -sin(rad(60 * exp(-(((h - 275) / 25) ** 2)))) * 2 * sqrt(c ** 7 / (c ** 7 + 25 ** 7));
  return sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh));
}
