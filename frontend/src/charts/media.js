// @ts-check
// The share of posts with at least one photo, video or audio attached, over time.

import { line, overTime, points, spanText, windowTable } from '../chart-kit/over-time.js';
import { formatCount, formatShare, formatSpan, plural } from '../format.js';
import { begun } from '../model/answer.js';
import { STATE_FIELDS } from '../model/fields.js';
import { count } from '../model/values.js';

/**
 * @typedef {import('../model/answer.js').Window} Window
 * @typedef {import('../model/answer.js').Answer} Answer
 */

/**
 * Posts with media; null when the server does not count them.
 * @param {Pick<Window, 'report'>} counted a window or the total
 */
const mediaOf = ({ report }) => (typeof report.media === 'number' ? count(report.media) : null);

/**
 * The share in percent; null without posts, and when it is not known.
 * @param {Window} w
 */
function percentOf(w) {
  const media = mediaOf(w);
  return media === null || w.posts === 0 ? null : Math.min(100, (100 * media) / w.posts);
}

/** @param {Pick<Window, 'report' | 'posts'>} counted a window or the total */
const shareText = (counted) => formatShare(mediaOf(counted), counted.posts);

/** @param {import('../theme.js').Palette} palette */
const percentAxis = (palette) => ({
  min: 0,
  max: 100,
  border: { display: false },
  grid: { color: palette.grid },
  ticks: { color: palette.muted, stepSize: 25, padding: 6, callback: (/** @type {number} */ value) => `${value}%` },
});

/** @type {import('../chart-kit/types').Chart<Answer>} */
const media = {
  id: 'media',
  title: 'Posts with media',
  reads: { steps: [...STATE_FIELDS, 'posts', 'media'], total: ['posts', 'media'] },
  size: 'wide',
  height: 'middle',
  noun: 'media',
  lead: 'Share of posts with at least one photo, video or audio attached.',

  view: (answer) => answer,
  empty: ({ total }) => (mediaOf(total) === null ? 'This server does not count posts with media.' : ''),

  config: (answer, palette) => overTime({
    type: 'line',
    answer,
    palette,
    y: percentAxis(palette),
    datasets: [{ label: 'With media', ...line(answer.windows, points(answer.windows, percentOf), palette.accent) }],
    tooltip: { displayColors: false },
    label: (w) => `${shareText(w)} with media (${formatCount(mediaOf(w))} of ${plural(w.posts, 'post')})`,
  }),

  table: (answer) => windowTable(
    answer,
    ['Posts', 'With media', 'Share'],
    (w) => [formatCount(w.posts), formatCount(mediaOf(w)), shareText(w)],
  ),

  summary(answer) {
    if (mediaOf(answer.total) === null) return 'Posts with media: not counted by this server.';
    const seen = begun(answer.windows).filter((w) => percentOf(w) !== null);
    const [first, ...others] = seen;
    if (!first) return 'Share of posts with media: no posts in this range.';
    const peak = others.reduce((a, b) => ((percentOf(b) ?? 0) > (percentOf(a) ?? 0) ? b : a), first);
    return `Share of posts with media per window, ${spanText(seen)}: ${shareText(answer.total)} of all posts, `
      + `most (${shareText(peak)}) in ${formatSpan(peak.start, peak.end)}. The numbers are in the table below.`;
  },
};

export default media;
