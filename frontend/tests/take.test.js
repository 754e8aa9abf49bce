// @vitest-environment jsdom
// @ts-check
// Tests of the dialog of data and pictures, of printing, and of notifications in a window.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createAlerts } from '../src/alerts.js';
import { createApi } from '../src/api.js';
import { ledgerRows } from '../src/model/ledger.js';
import { samplePart } from '../src/model/unusual.js';
import { initPrint } from '../src/print.js';
import { openTake } from '../src/view/take.js';

afterEach(() => {
  document.body.replaceChildren();
  localStorage.clear();
  vi.restoreAllMocks();
});

describe('the dialog', () => {
  it('makes a sheet when its button is used, and not before', () => {
    const make = vi.fn(() => ({ name: 'regions', columns: ['a'], rows: [[1]] }));
    Object.assign(URL, { createObjectURL: () => 'blob:x', revokeObjectURL: () => {} });
    let name = '';
    vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(/** @this {any} */ function click() { name = this.download; });
    openTake(document, { sheets: [{ label: 'Regions', make }], charts: [], href: 'https://b.example/', suffix: '24h' }, { zone: 'UTC', nowMs: 0, announce: () => {} });
    expect(make).not.toHaveBeenCalled();
    /** @type {HTMLElement} */ (document.querySelector('[aria-label="Regions, NDJSON"]')).click();
    expect(name).toBe('birdsong-regions-24h.ndjson');
    expect(document.querySelector('textarea')).toBeNull();
  });
});

describe('notes', () => {
  it('are sent with the token, and a refusal has its status', async () => {
    /** @type {RequestInit | undefined} */
    let sent;
    let status = 201;
    const api = createApi({ fetchImpl: async (_url, init) => { sent = init; return { ok: status < 400, status, json: async () => ({ error: { code: 'wrong_token', message: 'no' } }) }; } });
    await api.addNote({ text: 'Derby', region: 'a' }, 's3');
    expect(sent).toMatchObject({ method: 'POST', headers: { authorization: 'Bearer s3' }, body: '{"text":"Derby","region":"a"}' });
    status = 401;
    await expect(api.addNote({ text: 'Derby' }, 'x')).rejects.toMatchObject({ status: 401, code: 'wrong_token' });
  });
});

describe('printing', () => {
  it('is light, says what and when, and gives the theme back', () => {
    document.body.innerHTML = '<p id="print-line"></p>';
    document.documentElement.setAttribute('data-theme', 'dark');
    const drawer = { restyle: vi.fn(), fit: vi.fn() };
    const stop = initPrint({ win: window, drawer });
    window.dispatchEvent(new Event('beforeprint'));
    expect(document.documentElement.getAttribute('data-theme')).toBe('light');
    expect(document.querySelector('#print-line')?.textContent).toMatch(/^Printed .* from http/);
    window.dispatchEvent(new Event('afterprint'));
    expect(document.documentElement.getAttribute('data-theme')).toBe('dark');
    expect(drawer.restyle).toHaveBeenCalledTimes(2);
    stop();
  });
});

describe('notifications', () => {
  it('come once, also when another tab of the page is open', async () => {
    const shown = /** @type {string[]} */ ([]);
    class Fake {
      static permission = 'granted';
      static requestPermission = async () => 'granted';
      /** @param {string} title */
      constructor(title) { shown.push(title); }
    }
    Object.assign(window, { Notification: Fake });
    const overview = /** @type {any} */ ({ regions: [{ region: 'a', name: 'Alpha', factor: 3.1, event: { id: '1', kind: 'rising', is_open: true, subject: { type: 'hashtag', name: 'Goal' } } }] });
    const make = () => createAlerts({ win: window, nowMs: () => 0, ask: async () => null, onOpen: () => {}, onOverview: () => {} });
    const first = make();
    expect(await first.choose(['a'], { regions: [] })).toBe(true);
    const second = make();
    first.check(overview);
    first.check(overview);
    second.check(overview);
    expect(shown).toEqual(['3.1× Alpha']);
    first.stop();
    second.stop();
  });

  it('are named as unsupported where a page may not make them', async () => {
    window.localStorage.clear();
    class Phone {
      static permission = 'granted';
      constructor() { throw new TypeError('Illegal constructor'); }
    }
    Object.assign(window, { Notification: Phone });
    const alerts = createAlerts({ win: window, nowMs: () => 0, ask: async () => null, onOpen: () => {}, onOverview: () => {} });
    await alerts.choose(['a'], { regions: [] });
    expect(alerts.permission()).toBe('ready');
    alerts.check(/** @type {any} */ ({ regions: [{ region: 'a', name: 'Alpha', factor: 3, event: { id: '1', kind: 'rising', is_open: true } }] }));
    await vi.waitFor(() => expect(alerts.permission()).toBe('unsupported'));
    alerts.stop();
  });

  it('come from the service worker where a page may not make them, and open their region', async () => {
    class Phone {
      static permission = 'granted';
      constructor() { throw new TypeError('Illegal constructor'); }
    }
    const showNotification = vi.fn(async () => {});
    const workers = { register: vi.fn(async () => {}), ready: Promise.resolve({ showNotification }), onmessage: /** @type {any} */ (null) };
    Object.assign(window, { Notification: Phone });
    Object.defineProperty(window.navigator, 'serviceWorker', { value: workers, configurable: true });
    const onOpen = vi.fn();
    const alerts = createAlerts({ win: window, nowMs: () => 0, ask: async () => null, onOpen, onOverview: () => {} });
    await alerts.choose(['a'], { regions: [] });
    alerts.check(/** @type {any} */ ({ regions: [{ region: 'a', name: 'Alpha', factor: 3, event: { id: '9', kind: 'rising', is_open: true } }] }));
    await vi.waitFor(() => expect(showNotification).toHaveBeenCalledWith('3.0× Alpha', expect.objectContaining({ tag: '9', data: { region: 'a' } })));
    expect(alerts.permission()).toBe('ready');
    workers.onmessage({ data: { region: 'a' } });
    expect(onOpen).toHaveBeenCalledWith('a');
    Reflect.deleteProperty(window.navigator, 'serviceWorker');
    alerts.stop();
  });
});

describe('what a person must act on', () => {
  it('is not one line in a hundred that cannot be read', () => {
    const flaws = (/** @type {object} */ ledger) => ledgerRows(/** @type {any} */ ({ ledger })).filter(({ flaw }) => flaw).map(({ key }) => key);
    expect(flaws({ received: 3600, quarantined: 5, late: 3, dropped: 0 })).toEqual([]);
    expect(flaws({ received: 3600, quarantined: 50, dropped: 1 })).toEqual(['quarantined', 'dropped']);
  });

  it('a sample is part of the headline', () => {
    expect(samplePart(/** @type {any} */ ({ sources: [{ sampled: 0.01 }, { sampled: null }] }))?.text).toContain('≈ 1% sample');
    expect(samplePart(/** @type {any} */ ({ sources: [{ sampled: 1 }] }))).toBeNull();
  });
});
