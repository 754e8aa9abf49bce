// @ts-check
// Draws the map: land, the boxes of the regions, and a pin with a name for each.

import { Chart } from 'chart.js';
import { ChoroplethController, ColorScale, GeoFeature, ProjectionScale, geoEqualEarth, geoMercator, topojson } from 'chartjs-chart-geo';
import countriesUrl from 'world-atlas/countries-110m.json?url';
import { MANY_PINS, boundsOf, frameOf, middleOf, placeLabels, polygonOf, withMargin } from '../model/map.js';

Chart.register(ChoroplethController, ColorScale, GeoFeature, ProjectionScale);

/** Wider maps have a projection that keeps areas; narrower ones one that keeps shapes. */
const WIDE_DEGREES = 60;
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
 */

/** The land, asked for once. @type {Promise<any[]> | null} */
let countries = null;

/** @param {(url: string) => Promise<Pick<Response, 'ok' | 'json'>>} fetchImpl */
export function loadCountries(fetchImpl) {
  countries ??= fetchImpl(countriesUrl).then(async (response) => {
    if (!response.ok) throw new Error('the land of the map cannot be loaded');
    const world = await response.json();
    return /** @type {any} */ (topojson.feature(world, world.objects.countries)).features;
  });
  countries.catch(() => { countries = null; });
  return countries;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{ land: any[], spots: Spot[], look: Look, onChoose: (id: string) => void }} parts
 */
export function createMap(canvas, { land, spots: first, look: firstLook, onChoose }) {
  let [spots, look] = [first, firstLook];
  let chosen = '';
  const bounds = withMargin(boundsOf(first.flatMap(({ boxes }) => boxes)) ?? { west: -180, south: -60, east: 180, north: 75 });
  const span = bounds.east - bounds.west;
  const projection = (span > WIDE_DEGREES ? geoEqualEarth() : geoMercator()).rotate([-(bounds.west + bounds.east) / 2, 0]);
  const boxes = () => spots.flatMap((spot) => spot.boxes.map((box) => ({ spot, feature: { type: 'Feature', geometry: polygonOf(box), properties: {} } })));
  /** Pins as they were drawn last. @type {{ id: string, x: number, y: number, r: number }[]} */
  let pins = [];

  const labels = {
    id: 'mapLabels',
    afterDatasetsDraw(/** @type {Chart} */ chart) {
      const { ctx } = chart;
      const scale = /** @type {any} */ (chart.scales.projection);
      ctx.save();
      ctx.font = `600 12px ${look.font}`;
      const radius = spots.length > MANY_PINS ? SMALL_PIN_PX : PIN_PX;
      // The region that has the focus in the list comes first, so that it has a name.
      const ordered = [...spots].sort((a, b) => Number(b.id === chosen) - Number(a.id === chosen));
      pins = ordered.flatMap(({ id, boxes: areas }) => {
        const middle = middleOf(areas);
        const at = middle && scale.projection(middle);
        if (!at) return [];
        const size = Math.max(...areas.map((box) => {
          const [[left, top], [right, bottom]] = scale.geoPath.bounds(polygonOf(box));
          return Math.min(right - left, bottom - top);
        }));
        return [{ id, x: at[0], y: at[1], r: size > BOX_PX ? 2 : radius }];
      });
      const widths = pins.map(({ id }) => {
        const spot = spots.find((one) => one.id === id);
        return Math.max(ctx.measureText(spot?.name ?? '').width, ctx.measureText(`${spot?.mark ?? ''}${spot?.value ?? ''}`).width) + 4;
      });
      const places = placeLabels(pins.map((pin, i) => ({ ...pin, width: widths[i] ?? 0, height: 2 * LINE_PX })), chart);
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
      ctx.restore();
    },
  };

  const datasets = () => [
    { outline: frameOf(bounds), data: land.map((feature) => ({ feature, value: 0 })), backgroundColor: look.land, borderColor: look.line, borderWidth: 0.75, hoverBackgroundColor: look.land },
    {
      outline: frameOf(bounds), data: boxes().map(({ feature }) => ({ feature, value: 0 })),
      backgroundColor: (/** @type {{ dataIndex: number }} */ { dataIndex }) => look.fill(boxes()[dataIndex]?.spot.shade ?? 'unknown'),
      borderColor: look.text, borderWidth: 1,
    },
  ];
  const chart = new Chart(canvas, /** @type {any} */ ({
    type: 'choropleth',
    data: { labels: [], datasets: datasets() },
    options: {
      responsive: true, maintainAspectRatio: false, animation: false, events: [],
      plugins: { legend: { display: false }, tooltip: { enabled: false } },
      scales: { projection: { axis: 'x', projection, padding: 6 }, color: { axis: 'x', display: false } },
    },
    plugins: [labels],
  }));

  /** @param {MouseEvent} event */
  function idAt(event) {
    const { left, top } = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const near = pins.map((pin) => ({ ...pin, distance: Math.hypot(pin.x - x, pin.y - y) })).sort((a, b) => a.distance - b.distance)[0];
    if (near && near.distance <= HIT_PX) return near.id;
    const place = /** @type {any} */ (chart.scales.projection).projection.invert?.([x, y]);
    if (!place) return null;
    const isIn = (/** @type {readonly number[]} */ [west = 0, south = 0, east = 0, north = 0]) => place[1] >= south && place[1] <= north && (east < west ? place[0] >= west || place[0] <= east : place[0] >= west && place[0] <= east);
    return spots.find(({ boxes: areas }) => areas.some((box) => isIn(box)))?.id ?? null;
  }
  canvas.addEventListener('click', (event) => {
    const id = idAt(event);
    if (id) onChoose(id);
  });
  canvas.addEventListener('pointermove', (event) => { canvas.style.cursor = idAt(event) ? 'pointer' : ''; });

  return {
    /** @param {Spot[]} next @param {Look} nextLook */
    update(next, nextLook) {
      [spots, look] = [next, nextLook];
      chart.data.datasets = /** @type {any} */ (datasets());
      chart.update('none');
    },
    /** Marks the region that has the focus in the list. @param {string} id */
    mark(id) {
      if (chosen === id) return;
      chosen = id;
      chart.draw();
    },
  };
}
