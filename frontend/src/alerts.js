// @ts-check
// Notifications of the browser for events in chosen regions. They come while the page is open, also in the background: then the overview
// is asked for once a minute. Where a page may not make them itself, as on phones, public/notify.js shows them.

import { NOBODY, chooseRegions, dueAlerts, readWatching } from './model/alerts.js';
import { eventSince, factorText } from './model/unusual.js';

const KEY = 'birdsong-alerts';
const HIDDEN_MS = 60_000;

/** @typedef {ReturnType<typeof createAlerts>} Alerts */
/** `unsupported`: the browser has no notifications, or refuses to let a page make them. @typedef {'ready' | 'unsupported' | 'denied'} Permission */

/**
 * @param {{
 *   win: globalThis.Window, nowMs: () => number, ask: () => Promise<import('./model/unusual.js').LooseOverview | null>,
 *   onOpen: (region: string) => void, onOverview: (overview: import('./model/unusual.js').LooseOverview) => void,
 * }} parts `ask` gets the overview while the page is hidden; `onOverview` gets its answer
 */
export function createAlerts({ win, nowMs, ask, onOpen, onOverview }) {
  const doc = win.document;
  const store = () => {
    try {
      return win.localStorage;
    } catch {
      return null;
    }
  };
  /** What is chosen lasts as long as the page where storage is blocked. */
  let watching = readWatching(store()?.getItem(KEY) ?? null);
  const keep = (/** @type {import('./model/alerts.js').Watching} */ next) => {
    watching = next;
    try {
      store()?.setItem(KEY, JSON.stringify(next));
    } catch {
      // A full storage only forgets the choice.
    }
  };
  const maker = () => /** @type {typeof Notification | undefined} */ (/** @type {any} */ (win).Notification);
  /** Whether the browser has refused both ways of making a notification. */
  let isRefused = false;
  /** @returns {Permission} */
  const permission = () => (!maker() || isRefused ? 'unsupported' : maker()?.permission === 'denied' ? 'denied' : 'ready');

  /** @param {string} title @param {NotificationOptions} options */
  async function showByWorker(title, options) {
    const workers = win.navigator.serviceWorker;
    await workers.register('./notify.js');
    workers.onmessage = ({ data }) => onOpen(String(data.region));
    await (await workers.ready).showNotification(title, options);
  }

  /** Notifies of what has started. Another tab may have done so: what it saw is read again. @param {import('./model/unusual.js').LooseOverview | null} overview */
  function check(overview) {
    if (watching.regions.length === 0 || maker()?.permission !== 'granted') return;
    const stored = readWatching(store()?.getItem(KEY) ?? null);
    const { alerts, watching: next } = dueAlerts({ regions: watching.regions, seen: [...new Set([...watching.seen, ...stored.seen])] }, overview);
    if (alerts.length === 0) return;
    keep(next);
    for (const { id, region, name, event, factor } of alerts) {
      const title = `${factor === null ? '' : `${factorText(factor)} `}${name}`;
      const options = { body: eventSince(event, nowMs()), tag: id };
      try {
        const Maker = /** @type {typeof Notification} */ (maker());
        const shown = new Maker(title, options);
        shown.onclick = () => {
          win.focus();
          shown.close();
          onOpen(region);
        };
      } catch {
        // If there is no service worker either, the page of events says so.
        showByWorker(title, { ...options, data: { region } }).catch(() => { isRefused = true; });
      }
    }
  }

  const timer = win.setInterval(async () => {
    if (!doc.hidden || watching.regions.length === 0 || maker()?.permission !== 'granted') return;
    try {
      const overview = await ask();
      if (!overview) return;
      onOverview(overview);
      check(overview);
    } catch {
      // The next minute asks again; the page shows the failure when it is looked at.
    }
  }, HIDDEN_MS);

  return {
    check,
    permission,
    regions: () => watching.regions,
    /**
     * Chooses regions, and asks for permission when it has not been given. Returns whether notifications will come.
     * @param {string[]} regions
     * @param {import('./model/unusual.js').LooseOverview | null} overview
     */
    async choose(regions, overview) {
      if (regions.length > 0 && maker()?.permission !== 'granted' && (await maker()?.requestPermission()) !== 'granted') {
        keep(NOBODY);
        return false;
      }
      keep(chooseRegions(watching, regions, overview));
      return true;
    },
    stop: () => win.clearInterval(timer),
  };
}
