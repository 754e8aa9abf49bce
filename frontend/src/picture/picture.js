// @ts-check
// A chart as a picture that explains itself: title, range, legend, the chart, its marks, and the source. Loaded when it is used.
// PNG and SVG are drawn by the same code, on a canvas or on a context that writes SVG.

import { BasicPlatform } from 'chart.js';
import { Chart } from '../chart-kit/chart-js.js';
import { setState } from '../chart-kit/state.js';
import { PathRecorder, createSvgContext } from './svg-context.js';

/**
 * @typedef {import('../theme.js').Palette} Palette
 * @typedef {import('../chart-kit/types').Chart<any>} Descriptor
 * @typedef {{
 *   chart: Descriptor, view: unknown, palette: Palette, title: string, subtitle: string, legend: { label: string, colour: string }[],
 *   marks: string[], notes: { letter: string, time: string, text: string }[], source: string, shareOf?: (bar: import('../chart-kit/types').Bar, all: number) => string,
 *   countOf?: (bar: import('../chart-kit/types').Bar) => string, changeOf?: (bar: import('../chart-kit/types').Bar) => string,
 * }} Picture `marks` are sentences below the chart about what is incomplete; `source` is its last line; colours are names of the palette
 */

const WIDTH = 1200;
const MARGIN = 40;
const PLOT = 440;
const ROW = 30;
const MOST_ROWS = 25;
const LINE = 24;
/** Pixels of a PNG a unit. */
const PNG_SCALE = 2;

/**
 * Lines of at most a width, cut between words.
 * @param {{ font: string, measureText: (text: string) => { width: number } }} ctx
 * @param {string} text
 * @param {number} width
 */
export function wrap(ctx, text, width) {
  /** @type {string[]} */
  const lines = [];
  let line = '';
  for (const word of text.split(/ +/).filter(Boolean)) {
    const longer = line ? `${line} ${word}` : word;
    if (line && ctx.measureText(longer).width > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return line ? [...lines, line] : lines;
}

/**
 * The chart alone, drawn once.
 * @param {Picture} picture
 * @param {any} canvas
 * @param {number} scale
 */
function drawPlot({ chart, view, palette }, canvas, scale) {
  const config = chart.config?.(view, palette);
  if (!config) return;
  const { font } = Chart.defaults;
  Chart.defaults.font = { ...font, family: palette.font, size: 14 };
  const holder = { id: 'holder', beforeInit: (/** @type {object} */ created) => setState(created, { ...config.state, palette }) };
  const drawn = new Chart(canvas, {
    type: config.type, data: config.data, platform: BasicPlatform, plugins: [holder, ...config.plugins],
    options: { ...config.options, responsive: false, maintainAspectRatio: false, animation: false, devicePixelRatio: scale, events: [] },
  });
  drawn.stop();
  Chart.defaults.font = font;
  return drawn;
}

/** @param {Picture} picture */
function rowsOf({ chart, view }) {
  const ranking = chart.ranking?.(view);
  return ranking ? { bars: ranking.bars.slice(0, MOST_ROWS), all: ranking.all } : null;
}

/**
 * Draws all but the chart, and returns the height of the picture.
 * @param {any} ctx
 * @param {Picture} picture
 * @param {(x: number, y: number, width: number, height: number) => void} plot draws the chart at a place
 */
function compose(ctx, picture, plot) {
  const { palette, title, subtitle, legend, marks, notes, source } = picture;
  const inner = WIDTH - 2 * MARGIN;
  const rows = rowsOf(picture);
  let y = MARGIN;
  /** @param {string} font @param {string} colour @param {string} align */
  const style = (font, colour, align = 'left') => Object.assign(ctx, { font: `${font} ${palette.font}`, fillStyle: colour, textAlign: align, textBaseline: 'top' });
  /** @param {string} text @param {number} step */
  const paragraph = (text, step) => {
    for (const line of wrap(ctx, text, inner)) {
      ctx.fillText(line, MARGIN, y);
      y += step;
    }
  };
  style('600 28px', palette.text);
  paragraph(title, 36);
  style('400 16px', palette.muted);
  paragraph(subtitle, LINE);
  y += 8;
  if (legend.length > 0) {
    style('400 15px', palette.text);
    let x = MARGIN;
    for (const { label, colour } of legend) {
      const width = 20 + ctx.measureText(label).width + 24;
      if (x + width > WIDTH - MARGIN && x > MARGIN) {
        x = MARGIN;
        y += LINE;
      }
      ctx.fillStyle = palette.colour(colour) || palette.accent;
      ctx.fillRect(x, y + 2, 12, 12);
      ctx.fillStyle = palette.text;
      ctx.fillText(label, x + 20, y);
      x += width;
    }
    y += LINE + 6;
  }
  if (rows) {
    const longest = Math.max(1, ...rows.bars.map(({ value, error }) => value + error));
    const [nameWidth, numberWidth] = [300, 330];
    const track = inner - nameWidth - numberWidth;
    for (const bar of rows.bars) {
      style('400 15px', palette.text);
      const [name = ''] = wrap(ctx, bar.label, nameWidth - 16);
      ctx.fillText(name, MARGIN, y + 5);
      ctx.fillStyle = palette.colour('bar-pale');
      ctx.fillRect(MARGIN + nameWidth, y + 5, (track * (bar.value + bar.error)) / longest, 16);
      ctx.fillStyle = palette.colour('bar');
      ctx.fillRect(MARGIN + nameWidth, y + 5, (track * bar.value) / longest, 16);
      style('400 15px', palette.text, 'right');
      ctx.fillText([picture.countOf?.(bar) ?? String(bar.value), picture.shareOf?.(bar, rows.all), picture.changeOf?.(bar)].filter(Boolean).join(' · '), WIDTH - MARGIN, y + 5);
      y += ROW;
    }
  } else {
    plot(MARGIN, y, inner, PLOT);
    y += PLOT;
  }
  y += 12;
  for (const { letter, time, text } of notes) {
    style('600 15px', palette.text);
    ctx.fillText(letter, MARGIN, y);
    style('400 15px', palette.text);
    for (const line of wrap(ctx, `${time}  ${text}`, inner - 24)) {
      ctx.fillText(line, MARGIN + 24, y);
      y += LINE - 2;
    }
  }
  if (notes.length > 0) y += 8;
  style('400 14px', palette.text);
  for (const mark of marks) paragraph(mark, LINE - 3);
  style('400 14px', palette.muted);
  y += 4;
  paragraph(source, LINE - 3);
  return y + MARGIN - 12;
}

/** @param {Document} doc */
function measurer(doc) {
  const ctx = doc.createElement('canvas').getContext('2d');
  return (/** @type {string} */ font, /** @type {string} */ text) => {
    if (!ctx) return { width: 8 * text.length };
    ctx.font = font;
    return ctx.measureText(text);
  };
}

/**
 * The picture as SVG: the text of the file.
 * @param {Document} doc
 * @param {Picture} picture
 */
export function pictureSvg(doc, picture) {
  const measure = measurer(doc);
  /** @param {string} background */
  const drawn = (background, height = 0) => {
    const ctx = createSvgContext({ measure, prefix: 'page' });
    if (height) {
      ctx.fillStyle = background;
      ctx.fillRect(0, 0, WIDTH, height);
    }
    const end = compose(ctx, picture, (x, y, width, plotHeight) => {
      const plotCtx = createSvgContext({ measure, prefix: 'plot' });
      const canvas = { width, height: plotHeight, style: {}, getContext: () => plotCtx };
      plotCtx.canvas = canvas;
      const { Path2D } = globalThis;
      globalThis.Path2D = /** @type {any} */ (PathRecorder);
      const chart = drawPlot(picture, canvas, 1);
      globalThis.Path2D = Path2D;
      ctx.embed(plotCtx, x, y);
      // Nothing of it stays: destroying clears the context, whose content has been copied.
      chart?.destroy();
    });
    return { ctx, end };
  };
  // The height is known after the first drawing; the background comes first in the second one.
  const { end } = drawn('');
  return drawn(picture.palette.surface, end).ctx.toSvg(WIDTH, end, `${picture.title}. ${picture.subtitle}`);
}

/**
 * The picture as PNG, with two pixels a unit.
 * @param {Document} doc
 * @param {Picture} picture
 * @returns {Promise<Blob>}
 */
export function picturePng(doc, picture) {
  const canvasOf = (/** @type {number} */ width, /** @type {number} */ height) => Object.assign(doc.createElement('canvas'), { width, height });
  const height = compose(/** @type {CanvasRenderingContext2D} */ (canvasOf(1, 1).getContext('2d')), picture, () => {});
  const canvas = canvasOf(WIDTH * PNG_SCALE, Math.ceil(height * PNG_SCALE));
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  ctx.scale(PNG_SCALE, PNG_SCALE);
  ctx.fillStyle = picture.palette.surface;
  ctx.fillRect(0, 0, WIDTH, height);
  compose(ctx, picture, (x, y, width, plotHeight) => {
    const plot = canvasOf(width, plotHeight);
    const chart = drawPlot(picture, plot, PNG_SCALE);
    ctx.drawImage(plot, x, y, width, plotHeight);
    chart?.destroy();
  });
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the browser cannot write a PNG'))), 'image/png');
  });
}
