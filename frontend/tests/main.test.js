// @vitest-environment jsdom
// Tests of the whole page but for the drawing: the real index.html, a fake API and a fake clock.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startApp } from '../src/main.js';

const html = readFileSync(join(import.meta.dirname, '../index.html'), 'utf8');
const NOW = Date.UTC(2026, 10, 24, 8, 12, 30);
const text = (id) => document.getElementById(id).textContent.replace(/\s+/g, ' ').trim();
/** Of no narrower type, for it may be any kind of element. @type {(selector: string) => any} */
const find = (selector) => document.querySelector(selector);
const shown = (id) => !document.getElementById(id).hidden;

let app;
let charts;
let server;

function createServer() {
  const calls = [];
  const self = {
    calls,
    newest: '2026-11-24T08:12:28Z',
    posts: 12,
    fail: (_url) => null,
    asked: (path) => calls.filter((url) => url.pathname === path),
    async fetch(address) {
      const url = new URL(address, 'http://localhost');
      calls.push(url);
      const failure = self.fail(url);
      if (failure instanceof Error) throw failure;
      if (failure) return { ok: false, status: failure.status, json: async () => failure.body };
      return { ok: true, status: 200, json: async () => self.answer(url) };
    },
    answer(url) {
      switch (url.pathname) {
        case '/config.json': return { apiBase: '' };
        case '/api/regions': return { regions: [{ id: 'a', name: 'Alpha' }, { id: 'b', name: '<b>Beta</b>' }], window_secs: 300 };
        case '/api/status': return {
          now: new Date(Date.now()).toISOString(), newest_post: self.newest, lag_ms: null,
          sources: [{ source: 'jetstream', state: 'connected', last_post: self.newest, reconnects: 0 }], ledger: { received: 5 },
        };
        default: return {
          region: url.searchParams.get('region'), name: 'Alpha', from: url.searchParams.get('from'), to: url.searchParams.get('to'),
          window_secs: 300, step_secs: 300,
          total: { posts: self.posts, reposts: 3, authors: 9, authors_low: 8, authors_high: 10, hashtags: [{ tag: 'x', count: 4, error: 1 }], languages: { en: 12 } },
          windows: [{ window_start: '2026-11-24T08:10:00Z', window_end: '2026-11-24T08:15:00Z', lifecycle: 'provisional', posts: self.posts, originals: 9, reposts: 3, authors: 9, per_minute: [6, 4, 2, 0, 0], completeness: { frames: 2, complete: false } }],
        };
      }
    },
  };
  return self;
}

async function start(search = '') {
  history.replaceState(null, '', `/${search}`);
  const page = new DOMParser().parseFromString(html, 'text/html');
  document.body.innerHTML = page.body.innerHTML;
  app = startApp({ win: window, fetchImpl: server.fetch, makeCharts: () => charts });
  await app.ready;
}

function setHidden(hidden) {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  const media = { matches: false, addEventListener() {}, removeEventListener() {} };
  window.matchMedia = () => /** @type {any} */ (media);
  charts = { draw: vi.fn(), restyle: vi.fn(), destroy: vi.fn() };
  server = createServer();
});

afterEach(() => {
  setHidden(false);
  app?.stop();
  vi.useRealTimers();
});

describe('first load', () => {
  it('has no inline script or style, which the content policy forbids', () => {
    expect(html).not.toMatch(/\sstyle=|<style|\son\w+=/);
    expect(html).not.toMatch(/<script(?![^>]*src=)/);
  });

  it('shows the first region and the default range', async () => {
    await start();
    expect(server.asked('/api/windows').at(-1).search).toBe('?region=a&from=2026-11-23T08%3A00%3A00Z&to=2026-11-24T08%3A15%3A00Z&step=15m');
    expect(text('tile-posts')).toBe('Posts 12Mon 23 Nov, 08:00 – Tue 24 Nov, 08:12');
    expect(text('tile-authors')).toContain('≈ 995% sure: 8 to 10');
    expect(text('sources')).toContain('jetstreamconnected');
    expect(document.querySelectorAll('#sources-table tbody tr')).toHaveLength(1);
    expect(document.getElementById('sources-box').hidden).toBe(false);
    expect(text('updated')).toBe('Updated just now');
    expect(charts.draw.mock.calls.map(([name]) => name)).toEqual(['posts', 'authors', 'hashtags', 'languages']);
    expect(document.getElementById('main').classList.contains('loading')).toBe(false);
    expect(document.getElementById('main').getAttribute('aria-busy')).toBe('false');
    expect(document.title).toBe('Alpha · Birdsong');
  });

  it('takes region and range from the address, and names as text', async () => {
    await start('?region=b&range=1h');
    expect(server.asked('/api/windows')[0].searchParams.get('region')).toBe('b');
    expect(server.asked('/api/windows')[0].searchParams.get('step')).toBe('5m');
    expect(document.querySelector('#region option:checked').textContent).toBe('<b>Beta</b>');
    expect(find('#ranges input:checked').value).toBe('1h');
  });

  it('corrects a region that does not exist', async () => {
    await start('?region=zz');
    expect(location.search).toBe('?region=a&range=24h');
  });

  it('names each canvas for those who do not see it', async () => {
    await start();
    expect(document.getElementById('chart-posts').getAttribute('aria-label')).toContain('12 posts');
    expect(document.getElementById('chart-hashtags').getAttribute('aria-label')).toContain('#x 4');
  });

  it('fills a table when it is opened', async () => {
    await start();
    const details = find('[data-table=hashtags]');
    details.open = true;
    details.ontoggle();
    expect(details.querySelector('tbody').textContent).toBe('#x4133% to 42%');
  });
});

describe('keeping up', () => {
  it('fetches windows only when a new post came, within ten seconds of it', async () => {
    await start();
    expect(server.asked('/api/windows')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(server.asked('/api/status').length).toBeGreaterThanOrEqual(4);
    expect(server.asked('/api/windows')).toHaveLength(1);
    expect(text('updated')).toBe('Updated 20 s ago');
    server.newest = '2026-11-24T08:12:51Z';
    server.posts = 13;
    await vi.advanceTimersByTimeAsync(9_000);
    expect(server.asked('/api/windows')).toHaveLength(2);
    expect(text('tile-posts')).toContain('13');
  });

  it('fetches windows each minute all the same', async () => {
    await start();
    await vi.advanceTimersByTimeAsync(66_000);
    expect(server.asked('/api/windows')).toHaveLength(2);
  });

  it('rests while hidden and catches up when seen', async () => {
    await start();
    setHidden(true);
    const before = server.calls.length;
    await vi.advanceTimersByTimeAsync(300_000);
    expect(server.calls).toHaveLength(before);
    setHidden(false);
    await vi.advanceTimersByTimeAsync(10);
    expect(server.asked('/api/windows')).toHaveLength(2);
  });

  it('refreshes by hand and says so', async () => {
    await start();
    document.getElementById('refresh').click();
    await vi.advanceTimersByTimeAsync(10);
    expect(server.asked('/api/windows')).toHaveLength(2);
    expect(text('live')).toMatch(/^Updated at 08:12:30/);
  });
});

describe('choosing', () => {
  it('holds region and range in the address and goes back', async () => {
    await start();
    const select = find('#region');
    select.value = 'b';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    find('#ranges input[value="7d"]').click();
    await vi.advanceTimersByTimeAsync(10);
    expect(location.search).toBe('?region=b&range=7d');
    expect(Object.fromEntries(server.asked('/api/windows').at(-1).searchParams)).toMatchObject({ region: 'b', step: '1h' });
    expect(text('live')).toContain('last 7 days');
    history.replaceState(null, '', '/?region=a&range=1h');
    window.dispatchEvent(new PopStateEvent('popstate'));
    await vi.advanceTimersByTimeAsync(10);
    expect(select.value).toBe('a');
    expect(server.asked('/api/windows').at(-1).searchParams.get('step')).toBe('5m');
  });

  it('drops an answer that came too late', async () => {
    await start();
    const slow = server.fetch;
    /** @type {(value?: any) => void} */
    let release = () => {};
    app.stop();
    server.fetch = async (address, options) => {
      if (String(address).includes('region=a')) await new Promise((resolve) => { release = resolve; });
      return slow(address, options);
    };
    start();
    await vi.advanceTimersByTimeAsync(10);
    const select = find('#region');
    select.value = 'b';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    await vi.advanceTimersByTimeAsync(10);
    release();
    await vi.advanceTimersByTimeAsync(10);
    expect(app.state.raw.region).toBe('b');
    expect(shown('banner')).toBe(false);
  });

  it('hides and shows a kind', async () => {
    await start();
    const button = find('[data-kind=repost]');
    button.click();
    expect(button.getAttribute('aria-pressed')).toBe('false');
    expect(charts.draw.mock.calls.findLast(([name]) => name === 'posts')[1].hidden.has('repost')).toBe(true);
  });
});

describe('when things are missing', () => {
  it('says what to do when there are no posts', async () => {
    server.posts = 0;
    await start('?range=1h');
    expect(shown('panel')).toBe(true);
    expect(shown('charts')).toBe(false);
    expect(text('panel-title')).toBe('No posts in this range yet');
    server.posts = 5;
    find('#panel-actions button').click();
    await vi.advanceTimersByTimeAsync(10);
    expect(location.search).toContain('range=24h');
    expect(shown('charts')).toBe(true);
  });

  it('keeps the last good data behind a banner, then recovers', async () => {
    await start();
    server.fail = () => new TypeError('offline');
    await vi.advanceTimersByTimeAsync(6_000);
    expect(shown('banner')).toBe(true);
    expect(text('banner-text')).toMatch(/The API cannot be reached\. What you see is from 08:12:30/);
    expect(text('tile-posts')).toContain('12');
    const before = server.calls.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.calls.length - before).toBeLessThan(6);
    server.fail = () => null;
    document.getElementById('retry').click();
    await vi.advanceTimersByTimeAsync(10);
    expect(shown('banner')).toBe(false);
  });

  it('explains a failed first load and goes on trying', async () => {
    server.fail = (url) => (url.pathname === '/api/regions' ? { status: 503, body: { error: { code: 'x', message: 'the store is away.' } } } : null);
    await start();
    expect(text('panel-text')).toBe('The store is away. The page keeps trying by itself.');
    server.fail = () => null;
    await vi.advanceTimersByTimeAsync(6_000);
    expect(shown('charts')).toBe(true);
    expect(shown('panel')).toBe(false);
  });

  it('shows windows even when the status fails', async () => {
    server.fail = (url) => (url.pathname === '/api/status' ? { status: 500, body: {} } : null);
    await start();
    expect(text('tile-posts')).toContain('12');
    expect(shown('banner')).toBe(true);
  });
});
