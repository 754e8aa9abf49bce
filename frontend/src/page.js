// @ts-check
// The page: what is chosen, when to ask, and which view is shown. The views are in views/.

import { createAlerts } from './alerts.js';
import { createApi, loadConfig } from './api.js';
import { breathe } from './breathe.js';
import { createDrawer } from './chart-kit/draw.js';
import { createFeed } from './feed.js';
import { currentZone, formatAgo, formatClockSeconds, setZone } from './format.js';
import { LANGUAGES, language, storeLanguage, t, translate, useLanguage } from './i18n.js';
import { initKeys } from './keys.js';
import { explain, refusedFilter } from './messages.js';
import { freshnessTile } from './model/freshness.js';
import { knownNetworks, networksText } from './model/networks.js';
import { problemText } from './model/sources.js';
import { createPoller } from './poller.js';
import { initPrint } from './print.js';
import { initTheme, readPalette } from './theme.js';
import { rangeOf, readUrl, writeUrl } from './url-state.js';
import { renderRegions } from './view/controls.js';
import { byId, el, setText, showText } from './view/dom.js';
import { renderBanner, renderPanel } from './view/messages.js';
import { renderTile } from './view/tile.js';
import { PAGE_PARAMS, VIEWS, entryOf } from './views/index.js';
import { createWatch } from './watch.js';

const TICK_MS = 1_000;
/** When the browser has nothing else to do. @param {() => void} run */
const later = (run) => ('requestIdleCallback' in globalThis ? requestIdleCallback(run) : setTimeout(run));
/** What the page asks for beside counts, in words; null for what it has no words for. @param {string} name */
function partName(name) {
  switch (name) {
    case 'events': case 'trends': case 'sparks': case 'earlier': case 'series': return t(`part.${name}`);
    default: return null;
  }
}

/**
 * @typedef {import('./url-state.js').Choice} Choice
 * @typedef {import('./views/types').View} View
 */

/**
 * Starts the page. Tests pass stand-ins for the window, fetch and the drawing of charts.
 * @param {{ win?: globalThis.Window, fetchImpl?: import('./api.js').Fetch, makeDrawer?: typeof createDrawer }} [options]
 */
export function startPage({ win = window, fetchImpl = win.fetch.bind(win), makeDrawer = createDrawer } = {}) {
  const doc = win.document;
  const choice = readUrl(win.location.search, PAGE_PARAMS);
  // A chart alone; the page of the region knows which ones there are.
  const embed = new URLSearchParams(win.location.search).get('embed');
  if (embed) doc.documentElement.dataset.embed = embed;
  /** Which fields the page of a region reads, when its code is there. @type {typeof import('./views/region.js').fieldsOf | null} */
  let regionFields = null;
  const feed = createFeed({
    choice,
    fieldsOf: (range) => regionFields?.(choice, range) ?? { fields: '', total_fields: '' },
    ready: () => (regionFields ? null : codeOf('region').then((code) => { regionFields = code.fieldsOf; })),
    onRegions: showRegions,
    onOverview: showOverview,
    onWindows: showWindows,
    onRefusedFilter: removeFilter,
  });
  const poller = createPoller({ round, isHidden: () => doc.hidden });
  const drawer = makeDrawer(() => readPalette(doc.documentElement));
  const watch = createWatch({ onChange: (name) => view()?.show('answer', name) });
  const theme = initTheme({ button: byId(doc, 'theme'), win, onChange: () => drawer.restyle() });
  /** Networks of all answers so far. @type {Set<string>} */
  const seenNetworks = new Set();
  /** @type {import('./api.js').Api | null} */
  let api = null;
  let isStopped = false;
  /** Whether the server refused the networks that were chosen last. */
  let isFilterRefused = false;

  const languages = /** @type {HTMLSelectElement} */ (byId(doc, 'language'));
  // Each language has its own name, in itself.
  languages.replaceChildren(...Object.entries(LANGUAGES).map(([code, { name }]) => el(doc, 'option', { value: code, lang: code }, name)));

  const urlOf = () => writeUrl(win.location.search, choice);
  const networks = () => knownNetworks({ overview: feed.overview, seen: seenNetworks, chosen: choice.networks });
  /** @param {string} region */
  const nameOf = (region) => feed.regions?.find(({ id }) => id === region)?.name ?? region;
  const regionName = () => nameOf(choice.region ?? '');
  /** @param {string} text */
  const announce = (text) => setText(byId(doc, 'live'), text);

  const alerts = createAlerts({
    win, nowMs: feed.nowMs, onOpen: (region) => void openRegion(region), ask: async () => api?.overview() ?? null,
    onOverview: (overview) => {
      feed.overview = overview;
      showTitle();
    },
  });
  const stopPrint = initPrint({ win, drawer });

  /** @type {import('./views/types').Context} */
  const context = {
    doc, win, drawer, choice, feed, watch, nameOf, regionName, networks, choose, openOverview, openRegion, openView, openWall, openTake, focusOn, announce, alerts,
    addNote: async (note, token) => api?.addNote(note, token),
    sawNetworks: (names) => { for (const name of names) seenNetworks.add(name); },
    keep: (param, value) => {
      choice.choices[param] = value;
      win.history.replaceState(null, '', urlOf());
    },
  };
  /** The views that were shown so far. @type {Map<string, View>} */
  const views = new Map();

  /** The code of a view. @param {string} id @returns {Promise<any>} */
  const codeOf = async (id) => VIEWS.find((one) => one.id === id)?.load?.();

  /** The view that is shown; null while its code is loaded. */
  function view() {
    const { id, create } = entryOf(choice);
    if (!views.has(id) && create) views.set(id, create(context));
    return views.get(id) ?? null;
  }

  /** The views that are being made. @type {Map<string, Promise<void>>} */
  const coming = new Map();

  /** Waits for the code of the view that is chosen, and shows the view. @returns {Promise<void>} */
  async function loadView() {
    const { id } = entryOf(choice);
    if (view()) return;
    if (!coming.has(id)) coming.set(id, makeView(id).finally(() => coming.delete(id)));
    await coming.get(id);
  }

  /** Makes a view whose code is loaded, and shows it, with pauses. @param {string} id */
  async function makeView(id) {
    const { default: make } = await codeOf(id);
    await breathe();
    if (isStopped) return;
    const made = make(context);
    await breathe();
    if (isStopped) return;
    views.set(id, made);
    if (entryOf(choice).id === id) showChoice();
  }

  // --- asking -------------------------------------------------------------------------------

  /**
   * @param {() => boolean} isCurrent
   * @param {{ whole?: boolean }} [options]
   */
  async function round(isCurrent, options) {
    if (!api) return true;
    const failedBefore = feed.error !== null;
    await feed.refresh(api, isCurrent, options);
    await breathe();
    if (!isCurrent()) return true;
    if (failedBefore && feed.error === null) announce(t('page.restored'));
    showState();
    await loadView().catch((error) => { feed.error ??= error; });
    if (!isCurrent()) return true;
    view()?.show('round');
    showState();
    if (feed.error === null) await watch.refresh(api, feed.overview, view()?.wanted() ?? {});
    await view()?.done?.();
    // What comes below other parts is shown when those are there, so that nothing moves.
    if (view() && isCurrent()) byId(doc, 'main').removeAttribute('data-waiting');
    // Most readers of the list open a region next.
    later(() => void codeOf('region').catch(() => {}));
    return feed.error === null;
  }

  async function refresh() {
    const button = byId(doc, 'refresh');
    button.setAttribute('aria-busy', 'true');
    await poller.poll({ whole: true });
    button.removeAttribute('aria-busy');
    if (feed.error === null) announce(t('page.updatedAt', { time: formatClockSeconds(Date.now()) }));
  }

  // --- choosing -----------------------------------------------------------------------------

  /**
   * Shows another region, range, view or other networks.
   * @param {Partial<Choice>} change
   * @param {{ push?: boolean }} [options] `push` adds the choice to the history
   */
  async function choose(change, { push = true } = {}) {
    Object.assign(choice, change);
    isFilterRefused = false;
    if (push) win.history.pushState(null, '', urlOf());
    showChoice();
    byId(doc, 'main').setAttribute('aria-busy', 'true');
    await poller.poll();
    if (feed.error === null && feed.fits()) {
      announce(t('page.showing', { what: [regionName(), rangeOf(choice).long, networksText(choice.networks)].filter(Boolean).join(', ') }));
    }
  }

  /** Nothing of what the address holds beside region, range, networks and zone; empty values leave the address. */
  const noChoices = () => ({ ...Object.fromEntries(PAGE_PARAMS.map((param) => [param, ''])), zone: choice.choices.zone ?? '' });

  function openOverview() {
    return choose({ region: null, networks: [], choices: noChoices() });
  }

  /** @type {import('./views/types').Context['openView']} */
  function openView(id, { region = null, params = {} } = {}) {
    return choose({ region, choices: { ...noChoices(), view: id, ...params } });
  }

  /** Opens the wall in full screen. Its address is `wall=`, not `view=`, so that it can pin regions. */
  function openWall() {
    doc.documentElement.requestFullscreen?.()?.catch(() => {});
    return openView('', { params: { wall: 'all' } });
  }

  async function openTake() {
    const takeaway = view()?.take?.();
    if (!takeaway) return;
    const { openTake: open } = await import('./view/take.js');
    open(doc, takeaway, { zone: currentZone().id, nowMs: feed.nowMs(), announce });
  }

  /** @param {string} region */
  async function openRegion(region) {
    await choose({ region, choices: { ...choice.choices, view: '', tag: '', host: '', language: '' } });
    doc.documentElement.scrollTop = 0;
  }

  /**
   * Turns the page of a region to a hashtag, host or language.
   * @param {string} region
   * @param {string} type
   * @param {string} key
   */
  async function focusOn(region, type, key) {
    await choose({ region, choices: { ...choice.choices, view: '', tag: type === 'hashtag' ? key : '', host: type === 'host' ? key : '', language: type === 'language' ? key : '' } });
    const box = byId(doc, 'focus');
    box.scrollIntoView?.({ block: 'nearest' });
    byId(doc, 'focus-close').focus({ preventScroll: true });
  }

  function removeFilter() {
    isFilterRefused = true;
    choice.networks = [];
    win.history.replaceState(null, '', urlOf());
  }

  // --- showing ------------------------------------------------------------------------------

  /** The zone of the address: the reader's own without one, and the region's for `region`. */
  function useZone() {
    const { zone } = choice.choices;
    if (setZone(zone === 'region' ? feed.regions?.find(({ id }) => id === choice.region)?.tz : zone)) drawer.restyle();
  }

  /** Shows the place of the view that is chosen, and no other. */
  function showPlace() {
    const { id } = entryOf(choice);
    for (const other of VIEWS) byId(doc, `view-${other.id}`).hidden = other.id !== id;
    for (const link of doc.querySelectorAll('[data-view]')) {
      if (link.getAttribute('data-view') === id) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
  }

  function showChoice() {
    useZone();
    showPlace();
    view()?.show('choice');
    showTitle();
    showKnown();
  }

  /** The view and language that were shown last. */
  let shown = '';

  /** Shows what is known already in a view that was opened, or in another language. */
  function showKnown() {
    const now = `${entryOf(choice).id} ${language()}`;
    if (shown === now || !view()) return;
    shown = now;
    if (feed.overview) view()?.show('overview');
    if (feed.windows && feed.fits()) view()?.show('windows');
    showTitle();
  }

  /** Shows the whole page in another language. @param {string} code */
  async function changeLanguage(code) {
    try {
      await useLanguage(code);
    } catch {
      languages.value = language();
      return;
    }
    storeLanguage(win, code);
    const query = new URLSearchParams(win.location.search);
    if (query.has('lang')) {
      query.set('lang', code);
      win.history.replaceState(null, '', writeUrl(`?${query}`, choice));
    }
    showLanguage();
    showChoice();
    showState();
  }

  /** Writes the texts that stay. */
  function showLanguage() {
    doc.documentElement.lang = language();
    languages.value = language();
    translate(doc);
    theme.label();
  }

  function showTitle() {
    doc.title = view()?.title() ?? 'Birdsong';
  }

  function showRegions() {
    const regions = feed.regions ?? [];
    if (choice.region !== null && !regions.some((region) => region.id === choice.region)) {
      choice.region = null;
      win.history.replaceState(null, '', urlOf());
    }
    // A chart alone belongs to a region.
    if (embed) choice.region ??= regions[0]?.id ?? null;
    renderRegions(doc, regions, choice.region);
    showChoice();
    loadView().catch(() => {});
  }

  function showOverview() {
    if (entryOf(choice).id !== 'region') byId(doc, 'main').classList.remove('loading');
    view()?.show('overview');
    showTitle();
    alerts.check(feed.overview);
  }

  function showWindows() {
    byId(doc, 'main').classList.remove('loading');
    view()?.show('windows');
    showTitle();
    showState();
  }

  /** Shows what is wrong, if anything, and whether the page is busy. */
  function showState() {
    const main = byId(doc, 'main');
    main.setAttribute('aria-busy', String(!feed.fits() && feed.error === null && choice.region !== null));
    if (feed.error !== null && (choice.region === null ? feed.overview === null : feed.windows === null)) {
      main.classList.remove('loading');
      renderBanner(doc, null);
      renderPanel(doc, {
        title: t('message.cannotLoad'),
        text: t('message.keepsTrying', { error: explain(feed.error) }),
        actions: [{ label: t('nav.retry'), run: refresh }],
      });
    } else if (feed.error !== null) {
      const known = { error: explain(feed.error), time: formatClockSeconds(feed.updatedAt ?? Date.now()) };
      renderBanner(doc, feed.fits() || choice.region === null ? t('message.stale', known) : t('message.stalePrevious', known));
    } else {
      if (entryOf(choice).id !== 'region') renderPanel(doc, null);
      renderBanner(doc, problemText(feed.overview) ?? (isFilterRefused ? refusedFilter() : null));
      if (feed.regions?.length === 0) {
        main.classList.remove('loading');
        renderPanel(doc, {
          title: t('message.noRegions'),
          text: t('message.addRegion'),
          actions: [{ label: t('nav.reload'), run: () => win.location.reload() }],
        });
      }
    }
    tick();
  }

  /** Shows what changes with time alone. */
  function tick() {
    const failed = watch.failed().flatMap((name) => partName(name) ?? []);
    const updatedAt = feed.updatedAt === null ? '' : formatClockSeconds(feed.updatedAt);
    const ago = formatAgo((Date.now() - (feed.updatedAt ?? 0)) / 1000);
    const updated = feed.updatedAt === null ? (feed.error ? t('page.notUpdated') : t('page.loading'))
      : feed.error !== null ? t('page.notUpdatedSince', { time: updatedAt })
        : failed.length > 0 ? t('page.updatedWithout', { ago, parts: failed.join(', ') }) : t('page.updated', { ago });
    // Chips and lists show their last state: it has a time, too.
    doc.documentElement.toggleAttribute('data-stale', feed.error !== null && feed.updatedAt !== null);
    showText(byId(doc, 'sources-stale'), feed.error !== null && feed.updatedAt !== null ? t('page.staleState', { time: updatedAt }) : '');
    setText(byId(doc, 'updated'), updated);
    if (feed.overview) renderTile(doc, freshnessTile(feed.overview, feed.nowMs()));
  }

  // --- wiring -------------------------------------------------------------------------------

  const onVisible = () => {
    if (doc.hidden) poller.pause();
    else if (api) poller.poll();
  };
  const onPopState = () => {
    const wanted = readUrl(win.location.search, PAGE_PARAMS);
    const isKnown = feed.regions?.some(({ id }) => id === wanted.region);
    choose({ ...wanted, region: isKnown ? wanted.region : null }, { push: false });
  };
  /** @param {Element} node @param {() => void} run */
  const onClick = (node, run) => node.addEventListener('click', (event) => {
    event.preventDefault();
    run();
  });
  function showHelp() {
    const box = /** @type {HTMLDialogElement} */ (byId(doc, 'help-box'));
    if (!box.open) box.showModal?.();
  }

  languages.addEventListener('change', () => changeLanguage(languages.value));
  onClick(byId(doc, 'home'), openOverview);
  onClick(byId(doc, 'help'), showHelp);
  onClick(byId(doc, 'refresh'), refresh);
  onClick(byId(doc, 'retry'), refresh);
  for (const link of doc.querySelectorAll('[data-view]')) {
    const id = link.getAttribute('data-view') ?? '';
    onClick(link, id === 'overview' ? openOverview : () => openView(id));
  }
  /** @type {Record<string, () => void>} */
  const keys = {
    '?': showHelp,
    t: () => byId(doc, 'theme').click(),
    f: () => void openWall(),
    Escape: () => { if (entryOf(choice).id !== 'overview') openOverview(); },
    '/': () => {
      if (entryOf(choice).id !== 'overview') openOverview();
      byId(doc, 'search').focus();
    },
  };
  const stopKeys = initKeys({
    doc,
    actionOf: (key) => {
      const [own, shared] = [view()?.keys?.[key], keys[key]];
      return own || shared ? () => { if (!own || own() === false) shared?.(); } : undefined;
    },
  });
  doc.addEventListener('visibilitychange', onVisible);
  win.addEventListener('popstate', onPopState);
  const ticker = setInterval(tick, TICK_MS);
  showLanguage();
  if (choice.region === null) {
    showChoice();
    loadView().catch(() => {});
  } else {
    // The rest comes with the regions, when the counts have been asked for: to make the page takes a while, and so does the first use of Intl.
    showPlace();
  }

  const ready = loadConfig(fetchImpl).then((config) => {
    api = createApi({ base: config.apiBase, fetchImpl });
    return poller.poll();
  });

  return {
    feed,
    ready,
    stop() {
      isStopped = true;
      poller.stop();
      clearInterval(ticker);
      feed.cancel();
      doc.removeEventListener('visibilitychange', onVisible);
      win.removeEventListener('popstate', onPopState);
      theme.stop();
      stopPrint();
      alerts.stop();
      stopKeys();
      drawer.destroy();
    },
  };
}
