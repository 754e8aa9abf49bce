// @ts-check
// How many entries of each ranking are shown. The address holds them as `rows=CHART.LEVEL`, with commas. Pure functions.

export const ROWS_PARAM = 'rows';
/** Entries that are shown at first, and after one click. */
export const FEW = 12;
const MANY = 50;

/**
 * @typedef {{ id: string, most: number, asks: number }} Level
 * How much of a ranking is shown, and how many entries the API is asked for: more than are shown, to know whether there are more and
 * to search among them. For all of them, as many as it can list.
 * @type {Level}
 */
const FIRST = { id: '', most: FEW, asks: 20 };
/** @type {readonly Level[]} */
const LEVELS = [
  FIRST,
  { id: String(MANY), most: MANY, asks: MANY + 1 },
  { id: 'all', most: Infinity, asks: 2048 },
];
/** Entries of an earlier time that the API is asked for, to say how those of now have changed. */
export const EARLIER_ROWS = 256;

/** @param {string | undefined} rows */
const namesOf = (rows) => (rows ?? '').split(',').filter(Boolean);

/** The level of a chart. @param {string | undefined} rows @param {string} chart */
function levelOf(rows, chart) {
  const named = namesOf(rows).find((name) => name.startsWith(`${chart}.`))?.slice(chart.length + 1);
  return LEVELS.find(({ id }) => id === named) ?? FIRST;
}

/** Most entries that a ranking shows. @param {string | undefined} rows @param {string} chart */
export const mostOf = (rows, chart) => levelOf(rows, chart).most;

/** Most entries that the API is asked for, for any of these charts. @param {string | undefined} rows @param {readonly string[]} charts */
export const asksOf = (rows, charts) => Math.max(FIRST.asks, ...charts.map((chart) => levelOf(rows, chart).asks));

/**
 * What one more click shows, as `n` entries and as the value of the address; null when everything is shown at once. `n` is null for all
 * of them when it is not known how many there are.
 * @param {string | undefined} rows
 * @param {string} chart
 * @param {{ length: number, isWhole: boolean }} ranking the entries that are known, and whether there are no others
 * @returns {{ n: number | null, isAll: boolean, rows: string } | null}
 */
export function nextRows(rows, chart, { length, isWhole }) {
  if (length <= FEW) return null;
  const level = LEVELS.indexOf(levelOf(rows, chart));
  const isEnd = isWhole && length <= (LEVELS[level]?.most ?? 0);
  let next = isEnd ? 0 : (level + 1) % LEVELS.length;
  // A click that would show no more than the one after it shows all.
  if (next > 0 && isWhole && length <= (LEVELS[next]?.most ?? 0)) next = LEVELS.length - 1;
  const id = LEVELS[next]?.id ?? '';
  const others = namesOf(rows).filter((name) => !name.startsWith(`${chart}.`));
  const isAll = id === 'all';
  return { n: isAll ? (isWhole ? length : null) : next === 0 ? FEW : MANY, isAll, rows: [...others, ...(id ? [`${chart}.${id}`] : [])].join(',') };
}
