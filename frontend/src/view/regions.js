// @ts-check
// The strip of all regions: a button for each, which selects it.

import { regionGlances, sparkline } from '../model/regions.js';
import { byId, el, find, rebuild, setText } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const SIZE = { width: 96, height: 24 };

/** @param {Document} doc */
function makeSparkline(doc) {
  const svg = doc.createElementNS(SVG, 'svg');
  const line = doc.createElementNS(SVG, 'polyline');
  // The line is drawn with a margin, so that its ends and peaks are not cut.
  const attributes = { class: 'spark', viewBox: `-2 -2 ${SIZE.width + 4} ${SIZE.height + 4}`, preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  svg.append(line);
  return svg;
}

/**
 * @param {Document} doc
 * @param {import('../model/freshness.js').LooseOverview} overview
 * @param {(region: string) => void} onChoose
 */
export function renderGlances(doc, overview, onChoose) {
  const holder = byId(doc, 'glances');
  const glances = regionGlances(overview);
  rebuild(holder, glances.map(({ id }) => id), () => glances.map(({ id }) => {
    const button = el(
      doc, 'button', { type: 'button', class: 'glance', 'data-region': id },
      el(doc, 'span', { class: 'glance-name' }), makeSparkline(doc), el(doc, 'span', { class: 'glance-posts' }), el(doc, 'span', { class: 'glance-usual' }),
    );
    button.addEventListener('click', () => onChoose(id));
    return el(doc, 'li', {}, button);
  }));
  for (const [i, { name, posts, usual, isHigh, hours }] of glances.entries()) {
    const button = find(holder, `li:nth-child(${i + 1}) button`);
    setText(find(button, '.glance-name'), name);
    setText(find(button, '.glance-posts'), posts);
    setText(find(button, '.glance-usual'), usual);
    button.toggleAttribute('data-high', isHigh);
    button.querySelector('polyline')?.setAttribute('points', sparkline(hours, SIZE));
  }
}

/**
 * Marks the region that is shown.
 * @param {Document} doc
 * @param {string | null} region
 */
export function markGlance(doc, region) {
  for (const button of byId(doc, 'glances').querySelectorAll('button')) {
    if (button.dataset.region === region) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}
