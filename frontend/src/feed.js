// @ts-check
// What the API answered last, and which of it has to be asked for again.

import { ApiError } from './api.js';
import { windowQuery } from './model/query.js';
import { list, parseTime } from './model/values.js';
import { rangeById } from './url-state.js';

/** Windows are asked for at least this often; more often when there is a new post. */
const WINDOWS_EVERY_MS = 60_000;

/**
 * @typedef {import('./url-state.js').Choice} Choice
 * @typedef {ReturnType<typeof createFeed>} Feed
 * @typedef {import('./api.js').Windows} Windows
 */

/** @param {Choice} choice */
const keyOf = ({ region, range, networks }) => JSON.stringify([region, range, networks]);

/** @param {unknown} error */
const isRefusedFilter = (error) => error instanceof ApiError && [400, 422].includes(error.status) && error.parameter === 'network';

/**
 * @param {{
 *   choice: Choice, onRegions: () => void, onStatus: () => void, onWindows: () => void, onRefusedFilter: () => void,
 * }} parts `choice` is read at each call; the callbacks run after each answer. `onRefusedFilter` must remove the networks from the
 *   choice: the server does not filter by network, or not by one of these
 */
export function createFeed({ choice, onRegions, onStatus, onWindows, onRefusedFilter }) {
  const feed = {
    /** Null until the regions are known. @type {{ id: string, name: string }[] | null} */
    regions: null,
    /** @type {import('./api.js').Status | null} */
    status: null,
    /** The last good answer of /api/windows. @type {Windows | null} */
    windows: null,
    /** Whether it ends with the newest post, long ago. */
    endsInPast: false,
    /** When it arrived, in milliseconds. @type {number | null} */
    updatedAt: null,
    /** Why the last round failed; null when it succeeded. @type {unknown} */
    error: null,

    /** The server's time in milliseconds. */
    nowMs: () => Date.now() + clockSkewMs,
    /** Whether `windows` belongs to what is chosen now. */
    fits: () => windowsFor === keyOf(choice),
    refresh,
    cancel: () => pending?.abort(),
  };
  let clockSkewMs = 0;
  /** @type {string | null} */
  let windowsFor = null;
  /** @type {string | null} */
  let newestThen = null;
  let askedAt = 0;
  /** @type {AbortController | null} */
  let pending = null;

  const newestPost = () => feed.status?.newest_post ?? null;

  /** @param {import('./api.js').Api} api */
  async function loadRegions(api) {
    const { regions } = await api.regions();
    feed.regions = list(regions).flatMap(({ id, name }) => (id ? [{ id, name: name || id }] : []));
    onRegions();
  }

  /** @param {import('./api.js').Api} api */
  async function loadStatus(api) {
    const status = await api.status();
    const now = parseTime(status.now);
    clockSkewMs = now === null ? 0 : now - Date.now();
    feed.status = status;
    onStatus();
  }

  /**
   * @param {import('./api.js').Api} api
   * @returns {Promise<void>}
   */
  async function loadWindows(api) {
    const { region, range, networks } = choice;
    if (!region) return;
    pending?.abort();
    const controller = new AbortController();
    pending = controller;
    const asked = keyOf(choice);
    const newest = newestPost();
    const { query, endsInPast } = windowQuery({ region, range: rangeById(range), networks, nowMs: feed.nowMs(), newestMs: parseTime(newest) });
    askedAt = Date.now();
    try {
      const windows = await api.windows(query, { signal: controller.signal });
      if (controller.signal.aborted || asked !== keyOf(choice)) return;
      Object.assign(feed, { windows, endsInPast, updatedAt: Date.now() });
      windowsFor = asked;
      newestThen = newest;
      onWindows();
    } catch (error) {
      if (asked !== keyOf(choice) || networks.length === 0 || !isRefusedFilter(error)) throw error;
      onRefusedFilter();
      await loadWindows(api);
    } finally {
      if (pending === controller) pending = null;
    }
  }

  /** Windows are due after a new choice, after a new post, and once a minute. */
  const windowsDue = () => !feed.fits() || newestPost() !== newestThen || Date.now() - askedAt >= WINDOWS_EVERY_MS;

  /**
   * One round: the regions once, the status, and the windows when they are due or `force` is set.
   * Sets `error`, unless the round was replaced by another one.
   * @param {import('./api.js').Api} api
   * @param {() => boolean} isCurrent
   * @param {{ force?: boolean }} [options]
   */
  async function refresh(api, isCurrent, { force = false } = {}) {
    try {
      if (feed.regions === null) await loadRegions(api);
      // The status says where the range ends, but windows can be shown without it.
      const failure = await loadStatus(api).then(() => null, (error) => error);
      if (!isCurrent()) return;
      if (force || windowsDue()) await loadWindows(api);
      if (failure) throw failure;
      if (isCurrent()) feed.error = null;
    } catch (error) {
      if (isCurrent() && !(error instanceof ApiError && error.kind === 'aborted')) feed.error = error;
    }
  }

  return feed;
}
