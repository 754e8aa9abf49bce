// @ts-check
// @vitest-environment jsdom
// Tests of the drawing context that writes SVG.
import { describe, expect, it } from 'vitest';
import { PathRecorder, createSvgContext, fontAttributes } from '../../src/picture/svg-context.js';
import { wrap } from '../../src/picture/picture.js';

const measure = (/** @type {string} */ _font, /** @type {string} */ text) => ({ width: 10 * text.length });
const context = () => createSvgContext({ measure });
/** @param {ReturnType<typeof context>} ctx */
const bodyOf = (ctx) => ctx.content().body;

describe('SVG context', () => {
  it('transforms points as they are added, and comes back by restore', () => {
    const ctx = context();
    ctx.save();
    ctx.translate(10, 20);
    ctx.scale(2, 2);
    ctx.fillStyle = 'red';
    ctx.fillRect(1, 1, 2, 2);
    ctx.restore();
    ctx.fillRect(0, 0, 1, 1);
    expect(bodyOf(ctx).split('\n')).toEqual([
      '<path d="M12 22L16 22L16 26L12 26Z" fill="red"/>', '<path d="M0 0L1 0L1 1L0 1Z" fill="#000"/>',
    ]);
  });

  it('draws a full circle as two arcs, since one arc to its own start is nothing', () => {
    const ctx = context();
    ctx.beginPath();
    ctx.arc(10, 10, 5, 0, 2 * Math.PI);
    ctx.stroke();
    expect(bodyOf(ctx)).toContain('d="M15 10A5 5 0 0 1 5 10A5 5 0 0 1 15 10"');
  });

  it('draws a quarter against the clock', () => {
    const ctx = context();
    ctx.beginPath();
    ctx.arc(0, 0, 10, Math.PI / 2, 0, true);
    ctx.fill();
    expect(bodyOf(ctx)).toContain('d="M0 10A10 10 0 0 0 10 0"');
  });

  it('writes text with its place, font and no markup of its own', () => {
    const ctx = context();
    Object.assign(ctx, { font: '600 12px "A B", serif', textAlign: 'center', textBaseline: 'middle', fillStyle: '#111' });
    ctx.fillText('<b>&', 5, 5);
    expect(bodyOf(ctx)).toBe('<text x="5" y="9.2" font-family="&quot;A B&quot;, serif" font-size="12" font-weight="600" text-anchor="middle" fill="#111">&lt;b&gt;&amp;</text>');
    expect(fontAttributes('bold 14.5px/1.2 Arial')).toMatchObject({ size: 14.5, text: expect.stringContaining('font-weight="bold"') });
  });

  it('strokes a path that is kept, and keeps tiles when it is cleared', () => {
    const ctx = context();
    const path = new PathRecorder();
    path.moveTo(1, 2);
    path.lineTo(3, 4);
    const tile = ctx.createPattern({ width: 16, toDataURL: () => 'data:image/png;base64,AA' });
    tile.setTransform({ a: 0.5 });
    ctx.clearRect();
    ctx.rect(0, 0, 9, 9);
    ctx.stroke(path);
    expect(bodyOf(ctx)).toContain('d="M1 2L3 4"');
    expect(ctx.content().defs).toContain('<pattern id="d1" width="8"');
    expect(Object.prototype.toString.call(tile)).toBe('[object CanvasPattern]');
  });

  it('keeps a clip until restore', () => {
    const ctx = context();
    ctx.save();
    ctx.beginPath();
    ctx.rect(0, 0, 5, 5);
    ctx.clip();
    ctx.fillRect(0, 0, 9, 9);
    ctx.restore();
    ctx.fillRect(0, 0, 9, 9);
    expect(bodyOf(ctx).split('\n').map((line) => line.includes('clip-path="url(#d1)"'))).toEqual([true, false]);
  });

  it('is a document that a parser reads, with drawings inside of drawings', () => {
    const [outer, inner] = [context(), createSvgContext({ measure, prefix: 'i' })];
    inner.fillText('50 % & more', 1, 1);
    outer.embed(inner, 3, 4);
    const doc = new DOMParser().parseFromString(outer.toSvg(100, 50, 'A "title"'), 'image/svg+xml');
    expect(doc.querySelector('parsererror')).toBeNull();
    expect(doc.querySelector('title')?.textContent).toBe('A "title"');
    expect(doc.querySelector('g')?.getAttribute('transform')).toBe('translate(3 4)');
  });
});

describe('lines of text', () => {
  it('are cut between words', () => {
    expect(wrap({ font: '', measureText: (text) => measure('', text) }, 'aaa bbb cccccccccccc', 80)).toEqual(['aaa bbb', 'cccccccccccc']);
  });
});
