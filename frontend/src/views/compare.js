// @ts-check
// The page that compares regions, hashtags of a region, or a region with the same time before.

import '../styles/compare.css';
import chart, { lineLook, measureText } from '../charts/compare.js';
import { t, translate } from '../i18n.js';
import { explain } from '../messages.js';
import { LEAST_LINES, MEASURES, MODES, MOST_LINES, PERIOD_DAYS, cleanTag, compareSheet, earlierBy, isEnough, measuresOf, periodLines, readComparison, regionLines, tagLines, toggled, totalsOf } from '../model/compare.js';
import { LINE_FIELDS } from '../model/fields.js';
import { gapSpans } from '../model/flaws.js';
import { coveredText, windowQuery } from '../model/query.js';
import { rankRegions } from '../model/unusual.js';
import { count, list, parseTime, plain } from '../model/values.js';
import { RANGES, rangeById, rangeOf } from '../url-state.js';
import { createCards, titleOf } from '../view/cards.js';
import { renderSegments } from '../view/controls.js';
import { byId, el, find, rebuild, setText, showText } from '../view/dom.js';
import { keepNames } from '../view/table.js';
import { currentZone, formatSpan } from '../format.js';
import { isRange, rangeParams } from '../model/range.js';
import { fieldMoment, fieldValue } from '../model/zone.js';

/** Filtering a list is worth a field beyond this many. */
const LONG_LIST = 12;
/** Hashtags can be asked for over this many seconds at most. */
const LONGEST_SERIES_SECS = 62 * 86_400;
const LONGEST_SERIES_RANGE = '30d';
const DAY_SECS = 86_400;
const SVG = 'http://www.w3.org/2000/svg';

/** @typedef {import('../api.js').Api} Api */

/** @param {import('./types').Context} ctx @returns {import('./types').View} */
export default function createCompare(ctx) {
  const { doc, win, feed, watch, choice, drawer, choose, nameOf } = ctx;
  const section = byId(doc, 'view-compare');
  const group = (/** @type {string} */ id, /** @type {string | null} */ key, /** @type {(Node | string)[]} */ ...children) => el(
    doc, 'fieldset', { class: 'field ranges', id }, el(doc, 'legend', { class: 'field-label', 'data-t': key }), ...children,
  );
  const field = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(doc, id));
  const time = (/** @type {string} */ id, /** @type {string} */ key) => el(doc, 'input', { type: 'datetime-local', id, 'data-t-label': key, step: 60 });
  const times = group(
    'compare-times', 'zone.fromTo', time('compare-from', 'zone.from'), ' ', time('compare-to', 'zone.to'), ' ', el(doc, 'button', { type: 'button', class: 'button', id: 'compare-apply', 'data-t': 'zone.show' }),
    el(doc, 'p', { class: 'muted sub', id: 'compare-times-note', role: 'status', hidden: true }),
  );
  times.classList.add('times');
  const segments = (/** @type {string} */ id) => el(doc, 'div', { class: 'segments', id });
  const tagForm = el(
    doc, 'form', { class: 'compare-tag' },
    el(doc, 'label', { class: 'field' }, el(doc, 'span', { class: 'field-label', 'data-t': 'compare.tag' }), el(doc, 'input', { type: 'text', id: 'compare-tag', autocomplete: 'off', list: 'compare-tags', maxlength: 140 })),
    el(doc, 'datalist', { id: 'compare-tags' }), el(doc, 'button', { type: 'submit', class: 'button', 'data-t': 'compare.add' }),
  );
  section.replaceChildren(
    el(doc, 'section', { class: 'front', 'aria-labelledby': 'compare-heading' }, el(doc, 'h2', { class: 'sentence', id: 'compare-heading', 'data-t': 'compare.title' })),
    el(
      doc, 'section', { class: 'compare-controls', 'data-t-label': 'compare.controls' },
      el(doc, 'div', { class: 'pickers' }, group('compare-mode-field', 'compare.title', segments('compare-mode')), group('compare-range-field', 'region.range', segments('compare-range')), times),
      el(
        doc, 'div', { class: 'compare-choice' },
        el(doc, 'label', { class: 'field', id: 'compare-region-field' }, el(doc, 'span', { class: 'field-label', 'data-t': 'compare.region' }), el(doc, 'select', { id: 'compare-region' })),
        group('compare-periods-field', 'compare.periods', segments('compare-periods')),
        tagForm, el(doc, 'ul', { class: 'compare-chips', id: 'compare-chips' }),
        group('compare-regions-field', null, el(doc, 'input', { type: 'search', id: 'compare-find', 'data-t-label': 'compare.find', 'data-t-placeholder': 'compare.find', autocomplete: 'off' }), el(doc, 'div', { class: 'compare-list', id: 'compare-regions' })),
      ),
    ),
    el(doc, 'p', { class: 'muted', id: 'compare-text', role: 'status' }),
    el(doc, 'div', { id: 'compare-card' }),
    el(doc, 'section', { id: 'compare-totals-box', 'aria-labelledby': 'compare-totals-title' }, el(doc, 'h2', { id: 'compare-totals-title', 'data-t': 'compare.totals' }), el(doc, 'div', { class: 'table stacks compare-totals', id: 'compare-totals', role: 'region', 'data-t-label': 'compare.totalsTable', tabindex: 0 })),
    el(doc, 'p', {}, el(doc, 'button', { type: 'button', class: 'button', id: 'take-compare', 'aria-haspopup': 'dialog', 'data-t': 'take.open' })),
  );
  translate(section);
  const cards = createCards({
    doc, drawer, charts: [chart], holder: 'compare-card',
    onChoice: (param, option) => { ctx.keep(param, option); render(); },
  });
  /** The mode that is being filled while the address names none. @type {import('../model/compare.js').Mode | null} */
  let opened = null;

  function comparison() {
    const read = readComparison(choice.choices, choice.region);
    const isEmpty = read.mode === 'regions' && read.regions.length === 0;
    return { ...read, mode: isEmpty && opened ? opened : read.mode, regions: feed.regions ? read.regions.filter((id) => feed.regions?.some((one) => one.id === id)) : read.regions };
  }
  const range = () => {
    const chosen = rangeOf(choice);
    if (comparison().mode !== 'tags' || chosen.secs <= LONGEST_SERIES_SECS) return chosen;
    // The last days of a range that is too long for series of hashtags.
    return chosen.to === undefined ? rangeById(LONGEST_SERIES_RANGE) : { ...rangeById(LONGEST_SERIES_RANGE), from: chosen.to - 1000 * rangeById(LONGEST_SERIES_RANGE).secs, to: chosen.to };
  };
  /** @param {Record<string, string>} params @param {string | null} [region] */
  const change = (params, region = choice.region) => choose({ region, choices: { ...choice.choices, ...params } });

  // --- asking -------------------------------------------------------------------------------

  function wanted() {
    const one = comparison();
    if (!isEnough(one) || feed.regions === null) return { compare: null };
    const { mode, regions, tags, periods } = one;
    const region = one.region ?? '';
    const networks = mode === 'tags' ? [] : choice.networks;
    const { query } = windowQuery({
      region: mode === 'regions' ? regions.join(',') : region, range: range(), networks, windowSecs: count(feed.overview?.window_secs) || 300,
      nowMs: Math.min(feed.nowMs(), parseTime(choice.choices.until) ?? Infinity), newestMs: parseTime(feed.overview?.newest_post),
    });
    const asked = { ...query, ...LINE_FIELDS };
    return {
      compare: {
        subject: subject(),
        ask: async (/** @type {Api} */ api) => {
          if (mode === 'regions') return { answers: await api.windowsOf(regions, asked) };
          const base = await api.windows(asked);
          if (mode === 'periods') return { base, earlier: await Promise.all(periods.map((period) => api.windows({ ...asked, ...earlierBy(query, period) }))) };
          const step = String(Math.min(DAY_SECS, count(base.step_secs)));
          return { base, series: await Promise.all(tags.map((tag) => api.series({ region, tag, from: base.from ?? '', to: base.to ?? '', step }))) };
        },
      },
    };
  }
  /** A named range; an absolute one is left. @param {string} id */
  const chooseRange = (id) => choose({ range: id, choices: { ...choice.choices, from: '', to: '' } });
  const subject = () => { const { mode, regions, tags, periods, region } = comparison(); return [mode, regions, tags, periods, region, range().id, range().from, range().to, choice.networks, choice.choices.until].join('|'); };

  /** The lines that are known, and the time that they cover. */
  function compared() {
    const one = comparison();
    const value = isEnough(one) ? watch.get('compare') : null;
    if (!value) return null;
    const nowMs = feed.nowMs();
    const lines = one.mode === 'regions' ? regionLines(value.answers ?? [], { order: one.regions, nameOf, nowMs })
      : one.mode === 'tags' ? tagLines(value.series ?? [], { tags: one.tags, base: value.base, nowMs })
        : periodLines(value.base, value.earlier ?? [], { periods: one.periods, labelOf: (period) => t(/** @type {import('../i18n.js').Key} */ (`compare.period.${period || 'now'}`)), nowMs });
    const base = value.base ?? value.answers?.[0];
    const note = one.mode === 'tags' ? [t('compare.bounds'), choice.networks.length ? t('compare.allNetworks') : '', range().secs < rangeOf(choice).secs ? t('compare.longest') : ''].filter(Boolean).join(' ') : '';
    return { lines, measures: measuresOf(one.mode), from: parseTime(base?.from), to: parseTime(base?.to), note };
  }

  // --- showing ------------------------------------------------------------------------------

  function showControls() {
    const one = comparison();
    renderSegments(doc, byId(doc, 'compare-mode'), { type: 'radio', name: 'compare-mode', options: MODES.map((id) => ({ id, label: t(`compare.modes.${id}`) })), chosen: (id) => id === one.mode });
    renderSegments(doc, byId(doc, 'compare-range'), { type: 'radio', name: 'compare-range', options: RANGES, chosen: (id) => id === range().id });
    renderSegments(doc, byId(doc, 'compare-periods'), { type: 'checkbox', name: 'compare-period', options: Object.keys(PERIOD_DAYS).map((id) => ({ id, label: t(/** @type {import('../i18n.js').Key} */ (`compare.period.${id}`)) })), chosen: (id) => one.periods.includes(id) });
    const shown = compared();
    if (shown && shown.from !== null && shown.to !== null && !times.contains(doc.activeElement)) {
      field('compare-from').value = fieldValue(currentZone(), shown.from);
      field('compare-to').value = fieldValue(currentZone(), Math.min(shown.to, feed.nowMs()));
    }
    byId(doc, 'compare-region-field').hidden = one.mode === 'regions';
    byId(doc, 'compare-periods-field').hidden = one.mode !== 'periods';
    tagForm.hidden = one.mode !== 'tags';
    byId(doc, 'compare-regions-field').hidden = one.mode !== 'regions';

    const regions = feed.regions ?? [];
    const select = /** @type {HTMLSelectElement} */ (byId(doc, 'compare-region'));
    rebuild(select, regions.map(({ id }) => id), () => regions.map(({ id, name }) => el(doc, 'option', { value: id }, name)));
    select.value = choice.region ?? '';
    rebuild(byId(doc, 'compare-tags'), list(feed.windows?.total?.hashtags).map(({ tag }) => tag ?? ''), () => list(feed.windows?.total?.hashtags).map(({ tag }) => el(doc, 'option', { value: tag })));

    const chips = byId(doc, 'compare-chips');
    chips.hidden = one.mode !== 'tags' || one.tags.length === 0;
    rebuild(chips, one.tags, () => one.tags.map((tag) => {
      const button = el(doc, 'button', { type: 'button', class: 'chip-remove', 'aria-label': t('compare.remove', { name: `#${tag}` }) }, '×');
      button.addEventListener('click', () => change({ tags: toggled(one.tags, tag).join(',') }));
      return el(doc, 'li', {}, `#${tag}`, button);
    }));
    showRegionList();
  }

  function showRegionList() {
    const { regions: chosen } = comparison();
    const regions = feed.regions ?? [];
    const search = /** @type {HTMLInputElement} */ (byId(doc, 'compare-find'));
    search.hidden = regions.length <= LONG_LIST;
    setText(find(byId(doc, 'compare-regions-field'), 'legend'), t('compare.regions', { n: chosen.length, most: MOST_LINES }));
    const holder = byId(doc, 'compare-regions');
    rebuild(holder, regions.map(({ id }) => id), () => regions.map(({ id, name }) => el(
      doc, 'label', { class: 'compare-box' }, el(doc, 'input', { type: 'checkbox', value: id }), el(doc, 'span', {}, name),
    )));
    for (const input of holder.querySelectorAll('input')) {
      input.checked = chosen.includes(input.value);
      input.disabled = !input.checked && chosen.length >= MOST_LINES;
      const label = /** @type {HTMLElement} */ (input.parentElement);
      label.hidden = !input.checked && !plain(`${label.textContent} ${input.value}`).includes(plain(search.value.trim()));
    }
  }

  /** What is missing from a line, in words. @param {import('../model/compare.js').Line} line */
  function completeness({ steps }) {
    const spans = gapSpans(steps.map(({ window }) => window));
    const last = spans.at(-1);
    if (!last) return t('coverage.complete');
    const gap = t(`coverage.${last.kind}`, { time: formatSpan(last.start, last.end) });
    return spans.length > 1 ? t('coverage.more', { gap, n: spans.length - 1 }) : gap;
  }

  /** A piece of the line as it is drawn. @param {number} i */
  function sample(i) {
    const look = lineLook(i);
    const svg = doc.createElementNS(SVG, 'svg');
    const path = doc.createElementNS(SVG, 'line');
    for (const [name, value] of Object.entries({ viewBox: '0 0 44 12', 'aria-hidden': 'true', class: 'compare-sample' })) svg.setAttribute(name, value);
    for (const [name, value] of Object.entries({ x1: 1, x2: 43, y1: 6, y2: 6, 'stroke-width': look.width, 'stroke-dasharray': look.dash.join(' ') })) path.setAttribute(name, String(value));
    path.style.setProperty('stroke', `var(--${look.colour})`);
    svg.append(path);
    return svg;
  }

  /** @param {import('../model/compare.js').Line[]} lines @param {readonly string[]} measures */
  function renderTotals(lines, measures) {
    const rows = lines.map((line) => {
      const totals = totalsOf(line);
      const cells = MEASURES.filter((one) => measures.includes(one)).map((one) => (
        one === 'posts' && !totals.isExact ? t('compare.atMost', { low: totals.posts, high: totals.high }) : measureText(totals[one], one)
      ));
      return [line.label, ...cells, completeness(line)];
    });
    const head = [
      t('compare.line'), t('compare.name'), ...MEASURES.filter((one) => measures.includes(one)).map((one) => t(`compare.measures.${one}`)), t('compare.completeness'),
    ];
    rebuild(byId(doc, 'compare-totals'), rows.flat(), () => [el(
      doc, 'table', {}, el(doc, 'thead', {}, el(doc, 'tr', {}, ...head.map((text) => el(doc, 'th', { scope: 'col' }, text)))),
      el(doc, 'tbody', {}, ...rows.map(([name = '', ...cells], i) => el(doc, 'tr', {}, el(doc, 'td', {}, sample(i)), el(doc, 'th', { scope: 'row' }, name), ...cells.map((text) => el(doc, 'td', {}, text))))),
    )]);
    keepNames(byId(doc, 'compare-totals'));
  }

  function render() {
    const one = comparison();
    const shown = compared();
    const error = watch.errorOf('compare');
    showText(byId(doc, 'compare-text'), !isEnough(one) ? t(`compare.few.${one.mode}`, { least: LEAST_LINES, most: MOST_LINES }) : error ? t('message.keepsTrying', { error: explain(error) }) : shown ? '' : t('page.loading'));
    for (const id of ['compare-card', 'compare-totals-box', 'take-compare']) byId(doc, id).hidden = !shown;
    if (!shown) return;
    cards.render({ answer: /** @type {any} */ (shown), networks: [], choices: choice.choices });
    renderTotals(shown.lines, shown.measures);
  }

  // --- wiring -------------------------------------------------------------------------------

  const valueOf = (/** @type {Event} */ event) => /** @type {HTMLInputElement} */ (event.target).value;
  byId(doc, 'compare-mode').addEventListener('change', (event) => {
    opened = /** @type {import('../model/compare.js').Mode} */ (valueOf(event));
    const first = choice.region ?? comparison().regions[0] ?? rankRegions(feed.overview)[0]?.id ?? null;
    const none = { regions: '', tags: '', periods: '' };
    if (opened === 'regions') change({ ...none, regions: first ?? '' }, null);
    else change({ ...none, periods: opened === 'periods' ? 'day' : '' }, first);
  });
  byId(doc, 'compare-range').addEventListener('change', (event) => chooseRange(valueOf(event)));
  byId(doc, 'compare-periods').addEventListener('change', (event) => change({ periods: toggled(comparison().periods, valueOf(event), MOST_LINES - 1).join(',') }));
  byId(doc, 'compare-region').addEventListener('change', (event) => change({}, valueOf(event)));
  byId(doc, 'compare-regions').addEventListener('change', (event) => change({ regions: toggled(comparison().regions, valueOf(event)).join(',') }));
  byId(doc, 'compare-find').addEventListener('input', showRegionList);
  tagForm.addEventListener('submit', (event) => {
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (byId(doc, 'compare-tag'));
    const { tags } = comparison();
    const tag = cleanTag(input.value);
    input.value = '';
    if (tag && !tags.some((other) => other.toLowerCase() === tag.toLowerCase())) change({ tags: toggled(tags, tag).join(',') });
  });
  byId(doc, 'take-compare').addEventListener('click', ctx.openTake);
  byId(doc, 'compare-apply').addEventListener('click', () => {
    const [from, to] = [fieldMoment(currentZone(), field('compare-from').value), fieldMoment(currentZone(), field('compare-to').value, { isEnd: true })];
    const isRight = from !== null && to !== null && isRange({ from, to });
    for (const id of ['compare-from', 'compare-to']) field(id).setAttribute('aria-invalid', String(!isRight));
    showText(byId(doc, 'compare-times-note'), isRight ? '' : from === null || to === null ? t('zone.missing') : t('zone.order'));
    if (isRight) change(rangeParams({ from, to }));
  });

  /** @returns {import('../view/take.js').Takeaway | null} */
  function take() {
    const shown = compared();
    if (!shown) return null;
    const subtitle = shown.from === null || shown.to === null ? range().long : coveredText(shown, feed.nowMs());
    return {
      sheets: [{ label: t('compare.csv'), make: () => compareSheet(shown.lines) }],
      charts: cards.drawn().charts.map((one) => ({ ...one, name: titleOf(one.chart), title: `${titleOf(one.chart)} · ${shown.lines.map(({ label }) => label).join(', ')}`, subtitle, marks: one.chart.note?.(one.view) ? [one.chart.note(one.view)] : [] })),
      href: win.location.href, suffix: range().id, canEmbed: false,
    };
  }

  return {
    take,
    title: () => t('compare.tab'),
    wanted,
    show(changed) {
      if (changed !== 'answer') showControls();
      if (changed !== 'round' || !watch.get('compare')) render();
      if (changed === 'answer') showControls();
    },
    keys: Object.fromEntries(RANGES.map(({ id }, i) => [String(i + 1), () => void chooseRange(id)])),
  };
}
