// @ts-check
// The posts with one hashtag or host over time: at least and at most, with what is usual.

import { countAxis } from '../chart-kit/axes.js';
import { overTime, points, spanText, windowTable } from '../chart-kit/over-time.js';
import { usualBand, usualText } from '../chart-kit/usual-band.js';
import { formatCount } from '../format.js';
import { t } from '../i18n.js';
import { begun, readAnswer } from '../model/answer.js';
import { count, list, parseTime } from '../model/values.js';

/**
 * A series as an answer of counts over time, which the charts can draw. The upper bounds are by the start of their step.
 * @param {import('../api.js').Series} series
 * @param {number} nowMs
 */
export function readSeries(series, nowMs) {
  const stepMs = count(series.step_secs) * 1000;
  /** @type {Map<number, number>} */
  const highs = new Map();
  const windows = list(series.steps).flatMap((step) => {
    const start = parseTime(step.start);
    if (start === null) return [];
    highs.set(start, Math.max(count(step.posts), count(step.posts_high)));
    const { usual, usual_low, usual_high } = step;
    return [{
      window_start: step.start, window_end: new Date(start + stepMs).toISOString(), posts: count(step.posts), usual, usual_low, usual_high,
      lifecycle: start + stepMs > nowMs ? /** @type {const} */ ('provisional') : /** @type {const} */ ('final'),
      completeness: { complete: step.is_known !== false, frames: step.is_known === false ? 0 : 1 },
    }];
  });
  const answer = readAnswer({ region: series.region, from: series.from, to: series.to, step_secs: series.step_secs, window_secs: series.step_secs, windows }, nowMs);
  return Object.assign(answer, { highs });
}

/** @typedef {ReturnType<typeof readSeries>} SeriesAnswer */

/** @param {SeriesAnswer} answer */
const highTotal = ({ highs }) => [...highs.values()].reduce((sum, n) => sum + n, 0);

/**
 * The total as text: exact, or its bounds.
 * @param {SeriesAnswer} answer
 */
export function boundsText(answer) {
  const [low, high] = [answer.total.posts, highTotal(answer)];
  return low === high ? t('series.exactly', { n: low }) : t('series.bounds', { low, high });
}

/** @type {import('../chart-kit/types').Chart<SeriesAnswer>} */
const focus = {
  id: 'focus-series',
  reads: {},
  size: 'wide',
  height: 'middle',
  note: (answer) => (highTotal(answer) === answer.total.posts ? '' : t('series.onlyFrequent')),

  view: (answer) => /** @type {SeriesAnswer} */ (answer),

  config(answer, palette) {
    const { windows, highs } = answer;
    const bar = { stack: 'posts', barPercentage: 0.86, categoryPercentage: 1, maxBarThickness: 60 };
    return overTime({
      type: 'bar', answer, palette, stacked: true, y: countAxis(palette, { stacked: true }),
      datasets: [
        { ...bar, label: t('series.atLeast'), data: points(windows, (w) => w.posts), backgroundColor: () => palette.colour('bar') },
        { ...bar, label: t('series.atMost'), data: points(windows, (w) => (highs.get(w.start) ?? w.posts) - w.posts), backgroundColor: () => palette.colour('bar-pale') },
        ...usualBand(windows, palette),
      ],
      tooltip: { displayColors: false, filter: (/** @type {{ datasetIndex: number }} */ item) => item.datasetIndex === 0 },
      label: (w) => {
        const high = highs.get(w.start) ?? w.posts;
        return high === w.posts ? t('unit.posts', { n: w.posts }) : t('series.postsBetween', { low: w.posts, high });
      },
      total: usualText,
    });
  },

  table: (answer) => windowTable(answer, [t('series.postsAtLeast'), t('series.postsAtMost')], (w) => [formatCount(w.posts), formatCount(answer.highs.get(w.start) ?? w.posts)]),
  summary: (answer) => `${t('summary.focus', { span: spanText(begun(answer.windows)), bounds: boundsText(answer) })} ${t('series.below')}`,
};

export default focus;
