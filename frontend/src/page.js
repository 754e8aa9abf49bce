// @ts-check
// The page: connects what is chosen, what the API answers, and what is shown.

import { createApi, loadConfig } from './api.js';
import { createDrawer } from './chart-kit/draw.js';
import { CHARTS } from './charts/index.js';
import { createFeed } from './feed.js';
import { formatAgo, formatClockSeconds } from './format.js';
import { REFUSED_FILTER, emptyMessage, explain } from './messages.js';
import { readAnswer } from './model/answer.js';
import { fieldsQuery } from './model/fields.js';
import { freshnessTile } from './model/freshness.js';
import { knownNetworks, networksText } from './model/networks.js';
import { coveredText } from './model/query.js';
import { problemText } from './model/sources.js';
import { tileReads, tiles } from './model/tiles.js';
import { createPoller } from './poller.js';
import { initTheme, readPalette } from './theme.js';
import { RANGES, rangeById, readUrl, writeUrl } from './url-state.js';
import { createCards } from './view/cards.js';
import { regionSelect, renderNetworks, renderRanges, renderRegions, toggleNetwork } from './view/controls.js';
import { byId, setText } from './view/dom.js';
import { renderBanner, renderPanel } from './view/messages.js';
import { markGlance, renderGlances } from './view/regions.js';
import { renderStatus } from './view/status.js';
import { renderTile } from './view/tile.js';

const TICK_MS = 1_000;
const CHOICE_PARAMS = CHARTS.flatMap(({ choice }) => choice?.param ?? []);

/** @typedef {import('./url-state.js').Choice} Choice */

/**
 * Starts the page. Tests pass stand-ins for the window, fetch and the drawing of charts.
 * @param {{ win?: globalThis.Window, fetchImpl?: import('./api.js').Fetch, makeDrawer?: typeof createDrawer }} [options]
 */
export function startPage({ win = window, fetchImpl = win.fetch.bind(win), makeDrawer = createDrawer } = {}) {
  const doc = win.document;
  const choice = readUrl(win.location.search, CHOICE_PARAMS);
  const feed = createFeed({
    choice,
    fieldsOf: (range) => fieldsQuery([...CHARTS.map(({ reads }) => reads), tileReads(range)]),
    onRegions: showRegions,
    onOverview: showOverview,
    onWindows: showWindows,
    onRefusedFilter: removeFilter,
  });
  const poller = createPoller({ round, isHidden: () => doc.hidden });
  const drawer = makeDrawer(() => readPalette(doc.documentElement));
  const cards = createCards({
    doc,
    charts: CHARTS,
    drawer,
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'local time',
    onChoice: (param, option) => {
      choice.choices[param] = option;
      win.history.replaceState(null, '', urlOf());
      if (feed.windows) showWindows();
    },
  });
  const stopTheme = initTheme({ button: byId(doc, 'theme'), win, onChange: () => drawer.restyle() });
  /** Networks of all answers so far. @type {Set<string>} */
  const seenNetworks = new Set();
  /** @type {import('./api.js').Api | null} */
  let api = null;
  /** Whether the server refused the networks that were chosen last. */
  let isFilterRefused = false;

  const urlOf = () => writeUrl(win.location.search, choice);
  const networks = () => knownNetworks({ overview: feed.overview, seen: seenNetworks, chosen: choice.networks });
  /** @param {string} text */
  const announce = (text) => setText(byId(doc, 'live'), text);

  // --- asking -------------------------------------------------------------------------------

  /**
   * @param {() => boolean} isCurrent
   * @param {{ whole?: boolean }} [options]
   */
  async function round(isCurrent, options) {
    if (!api) return true;
    const failedBefore = feed.error !== null;
    await feed.refresh(api, isCurrent, options);
    if (!isCurrent()) return true;
    if (failedBefore && feed.error === null) announce('The connection is restored.');
    // The rate and the time that is covered change also when the answer has not.
    if (feed.windows) showTiles();
    showState();
    return feed.error === null;
  }

  async function refresh() {
    const button = byId(doc, 'refresh');
    button.setAttribute('aria-busy', 'true');
    await poller.poll({ whole: true });
    button.removeAttribute('aria-busy');
    if (feed.error === null) announce(`Updated at ${formatClockSeconds(Date.now())}.`);
  }

  /**
   * Shows another region, range or other networks.
   * @param {Partial<Choice>} change
   * @param {{ push?: boolean }} [options] `push` adds the choice to the history
   */
  async function choose(change, { push = true } = {}) {
    Object.assign(choice, change);
    isFilterRefused = false;
    if (push) win.history.pushState(null, '', urlOf());
    showControls();
    byId(doc, 'main').setAttribute('aria-busy', 'true');
    await poller.poll();
    if (feed.error === null && feed.fits()) {
      announce(`Showing ${[regionName(), rangeById(choice.range).long, networksText(choice.networks)].filter(Boolean).join(', ')}.`);
    }
  }

  function removeFilter() {
    isFilterRefused = true;
    choice.networks = [];
    win.history.replaceState(null, '', urlOf());
  }

  // --- showing ------------------------------------------------------------------------------

  const regionName = () => feed.regions?.find((region) => region.id === choice.region)?.name ?? choice.region ?? '';

  function showControls() {
    renderRanges(doc, RANGES, choice.range);
    renderNetworks(doc, networks(), choice.networks);
    if (choice.region) regionSelect(doc).value = choice.region;
    markGlance(doc, choice.region);
  }

  function showRegions() {
    const regions = feed.regions ?? [];
    if (!regions.some((region) => region.id === choice.region)) {
      const wanted = choice.region;
      choice.region = regions[0]?.id ?? null;
      if (wanted) win.history.replaceState(null, '', urlOf());
    }
    renderRegions(doc, regions, choice.region);
    markGlance(doc, choice.region);
  }

  function showOverview() {
    if (feed.overview) {
      renderStatus(doc, feed.overview, feed.nowMs());
      renderGlances(doc, feed.overview, (region) => { if (region !== choice.region) choose({ region }); });
      markGlance(doc, choice.region);
    }
    renderNetworks(doc, networks(), choice.networks);
  }

  function showTiles(answer = readAnswer(feed.windows, feed.nowMs())) {
    const nowMs = feed.nowMs();
    const rangeText = `${coveredText(answer, nowMs)}${feed.endsInPast ? ', the newest data' : ''}`;
    for (const tile of tiles({ answer, overview: feed.overview, nowMs, rangeText })) renderTile(doc, tile);
  }

  /** Shows the last good answer. */
  function showWindows() {
    const answer = readAnswer(feed.windows, feed.nowMs());
    for (const network of answer.networks ?? []) seenNetworks.add(network);
    byId(doc, 'main').classList.remove('loading');
    doc.title = `${answer.name || regionName()} · Birdsong`;

    showTiles(answer);

    if (answer.total.posts > 0) {
      renderPanel(doc, null);
      cards.render({ answer, networks: networks(), choices: choice.choices });
    } else {
      const message = emptyMessage(choice, { hasOtherRegions: (feed.regions?.length ?? 0) > 1, hasPosts: Boolean(feed.overview?.newest_post) });
      renderPanel(doc, { ...message, actions: message.actions.map(({ label, change }) => ({ label, run: () => choose(change) })) });
    }
    renderNetworks(doc, networks(), choice.networks);
    showState();
  }

  /** Shows what is wrong, if anything, and whether the page is busy. */
  function showState() {
    const main = byId(doc, 'main');
    main.setAttribute('aria-busy', String(!feed.fits() && feed.error === null && choice.region !== null));
    if (feed.error !== null && feed.windows === null) {
      main.classList.remove('loading');
      renderBanner(doc, null);
      renderPanel(doc, {
        title: 'The metrics cannot be loaded',
        text: `${explain(feed.error)}. The page keeps trying.`,
        actions: [{ label: 'Retry now', run: refresh }],
      });
    } else if (feed.error !== null) {
      const shown = feed.fits() ? 'These numbers are' : 'These numbers are of the previous choice,';
      renderBanner(doc, `${explain(feed.error)}. ${shown} from ${formatClockSeconds(feed.updatedAt ?? Date.now())}; the page keeps trying.`);
    } else {
      renderBanner(doc, problemText(feed.overview) ?? (isFilterRefused ? REFUSED_FILTER : null));
      if (feed.regions?.length === 0) {
        main.classList.remove('loading');
        renderPanel(doc, {
          title: 'No regions yet',
          text: 'Add at least one region to the configuration. It appears here after a reload.',
          actions: [{ label: 'Reload', run: () => win.location.reload() }],
        });
      }
    }
    tick();
  }

  /** Shows what changes with time alone. */
  function tick() {
    const updated = feed.updatedAt === null ? (feed.error ? 'Not updated yet' : 'Loading…') : `Updated ${formatAgo((Date.now() - feed.updatedAt) / 1000)}`;
    setText(byId(doc, 'updated'), updated);
    if (feed.overview) renderTile(doc, freshnessTile(feed.overview, feed.nowMs()));
  }

  // --- wiring -------------------------------------------------------------------------------

  const onVisible = () => {
    if (doc.hidden) poller.pause();
    else if (api) poller.poll();
  };
  const onPopState = () => {
    const wanted = readUrl(win.location.search, CHOICE_PARAMS);
    const isKnown = feed.regions?.some(({ id }) => id === wanted.region);
    choose({ ...wanted, region: isKnown ? wanted.region : feed.regions?.[0]?.id ?? null }, { push: false });
  };
  /** @param {Event} event */
  const valueOf = (event) => /** @type {HTMLInputElement | HTMLSelectElement} */ (event.target).value;

  byId(doc, 'region').addEventListener('change', (event) => choose({ region: valueOf(event) }));
  byId(doc, 'ranges').addEventListener('change', (event) => choose({ range: valueOf(event) }));
  byId(doc, 'networks').addEventListener('change', (event) => choose({ networks: toggleNetwork(networks(), choice.networks, valueOf(event)) }));
  byId(doc, 'pickers').addEventListener('submit', (event) => event.preventDefault());
  byId(doc, 'refresh').addEventListener('click', refresh);
  byId(doc, 'retry').addEventListener('click', refresh);
  doc.addEventListener('visibilitychange', onVisible);
  win.addEventListener('popstate', onPopState);
  const ticker = setInterval(tick, TICK_MS);
  showControls();

  const ready = loadConfig(fetchImpl).then((config) => {
    api = createApi({ base: config.apiBase, fetchImpl });
    return poller.poll();
  });

  return {
    feed,
    ready,
    stop() {
      poller.stop();
      clearInterval(ticker);
      feed.cancel();
      doc.removeEventListener('visibilitychange', onVisible);
      win.removeEventListener('popstate', onPopState);
      stopTheme();
      drawer.destroy();
    },
  };
}
