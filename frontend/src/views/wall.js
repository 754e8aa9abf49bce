// @ts-check
// The wall: one region at a time, to be read from across a room. It turns by itself, and needs no cursor.

import '../styles/wall.css';
import { formatClock, formatCount } from '../format.js';
import { t, translate } from '../i18n.js';
import { LINE_FIELDS } from '../model/fields.js';
import { readAnswer } from '../model/answer.js';
import { SLIDE_MS, pinsOf, slideAt, slidesOf, trustOf } from '../model/wall.js';
import { eventSince, factorText, outside, overviewSentence, rankRegions, tabTitle } from '../model/unusual.js';
import { count, list, parseTime } from '../model/values.js';
import { byId, el, rebuild, setText, showText } from '../view/dom.js';
import { coverage, renderSentence } from '../view/overview.js';
import { sparkSteps, sparkTimes, sparkline } from '../view/svg.js';

const TICK_MS = 1_000;
const QUIET_MS = 3_000;
const SPARK_SECS = [1800, 3600];
const MOST_SPARKS = 24;
const MOST_OTHERS = 8;
/** Sizes of the texts, from which the first is taken that leaves everything on the screen. */
const FITS = [1, 0.9, 0.8, 0.7, 0.6, 0.5];

/** @typedef {import('../api.js').Api} Api */

/** @param {import('./types').Context} ctx @returns {import('./types').View} */
export default function createWall({ doc, feed, watch, choice, openOverview }) {
  const section = byId(doc, 'view-wall');
  const button = (/** @type {string} */ id, /** @type {string} */ key) => el(doc, 'button', { type: 'button', id: `wall-${id}`, 'data-t': key });
  const controls = el(doc, 'div', { class: 'wall-controls', role: 'group', 'data-t-label': 'wall.controls' }, button('previous', 'wall.previous'), button('pause', 'wall.pause'), button('next', 'wall.next'), button('close', 'wall.close'));
  section.classList.add('wall');
  section.replaceChildren(
    // The page's own is hidden with its header.
    el(doc, 'h1', { class: 'visually-hidden' }, 'Birdsong'),
    el(doc, 'p', { class: 'wall-sentence', id: 'wall-sentence' }, t('page.loading')),
    el(
      doc, 'div', { class: 'wall-main', id: 'wall-main', hidden: true },
      el(doc, 'h2', { class: 'wall-name', id: 'wall-name' }),
      el(doc, 'div', { class: 'wall-number' }, el(doc, 'span', { id: 'wall-mark', 'aria-hidden': 'true' }), el(doc, 'span', { id: 'wall-number' }), el(doc, 'span', { class: 'wall-unit', id: 'wall-unit' })),
      el(doc, 'h3', { class: 'wall-what', id: 'wall-what' }),
      el(doc, 'p', { class: 'wall-posts', id: 'wall-posts' }),
      el(doc, 'div', { class: 'wall-spark', id: 'wall-spark' }),
      el(doc, 'p', { class: 'wall-trust', id: 'wall-trust' }),
    ),
    el(doc, 'ul', { class: 'wall-others', id: 'wall-others', 'data-t-label': 'overview.allRegions' }),
    el(doc, 'p', { class: 'wall-clock' }, el(doc, 'span', { id: 'wall-paused' }), el(doc, 'time', { id: 'wall-clock' })),
    controls,
  );
  translate(section);

  let turn = 0;
  let turnedAt = Date.now();
  let isPaused = false;
  let movedAt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let ticker;

  const pins = () => pinsOf(choice.choices.wall);
  const answers = () => new Map(list(/** @type {import('../api.js').Windows[] | null} */ (watch.get('sparks'))).map((one) => [one.region ?? '', readAnswer(one, feed.nowMs())]));

  /** @param {number} by */
  function move(by) {
    turn += by;
    if (turn < 0) turn = slidesOf(rankRegions(feed.overview), pins()) - 1;
    turnedAt = Date.now();
    render();
  }
  function pause() {
    isPaused = !isPaused;
    turnedAt = Date.now();
    render();
  }
  function close() {
    if (doc.fullscreenElement) doc.exitFullscreen?.()?.catch(() => {});
    openOverview();
    tick();
  }

  function render() {
    const { overview } = feed;
    setText(byId(doc, 'wall-pause'), isPaused ? t('wall.resume') : t('wall.pause'));
    setText(byId(doc, 'wall-paused'), isPaused ? t('wall.paused') : '');
    if (!overview) return feed.error ? setText(byId(doc, 'wall-sentence'), t('wall.failed')) : undefined;
    const nowMs = feed.nowMs();
    const regions = rankRegions(overview);
    renderSentence(byId(doc, 'wall-sentence'), overviewSentence(regions, nowMs));
    const region = slideAt(regions, pins(), turn);
    byId(doc, 'wall-main').hidden = region === null;
    if (!region) return setText(byId(doc, 'wall-sentence'), t('wall.noRegion'));
    const answer = answers().get(region.id);
    const { factor, direction, group, posts, low, high, event } = region;
    const place = outside(region);
    const loud = group === 'unusual' ? direction : null;
    section.dataset.tone = loud ?? 'plain';
    setText(byId(doc, 'wall-name'), region.name);
    setText(byId(doc, 'wall-mark'), loud === 'up' ? '▲' : loud === 'down' ? '▼' : '');
    setText(byId(doc, 'wall-number'), factor === null ? formatCount(posts) : factorText(factor));
    setText(byId(doc, 'wall-unit'), factor === null ? t('overview.postsLastHour') : t('overview.usual'));
    showText(byId(doc, 'wall-what'), event ? eventSince(event, nowMs) : place ? t(`wall.${place}`) : group === 'usual' ? t('wall.normal') : '');
    const compared = low !== null && high !== null ? t('evidence.usualBetween', { low: Math.round(low), high: Math.round(high) }) : '';
    showText(byId(doc, 'wall-posts'), posts === null ? '' : [factor === null ? '' : t('wall.inHour', { n: posts }), compared].filter(Boolean).join(t('list.semicolon')));
    const steps = answer ? sparkSteps(answer) : region.hours.map((n) => ({ posts: n }));
    const times = answer ? sparkTimes(answer, 3) : [];
    rebuild(byId(doc, 'wall-spark'), [region.id, ...times, ...steps.map((step) => JSON.stringify(step))], () => [
      sparkline(doc, steps),
      el(doc, 'p', { class: 'wall-hours' }, ...times.map((time) => el(doc, 'span', {}, time))),
      el(doc, 'p', { class: 'wall-legend' }, steps.some((step) => 'low' in step && step.low !== null) ? t('wall.sparkUsual') : t('wall.spark')),
    ]);
    const newestMs = parseTime(overview.newest_post);
    const trust = trustOf({
      isAway: feed.error !== null, updated: formatClock(feed.updatedAt ?? Date.now()), newest: newestMs === null ? '' : formatClock(newestMs), newestMs,
      windowSecs: count(overview.window_secs) || 300, nowMs, group, coverage: coverage(answer),
    });
    const node = byId(doc, 'wall-trust');
    node.dataset.tone = trust.tone;
    setText(node, trust.text);
    const others = regions.slice(0, MOST_OTHERS);
    rebuild(byId(doc, 'wall-others'), others.map((one) => JSON.stringify([one.id, one.factor, one.direction, one.group, one.id === region.id])), () => others.map((one) => {
      const mark = one.group === 'unusual' && one.direction ? (one.direction === 'up' ? '▲ ' : '▼ ') : '';
      return el(
        doc, 'li', { 'data-tone': one.group === 'unusual' ? one.direction ?? 'plain' : 'plain', 'aria-current': one.id === region.id ? 'true' : null },
        el(doc, 'span', {}, one.name), el(doc, 'strong', {}, `${mark}${one.factor === null ? '–' : factorText(one.factor)}`),
      );
    }));
    return fit();
  }

  /** What was fitted last. */
  let fitted = '';
  /** Makes long texts smaller until all is on the screen; where it can be scrolled, they stay as they are. */
  function fit() {
    const now = `${doc.documentElement.clientWidth} ${doc.documentElement.clientHeight} ${byId(doc, 'wall-sentence').textContent} ${byId(doc, 'wall-main').textContent}`;
    if (now === fitted) return;
    fitted = now;
    for (const size of FITS) {
      section.style.setProperty('--fit', String(size));
      if (section.scrollHeight <= section.clientHeight || getComputedStyle(section).overflowY === 'auto') return;
    }
  }

  /** The clock, the next region, and hiding the cursor. It ends by itself when the wall is closed. */
  function tick() {
    if (section.hidden) {
      clearInterval(ticker);
      ticker = undefined;
      doc.documentElement.classList.remove('on-wall');
      return;
    }
    setText(byId(doc, 'wall-clock'), formatClock(feed.nowMs()));
    section.classList.toggle('quiet', Date.now() - movedAt > QUIET_MS && !controls.contains(doc.activeElement));
    if (!isPaused && Date.now() - turnedAt >= SLIDE_MS) move(1);
    else render();
  }
  function start() {
    doc.documentElement.classList.add('on-wall');
    ticker ??= setInterval(tick, TICK_MS);
    tick();
  }

  section.addEventListener('pointermove', () => {
    movedAt = Date.now();
    section.classList.remove('quiet');
  });
  section.addEventListener('focusin', () => section.classList.remove('quiet'));
  /** @type {[string, () => void][]} */
  const clicks = [['previous', () => move(-1)], ['pause', pause], ['next', () => move(1)], ['close', close]];
  for (const [id, run] of clicks) byId(doc, `wall-${id}`).addEventListener('click', run);

  return {
    title: () => tabTitle(rankRegions(feed.overview)[0], t('tab.allRegions')),
    wanted() {
      const known = rankRegions(feed.overview).map(({ id }) => id);
      const ids = (pins().length > 0 ? known.filter((id) => pins().includes(id)) : known.slice(0, MOST_SPARKS)).sort();
      const windowSecs = count(feed.overview?.window_secs) || 300;
      const query = {
        step: String(SPARK_SECS.find((secs) => secs % windowSecs === 0) ?? windowSecs),
        ...LINE_FIELDS,
      };
      return {
        sparks: ids.length === 0 ? null : {
          subject: ids.join(','),
          ask: (/** @type {Api} */ api) => api.windowsOf(ids, query),
        },
      };
    },
    show: start,
    keys: {
      ArrowLeft: () => move(-1), ArrowRight: () => move(1), k: () => move(-1), j: () => move(1), f: close, Escape: close,
      ' ': () => (controls.contains(doc.activeElement) ? false : pause()),
    },
  };
}
