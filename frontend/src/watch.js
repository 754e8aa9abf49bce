// @ts-check
// The answers beside counts over time: events, what rises, the lines of the overview, the time before, and the series of a tag.
// Each is asked for again when a window has ended, not at each round.

import { list } from './model/values.js';

/**
 * @typedef {{ subject: string, key: string, value: any, error: unknown }} Held `subject` is what it is about, `key` also says when
 */

/** @param {{ onChange: (name: string) => void }} parts called after each answer */
export function createWatch({ onChange }) {
  /** @type {Map<string, Held>} */
  const held = new Map();

  /**
   * Asks for what is due. What is no longer wanted is forgotten; what is held is kept when asking again fails.
   * @param {import('./api.js').Api} api
   * @param {import('./api.js').Overview | null} overview
   * @param {Record<string, import('./views/types').Want | null>} wanted by name
   */
  async function refresh(api, overview, wanted) {
    const latest = list(overview?.regions).map(({ latest: window }) => window?.window_start ?? '').sort().at(-1) ?? '';
    for (const name of held.keys()) if (!wanted[name]) held.delete(name);
    await Promise.all(Object.entries(wanted).map(async ([name, want]) => {
      const before = held.get(name);
      if (want === null) return undefined;
      const key = `${want.subject} ${latest} ${overview?.version ?? ''}`;
      if (before?.key === key) return undefined;
      const kept = before?.subject === want.subject ? before.value : null;
      const mine = { subject: want.subject, key, value: kept, error: null };
      held.set(name, mine);
      try {
        const value = await want.ask(api);
        if (held.get(name) === mine) held.set(name, { ...mine, value });
      } catch (error) {
        if (held.get(name) === mine) held.set(name, { ...mine, key: '', error });
      }
      return onChange(name);
    }));
  }

  return {
    refresh,
    /** @param {string} name */
    get: (name) => held.get(name)?.value ?? null,
    /** Names of the answers that could not be had, although they were asked for. */
    failed: () => [...held].filter(([, { error }]) => error !== null).map(([name]) => name),
    /** @param {string} name */
    errorOf: (name) => held.get(name)?.error ?? null,
  };
}
