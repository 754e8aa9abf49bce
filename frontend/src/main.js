/// <reference types="vite/client" />
// The page's state and wiring: what is chosen, when to ask the API, and what to draw.

import { ApiError, createApi, loadConfig } from './api.js';
import { createCharts } from './charts.js';
import { formatAgo, formatClockSeconds, plural } from './format.js';
import {
  KINDS, authorSeries, authorsTable, barsSummary, barsTable, coveredText, freshnessTile, hashtagBars, hostBars, kindSeries,
  languageBars, ledgerRows, ledgerTitle, locatedBars, longHashtagsNote, parseTime, postsSummary, postsTable, problemText, readAnswer, sourceChips, sourcesTable, tiles,
  windowQuery,
} from './shape.js';
import { initTheme, readPalette } from './theme.js';
import { RANGES, rangeById, readUrl, writeUrl } from './url-state.js';
import { el, renderBanner, renderChips, renderLedger, renderPanel, renderRanges, renderRegions, renderSources, renderTable, renderTile, setText } from './view.js';

const STATUS_EVERY_MS = 5_000;
const WINDOWS_EVERY_MS = 60_000;
const SLOWEST_RETRY_MS = 30_000;
const TICK_MS = 1_000;

const CHARTS = ['posts', 'authors', 'hashtags', 'languages', 'hosts', 'located'];

/** Starts the page in `win`. Returns what tests need to look at it and to stop it. */
export function startApp({ win = window, fetchImpl = win.fetch.bind(win), makeCharts = createCharts } = {}) {
  const doc = win.document;
  const byId = (id) => doc.getElementById(id);

  const state = {
    regions: null,
    ...readUrl(win.location.search),
    status: null,
    clockSkewMs: 0,
    raw: null,
    rawFor: null,
    rawNewest: null,
    updatedAt: null,
    askedAt: 0,
    error: null,
    failures: 0,
    hidden: new Set(),
    endsInPast: false,
  };

  let api = null;
  let running = true;
  let pollTimer = null;
  let pollToken = 0;
  let pending = null;

  const serverNow = () => Date.now() + state.clockSkewMs;
  const key = () => `${state.region}|${state.range}`;
  const regionName = () => state.regions?.find((region) => region.id === state.region)?.name ?? state.region ?? '';

  const canvases = Object.fromEntries(CHARTS.map((name) => [name, byId(`chart-${name}`)]));
  const charts = makeCharts(canvases, () => readPalette(doc.documentElement));
  const stopTheme = initTheme({ button: byId('theme'), win, onChange: () => charts.restyle() });

  const announce = (text) => setText(byId('live'), text);

  // --- asking -------------------------------------------------------------------------------

  async function loadRegions() {
    const answer = await api.regions();
    state.regions = Array.isArray(answer.regions) ? answer.regions : [];
    if (!state.regions.some((region) => region.id === state.region)) {
      const wanted = state.region;
      state.region = state.regions[0]?.id ?? null;
      if (wanted) win.history.replaceState(null, '', writeUrl(win.location.search, state));
    }
    renderRegions(doc, state.regions, state.region);
  }

  async function loadStatus() {
    const status = await api.status();
    const now = parseTime(status.now);
    state.clockSkewMs = now === null ? 0 : now - Date.now();
    state.status = status;
    renderChips(doc, sourceChips(status, serverNow()));
    renderSources(doc, sourcesTable(status, serverNow()));
    renderLedger(doc, ledgerTitle(status), ledgerRows(status));
  }

  async function loadWindows() {
    if (!state.region) return;
    pending?.abort();
    const controller = new AbortController();
    pending = controller;
    const asked = key();
    const newest = state.status?.newest_post ?? null;
    const { endsInPast, ...query } = windowQuery({
      region: state.region, range: rangeById(state.range), nowMs: serverNow(), newestMs: parseTime(newest),
    });
    state.askedAt = Date.now();
    try {
      const raw = await api.windows(query, { signal: controller.signal });
      if (controller.signal.aborted || asked !== key()) return;
      Object.assign(state, { raw, rawFor: asked, rawNewest: newest, updatedAt: Date.now(), endsInPast });
      render();
    } finally {
      if (pending === controller) pending = null;
    }
  }

  /** Whether the windows are to be asked for: chosen anew, a new post came, or a minute has passed. */
  function windowsDue() {
    return state.rawFor !== key()
      || (state.status?.newest_post ?? null) !== state.rawNewest
      || Date.now() - state.askedAt >= WINDOWS_EVERY_MS;
  }

  /** One round of asking, until a newer one begins. `force` asks for the windows in any case. */
  async function round(token, { force = false } = {}) {
    const outdated = () => token !== pollToken || !running;
    try {
      if (state.regions === null) await loadRegions();
      // The status also tells where the range ends, but without it there is still now.
      const status = await loadStatus().then(() => null, (error) => error);
      if (outdated()) return;
      if (force || windowsDue()) await loadWindows();
      if (outdated()) return;
      if (status) throw status;
      const recovered = state.error !== null;
      state.error = null;
      state.failures = 0;
      if (recovered) announce('The connection is back.');
    } catch (error) {
      if (outdated() || (error instanceof ApiError && error.kind === 'aborted')) return;
      state.error = error;
      state.failures += 1;
    }
    renderState();
  }

  function nextDelay() {
    return state.failures === 0 ? STATUS_EVERY_MS : Math.min(SLOWEST_RETRY_MS, STATUS_EVERY_MS * 2 ** (state.failures - 1));
  }

  /** Asks now, then again and again while the page is seen. Takes the place of a round under way. */
  async function poll(options) {
    if (!api) return;
    const token = ++pollToken;
    clearTimeout(pollTimer);
    await round(token, options);
    if (!running || token !== pollToken || doc.hidden) return;
    pollTimer = setTimeout(poll, nextDelay());
  }

  async function refresh() {
    const button = byId('refresh');
    button.setAttribute('aria-busy', 'true');
    await poll({ force: true });
    button.removeAttribute('aria-busy');
    if (state.error === null) announce(`Updated at ${formatClockSeconds(Date.now())}.`);
  }

  async function choose(change, { push = true } = {}) {
    Object.assign(state, change);
    if (push) win.history.pushState(null, '', writeUrl(win.location.search, state));
    renderRanges(doc, RANGES, state.range);
    if (state.region) byId('region').value = state.region;
    byId('main').setAttribute('aria-busy', 'true');
    await poll({ force: true });
    if (state.error === null && state.rawFor === key()) {
      announce(`Showing ${regionName()}, ${rangeById(state.range).long}.`);
    }
  }

  // --- drawing ------------------------------------------------------------------------------

  function renderLegend() {
    byId('kinds').replaceChildren(...KINDS.map(({ key: kind, label }) => {
      const button = el(
        doc, 'button', { type: 'button', class: 'legend-item', 'data-kind': kind, 'aria-pressed': 'true' },
        el(doc, 'span', { class: 'swatch', 'aria-hidden': 'true' }), label,
      );
      button.addEventListener('click', () => {
        if (!state.hidden.delete(kind)) state.hidden.add(kind);
        button.setAttribute('aria-pressed', String(!state.hidden.has(kind)));
        if (state.raw) render();
      });
      return button;
    }));
  }

  /** Draws the last good answer. */
  function render() {
    const nowMs = serverNow();
    const answer = readAnswer(state.raw, nowMs);
    const range = rangeById(state.range);
    const main = byId('main');
    main.classList.remove('loading');
    doc.title = `${answer.name || regionName()} · Birdsong`;

    const rangeText = `${coveredText(answer, nowMs)}${state.endsInPast ? ', the newest data' : ''}`;
    for (const tile of tiles({ answer, status: state.status, nowMs, rangeText })) renderTile(doc, tile);

    if (answer.total.posts === 0) {
      renderPanel(doc, emptyPanel(range));
      renderState();
      return;
    }
    renderPanel(doc, null);

    const bars = {
      hashtags: hashtagBars(answer.total),
      languages: languageBars(answer.total),
      hosts: hostBars(answer.total),
      located: locatedBars(answer.total),
    };
    charts.draw('posts', { answer, series: kindSeries(answer.windows), hidden: state.hidden });
    charts.draw('authors', { answer, series: authorSeries(answer.windows) });
    canvases.posts.setAttribute('aria-label', postsSummary(answer));
    canvases.authors.setAttribute('aria-label', `Distinct authors per window with their error band; about ${plural(answer.total.authors ?? 0, 'author')} in all. The numbers are in the table below.`);
    for (const [name, entries] of Object.entries(bars)) {
      const none = canvases[name].closest('.card').querySelector('.none');
      none.hidden = entries.length > 0;
      canvases[name].parentElement.hidden = entries.length === 0;
      if (entries.length > 0) charts.draw(name, { bars: entries, all: answer.total.posts });
      canvases[name].setAttribute('aria-label', barsSummary(byId(`${name}-title`).textContent, entries));
    }
    const note = longHashtagsNote(answer.total);
    byId('hashtags-note').hidden = note === '';
    setText(byId('hashtags-note'), note);
    renderTables(answer, bars);
    renderState();
  }

  /** Tables are filled while they are open. */
  function renderTables(answer, bars) {
    const all = answer.total.posts;
    const tables = {
      posts: () => postsTable(answer.windows),
      authors: () => authorsTable(answer.windows),
      hashtags: () => barsTable(bars.hashtags, 'Hashtag', { errors: true, all }),
      languages: () => barsTable(bars.languages, 'Language', { all }),
      hosts: () => barsTable(bars.hosts, 'Host', { errors: true, all }),
      located: () => barsTable(bars.located, 'Placed by', { all }),
    };
    for (const details of doc.querySelectorAll('details[data-table]')) {
      const name = details.dataset.table;
      const fill = () => {
        if (details.open) renderTable(doc, details.querySelector('.table'), byId(`${name}-title`).textContent, tables[name]());
      };
      details.ontoggle = fill;
      fill();
    }
  }

  function emptyPanel(range) {
    const longer = RANGES.filter((other) => other.secs > range.secs && other.secs >= 86_400);
    const others = (state.regions?.length ?? 0) > 1 ? ' or another region' : '';
    const newest = state.status?.newest_post ? '' : ' No source has delivered a post so far: check that one is running and connected.';
    return {
      title: 'No posts in this range yet',
      text: `${longer.length ? `Try a longer range${others}.` : others ? 'Try another region, or check the keywords and boxes of this one.' : 'Check the keywords and boxes of this region.'} New posts appear here within seconds of their arrival.${newest}`,
      actions: longer.map((other) => ({ label: `Show the ${other.long}`, run: () => choose({ range: other.id }) })),
    };
  }

  function explain(error) {
    if (!(error instanceof ApiError)) return 'Something went wrong on this page';
    const message = error.message.charAt(0).toUpperCase() + error.message.slice(1).replace(/\.$/, '');
    return error.parameter ? `${message} (${error.parameter})` : message;
  }

  /** Banner, panel of the first failure, and busy mark. */
  function renderState() {
    const main = byId('main');
    const fits = state.rawFor === key();
    main.setAttribute('aria-busy', String(!fits && state.error === null && state.region !== null));
    if (state.error !== null && state.raw === null) {
      main.classList.remove('loading');
      renderBanner(doc, null);
      renderPanel(doc, {
        title: 'The metrics cannot be loaded',
        text: `${explain(state.error)}. The page keeps trying by itself.`,
        actions: [{ label: 'Retry now', run: refresh }],
      });
    } else if (state.error !== null) {
      const when = formatClockSeconds(state.updatedAt);
      renderBanner(doc, fits
        ? `${explain(state.error)}. What you see is from ${when}; the page keeps trying.`
        : `${explain(state.error)}. What you see is the earlier choice, from ${when}; the page keeps trying.`);
    } else {
      renderBanner(doc, problemText(state.status));
      if (state.regions?.length === 0) {
        main.classList.remove('loading');
        renderPanel(doc, {
          title: 'No regions yet',
          text: 'Add at least one region to the configuration; it appears here after a reload.',
          actions: [{ label: 'Reload', run: () => win.location.reload() }],
        });
      }
    }
    tick();
  }

  function tick() {
    const updated = byId('updated');
    if (state.updatedAt === null) setText(updated, state.error ? 'Not updated yet' : 'Loading…');
    else setText(updated, `Updated ${formatAgo((Date.now() - state.updatedAt) / 1000)}`);
    if (state.status) renderTile(doc, freshnessTile(state.status, serverNow()));
  }

  // --- wiring -------------------------------------------------------------------------------

  const onVisible = () => {
    if (doc.hidden) clearTimeout(pollTimer);
    else if (api) poll({ force: true });
  };
  const onPopState = () => {
    const { region, range } = readUrl(win.location.search);
    const known = state.regions?.some((other) => other.id === region);
    choose({ region: known ? region : state.regions?.[0]?.id ?? null, range }, { push: false });
  };

  byId('region').addEventListener('change', (event) => choose({ region: event.target.value }));
  byId('ranges').addEventListener('change', (event) => choose({ range: event.target.value }));
  byId('pickers').addEventListener('submit', (event) => event.preventDefault());
  byId('refresh').addEventListener('click', refresh);
  byId('retry').addEventListener('click', refresh);
  doc.addEventListener('visibilitychange', onVisible);
  win.addEventListener('popstate', onPopState);
  const ticker = setInterval(tick, TICK_MS);

  renderRanges(doc, RANGES, state.range);
  renderLegend();
  setText(byId('zone'), `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone || 'local time'}`);

  const ready = loadConfig(fetchImpl).then((config) => {
    api = createApi({ base: config.apiBase, fetchImpl });
    return poll();
  });

  return {
    state,
    ready,
    refresh,
    poll,
    stop() {
      running = false;
      clearTimeout(pollTimer);
      clearInterval(ticker);
      pending?.abort();
      doc.removeEventListener('visibilitychange', onVisible);
      win.removeEventListener('popstate', onPopState);
      stopTheme();
      charts.destroy?.();
    },
  };
}

if (import.meta.env.MODE !== 'test') startApp();
