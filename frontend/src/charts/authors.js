// @ts-check
// Distinct authors over time, as an estimate within its error band.

import { countAxis } from '../chart-kit/axes.js';
import { line, overTime, points, windowTable } from '../chart-kit/over-time.js';
import { formatCount } from '../format.js';
import { t } from '../i18n.js';
import { SHOWN_STATE_FIELDS } from '../model/fields.js';
import { count } from '../model/values.js';

/** @typedef {{ answer: import('../model/answer.js').Answer }} AuthorsView */

/** @type {import('../chart-kit/types').Chart<AuthorsView>} */
const authors = {
  id: 'authors',
  reads: { steps: [...SHOWN_STATE_FIELDS, 'authors', 'authors_low', 'authors_high'], total: ['authors'] },
  size: 'half',
  height: 'middle',
  lead: () => t('chart.authors.lead'),

  view: (answer) => ({ answer }),

  config({ answer }, palette) {
    const { windows } = answer;
    const edge = { borderWidth: 0, pointRadius: 0, pointHoverRadius: 0, backgroundColor: palette.band, cubicInterpolationMode: 'monotone' };
    return overTime({
      type: 'line',
      answer,
      palette,
      y: countAxis(palette),
      datasets: [
        { label: t('series.authors'), ...line(windows, points(windows, (w) => w.authors), palette.accent) },
        { ...edge, label: t('series.atLeast'), data: points(windows, (w) => w.authorsLow), fill: false },
        { ...edge, label: t('series.atMost'), data: points(windows, (w) => w.authorsHigh), fill: '-1' },
      ],
      tooltip: { displayColors: false, filter: (/** @type {{ datasetIndex: number }} */ item) => item.datasetIndex === 0 },
      label: (w) => (w.authorsLow === w.authorsHigh
        ? t('unit.authors', { n: w.authors })
        : [t('series.aboutAuthors', { n: w.authors }), t('tile.sure', { low: w.authorsLow, high: w.authorsHigh })]),
    });
  },

  table: ({ answer }) => windowTable(
    answer,
    [t('series.authorsAbout'), t('series.authorsAtLeast'), t('series.authorsAtMost')],
    (w) => [w.authors, w.authorsLow, w.authorsHigh].map(formatCount),
  ),

  summary: ({ answer }) => `${t('summary.authors', { n: count(answer.total.report.authors) })} ${t('series.below')}`,
};

export default authors;
