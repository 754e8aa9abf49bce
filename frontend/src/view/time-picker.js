// @ts-check
// The fields for an absolute range and for the time zone.

import { currentZone } from '../format.js';
import { t } from '../i18n.js';
import { isRange } from '../model/range.js';
import { fieldMoment, fieldValue, localZoneId, zoneById, zoneIds } from '../model/zone.js';
import { byId, el, rebuild, showText } from './dom.js';

/**
 * @param {{
 *   doc: Document, ends: () => import('../model/range.js').Ends | null, zone: () => string, regionZone: () => string | null,
 *   onEnds: (ends: import('../model/range.js').Ends) => void, onZone: (zone: string) => void,
 *   subject: () => string,
 * }} parts `ends` is the range that is shown, `zone` the one of the address: empty for local, or `region`; `subject` changes with what is chosen
 * @returns {{ render: () => void }} `render` shows the current choice
 */
export function createTimePicker({ doc, ends, zone, regionZone, subject, onEnds, onZone }) {
  /** @param {string} id */
  const input = (id) => /** @type {HTMLInputElement} */ (byId(doc, id));
  const [first, last, other] = [input('range-from'), input('range-to'), input('zone-other')];
  const select = /** @type {HTMLSelectElement} */ (byId(doc, 'zone'));
  const note = byId(doc, 'range-note');
  /** What the fields show, so that a field that the reader has not changed keeps its moment. @type {{ ends: import('../model/range.js').Ends, values: [string, string] } | null} */
  let shown = null;
  /** Whether the reader is about to name a zone: a refresh leaves the field open. */
  let isNaming = false;
  let zoneShown = '';
  /** What is chosen while the fields have something that the reader typed: a refresh leaves that there, another choice does not. @type {string | null} */
  let editedFor = null;

  function render() {
    const [own, chosen] = [regionZone(), zone()];
    if (chosen !== zoneShown) isNaming = false;
    zoneShown = chosen;
    const options = [['', t('zone.local', { zone: localZoneId() })], ['UTC', t('zone.utc')], ...(own ? [['region', t('zone.region', { zone: own })]] : []), ['other', t('zone.other')]];
    rebuild(select, options.map(([, text]) => text ?? ''), () => options.map(([value, text]) => el(doc, 'option', { value }, text ?? '')));
    const isOther = isNaming || (!options.some(([value]) => value === chosen) && zoneById(chosen) !== null);
    select.value = isOther ? 'other' : options.some(([value]) => value === chosen) ? chosen : '';
    byId(doc, 'zone-other-field').hidden = !isOther;
    if (isOther && !isNaming && doc.activeElement !== other) other.value = chosen;
    const now = ends();
    if (editedFor !== subject()) editedFor = null;
    if (now === null || editedFor !== null || doc.activeElement === first || doc.activeElement === last) return;
    shown = { ends: now, values: [fieldValue(currentZone(), now.from), fieldValue(currentZone(), now.to)] };
    [first.value, last.value] = shown.values;
    check(false);
  }

  /** The moments of the fields; null when one of them is empty. */
  function read() {
    const from = shown && first.value === shown.values[0] ? shown.ends.from : fieldMoment(currentZone(), first.value);
    const to = shown && last.value === shown.values[1] ? shown.ends.to : fieldMoment(currentZone(), last.value, { isEnd: true });
    return from === null || to === null ? null : { from, to };
  }

  /** Says what is wrong with the fields, and when a time occurs twice. @param {boolean} isFinal */
  function check(isFinal) {
    const now = read();
    const isWrong = now === null || !isRange(now);
    for (const field of [first, last]) field.setAttribute('aria-invalid', String(isFinal && isWrong));
    const isTwice = now !== null && [now.from, now.to].some((ms) => currentZone().isRepeated(ms));
    showText(note, isFinal && isWrong ? (now === null ? t('zone.missing') : t('zone.order')) : isTwice ? t('zone.twice') : '');
    return isWrong ? null : now;
  }

  function apply() {
    const now = check(true);
    if (!now) return;
    editedFor = null;
    onEnds(now);
  }

  byId(doc, 'range-apply').addEventListener('click', apply);
  for (const field of [first, last]) {
    field.addEventListener('input', () => {
      editedFor = subject();
      check(false);
    });
    field.addEventListener('keydown', (event) => { if (event.key === 'Enter') apply(); });
  }
  select.addEventListener('change', () => {
    isNaming = select.value === 'other';
    byId(doc, 'zone-other-field').hidden = !isNaming;
    if (!isNaming) return onZone(select.value);
    const names = byId(doc, 'zone-names');
    rebuild(names, ['all'], () => zoneIds().map((id) => el(doc, 'option', { value: id })));
    return other.focus();
  });
  other.addEventListener('change', () => {
    const found = zoneById(other.value.trim());
    other.setAttribute('aria-invalid', String(found === null));
    other.setCustomValidity(found ? '' : t('zone.unknown'));
    if (!found) return;
    isNaming = false;
    onZone(found.id);
  });
  return { render };
}
