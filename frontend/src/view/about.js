// @ts-check
// "About these numbers": the method note of a region. Loaded when the dialog is first opened.

import { t } from '../i18n.js';
import { aboutRows } from '../model/about.js';
import { version } from '../../package.json';
import { el } from './dom.js';

const DOCS = 'https://github.com/birdsong-metrics/birdsong/blob/main/docs/';

/**
 * @param {Document} doc
 * @param {Omit<import('../model/about.js').Known, 'version'>} known
 */
export function openAbout(doc, known) {
  doc.getElementById('about-box')?.remove();
  const box = el(
    doc, 'dialog', { class: 'help about', id: 'about-box', 'aria-labelledby': 'about-title' },
    el(doc, 'h2', { id: 'about-title', tabindex: -1, autofocus: true }, t('about.title', { region: known.region.name })),
    el(doc, 'dl', { class: 'about-rows' }, ...aboutRows({ ...known, version }).map(({ title, texts }) => el(doc, 'div', {}, el(doc, 'dt', {}, title), ...texts.map((text) => el(doc, 'dd', {}, text))))),
    el(doc, 'p', {}, el(doc, 'a', { href: `${DOCS}explanation/numbers.md`, target: '_blank', rel: 'noopener' }, t('about.more'))),
    el(doc, 'form', { method: 'dialog', class: 'take-end' }, el(doc, 'button', { type: 'submit', class: 'button' }, t('nav.close'))),
  );
  doc.body.append(box);
  box.addEventListener('close', () => box.remove());
  box.showModal?.();
}
