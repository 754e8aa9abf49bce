// @ts-check
// The networks that the page offers as a filter. Their names come from the API alone.

import { sourceNetworks } from './sources.js';

/**
 * Every network that is known of, by name: of the sources, of what was shown, and the chosen ones.
 * @param {{ overview: import('./freshness.js').LooseOverview | null, seen: Iterable<string>, chosen: string[] }} known
 */
export const knownNetworks = ({ overview, seen, chosen }) => [...new Set([...sourceNetworks(overview), ...seen, ...chosen])].sort();

/**
 * A network's name as a label: `bluesky` becomes `Bluesky`.
 * @param {string} network
 */
export const networkLabel = (network) => network.charAt(0).toUpperCase() + network.slice(1);

/**
 * The chosen networks as a list in words; an empty text for all of them.
 * @param {string[]} networks
 */
export const networksText = (networks) => networks.map(networkLabel).join(', ');
