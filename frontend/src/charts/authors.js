// @ts-check
// Distinct authors over time, as an estimate within its error band.

import { countAxis } from '../chart-kit/axes.js';
import { line, overTime, points, windowTable } from '../chart-kit/over-time.js';
import { formatCount, plural } from '../format.js';
import { STATE_FIELDS } from '../model/fields.js';
import { count } from '../model/values.js';

/** @typedef {{ answer: import('../model/answer.js').Answer }} AuthorsView */

/** @type {import('../chart-kit/types').Chart<AuthorsView>} */
const authors = {
  id: 'authors',
  title: 'Distinct authors',
  reads: { steps: [...STATE_FIELDS, 'authors', 'authors_low', 'authors_high'], total: ['authors'] },
  size: 'half',
  height: 'middle',
  noun: 'authors',
  lead: 'Estimated; with 95% probability the true number lies in the band.',

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
        { label: 'Authors', ...line(windows, points(windows, (w) => w.authors), palette.accent) },
        { ...edge, label: 'At least', data: points(windows, (w) => w.authorsLow), fill: false },
        { ...edge, label: 'At most', data: points(windows, (w) => w.authorsHigh), fill: '-1' },
      ],
      tooltip: { displayColors: false, filter: (/** @type {{ datasetIndex: number }} */ item) => item.datasetIndex === 0 },
      label: (w) => (w.authorsLow === w.authorsHigh
        ? plural(w.authors, 'author')
        : [`About ${plural(w.authors, 'author')}`, `95% sure: ${formatCount(w.authorsLow)} to ${formatCount(w.authorsHigh)}`]),
    });
  },

  table: ({ answer }) => windowTable(
    answer,
    ['Authors, about', 'At least (95%)', 'At most (95%)'],
    (w) => [w.authors, w.authorsLow, w.authorsHigh].map(formatCount),
  ),

  summary: ({ answer }) => `Distinct authors per window with their error band; about ${plural(count(answer.total.report.authors), 'author')} in all. `
    + 'The numbers are in the table below.',
};

export default authors;
