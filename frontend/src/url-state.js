// What the address bar holds: the chosen region and range. Pure functions only.

/** Ranges that can be picked, each with the step that keeps a chart readable. */
export const RANGES = [
  { id: '1h', label: '1 h', long: 'last hour', secs: 3600, step: '5m', stepSecs: 300 },
  { id: '6h', label: '6 h', long: 'last 6 hours', secs: 6 * 3600, step: '5m', stepSecs: 300 },
  { id: '24h', label: '24 h', long: 'last 24 hours', secs: 24 * 3600, step: '15m', stepSecs: 900 },
  { id: '7d', label: '7 d', long: 'last 7 days', secs: 7 * 86400, step: '1h', stepSecs: 3600 },
];

export const DEFAULT_RANGE = '24h';

export const rangeById = (id) => RANGES.find((range) => range.id === id) ?? RANGES.find((r) => r.id === DEFAULT_RANGE);

/** Reads `?region=…&range=…`; an unknown range becomes the default one. */
export function readUrl(search) {
  const params = new URLSearchParams(search);
  return { region: params.get('region') || null, range: rangeById(params.get('range')).id };
}

/** The query with region and range set; other parameters stay as they are. */
export function writeUrl(search, { region, range }) {
  const params = new URLSearchParams(search);
  if (region) params.set('region', region);
  else params.delete('region');
  params.set('range', rangeById(range).id);
  return `?${params}`;
}
