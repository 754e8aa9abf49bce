// @ts-check
// "Take it away": data, pictures and the code to embed a chart. Loaded when the dialog is first opened.

import { shareText } from '../chart-kit/bars.js';
import { formatClock, formatCount, formatDay } from '../format.js';
import { embedCode } from '../model/embed.js';
import { sheetCsv, sheetNdjson } from '../model/sheets.js';
import { readPalette } from '../theme.js';
import { version } from '../../package.json';
import { el } from './dom.js';
import { saveBlob, saveText } from './download.js';

const TEXT = {
  title: 'Take it away',
  about: 'Exactly what the page shows now, with plain numbers. Times carry their difference to UTC.',
  data: 'Data', pictures: 'Pictures', embed: 'Embed one chart',
  picturesAbout: 'With title, range, source and marks. PNG has two pixels for each point; SVG can be scaled and edited.',
  embedAbout: 'The page that embeds it must be allowed by the server’s frame-ancestors setting.',
  chart: 'Chart', copy: 'Copy code', copied: 'Copied', copyFailed: 'Select the code and copy it', close: 'Close', failed: 'The picture could not be made.',
  api: (/** @type {string} */ query) => `The same from the API: ${query}`,
  source: (/** @type {string} */ where, /** @type {string} */ zone, /** @type {string} */ at) => `Source: Birdsong ${version}, ${where}. Times in ${zone}. Made ${at}.`,
};
const EMBED_HEIGHT = 460;

/**
 * @typedef {import('../model/sheets.js').Sheet} Sheet
 * @typedef {{ chart: import('../chart-kit/types').Chart<any>, view: any, title: string, subtitle: string, legend: { label: string, colour: string }[], marks: string[] }} Drawable
 * @typedef {{ sheets: { label: string, make: () => Sheet }[], charts: Drawable[], href: string, suffix: string }} Takeaway
 *   `href` is the view, without embedding; `suffix` ends the names of files
 */

/**
 * @param {Document} doc
 * @param {Takeaway} takeaway
 * @param {{ zone: string, nowMs: number, announce: (text: string) => void }} known
 */
export function openTake(doc, { sheets, charts, href, suffix }, { zone, nowMs, announce }) {
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
    source: TEXT.source(new URL(href).host, zone, `${formatDay(nowMs)}, ${formatClock(nowMs)}`),
    countOf: (/** @type {import('../chart-kit/types').Bar} */ { value, error }) => (error > 0 ? `${formatCount(value)} to ${formatCount(value + error)}` : formatCount(value)),
    shareOf: shareText,
  });
  const problem = el(doc, 'p', { class: 'form-error', role: 'alert', hidden: true });
  /** @param {() => Promise<void>} make */
  const tried = async (make) => {
    problem.hidden = true;
    try {
      await make();
    } catch {
      problem.textContent = TEXT.failed;
      problem.hidden = false;
    }
  };

  const data = rows(sheets.map(({ label, make }) => [label, [
    button('CSV', `${label}, CSV`, () => { const sheet = make(); saveText(doc, file(sheet.name, 'csv'), sheetCsv(sheet)); }),
    button('NDJSON', `${label}, NDJSON`, () => { const sheet = make(); saveText(doc, file(sheet.name, 'ndjson'), sheetNdjson(sheet), 'application/x-ndjson'); }),
  ]]));
  const pictures = rows(charts.map((one) => [one.chart.title, [
    button('PNG', `${one.chart.title}, PNG`, () => tried(async () => {
      const { picturePng } = await import('../picture/picture.js');
      saveBlob(doc, file(one.chart.id, 'png'), await picturePng(doc, pictureOf(one)));
    })),
    button('SVG', `${one.chart.title}, SVG`, () => tried(async () => {
      const { pictureSvg } = await import('../picture/picture.js');
      saveText(doc, file(one.chart.id, 'svg'), pictureSvg(doc, pictureOf(one)), 'image/svg+xml');
    })),
  ]]));

  const select = el(doc, 'select', {}, ...charts.map(({ chart }) => el(doc, 'option', { value: chart.id }, chart.title)));
  const code = el(doc, 'textarea', { readonly: true, rows: 4, spellcheck: 'false', 'aria-label': TEXT.embed });
  const write = () => {
    const one = charts.find(({ chart }) => chart.id === select.value);
    if (one) code.value = embedCode(href, one.chart.id, `${one.title}, ${one.subtitle}`, EMBED_HEIGHT);
  };
  select.addEventListener('change', write);
  write();
  const copy = button(TEXT.copy, TEXT.copy, async () => {
    try {
      await doc.defaultView?.navigator.clipboard.writeText(code.value);
      copy.textContent = TEXT.copied;
    } catch {
      code.select();
      copy.textContent = TEXT.copyFailed;
    }
    announce(copy.textContent);
  });

  const box = el(
    doc, 'dialog', { class: 'help take', id: 'take-box', 'aria-labelledby': 'take-title' },
    el(doc, 'h2', { id: 'take-title' }, TEXT.title), el(doc, 'p', { class: 'muted' }, TEXT.about),
    el(doc, 'h3', {}, TEXT.data), data,
    ...(charts.length === 0 ? [] : [
      el(doc, 'h3', {}, TEXT.pictures), el(doc, 'p', { class: 'muted sub' }, TEXT.picturesAbout), pictures, problem,
      el(doc, 'h3', {}, TEXT.embed), el(doc, 'p', { class: 'muted sub' }, TEXT.embedAbout),
      el(doc, 'label', { class: 'field' }, el(doc, 'span', { class: 'field-label' }, TEXT.chart), select), code, copy,
    ]),
    el(doc, 'form', { method: 'dialog', class: 'take-end' }, el(doc, 'button', { type: 'submit', class: 'button' }, TEXT.close)),
  );
  doc.body.append(box);
  box.addEventListener('close', () => box.remove());
  box.showModal?.();
}
