// @ts-check
// The controls: which region, range and networks are shown.

import { t } from '../i18n.js';
import { networkLabel } from '../model/networks.js';
import { byId, el, rebuild } from './dom.js';

/**
 * Segments of a control: radio buttons or checkboxes that look like one bar.
 * @param {Document} doc
 * @param {HTMLElement} holder
 * @param {{ type: 'radio' | 'checkbox', name: string, options: { id: string, label: string }[], chosen: (id: string) => boolean }} control
 */
export function renderSegments(doc, holder, { type, name, options, chosen }) {
  rebuild(holder, options.map(({ id, label }) => `${id} ${label}`), () => options.map(({ id, label }) => el(
    doc, 'label', { class: 'segment' },
    el(doc, 'input', { type, name, value: id, class: 'visually-hidden' }),
    el(doc, 'span', {}, label),
  )));
  for (const input of holder.querySelectorAll('input')) input.checked = chosen(input.value);
}

/**
 * @param {Document} doc
 * @param {{ id: string, name: string }[]} regions
 * @param {string | null} chosen
 */
export function renderRegions(doc, regions, chosen) {
  const select = regionSelect(doc);
  select.replaceChildren(...regions.map((region) => el(doc, 'option', { value: region.id }, region.name || region.id)));
  select.disabled = regions.length === 0;
  if (chosen) select.value = chosen;
}

/** @param {Document} doc */
export const regionSelect = (doc) => /** @type {HTMLSelectElement} */ (byId(doc, 'region'));

/**
 * @param {Document} doc
 * @param {import('../url-state.js').Range[]} ranges
 * @param {string} chosen
 */
export function renderRanges(doc, ranges, chosen) {
  renderSegments(doc, byId(doc, 'ranges'), { type: 'radio', name: 'range', options: ranges, chosen: (id) => id === chosen });
}

/**
 * The filter by network; hidden when there is nothing to choose between.
 * @param {Document} doc
 * @param {string[]} known
 * @param {string[]} chosen none for all
 */
export function renderNetworks(doc, known, chosen) {
  byId(doc, 'networks-field').hidden = known.length < 2 && chosen.length === 0;
  renderSegments(doc, byId(doc, 'networks'), {
    type: 'checkbox',
    name: 'network',
    options: [{ id: '', label: t('region.allNetworks') }, ...known.map((network) => ({ id: network, label: networkLabel(network) }))],
    chosen: (id) => (id === '' ? chosen.length === 0 : chosen.includes(id)),
  });
}

/**
 * The choice after a click on one network, or on "All" (an empty name). Choosing every network is choosing all.
 * @param {string[]} known
 * @param {string[]} chosen
 * @param {string} network
 * @returns {string[]}
 */
export function toggleNetwork(known, chosen, network) {
  if (network === '') return [];
  const next = chosen.includes(network) ? chosen.filter((other) => other !== network) : [...chosen, network].sort();
  return known.every((other) => next.includes(other)) ? [] : next;
}
