// @ts-check
// Tables of texts.

import { el } from './dom.js';

/**
 * @param {Document} doc
 * @param {HTMLElement} holder
 * @param {string} caption
 * @param {import('../chart-kit/types').Table} table
 */
export function renderTable(doc, holder, caption, { head, rows }) {
  if (rows.length === 0) {
    holder.replaceChildren(el(doc, 'p', { class: 'muted' }, 'Nothing in this range.'));
    return;
  }
  const headRow = el(doc, 'tr', {}, ...head.map((text) => el(doc, 'th', { scope: 'col' }, text)));
  const body = rows.map(([first = '', ...rest]) => el(
    doc, 'tr', {}, el(doc, 'th', { scope: 'row' }, first), ...rest.map((text) => el(doc, 'td', {}, text)),
  ));
  holder.replaceChildren(el(
    doc, 'table', {}, el(doc, 'caption', { class: 'visually-hidden' }, caption), el(doc, 'thead', {}, headRow), el(doc, 'tbody', {}, ...body),
  ));
}
