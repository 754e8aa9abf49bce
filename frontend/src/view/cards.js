// @ts-check
// The cards of the charts, each made from the template in index.html and one descriptor.

import { readAnswer } from '../model/answer.js';
import { renderSegments } from './controls.js';
import { currentZone, formatCount } from '../format.js';
import { language, t, translate } from '../i18n.js';
import { shareText } from '../chart-kit/bars.js';
import { byId, el, find, rebuild, setText, showText } from './dom.js';
import { renderTable } from './table.js';

/** Bars that are shown at first, and after one click. */
const FEW = 12;
const MANY = 50;

/**
 * @typedef {import('../chart-kit/types').Chart<any>} Chart
 * @typedef {import('../model/answer.js').Answer} Answer
 * @typedef {{ answer: Answer, networks: readonly string[], choices: Readonly<Record<string, string>>, events?: import('../chart-kit/types').ChartOptionsOfReader['events'], nowMs?: number }} Shown
 */

/**
 * Adds a card per chart to the page.
 * @param {{
 *   doc: Document, charts: Chart[], drawer: Pick<import('../chart-kit/draw.js').Drawer, 'draw'>,
 *   onChoice: (param: string, option: string) => void, onFocus?: (type: string, key: string) => void, holder?: string,
 * }} parts `onChoice` is called when the reader
 *   chooses what a chart draws, with an empty option for the first one
 * @returns {{ render: (shown: Shown) => void }} `render` draws an answer on all cards
 */
export function createCards({ doc, charts, drawer, onChoice, onFocus, holder = 'charts' }) {
  const cards = charts.map((chart) => createCard({ doc, chart, drawer, onChoice, onFocus }));
  byId(doc, holder).replaceChildren(...cards.map(({ node }) => node));
  return { render: (shown) => cards.forEach(({ render }) => render(shown)) };
}

/** @param {{ doc: Document, chart: Chart } & Pick<Parameters<typeof createCards>[0], 'drawer' | 'onChoice' | 'onFocus'>} parts */
function createCard({ doc, chart, drawer, onChoice, onFocus }) {
  const template = /** @type {HTMLTemplateElement} */ (byId(doc, 'card'));
  const node = find(/** @type {DocumentFragment} */ (doc.importNode(template.content, true)), '.card');
  /** @param {string} selector */
  const part = (selector) => find(node, selector);
  const canvas = /** @type {HTMLCanvasElement} */ (part('canvas'));
  const details = /** @type {HTMLDetailsElement} */ (part('details'));
  // Hidden series, by the choice that they belong to.
  /** @type {Map<string | null, Set<string>>} */
  const hidden = new Map();
  /** @type {Shown} */
  let last = { answer: readAnswer(null, 0), networks: [], choices: {} };

  node.classList.add(chart.size);
  node.setAttribute('aria-labelledby', `${chart.id}-title`);
  const title = part('h2');
  title.id = `${chart.id}-title`;
  part('.plot').classList.add(chart.height);
  const bars = chart.ranking ? el(doc, 'ol', { class: 'bars', 'aria-labelledby': title.id }) : null;
  if (bars) canvas.replaceWith(bars);
  canvas.id = `chart-${chart.id}`;
  if (chart.hasBrush) {
    const plot = part('.plot');
    plot.tabIndex = 0;
    plot.setAttribute('role', 'group');
  }
  part('.keys').hidden = !chart.hasMarks;
  details.dataset.table = chart.id;

  /** @param {string} name */
  const text = (name) => t(/** @type {import('../i18n.js').Key} */ (`chart.${chart.id}.${name}`));
  /** The language of the texts that stay. */
  let labelled = '';
  /** Writes them. */
  function label() {
    if (labelled === language()) return;
    labelled = language();
    translate(node);
    setText(title, text('title'));
    canvas.setAttribute('aria-label', text('title'));
    showText(part('.lead'), chart.lead?.() ?? '');
    if (chart.hasBrush) part('.plot').setAttribute('aria-label', t('card.brush', { title: text('title') }));
    setText(part('summary'), text('asTable'));
    part('.table').setAttribute('aria-label', t('card.table', { title: text('title') }));
  }

  const options = () => chart.choice?.options(last.answer) ?? [];
  /** The option that is drawn: the chosen one if the answer offers it, otherwise the first. */
  function choiceOf() {
    const chosen = chart.choice && last.choices[chart.choice.param];
    return (options().find(({ id }) => id === chosen) ?? options()[0])?.id ?? null;
  }

  function viewOf() {
    const choice = choiceOf();
    if (!hidden.has(choice)) hidden.set(choice, new Set());
    return chart.view(last.answer, { choice, hidden: hidden.get(choice) ?? new Set(), networks: last.networks, events: last.events, nowMs: last.nowMs });
  }

  function renderChoice() {
    if (!chart.choice) return;
    const chosen = choiceOf();
    part('.choice').hidden = options().length < 2;
    setText(part('.choice-label'), chart.choice.label());
    renderSegments(doc, part('.choice-options'), { type: 'radio', name: chart.choice.param, options: options(), chosen: (id) => id === chosen });
  }

  /** @param {import('../chart-kit/types').Series[]} series */
  function renderLegend(series) {
    const legend = part('.legend');
    legend.hidden = series.length === 0;
    const isHidden = (/** @type {string} */ key) => hidden.get(choiceOf())?.has(key) ?? false;
    rebuild(legend, series.map(({ key, colour }) => `${key} ${colour}`), () => series.map(({ key, label, colour }) => {
      const swatch = el(doc, 'span', { class: 'swatch', 'aria-hidden': 'true' });
      // Through the style object, which a strict content policy allows, unlike a style attribute.
      swatch.style.setProperty('--swatch', `var(--${colour})`);
      const button = el(doc, 'button', { type: 'button', class: 'legend-item', 'data-series': key }, swatch, label);
      button.addEventListener('click', () => {
        const keys = hidden.get(choiceOf());
        if (keys && !keys.delete(key)) keys.add(key);
        render(last);
      });
      return button;
    }));
    for (const button of legend.querySelectorAll('button')) button.setAttribute('aria-pressed', String(!isHidden(button.dataset.series ?? '')));
  }

  /** How many bars are shown. */
  let most = FEW;

  /** @param {{ bars: import('../chart-kit/types').Bar[], all: number }} ranking */
  function renderBars(ranking) {
    if (!bars) return;
    const longest = Math.max(1, ...ranking.bars.map(({ value, error }) => value + error));
    const shown = ranking.bars.slice(0, most);
    rebuild(bars, [String(most), String(ranking.all), ...ranking.bars.map((bar) => JSON.stringify(bar))], () => [
      ...shown.map((bar) => {
        const { focus } = bar;
        const name = focus && onFocus ? el(doc, 'button', { type: 'button', class: 'link' }, bar.label) : el(doc, 'span', { title: bar.note }, bar.label);
        if (focus && onFocus) name.addEventListener('click', () => onFocus(focus.type, focus.key));
        const track = el(doc, 'span', { class: 'bar-track', 'aria-hidden': 'true' });
        // Through the style object, which a strict content policy allows, unlike a style attribute.
        track.style.setProperty('--part', `${(100 * bar.value) / longest}%`);
        track.style.setProperty('--bound', `${(100 * (bar.value + bar.error)) / longest}%`);
        const value = bar.error > 0 ? t('tile.between', { low: bar.value, high: bar.value + bar.error }) : formatCount(bar.value);
        return el(
          doc, 'li', {}, name, el(doc, 'span', { class: 'bar-value' }, value),
          el(doc, 'span', { class: 'bar-share muted' }, ranking.all ? shareText(bar, ranking.all) : ''), track,
        );
      }),
      ...(ranking.bars.length > FEW ? [el(doc, 'li', { class: 'more' }, moreButton(ranking))] : []),
    ]);
  }

  /** @param {{ bars: import('../chart-kit/types').Bar[], all: number }} ranking */
  function moreButton(ranking) {
    const isAll = most >= ranking.bars.length;
    const next = isAll ? FEW : most < MANY && ranking.bars.length > MANY ? MANY : Infinity;
    const button = el(doc, 'button', { type: 'button', class: 'link' }, isAll ? t('card.showSome', { n: FEW }) : next === Infinity ? t('card.showAll', { n: ranking.bars.length }) : t('card.showSome', { n: MANY }));
    button.addEventListener('click', () => {
      most = next;
      renderBars(ranking);
      /** @type {HTMLElement | null | undefined} */ (bars?.querySelector('.more button'))?.focus();
    });
    return button;
  }

  /** @param {{ letter: string, time: string, text: string }[]} marks */
  function renderAnnotations(marks) {
    const holder = part('.annotations');
    holder.hidden = marks.length === 0;
    rebuild(holder, marks.map(({ letter, time, text }) => `${letter} ${time} ${text}`), () => marks.map(({ letter, time, text }) => el(
      doc, 'li', {}, el(doc, 'span', { class: 'letter' }, letter), el(doc, 'strong', {}, time), ` ${text}`,
    )));
  }

  /** The table is filled only while it is open. */
  function renderNumbers() {
    if (details.open) renderTable(doc, part('.table'), text('title'), chart.table(viewOf()));
  }

  /** @param {Shown} shown */
  function render(shown) {
    last = shown;
    label();
    const view = viewOf();
    const empty = chart.empty?.(view) ?? '';
    setText(part('.zone'), t('marks.zone', { zone: currentZone().id }));
    renderChoice();
    renderLegend(chart.series?.(view) ?? []);
    showText(part('.none'), empty);
    showText(part('.note'), chart.note?.(view) ?? '');
    part('.plot').hidden = empty !== '';
    canvas.setAttribute('aria-label', chart.summary(view));
    renderAnnotations(chart.annotations?.(view) ?? []);
    if (chart.ranking) renderBars(chart.ranking(view));
    else if (empty === '') drawer.draw(canvas, chart, view);
    renderNumbers();
  }

  details.addEventListener('toggle', renderNumbers);
  part('.choice').addEventListener('change', (event) => {
    const option = /** @type {HTMLInputElement} */ (event.target).value;
    if (chart.choice) onChoice(chart.choice.param, option === options()[0]?.id ? '' : option);
  });
  label();
  renderChoice();
  renderLegend(chart.series?.(viewOf()) ?? []);
  return { node, render };
}
