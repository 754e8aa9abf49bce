// @ts-check
// Small drawings as SVG: lines with the usual range behind them, the dial of now against usual, and the strip of completeness.

import { formatClock } from '../format.js';

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {Document} doc
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {Element[]} children
 */
function svgEl(doc, tag, attributes, ...children) {
  const node = doc.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** @param {Document} doc @param {string} name @param {number} width @param {number} height @param {Element[]} children */
const drawing = (doc, name, width, height, ...children) => svgEl(
  doc, 'svg', { class: name, viewBox: `-2 -2 ${width + 4} ${height + 4}`, preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' }, ...children,
);

const WIDTH = 220;
const HEIGHT = 36;

/**
 * @typedef {{ posts: number | null, low?: number | null, high?: number | null, gap?: import('../model/answer.js').Gap | null }} SparkStep
 */

/**
 * A line through counts, with the usual range behind it; what is outside of the range has a colour, and gaps have a pattern.
 * @param {Document} doc
 * @param {SparkStep[]} steps
 */
export function sparkline(doc, steps) {
  const most = Math.max(1, ...steps.flatMap(({ posts, high }) => [posts ?? 0, high ?? 0]));
  const step = steps.length > 1 ? WIDTH / (steps.length - 1) : 0;
  const at = (/** @type {number} */ i, /** @type {number} */ n) => `${(i * step).toFixed(1)},${(HEIGHT - (n / most) * HEIGHT).toFixed(1)}`;
  /** @type {Element[]} */
  const parts = [];
  /** Runs of neighbours for which something is known. @param {(one: SparkStep) => boolean} has */
  const runs = (has) => {
    /** @type {number[][]} */
    const found = [];
    steps.forEach((one, i) => {
      if (!has(one)) return;
      const last = found.at(-1);
      if (last && last.at(-1) === i - 1) last.push(i);
      else found.push([i]);
    });
    return found;
  };
  const isBand = (/** @type {SparkStep} */ { low, high }) => typeof low === 'number' && typeof high === 'number';
  const hasPosts = (/** @type {SparkStep} */ { posts }) => posts !== null;
  for (const run of runs(isBand)) {
    const points = [...run.map((i) => at(i, steps[i]?.high ?? 0)), ...run.toReversed().map((i) => at(i, steps[i]?.low ?? 0))];
    parts.push(svgEl(doc, 'polygon', { class: 'spark-band', points: points.join(' ') }));
  }
  for (const kind of /** @type {const} */ (['silent', 'partial', 'sampled'])) {
    for (const run of runs(({ gap }) => gap === kind)) {
      const [first = 0, last = 0] = [run[0], run.at(-1)];
      const x = Math.max(0, (first - 0.5) * step);
      parts.push(svgEl(doc, 'rect', { class: `spark-gap ${kind}`, fill: `url(#pattern-${kind})`, x: x.toFixed(1), y: 0, width: ((last - first + 1) * step).toFixed(1), height: HEIGHT }));
    }
  }
  for (const run of runs((one) => hasPosts(one) && isBand(one))) {
    for (const [side, edge] of /** @type {const} */ ([['up', 'high'], ['down', 'low']])) {
      const outer = (/** @type {number} */ i) => {
        const [n, limit] = [steps[i]?.posts ?? 0, steps[i]?.[edge] ?? 0];
        return side === 'up' ? Math.max(n, limit) : Math.min(n, limit);
      };
      if (!run.some((i) => outer(i) !== steps[i]?.[edge])) continue;
      const points = [...run.map((i) => at(i, outer(i))), ...run.toReversed().map((i) => at(i, steps[i]?.[edge] ?? 0))];
      parts.push(svgEl(doc, 'polygon', { class: `spark-${side}`, points: points.join(' ') }));
    }
  }
  for (const run of runs(hasPosts)) parts.push(svgEl(doc, 'polyline', { points: run.map((i) => at(i, steps[i]?.posts ?? 0)).join(' ') }));
  return drawing(doc, 'spark', WIDTH, HEIGHT, ...parts);
}

const DIAL = { width: 132, height: 20, least: 1 / 4, most: 8 };
/** @param {number} factor */
const dialX = (factor) => {
  const { least, most, width } = DIAL;
  return (Math.log(Math.min(most, Math.max(least, factor)) / least) / Math.log(most / least)) * width;
};

/**
 * Now against usual, from a quarter to eight times, on a log scale: the bar is the usual range, the mark is now.
 * @param {Document} doc
 * @param {import('../model/unusual.js').RegionNow} region
 */
export function dial(doc, { usual, low, high, factor, direction }) {
  const middle = DIAL.height / 2;
  const parts = [svgEl(doc, 'line', { class: 'dial-axis', x1: 0, x2: DIAL.width, y1: middle, y2: middle })];
  for (const tick of [1 / 4, 1 / 2, 1, 2, 4, 8]) {
    const tall = tick === 1 ? 7 : 3;
    parts.push(svgEl(doc, 'line', { class: 'dial-axis', x1: dialX(tick), x2: dialX(tick), y1: middle - tall, y2: middle + tall }));
  }
  if (usual && low !== null && high !== null) {
    const [from, to] = [dialX(low / usual), dialX(high / usual)];
    parts.push(svgEl(doc, 'rect', { class: 'dial-band', x: from, y: middle - 4, width: Math.max(1, to - from), height: 8 }));
  }
  if (factor !== null) {
    const edge = usual && direction === 'up' ? (high ?? usual) / usual : usual && direction === 'down' ? (low ?? usual) / usual : factor;
    if (direction) parts.push(svgEl(doc, 'line', { class: `dial-reach ${direction}`, x1: dialX(edge), x2: dialX(factor), y1: middle, y2: middle }));
    parts.push(svgEl(doc, 'circle', { class: `dial-now ${direction ?? ''}`, cx: dialX(factor), cy: middle, r: 4.5 }));
  }
  return drawing(doc, 'dial', DIAL.width, DIAL.height, ...parts);
}

/**
 * Times of day below a sparkline, from its start to its end, at equal distances.
 * @param {import('../model/answer.js').Answer} answer
 * @param {number} n at least 2
 */
export function sparkTimes({ windows }, n) {
  const shown = shownWindows(windows);
  const [start, end] = [shown[0]?.start, shown.at(-1)?.end];
  return start === undefined || end === undefined ? [] : Array.from({ length: n }, (_, i) => formatClock(start + ((end - start) * i) / (n - 1)));
}

/** The windows that a sparkline shows. @param {readonly import('../model/answer.js').Window[]} windows */
const shownWindows = (windows) => windows.filter((w) => !w.future && !w.isOpen);

/**
 * The steps of a sparkline from an answer of counts over time.
 * @param {import('../model/answer.js').Answer} answer
 * @returns {SparkStep[]}
 */
export const sparkSteps = ({ windows }) => shownWindows(windows).map((w) => ({
  posts: w.gap === 'silent' ? null : w.posts, low: w.report.usual_low ?? null, high: w.report.usual_high ?? null, gap: w.gap,
}));
