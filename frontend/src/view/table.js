// @ts-check
// Tables of texts. Rows that stay are kept as they are, so that what the reader has selected in them stays selected.

import { t } from '../i18n.js';
import { el, setText } from './dom.js';

const NOTE_MS = 2_000;
/** @type {Record<string, string>} */
const ROLES = { table: 'table', thead: 'rowgroup', tbody: 'rowgroup', tr: 'row', th: 'columnheader' };

/**
 * The table as text for spreadsheets: cells with tabs, rows with line ends.
 * @param {import('../chart-kit/types').Table} table
 */
export const tableText = ({ head, rows }) => [head, ...rows].map((row) => row.map((cell) => cell.replace(/[\t\r\n]+/g, ' ')).join('\t')).join('\n');

/** What each table shows. @type {WeakMap<HTMLElement, import('../chart-kit/types').Table>} */
const shown = new WeakMap();

/**
 * @param {Document} doc
 * @param {HTMLElement} holder
 * @param {string} caption
 * @param {import('../chart-kit/types').Table} table
 */
export function renderTable(doc, holder, caption, table) {
  const { head, rows } = table;
  shown.set(holder, table);
  if (rows.length === 0) {
    holder.replaceChildren(el(doc, 'p', { class: 'muted' }, t('card.tableEmpty')));
    return;
  }
  const known = holder.querySelector('table');
  const headTexts = [...(known?.querySelectorAll('thead th') ?? [])].map(({ textContent }) => textContent);
  const body = known?.querySelector('tbody');
  if (known && body && headTexts.join('\t') === head.join('\t')) {
    setText(/** @type {Element} */ (known.querySelector('caption')), caption);
    updateRows(doc, body, rows);
    keepNames(holder);
    return;
  }
  const headRow = el(doc, 'tr', {}, ...head.map((text) => el(doc, 'th', { scope: 'col' }, text)));
  holder.replaceChildren(
    copyButton(doc, holder),
    el(doc, 'table', {}, el(doc, 'caption', { class: 'visually-hidden' }, caption), el(doc, 'thead', {}, headRow), el(doc, 'tbody', {}, ...rows.map((row) => rowOf(doc, row)))),
  );
  keepNames(holder);
}

/**
 * Narrow screens show the rows of a holder with the class `stacks` as lists (styles/table.css). This gives each cell the name of its column, and
 * all parts the roles that they would lose by that.
 * @param {HTMLElement} holder
 */
export function keepNames(holder) {
  if (!holder.classList.contains('stacks')) return;
  const names = [...holder.querySelectorAll('thead th')].map(({ textContent }) => textContent ?? '');
  for (const part of holder.querySelectorAll('table, thead, tbody, tr, th, td')) {
    part.setAttribute('role', part.getAttribute('scope') === 'row' ? 'rowheader' : ROLES[part.localName] ?? 'cell');
    if (part.localName === 'td') part.setAttribute('data-column', names[/** @type {HTMLTableCellElement} */ (part).cellIndex] ?? '');
  }
}

/** @param {Document} doc @param {string[]} row */
const rowOf = (doc, [first = '', ...rest]) => el(doc, 'tr', {}, el(doc, 'th', { scope: 'row' }, first), ...rest.map((text) => el(doc, 'td', {}, text)));

/**
 * Changes the texts of known rows, and adds and removes the others, by the text of their first cell.
 * @param {Document} doc
 * @param {HTMLTableSectionElement} body
 * @param {string[][]} rows
 */
function updateRows(doc, body, rows) {
  const wanted = new Set(rows.map(([first = '']) => first));
  /** @type {Map<string, Element>} */
  const known = new Map();
  for (const row of [...body.children]) {
    const name = row.firstElementChild?.textContent ?? '';
    if (wanted.has(name) && !known.has(name)) known.set(name, row);
    else row.remove();
  }
  let place = body.firstElementChild;
  for (const cells of rows) {
    const name = cells[0] ?? '';
    const row = known.get(name);
    known.delete(name);
    if (row && row.children.length === cells.length) {
      cells.forEach((text, i) => setText(/** @type {Element} */ (row.children[i]), text));
      // A row that is where it belongs is not moved: that would end a selection.
      if (row === place) place = row.nextElementSibling;
      else body.insertBefore(row, place);
    } else {
      if (row && row === place) place = row.nextElementSibling;
      row?.remove();
      body.insertBefore(rowOf(doc, cells), place);
    }
  }
}

/** @param {Document} doc @param {HTMLElement} holder */
function copyButton(doc, holder) {
  const button = el(doc, 'button', { type: 'button', class: 'button copy-table' }, t('card.copy'));
  button.addEventListener('click', async () => {
    const table = shown.get(holder);
    try {
      await doc.defaultView?.navigator.clipboard.writeText(table ? tableText(table) : '');
      setText(button, t('region.copied'));
    } catch {
      // Without a clipboard, such as on plain HTTP, the table is selected, to be copied by key.
      const node = holder.querySelector('table');
      if (node) doc.getSelection?.()?.selectAllChildren(node);
      setText(button, t('card.copyFailed'));
    }
    doc.defaultView?.setTimeout(() => setText(button, t('card.copy')), NOTE_MS);
  });
  return button;
}
