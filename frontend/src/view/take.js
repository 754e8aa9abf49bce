// @ts-check
// "Take it away": data, pictures and the code to embed a chart. Loaded when the dialog is first opened.

import { barChange, shareText } from '../chart-kit/bars.js';
import { formatClock, formatCount, formatDay } from '../format.js';
import { t } from '../i18n.js';
import { embedCode } from '../model/embed.js';
import { sheetCsv, sheetNdjson } from '../model/sheets.js';
import { readPalette } from '../theme.js';
import { version } from '../../package.json';
import { el } from './dom.js';
import { saveBlob, saveText } from './download.js';

const EMBED_HEIGHT = 460;

/**
 * @typedef {import('../model/sheets.js').Sheet} Sheet
 * @typedef {{ chart: import('../chart-kit/types').Chart<any>, view: any, name: string, title: string, subtitle: string, legend: { label: string, colour: string }[], marks: string[] }} Drawable
 * @typedef {{ sheets: { label: string, make: () => Sheet }[], charts: Drawable[], href: string, suffix: string, canEmbed?: boolean }} Takeaway
 *   `canEmbed` is false where a chart cannot be shown alone; `href` is the view, without embedding; `suffix` ends the names of files
 */

/**
 * @param {Document} doc
 * @param {Takeaway} takeaway
 * @param {{ zone: string, nowMs: number, announce: (text: string) => void }} known
 */
export function openTake(doc, { sheets, charts, href, suffix, canEmbed = true }, { zone, nowMs, announce }) {
  doc.getElementById('take-box')?.remove();
  const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => unknown} */ run) => {
    const node = el(doc, 'button', { type: 'button', class: 'button', 'aria-label': label }, text);
    node.addEventListener('click', () => void run());
    return node;
  };
  /** @param {string} name @param {string} ending */
  const file = (name, ending) => `birdsong-${name}${suffix ? `-${suffix}` : ''}.${ending}`;
  const rows = (/** @type {[string, Node[]][]} */ all) => el(doc, 'ul', { class: 'take-rows' }, ...all.map(([label, buttons]) => el(doc, 'li', {}, el(doc, 'span', {}, label), el(doc, 'span', { class: 'take-buttons' }, ...buttons))));
  /** @param {Drawable} one */
  const pictureOf = ({ chart, view, title, subtitle, legend, marks }) => ({
    chart, view, title, subtitle, legend, marks, palette: readPalette(doc.documentElement), notes: chart.annotations?.(view) ?? [],
    source: t('take.source', { version, address: new URL(href).host, zone, time: `${formatDay(nowMs)}, ${formatClock(nowMs)}` }),
    countOf: (/** @type {import('../chart-kit/types').Bar} */ { value, error }) => (error > 0 ? t('tile.between', { low: value, high: value + error }) : formatCount(value)),
    shareOf: shareText,
    changeOf: (/** @type {import('../chart-kit/types').Bar} */ bar) => (bar.before === undefined ? '' : barChange(bar) || '–'),
  });
  const problem = el(doc, 'p', { class: 'form-error', role: 'alert', hidden: true });
  /** @param {() => Promise<void>} make */
  const tried = async (make) => {
    problem.hidden = true;
    try {
      await make();
    } catch {
      problem.textContent = t('take.failed');
      problem.hidden = false;
    }
  };

  const data = rows(sheets.map(({ label, make }) => [label, [
    button('CSV', `${label}, CSV`, () => { const sheet = make(); saveText(doc, file(sheet.name, 'csv'), sheetCsv(sheet)); }),
    button('NDJSON', `${label}, NDJSON`, () => { const sheet = make(); saveText(doc, file(sheet.name, 'ndjson'), sheetNdjson(sheet), 'application/x-ndjson'); }),
  ]]));
  const pictures = rows(charts.map((one) => [one.name, [
    button('PNG', `${one.name}, PNG`, () => tried(async () => {
      const { picturePng } = await import('../picture/picture.js');
      saveBlob(doc, file(one.chart.id, 'png'), await picturePng(doc, pictureOf(one)));
    })),
    button('SVG', `${one.name}, SVG`, () => tried(async () => {
      const { pictureSvg } = await import('../picture/picture.js');
      saveText(doc, file(one.chart.id, 'svg'), pictureSvg(doc, pictureOf(one)), 'image/svg+xml');
    })),
  ]]));

  const select = el(doc, 'select', {}, ...charts.map(({ chart, name }) => el(doc, 'option', { value: chart.id }, name)));
  const code = el(doc, 'textarea', { readonly: true, rows: 4, spellcheck: 'false', 'aria-label': t('take.embed') });
  const write = () => {
    const one = charts.find(({ chart }) => chart.id === select.value);
    if (one) code.value = embedCode(href, one.chart.id, `${one.title}, ${one.subtitle}`, EMBED_HEIGHT);
  };
  select.addEventListener('change', write);
  write();
  const copy = button(t('take.copy'), t('take.copy'), async () => {
    try {
      await doc.defaultView?.navigator.clipboard.writeText(code.value);
      copy.textContent = t('region.copied');
    } catch {
      code.select();
      copy.textContent = t('take.copyFailed');
    }
    announce(copy.textContent);
  });

  const box = el(
    doc, 'dialog', { class: 'help take', id: 'take-box', 'aria-labelledby': 'take-title' },
    el(doc, 'h2', { id: 'take-title' }, t('take.title')), el(doc, 'p', { class: 'muted' }, t('take.about')),
    el(doc, 'h3', {}, t('take.data')), data,
    ...(charts.length === 0 ? [] : [
      el(doc, 'h3', {}, t('take.pictures')), el(doc, 'p', { class: 'muted sub' }, t('take.picturesAbout')), pictures, problem,
    ]),
    ...(charts.length === 0 || !canEmbed ? [] : [
      el(doc, 'h3', {}, t('take.embed')), el(doc, 'p', { class: 'muted sub' }, t('take.embedAbout')),
      el(doc, 'label', { class: 'field' }, el(doc, 'span', { class: 'field-label' }, t('take.chart')), select), code, copy,
    ]),
    el(doc, 'form', { method: 'dialog', class: 'take-end' }, el(doc, 'button', { type: 'submit', class: 'button' }, t('nav.close'))),
  );
  doc.body.append(box);
  box.addEventListener('close', () => box.remove());
  box.showModal?.();
}
