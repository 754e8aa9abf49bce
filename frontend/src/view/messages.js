// @ts-check
// The banner above the page, and the panel in place of the charts.

import { byId, el, rebuild, setText } from './dom.js';

/** @typedef {{ title: string, text: string, actions: { label: string, run: () => void }[] }} Panel */

/**
 * Shows a text above the page; null hides it.
 * @param {Document} doc
 * @param {string | null} text
 */
export function renderBanner(doc, text) {
  setText(byId(doc, 'banner-text'), text ?? '');
  byId(doc, 'banner').hidden = !text;
}

/**
 * Shows a panel in place of the charts; null shows the charts again.
 * @param {Document} doc
 * @param {Panel | null} panel
 */
export function renderPanel(doc, panel) {
  byId(doc, 'charts').hidden = panel !== null;
  byId(doc, 'panel').hidden = panel === null;
  if (!panel) return;
  setText(byId(doc, 'panel-title'), panel.title);
  setText(byId(doc, 'panel-text'), panel.text);
  rebuild(byId(doc, 'panel-actions'), panel.actions.map(({ label }) => label), () => panel.actions.map(({ label, run }) => {
    const button = el(doc, 'button', { type: 'button', class: 'button' }, label);
    button.addEventListener('click', run);
    return button;
  }));
}
