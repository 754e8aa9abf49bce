// @ts-check
// Where regions are, and how a map of them is shaded at each hour of the last day. Pure functions.

import { readAnswer } from './answer.js';

/**
 * @typedef {readonly number[]} Box west, south, east, north in degrees; west is larger than east across the antimeridian
 * @typedef {{ west: number, south: number, east: number, north: number }} Bounds `east` may be beyond 180, never less than `west`
 * @typedef {{ id: string, name: string, posts: number | null, usual: number | null, low: number | null, high: number | null }} Place counts of a region in one hour
 * @typedef {'unknown' | 'within' | 'up-1' | 'up-2' | 'down-1' | 'down-2' | 'posts-0' | 'posts-1' | 'posts-2' | 'posts-3' | 'posts-4'} Shade
 * @typedef {'surprise' | 'posts'} Shading
 */

const CLEAR_FACTOR = 2;
const DEGREES = 360;
/** Points along the edge of a box are this far apart, so that its edges follow the parallels. */
const EDGE_DEGREES = 2;
/** A map is not zoomed in further than this. */
const LEAST_DEGREES = 6;
const HOUR_MS = 3_600_000;
const HOURS = 24;
/** The names of so many regions may cover the pins of others. */
const MOST_OVER = 5;
/** Beyond so many pins, only so many have names, and pins are small. */
export const MANY_PINS = 40;
const MOST_NAMES = 16;

/** @param {readonly Box[]} boxes */
const valid = (boxes) => boxes.filter((box) => box.length === 4 && box.every(Number.isFinite));

/**
 * The smallest bounds around boxes, also across the antimeridian. Null without boxes.
 * @param {readonly Box[]} boxes
 * @returns {Bounds | null}
 */
export function boundsOf(boxes) {
  const known = valid(boxes);
  if (known.length === 0) return null;
  const spans = known.map(([west = 0, , east = 0]) => ({ west, east: east < west ? east + DEGREES : east }));
  // The widest gap between the boxes is what the bounds leave out.
  const starts = spans.map(({ west }) => west).sort((a, b) => a - b);
  const ends = (/** @type {number} */ start) => Math.max(...spans.map(({ west, east }) => { const shift = west < start ? DEGREES : 0; return east + shift; }));
  const best = starts.map((west) => ({ west, east: ends(west) })).reduce((a, b) => (b.east - b.west < a.east - a.west ? b : a));
  return { west: best.west, east: Math.min(best.east, best.west + DEGREES), south: Math.min(...known.map((box) => box[1] ?? 0)), north: Math.max(...known.map((box) => box[3] ?? 0)) };
}

/**
 * Bounds with a margin, and at least some degrees wide.
 * @param {Bounds} bounds
 * @returns {Bounds}
 */
export function withMargin({ west, south, east, north }) {
  const [x, y] = [Math.max((east - west) * 0.12, (LEAST_DEGREES - (east - west)) / 2), Math.max((north - south) * 0.14, (LEAST_DEGREES - (north - south)) / 2)];
  return { west: west - x, east: east + x, south: Math.max(-84, south - y), north: Math.min(84, north + y) };
}

/**
 * Points around bounds, which a projection is fitted to.
 * @param {Bounds} bounds
 */
export function frameOf({ west, south, east, north }) {
  const at = (/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ i) => a + ((b - a) * i) / 12;
  const steps = Array.from({ length: 13 }, (_, i) => i);
  return { type: /** @type {const} */ ('MultiPoint'), coordinates: steps.flatMap((i) => [[at(west, east, i), south], [at(west, east, i), north], [west, at(south, north, i)], [east, at(south, north, i)]]) };
}

/**
 * A box as a polygon, clockwise, with points along its parallels.
 * @param {Box} box
 */
export function polygonOf([west = 0, south = 0, right = 0, north = 0]) {
  const east = right < west ? right + DEGREES : right;
  const count = Math.max(1, Math.ceil((east - west) / EDGE_DEGREES));
  const along = Array.from({ length: count + 1 }, (_, i) => west + ((east - west) * i) / count);
  const ring = [...along.map((x) => [x, north]), ...along.toReversed().map((x) => [x, south]), [west, north]];
  return { type: /** @type {const} */ ('Polygon'), coordinates: [ring] };
}

/** The middle of a region: of its largest box. @param {readonly Box[]} boxes @returns {[number, number] | null} */
export function middleOf(boxes) {
  const size = (/** @type {Box} */ [west = 0, south = 0, east = 0, north = 0]) => ((east < west ? east + DEGREES : east) - west) * (north - south);
  const [largest] = valid(boxes).toSorted((a, b) => size(b) - size(a));
  if (!largest) return null;
  const [west = 0, south = 0, right = 0, north = 0] = largest;
  const east = right < west ? right + DEGREES : right;
  return [(west + east) / 2, (south + north) / 2];
}

/**
 * The last 24 whole hours that are final or known, and the counts of each region in them.
 * @param {readonly import('./contract').Loose<import('./contract').WindowsAnswer>[]} answers by the hour
 * @param {{ names: ReadonlyMap<string, string>, nowMs: number }} about
 * @returns {{ start: number, end: number, places: Place[] }[]} by time
 */
export function hoursOf(answers, { names, nowMs }) {
  /** @type {Map<number, Place[]>} */
  const byHour = new Map();
  for (const answer of answers) {
    const id = answer.region ?? '';
    for (const w of readAnswer(answer, nowMs).windows) {
      if (w.end > nowMs) continue;
      const { usual, usual_low: low, usual_high: high } = w.report;
      const place = { id, name: names.get(id) ?? id, posts: w.gap === 'silent' ? null : w.posts, usual: usual ?? null, low: low ?? null, high: high ?? null };
      byHour.set(w.start, [...(byHour.get(w.start) ?? []), place]);
    }
  }
  return [...byHour].sort((a, b) => a[0] - b[0]).slice(-HOURS).map(([start, places]) => ({ start, end: start + HOUR_MS, places }));
}

/** How often the usual number; null without one. @param {Place} place */
export const factorOf = ({ posts, usual }) => (posts === null || usual === null || usual <= 0 ? null : posts / usual);

/**
 * How a region is shaded: how far it is outside of its usual range, or by its posts as a share of those of the busiest region of the day.
 * @param {Place} place
 * @param {Shading} shading
 * @param {number} most posts of the busiest region in an hour of the day
 * @returns {Shade}
 */
export function shadeOf(place, shading, most) {
  const { posts, low, high } = place;
  if (posts === null) return 'unknown';
  if (shading === 'posts') return /** @type {Shade} */ (`posts-${Math.min(4, Math.floor(5 * Math.sqrt(posts / Math.max(1, most))))}`);
  const factor = factorOf(place);
  if (factor === null || low === null || high === null) return 'unknown';
  if (posts > high) return factor >= CLEAR_FACTOR ? 'up-2' : 'up-1';
  if (posts < low) return factor <= 1 / CLEAR_FACTOR ? 'down-2' : 'down-1';
  return 'within';
}

/**
 * Where names are written beside their pins: the first free side of right, left, below and above; nowhere when none is free. Among many pins,
 * the names of the first ones may cover pins that are less important.
 * @param {readonly { x: number, y: number, r: number, width: number, height: number }[]} labels the most important first
 * @param {{ width: number, height: number }} room
 * @returns {({ x: number, y: number, isOver: boolean } | null)[]} the left and the middle of each, and whether it may cover pins
 */
export function placeLabels(labels, room) {
  /** @type {{ left: number, right: number, top: number, bottom: number }[]} */
  const pins = labels.map(({ x, y, r }) => ({ left: x - r, right: x + r, top: y - r, bottom: y + r }));
  /** @type {typeof pins} */
  const written = [];
  return labels.map(({ x, y, r, width, height }, own) => {
    if (own >= MOST_NAMES && labels.length > MANY_PINS) return null;
    const sides = [[x + r + 4, y], [x - r - 4 - width, y], [x - width / 2, y + r + height / 2 + 2], [x - width / 2, y - r - height / 2 - 2]];
    for (const isOver of own < MOST_OVER ? [false, true] : [false]) {
      const taken = [...pins.slice(0, isOver ? MOST_OVER : undefined).filter((_, i) => i !== own), ...written];
      for (const [left = 0, middle = 0] of sides) {
        const box = { left, right: left + width, top: middle - height / 2, bottom: middle + height / 2 };
        const isInside = box.left >= 0 && box.right <= room.width && box.top >= 0 && box.bottom <= room.height;
        if (!isInside || !taken.every((other) => box.right <= other.left || box.left >= other.right || box.bottom <= other.top || box.top >= other.bottom)) continue;
        written.push(box);
        return { x: left, y: middle, isOver };
      }
    }
    return null;
  });
}
