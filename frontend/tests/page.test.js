// @vitest-environment jsdom
// @ts-check
// Tests of the whole page except the drawing: the real index.html, a fake API held to the contract, and a fake clock.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { until } from './until.js';
import { CHARTS } from '../src/charts/index.js';
import { t, useLanguage } from '../src/i18n.js';
import { startPage } from '../src/page.js';
import { assertAllowed } from './contract.js';
import { overviewAnswer } from './fake-data.js';
import { COMPLETE, report } from './reports.js';

/** The title of a chart. @param {string} id */
const titleOf = (id) => t(/** @type {import('../src/i18n.js').Key} */ (`chart.${id}.title`));
const html = readFileSync(join(import.meta.dirname, '../index.html'), 'utf8');
const NOW = Date.UTC(2026, 10, 24, 8, 12, 30);

/** An element that the page must have; of no narrower type, for it may be any kind. @type {(selector: string) => any} */
const find = (selector) => {
  const node = document.querySelector(selector);
  if (!node) throw new Error(`there is no ${selector}`);
  return node;
};
const text = (/** @type {string} */ id) => find(`#${id}`).textContent.replace(/\s+/g, ' ').trim();
const isShown = (/** @type {string} */ selector) => !find(selector).hidden;

const drawer = { draw: vi.fn(), restyle: vi.fn(), fit: vi.fn(), destroy: vi.fn() };
/** @type {ReturnType<typeof createServer>} */
let server;
/** @type {ReturnType<typeof startPage> | undefined} */
let page;

/** The ids of the charts that were drawn since the last clearing. */
const drawn = () => drawer.draw.mock.calls.map(([, chart]) => chart.id);
/** The last view that was drawn of a chart. */
const lastView = (/** @type {string} */ id) => drawer.draw.mock.calls.findLast(([, chart]) => chart.id === id)?.[2];

function createServer() {
  /** @type {URL[]} */
  const calls = [];
  const self = {
    calls,
    /** @type {object[]} */
    events: [],
    /** @type {object[]} */
    trends: [],
    newest: '2026-11-24T08:12:28Z',
    posts: 12,
    hashtags: [{ tag: 'x', count: 4, error: 1 }],
    /** The networks that posts are counted by; null for a server that does not know networks. @type {string[] | null} */
    networks: null,
    /** @type {(url: URL) => null | Error | { status: number, body: object }} */
    fail: () => null,
    /** Without the time before, which is asked for beside. */
    asked: (/** @type {string} */ path) => calls.filter((url) => url.pathname === path && url.searchParams.get('fields') !== 'posts'),
    lastQuery: () => Object.fromEntries(self.asked('/api/windows').at(-1)?.searchParams ?? []),
    async fetch(/** @type {string} */ address) {
      const url = new URL(address, 'http://localhost');
      calls.push(url);
      const failure = self.fail(url);
      if (failure instanceof Error) throw failure;
      if (failure) return { ok: false, status: failure.status, json: async () => failure.body };
      const body = self.answer(url);
      if (url.pathname.startsWith('/api/')) assertAllowed(url.pathname, 200, body);
      return { ok: true, status: 200, json: async () => body };
    },
    answer(/** @type {URL} */ url) {
      const region = { boxes: [], keywords: [], languages: [], rules: [] };
      switch (url.pathname) {
        case '/config.json': return { apiBase: '' };
        case '/api/regions': return { regions: [{ id: 'a', name: 'Alpha', ...region }, { id: 'b', name: '<b>Beta</b>', ...region }], window_secs: 300 };
        case '/api/overview': {
          const overview = overviewAnswer({ windowSecs: 300, now: Date.now() });
          const [source] = overview.sources;
          const [region] = overview.regions;
          return {
            ...overview, newest_post: self.newest, lag_ms: null, sources: [{ ...source, source: 'jetstream' }],
            regions: [
              { ...region, region: 'a', name: 'Alpha', changed_at: self.newest, posts_last_hour: 1234, usual: 398, factor: 3.1, hours: [0, 5, 10] },
              { ...region, region: 'b', name: '<b>Beta</b>', changed_at: null, posts_last_hour: 0, usual: null, factor: null, hours: [] },
            ],
          };
        }
        case '/api/events': return { from: '2026-11-23T08:15:00Z', to: '2026-11-24T08:15:00Z', is_cut: false, events: self.events };
        case '/api/trends': return { regions: [{ region: 'a', at: '2026-11-24T08:10:00Z', has_baseline: true, items: self.trends }] };
        case '/api/series': return {
          region: 'a', tag: 'x', host: null, from: '2026-11-24T08:00:00Z', to: '2026-11-24T08:10:00Z', step_secs: 300,
          steps: [{ start: '2026-11-24T08:00:00Z', posts: 4, posts_high: 6, is_known: true, revision: null }, { start: '2026-11-24T08:05:00Z', posts: 3, posts_high: 3, is_known: true, revision: null }],
        };
        default: return self.windows(url.searchParams);
      }
    },
    windows(/** @type {URLSearchParams} */ query) {
      const wanted = query.get('network')?.split(',');
      const networks = self.networks?.filter((network) => wanted?.includes(network) ?? true)
        .map((network) => ({ network, posts: 6, originals: 6, replies: 0, quotes: 0, reposts: 0 }));
      const counts = { posts: self.posts, originals: 9, reposts: 3, ...(networks && { networks }) };
      return {
        region: query.get('region'), name: 'Alpha', from: query.get('from'), to: query.get('to'), window_secs: 300, step_secs: 300,
        as_of: new Date(Date.now()).toISOString(),
        total: report({ ...counts, authors: 9, authors_low: 8, authors_high: 10, hashtags: self.hashtags.slice(0, Number(query.get('top'))), languages: { en: 12 } }),
        windows: [report({
          ...counts, window_start: '2026-11-24T08:10:00Z', window_end: '2026-11-24T08:15:00Z', lifecycle: 'provisional', authors: 9,
          per_minute: [6, 4, 2, 0, 0], completeness: { ...COMPLETE, complete: false, frames: 2 },
        })],
      };
    },
  };
  return self;
}

function load(search = '?region=a') {
  page?.stop();
  history.replaceState(null, '', `/${search}`);
  document.body.innerHTML = new DOMParser().parseFromString(html, 'text/html').body.innerHTML;
  page = startPage({ win: window, fetchImpl: server.fetch, makeDrawer: () => drawer });
  return page.ready;
}

/** @param {boolean} hidden */
function setHidden(hidden) {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}

/** Picks an option of a select. */
function pick(/** @type {string} */ selector, /** @type {string} */ value) {
  const select = find(selector);
  select.value = value;
  select.dispatchEvent(new Event('change', { bubbles: true }));
}

const settle = () => vi.advanceTimersByTimeAsync(10);

async function goTo(/** @type {string} */ search) {
  history.replaceState(null, '', `/${search}`);
  window.dispatchEvent(new PopStateEvent('popstate'));
  await settle();
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  const media = { matches: false, addEventListener() {}, removeEventListener() {} };
  window.matchMedia = () => /** @type {any} */ (media);
  vi.clearAllMocks();
  server = createServer();
});

afterEach(() => {
  page?.stop();
  setHidden(false);
  vi.useRealTimers();
});

describe('first load', () => {
  it('has no inline script or style, which the content policy forbids', () => {
    expect(html).not.toMatch(/\sstyle=|<style|\son\w+=/);
    expect(html).not.toMatch(/<script(?![^>]*src=)/);
  });

  it('shows the first region and the default range', async () => {
    await load();
    expect(server.asked('/api/windows').at(-1)?.search).toMatch(/^\?region=a&from=2026-11-23T08%3A10%3A00Z&to=2026-11-24T08%3A15%3A00Z&step=auto&fields=/);
    expect(text('tile-posts')).toBe('Posts 12as many as the time before (12)Mon 23 Nov, 08:10 – Tue 24 Nov, 08:12');
    expect(text('tile-authors')).toMatch(/≈ 9as many .*95% sure: 8 to 10/);
    expect(text('updated')).toBe('Updated just now');
    expect(new Set(drawn())).toEqual(new Set(['posts', 'authors', 'media']));
    expect(find('#main').classList.contains('loading')).toBe(false);
    expect(find('#main').getAttribute('aria-busy')).toBe('false');
    expect(document.title).toBe('▲ 3.1× Alpha · Birdsong');
  });

  it('leaves the page alone when it is stopped while it is made', async () => {
    /** @type {((value: unknown) => void)[]} */
    const pauses = [];
    vi.stubGlobal('scheduler', { yield: () => new Promise((resolve) => { pauses.push(resolve); }) });
    load();
    await until(() => expect(pauses).not.toHaveLength(0));
    page?.stop();
    vi.unstubAllGlobals();
    for (const goOn of pauses) goOn(null);
    await settle();
    expect(find('#charts').children).toHaveLength(0);
  });

  it('reads region and range from the address, and shows names as text', async () => {
    await load('?region=b&range=1h');
    expect(server.lastQuery()).toMatchObject({ region: 'b', from: '2026-11-24T07:10:00Z', to: '2026-11-24T08:15:00Z' });
    expect(find('#region option:checked').textContent).toBe('<b>Beta</b>');
    expect(find('#ranges input:checked').value).toBe('1h');
  });

  it('shows the sources, and leaves their page by the Escape key', async () => {
    await load('?view=sources');
    expect([isShown('#view-sources'), isShown('#view-overview'), isShown('#sources-box')]).toEqual([true, false, true]);
    expect(text('sources')).toContain('jetstreamconnected');
    expect(document.querySelectorAll('#sources-table tbody tr')).toHaveLength(1);
    expect(document.title).toBe('Sources · Birdsong');
    document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
    await settle();
    expect([isShown('#view-overview'), location.search]).toEqual([true, '?range=24h']);
  });

  it('shows all regions when the one in the address does not exist', async () => {
    await load('?region=zz');
    expect(location.search).toBe('?range=24h');
    expect(isShown('#view-overview')).toBe(true);
  });
});

describe('cards', () => {
  it('are made from the descriptors alone', async () => {
    await load();
    expect([...document.querySelectorAll('#charts .card h2')].map((title) => title.textContent)).toEqual(CHARTS.map(({ id }) => titleOf(id)));
    for (const chart of CHARTS) {
      const card = find(`#${chart.id}-title`).closest('.card');
      expect(card.classList.contains(chart.size), chart.id).toBe(true);
      expect(find(`#${card.getAttribute('aria-labelledby')}`).textContent).toBe(titleOf(chart.id));
      const canvas = card.querySelector('canvas');
      expect(canvas === null, chart.id).toBe(Boolean(chart.ranking));
      if (canvas) expect([canvas.id, canvas.getAttribute('role'), canvas.getAttribute('aria-label').length > titleOf(chart.id).length]).toEqual([`chart-${chart.id}`, 'img', true]);
      expect(card.querySelector('.table').getAttribute('aria-label')).toBe(`${titleOf(chart.id)}, table`);
    }
    expect(new Set(CHARTS.map(({ id }) => id)).size).toBe(CHARTS.length);
  });

  it('describe their canvas for readers who do not see it', async () => {
    await load();
    expect(find('#chart-posts').getAttribute('aria-label')).toContain('12 posts');
    expect(find('#hashtags-title').closest('.card').querySelector('.bars').textContent).toBe('#x4 to 533% to 42%−20% to +25%');
  });

  it('list as many as the reader wants, and keep that in the address', async () => {
    server.hashtags = Array.from({ length: 70 }, (_, i) => ({ tag: `t${i}`, count: 100 - i, error: 1 }));
    await load();
    const bars = find('#chart-hashtags');
    const shown = () => [bars.querySelectorAll('li:not(.more)').length, ...[...bars.querySelectorAll('.more')].map((one) => one.textContent)];
    const more = async () => {
      bars.querySelector('.more button').focus();
      bars.querySelector('.more button').click();
      await settle();
      expect(document.activeElement).toBe(bars.querySelector('.more button'));
      return [new URLSearchParams(location.search).get('rows'), ...shown()];
    };
    expect(shown()).toEqual([12, 'Show 50']);
    expect(await more()).toEqual(['hashtags.50', 50, 'Show all']);
    expect(await more()).toEqual(['hashtags.all', 70, 'Some with 1 post may be missing here.', 'Show 12']);
    expect(new Set(server.calls.map(({ searchParams }) => searchParams.get('top')))).toEqual(new Set([null, '20', '256', '51', '2048']));
    expect(await more()).toEqual([null, 12, 'Show 50']);
    await load('?region=a&rows=hashtags.all');
    expect(find('#chart-hashtags').querySelectorAll('li:not(.more)').length).toBe(70);
  });

  it('show a text in place of an empty plot', async () => {
    await load();
    const card = find('#link-hosts-title').closest('.card');
    expect(card.querySelector('.none').textContent).toBe('No links in this range.');
    expect(card.querySelector('.plot').hidden).toBe(true);
    expect(drawn()).not.toContain('link-hosts');
  });

  it('fill their table when it is opened, and keep it up to date', async () => {
    await load();
    const details = find('[data-table=hashtags]');
    expect(details.querySelector('tbody')).toBeNull();
    details.open = true;
    details.dispatchEvent(new Event('toggle'));
    expect(details.querySelector('tbody').textContent).toBe('#x4133% to 42%4 to 5−20% to +25%');
    server.posts = 8;
    find('#refresh').click();
    await settle();
    expect(details.querySelector('tbody').textContent).toBe('#x4150% to 63%4 to 5−20% to +25%');
  });

  it('hide and show a series', async () => {
    await load();
    const button = find('[data-series=repost]');
    button.click();
    expect(button.getAttribute('aria-pressed')).toBe('false');
    expect(lastView('posts').hidden.has('repost')).toBe(true);
    button.click();
    expect(button.getAttribute('aria-pressed')).toBe('true');
    expect(lastView('posts').hidden.has('repost')).toBe(false);
  });
});

describe('keeping up', () => {
  it('asks for the overview every ten seconds, and shows a new post within ten seconds', async () => {
    await load();
    expect(server.asked('/api/windows')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.asked('/api/overview')).toHaveLength(7);
    expect(server.asked('/api/windows')).toHaveLength(1);
    expect(text('updated')).toBe('Updated just now');
    await vi.advanceTimersByTimeAsync(1_000);
    server.newest = '2026-11-24T08:13:31Z';
    server.posts = 13;
    await vi.advanceTimersByTimeAsync(9_500);
    expect(server.asked('/api/windows')).toHaveLength(2);
    expect(text('tile-posts')).toContain('13');
  });

  it('keeps the time of the numbers up to date without asking for them', async () => {
    await load();
    expect(text('tile-posts')).toMatch(/08:12$/);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(text('tile-posts')).toMatch(/08:13$/);
    expect(server.asked('/api/windows')).toHaveLength(1);
  });

  it('asks for nothing while hidden, and at once when visible', async () => {
    await load();
    setHidden(true);
    const before = server.calls.length;
    await vi.advanceTimersByTimeAsync(900_000);
    find('#ranges input[value="7d"]').click();
    await vi.advanceTimersByTimeAsync(900_000);
    expect(server.calls).toHaveLength(before);
    setHidden(false);
    await settle();
    expect(server.asked('/api/overview')).toHaveLength(2);
    expect(server.lastQuery()).toMatchObject({ from: '2026-11-17T08:40:00Z' });
  });

  it('asks for nothing when it is opened hidden', async () => {
    setHidden(true);
    await load();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.calls.map(({ pathname }) => pathname)).toEqual(['/config.json']);
    setHidden(false);
    await settle();
    expect(text('tile-posts')).toContain('12');
  });

  it('refreshes on request and announces it', async () => {
    await load();
    find('#refresh').click();
    await settle();
    expect(server.asked('/api/windows')).toHaveLength(2);
    expect(server.lastQuery()).not.toHaveProperty('since');
    expect(text('live')).toMatch(/^Updated at 08:12:30/);
  });
});

const EVENT = {
  id: 'e1', region: 'a', kind: 'rising', subject: { type: 'hashtag', name: 'Goal', key: 'goal' }, start: '2026-11-24T07:32:00Z', end: '2026-11-24T08:10:00Z',
  is_open: true, carriers: [], reason: null, sampled: null, windows: 0, revision: null, text: null,
  comparison: {
    at: '2026-11-24T07:50:00Z', span_secs: 900, observed: 31, usual: 4, usual_low: 2, usual_high: 6, factor: 7.8, score: 9, level: 9, season: 12,
    authors_least: 20, top_author_share: 0.1, baseline_days: 7, baseline_missing: 0, is_new: false,
  },
};

describe('all regions', () => {
  const link = (/** @type {string} */ region) => find(`#region-list [data-region=${region}]`);
  beforeEach(() => {
    const { answer } = server;
    server.answer = (url) => {
      const body = /** @type {any} */ (answer(url));
      if (url.pathname === '/api/overview') Object.assign(body.regions[0], { usual_low: 300, usual_high: 500, event: EVENT });
      if (url.searchParams.get('region') === 'a,b') return { regions: ['a', 'b'].map((region) => ({ ...server.windows(new URLSearchParams({ region })), from: '2026-11-23T08:00:00Z', to: '2026-11-24T08:15:00Z', total: null })) };
      return body;
    };
    server.events = [EVENT];
  });

  it('are the start page: a sentence, then groups in the order of what is unusual', async () => {
    await load('');
    expect(text('sentence')).toBe('Alpha: 3.1× usual, #Goal rising since 07:32. 1 region cannot be judged yet.');
    expect(document.title).toBe('▲ 3.1× Alpha · Birdsong');
    expect([...document.querySelectorAll('.group-title')].map(({ textContent }) => textContent)).toEqual(['Unusual 1', 'Cannot be judged yet 1']);
    expect(find('#region-list .row').textContent).toBe('Alpha#Goal rising since 07:32▲ 3.1× usual1,234 posts in the last hourcomplete');
    expect(text('evidence')).toContain('1,234 posts in Alpha in the last hour; 300 to 500 are usual.');
    expect(text('evidence')).toContain('<b>Beta</b> cannot be judged before two complete days.');
    expect(text('earlier')).toBe('07:32Alpha: #Goal rising, still going on');
    expect(isShown('#todo')).toBe(false);
  });

  it('open by a click, and back by the Escape key', async () => {
    await load('');
    link('b').click();
    await settle();
    expect([location.search, find('#region').value, isShown('#view-region'), isShown('#view-overview')]).toEqual(['?region=b&range=24h', 'b', true, false]);
    expect(server.lastQuery().region).toBe('b');
    document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
    await settle();
    expect([location.search, isShown('#view-overview')]).toEqual(['?range=24h', true]);
  });

  it('can be searched without accents or case, and are reached with j and k', async () => {
    await load('');
    document.dispatchEvent(new KeyboardEvent('keydown', { key: 'j' }));
    expect(document.activeElement).toBe(link('a'));
    document.dispatchEvent(new KeyboardEvent('keydown', { key: 'j' }));
    expect(document.activeElement).toBe(link('b'));
    document.dispatchEvent(new KeyboardEvent('keydown', { key: '/' }));
    expect(document.activeElement).toBe(find('#search'));
    find('#search').value = 'BÉTA';
    find('#search').dispatchEvent(new Event('input'));
    expect(document.querySelectorAll('#region-list .row')).toHaveLength(1);
  });
});

describe('the page of a region', () => {
  const press = async (/** @type {string} */ key) => {
    document.dispatchEvent(new KeyboardEvent('keydown', { key }));
    await settle();
  };

  it('turns to a language, with a series of its own', async () => {
    await load();
    find('#languages-title').closest('.card').querySelector('.bars button').click();
    await settle();
    expect(location.search).toBe('?region=a&range=24h&language=en');
    expect(text('focus-title')).toBe('English in Alpha');
    expect(server.calls.findLast((url) => url.searchParams.get('fields')?.startsWith('completeness,languages'))?.searchParams.get('total_fields')).toBe('none');
    expect(text('focus-text')).toContain('are of all languages');
    await press('Escape');
    expect(isShown('#focus')).toBe(false);
  });

  it('asks for languages only when posts are stacked by them', async () => {
    await load();
    expect(server.lastQuery().fields).not.toContain('languages');
    find('[name=stack][value=language]').click();
    await settle();
    expect(location.search).toContain('stack=language');
    expect(server.lastQuery().fields).toContain('languages,');
    expect(lastView('posts').by).toBe('language');
  });

  it('shows an absolute range from the fields, the one before, and the named one again', async () => {
    await load('?region=a&range=24h&zone=America/Toronto');
    find('#range-from').value = '2026-11-01T01:30';
    find('#range-to').value = '2026-11-01T01:30';
    find('#range-to').dispatchEvent(new Event('input'));
    expect(text('range-note')).toContain('twice');
    find('#range-apply').click();
    await settle();
    expect(location.search).toBe('?region=a&range=24h&zone=America/Toronto&from=2026-11-01T05:30:00Z&to=2026-11-01T06:30:00Z');
    expect(server.lastQuery()).toMatchObject({ from: '2026-11-01T05:30:00Z', to: '2026-11-01T06:30:00Z' });
    await press('ArrowLeft');
    expect(server.lastQuery()).toMatchObject({ from: '2026-11-01T04:30:00Z', to: '2026-11-01T05:30:00Z' });
    await press('Escape');
    expect(location.search).toBe('?region=a&range=24h&zone=America/Toronto');
  });

  it('refuses an end before the start, and says why', async () => {
    await load();
    find('#range-from').value = '2026-11-02T00:00';
    find('#range-to').value = '2026-11-01T00:00';
    find('#range-apply').click();
    expect(find('#range-to').getAttribute('aria-invalid')).toBe('true');
    expect(text('range-note')).toContain('at least a minute');
    expect(location.search).not.toContain('from=');
  });

  it('shows what was brushed in a chart, as whole windows', async () => {
    await load();
    find('#chart-posts').dispatchEvent(new CustomEvent('brush', { bubbles: true, detail: { from: Date.UTC(2026, 10, 24, 7, 1), to: Date.UTC(2026, 10, 24, 7, 29) } }));
    await settle();
    expect(location.search).toContain('from=2026-11-24T07:00:00Z&to=2026-11-24T07:30:00Z');
    await press('2');
    expect(location.search).toBe('?region=a&range=6h');
  });

  it('shows times in the zone that is chosen, and keeps it on the other pages', async () => {
    await load();
    const zone = find('#zone');
    expect([...zone.options].map((/** @type {HTMLOptionElement} */ { value }) => value)).toEqual(['', 'UTC', 'other']);
    pick('#zone', 'other');
    expect(isShown('#zone-other-field')).toBe(true);
    find('#zone-other').value = 'Atlantis/Capital';
    find('#zone-other').dispatchEvent(new Event('change'));
    expect(find('#zone-other').getAttribute('aria-invalid')).toBe('true');
    find('#zone-other').value = 'Asia/Kathmandu';
    find('#zone-other').dispatchEvent(new Event('change'));
    await settle();
    expect(location.search).toContain('zone=Asia/Kathmandu');
    expect(find('#posts-title').closest('.card').querySelector('.zone').textContent).toBe('Times in Asia/Kathmandu');
    await press('Escape');
    expect(location.search).toBe('?range=24h&zone=Asia/Kathmandu');
    await load();
  });

  it('turns to a hashtag by a click, with its bounds, and back by one key', async () => {
    await load();
    find('#hashtags-title').closest('.card').querySelector('.bars button').click();
    await settle();
    expect(location.search).toBe('?region=a&range=24h&tag=x');
    expect(text('focus-title')).toBe('#x in Alpha');
    expect(text('focus-text')).toContain('In this range: at least 7 and at most 9 posts. Which hashtags come with it is not stored');
    expect(drawn()).toContain('focus-series');
    await press('Escape');
    expect([location.search, isShown('#focus')]).toEqual(['?region=a&range=24h', false]);
  });

  it('compares its numbers with an earlier time, which can be chosen', async () => {
    await load();
    const earlier = () => server.calls.findLast((url) => url.searchParams.get('fields') === 'posts')?.searchParams.get('from');
    expect(earlier()).toBe('2026-11-22T08:10:00Z');
    expect(find('#tile-posts .tile-change').textContent).toBe('as many as the time before (12)');
    find('#against input[value=week]').click();
    await settle();
    expect(earlier()).toBe('2026-11-16T08:10:00Z');
    expect(location.search).toBe('?region=a&range=24h&against=week');
  });

  it('goes through time with the arrow keys, and to ranges with digits', async () => {
    await load();
    await press('1');
    await press('ArrowLeft');
    expect(location.search).toBe('?region=a&range=1h&until=2026-11-24T07:12:00Z');
    expect(server.lastQuery()).toMatchObject({ from: '2026-11-24T06:10:00Z', to: '2026-11-24T07:15:00Z' });
    await press('ArrowRight');
    expect(location.search).toBe('?region=a&range=1h');
    await press('ArrowLeft');
    await press('Escape');
    expect(location.search).toBe('?range=1h');
  });

  it('keeps its events when counts change, and marks them in the chart', async () => {
    server.events = [EVENT];
    await load();
    expect(lastView('posts').marks).toEqual([{ letter: 'A', at: Date.parse(EVENT.start), time: '07:32', text: '#Goal rising' }]);
    expect(find('#posts-title').closest('.card').querySelector('.annotations').textContent).toBe('A07:32 #Goal rising');
  });
});

describe('choosing', () => {
  it('keeps region and range in the address and goes back', async () => {
    await load();
    pick('#region', 'b');
    find('#ranges input[value="7d"]').click();
    await settle();
    expect(location.search).toBe('?region=b&range=7d');
    expect(server.lastQuery()).toMatchObject({ region: 'b', from: '2026-11-17T08:10:00Z' });
    expect(text('live')).toContain('last 7 days');
    await goTo('?region=a&range=1h');
    expect(find('#region').value).toBe('a');
    expect(server.lastQuery()).toMatchObject({ region: 'a', from: '2026-11-24T07:10:00Z' });
  });

  it('drops an answer that arrives too late', async () => {
    const { fetch } = server;
    /** @type {(value?: any) => void} */
    let release = () => {};
    server.fetch = async (address) => {
      if (address.includes('region=a')) await new Promise((resolve) => { release = resolve; });
      return fetch(address);
    };
    load();
    await settle();
    pick('#region', 'b');
    await settle();
    release();
    await settle();
    expect(page?.feed.windows?.region).toBe('b');
    expect(isShown('#banner')).toBe(false);
  });
});

describe('networks', () => {
  const names = () => [...document.querySelectorAll('#networks input')].map((input) => /** @type {HTMLInputElement} */ (input).value);
  const checked = () => [...document.querySelectorAll('#networks input:checked')].map((input) => /** @type {HTMLInputElement} */ (input).value);
  const toggle = async (/** @type {string} */ network) => {
    find(`#networks input[value="${network}"]`).click();
    await settle();
  };

  beforeEach(() => { server.networks = ['bluesky', 'demo', 'x']; });

  it('come from the answers, and filter the windows', async () => {
    await load();
    expect(isShown('#networks-field')).toBe(true);
    expect(names()).toEqual(['', 'bluesky', 'demo', 'x']);
    expect(checked()).toEqual(['']);
    expect(server.lastQuery()).not.toHaveProperty('network');
    await toggle('x');
    await toggle('bluesky');
    expect(server.lastQuery().network).toBe('bluesky,x');
    expect(location.search).toBe('?region=a&range=24h&network=bluesky,x');
    expect([names(), checked()]).toEqual([['', 'bluesky', 'demo', 'x'], ['bluesky', 'x']]);
    expect(text('live')).toBe('Showing Alpha, last 24 hours, Bluesky, X.');
    await toggle('x');
    expect(server.lastQuery().network).toBe('bluesky');
    await toggle('');
    expect(server.lastQuery()).not.toHaveProperty('network');
    expect([location.search, checked()]).toEqual(['?region=a&range=24h', ['']]);
  });

  it('are all chosen when each is', async () => {
    await load('?region=a&network=bluesky,x');
    expect([server.lastQuery().network, checked()]).toEqual(['bluesky,x', ['bluesky', 'x']]);
    await toggle('');
    await toggle('x');
    await toggle('demo');
    await toggle('bluesky');
    expect(checked()).toEqual(['']);
  });

  it('go back with the address', async () => {
    await load();
    await toggle('x');
    await goTo('?region=a&range=24h');
    expect(server.lastQuery()).not.toHaveProperty('network');
    expect(checked()).toEqual(['']);
  });

  it('keep the focus when the page is updated', async () => {
    await load();
    const input = find('#networks input[value="x"]');
    input.focus();
    server.newest = '2026-11-24T08:12:35Z';
    await vi.advanceTimersByTimeAsync(11_000);
    expect(server.asked('/api/windows')).toHaveLength(2);
    expect(document.activeElement).toBe(input);
  });

  it('are offered to stack the posts by, which the address keeps', async () => {
    await load('?region=a');
    const card = find('#chart-posts').closest('.card');
    expect(card.querySelector('.choice').hidden).toBe(false);
    card.querySelector('input[value=network]').click();
    expect(location.search).toBe('?region=a&range=24h&stack=network');
    const series = () => [...card.querySelectorAll('[data-series]')].map((/** @type {HTMLElement} */ button) => button.dataset.series);
    expect([series(), lastView('posts').by]).toEqual([['bluesky', 'demo', 'x'], 'network']);
    await load('?region=a&stack=network');
    expect(lastView('posts').by).toBe('network');
    expect(find('#chart-posts').closest('.card').querySelector('input[value=network]').checked).toBe(true);
  });

  it('keep hidden series per choice', async () => {
    await load();
    find('[data-series=repost]').click();
    find('.choice input[value=network]').click();
    expect(lastView('posts').hidden.size).toBe(0);
    find('.choice input[value=kind]').click();
    expect(location.search).not.toContain('stack');
    expect([...lastView('posts').hidden]).toEqual(['repost']);
  });

  it('are hidden when there is only one', async () => {
    server.networks = ['bluesky'];
    await load();
    expect(isShown('#networks-field')).toBe(false);
  });

  it('are absent with a server that does not know them', async () => {
    server.networks = null;
    await load();
    expect(isShown('#networks-field')).toBe(false);
    expect(document.querySelector('.choice input[value=network]')).toBe(null);
    expect(isShown('#banner')).toBe(false);
    await load('?stack=network');
    expect(lastView('posts').by).toBe('kind');
  });

  it('are removed from the choice when the server refuses them', async () => {
    server.networks = null;
    const body = { error: { code: 'bad_parameter', message: 'unknown', parameter: 'network' } };
    server.fail = (url) => (url.searchParams.has('network') ? { status: 400, body } : null);
    await load('?region=a&network=x');
    expect(text('banner-text')).toBe('The server does not accept this filter by network. The numbers are for all networks.');
    expect([location.search, text('tile-posts').slice(0, 8)]).toEqual(['?region=a&range=24h', 'Posts 12']);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(isShown('#banner')).toBe(true);
    find('#ranges input[value="7d"]').click();
    await settle();
    expect(isShown('#banner')).toBe(false);
  });

  it('offer all of them when the chosen ones have no posts', async () => {
    server.posts = 0;
    await load('?region=a&network=x');
    expect(text('panel-text')).toMatch(/^Try a longer range or all networks or another region\./);
    server.posts = 5;
    find('#panel-actions button:last-child').click();
    await settle();
    expect(location.search).toBe('?region=a&range=24h');
    expect(isShown('#charts')).toBe(true);
  });
});

describe('when something is missing', () => {
  it('suggests what to do when there are no posts', async () => {
    server.posts = 0;
    await load('?region=a&range=1h');
    expect(isShown('#panel')).toBe(true);
    expect(isShown('#charts')).toBe(false);
    expect(text('panel-title')).toBe('No posts in this range yet');
    server.posts = 5;
    find('#panel-actions button').click();
    await settle();
    expect(location.search).toContain('range=24h');
    expect(isShown('#charts')).toBe(true);
  });

  it('keeps the last good data behind a banner, then recovers', async () => {
    await load();
    server.fail = () => new TypeError('offline');
    await vi.advanceTimersByTimeAsync(11_000);
    expect(isShown('#banner')).toBe(true);
    expect(text('banner-text')).toMatch(/The API cannot be reached\. These numbers are from 08:12:30/);
    expect(text('tile-posts')).toContain('12');
    const before = server.calls.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.calls.length - before).toBeLessThan(6);
    server.fail = () => null;
    find('#retry').click();
    await settle();
    expect(isShown('#banner')).toBe(false);
  });

  it('explains a failed first load and keeps trying', async () => {
    server.fail = (url) => (url.pathname === '/api/regions' ? { status: 503, body: { error: { code: 'store_unavailable', message: 'the store does not answer.' } } } : null);
    await load();
    expect(text('panel-text')).toBe('The store does not answer. The page keeps trying.');
    server.fail = () => null;
    await vi.advanceTimersByTimeAsync(11_000);
    expect(isShown('#charts')).toBe(true);
    expect(isShown('#panel')).toBe(false);
  });

  it('shows windows even when the overview fails', async () => {
    server.fail = (url) => (url.pathname === '/api/overview' ? { status: 500, body: {} } : null);
    await load();
    expect(text('tile-posts')).toContain('12');
    expect(isShown('#banner')).toBe(true);
  });
});

describe('the language of the page', () => {
  afterEach(() => useLanguage('en'));

  it('changes without a reload: static texts, charts, controls and the title', async () => {
    await load();
    expect([...find('#language').options].map(({ textContent, lang }) => [textContent, lang])).toEqual([['English', 'en'], ['Français', 'fr'], ['Español', 'es']]);
    pick('#language', 'fr');
    await until(() => expect(document.documentElement.lang).toBe('fr'));
    expect(text('posts-title')).toBe('Publications au fil du temps');
    expect(text('tile-posts')).toMatch(/^Publications 12autant que sur la période précédente/);
    expect(find('#ranges').textContent).toContain('7 j');
    expect(find('#refresh').getAttribute('aria-label')).toBe('Actualiser');
    expect(find('#chart-posts').getAttribute('aria-label')).toContain('12 publications');
    expect(document.title).toBe('▲ 3,1\u00a0× Alpha · Birdsong');
    expect(document.documentElement.outerHTML).not.toMatch(/>(Loading…|Posts|Region|Range|No data|Incomplete)</);
    find('[data-view=overview]').click();
    await settle();
    expect(text('list-title')).toMatch(/^Toutes les régions/);
    expect(text('sentence')).toContain('3,1 × l’habituel');
    pick('#language', 'en');
    await until(() => expect(document.documentElement.lang).toBe('en'));
    expect(text('list-title')).toBe('All regions, most unusual first');
    expect(localStorage.getItem('birdsong-language')).toBe('en');
  });
});
