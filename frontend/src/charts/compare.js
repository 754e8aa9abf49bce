// @ts-check
// Two to eight lines over time. They differ by dash, weight and the name at their end, and not by colour alone.

import { countAxis, timeAxis } from '../chart-kit/axes.js';
import { endLabels } from '../chart-kit/end-labels.js';
import { tooltipStyle } from '../chart-kit/tooltip.js';
import { formatCompact, formatCount, formatPercent, formatRate, formatSpan, isUtcDays } from '../format.js';
import { t } from '../i18n.js';
import { startsOf, totalsOf, valueOf } from '../model/compare.js';
import { stateText } from '../model/flaws.js';
import { SERIES_COLOURS } from '../theme.js';

/**
 * @typedef {import('../model/compare.js').Line} Line
 * @typedef {import('../model/compare.js').Step} Step
 * @typedef {import('../model/compare.js').Measure} Measure
 * @typedef {{ lines: Line[], measures: readonly Measure[], from: number | null, to: number | null, note: string }} Compared
 * @typedef {Compared & { measure: Measure, hidden: ReadonlySet<string> }} CompareView
 */

const DASHES = [[], [7, 4], [2, 3], [11, 3, 2, 3], [], [7, 4], [2, 3], [11, 3, 2, 3]];
const LABEL_PX = 150;
const USUAL_INDEX = 100;

/** The look of the line at a place in the list; no two are alike without colours. @param {number} i */
export const lineLook = (i) => ({
  dash: DASHES[i % DASHES.length] ?? [],
  width: i < DASHES.length / 2 ? 2.25 : 4,
  colour: SERIES_COLOURS[i % SERIES_COLOURS.length] ?? 'accent',
});

/** @param {number | null} value @param {Measure} measure */
export function measureText(value, measure) {
  if (value === null) return '–';
  switch (measure) {
    case 'share': return formatPercent(value);
    case 'rate': return formatRate(value);
    default: return formatCount(Math.round(value));
  }
}

/** A step as text; posts as a span where they are bounds. @param {Step | undefined} step @param {Measure} measure */
function stepText(step, measure) {
  if (!step) return '–';
  const value = valueOf(step, measure);
  return measure === 'posts' && value !== null && step.high > step.posts ? t('tile.between', { low: step.posts, high: step.high }) : measureText(value, measure);
}

/** @param {Line} line */
const byStart = ({ steps }) => new Map(steps.map((step) => [step.start, step]));

/** A plugin that draws what is usual. @type {import('chart.js').Plugin<any>} */
const usualLine = {
  id: 'usualLine',
  beforeDatasetsDraw(chart) {
    const { ctx, chartArea, scales } = chart;
    const text = /** @type {{ usualLine?: string }} */ (chart.options.plugins ?? {}).usualLine;
    if (!text || !scales.y) return;
    const y = scales.y.getPixelForValue(USUAL_INDEX);
    ctx.save();
    ctx.strokeStyle = text;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.moveTo(chartArea.left, y);
    ctx.lineTo(chartArea.right, y);
    ctx.stroke();
    ctx.restore();
  },
};

/** The length of a step. @param {readonly Line[]} lines */
const stepOf = (lines) => lines.flatMap(({ steps }) => steps).slice(0, 1).reduce((_, { start, end }) => end - start, 0);

/** @type {import('../chart-kit/types').Chart<CompareView>} */
const compare = {
  id: 'compare',
  reads: {},
  size: 'wide',
  height: 'tall',
  choice: {
    param: 'measure',
    label: () => t('compare.measure'),
    options: (answer) => (/** @type {Partial<Compared>} */ (/** @type {unknown} */ (answer)).measures ?? []).map((id) => ({ id, label: t(`compare.measures.${id}`) })),
  },

  view(answer, { choice, hidden }) {
    const compared = /** @type {Partial<Compared>} */ (/** @type {unknown} */ (answer));
    const measures = compared.measures ?? [];
    return {
      lines: compared.lines ?? [], measures, from: compared.from ?? null, to: compared.to ?? null, note: compared.note ?? '', hidden,
      measure: measures.find((one) => one === choice) ?? 'posts',
    };
  },

  empty({ lines, measure }) {
    const has = (/** @type {Measure} */ one) => lines.some(({ steps }) => steps.some((step) => valueOf(step, one) !== null));
    if (!has('posts')) return t('compare.none');
    return measure === 'index' && !has('index') ? t('compare.noIndex') : '';
  },
  note: ({ measure, note, lines }) => [t(`compare.leads.${measure}`), note, isUtcDays(stepOf(lines)) ? t('series.utcDays') : ''].filter(Boolean).join(' '),
  series: ({ lines }) => lines.map(({ key, label }, i) => ({ key, label, colour: lineLook(i).colour })),

  config({ lines, measure, from, to, hidden }, palette) {
    const starts = startsOf(lines);
    const maps = lines.map(byStart);
    const longest = Math.max(0, ...lines.map(({ label }) => label.length));
    const room = Math.min(LABEL_PX, 24 + longest * 7);
    const y = countAxis(palette);
    return {
      type: 'line',
      data: {
        datasets: lines.map(({ key, label }, i) => {
          const look = lineLook(i);
          const colour = palette.colour(look.colour);
          const steps = starts.map((start) => maps[i]?.get(start));
          const isOpen = (/** @type {{ dataIndex: number }} */ { dataIndex }) => steps[dataIndex]?.window.isOpen ?? false;
          const isAlone = (/** @type {number} */ at) => [at - 1, at + 1].every((next) => { const step = steps[next]; return !step || valueOf(step, measure) === null; });
          return {
            label,
            data: starts.map((start, at) => { const step = steps[at]; return { x: step ? (step.start + step.end) / 2 : start, y: step ? valueOf(step, measure) : null }; }),
            hidden: hidden.has(key),
            borderColor: colour,
            backgroundColor: colour,
            borderWidth: look.width,
            borderDash: look.dash,
            cubicInterpolationMode: 'monotone',
            // The open step ends in a ring: it is still counting.
            pointRadius: (/** @type {{ dataIndex: number }} */ at) => (isOpen(at) ? 4 : isAlone(at.dataIndex) ? 2.5 : 0),
            pointBackgroundColor: (/** @type {{ dataIndex: number }} */ at) => (isOpen(at) ? palette.surface : colour),
            pointBorderWidth: 2,
            pointHoverRadius: 5,
            pointHitRadius: 12,
            spanGaps: false,
          };
        }),
      },
      options: {
        interaction: { mode: 'index', intersect: false, axis: 'x' },
        layout: { padding: { right: room, top: 8 } },
        scales: {
          x: timeAxis(palette, /** @type {any} */ ({ windows: [], from: from ?? starts[0], to: to ?? starts.at(-1) })),
          y: measure === 'posts' ? y : {
            ...y, suggestedMax: measure === 'index' ? 150 : undefined,
            ticks: { ...y.ticks, precision: undefined, callback: (/** @type {number} */ value) => (measure === 'share' ? formatPercent(value) : formatCompact(value)) },
          },
        },
        plugins: {
          ...(measure === 'index' && { usualLine: palette.text }),
          tooltip: {
            ...tooltipStyle(palette),
            itemSort: (/** @type {{ raw: { y: number | null } }} */ a, /** @type {{ raw: { y: number | null } }} */ b) => (b.raw.y ?? 0) - (a.raw.y ?? 0),
            callbacks: {
              title: (/** @type {{ dataIndex: number }[]} */ [item]) => {
                const start = item ? starts[item.dataIndex] : undefined;
                const step = start === undefined ? undefined : maps.map((steps) => steps.get(start)).find(Boolean);
                return step ? formatSpan(step.start, step.end) : '';
              },
              label: (/** @type {{ dataIndex: number, datasetIndex: number }} */ { dataIndex, datasetIndex }) => (
                `${lines[datasetIndex]?.label ?? ''}  ${stepText(maps[datasetIndex]?.get(starts[dataIndex] ?? NaN), measure)}`
              ),
            },
          },
        },
      },
      plugins: [usualLine, endLabels],
      state: {},
    };
  },

  table({ lines, measure }) {
    const maps = lines.map(byStart);
    return {
      head: [t(isUtcDays(stepOf(lines)) ? 'series.windowUtc' : 'series.window'), ...lines.map(({ label }) => label), t('series.state')],
      rows: startsOf(lines).reverse().flatMap((start) => {
        const steps = maps.map((steps) => steps.get(start));
        const first = steps.find(Boolean);
        if (!first || steps.every((step) => !step || step.window.future)) return [];
        const states = steps.flatMap((step, i) => (step ? [[lines[i]?.label ?? '', stateText(step.window)]] : []));
        const isSame = states.every(([, state]) => state === states[0]?.[1]);
        return [[
          formatSpan(first.start, first.end), ...steps.map((step) => stepText(step, measure)),
          isSame ? states[0]?.[1] ?? '' : states.map(([label, state]) => `${label}${t('list.colon')}${state}`).join(t('list.semicolon')),
        ]];
      }),
    };
  },

  summary({ lines, measure }) {
    const parts = lines.map((line) => `${line.label} ${measureText(totalsOf(line)[measure], measure)}`);
    return t('summary.compare', { measure: t(`compare.measures.${measure}`), n: lines.length, lines: parts.join(', ') });
  },
};

export default compare;
