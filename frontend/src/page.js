// @ts-check
// The page: connects what is chosen, what the API answers, and what is shown.

import { createApi, loadConfig } from './api.js';
import { createDrawer } from './chart-kit/draw.js';
import focusChart, { boundsText, readSeries } from './charts/focus.js';
import { CHARTS } from './charts/index.js';
import { createFeed } from './feed.js';
import { formatAgo, formatClockSeconds } from './format.js';
import { initKeys } from './keys.js';
import { REFUSED_FILTER, emptyMessage, explain } from './messages.js';
import { readAnswer } from './model/answer.js';
import { AGAINST, againstById, changeText, earlierRange, shareChangeText } from './model/change.js';
import { regionsCsv, stepsCsv } from './model/csv.js';
import { fieldsQuery } from './model/fields.js';
import { freshnessTile } from './model/freshness.js';
import { knownNetworks, networksText } from './model/networks.js';
import { coveredText } from './model/query.js';
import { risingList } from './model/reasons.js';
import { problemText } from './model/sources.js';
import { tileReads, tiles } from './model/tiles.js';
import { evidence, rankRegions, regionSentence, subjectText, tabTitle } from './model/unusual.js';
import { list, parseTime } from './model/values.js';
import { createPoller } from './poller.js';
import { initTheme, readPalette } from './theme.js';
import { RANGES, rangeById, readUrl, writeUrl } from './url-state.js';
import { createCards } from './view/cards.js';
import { regionSelect, renderNetworks, renderRanges, renderRegions, renderSegments, toggleNetwork } from './view/controls.js';
import { byId, find, setText } from './view/dom.js';
import { saveText } from './view/download.js';
import { renderBanner, renderPanel } from './view/messages.js';
import { renderEvidence, renderOverview, renderRising, renderSentence } from './view/overview.js';
import { renderStatus } from './view/status.js';
import { renderTile } from './view/tile.js';
import { createWatch } from './watch.js';

const TICK_MS = 1_000;
/** What the address holds beside region, range and networks: another page, the hashtag or host that is focused on, the end of the range, and what is compared. */
const PAGE_PARAMS = ['view', 'tag', 'host', 'until', 'against'];
const CHOICE_PARAMS = [...CHARTS.flatMap(({ choice }) => choice?.param ?? []), ...PAGE_PARAMS];
/** Steps of the lines of the overview: a length that every window divides. */
const SPARK_SECS = [1800, 3600];
/** The lines of this many regions have the usual range; the others are by the hour. */
const MOST_SPARKS = 24;

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
  const watch = createWatch({ onChange: showAnswer });
  const shared = {
    doc,
    drawer,
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'local time',
    onChoice: (/** @type {string} */ param, /** @type {string} */ option) => {
      choice.choices[param] = option;
      win.history.replaceState(null, '', urlOf());
      if (feed.windows) showWindows();
    },
    onFocus: (/** @type {string} */ type, /** @type {string} */ key) => focusOn(choice.region ?? '', type, key),
  };
  const cards = createCards({ ...shared, charts: CHARTS });
  const focusCard = createCards({ ...shared, charts: [focusChart], holder: 'focus-card' });
  const stopTheme = initTheme({ button: byId(doc, 'theme'), win, onChange: () => drawer.restyle() });
  /** Networks of all answers so far. @type {Set<string>} */
  const seenNetworks = new Set();
  /** @type {import('./api.js').Api | null} */
  let api = null;
  /** Whether the server refused the networks that were chosen last. */
  let isFilterRefused = false;

  const urlOf = () => writeUrl(win.location.search, choice);
  const networks = () => knownNetworks({ overview: feed.overview, seen: seenNetworks, chosen: choice.networks });
  const viewName = () => (choice.choices.view === 'sources' ? 'sources' : choice.region ? 'region' : 'overview');
  const focused = () => (choice.choices.tag ? { type: 'hashtag', key: choice.choices.tag } : choice.choices.host ? { type: 'host', key: choice.choices.host } : null);
  /** @param {string} region */
  const nameOf = (region) => feed.regions?.find(({ id }) => id === region)?.name ?? region;
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
    if (feed.windows && choice.region) showTiles();
    showState();
    if (feed.error === null) await watch.refresh(api, feed.overview, wantedExtras());
    return feed.error === null;
  }

  /** What the page that is shown needs beside counts over time. */
  function wantedExtras() {
    const none = { events: null, trends: null, sparks: null, earlier: null, series: null };
    const regions = rankRegions(feed.overview);
    if (viewName() === 'overview') {
      const ids = regions.slice(0, MOST_SPARKS).map(({ id }) => id).sort();
      const windowSecs = feed.overview?.window_secs ?? 300;
      const step = SPARK_SECS.find((secs) => secs % windowSecs === 0) ?? windowSecs;
      const query = { region: ids.join(','), step: String(step), fields: 'completeness,lifecycle,posts,usual,usual_high,usual_low', total_fields: 'none' };
      return {
        ...none,
        events: { subject: 'all', ask: (/** @type {import('./api.js').Api} */ one) => one.events({}) },
        trends: { subject: 'all', ask: (/** @type {import('./api.js').Api} */ one) => one.trends({}) },
        sparks: ids.length === 0 ? null : {
          subject: ids.join(','),
          ask: async (/** @type {import('./api.js').Api} */ one) => (ids.length > 1 ? list((await one.windowsOf(query)).regions) : [await one.windows(query)]),
        },
      };
    }
    if (viewName() !== 'region' || !feed.windows || !feed.fits()) return none;
    const region = choice.region ?? '';
    const answer = readAnswer(feed.windows, feed.nowMs());
    const range = { from: feed.windows.from ?? '', to: feed.windows.to ?? '' };
    const earlier = earlierRange(answer, againstById(choice.choices.against), feed.nowMs(), rangeById(choice.range).secs * 1000);
    const focus = focused();
    const about = [region, choice.range, choice.choices.until ?? ''].join(' ');
    const network = choice.networks.join(',');
    return {
      ...none,
      events: { subject: about, ask: (/** @type {import('./api.js').Api} */ one) => one.events({ region, ...range }) },
      trends: { subject: region, ask: (/** @type {import('./api.js').Api} */ one) => one.trends({ region }) },
      earlier: earlier && {
        subject: `${about} ${network} ${choice.choices.against ?? ''}`,
        ask: (/** @type {import('./api.js').Api} */ one) => one.windows({ region, network, ...earlier, step: 'auto', fields: 'posts', total_fields: 'authors,completeness,posts,reposts' }),
      },
      series: focus && {
        subject: `${about} ${focus.type} ${focus.key}`,
        ask: (/** @type {import('./api.js').Api} */ one) => one.series({
          region, ...range, step: String(Math.min(86_400, Math.round(answer.stepMs / 1000))), ...(focus.type === 'hashtag' ? { tag: focus.key } : { host: focus.key }),
        }),
      },
    };
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

  /**
   * Turns the page to a hashtag or host of a region.
   * @param {string} region
   * @param {string} type
   * @param {string} key
   */
  async function focusOn(region, type, key) {
    await choose({ region, choices: { ...choice.choices, view: '', tag: type === 'hashtag' ? key : '', host: type === 'host' ? key : '' } });
    const box = byId(doc, 'focus');
    box.scrollIntoView?.({ block: 'nearest' });
    byId(doc, 'focus-close').focus({ preventScroll: true });
  }

  const unfocus = () => choose({ choices: { ...choice.choices, tag: '', host: '' } });
  /** Nothing of what the address holds beside region, range and networks; empty values leave the address. */
  const noChoices = () => Object.fromEntries(CHOICE_PARAMS.map((param) => [param, '']));
  const openOverview = () => choose({ region: null, networks: [], choices: noChoices() });
  /** @param {string} region */
  async function openRegion(region) {
    await choose({ region, choices: { ...choice.choices, view: '', tag: '', host: '' } });
    doc.documentElement.scrollTop = 0;
  }

  /** One step back: from a hashtag to all posts, from a region to all regions. */
  function goUp() {
    if (focused()) unfocus();
    else if (viewName() !== 'overview') openOverview();
  }

  /**
   * Shows the time before or after the range that is shown.
   * @param {-1 | 1} direction
   */
  function move(direction) {
    if (viewName() !== 'region') return;
    const now = feed.nowMs();
    const until = (parseTime(choice.choices.until) ?? now) + direction * rangeById(choice.range).secs * 1000;
    if (direction === 1 && !choice.choices.until) return;
    choose({ choices: { ...choice.choices, until: until >= now - 60_000 ? '' : new Date(Math.floor(until / 60_000) * 60_000).toISOString().replace('.000Z', 'Z') } });
  }

  /** The next or previous region: in the list of the overview by focus, otherwise the page of the region. @param {-1 | 1} direction */
  function step(direction) {
    if (viewName() === 'overview') {
      const links = [.../** @type {NodeListOf<HTMLElement>} */ (byId(doc, 'region-list').querySelectorAll('[data-region]'))];
      const at = links.findIndex((link) => link === doc.activeElement);
      links[Math.max(0, Math.min(links.length - 1, at + direction))]?.focus();
      return;
    }
    const ids = rankRegions(feed.overview).map(({ id }) => id);
    const next = ids[ids.indexOf(choice.region ?? '') + direction];
    if (viewName() === 'region' && next) openRegion(next);
  }

  async function copyLink() {
    const end = choice.choices.until || new Date(Math.floor(feed.nowMs() / 60_000) * 60_000).toISOString().replace('.000Z', 'Z');
    const search = writeUrl(win.location.search, { ...choice, choices: { ...choice.choices, until: end } });
    try {
      await win.navigator.clipboard.writeText(new URL(search, win.location.href).href);
      announce('The link is copied.');
      setText(byId(doc, 'copy-link'), 'Copied');
    } catch {
      // Without a clipboard, such as on plain HTTP, the address bar gets the link.
      choose({ choices: { ...choice.choices, until: end } });
      announce('The link is in the address bar.');
      setText(byId(doc, 'copy-link'), 'Link is in the address bar');
    }
    win.setTimeout(() => setText(byId(doc, 'copy-link'), 'Copy link to this moment'), 2_000);
  }

  function download() {
    if (viewName() === 'region' && feed.windows && feed.fits()) {
      saveText(doc, `birdsong-${choice.region}-${choice.range}.csv`, stepsCsv(readAnswer(feed.windows, feed.nowMs())));
    }
    if (viewName() === 'overview' && feed.overview) saveText(doc, 'birdsong-regions.csv', regionsCsv(rankRegions(feed.overview)));
  }

  function removeFilter() {
    isFilterRefused = true;
    choice.networks = [];
    win.history.replaceState(null, '', urlOf());
  }

  // --- showing ------------------------------------------------------------------------------

  const regionName = () => nameOf(choice.region ?? '');

  function showControls() {
    const view = viewName();
    for (const name of ['overview', 'region', 'sources']) byId(doc, `view-${name}`).hidden = name !== view;
    for (const link of doc.querySelectorAll('[data-view]')) {
      if (link.getAttribute('data-view') === view) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    renderRanges(doc, RANGES, choice.range);
    renderNetworks(doc, networks(), choice.networks);
    renderSegments(doc, byId(doc, 'against'), { type: 'radio', name: 'against', options: AGAINST, chosen: (id) => id === againstById(choice.choices.against).id });
    byId(doc, 'later-range').hidden = !choice.choices.until;
    if (choice.region) regionSelect(doc).value = choice.region;
    showTitle();
    showFocus();
  }

  function showTitle() {
    const regions = rankRegions(feed.overview);
    if (viewName() === 'sources') doc.title = 'Sources · Birdsong';
    else if (viewName() === 'overview') doc.title = tabTitle(regions[0], 'All regions');
    else doc.title = tabTitle(regions.find(({ id }) => id === choice.region), regionName());
  }

  function showRegions() {
    const regions = feed.regions ?? [];
    if (choice.region !== null && !regions.some((region) => region.id === choice.region)) {
      choice.region = null;
      win.history.replaceState(null, '', urlOf());
    }
    renderRegions(doc, regions, choice.region);
    showControls();
  }

  function showOverview() {
    if (feed.overview) {
      renderStatus(doc, feed.overview, feed.nowMs());
      if (viewName() !== 'region') byId(doc, 'main').classList.remove('loading');
    }
    renderNetworks(doc, networks(), choice.networks);
    showTitle();
    showExtras();
  }

  /** Shows what is known beside counts over time. */
  function showExtras() {
    const { overview } = feed;
    const nowMs = feed.nowMs();
    const rises = () => {
      const trends = watch.get('trends');
      return trends && risingList(trends, { nameOf, nowMs });
    };
    if (!overview) return;
    const regions = rankRegions(overview);
    if (viewName() === 'overview') {
      const answers = list(/** @type {import('./api.js').Windows[] | null} */ (watch.get('sparks'))).map((one) => readAnswer(one, nowMs));
      renderOverview(doc, {
        regions, overview, nowMs, nameOf, rises: rises(), events: watch.get('events'), search: searchText(),
        answers: new Map(answers.map((one) => [one.region ?? '', one])),
      }, { open: openRegion, focus: focusOn, hrefOf: (region) => writeUrl('', { ...choice, region, choices: {} }) });
    }
    if (viewName() === 'region') {
      const region = regions.find(({ id }) => id === choice.region);
      renderSentence(byId(doc, 'region-sentence'), region ? regionSentence(region, nowMs) : [{ text: regionName(), tone: 'plain' }]);
      renderEvidence(byId(doc, 'region-evidence'), region ? evidence(region) : []);
      const known = rises();
      const empty = known === null ? 'Loading…' : region?.group === 'unjudged' ? 'Nothing can be called rising before two complete days.' : 'Nothing rises.';
      renderRising(byId(doc, 'rising'), known ?? [], { focus: focusOn, withRegion: false, empty });
      showFocus();
    }
  }

  /** Shows an answer that has arrived. @param {string} name */
  function showAnswer(name) {
    showExtras();
    if (viewName() !== 'region' || !feed.windows || !feed.fits()) return;
    showChanges();
    if (name === 'events') showCharts();
  }

  const searchText = () => /** @type {HTMLInputElement} */ (byId(doc, 'search')).value.trim();

  /** Shows how the numbers of the range compare with an earlier time. */
  function showChanges() {
    const { total } = readAnswer(feed.windows, feed.nowMs());
    const [earlier, against] = [watch.get('earlier'), againstById(choice.choices.against)];
    const texts = {
      posts: changeText(total.posts, earlier, 'posts', against),
      authors: total.authors ? changeText(total.authors.authors, earlier, 'authors', against) : '',
      reposts: shareChangeText([total.reposts, total.posts], earlier, against),
    };
    for (const [id, text] of Object.entries(texts)) setText(find(doc, `#tile-${id} .tile-change`), text);
  }

  function showFocus() {
    const focus = viewName() === 'region' ? focused() : null;
    byId(doc, 'focus').hidden = focus === null;
    if (!focus) return;
    setText(byId(doc, 'focus-title'), `${subjectText({ type: focus.type, name: focus.key })} in ${regionName()}`);
    const series = watch.get('series');
    if (!series) {
      setText(byId(doc, 'focus-text'), watch.errorOf('series') ? `${explain(watch.errorOf('series'))}. The page keeps trying.` : 'Loading…');
      byId(doc, 'focus-card').hidden = true;
      return;
    }
    const answer = readSeries(series, feed.nowMs());
    const elsewhere = list(/** @type {import('./api.js').Overview} */ (feed.overview)?.regions).filter(({ region, event }) => region !== choice.region && event?.subject?.key === focus.key).map(({ name }) => name);
    setText(byId(doc, 'focus-text'), `In this range: ${boundsText(answer)}.${elsewhere.length ? ` It also rises in ${elsewhere.join(', ')}.` : ''}`);
    byId(doc, 'focus-card').hidden = false;
    focusCard.render({ answer, networks: [], choices: {} });
  }

  function showCharts(answer = readAnswer(feed.windows, feed.nowMs())) {
    if (answer.total.posts > 0) cards.render({ answer, networks: networks(), choices: choice.choices, events: watch.get('events')?.events ?? [], nowMs: feed.nowMs() });
  }

  function showTiles(answer = readAnswer(feed.windows, feed.nowMs())) {
    const nowMs = feed.nowMs();
    const rangeText = `${coveredText(answer, nowMs)}${feed.endsInPast ? ', the newest data' : ''}`;
    for (const tile of tiles({ answer, overview: feed.overview, nowMs, rangeText })) renderTile(doc, tile);
  }

  /** Shows the last good answer. */
  function showWindows() {
    if (viewName() !== 'region') return;
    const answer = readAnswer(feed.windows, feed.nowMs());
    for (const network of answer.networks ?? []) seenNetworks.add(network);
    byId(doc, 'main').classList.remove('loading');
    showTitle();
    showTiles(answer);
    showExtras();
    if (feed.fits()) showChanges();

    if (answer.total.posts > 0) {
      renderPanel(doc, null);
      showCharts(answer);
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
    if (feed.error !== null && (choice.region === null ? feed.overview === null : feed.windows === null)) {
      main.classList.remove('loading');
      renderBanner(doc, null);
      renderPanel(doc, {
        title: 'The metrics cannot be loaded',
        text: `${explain(feed.error)}. The page keeps trying.`,
        actions: [{ label: 'Retry now', run: refresh }],
      });
    } else if (feed.error !== null) {
      const shown = feed.fits() || choice.region === null ? 'These numbers are' : 'These numbers are of the previous choice,';
      renderBanner(doc, `${explain(feed.error)}. ${shown} from ${formatClockSeconds(feed.updatedAt ?? Date.now())}; the page keeps trying.`);
    } else {
      if (viewName() !== 'region') renderPanel(doc, null);
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
    choose({ ...wanted, region: isKnown ? wanted.region : null }, { push: false });
  };
  /** @param {Event} event */
  const valueOf = (event) => /** @type {HTMLInputElement | HTMLSelectElement} */ (event.target).value;

  byId(doc, 'region').addEventListener('change', (event) => choose({ region: valueOf(event) }));
  byId(doc, 'ranges').addEventListener('change', (event) => choose({ range: valueOf(event) }));
  byId(doc, 'networks').addEventListener('change', (event) => choose({ networks: toggleNetwork(networks(), choice.networks, valueOf(event)) }));
  byId(doc, 'against').addEventListener('change', (event) => choose({ choices: { ...choice.choices, against: valueOf(event) } }));
  byId(doc, 'search').addEventListener('input', () => showExtras());
  /** @param {string} id @param {() => void} run */
  const onClick = (id, run) => byId(doc, id).addEventListener('click', (event) => {
    event.preventDefault();
    run();
  });
  onClick('home', openOverview);
  onClick('back', openOverview);
  onClick('focus-close', unfocus);
  onClick('earlier-range', () => move(-1));
  onClick('later-range', () => move(1));
  onClick('copy-link', copyLink);
  onClick('csv', download);
  onClick('csv-regions', download);
  onClick('help', showHelp);
  find(doc, '[data-view=overview]').addEventListener('click', (event) => { event.preventDefault(); openOverview(); });
  find(doc, '[data-view=sources]').addEventListener('click', (event) => { event.preventDefault(); choose({ region: null, choices: { ...noChoices(), view: 'sources' } }); });
  function showHelp() {
    const box = /** @type {HTMLDialogElement} */ (byId(doc, 'help-box'));
    if (!box.open) box.showModal?.();
  }
  const stopKeys = initKeys({
    doc,
    actions: {
      '?': showHelp, j: () => step(1), k: () => step(-1), ArrowLeft: () => move(-1), ArrowRight: () => move(1), Escape: goUp,
      t: () => byId(doc, 'theme').click(),
      f: () => void (doc.fullscreenElement ? doc.exitFullscreen?.() : doc.documentElement.requestFullscreen?.())?.catch(() => {}),
      '/': () => {
        if (viewName() !== 'overview') openOverview();
        byId(doc, 'search').focus();
      },
      ...Object.fromEntries(RANGES.map(({ id }, i) => [String(i + 1), () => { if (viewName() === 'region') choose({ range: id }); }])),
    },
  });
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
      stopKeys();
      drawer.destroy();
    },
  };
}
