// @ts-check
// The pages of the dashboard. `overview` and `region` follow from the region in the address, the others from `view=ID`.

import overview from './overview.js';
import sources from './sources.js';

/** What the page of a region is turned to, its time, what is compared, the hidden series, and the choices of its charts. */
const REGION_PARAMS = ['tag', 'host', 'language', 'until', 'from', 'to', 'against', 'hide', 'stack', 'rows'];
const COMPARE_PARAMS = ['regions', 'tags', 'periods', 'measure', 'until', 'from', 'to'];

/**
 * Loads code once; again after it could not be loaded.
 * @template Code
 * @param {() => Promise<Code>} load
 * @returns {() => Promise<Code>}
 */
function once(load) {
  /** @type {Promise<Code> | null} */
  let code = null;
  return () => {
    code ??= load();
    code.catch(() => { code = null; });
    return code;
  };
}

/**
 * A page that is loaded when it is first shown is one line: `{ id: 'compare', params: ['with'], load: once(() => import('./compare.js')) }`.
 * @type {import('./types').Entry[]}
 */
export const VIEWS = [
  { id: 'overview', params: [], create: overview },
  { id: 'region', params: REGION_PARAMS, load: once(() => import('./region.js')) },
  { id: 'events', params: ['kind', 'time', 'at'], load: once(() => import('./events.js')) },
  { id: 'sources', params: [], create: sources },
  { id: 'compare', params: COMPARE_PARAMS, load: once(() => import('./compare.js')) },
  { id: 'map', params: ['shade'], load: once(() => import('./map.js')) },
  { id: 'wall', params: ['wall'], load: once(() => import('./wall.js')) },
];

/** Every parameter of the address that belongs to a page, and the name of the page. */
export const PAGE_PARAMS = [...new Set(['view', 'zone', ...VIEWS.flatMap(({ params }) => params)])];

/**
 * The page that a choice shows.
 * @param {import('../url-state.js').Choice} choice
 */
export const entryOf = ({ region: id, choices }) => {
  const named = VIEWS.find((one) => one.id === (choices.wall ? 'wall' : choices.view) && one.id !== 'region');
  return /** @type {import('./types').Entry} */ (named ?? VIEWS.find((one) => one.id === (id ? 'region' : 'overview')));
};
