// @vitest-environment jsdom
// @ts-check
// Tests of the pages that are loaded when they are first shown: compare and the wall.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { until } from './until.js';
import { startPage } from '../src/page.js';
import { overviewAnswer } from './fake-data.js';
import { COMPLETE, report } from './reports.js';

const html = readFileSync(join(import.meta.dirname, '../index.html'), 'utf8');
/** An element that the page must have. @type {(selector: string) => any} */
const find = (selector) => {
  const node = document.querySelector(selector);
  if (!node) throw new Error(`there is no ${selector}`);
  return node;
};
const drawer = { draw: vi.fn(), restyle: vi.fn(), fit: vi.fn(), destroy: vi.fn() };
/** @type {URL[]} */
let calls = [];
let isAway = false;
/** @type {ReturnType<typeof startPage> | undefined} */
let page;

/** @param {string} region @param {number} posts */
const windowsOf = (region, posts) => ({
  region, name: region, from: '2026-11-24T08:00:00Z', to: '2026-11-24T09:00:00Z', window_secs: 300, step_secs: 1800, as_of: '2026-11-24T09:00:00Z', total: null,
  windows: [report({ window_start: '2026-11-24T08:00:00Z', window_end: '2026-11-24T08:30:00Z', lifecycle: 'final', posts, completeness: COMPLETE })],
});

/** @param {URL} url */
function bodyOf(url) {
  const names = ['a', 'b', 'c'];
  switch (url.pathname) {
    case '/config.json': return { apiBase: '' };
    case '/api/regions': return { regions: names.map((id) => ({ id, name: `Region ${id}`, boxes: [], keywords: [], languages: [], rules: [] })), window_secs: 300 };
    case '/api/overview': {
      const overview = overviewAnswer({ windowSecs: 300, now: Date.now() });
      const [first] = overview.regions;
      return { ...overview, newest_post: new Date(Date.now() - 5_000).toISOString(), regions: names.map((id, i) => ({ ...first, region: id, name: `Region ${id}`, posts_last_hour: 300, usual: 100, usual_low: 80, usual_high: i === 0 ? 120 : 400, factor: i === 0 ? 3 : 1, event: null })) };
    }
    case '/api/series': return { region: 'a', tag: url.searchParams.get('tag'), host: null, from: '2026-11-24T08:00:00Z', to: '2026-11-24T09:00:00Z', step_secs: 1800, steps: [{ start: '2026-11-24T08:00:00Z', posts: 4, posts_high: 6, is_known: true }] };
    case '/api/windows': {
      const ids = (url.searchParams.get('region') ?? '').split(',');
      return ids.length > 1 ? { regions: ids.map((id, i) => windowsOf(id, 10 * (i + 1))) } : windowsOf(ids[0] ?? '', 50);
    }
    default: return { regions: [], events: [], from: '2026-11-24T08:00:00Z', to: '2026-11-24T09:00:00Z', is_cut: false };
  }
}

/** @param {string} search */
async function load(search) {
  calls = [];
  isAway = false;
  history.replaceState(null, '', `/${search}`);
  document.body.innerHTML = new DOMParser().parseFromString(html, 'text/html').body.innerHTML;
  const fetchImpl = async (/** @type {string} */ address) => {
    const url = new URL(address, 'http://localhost');
    calls.push(url);
    if (isAway) throw new TypeError('away');
    return { ok: true, status: 200, json: async () => bodyOf(url) };
  };
  page = startPage({ win: window, fetchImpl: /** @type {any} */ (fetchImpl), makeDrawer: () => drawer });
  await page.ready;
}
const compared = () => drawer.draw.mock.calls.findLast(([, chart]) => chart.id === 'compare')?.[2];
const press = (/** @type {string} */ key, target = document.body) => target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));

afterEach(() => {
  page?.stop();
  drawer.draw.mockClear();
});

describe('the page that compares', () => {
  it('draws the regions of the address, and asks for them at once', async () => {
    await load('?view=compare&regions=b,a,gone');
    await until(() => expect(compared()?.lines).toHaveLength(2));
    expect(compared().lines.map((/** @type {any} */ { label }) => label)).toEqual(['Region b', 'Region a']);
    const asked = calls.filter(({ pathname }) => pathname === '/api/windows').map(({ searchParams }) => searchParams.get('region'));
    expect(asked).toEqual(['b,a']);
    expect(find('#compare-totals').textContent).toContain('33.3%');
  });

  it('asks for another region, and keeps the choice in the address', async () => {
    await load('?view=compare&regions=a');
    await until(() => expect(find('#compare-text').textContent).toContain('Choose 2 to 8 regions'));
    find('#compare-regions input[value=c]').click();
    await until(() => expect(compared()?.lines).toHaveLength(2));
    expect(location.search).toContain('regions=a,c');
  });

  it('draws hashtags with both bounds', async () => {
    await load('?view=compare&region=a&tags=x,y');
    await until(() => expect(compared()?.lines.map((/** @type {any} */ { label }) => label)).toEqual(['#x', '#y']));
    expect(find('#compare-totals').textContent).toContain('4, at most 6');
  });

  it('draws a region and the time before', async () => {
    await load('?view=compare&region=a&periods=week');
    await until(() => expect(compared()?.lines.map((/** @type {any} */ { key }) => key)).toEqual(['now', 'week']));
  });

  it('is opened with the regions that were chosen in the list', async () => {
    await load('');
    await until(() => find('[data-pick]'));
    find('[data-pick][value=b]').click();
    find('[data-region=a]').focus();
    press('c', find('[data-region=a]'));
    find('#pick-compare').click();
    await until(() => expect(compared()?.lines).toHaveLength(2));
    expect(location.search).toContain('regions=b,a');
  });
});

describe('the wall', () => {
  it('shows the unusual region first, and turns by key', async () => {
    await load('?wall');
    await until(() => expect(find('#wall-name').textContent).toBe('Region a'));
    expect(find('#wall-number').textContent).toBe('3.0×');
    press('ArrowRight');
    expect(find('#wall-name').textContent).toBe('Region b');
  });

  it('shows only the regions that are pinned', async () => {
    await load('?wall=c');
    await until(() => expect(find('#wall-name').textContent).toBe('Region c'));
    press('ArrowRight');
    expect(find('#wall-name').textContent).toBe('Region c');
  });

  it('is closed by f', async () => {
    await load('?wall');
    await until(() => find('#wall-name'));
    press('f');
    await until(() => expect(find('#view-wall').hidden).toBe(true));
    expect(location.search).not.toContain('wall');
  });

  it('says in words that the server cannot be reached', async () => {
    await load('?wall');
    await until(() => expect(find('#wall-trust').textContent).not.toBe(''));
    isAway = true;
    find('#refresh').click();
    await until(() => expect(find('#wall-trust').textContent).toContain('cannot be reached'));
  });
});
