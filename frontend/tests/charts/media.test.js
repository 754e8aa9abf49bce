// @ts-check
// Tests of the share of posts with media.
import { expect, it } from 'vitest';
import media from '../../src/charts/media.js';
import { answerOf, drawingOf, report, silentAt, viewOf, windowAt } from '../reports.js';

const palette = /** @type {any} */ ({});
const answer = answerOf(
  [windowAt(0, { media: 4 }), silentAt(1, { media: 0 }), windowAt(2, { media: 10 }), report({ window_start: windowAt(3).window_start, media: 0 }), windowAt(5, { media: 1 })],
  { posts: 20, media: 14 },
);

it('is drawn in percent, with nothing in gaps, without posts and in the future', () => {
  const { data } = /** @type {{ data: { y: number | null }[] }} */ (drawingOf(media, viewOf(media, answer), palette).data.datasets[0]);
  expect(data.map(({ y }) => y)).toEqual([40, null, 100, null, null]);
});

it('has a table and a summary with shares', () => {
  const { head, rows } = media.table(viewOf(media, answer));
  expect(head).toEqual(['Window', 'Posts', 'With media', 'Share', 'State']);
  expect(rows.map((row) => row.slice(1))).toEqual([
    ['0', '0', '–', 'final'], ['10', '10', '100%', 'final'], ['0', '0', '–', 'no data'], ['10', '4', '40%', 'final'],
  ]);
  expect(media.summary(viewOf(media, answer))).toMatch(/: 70% of all posts, most \(100%\) in Tue 24 Nov, 08:10–08:15\./);
  expect(media.summary(viewOf(media, answerOf([], { media: 0 })))).toContain('no posts in this range');
});

it('shows share and count in the tooltip', () => {
  const { label } = /** @type {any} */ (drawingOf(media, viewOf(media, answer), palette).options).plugins.tooltip.callbacks;
  expect(label({ dataIndex: 0, datasetIndex: 0 })).toBe('40% with media (4 of 10 posts)');
});

it('says so when the server does not count media', () => {
  const older = /** @type {any} */ ({ media: undefined });
  const view = viewOf(media, answerOf([windowAt(0, older)], older));
  expect(media.empty?.(view)).toBe('This server does not count posts with media.');
  expect(media.summary(view)).toBe('Posts with media: not counted by this server.');
  expect(media.table(view).rows[0]?.slice(1, 4)).toEqual(['10', '–', '–']);
  expect(media.empty?.(viewOf(media, answer))).toBe('');
});
