// Writes into the page: chips, tiles, tables, banner and panels. Text only, never HTML.

/** A new element with attributes and children; strings become text. */
export function el(doc, tag, attributes = {}, ...children) {
  const node = doc.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children);
  return node;
}

/** Sets a text only when it changes, so that nothing is announced or painted for nothing. */
export function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

export function renderTile(doc, tile) {
  const node = doc.getElementById(`tile-${tile.id}`);
  if (!node) return;
  node.dataset.tone = tile.tone;
  setText(node.querySelector('.tile-value'), tile.value);
  setText(node.querySelector('.tile-note'), tile.note);
}

export function renderChips(doc, chips) {
  const holder = doc.getElementById('sources');
  const nodes = chips.map((chip) => el(
    doc, 'li', { class: 'chip', 'data-tone': chip.tone, title: chip.details },
    el(doc, 'span', { class: 'dot', 'aria-hidden': 'true' }),
    el(doc, 'span', { class: 'chip-name' }, chip.name),
    el(doc, 'span', { class: 'chip-state' }, chip.state),
    ...(chip.short ? [el(doc, 'span', { class: 'chip-short', 'aria-hidden': 'true' }, chip.short)] : []),
    el(doc, 'span', { class: 'visually-hidden' }, `, ${chip.details}`),
  ));
  holder.replaceChildren(...(nodes.length ? nodes : [el(doc, 'li', { class: 'chip', 'data-tone': 'plain' }, 'no source')]));
}

export function renderRegions(doc, regions, chosen) {
  const select = doc.getElementById('region');
  select.replaceChildren(...regions.map((region) => el(doc, 'option', { value: region.id }, region.name || region.id)));
  select.disabled = regions.length === 0;
  if (chosen) select.value = chosen;
}

export function renderRanges(doc, ranges, chosen) {
  const holder = doc.getElementById('ranges');
  if (!holder.querySelector('input')) {
    holder.append(...ranges.map((range) => el(
      doc, 'label', { class: 'segment' },
      el(doc, 'input', { type: 'radio', name: 'range', value: range.id, class: 'visually-hidden' }),
      el(doc, 'span', {}, range.label),
    )));
  }
  for (const input of holder.querySelectorAll('input')) input.checked = input.value === chosen;
}

export function renderTable(doc, holder, caption, { head, rows }) {
  if (rows.length === 0) {
    holder.replaceChildren(el(doc, 'p', { class: 'muted' }, 'Nothing in this range.'));
    return;
  }
  const headRow = el(doc, 'tr', {}, ...head.map((text) => el(doc, 'th', { scope: 'col' }, text)));
  const body = rows.map(([first, ...rest]) => el(
    doc, 'tr', {}, el(doc, 'th', { scope: 'row' }, first), ...rest.map((text) => el(doc, 'td', {}, text)),
  ));
  holder.replaceChildren(el(
    doc, 'table', {}, el(doc, 'caption', { class: 'visually-hidden' }, caption), el(doc, 'thead', {}, headRow), el(doc, 'tbody', {}, ...body),
  ));
}

export function renderSources(doc, table) {
  doc.getElementById('sources-box').hidden = table.rows.length === 0;
  renderTable(doc, doc.getElementById('sources-table'), 'Sources', table);
}

export function renderLedger(doc, title, rows) {
  const holder = doc.getElementById('ledger');
  setText(doc.getElementById('ledger-title'), title);
  doc.getElementById('ledger-box').hidden = rows.length === 0;
  holder.replaceChildren(...rows.map((row) => el(
    doc, 'div', { 'data-flaw': row.flaw },
    el(doc, 'dt', {}, row.label, el(doc, 'span', { class: 'muted' }, ` ${row.note}`)),
    el(doc, 'dd', {}, row.value),
  )));
}

/** The banner above the page; null hides it. */
export function renderBanner(doc, text) {
  const banner = doc.getElementById('banner');
  setText(doc.getElementById('banner-text'), text ?? '');
  banner.hidden = !text;
}

/** The panel in place of the charts; null brings the charts back. */
export function renderPanel(doc, panel) {
  const node = doc.getElementById('panel');
  doc.getElementById('charts').hidden = Boolean(panel);
  node.hidden = !panel;
  if (!panel) return;
  setText(doc.getElementById('panel-title'), panel.title);
  setText(doc.getElementById('panel-text'), panel.text);
  const actions = doc.getElementById('panel-actions');
  const key = panel.actions.map((action) => action.label).join('|');
  if (actions.dataset.key === key) return;
  actions.dataset.key = key;
  actions.replaceChildren(...panel.actions.map((action) => {
    const button = el(doc, 'button', { type: 'button', class: 'button' }, action.label);
    button.addEventListener('click', action.run);
    return button;
  }));
}
