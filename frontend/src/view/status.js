// @ts-check
// The status of the sources and the ledger: chips in the header, tables in the footer.

import { t } from '../i18n.js';
import { ledgerRows, ledgerTitle } from '../model/ledger.js';
import { sourceChips, sourcesTable } from '../model/sources.js';
import { byId, el, setText } from './dom.js';
import { renderTable } from './table.js';

/** @typedef {import('../model/freshness.js').LooseOverview} LooseOverview */

/**
 * @param {Document} doc
 * @param {LooseOverview} overview
 * @param {number} nowMs
 */
export function renderStatus(doc, overview, nowMs) {
  renderChips(doc, overview, nowMs);
  const table = sourcesTable(overview, nowMs);
  byId(doc, 'sources-box').hidden = table.rows.length === 0;
  renderTable(doc, byId(doc, 'sources-table'), t('source.list'), table);
  renderLedger(doc, overview);
}

/**
 * @param {Document} doc
 * @param {LooseOverview} overview
 * @param {number} nowMs
 */
function renderChips(doc, overview, nowMs) {
  const nodes = sourceChips(overview, nowMs).map((chip) => el(
    doc, 'li', { class: 'chip', 'data-tone': chip.tone, title: chip.details },
    el(doc, 'span', { class: 'dot', 'aria-hidden': 'true' }),
    el(doc, 'span', { class: 'chip-name' }, chip.name),
    el(doc, 'span', { class: 'chip-state' }, chip.status),
    ...(chip.short ? [el(doc, 'span', { class: 'chip-short', 'aria-hidden': 'true' }, chip.short)] : []),
    el(doc, 'span', { class: 'visually-hidden' }, `, ${chip.details}`),
  ));
  byId(doc, 'sources').replaceChildren(...(nodes.length ? nodes : [el(doc, 'li', { class: 'chip', 'data-tone': 'plain' }, t('source.none'))]));
}

/**
 * @param {Document} doc
 * @param {LooseOverview} overview
 */
function renderLedger(doc, overview) {
  const rows = ledgerRows(overview);
  setText(byId(doc, 'ledger-title'), ledgerTitle(overview));
  byId(doc, 'ledger-box').hidden = rows.length === 0;
  byId(doc, 'ledger').replaceChildren(...rows.map((row) => el(
    doc, 'div', { 'data-flaw': row.flaw },
    el(doc, 'dt', {}, row.label, el(doc, 'span', { class: 'muted' }, ` ${row.note}`)),
    el(doc, 'dd', {}, row.value),
  )));
}
