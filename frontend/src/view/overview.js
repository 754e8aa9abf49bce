// @ts-check
// The start page: what is unusual in a sentence, all regions in their order, what rises, what happened, and what a person must do.

import { formatCount, formatSpan } from '../format.js';
import { t } from '../i18n.js';
import { gapSpans, sampleMark } from '../model/flaws.js';
import { groupEvents } from '../model/event-groups.js';
import { eventSince, eventText, evidence, factorText, groupText, outside, overviewSentence, samplePart, sinceText, unknownText } from '../model/unusual.js';
import { list, plain } from '../model/values.js';
import { byId, el, rebuild, showText } from './dom.js';
import { dial, sparkSteps, sparkline } from './svg.js';

/**
 * @typedef {import('../model/unusual.js').RegionNow} RegionNow
 * @typedef {import('../model/answer.js').Answer} Answer
 * @typedef {{ open: (region: string) => void, focus: (region: string, type: string, key: string) => void, hrefOf: (region: string) => string }} Actions
 */

/** @typedef {import('../model/unusual.js').Group | 'outside'} ListGroup */
/** @type {[ListGroup, import('../i18n.js').Key][]} */
const GROUPS = [['unusual', 'overview.groupUnusual'], ['outside', 'overview.groupOutside'], ['usual', 'overview.groupUsual'], ['unjudged', 'overview.groupUnjudged']];
/** The group of a region in the list: one hour in five is outside the usual range by chance, which is not unusual, and not within it either. @param {RegionNow} region @returns {ListGroup} */
const groupOf = (region) => (region.group === 'usual' && outside(region) ? 'outside' : region.group);
const MOST_EVENTS = 8;
const MOST_RISING = 8;

/**
 * Writes a sentence, only when it changes.
 * @param {HTMLElement} node
 * @param {import('../model/unusual.js').Part[]} parts
 */
export function renderSentence(node, parts) {
  const doc = node.ownerDocument;
  rebuild(node, parts.map(({ text, tone }) => `${tone} ${text}`), () => parts.map(({ text, tone }) => (
    tone === 'plain' ? doc.createTextNode(text) : el(doc, 'span', { class: `part-${tone}` }, text)
  )));
}

/**
 * @param {HTMLElement} node a list of definitions
 * @param {[string, string][]} rows
 */
export function renderEvidence(node, rows) {
  const doc = node.ownerDocument;
  rebuild(node, rows.flat(), () => rows.map(([title, text]) => el(doc, 'div', {}, el(doc, 'dt', {}, title), el(doc, 'dd', {}, text))));
}

/**
 * How complete the last day of a region is: a pattern and a word.
 * @param {Answer | undefined} answer
 * @returns {{ kind: string, text: string }}
 */
export function coverage(answer) {
  if (!answer) return { kind: 'unknown', text: '' };
  const windows = answer.windows.filter((w) => !w.isOpen);
  const spans = gapSpans(windows);
  const [first, last] = [spans[0], spans.at(-1)];
  const isNew = first?.kind === 'silent' && first.start === windows[0]?.start;
  if (isNew && spans.length === 1) return { kind: 'first', text: first.end >= (windows.at(-1)?.end ?? 0) ? t('coverage.none') : t('coverage.since', { time: sinceText(new Date(first.end).toISOString(), first.end) }) };
  const second = spans[1];
  // The step in which the first data arrived has a part without: when exactly is not known here.
  if (isNew && spans.length === 2 && second?.kind === 'partial' && second.start === first.end && windows.some(({ start, end }) => start === second.start && end === second.end)) {
    const middle = (second.start + second.end) / 2;
    return { kind: 'first', text: t('coverage.sinceAbout', { time: sinceText(new Date(middle).toISOString(), middle) }) };
  }
  if (!last) return { kind: 'complete', text: t('coverage.complete') };
  const sample = last.kind === 'sampled' && sampleMark(windows);
  if (sample) return { kind: 'sampled', text: sample };
  const time = formatSpan(last.start, last.end).replace(/^.*?, /, '');
  const gap = last.kind === 'silent' ? t('coverage.silent', { time }) : t('coverage.partial', { time });
  return { kind: last.kind, text: spans.length > 1 ? t('coverage.more', { gap, n: spans.length - 1 }) : gap };
}

/**
 * @param {Document} doc
 * @param {{ regions: RegionNow[], answers: Map<string, Answer>, search: string, nowMs: number }} shown
 * @param {Actions} actions
 */
function renderRegionList(doc, { regions, answers, search, nowMs }, { open, hrefOf }) {
  const holder = byId(doc, 'region-list');
  const wanted = regions.filter(({ name, id, event }) => plain(`${name} ${id} ${event ? eventText(event) : ''}`).includes(plain(search)));
  const focused = doc.activeElement?.closest?.('[data-region]')?.getAttribute('data-region');
  const keys = wanted.map((one) => JSON.stringify([one, answers.get(one.id)?.windows.map((w) => w.posts)]));
  rebuild(holder, [search, ...keys], () => GROUPS.flatMap(([group, title]) => {
    const members = wanted.filter((one) => groupOf(one) === group);
    if (members.length === 0) return [];
    return [
      el(doc, 'h3', { class: 'group-title', id: `group-${group}` }, t(title), el(doc, 'span', { class: 'muted' }, ` ${formatCount(members.length)}`)),
      el(doc, 'ul', { class: 'rows', 'aria-labelledby': `group-${group}` }, ...members.map((one) => row(doc, one, answers.get(one.id), nowMs, hrefOf(one.id)))),
    ];
  }));
  if (wanted.length === 0) holder.replaceChildren(el(doc, 'p', { class: 'muted none' }, search ? t('overview.noMatch', { search }) : t('overview.noRegions')));
  if (focused && doc.activeElement === doc.body) /** @type {HTMLElement | null} */ (holder.querySelector(`[data-region="${CSS.escape(focused)}"]`))?.focus();
  holder.onclick = (event) => {
    const link = /** @type {Element} */ (event.target).closest('[data-region]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link.getAttribute('data-region') ?? '');
  };
}

/**
 * @param {Document} doc
 * @param {RegionNow} region
 * @param {Answer | undefined} answer
 * @param {number} nowMs
 * @param {string} href
 */
function row(doc, region, answer, nowMs, href) {
  const { id, name, event, factor, direction, posts, group } = region;
  const place = outside(region);
  const why = event ? eventSince(event, nowMs) : place ? t(`overview.${place}`) : '';
  const state = coverage(answer);
  const steps = answer ? sparkSteps(answer) : region.hours.map((n) => ({ posts: n }));
  const mark = direction === 'up' ? '▲ ' : direction === 'down' ? '▼ ' : '';
  const loud = group === 'unusual' ? direction ?? '' : '';
  return el(
    doc, 'li', { class: 'row', 'data-group': group },
    el(doc, 'label', { class: 'row-pick' }, el(doc, 'input', { type: 'checkbox', value: id, 'data-pick': true, 'aria-label': t('overview.compare', { region: name }) })),
    el(doc, 'a', { class: 'row-name', href, 'data-region': id }, el(doc, 'span', { class: 'name' }, name), ...(why ? [el(doc, 'span', { class: 'why' }, why)] : [])),
    el(doc, 'span', { class: 'row-spark' }, sparkline(doc, steps)),
    el(doc, 'span', { class: 'row-dial' }, ...(factor === null ? [] : [dial(doc, { ...region, direction: group === 'unusual' ? direction : null })])),
    factor === null
      ? el(doc, 'span', { class: 'row-factor muted' }, group === 'unjudged' ? t('overview.needsTwoDays') : '–')
      : el(doc, 'span', { class: `row-factor ${loud}` }, loud ? mark : '', factorText(factor), el(doc, 'span', { class: 'unit visually-hidden' }, ` ${t('overview.usual')}`)),
    el(doc, 'span', { class: 'row-posts' }, posts === null ? '–' : formatCount(posts), el(doc, 'span', { class: 'unit visually-hidden' }, ` ${t('overview.postsLastHour')}`)),
    el(doc, 'span', { class: 'row-state', 'data-state': state.kind }, el(doc, 'span', { class: 'pattern', 'aria-hidden': 'true' }), state.text),
  );
}

/**
 * @param {HTMLElement} node
 * @param {import('../model/reasons.js').Rise[]} rises
 * @param {{ focus: Actions['focus'], withRegion: boolean, empty: string }} options
 */
export function renderRising(node, rises, { focus, withRegion, empty }) {
  const doc = node.ownerDocument;
  rebuild(node, [empty, ...rises.map((one) => JSON.stringify(one))], () => (rises.length === 0 ? [el(doc, 'li', { class: 'muted' }, empty)] : rises.map((one) => {
    const button = el(doc, 'button', { type: 'button', class: 'link' }, one.label);
    button.addEventListener('click', () => focus(one.region, one.type, one.key));
    const where = [withRegion && one.name, one.since].filter(Boolean).join(', ');
    return el(
      doc, 'li', { class: 'rise' },
      el(doc, 'div', { class: 'rise-name' }, button), el(doc, 'span', { class: 'rise-where muted' }, where),
      sparkline(doc, one.spark.map((posts) => ({ posts }))),
      el(doc, 'span', { class: 'rise-factor' }, one.factor),
      el(doc, 'p', { class: 'rise-why muted' }, one.why),
    );
  })));
}

/**
 * @param {Document} doc
 * @param {{
 *   regions: RegionNow[], overview: import('../model/unusual.js').LooseOverview, answers: Map<string, Answer>, search: string, nowMs: number,
 *   rises: import('../model/reasons.js').Rise[] | null, events: import('../api.js').Events | null, nameOf: (region: string) => string, failed: readonly string[],
 * }} shown
 * @param {Actions} actions
 */
export function renderOverview(doc, shown, actions) {
  const { regions, overview, nowMs, rises, events, nameOf, failed } = shown;
  const waiting = (/** @type {string} */ name) => (failed.includes(name) ? t('overview.cannotLoad') : t('page.loading'));
  const sample = samplePart(overview);
  renderSentence(byId(doc, 'sentence'), [...overviewSentence(regions, nowMs), ...(sample ? [sample] : [])]);
  byId(doc, 'view-overview').toggleAttribute('data-empty', regions.length === 0);
  const [first] = regions;
  const unknown = unknownText(overview, regions);
  renderEvidence(byId(doc, 'evidence'), [...(first?.group === 'unusual' ? evidence(first) : []), ...(unknown ? [/** @type {[string, string]} */ ([t('overview.notKnown'), unknown])] : [])]);
  renderRegionList(doc, shown, actions);
  renderRising(byId(doc, 'rising-all'), (rises ?? []).slice(0, MOST_RISING), {
    focus: actions.focus, withRegion: true, empty: rises === null ? waiting('trends') : regions.length > 0 && regions.every(({ group }) => group === 'unjudged') ? t('region.risingUnjudged') : t('overview.nothingRises'),
  });

  const past = groupEvents(events?.events).slice(0, MOST_EVENTS);
  rebuild(byId(doc, 'earlier'), [String(events === null), waiting('events'), ...past.map((one) => JSON.stringify(one))], () => (past.length === 0
    ? [el(doc, 'li', { class: 'muted' }, events === null ? waiting('events') : t('overview.nothingHappened'))]
    : past.map((one) => el(
      doc, 'li', {}, el(doc, 'time', { datetime: one.start ?? '' }, sinceText(one.start, nowMs)),
      el(doc, 'span', {}, el(doc, 'strong', {}, one.region ? nameOf(one.region) : t('overview.allRegions')), t(one.isOpen && one.lead.comparison ? 'overview.eventOpen' : 'overview.event', { event: groupText(one) })),
    ))));

  const stopped = list(overview.sources).filter(({ status }) => status === 'stopped' || status === 'stale');
  const todo = [...list(overview.problems).map((text) => t('overview.notStored', { problem: text })), ...stopped.map(({ source, reason, problem }) => t('overview.sourceProblem', { source: source ?? t('unknown.source'), reason: [reason, problem].filter(Boolean).join(t('list.semicolon')) || t('overview.notConnected') }))];
  byId(doc, 'todo').hidden = todo.length === 0;
  rebuild(byId(doc, 'todo-list'), todo, () => todo.map((text) => el(doc, 'li', {}, text)));
  showText(byId(doc, 'list-note'), regions.some(({ usual }) => usual !== null) ? t('overview.usualNote') : '');
}
