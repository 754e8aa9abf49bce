// @ts-check
// The map of the regions: now, and each hour of the last day. The list beside it says the same.

import '../styles/map.css';
import { formatClock, formatSpan } from '../format.js';
import { t, translate } from '../i18n.js';
import { LINE_FIELDS } from '../model/fields.js';
import { factorOf, hoursOf, shadeOf } from '../model/map.js';
import { factorText, rankRegions } from '../model/unusual.js';
import { count, isoSecond, list, plain } from '../model/values.js';
import { readPalette } from '../theme.js';
import { writeUrl } from '../url-state.js';
import { renderSegments } from '../view/controls.js';
import { byId, el, find, rebuild, setText, showText } from '../view/dom.js';
import { createMap, loadWorld } from '../view/geo.js';

const PLAY_MS = 700;
const HOUR_SECS = 3600;
/** The API is asked for this many regions in one question. */
const MOST_AT_ONCE = 24;
/** With so many regions, the list has a search. */
const LEAST_TO_FIND = 25;
const DAY_MS = 86_400_000;
/** @type {Record<import('../model/map.js').Shade, string>} */
const MARKS = { 'up-2': '▲▲ ', 'up-1': '▲ ', within: '', 'down-1': '▼ ', 'down-2': '▼▼ ', unknown: '', 'posts-0': '', 'posts-1': '', 'posts-2': '', 'posts-3': '', 'posts-4': '' };
/** @type {Record<import('../model/map.js').Shading, import('../model/map.js').Shade[]>} */
const KEYS = { surprise: ['up-2', 'up-1', 'within', 'down-1', 'down-2', 'unknown'], posts: ['posts-0', 'posts-1', 'posts-2', 'posts-3', 'posts-4', 'unknown'] };

/** @typedef {import('../api.js').Api} Api */

/** @param {import('./types').Context} ctx @returns {import('./types').View} */
export default function createMapView(ctx) {
  const { doc, win, feed, watch, choice, openRegion } = ctx;
  const section = byId(doc, 'view-map');
  const canvas = el(doc, 'canvas', { id: 'map-canvas', role: 'img', 'data-t-label': 'map.label' });
  section.replaceChildren(
    el(doc, 'section', { class: 'front', 'aria-labelledby': 'map-title' }, el(doc, 'h2', { class: 'sentence', id: 'map-title', 'data-t': 'map.title' })),
    el(
      doc, 'div', { class: 'pickers map-controls' },
      el(doc, 'fieldset', { class: 'field ranges' }, el(doc, 'legend', { class: 'field-label', 'data-t': 'map.shading' }), el(doc, 'div', { class: 'segments', id: 'map-shade' })),
      el(doc, 'label', { class: 'field map-time' }, el(doc, 'span', { class: 'field-label', 'data-t': 'map.time' }), el(doc, 'input', { type: 'range', id: 'map-time', min: 0, max: 0, step: 1, value: 0 })),
      el(doc, 'button', { type: 'button', class: 'button', id: 'map-play', 'data-t': 'map.play' }),
      el(doc, 'p', { class: 'map-when', id: 'map-when' }),
    ),
    el(
      doc, 'div', { class: 'map-columns' },
      el(doc, 'div', { class: 'map-side' }, el(doc, 'div', { class: 'map-plot' }, canvas), el(doc, 'ul', { class: 'keys', id: 'map-keys' }), el(doc, 'p', { class: 'muted sub', id: 'map-note', hidden: true })),
      el(doc, 'section', { 'aria-labelledby': 'map-list-title' }, el(doc, 'h2', { id: 'map-list-title', 'data-t': 'map.list' }), el(doc, 'label', { class: 'field map-find', id: 'map-find-field', hidden: true }, el(doc, 'span', { class: 'visually-hidden', 'data-t': 'compare.find' }), el(doc, 'input', { type: 'search', id: 'map-find', autocomplete: 'off', 'data-t-placeholder': 'compare.find' })), el(doc, 'p', { class: 'muted', id: 'map-none', hidden: true }), el(doc, 'ol', { class: 'map-list', id: 'map-list' })),
    ),
  );
  translate(section);
  const slider = /** @type {HTMLInputElement} */ (byId(doc, 'map-time'));
  /** Whether the slider is at its end, and follows the time. */
  let isNow = true;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let player;
  /** @type {ReturnType<typeof createMap> | null} */
  let map = null;
  let isFailed = false;
  /** @type {import('../view/geo.js').World | null} */
  let world = null;

  loadWorld((url) => win.fetch(url)).then((loaded) => {
    world = loaded;
    render();
  }, () => {
    isFailed = true;
    render();
  });

  /** @returns {import('../model/map.js').Shading} */
  const shading = () => (choice.choices.shade === 'posts' ? 'posts' : 'surprise');

  /** The hours of the last day, and the last hour until now. */
  function frames() {
    const nowMs = feed.nowMs();
    const names = new Map((feed.regions ?? []).map(({ id, name }) => [id, name]));
    const hours = hoursOf(list(/** @type {import('../api.js').Windows[] | null} */ (watch.get('hours'))), { names, nowMs });
    const places = rankRegions(feed.overview).map(({ id, name, posts, usual, low, high }) => ({ id, name, posts, usual, low, high }));
    return [...hours.map(({ start, end, places: at }) => ({ text: formatSpan(start, end), places: at })), { text: t('map.now', { time: formatClock(nowMs) }), places }];
  }

  /** @returns {import('../view/geo.js').Look} */
  function look() {
    const palette = readPalette(doc.documentElement);
    return {
      fill: (shade) => palette.colour(`map-${shade}`), land: palette.colour('map-land'), sea: palette.surface, line: palette.colour('map-line'), text: palette.text, font: palette.font,
    };
  }

  /** @param {import('../model/map.js').Place} place */
  function valueText(place) {
    if (place.posts === null) return t('marks.silent');
    const factor = factorOf(place);
    if (shading() === 'posts') return t('unit.posts', { n: place.posts });
    return factor === null ? t('sentence.noUsual') : t('factor.usual', { factor: factorText(factor) });
  }

  function render() {
    if (!feed.overview || !feed.regions) return;
    renderSegments(doc, byId(doc, 'map-shade'), { type: 'radio', name: 'map-shade', options: /** @type {const} */ (['surprise', 'posts']).map((id) => ({ id, label: t(`map.shadings.${id}`) })), chosen: (id) => id === shading() });
    const all = frames();
    slider.max = String(Math.max(1, all.length - 1));
    slider.disabled = all.length < 2;
    /** @type {HTMLButtonElement} */ (byId(doc, 'map-play')).disabled = all.length < 2;
    if (isNow) slider.value = slider.max;
    const frame = all[Number(slider.value)] ?? all[all.length - 1];
    if (!frame) return;
    setText(byId(doc, 'map-when'), frame.text);
    slider.setAttribute('aria-valuetext', frame.text);
    setText(byId(doc, 'map-play'), player === undefined ? t('map.play') : t('map.stop'));
    const most = Math.max(1, ...all.flatMap(({ places }) => places.map(({ posts }) => posts ?? 0)));
    const boxes = new Map(feed.regions.map((one) => [one.id, one.boxes]));
    const spots = frame.places.map((place) => {
      const shade = shadeOf(place, shading(), most);
      return { id: place.id, name: place.name, value: valueText(place), mark: MARKS[shade], shade, boxes: boxes.get(place.id) ?? [], rank: shading() === 'posts' ? place.posts ?? 0 : Math.abs(Math.log(factorOf(place) || 1)) };
    }).sort((a, b) => b.rank - a.rank || a.name.localeCompare(b.name));
    renderList(spots);
    rebuild(byId(doc, 'map-keys'), [shading()], () => KEYS[shading()].map((shade) => {
      const swatch = el(doc, 'span', { class: 'swatch', 'aria-hidden': 'true' });
      swatch.style.setProperty('--swatch', `var(--map-${shade})`);
      return el(doc, 'li', {}, swatch, `${MARKS[shade]}${t(`map.shades.${shade}`)}`);
    }));
    const nowhere = spots.filter((spot) => spot.boxes.length === 0).map(({ name }) => name);
    showText(byId(doc, 'map-note'), isFailed ? t('map.failed') : nowhere.length > 0 ? t('map.nowhere', { regions: nowhere.join(', ') }) : '');
    const placed = spots.filter((spot) => spot.boxes.length > 0);
    find(section, '.map-plot').hidden = isFailed || placed.length === 0;
    if (!world || placed.length === 0) return;
    if (map) map.update(placed, look());
    else map = createMap(canvas, { world, spots: placed, look: look(), onChoose: openRegion });
  }

  /** @param {(import('../view/geo.js').Spot)[]} all */
  function renderList(all) {
    const holder = byId(doc, 'map-list');
    const search = /** @type {HTMLInputElement} */ (byId(doc, 'map-find')).value.trim();
    byId(doc, 'map-find-field').hidden = all.length < LEAST_TO_FIND;
    const spots = all.filter(({ id, name }) => plain(`${name} ${id}`).includes(plain(search)));
    showText(byId(doc, 'map-none'), spots.length === 0 ? t('overview.noMatch', { search }) : '');
    const focused = doc.activeElement?.getAttribute('data-map-region');
    rebuild(holder, spots.map(({ id, value, shade }) => `${id} ${value} ${shade}`), () => spots.map(({ id, name, value, mark, shade }) => {
      const swatch = el(doc, 'span', { class: 'swatch', 'aria-hidden': 'true' });
      swatch.style.setProperty('--swatch', `var(--map-${shade})`);
      const shown = shading() === 'posts' ? value : [value, value === t('marks.silent') || value === t('sentence.noUsual') ? '' : t(`map.shades.${shade}`)].filter(Boolean).join(', ');
      return el(doc, 'li', {}, el(doc, 'a', { href: writeUrl('', { ...choice, region: id, choices: {} }), 'data-map-region': id }, swatch, el(doc, 'strong', {}, name), el(doc, 'span', { class: 'muted' }, `${mark}${shown}`)));
    }));
    if (focused && doc.activeElement === doc.body) /** @type {HTMLElement | null} */ (holder.querySelector(`[data-map-region="${CSS.escape(focused)}"]`))?.focus();
  }

  function stop() {
    clearInterval(player);
    player = undefined;
  }
  function play() {
    if (player !== undefined) {
      stop();
      return render();
    }
    isNow = false;
    slider.value = '0';
    player = setInterval(() => {
      if (section.hidden || Number(slider.value) >= Number(slider.max)) stop();
      else slider.value = String(Number(slider.value) + 1);
      isNow = slider.value === slider.max;
      if (!section.hidden) render();
    }, PLAY_MS);
    return render();
  }

  byId(doc, 'map-shade').addEventListener('change', (event) => {
    const id = /** @type {HTMLInputElement} */ (event.target).value;
    ctx.keep('shade', id === 'posts' ? id : '');
    render();
  });
  slider.addEventListener('input', () => {
    stop();
    isNow = slider.value === slider.max;
    render();
  });
  byId(doc, 'map-play').addEventListener('click', play);
  byId(doc, 'map-find').addEventListener('input', render);
  const idOf = (/** @type {Event} */ event) => /** @type {Element} */ (event.target).closest('[data-map-region]')?.getAttribute('data-map-region') ?? '';
  byId(doc, 'map-list').addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !idOf(event)) return;
    event.preventDefault();
    openRegion(idOf(event));
  });
  for (const type of ['focusin', 'pointerover']) byId(doc, 'map-list').addEventListener(type, (event) => map?.mark(idOf(event)));
  for (const type of ['focusout', 'pointerleave']) byId(doc, 'map-list').addEventListener(type, () => map?.mark(''));
  new MutationObserver(() => { if (!section.hidden) render(); }).observe(doc.documentElement, { attributeFilter: ['data-theme'] });

  return {
    title: () => t('map.tab'),
    wanted() {
      const ids = (feed.regions ?? []).map(({ id }) => id).sort();
      const nowMs = feed.nowMs();
      const windowSecs = count(feed.overview?.window_secs) || 300;
      const to = Math.floor(nowMs / (HOUR_SECS * 1000)) * HOUR_SECS * 1000;
      const query = {
        from: isoSecond(to - DAY_MS), to: isoSecond(to), step: String(Math.max(HOUR_SECS, windowSecs)),
        ...LINE_FIELDS,
      };
      const parts = Array.from({ length: Math.ceil(ids.length / MOST_AT_ONCE) }, (_, i) => ids.slice(i * MOST_AT_ONCE, (i + 1) * MOST_AT_ONCE));
      return {
        hours: ids.length === 0 ? null : {
          subject: ids.join(','),
          // Some regions are better than none.
          ask: async (/** @type {Api} */ api) => {
            const answers = await Promise.allSettled(parts.map((part) => api.windowsOf(part, query)));
            const refused = answers.find((one) => one.status === 'rejected');
            if (refused && answers.every((one) => one.status === 'rejected')) throw refused.reason;
            return answers.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
          },
        },
      };
    },
    show(changed) {
      if (changed !== 'round') render();
    },
    keys: { ' ': () => (doc.activeElement === doc.body ? void play() : false) },
  };
}
