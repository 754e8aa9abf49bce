// @ts-check
// The cards of the charts, each made from the template in index.html and one descriptor.

import { readAnswer } from '../model/answer.js';
import { renderSegments } from './controls.js';
import { byId, el, find, rebuild, setText, showText } from './dom.js';
import { renderTable } from './table.js';

/**
 * @typedef {import('../chart-kit/types').Chart<any>} Chart
 * @typedef {import('../model/answer.js').Answer} Answer
 * @typedef {{ answer: Answer, networks: readonly string[], choices: Readonly<Record<string, string>> }} Shown
 */

/**
 * Adds a card per chart to the page.
 * @param {{
 *   doc: Document, charts: Chart[], drawer: Pick<import('../chart-kit/draw.js').Drawer, 'draw'>, zone: string,
 *   onChoice: (param: string, option: string) => void,
 * }} parts `zone` names the time zone of the axes; `onChoice` is called when the reader
 *   chooses what a chart draws, with an empty option for the first one
 * @returns {{ render: (shown: Shown) => void }} `render` draws an answer on all cards
 */
export function createCards({ doc, charts, drawer, zone, onChoice }) {
  const cards = charts.map((chart) => createCard({ doc, chart, drawer, zone, onChoice }));
  byId(doc, 'charts').replaceChildren(...cards.map(({ node }) => node));
  return { render: (shown) => cards.forEach(({ render }) => render(shown)) };
}

/** @param {{ doc: Document, chart: Chart } & Pick<Parameters<typeof createCards>[0], 'drawer' | 'zone' | 'onChoice'>} parts */
function createCard({ doc, chart, drawer, zone, onChoice }) {
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
  title.textContent = chart.title;
  showText(part('.lead'), chart.lead ?? '');
  part('.plot').classList.add(chart.height);
  canvas.id = `chart-${chart.id}`;
  canvas.setAttribute('aria-label', chart.title);
  part('.keys').hidden = !chart.hasMarks;
  part('.zone').textContent = `Times in ${zone}`;
  details.dataset.table = chart.id;
  part('summary').textContent = `Show ${chart.noun} as a table`;
  part('.table').setAttribute('aria-label', `${chart.title}, table`);

  const options = () => chart.choice?.options(last.answer) ?? [];
  /** The option that is drawn: the chosen one if the answer offers it, otherwise the first. */
  function choiceOf() {
    const chosen = chart.choice && last.choices[chart.choice.param];
    return (options().find(({ id }) => id === chosen) ?? options()[0])?.id ?? null;
  }

  function viewOf() {
    const choice = choiceOf();
    if (!hidden.has(choice)) hidden.set(choice, new Set());
    return chart.view(last.answer, { choice, hidden: hidden.get(choice) ?? new Set(), networks: last.networks });
  }

  function renderChoice() {
    if (!chart.choice) return;
    const chosen = choiceOf();
    part('.choice').hidden = options().length < 2;
    setText(part('.choice-label'), chart.choice.label);
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

  /** The table is filled only while it is open. */
  function renderNumbers() {
    if (details.open) renderTable(doc, part('.table'), chart.title, chart.table(viewOf()));
  }

  /** @param {Shown} shown */
  function render(shown) {
    last = shown;
    const view = viewOf();
    const empty = chart.empty?.(view) ?? '';
    renderChoice();
    renderLegend(chart.series?.(view) ?? []);
    showText(part('.none'), empty);
    showText(part('.note'), chart.note?.(view) ?? '');
    part('.plot').hidden = empty !== '';
    canvas.setAttribute('aria-label', chart.summary(view));
    if (empty === '') drawer.draw(canvas, chart, view);
    renderNumbers();
  }

  details.addEventListener('toggle', renderNumbers);
  part('.choice').addEventListener('change', (event) => {
    const option = /** @type {HTMLInputElement} */ (event.target).value;
    if (chart.choice) onChoice(chart.choice.param, option === options()[0]?.id ? '' : option);
  });
  renderChoice();
  renderLegend(chart.series?.(viewOf()) ?? []);
  return { node, render };
}
