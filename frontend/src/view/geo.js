// @ts-check
// Draws the map: land, the boxes of the regions, and a pin with a name for each.

import { geoEqualEarth, geoMercator, geoPath } from 'd3-geo';
import { feature } from 'topojson-client';
import countriesUrl from 'world-atlas/countries-110m.json?url';
import { breathe, inSlices, painted } from '../breathe.js';
import { MANY_PINS, boundsOf, frameOf, middleOf, placeLabels, polygonOf, withMargin } from '../model/map.js';

/** Wider maps have a projection that keeps areas; narrower ones one that keeps shapes. */
const WIDE_DEGREES = 60;
const PADDING_PX = 6;
const BORDER_PX = 0.75;
const PIN_PX = 9;
const SMALL_PIN_PX = 6;
/** Boxes that are larger than this on the screen have no pin. */
const BOX_PX = 26;
const HIT_PX = 24;
const LINE_PX = 15;

/**
 * @typedef {import('../model/map.js').Shade} Shade
 * @typedef {{ id: string, name: string, value: string, mark: string, shade: Shade, boxes: readonly (readonly number[])[] }} Spot the most important first
 * @typedef {{ fill: (shade: Shade) => string, land: string, sea: string, line: string, text: string, font: string }} Look
 * @typedef {{ objects: { countries: { geometries: object[] } } }} World TopoJSON
 */

/** The land, asked for once. @type {Promise<World> | null} */
let world = null;

/** @param {(url: string) => Promise<Pick<Response, 'ok' | 'json'>>} fetchImpl */
export function loadWorld(fetchImpl) {
  world ??= fetchImpl(countriesUrl).then((response) => {
    if (!response.ok) throw new Error('the land of the map cannot be loaded');
    return response.json();
  });
  world.catch(() => { world = null; });
  return world;
}

/**
 * @param {HTMLCanvasElement} canvas as large as its parent
 * @param {{ world: World, spots: Spot[], look: Look, onChoose: (id: string) => void }} parts
 */
export function createMap(canvas, { world: countries, spots: first, look: firstLook, onChoose }) {
  let [spots, look] = [first, firstLook];
  let chosen = '';
  const bounds = withMargin(boundsOf(first.flatMap(({ boxes }) => boxes)) ?? { west: -180, south: -60, east: 180, north: 75 });
  // The points of the land and of the boxes are close enough for straight lines between them.
  const projection = (bounds.east - bounds.west > WIDE_DEGREES ? geoEqualEarth() : geoMercator()).rotate([-(bounds.west + bounds.east) / 2, 0]).precision(0);
  /** The size of the canvas in pixels of the page. */
  const size = { width: 0, height: 0 };
  /** The land alone, which is drawn again when its size or its colours change. */
  const land = canvas.ownerDocument.createElement('canvas');
  /** What the land was drawn for. */
  let landOf = '';
  /** Pins as they were drawn last. @type {{ id: string, x: number, y: number, r: number }[]} */
  let pins = [];

  /** A context in pixels of the page. @param {HTMLCanvasElement} target */
  function contextOf(target) {
    const ctx = target.getContext('2d');
    ctx?.setTransform(target.width / size.width, 0, 0, target.height / size.height, 0, 0);
    return ctx;
  }

  /** Draws the land with pauses, country by country. */
  async function drawLand() {
    const wanted = [canvas.width, canvas.height, look.land, look.line].join(' ');
    if (landOf === wanted) return;
    landOf = wanted;
    // After the pins, in a task of its own.
    await breathe();
    if (landOf !== wanted) return;
    [land.width, land.height] = [canvas.width, canvas.height];
    const ctx = contextOf(land);
    if (!ctx) return;
    const path = geoPath(projection, ctx);
    Object.assign(ctx, { fillStyle: look.land, strokeStyle: look.line, lineWidth: BORDER_PX });
    await inSlices(countries.objects.countries.geometries, (geometry) => {
      ctx.beginPath();
      path(/** @type {any} */ (feature(/** @type {any} */ (countries), /** @type {any} */ (geometry))));
      ctx.fill();
      ctx.stroke();
    }, () => landOf === wanted);
    if (landOf === wanted) draw();
  }

  function draw() {
    const ctx = size.width > 0 ? contextOf(canvas) : null;
    if (!ctx) return;
    ctx.clearRect(0, 0, size.width, size.height);
    if (land.width > 0 && land.height > 0) ctx.drawImage(land, 0, 0, size.width, size.height);
    const path = geoPath(projection, ctx);
    ctx.strokeStyle = look.text;
    ctx.lineWidth = 1;
    for (const spot of spots) {
      ctx.fillStyle = look.fill(spot.shade);
      for (const box of spot.boxes) {
        ctx.beginPath();
        path(/** @type {any} */ (polygonOf(box)));
        ctx.fill();
        ctx.stroke();
      }
    }
    drawPins(ctx);
  }

  /** @param {CanvasRenderingContext2D} ctx */
  function drawPins(ctx) {
    const shape = geoPath(projection);
    ctx.font = `600 12px ${look.font}`;
    const radius = spots.length > MANY_PINS ? SMALL_PIN_PX : PIN_PX;
    // The region that has the focus in the list comes first, so that it has a name.
    const ordered = [...spots].sort((a, b) => Number(b.id === chosen) - Number(a.id === chosen));
    pins = ordered.flatMap(({ id, boxes: areas }) => {
      const middle = middleOf(areas);
      const at = middle && projection(middle);
      if (!at) return [];
      const largest = Math.max(...areas.map((box) => {
        const [[left, top], [right, bottom]] = shape.bounds(/** @type {any} */ (polygonOf(box)));
        return Math.min(right - left, bottom - top);
      }));
      return [{ id, x: at[0], y: at[1], r: largest > BOX_PX ? 2 : radius }];
    });
    const widths = pins.map(({ id }) => {
      const spot = spots.find((one) => one.id === id);
      return Math.max(ctx.measureText(spot?.name ?? '').width, ctx.measureText(`${spot?.mark ?? ''}${spot?.value ?? ''}`).width) + 4;
    });
    const places = placeLabels(pins.map((pin, i) => ({ ...pin, width: widths[i] ?? 0, height: 2 * LINE_PX })), size);
    const known = new Map(spots.map((spot) => [spot.id, spot]));
    // The most important pin is drawn last, above the others.
    pins.toReversed().forEach(({ id, x, y, r }) => {
      const spot = known.get(id);
      if (!spot || r !== radius) return;
      ctx.beginPath();
      ctx.arc(x, y, r, 0, 2 * Math.PI);
      ctx.fillStyle = look.fill(spot.shade);
      ctx.strokeStyle = look.text;
      ctx.lineWidth = id === chosen ? 3.5 : 1.5;
      ctx.setLineDash(spot.shade === 'unknown' ? [2, 2] : []);
      ctx.fill();
      ctx.stroke();
      ctx.setLineDash([]);
    });
    ctx.textBaseline = 'middle';
    ctx.lineJoin = 'round';
    pins.forEach(({ id, x, y }, i) => {
      const [spot, place, width = 0] = [known.get(id), places[i], widths[i]];
      if (!spot || !place) return;
      if (place.isOver) {
        ctx.fillStyle = look.land;
        ctx.strokeStyle = look.text;
        ctx.lineWidth = 1;
        ctx.beginPath();
        ctx.roundRect(place.x - 3, place.y - LINE_PX - 1, width + 4, 2 * LINE_PX + 2, 3);
        ctx.fill();
        ctx.stroke();
        // Its own pin stays above it.
        ctx.beginPath();
        ctx.arc(x, y, radius, 0, 2 * Math.PI);
        ctx.fillStyle = look.fill(spot.shade);
        ctx.fill();
        ctx.stroke();
      }
      ctx.lineWidth = 4;
      ctx.strokeStyle = look.land;
      ctx.fillStyle = look.text;
      [spot.name, `${spot.mark}${spot.value}`].forEach((text, row) => {
        const top = place.y + (row - 0.5) * LINE_PX;
        ctx.strokeText(text, place.x, top);
        ctx.fillText(text, place.x, top);
      });
    });
  }

  /** Fits the map to its holder. */
  function fit() {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (width === 0 || height === 0) return;
    Object.assign(size, { width, height });
    const ratio = canvas.ownerDocument.defaultView?.devicePixelRatio ?? 1;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    projection.fitExtent([[PADDING_PX, PADDING_PX], [width - PADDING_PX, height - PADDING_PX]], /** @type {any} */ (frameOf(bounds)));
    draw();
    drawLand();
  }

  /** @param {MouseEvent} event */
  function idAt(event) {
    const { left, top } = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const near = pins.map((pin) => ({ ...pin, distance: Math.hypot(pin.x - x, pin.y - y) })).sort((a, b) => a.distance - b.distance)[0];
    if (near && near.distance <= HIT_PX) return near.id;
    const place = projection.invert?.([x, y]);
    if (!place) return null;
    const isIn = (/** @type {readonly number[]} */ [west = 0, south = 0, east = 0, north = 0]) => place[1] >= south && place[1] <= north && (east < west ? place[0] >= west || place[0] <= east : place[0] >= west && place[0] <= east);
    return spots.find(({ boxes: areas }) => areas.some((box) => isIn(box)))?.id ?? null;
  }
  canvas.addEventListener('click', (event) => {
    const id = idAt(event);
    if (id) onChoose(id);
  });
  canvas.addEventListener('pointermove', (event) => { canvas.style.cursor = idAt(event) ? 'pointer' : ''; });

  // The list and the numbers come first.
  painted().then(() => new ResizeObserver(fit).observe(canvas));

  return {
    /** @param {Spot[]} next @param {Look} nextLook */
    update(next, nextLook) {
      [spots, look] = [next, nextLook];
      draw();
      drawLand();
    },
    /** Marks the region that has the focus in the list. @param {string} id */
    mark(id) {
      if (chosen === id) return;
      chosen = id;
      draw();
    },
  };
}
