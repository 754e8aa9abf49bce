// @ts-check
// A drawing context that writes SVG: the part of CanvasRenderingContext2D that Chart.js and the plugins of the page use.
// Points are transformed when they are added to a path, as on a canvas, so that a path needs no transformation of its own.

/**
 * @typedef {[number, number, number, number, number, number]} Matrix
 * @typedef {{ width: number, fontBoundingBoxAscent?: number, fontBoundingBoxDescent?: number }} Measured
 * @typedef {{ fill: string, pattern: string }} Pattern a tile that has been written into the definitions
 */

const DIGITS = 100;
/** @param {number} n */
const num = (n) => String(Math.round(n * DIGITS) / DIGITS);
/** @param {string} text */
export const escapeXml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Where the baseline is below the given line, in parts of the size of the font. @type {Record<string, number>} */
const BASELINES = { top: 0.8, hanging: 0.75, middle: 0.35, alphabetic: 0, ideographic: -0.15, bottom: -0.2 };
/** @type {Record<string, string>} */
const ANCHORS = { center: 'middle', right: 'end', end: 'end', left: 'start', start: 'start' };

/** A path that Chart.js keeps, as the calls that made it; it stands in for `Path2D` while a chart is drawn as SVG. */
export class PathRecorder {
  /** @type {[string, number[]][]} */
  calls = [];
  /** @param {number[]} at */
  moveTo(...at) { this.calls.push(['moveTo', at]); }
  /** @param {number[]} at */
  lineTo(...at) { this.calls.push(['lineTo', at]); }
  /** @param {number[]} at */
  bezierCurveTo(...at) { this.calls.push(['bezierCurveTo', at]); }
  /** @param {number[]} at */
  rect(...at) { this.calls.push(['rect', at]); }
  /** @param {number[]} at */
  arc(...at) { this.calls.push(['arc', at]); }
  closePath() { this.calls.push(['closePath', []]); }
}

const STATE = {
  fillStyle: /** @type {any} */ ('#000'), strokeStyle: /** @type {any} */ ('#000'), lineWidth: 1, lineCap: 'butt', lineJoin: 'miter', miterLimit: 10,
  lineDashOffset: 0, globalAlpha: 1, font: '10px sans-serif', textAlign: 'start', textBaseline: 'alphabetic', direction: 'inherit',
};

/**
 * The font of a canvas as attributes: `600 12px Name, sans-serif`.
 * @param {string} font
 */
export function fontAttributes(font) {
  const [, before = '', size = '10', family = 'sans-serif'] = /^(.*?)\s*([\d.]+)px(?:\/\S+)?\s+(.*)$/.exec(font) ?? [];
  const weight = /\b(bold|[1-9]00)\b/.exec(before)?.[1];
  return { size: Number(size), text: `font-family="${escapeXml(family)}" font-size="${num(Number(size))}"${weight ? ` font-weight="${weight}"` : ''}${/italic/.test(before) ? ' font-style="italic"' : ''}` };
}

/**
 * @param {{ measure: (font: string, text: string) => Measured, prefix?: string }} parts `measure` gives the width of a text, `prefix` keeps ids
 *   of several drawings apart
 */
export function createSvgContext({ measure, prefix = 'd' }) {
  /** @type {string[]} */
  let body = [];
  /** @type {string[]} */
  let defs = [];
  /** Tiles stay when the drawing is cleared: whoever made one goes on using it. @type {string[]} */
  const tiles = [];
  let ids = 0;
  /** @type {Matrix} */
  let matrix = [1, 0, 0, 1, 0, 0];
  /** @type {number[]} */
  let dash = [];
  let clipId = '';
  /** @type {{ look: typeof STATE, matrix: Matrix, dash: number[], clipId: string }[]} */
  const stack = [];
  let path = '';

  const newId = () => `${prefix}${(ids += 1)}`;
  const at = (/** @type {number} */ x, /** @type {number} */ y) => `${num(matrix[0] * x + matrix[2] * y + matrix[4])} ${num(matrix[1] * x + matrix[3] * y + matrix[5])}`;
  const scale = () => Math.sqrt(Math.abs(matrix[0] * matrix[3] - matrix[1] * matrix[2]));
  const look = () => /** @type {typeof STATE} */ (Object.fromEntries(Object.keys(STATE).map((name) => [name, ctx[/** @type {keyof typeof STATE} */ (name)]])));
  /** @param {Matrix} m */
  const multiply = ([a, b, c, d, e, f]) => {
    const [A, B, C, D, E, F] = matrix;
    matrix = [A * a + C * b, B * a + D * b, A * c + C * d, B * c + D * d, A * e + C * f + E, B * e + D * f + F];
  };
  /** @param {string | Pattern} style */
  const paint = (style) => escapeXml(typeof style === 'string' ? style : style.fill);
  const clipped = () => (clipId ? ` clip-path="url(#${clipId})"` : '');
  const alpha = () => (ctx.globalAlpha < 1 ? ` opacity="${num(ctx.globalAlpha)}"` : '');
  /** @param {string} d @param {string} rule */
  const filled = (d, rule = '') => d && body.push(`<path d="${d}" fill="${paint(ctx.fillStyle)}"${rule === 'evenodd' ? ' fill-rule="evenodd"' : ''}${alpha()}${clipped()}/>`);
  /** @param {string} d */
  const stroked = (d) => {
    if (!d || ctx.lineWidth <= 0) return;
    const dashes = dash.length ? ` stroke-dasharray="${dash.map((n) => num(n * scale())).join(' ')}"` : '';
    const caps = `${ctx.lineCap === 'butt' ? '' : ` stroke-linecap="${ctx.lineCap}"`}${ctx.lineJoin === 'miter' ? '' : ` stroke-linejoin="${ctx.lineJoin}"`}`;
    body.push(`<path d="${d}" fill="none" stroke="${paint(ctx.strokeStyle)}" stroke-width="${num(ctx.lineWidth * scale())}"${dashes}${caps}${alpha()}${clipped()}/>`);
  };
  /** @param {number} x @param {number} y @param {number} w @param {number} h */
  const box = (x, y, w, h) => `M${at(x, y)}L${at(x + w, y)}L${at(x + w, y + h)}L${at(x, y + h)}Z`;
  /** @param {string} text @param {number} x @param {number} y @param {string} colours */
  const written = (text, x, y, colours) => {
    const font = fontAttributes(ctx.font);
    const [a, b, c, d] = matrix;
    const isPlain = a === 1 && b === 0 && c === 0 && d === 1;
    const down = y + font.size * (BASELINES[ctx.textBaseline] ?? 0);
    const place = isPlain
      ? `x="${num(x + matrix[4])}" y="${num(down + matrix[5])}"`
      : `x="${num(x)}" y="${num(down)}" transform="matrix(${matrix.map(num).join(' ')})"`;
    body.push(`<text ${place} ${font.text} text-anchor="${ANCHORS[ctx.textAlign] ?? 'start'}" ${colours}${alpha()}${clipped()}>${escapeXml(text)}</text>`);
  };

  /** @param {PathRecorder} kept */
  const play = ({ calls }) => {
    ctx.beginPath();
    for (const [name, at] of calls) /** @type {any} */ (ctx)[name](...at);
  };

  const ctx = {
    ...STATE,
    /** Stands for the canvas; set by whoever needs one. @type {any} */
    canvas: null,
    save() { stack.push({ look: look(), matrix: [...matrix], dash, clipId }); },
    restore() {
      const last = stack.pop();
      if (!last) return;
      Object.assign(ctx, last.look);
      ({ matrix, dash, clipId } = last);
    },
    /** @param {number[]} m */
    setTransform(...m) { matrix = m.length === 6 ? /** @type {Matrix} */ (m) : [1, 0, 0, 1, 0, 0]; },
    resetTransform() { matrix = [1, 0, 0, 1, 0, 0]; },
    /** @param {number} x @param {number} y */
    translate(x, y) { multiply([1, 0, 0, 1, x, y]); },
    /** @param {number} x @param {number} y */
    scale(x, y) { multiply([x, 0, 0, y, 0, 0]); },
    /** @param {number} angle */
    rotate(angle) { multiply([Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle), 0, 0]); },
    /** @param {Matrix} m */
    transform(...m) { multiply(m); },
    beginPath() { path = ''; },
    closePath() { if (path) path += 'Z'; },
    /** @param {number} x @param {number} y */
    moveTo(x, y) { path += `M${at(x, y)}`; },
    /** @param {number} x @param {number} y */
    lineTo(x, y) { path += `${path ? 'L' : 'M'}${at(x, y)}`; },
    /** @param {number} a @param {number} b @param {number} c @param {number} d @param {number} x @param {number} y */
    bezierCurveTo(a, b, c, d, x, y) { path += `C${at(a, b)} ${at(c, d)} ${at(x, y)}`; },
    /** @param {number} a @param {number} b @param {number} x @param {number} y */
    quadraticCurveTo(a, b, x, y) { path += `Q${at(a, b)} ${at(x, y)}`; },
    /** @param {number} x @param {number} y @param {number} w @param {number} h */
    rect(x, y, w, h) { path += box(x, y, w, h); },
    /** @param {number} x @param {number} y @param {number} radius @param {number} start @param {number} end @param {boolean} [isBack] */
    arc(x, y, radius, start, end, isBack = false) {
      const full = 2 * Math.PI;
      let turn = isBack ? start - end : end - start;
      turn = Math.abs(turn) >= full ? full : ((turn % full) + full) % full;
      const sign = isBack ? -1 : 1;
      const on = (/** @type {number} */ angle) => at(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
      const size = num(radius * scale());
      path += `${path && !path.endsWith('Z') ? 'L' : 'M'}${on(start)}`;
      // Half turns at most: an arc of SVG has no direction when its ends are the same point.
      const pieces = Math.ceil(turn / Math.PI) || 0;
      for (let i = 1; i <= pieces; i += 1) path += `A${size} ${size} 0 0 ${isBack ? 0 : 1} ${on(start + (sign * turn * i) / pieces)}`;
    },
    /** @param {string} [rule] */
    fill(rule) { filled(path, rule); },
    /** @param {PathRecorder} [kept] */
    stroke(kept) {
      if (kept) play(kept);
      stroked(path);
    },
    clip() {
      const id = newId();
      defs.push(`<clipPath id="${id}"${clipped()}><path d="${path || 'M0 0'}"/></clipPath>`);
      clipId = id;
    },
    /** @param {number} x @param {number} y @param {number} w @param {number} h */
    fillRect(x, y, w, h) { filled(box(x, y, w, h)); },
    /** @param {number} x @param {number} y @param {number} w @param {number} h */
    strokeRect(x, y, w, h) { stroked(box(x, y, w, h)); },
    /** Chart.js clears the whole area before it draws. */
    clearRect() {
      body = [];
      defs = [];
    },
    /** @param {string} text @param {number} x @param {number} y */
    fillText(text, x, y) { written(String(text), x, y, `fill="${paint(ctx.fillStyle)}"`); },
    /** @param {string} text @param {number} x @param {number} y */
    strokeText(text, x, y) { written(String(text), x, y, `fill="none" stroke="${paint(ctx.strokeStyle)}"`); },
    /** @param {string} text */
    measureText(text) { return measure(ctx.font, String(text)); },
    /** @param {number[]} segments */
    setLineDash(segments) { dash = [...segments]; },
    getLineDash: () => [...dash],
    /** A tile, which stays an image in the definitions. @param {any} tile a canvas */
    createPattern(tile) {
      const id = newId();
      const place = tiles.length;
      const write = (/** @type {{ a: number }} */ { a }) => {
        const size = num(tile.width * a);
        tiles[place] = `<pattern id="${id}" width="${size}" height="${size}" patternUnits="userSpaceOnUse"><image width="${size}" height="${size}" href="${tile.toDataURL('image/png')}"/></pattern>`;
      };
      write({ a: 1 });
      // Chart.js leaves patterns as they are, which it knows by this name.
      return { fill: `url(#${id})`, pattern: id, setTransform: write, [Symbol.toStringTag]: 'CanvasPattern' };
    },
    /**
     * Another drawing at a place of this one.
     * @param {{ content: () => { defs: string, body: string } }} other
     * @param {number} x
     * @param {number} y
     */
    embed(other, x, y) {
      const inner = other.content();
      defs.push(inner.defs);
      body.push(`<g transform="translate(${num(x)} ${num(y)})">${inner.body}</g>`);
    },
    content: () => ({ defs: [...tiles, ...defs].join(''), body: body.join('\n') }),
    /** The whole as a file. @param {number} width @param {number} height @param {string} title */
    toSvg: (width, height, title) => `<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="${num(width)}" height="${num(height)}" viewBox="0 0 ${num(width)} ${num(height)}" role="img">\n<title>${escapeXml(title)}</title>\n<defs>${[...tiles, ...defs].join('')}</defs>\n${body.join('\n')}\n</svg>\n`,
  };
  return ctx;
}
