// @ts-check
// What the plugins of a chart draw, which changes with each answer while the plugins stay.

/**
 * @typedef {import('./types').DrawingState & { palette: import('../theme.js').Palette }} PluginState
 * @type {WeakMap<object, PluginState>}
 */
const states = new WeakMap();

/**
 * @param {object} chart
 * @param {PluginState} state
 */
export const setState = (chart, state) => void states.set(chart, state);

/** @param {object} chart */
export const stateOf = (chart) => states.get(chart);
