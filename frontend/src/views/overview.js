// @ts-check
// The page of all regions.

import { t } from '../i18n.js';
import { LINE_FIELDS } from '../model/fields.js';
import { readAnswer } from '../model/answer.js';
import { eventsSheet, linesSheet, regionsSheet, risingSheet } from '../model/sheets.js';
import { LEAST_LINES, MOST_LINES, toggled } from '../model/compare.js';
import { risingList } from '../model/reasons.js';
import { rankRegions, tabTitle } from '../model/unusual.js';
import { list } from '../model/values.js';
import { writeUrl } from '../url-state.js';
import { byId, setText } from '../view/dom.js';
import { renderOverview } from '../view/overview.js';

/** Steps of the lines: a length that every window divides. */
const SPARK_SECS = [1800, 3600];
/** The lines of this many regions have the usual range; the others are by the hour. */
const MOST_SPARKS = 24;

/** @typedef {import('../api.js').Api} Api */

/** @param {import('./types').Context} ctx @returns {import('./types').View} */
export default function createOverview({ doc, win, feed, watch, choice, nameOf, openRegion, openView, focusOn, announce, openTake, openWall }) {
  const search = /** @type {HTMLInputElement} */ (byId(doc, 'search'));
  search.addEventListener('input', show);
  byId(doc, 'take-regions').addEventListener('click', openTake);

  /** Regions that are chosen to be compared. @type {string[]} */
  let picked = [];
  /** @param {string} region */
  function pick(region) {
    picked = toggled(picked, region);
    announce(t('overview.picked', { n: picked.length, most: MOST_LINES }));
    showPicked();
  }
  function showPicked() {
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (byId(doc, 'region-list').querySelectorAll('input[data-pick]'))) {
      input.checked = picked.includes(input.value);
      input.disabled = !input.checked && picked.length >= MOST_LINES;
    }
    byId(doc, 'pick-bar').hidden = picked.length === 0;
    setText(byId(doc, 'pick-text'), picked.length < LEAST_LINES ? t('overview.pickMore', { regions: picked.map(nameOf).join(', ') }) : picked.map(nameOf).join(', '));
    /** @type {HTMLButtonElement} */ (byId(doc, 'pick-compare')).disabled = picked.length < LEAST_LINES;
  }
  byId(doc, 'region-list').addEventListener('change', (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if ('pick' in input.dataset) pick(input.value);
  });
  byId(doc, 'pick-compare').addEventListener('click', () => openView('compare', { params: { regions: picked.join(',') } }));
  byId(doc, 'pick-clear').addEventListener('click', () => {
    picked = [];
    showPicked();
  });

  byId(doc, 'open-wall').addEventListener('click', openWall);

  /** Chooses the region of the list that has the focus. */
  function pickFocused() {
    const region = doc.activeElement?.getAttribute('data-region');
    if (region) pick(region);
  }

  function wanted() {
    const ids = rankRegions(feed.overview).slice(0, MOST_SPARKS).map(({ id }) => id).sort();
    const windowSecs = feed.overview?.window_secs ?? 300;
    const secs = SPARK_SECS.find((one) => one % windowSecs === 0) ?? windowSecs;
    const query = { step: String(secs), ...LINE_FIELDS };
    return {
      events: { subject: 'all', ask: (/** @type {Api} */ api) => api.events({}) },
      trends: { subject: 'all', ask: (/** @type {Api} */ api) => api.trends({}) },
      sparks: ids.length === 0 ? null : {
        subject: ids.join(','),
        ask: (/** @type {Api} */ api) => api.windowsOf(ids, query),
      },
    };
  }

  function show() {
    const { overview } = feed;
    if (!overview) return;
    const nowMs = feed.nowMs();
    const trends = watch.get('trends');
    const answers = list(/** @type {import('../api.js').Windows[] | null} */ (watch.get('sparks'))).map((one) => readAnswer(one, nowMs));
    renderOverview(doc, {
      regions: rankRegions(overview), overview, nowMs, nameOf, failed: watch.failed(), rises: trends && risingList(trends, { nameOf, nowMs }), events: watch.get('events'),
      search: search.value.trim(), answers: new Map(answers.map((one) => [one.region ?? '', one])),
    }, { open: openRegion, focus: focusOn, hrefOf: (region) => writeUrl('', { ...choice, region, choices: {} }) });
    showPicked();
  }

  /** Moves the focus in the list. @param {-1 | 1} direction */
  function step(direction) {
    const links = [.../** @type {NodeListOf<HTMLElement>} */ (byId(doc, 'region-list').querySelectorAll('[data-region]'))];
    const at = links.findIndex((link) => link === doc.activeElement);
    links[Math.max(0, Math.min(links.length - 1, at + direction))]?.focus();
  }

  /** @returns {import('../view/take.js').Takeaway | null} */
  function take() {
    const { overview } = feed;
    if (!overview) return null;
    const lines = () => list(/** @type {import('../api.js').Windows[] | null} */ (watch.get('sparks'))).map((one) => readAnswer(one, feed.nowMs()));
    return {
      sheets: [
        { label: t('take.regions'), make: () => regionsSheet(rankRegions(overview)) }, { label: t('take.lines'), make: () => linesSheet(lines()) },
        { label: t('take.rising'), make: () => risingSheet(watch.get('trends')) }, { label: t('take.dayEvents'), make: () => eventsSheet(watch.get('events')?.events) },
      ],
      charts: [], href: win.location.href, suffix: '',
    };
  }

  return {
    take,
    title: () => tabTitle(rankRegions(feed.overview)[0], t('tab.allRegions')),
    wanted,
    show,
    keys: { j: () => step(1), k: () => step(-1), c: pickFocused },
  };
}
