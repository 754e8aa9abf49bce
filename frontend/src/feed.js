// @ts-check
// What the API answered last, and which of it has to be asked for again.

import { ApiError } from './api.js';
import { canFollow, isSettling, mergeChanges } from './model/merge.js';
import { windowQuery } from './model/query.js';
import { count, list, parseTime } from './model/values.js';
import { rangeOf } from './url-state.js';

/** After this long without an answer of windows, the whole is asked for and not what changed. */
const LONGEST_GAP_MS = 300_000;
/** How often windows are asked for while steps that have ended are not final, and while there is no overview to say what changed. */
const SETTLING_MS = 60_000;
const DEFAULT_WINDOW_SECS = 300;

/**
 * @typedef {import('./url-state.js').Choice} Choice
 * @typedef {ReturnType<typeof createFeed>} Feed
 * @typedef {import('./api.js').Windows} Windows
 * @typedef {{ key: string, answer: Windows, version: unknown, changedAt: unknown, nowMs: number, at: number }} Held
 *   an answer of windows: for which choice, what the overview said before it, when it was asked for, and when it arrived
 */

/** @param {unknown} error */
const isRefusal = (error) => error instanceof ApiError && [400, 422].includes(error.status);
/** @param {unknown} error */
const isRefusedFilter = (error) => isRefusal(error) && error instanceof ApiError && error.parameter === 'network';

/**
 * @param {{
 *   choice: Choice, fieldsOf: (range: import('./url-state.js').Range) => { fields: string, total_fields: string, top?: number }, ready?: () => Promise<void> | null,
 *   onRegions: () => void, onOverview: () => void, onWindows: () => void, onRefusedFilter: () => void,
 * }} parts `choice` is read at each call; the callbacks run after each answer. `ready` resolves when `fieldsOf` knows the fields, and is null when it does already. `onRefusedFilter` must remove the networks from the
 *   choice: the server does not filter by network, or not by one of these
 */
export function createFeed({ choice, fieldsOf, ready = () => null, onRegions, onOverview, onWindows, onRefusedFilter }) {
  const feed = {
    /** Null until the regions are known; `tz` is the IANA name of the region's time zone, if it has one. @type {{ id: string, name: string, tz: string | null, boxes: number[][], keywords: string[], languages: string[], rules: string[] }[] | null} */
    regions: null,
    /** @type {import('./api.js').Overview | null} */
    overview: null,
    /** The last good answer of /api/windows, with all that has changed since. @type {Windows | null} */
    windows: null,
    /** Whether it ends with the newest post, long ago. */
    endsInPast: false,
    /** When it was last known to be current, in milliseconds. @type {number | null} */
    updatedAt: null,
    /** Why the last round failed; null when it succeeded. @type {unknown} */
    error: null,

    /** The server's time in milliseconds. */
    nowMs: () => Date.now() + clockSkewMs,
    /** Whether `windows` belongs to what is chosen now. */
    fits: () => held?.key === keyOf(choice),
    refresh,
    cancel: () => pending?.abort(),
  };
  // Another choice may read other fields, which an answer that is held does not have.
  /** @param {Choice} one */
  const keyOf = ({ region, range, networks, choices }) => JSON.stringify([region, range, networks, choices.until ?? '', choices.from ?? '', choices.to ?? '', fieldsOf(rangeOf({ range, choices }))]);
  let clockSkewMs = 0;
  let windowSecs = DEFAULT_WINDOW_SECS;
  /** @type {Held | null} */
  let held = null;
  /** Whether the last call of windows failed. */
  let failed = false;
  let askedAt = 0;
  /** @type {AbortController | null} */
  let pending = null;

  /** When the counts of the chosen region changed last. */
  function changedAt() {
    const region = list(feed.overview?.regions).find((one) => one.region === choice.region);
    return (region ? region.changed_at : feed.overview?.newest_post) ?? null;
  }
  const version = () => feed.overview?.version ?? null;

  /** Reads the regions; `onRegions` is called later. @param {import('./api.js').Api} api */
  async function loadRegions(api) {
    const answer = await api.regions();
    windowSecs = count(answer.window_secs) || windowSecs;
    feed.regions = list(answer.regions).flatMap(({ id, name, boxes, keywords, languages, rules, tz }) => (
      id ? [{ id, name: name || id, tz: tz || null, boxes: list(boxes).map((box) => list(/** @type {any} */ (box))), keywords: list(keywords), languages: list(languages), rules: list(rules) }] : []
    ));
  }

  /**
   * Reads the overview; `onOverview` is called later.
   * @param {import('./api.js').Api} api
   * @param {() => boolean} isCurrent
   */
  async function loadOverview(api, isCurrent) {
    const overview = await api.overview();
    if (!isCurrent()) return;
    const now = parseTime(overview.now);
    if (now !== null) setClock(now - Date.now());
    windowSecs = count(overview.window_secs) || windowSecs;
    feed.overview = overview;
  }

  /**
   * A cached answer is older than it looks, so the greatest difference between the clocks is the best known one, unless
   * a clock was set.
   * @param {number} skewMs
   */
  function setClock(skewMs) {
    if (feed.overview === null || skewMs > clockSkewMs || clockSkewMs - skewMs > SETTLING_MS) clockSkewMs = skewMs;
  }

  /**
   * @param {number} nowMs
   * @param {number | null} [stepSecs]
   */
  const queryAt = (nowMs, stepSecs = null) => windowQuery({
    region: choice.region ?? '', range: rangeOf(choice), networks: choice.networks, windowSecs, stepSecs,
    nowMs: Math.min(nowMs, parseTime(choice.choices.until) ?? Infinity), newestMs: parseTime(feed.overview?.newest_post), version: version(),
  });

  /**
   * The query for what changed since the answer that is held; null when the whole has to be asked for.
   * @param {number} nowMs
   */
  function nextQuery(nowMs) {
    if (held === null || !feed.fits() || failed || held.version !== version() || Date.now() - held.at > LONGEST_GAP_MS) return null;
    const next = queryAt(nowMs, count(held.answer.step_secs));
    return canFollow(held.answer, next.query) ? next : null;
  }

  /**
   * @param {import('./api.js').Api} api
   * @param {{ whole?: boolean }} [options]
   * @returns {Promise<void>}
   */
  async function loadWindows(api, { whole = false } = {}) {
    if (!choice.region) return;
    pending?.abort();
    const controller = new AbortController();
    pending = controller;
    const nowMs = feed.nowMs();
    const next = whole ? null : nextQuery(nowMs);
    const { query, endsInPast } = next ?? queryAt(nowMs);
    const before = next && held;
    const asked = { key: keyOf(choice), version: version(), changedAt: changedAt(), nowMs };
    const isWanted = () => asked.key === keyOf(choice);
    askedAt = Date.now();
    try {
      const parameters = { ...query, ...fieldsOf(rangeOf(choice)), since: before?.answer.as_of };
      const received = await api.windows(parameters, { signal: controller.signal });
      if (controller.signal.aborted || !isWanted()) return;
      const answer = before ? mergeChanges(before.answer, received) : received;
      if (answer === null) return await loadWindows(api, { whole: true });
      held = { ...asked, answer, at: Date.now() };
      failed = false;
      Object.assign(feed, { windows: answer, endsInPast, updatedAt: Date.now() });
      onWindows();
    } catch (error) {
      if (!isWanted() || controller.signal.aborted) throw error;
      if (choice.networks.length > 0 && isRefusedFilter(error)) {
        onRefusedFilter();
        await loadWindows(api);
      } else if (before && isRefusal(error)) {
        await loadWindows(api, { whole: true });
      } else {
        failed = true;
        throw error;
      }
    } finally {
      if (pending === controller) pending = null;
    }
  }

  /**
   * Windows are due after a new choice or a failure, when the overview shows a change, when the range has moved on to a
   * new step, and from time to time while what is held becomes final by itself or cannot be known to be current.
   * @param {boolean} isKnown whether there is an overview of now
   */
  function windowsDue(isKnown) {
    if (held === null || !feed.fits() || failed) return true;
    if (held.version !== version() || held.changedAt !== changedAt()) return true;
    const stepSecs = count(held.answer.step_secs) || null;
    const [now, then] = [feed.nowMs(), held.nowMs].map((nowMs) => queryAt(nowMs, stepSecs).query);
    if (now?.from !== then?.from || now?.to !== then?.to) return true;
    return Date.now() - askedAt >= SETTLING_MS && (!isKnown || isSettling(held.answer, feed.nowMs()));
  }

  /**
   * Asks for the windows of the region when they are due.
   * @param {import('./api.js').Api} api
   * @param {() => boolean} isCurrent
   * @param {Promise<unknown>} overview why there is no overview; null when there is one
   * @param {boolean} whole
   * @returns {Promise<{ answer: Promise<void> } | null>} resolves when the question was sent
   */
  async function askWindows(api, isCurrent, overview, whole) {
    // Windows can be shown without the overview, and a new choice does not wait for it.
    const isNewChoice = feed.overview !== null && !feed.fits();
    const isKnown = isNewChoice || (await overview) === null;
    if (!feed.regions?.some(({ id }) => id === choice.region)) return null;
    const coming = ready();
    if (coming) await coming;
    if (!isCurrent() || !(whole || windowsDue(isKnown))) return null;
    const answer = loadWindows(api, { whole });
    answer.catch(() => {});
    return { answer };
  }

  /**
   * One round: the regions once, the overview, and the windows when they are due. `whole` asks for all of them in any case.
   * The page of a region is written when its windows have been asked for: writing takes a while.
   * Sets `error`, unless the round was replaced by another one.
   * @param {import('./api.js').Api} api
   * @param {() => boolean} isCurrent
   * @param {{ whole?: boolean }} [options]
   */
  async function refresh(api, isCurrent, { whole = false } = {}) {
    const overview = loadOverview(api, isCurrent).then(() => null, (error) => error);
    /** Called when the question for windows was sent, or is not due. */
    let sent = () => {};
    const isAsked = choice.region === null ? null : new Promise((resolve) => { sent = () => resolve(null); });
    const shown = overview.then(async (failure) => {
      await isAsked;
      if (failure === null && isCurrent()) onOverview();
      return failure;
    }).catch((error) => error);
    try {
      const isFirst = feed.regions === null;
      if (isFirst) await loadRegions(api);
      const region = choice.region;
      let asked = null;
      try {
        asked = await askWindows(api, isCurrent, overview, whole);
      } finally {
        sent();
        if (isFirst) onRegions();
      }
      if (choice.region !== region) asked = await askWindows(api, isCurrent, overview, whole);
      await asked?.answer;
      const failure = await shown;
      if (failure) throw failure;
      if (!isCurrent()) return;
      feed.error = null;
      if (feed.fits() || choice.region === null) feed.updatedAt = Date.now();
    } catch (error) {
      if (isCurrent() && !(error instanceof ApiError && error.kind === 'aborted')) feed.error = error;
    } finally {
      sent();
    }
  }

  return feed;
}
