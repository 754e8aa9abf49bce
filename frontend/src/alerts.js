// @ts-check
// Notifications of the browser for events in chosen regions. They come while the page is open, also in the background: then the overview
// is asked for once a minute. No service worker is needed.

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
  /** Whether the browser has refused to let a page make a notification, as on phones. */
  let isRefused = false;
  /** @returns {Permission} */
  const permission = () => (!maker() || isRefused ? 'unsupported' : maker()?.permission === 'denied' ? 'denied' : 'ready');

  /** Notifies of what has started. Another tab may have done so: what it saw is read again. @param {import('./model/unusual.js').LooseOverview | null} overview */
  function check(overview) {
    if (watching.regions.length === 0 || maker()?.permission !== 'granted') return;
    const stored = readWatching(store()?.getItem(KEY) ?? null);
    const { alerts, watching: next } = dueAlerts({ regions: watching.regions, seen: [...new Set([...watching.seen, ...stored.seen])] }, overview);
    if (alerts.length === 0) return;
    keep(next);
    for (const { id, region, name, event, factor } of alerts) {
      try {
        const Maker = /** @type {typeof Notification} */ (maker());
        const shown = new Maker(`${factor === null ? '' : `${factorText(factor)} `}${name}`, { body: eventSince(event, nowMs()), tag: id });
        shown.onclick = () => {
          win.focus();
          shown.close();
          onOpen(region);
        };
      } catch {
        // Browsers of phones allow this to service workers only. The page of events says so.
        isRefused = true;
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
