// @ts-check
// The cards of the charts, each made from the template in index.html and one descriptor.

import { inSlices } from '../breathe.js';
import { readAnswer } from '../model/answer.js';
import { FEW, ROWS_PARAM, asksOf, mostOf, nextRows } from '../model/rows.js';
import { plain } from '../model/values.js';
import { renderSegments } from './controls.js';
import { currentZone, formatCount, isUtcDays } from '../format.js';
import { language, t, translate } from '../i18n.js';
import { barChange, shareText } from '../chart-kit/bars.js';
import { byId, el, find, rebuild, setText, showText } from './dom.js';
import { renderTable } from './table.js';

/** The title of a chart. @param {{ id: string }} chart */
export const titleOf = ({ id }) => t(/** @type {import('../i18n.js').Key} */ (`chart.${id}.title`));

/** Ids of the charts of which the API lists only the most frequent entries. @param {readonly Chart[]} charts */
export const listedBy = (charts) => charts.filter(({ isBound }) => isBound).map(({ id }) => id);

/** The parameter of the address that names hidden series: `CHART.CHOICE.SERIES`, with commas. */
export const HIDE_PARAM = 'hide';

/**
 * @typedef {import('../chart-kit/types').Chart<any>} Chart
 * @typedef {import('../model/answer.js').Answer} Answer
 * @typedef {{ answer: Answer, networks: readonly string[], choices: Readonly<Record<string, string>>, events?: import('../chart-kit/types').ChartOptionsOfReader['events'], earlier?: import('../chart-kit/types').ChartOptionsOfReader['earlier'], nowMs?: number }} Shown
 * @typedef {{ charts: { chart: Chart, view: any, legend: { label: string, colour: string }[] }[], rankings: { chart: Chart, ranking: { bars: import('../chart-kit/types').Bar[], all: number } }[] }} Drawn
 */

/**
 * Adds a card per chart to the page.
 * @param {{
 *   doc: Document, charts: Chart[], drawer: Pick<import('../chart-kit/draw.js').Drawer, 'draw'>,
 *   onChoice: (param: string, option: string) => void, onFocus?: (type: string, key: string) => void, holder?: string, only?: string | null,
 * }} parts `onChoice` is called when the reader
 *   chooses what a chart draws, with an empty option for the first one
 *   `only` is the id of the one card that stays, in the page of somebody else
 * @returns {{ render: (shown: Shown, isMeant?: (chart: Chart) => boolean, since?: number) => void, done: () => Promise<void>, drawn: () => Drawn }} `render` shows an answer on
 *   all cards, or on those that are meant, with pauses, as the rest of work that began at `since` by `performance.now()`; `done` resolves when it is shown; `drawn` is what the cards show when they are done
 */
export function createCards({ doc, charts, drawer, onChoice, onFocus, holder = 'charts', only = null }) {
  const listed = listedBy(charts);
  const cards = charts.map((chart) => ({ ...createCard({ doc, chart, listed, drawer, onChoice, onFocus }), chart, isDue: false }));
  byId(doc, holder).replaceChildren(...cards.map(({ node }) => node));
  for (const { node, chart } of cards) node.toggleAttribute('data-embedded', chart.id === only);
  /** The last round of rendering; an earlier one ends when another starts. @type {Promise<void> | undefined} */
  let round;
  /** @param {number} [since] @returns {Promise<void>} */
  function renderDue(since) {
    /** @type {Promise<void>} */
    const mine = inSlices(cards, (card) => {
      if (!card.isDue) return;
      card.isDue = false;
      card.render();
    }, () => round === mine, since);
    return mine;
  }
  return {
    render(shown, isMeant = () => true, since) {
      for (const card of cards) {
        card.hold(shown);
        card.isDue ||= isMeant(card.chart);
      }
      round = renderDue(since);
    },
    async done() {
      for (let last; last !== round;) {
        last = round;
        await last;
      }
    },
    drawn() {
      const all = cards.map(({ drawn }) => drawn()).filter(({ isEmpty }) => !isEmpty);
      return { charts: all, rankings: all.flatMap(({ chart, view }) => (chart.ranking ? [{ chart, ranking: chart.ranking(view) }] : [])) };
    },
  };
}

/** @param {{ doc: Document, chart: Chart, listed: readonly string[] } & Pick<Parameters<typeof createCards>[0], 'drawer' | 'onChoice' | 'onFocus'>} parts */
function createCard({ doc, chart, listed, drawer, onChoice, onFocus }) {
  const template = /** @type {HTMLTemplateElement} */ (byId(doc, 'card'));
  const node = find(/** @type {DocumentFragment} */ (doc.importNode(template.content, true)), '.card');
  /** @param {string} selector */
  const part = (selector) => find(node, selector);
  const canvas = /** @type {HTMLCanvasElement} */ (part('canvas'));
  const details = /** @type {HTMLDetailsElement} */ (part('details'));
  /** @type {Shown} */
  let last = { answer: readAnswer(null, 0), networks: [], choices: {} };

  node.classList.add(chart.size);
  node.setAttribute('aria-labelledby', `${chart.id}-title`);
  const title = part('h2');
  title.id = `${chart.id}-title`;
  part('.plot').classList.add(chart.height);
  const bars = chart.ranking ? el(doc, 'ol', { class: 'bars', 'aria-labelledby': title.id }) : null;
  if (bars) canvas.replaceWith(bars);
  const finder = bars && chart.finds && onFocus ? findField() : null;
  if (finder) part('.card-head').append(finder.node);
  // What is shown has the id: the bars stand in place of the canvas.
  (bars ?? canvas).id = `chart-${chart.id}`;
  if (chart.hasBrush) {
    const plot = part('.plot');
    plot.tabIndex = 0;
    plot.setAttribute('role', 'application');
  }
  if (!chart.choice) part('.choice').remove();
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
    finder?.label();
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

  const hiddenAll = () => (last.choices[HIDE_PARAM] ?? '').split(',').filter(Boolean);
  const hidePrefix = () => `${chart.id}.${choiceOf() ?? ''}.`;
  /** Keys of the series that are hidden in what is drawn now. @returns {Set<string>} */
  const hiddenKeys = () => new Set(hiddenAll().flatMap((name) => (name.startsWith(hidePrefix()) ? [name.slice(hidePrefix().length)] : [])));

  function viewOf() {
    const choice = choiceOf();
    return chart.view(last.answer, { choice, hidden: hiddenKeys(), networks: last.networks, events: last.events, earlier: last.earlier, nowMs: last.nowMs });
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
    rebuild(legend, series.map(({ key, colour }) => `${key} ${colour}`), () => series.map(({ key, label, colour, isDashed }) => {
      const swatch = el(doc, 'span', { class: isDashed ? 'swatch swatch-dashed' : 'swatch', 'aria-hidden': 'true' });
      // Through the style object, which a strict content policy allows, unlike a style attribute.
      swatch.style.setProperty('--swatch', `var(--${colour})`);
      const button = el(doc, 'button', { type: 'button', class: 'legend-item', 'data-series': key }, swatch, label);
      button.addEventListener('click', () => {
        const name = `${hidePrefix()}${key}`;
        onChoice(HIDE_PARAM, (hiddenAll().includes(name) ? hiddenAll().filter((other) => other !== name) : [...hiddenAll(), name]).join(','));
      });
      return button;
    }));
    for (const button of legend.querySelectorAll('button')) button.setAttribute('aria-pressed', String(!hiddenKeys().has(button.dataset.series ?? '')));
  }

  /** A field that filters the bars. Enter turns the page to what is written in it, also when that is not among them. */
  function findField() {
    const input = el(doc, 'input', { type: 'search', autocomplete: 'off', class: 'bar-find', 'data-find': chart.id });
    const value = () => input.value.trim().replace(/^#/, '');
    input.addEventListener('input', () => renderFound());
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && input.value) {
        event.stopPropagation();
        input.value = '';
        renderFound();
      }
      if (event.key === 'Enter') turnTo(value());
    });
    return {
      node: input,
      value,
      label() {
        const name = t(/** @type {import('../i18n.js').Key} */ (`bars.find.${chart.id}`));
        input.placeholder = name;
        input.setAttribute('aria-label', name);
      },
    };
  }
  const renderFound = () => {
    const ranking = chart.ranking?.(viewOf());
    if (ranking) renderBars(ranking);
  };
  /** @param {string} key what the field has, without `#` */
  function turnTo(key) {
    if (!key || !chart.finds) return;
    const known = chart.ranking?.(viewOf()).bars.find(({ focus }) => focus && plain(focus.key) === plain(key));
    onFocus?.(chart.finds, known?.focus?.key ?? key);
  }

  /** @param {{ bars: import('../chart-kit/types').Bar[], all: number }} ranking */
  function renderBars(ranking) {
    if (!bars) return;
    const longest = Math.max(1, ...ranking.bars.map(({ value, error }) => value + error));
    const error = Math.max(0, ...ranking.bars.map((bar) => bar.error));
    const sought = finder?.value() ?? '';
    const found = ranking.bars.filter(({ label }) => plain(label).includes(plain(sought)));
    const rows = last.choices[ROWS_PARAM] ?? '';
    const shown = sought ? found : found.slice(0, mostOf(rows, chart.id));
    const isWhole = !chart.isBound || ranking.bars.length < asksOf(rows, listed);
    const next = sought ? null : nextRows(rows, chart.id, { length: ranking.bars.length, isWhole });
    // An entry that the list of before lacks has bounds too, but no change that could be said.
    bars.toggleAttribute('data-bounds', ranking.bars.some(({ error, before }) => error > 0 || (before && before.low > 0 && before.low !== before.high)));
    const isMoreHeld = doc.activeElement?.matches('.more button') && bars.contains(doc.activeElement);
    rebuild(bars, [rows, sought, String(ranking.all), ...ranking.bars.map((bar) => JSON.stringify(bar))], () => [
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
          el(doc, 'span', { class: 'bar-share muted' }, ranking.all ? shareText(bar, ranking.all) : ''),
          el(doc, 'span', { class: 'bar-change' }, bar.before === undefined ? '' : barChange(bar) || '–'), track,
        );
      }),
      ...(shown.length === 0 ? [el(doc, 'li', { class: 'more' }, turnButton(sought))] : []),
      ...(isWhole && ranking.bars.length > FEW && shown.length === ranking.bars.length && error > 0 ? [el(doc, 'li', { class: 'more muted' }, t('bars.missing', { n: error }))] : []),
      ...(next ? [el(doc, 'li', { class: 'more' }, moreButton(next))] : []),
    ]);
    if (isMoreHeld) /** @type {HTMLElement | null} */ (bars.querySelector('.more button'))?.focus({ preventScroll: true });
  }

  /** @param {string} name */
  function turnButton(name) {
    const button = el(doc, 'button', { type: 'button', class: 'link' }, t('bars.turn', { name }));
    button.addEventListener('click', () => turnTo(name));
    return button;
  }

  /** @param {NonNullable<ReturnType<typeof nextRows>>} next */
  function moreButton({ n, isAll, rows }) {
    const label = n === null ? t('card.showEvery') : t(isAll ? 'card.showAll' : 'card.showSome', { n });
    const button = el(doc, 'button', { type: 'button', class: 'link' }, label);
    button.addEventListener('click', () => onChoice(ROWS_PARAM, rows));
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

  /** Shows the answer that is held. */
  function render() {
    label();
    const view = viewOf();
    const empty = chart.empty?.(view) ?? '';
    setText(part('.zone'), t(isUtcDays(last.answer.stepMs) ? 'marks.zoneUtcDays' : 'marks.zone', { zone: currentZone().id }));
    renderChoice();
    renderLegend(chart.series?.(view) ?? []);
    showText(part('.lead'), chart.lead?.(last.choices) ?? '');
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
  if (chart.choice) {
    const { param } = chart.choice;
    part('.choice').addEventListener('change', (event) => {
      const option = /** @type {HTMLInputElement} */ (event.target).value;
      onChoice(param, option === options()[0]?.id ? '' : option);
    });
  }
  label();
  renderChoice();
  renderLegend(chart.series?.(viewOf()) ?? []);
  /** What is drawn now, without the series that are hidden. */
  const drawn = () => {
    const view = viewOf();
    return { chart, view, isEmpty: (chart.empty?.(view) ?? '') !== '' || last.answer.total?.posts === 0, legend: (chart.series?.(view) ?? []).filter(({ key }) => !hiddenKeys().has(key)) };
  };
  /** @param {Shown} shown */
  const hold = (shown) => { last = shown; };
  return { node, hold, render, drawn };
}
