// @ts-check
// Tests of the charts over time: their series, tables and summaries.
import { describe, expect, it } from 'vitest';
import { zoneById } from '../../src/model/zone.js';
import { timeAxis } from '../../src/chart-kit/axes.js';
import { setZone } from '../../src/format.js';
import { timeTicks } from '../../src/chart-kit/time-ticks.js';
import authors from '../../src/charts/authors.js';
import posts from '../../src/charts/posts.js';
import { answerOf, drawingOf, flawed, MINUTE, SAMPLED, silentAt, START, viewOf, windowAt } from '../reports.js';

/** A palette whose colours are their names. */
const palette = /** @type {import('../../src/theme.js').Palette} */ (/** @type {unknown} */ ({ colour: (/** @type {string} */ name) => name }));
const answer = answerOf([windowAt(0), silentAt(1), silentAt(2), windowAt(3), windowAt(5)]);

/**
 * The values that a chart draws, by label.
 * @template View
 * @param {import('../../src/chart-kit/types').Chart<View>} chart
 * @param {View} view
 */
function drawn(chart, view) {
  const { datasets } = drawingOf(chart, view, palette).data;
  return Object.fromEntries(datasets.map(({ label, data }) => [label, /** @type {{ y: number | null }[]} */ (data).map(({ y }) => y)]));
}

/**
 * What Chart.js would show in the tooltip of a point.
 * @param {import('../../src/chart-kit/types').Drawing} drawing
 * @param {{ dataIndex: number, datasetIndex: number }} item
 */
function tooltipOf(drawing, item) {
  const { title, label, footer } = /** @type {any} */ (drawing.options).plugins.tooltip.callbacks;
  return [title([item]), label(item), footer([item])].flat();
}

describe('posts', () => {
  const counts = (/** @type {number} */ n) => ({ posts: n, originals: n, replies: 0, quotes: 0, reposts: 0 });
  const withNetworks = answerOf(
    [windowAt(0, { networks: [{ network: 'bluesky', ...counts(4) }, { network: 'x', ...counts(6) }] }), windowAt(1, { networks: [{ network: 'x', ...counts(10) }] })],
    { networks: [{ network: 'bluesky', ...counts(4) }, { network: 'x', ...counts(16) }] },
  );

  it('are stacked by kind at the middle of each window, with nothing in gaps and the future', () => {
    const view = viewOf(posts, answer);
    expect(posts.series?.(view).map((one) => one.key)).toEqual(['original', 'reply', 'quote', 'repost']);
    expect(drawingOf(posts, view, palette).data.datasets[0]?.data).toEqual(
      [4, null, null, 4, null].map((y, i) => ({ x: answer.windows[i]?.middle, y })),
    );
    expect(answer.windows[0]?.middle).toBe(START + 2.5 * MINUTE);
    expect(drawn(posts, viewOf(posts, answerOf([windowAt(0, { completeness: SAMPLED })])))).toMatchObject({ Original: [4] });
  });

  it('show the count of X as a dashed line, in the legend, the tooltip and the table, only where there is one', () => {
    const counted = answerOf([windowAt(0, { reference: 12 }), windowAt(1), windowAt(2, { reference: 0 })]);
    const view = viewOf(posts, counted, { choice: 'kind' });
    expect(posts.series?.(view).at(-1)).toMatchObject({ key: 'reference', label: 'X’s own count', isDashed: true });
    const line = drawingOf(posts, view, palette).data.datasets.at(-1);
    expect(line).toMatchObject({ type: 'line', hidden: false, borderDash: [6, 4] });
    expect(drawn(posts, view)['X’s own count']).toEqual([12, null, 0]);
    expect(posts.table(view).rows.map((row) => row.at(-2))).toEqual(['0', '–', '12']);
    expect(posts.table(view).head.at(-2)).toBe('X’s own count');
    expect(posts.note?.(view)).toContain('without reposts');
    expect(tooltipOf(drawingOf(posts, view, palette), { dataIndex: 0, datasetIndex: 0 }).at(-1)).toContain('X’s own count  12');
    expect(drawingOf(posts, viewOf(posts, counted, { choice: 'kind', hidden: new Set(['reference']) }), palette).data.datasets.at(-1)).toMatchObject({ hidden: true });
    const without = viewOf(posts, answer, { choice: 'kind' });
    expect(posts.series?.(without).map(({ key }) => key)).not.toContain('reference');
    expect(posts.table(without).head).not.toContain('X’s own count');
    expect(posts.note?.(without)).toBe('');
  });

  it('are stacked by network when that is chosen', () => {
    const view = viewOf(posts, withNetworks, { choice: 'network', networks: ['bluesky', 'mastodon', 'x'] });
    expect(drawn(posts, view)).toEqual({ Bluesky: [4, 0], X: [6, 10] });
    expect(posts.table(view).head).toEqual(['Window', 'Posts', 'Bluesky', 'X', 'State']);
    expect(posts.table(view).rows[1]?.slice(1, 4)).toEqual(['10', '4', '6']);
    expect(posts.summary(view)).toMatch(/^Posts per window by network, /);
    expect(tooltipOf(drawingOf(posts, view, palette), { dataIndex: 1, datasetIndex: 1 })).toEqual([expect.stringContaining('08:05–08:10'), 'X  10', 'Posts  10']);
  });

  it('give a network the same colour whatever else is shown', () => {
    const colours = (/** @type {string[]} */ networks) => posts.series?.(viewOf(posts, withNetworks, { choice: 'network', networks })).map(({ colour }) => colour);
    expect(colours(['bluesky', 'mastodon', 'x'])).toEqual(['series-1', 'series-3']);
    expect(colours([])).toEqual(['series-1', 'series-1']);
  });

  it('are stacked by kind when the server does not count by network', () => {
    expect(drawn(posts, viewOf(posts, answer, { choice: 'network' }))).toHaveProperty('Original');
    expect(posts.choice?.options(answer).map(({ id }) => id)).not.toContain('network');
    expect(posts.choice?.options(withNetworks).map(({ id }) => id)).toEqual(['kind', 'network', 'language', 'match', 'minute']);
  });

  it('are stacked by language and by match, with all posts in the stack', () => {
    const report = { languages: { en: 5, fr: 2 }, other_languages: 1, located: { point: 1, place: 2, rule: 0, text: 5, all: 0 }, posts: 8 };
    const read = answerOf([windowAt(0, report)], { languages: { en: 5, fr: 2 } });
    const stack = (/** @type {string} */ choice) => posts.view(read, { choice, hidden: new Set(), networks: [] }).stacks
      .map((/** @type {any} */ { label, pick }) => `${label} ${pick(read.windows[0])}`);
    expect(stack('language')).toEqual(['English 5', 'French 2', 'All others 1']);
    expect(stack('match')).toEqual(['Coordinates of the post 1', 'Named place 2', 'Text match 5']);
    expect(posts.note?.(viewOf(posts, read, { choice: 'language' }))).toContain('rare languages together');
  });

  it.each([5, 10, 30, 60])('are shown by minute in an absolute range within windows of %i minutes', (minutes) => {
    const report = { window_start: new Date(START).toISOString(), window_end: new Date(START + minutes * MINUTE).toISOString(), per_minute: Array.from({ length: minutes }, (_, i) => i) };
    const read = Object.assign(answerOf([windowAt(0, report)]), { stepMs: minutes * MINUTE, windowMs: minutes * MINUTE, asked: { from: START + MINUTE, to: START + 4 * MINUTE } });
    expect(posts.choice?.options(read)[0]?.id).toBe('minute');
    const view = posts.view(read, { choice: 'minute', hidden: new Set(), networks: [], nowMs: START + 86_400_000 });
    expect(view.answer.windows.map((/** @type {{ posts: number }} */ w) => w.posts)).toEqual([1, 2, 3]);
    expect([view.answer.from, view.answer.to]).toEqual([START + MINUTE, START + 4 * MINUTE]);
    expect(posts.table(view).rows).toHaveLength(3);
    expect(posts.note?.(view)).toContain('whole windows');
  });

  it('hide the series that the reader has hidden', () => {
    const { datasets } = drawingOf(posts, viewOf(posts, answer, { hidden: new Set(['repost']) }), palette).data;
    expect(datasets.map(({ hidden }) => hidden)).toEqual([false, false, false, true]);
  });

  it('have a table with the numbers of the chart, newest first, without the future', () => {
    const { head, rows } = posts.table(viewOf(posts, answerOf([windowAt(0), silentAt(1), windowAt(5)])));
    expect(head).toHaveLength(7);
    expect(rows.map((row) => row.at(-1))).toEqual(['no data', 'final']);
    expect(rows[1]?.slice(1, 6)).toEqual(['10', '4', '3', '1', '2']);
  });

  it('have a summary with peak, gaps and samples', () => {
    const summary = (/** @type {ReturnType<typeof windowAt>[]} */ ...windows) => posts.summary(viewOf(posts, answerOf(windows)));
    expect(summary(windowAt(0), silentAt(1), windowAt(2, { posts: 30 }))).toMatch(/40 posts, most \(30\) in .*, 1 gap\./);
    expect(summary(windowAt(0), windowAt(1, { completeness: SAMPLED }))).toMatch(/, 1 window sampled, at 25% at the lowest\. The/);
    expect(summary(windowAt(0))).toMatch(/\d\. The numbers/);
    expect(summary()).toMatch(/no windows/);
  });

  it('show totals and flaws in the tooltip', () => {
    const drawing = drawingOf(posts, viewOf(posts, answerOf([windowAt(0, { completeness: SAMPLED })])), palette);
    expect(tooltipOf(drawing, { dataIndex: 0, datasetIndex: 1 })).toEqual([
      'Tue 24 Nov, 08:00–08:05', 'Reply  3', 'Posts  10', "Only 25% of a source’s posts were requested",
    ]);
  });
});

describe('authors', () => {
  it('are a line within a band', () => {
    expect(drawn(authors, viewOf(authors, answer))).toEqual({
      Authors: [8, null, null, 8, null], 'At least': [7, null, null, 7, null], 'At most': [9, null, null, 9, null],
    });
  });

  it('show their bounds in the tooltip, unless they are exact', () => {
    const drawing = drawingOf(authors, viewOf(authors, answerOf([windowAt(0), windowAt(1, { authors_low: 8, authors_high: 8 })])), palette);
    expect(tooltipOf(drawing, { dataIndex: 0, datasetIndex: 0 }).slice(1)).toEqual(['About 8 authors', '95% sure: 7 to 9']);
    expect(tooltipOf(drawing, { dataIndex: 1, datasetIndex: 0 }).slice(1)).toEqual(['8 authors']);
  });

  it('have a summary with their number', () => {
    expect(authors.summary(viewOf(authors, answerOf([windowAt(0)], { authors: 8 })))).toContain('about 8 authors in all');
  });
});

it('states the flaws of each window in both tables', () => {
  const windows = [
    windowAt(0, { completeness: SAMPLED }), windowAt(1, { completeness: flawed({ flaws: ['missed', 'sampled'], sampled: 0.25, missed_secs: 60 }) }),
    windowAt(2), windowAt(3, { lifecycle: 'provisional', completeness: SAMPLED }),
  ];
  const requested = "only 25% of a source’s posts were requested";
  const wanted = [`unfinished; ${requested}`, 'final', `incomplete; a source was disconnected for 1 min; ${requested}`, `sampled; ${requested}`];
  expect(posts.table(viewOf(posts, answerOf(windows))).rows.map((row) => row.at(-1))).toEqual(wanted);
  expect(authors.table(viewOf(authors, answerOf(windows))).rows.map((row) => row.at(-1))).toEqual(wanted);
});

const UTC = /** @type {import('../../src/model/zone.js').Zone} */ (zoneById('UTC'));

it('a time that the clock shows twice has two lines on the axis, so that neighbours do not run into each other', () => {
  setZone('America/Toronto');
  const { callback } = timeAxis(palette, answer).ticks;
  const label = (/** @type {string} */ time) => callback(Date.parse(time));
  expect(label('2026-11-01T05:30:00Z')).toEqual(['01:30', 'UTC−4']);
  expect(label('2026-11-01T06:30:00Z')).toEqual(['01:30', 'UTC−5']);
  expect(label('2026-11-01T07:30:00Z')).toEqual(['02:30']);
  expect(label('2026-11-01T04:00:00Z')).toBe('1 Nov');
  setZone(undefined);
});

describe('timeTicks', () => {
  const clock = (/** @type {{ value: number }[]} */ ticks) => ticks.map(({ value }) => new Date(value).toISOString().slice(11, 16));

  it('lie at round times within the range', () => {
    expect(clock(timeTicks(START - 7 * MINUTE, START + 53 * MINUTE, 6, UTC))).toEqual(['08:00', '08:10', '08:20', '08:30', '08:40', '08:50']);
    expect(clock(timeTicks(START - 86_400_000, START, 8, UTC))).toEqual(['09:00', '12:00', '15:00', '18:00', '21:00', '00:00', '03:00', '06:00']);
  });

  it('are days in long ranges', () => {
    expect(timeTicks(START - 7 * 86_400_000, START, 7, UTC)).toHaveLength(7);
    expect(timeTicks(START - 7 * 86_400_000, START, 3, UTC).length).toBeLessThanOrEqual(3);
    expect(timeTicks(START, START, 5, UTC)).toEqual([]);
    expect(timeTicks(undefined, undefined, 5, UTC)).toEqual([]);
  });
});
