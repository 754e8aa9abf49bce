// @ts-check
// The share of posts with at least one photo, video or audio attached, over time.

import { line, overTime, points, spanText, windowTable } from '../chart-kit/over-time.js';
import { formatCount, formatShare, formatSpan } from '../format.js';
import { t } from '../i18n.js';
import { begun } from '../model/answer.js';
import { SHOWN_STATE_FIELDS } from '../model/fields.js';
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
  ticks: { color: palette.muted, stepSize: 25, padding: 6, callback: (/** @type {number} */ value) => formatShare(value, 100) },
});

/** @type {import('../chart-kit/types').Chart<Answer>} */
const media = {
  id: 'media',
  reads: { steps: [...SHOWN_STATE_FIELDS, 'posts', 'media'], total: ['posts', 'media'] },
  size: 'wide',
  height: 'middle',
  lead: () => t('chart.media.lead'),

  view: (answer) => answer,
  empty: ({ total }) => (mediaOf(total) === null ? t('series.noMedia') : ''),

  config: (answer, palette) => overTime({
    type: 'line',
    answer,
    palette,
    y: percentAxis(palette),
    datasets: [{ label: t('series.withMedia'), ...line(answer.windows, points(answer.windows, percentOf), palette.accent) }],
    tooltip: { displayColors: false },
    label: (w) => t('series.mediaLine', { share: shareText(w), media: formatCount(mediaOf(w)), n: w.posts }),
  }),

  table: (answer) => windowTable(
    answer,
    [t('series.posts'), t('series.withMedia'), t('series.share')],
    (w) => [formatCount(w.posts), formatCount(mediaOf(w)), shareText(w)],
  ),

  summary(answer) {
    if (mediaOf(answer.total) === null) return t('summary.mediaUnknown');
    const seen = begun(answer.windows).filter((w) => percentOf(w) !== null);
    const [first, ...others] = seen;
    if (!first) return t('summary.mediaNone');
    const peak = others.reduce((a, b) => ((percentOf(b) ?? 0) > (percentOf(a) ?? 0) ? b : a), first);
    return `${t('summary.media', { span: spanText(seen), share: shareText(answer.total), peak: shareText(peak), time: formatSpan(peak.start, peak.end) })} ${t('series.below')}`;
  },
};

export default media;
