// @ts-check
// Posts over time: against what is usual, by minute, or stacked by kind, network, language, or the way in which they matched.

import { countAxis } from '../chart-kit/axes.js';
import { brush } from '../chart-kit/brush.js';
import { eventMarks } from '../chart-kit/event-marks.js';
import { hatchBars } from '../chart-kit/hatch.js';
import { hasReference, referenceCell, referenceLine, referenceSeries, referenceText } from '../chart-kit/reference.js';
import { overTime, points, spanText, windowTable } from '../chart-kit/over-time.js';
import { hasUsual, usualBand, usualOf, usualText } from '../chart-kit/usual-band.js';
import { capital, formatCount, formatShare, formatSpan, languageName } from '../format.js';
import { t } from '../i18n.js';
import { begun, readWindow } from '../model/answer.js';
import { SHOWN_STATE_FIELDS } from '../model/fields.js';
import { gapSpans } from '../model/flaws.js';
import { eventMarksOf } from '../model/marks.js';
import { networkLabel } from '../model/networks.js';
import { KINDS } from '../model/report.js';
import { count } from '../model/values.js';
import { SERIES_COLOURS } from '../theme.js';
import { WAYS } from './matched-by.js';

/**
 * @typedef {import('../model/answer.js').Window} Window
 * @typedef {import('../chart-kit/types').Series & { pick: (window: Window) => number }} Stack
 * @typedef {{ answer: import('../model/answer.js').Answer, by: string, stacks: Stack[], hidden: ReadonlySet<string>, marks: import('../model/marks.js').Mark[] }} PostsView
 */

/** @returns {Stack[]} */
const byKind = () => KINDS.map(({ key, label }) => ({ key, label, colour: `kind-${key}`, pick: (w) => w.kinds[key] }));

/** Without a baseline, nothing is above the usual range. @param {Window} w */
const withinUsual = (w) => Math.min(w.posts, Math.max(0, Math.round(usualOf(w)?.high ?? w.posts)));

/** What is above the usual range has a colour. @returns {Stack[]} */
const againstUsual = () => [
  { key: 'within', label: t('series.posts'), colour: 'bar', pick: withinUsual },
  { key: 'above', label: t('series.above'), colour: 'up-mark', pick: (w) => w.posts - withinUsual(w) },
];

/**
 * A network keeps its colour whatever others are shown.
 * @param {readonly string[]} shown
 * @param {readonly string[]} known
 * @returns {Stack[]}
 */
const byNetwork = (shown, known) => shown.map((network) => ({
  key: network,
  label: networkLabel(network),
  colour: SERIES_COLOURS[Math.max(0, known.indexOf(network)) % SERIES_COLOURS.length] ?? 'accent',
  pick: (w) => w.networks?.get(network) ?? 0,
}));

const MINUTE_MS = 60_000;
/** Up to so many windows, minutes can be shown; up to so many of an absolute range, they are shown at first. */
const MOST_BY_MINUTE = 24;
const FEW_BY_MINUTE = 12;
/** Counts of minutes are small in ranges up to this. */
const MINUTES_SECS = 86_400;
const MOST_LANGUAGES = 5;

/** @param {import('../model/answer.js').Answer} answer */
const hasMinutes = ({ windows, windowMs, stepMs }) => stepMs === windowMs && windowMs > MINUTE_MS && windows.length <= MOST_BY_MINUTE && windows.some((w) => w.perMinute.length > 1);
/** @param {import('../model/answer.js').Answer} answer */
const isShort = ({ asked, windows }) => asked !== undefined && windows.length <= FEW_BY_MINUTE;

/**
 * The minutes of the windows, within the range that was asked for, as windows of their own.
 * @param {import('../model/answer.js').Answer} answer
 * @param {number} nowMs
 */
function minutesOf(answer, nowMs) {
  const [from, to] = [answer.asked?.from ?? answer.from ?? 0, answer.asked?.to ?? answer.to ?? Infinity];
  const windows = answer.windows.flatMap(({ start, report, perMinute, gap }) => perMinute.map((posts, i) => readWindow({
    window_start: new Date(start + i * MINUTE_MS).toISOString(), window_end: new Date(start + (i + 1) * MINUTE_MS).toISOString(), posts,
    lifecycle: report.lifecycle, completeness: gap === null && report.completeness?.complete === false ? null : report.completeness,
  }, nowMs))).filter((w) => w.start >= from && w.end <= to);
  return { ...answer, from, to: Number.isFinite(to) ? to : answer.to, windows };
}

/** @returns {Stack[]} */
const byMinute = () => [{ key: 'posts', label: t('series.posts'), colour: 'bar', pick: (w) => w.posts }];

/** The most frequent languages of the range, and all others. @param {import('../model/answer.js').Answer} answer @returns {Stack[]} */
function byLanguage({ total }) {
  const codes = Object.entries(total.report.languages ?? {}).map(([code, n]) => ({ code, posts: count(n) })).filter(({ posts: n }) => n > 0)
    .sort((a, b) => b.posts - a.posts || a.code.localeCompare(b.code)).slice(0, MOST_LANGUAGES).map(({ code }) => code);
  const of = (/** @type {Window} */ w, /** @type {string} */ code) => count(w.report.languages?.[code]);
  return [
    ...codes.map((code, i) => ({ key: code, label: capital(languageName(code)), colour: SERIES_COLOURS[i] ?? 'accent', pick: (/** @type {Window} */ w) => of(w, code) })),
    { key: 'others', label: t('series.allOthers'), colour: 'bar-pale', pick: (w) => Math.max(0, w.posts - codes.reduce((sum, code) => sum + of(w, code), 0)) },
  ];
}

/** @returns {Stack[]} */
const byMatch = () => WAYS.map(({ key, label }, i) => ({ key, label, colour: SERIES_COLOURS[i] ?? 'accent', pick: (w) => count(w.report.located?.[key]) }));

/** @type {import('../chart-kit/types').Chart<PostsView>} */
const posts = {
  id: 'posts',
  // Both choices, so that the reader can switch without another question to the API.
  reads: { steps: [...SHOWN_STATE_FIELDS, 'posts', ...KINDS.map(({ field }) => field), 'networks', 'usual', 'usual_low', 'usual_high', 'reference'], total: ['posts', 'networks'] },
  size: 'wide',
  height: 'tall',
  hasMarks: true,
  hasBrush: true,
  choice: {
    param: 'stack',
    label: () => t('series.shownBy'),
    options: (answer) => {
      const { networks, windows } = answer;
      const minute = hasMinutes(answer) ? [{ id: 'minute', label: t('series.byMinute') }] : [];
      return [
        ...(isShort(answer) ? minute : []), ...(hasUsual(windows) ? [{ id: 'usual', label: t('series.byUsual') }] : []), { id: 'kind', label: t('series.byKind') },
        ...(networks?.length ? [{ id: 'network', label: t('series.byNetwork') }] : []), { id: 'language', label: t('series.byLanguage') }, { id: 'match', label: t('series.byMatch') },
        ...(isShort(answer) ? [] : minute),
      ];
    },
  },

  more: (choice, { secs }) => ({
    steps: [
      .../** @type {import('../model/contract').Field[]} */ (secs <= MINUTES_SECS ? ['per_minute'] : []),
      .../** @type {import('../model/contract').Field[]} */ (choice === 'language' ? ['languages', 'other_languages'] : choice === 'match' ? ['located'] : []),
    ],
    total: choice === 'language' ? ['languages'] : [],
  }),

  view(answer, { choice, hidden, networks, events, nowMs }) {
    const shown = { answer, hidden, marks: eventMarksOf(events, answer.from, answer.to, nowMs ?? answer.to ?? 0) };
    if (choice === 'network' && answer.networks?.length) return { ...shown, by: 'network', stacks: byNetwork(answer.networks, networks) };
    if (choice === 'minute' && hasMinutes(answer)) return { ...shown, by: 'minute', stacks: byMinute(), answer: minutesOf(answer, nowMs ?? answer.to ?? 0) };
    if (choice === 'language') return { ...shown, by: 'language', stacks: byLanguage(answer) };
    if (choice === 'match') return { ...shown, by: 'match', stacks: byMatch().filter(({ pick }) => answer.windows.some((w) => pick(w) > 0)) };
    if (choice === 'usual' && hasUsual(answer.windows)) return { ...shown, by: 'usual', stacks: againstUsual() };
    return { ...shown, by: 'kind', stacks: byKind() };
  },
  annotations: ({ marks }) => marks,
  note: ({ by, answer }) => {
    const reference = hasReference(answer.windows) ? t('series.referenceNote') : '';
    if (by === 'language' && answer.windows.some((w) => count(w.report.other_languages) > 0)) return [t('series.rareLanguages'), reference].filter(Boolean).join(' ');
    if (by === 'minute') return t('series.minutes', { span: spanText(answer.windows) });
    return reference;
  },

  series: ({ stacks, answer }) => [...stacks, ...referenceSeries(answer.windows)],

  config({ answer, stacks, hidden, by, marks }, palette) {
    const { windows } = answer;
    const drawing = overTime({
      type: 'bar',
      answer,
      palette,
      stacked: true,
      y: countAxis(palette, { stacked: true }),
      datasets: [...stacks.map(({ key, label, colour, pick }) => ({
        label,
        data: points(windows, pick),
        hidden: hidden.has(key),
        stack: 'posts',
        barPercentage: 0.86,
        categoryPercentage: 1,
        maxBarThickness: 60,
        backgroundColor: palette.colour(colour),
      })), ...usualBand(windows, palette), ...referenceLine(windows, palette, hidden)],
      tooltip: {
        filter: (/** @type {{ datasetIndex: number }} */ { datasetIndex }) => datasetIndex < stacks.length && by !== 'usual' && by !== 'minute',
        itemSort: (/** @type {{ datasetIndex: number }} */ a, /** @type {{ datasetIndex: number }} */ b) => b.datasetIndex - a.datasetIndex,
        callbacks: {
          labelColor: (/** @type {{ datasetIndex: number }} */ item) => {
            const colour = palette.colour(stacks[item.datasetIndex]?.colour ?? 'accent');
            return { borderColor: colour, backgroundColor: colour, borderRadius: 2 };
          },
        },
      },
      label: (w, { datasetIndex }) => {
        const stack = stacks[datasetIndex];
        return stack ? t('series.line', { label: stack.label, value: stack.pick(w) }) : '';
      },
      total: (w) => [t('series.line', { label: t('series.posts'), value: w.posts }), ...(usualOf(w) ? [usualText(w)] : []), ...(referenceText(w) ? [referenceText(w)] : [])].join('  ·  '),
    });
    const hatched = windows.flatMap(({ unfinished }, i) => (unfinished ? [i] : []));
    return { ...drawing, plugins: [...drawing.plugins, hatchBars, eventMarks, brush], state: { ...drawing.state, marks, hatched } };
  },

  table({ answer, stacks, by }) {
    const isCompared = hasReference(answer.windows);
    const head = isCompared ? [t('series.reference')] : [];
    const cells = (/** @type {Window} */ w) => (isCompared ? [referenceCell(w)] : []);
    if (by !== 'usual') {
      return windowTable(answer, [t('series.posts'), ...stacks.map(({ label }) => label), ...head], (w) => [formatCount(w.posts), ...stacks.map(({ pick }) => formatCount(pick(w))), ...cells(w)]);
    }
    const bound = (/** @type {number | undefined} */ value) => (value === undefined ? '–' : formatCount(Math.round(value)));
    return windowTable(answer, [t('series.posts'), t('series.above'), t('series.usualLeast'), t('series.usualMost'), ...head], (w) => {
      const usual = usualOf(w);
      return [formatCount(w.posts), usual ? formatCount(w.posts - withinUsual(w)) : '–', bound(usual?.low), bound(usual?.high), ...cells(w)];
    });
  },

  summary({ answer, by, marks }) {
    const seen = begun(answer.windows);
    if (seen.length === 0) return t('summary.noWindows');
    const peak = seen.reduce((a, b) => (b.posts > a.posts ? b : a));
    const gaps = gapSpans(answer.windows).filter((span) => span.kind !== 'sampled').length;
    const sampled = seen.filter((w) => w.share < 1);
    const least = Math.min(...sampled.map((w) => w.share));
    const facts = [
      t('summary.peak', { total: t('unit.posts', { n: answer.total.posts }), peak: peak.posts, time: formatSpan(peak.start, peak.end) }),
      gaps > 0 && t('source.gaps', { n: gaps }),
      sampled.length > 0 && t('summary.sampled', { n: sampled.length, share: formatShare(least, 1) }),
      marks.length > 0 && t('summary.marks', { n: marks.length }),
    ];
    const what = t(/** @type {import('../i18n.js').Key} */ (`summary.posts.${by}`), { span: spanText(seen), facts: facts.filter(Boolean).join(', ') });
    return `${what} ${t('series.below')}`;
  },
};

export default posts;
