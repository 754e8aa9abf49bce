// Draws with Chart.js: posts stacked by kind, the authors band, and horizontal bars.
// Only the parts of Chart.js that are used are registered.

import {
  BarController, BarElement, CategoryScale, Chart, Filler, LinearScale, LineController, LineElement, PointElement,
  TimeScale, Tooltip,
} from 'chart.js';
import 'chartjs-adapter-date-fns';
import { formatClock, formatCompact, formatCount, formatShortDay, formatSpan } from './format.js';
import { KINDS, gapSpans, moreText, shareText, timeTicks, windowRemarks } from './shape.js';

Chart.register(
  BarController, BarElement, CategoryScale, Filler, LinearScale, LineController, LineElement, PointElement, TimeScale,
  Tooltip,
);

const ROW_PX = 28;
const TIME_LABEL_PX = 56;

/** Shades spans without data behind the series. */
const gapShade = {
  id: 'gapShade',
  beforeDatasetsDraw(chart) {
    const { ctx, chartArea, scales } = chart;
    const { spans = [], palette } = chart.$birdsong ?? {};
    ctx.save();
    for (const { kind, start, end } of spans) {
      const left = Math.max(chartArea.left, scales.x.getPixelForValue(start));
      const right = Math.min(chartArea.right, scales.x.getPixelForValue(end));
      ctx.fillStyle = palette.gaps[kind];
      if (right > left) ctx.fillRect(left, chartArea.top, right - left, chartArea.bottom - chartArea.top);
    }
    ctx.restore();
  },
};

/** Writes each bar's count at its end, with a plus where it may be too low. */
const endLabels = {
  id: 'endLabels',
  afterDatasetsDraw(chart) {
    const { ctx } = chart;
    const { palette, bars = [] } = chart.$birdsong ?? {};
    ctx.save();
    ctx.font = `500 12px ${palette.font}`;
    ctx.fillStyle = palette.text;
    ctx.textBaseline = 'middle';
    chart.getDatasetMeta(0).data.forEach((element, i) => {
      if (bars[i]) ctx.fillText(`${formatCompact(bars[i].value)}${bars[i].error > 0 ? '+' : ''}`, element.x + 6, element.y);
    });
    ctx.restore();
  },
};

/** Diagonal stripes of a colour, for what is not finished. */
function hatch(context, colour) {
  const size = 8;
  const scale = 2;
  const tile = document.createElement('canvas');
  tile.width = tile.height = size * scale;
  const ctx = tile.getContext('2d');
  ctx.scale(scale, scale);
  ctx.globalAlpha = 0.28;
  ctx.fillStyle = colour;
  ctx.fillRect(0, 0, size, size);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2.4;
  ctx.beginPath();
  for (const shift of [-size, 0, size]) {
    ctx.moveTo(shift - 1, size + 1);
    ctx.lineTo(shift + size + 1, -1);
  }
  ctx.stroke();
  const pattern = context.createPattern(tile, 'repeat');
  pattern.setTransform?.(new DOMMatrix().scale(1 / scale));
  return pattern;
}

function tooltip(palette) {
  return {
    backgroundColor: palette.surface,
    titleColor: palette.text,
    bodyColor: palette.text,
    footerColor: palette.muted,
    borderColor: palette.border,
    borderWidth: 1,
    padding: 10,
    cornerRadius: 8,
    boxWidth: 9,
    boxHeight: 9,
    boxPadding: 5,
    titleMarginBottom: 6,
    footerMarginTop: 6,
    footerFont: { weight: 'normal' },
  };
}

function timeAxis(palette, { from, to }) {
  return {
    type: 'time',
    offset: false,
    min: from,
    max: to,
    // Ticks at round local times, whatever the range starts with.
    afterBuildTicks: (scale) => {
      scale.ticks = timeTicks(from, to, Math.max(2, Math.floor((scale.chart.width - 48) / TIME_LABEL_PX)));
    },
    border: { color: palette.border },
    grid: { display: false, offset: false },
    ticks: {
      color: palette.muted,
      maxRotation: 0,
      autoSkip: false,
      callback: (value) => {
        const at = new Date(value);
        return at.getHours() === 0 && at.getMinutes() === 0 ? formatShortDay(value) : formatClock(value);
      },
    },
  };
}

function countAxis(palette, { stacked = false } = {}) {
  return {
    stacked,
    beginAtZero: true,
    suggestedMax: 4,
    border: { display: false },
    grid: { color: palette.grid },
    ticks: { color: palette.muted, precision: 0, maxTicksLimit: 6, padding: 6, callback: formatCompact },
  };
}

const timeBounds = ({ windows, from, to }) => ({ from: from ?? windows[0]?.start, to: to ?? windows.at(-1)?.end });

function postsConfig({ answer, series, hidden }, palette) {
  const { windows } = answer;
  let hatches = null;
  return {
    type: 'bar',
    data: {
      datasets: series.map(({ key, label, points }) => ({
        label,
        data: points,
        hidden: hidden.has(key),
        stack: 'posts',
        barPercentage: 0.86,
        categoryPercentage: 1,
        maxBarThickness: 60,
        backgroundColor: ({ chart, dataIndex }) => {
          if (!windows[dataIndex]?.unfinished) return palette.kinds[key];
          hatches ??= Object.fromEntries(KINDS.map((kind) => [kind.key, hatch(chart.ctx, palette.kinds[kind.key])]));
          return hatches[key];
        },
      })),
    },
    options: {
      interaction: { mode: 'index', intersect: false, axis: 'x' },
      scales: { x: { ...timeAxis(palette, timeBounds(answer)), stacked: true }, y: countAxis(palette, { stacked: true }) },
      plugins: {
        tooltip: {
          ...tooltip(palette),
          itemSort: (a, b) => b.datasetIndex - a.datasetIndex,
          callbacks: {
            title: ([item]) => (item ? formatSpan(windows[item.dataIndex].start, windows[item.dataIndex].end) : ''),
            label: (item) => `${item.dataset.label}  ${formatCount(windows[item.dataIndex].kinds[KINDS[item.datasetIndex].key])}`,
            labelColor: (item) => {
              const colour = palette.kinds[KINDS[item.datasetIndex].key];
              return { borderColor: colour, backgroundColor: colour, borderRadius: 2 };
            },
            footer: ([item]) => (item
              ? [`Posts  ${formatCount(windows[item.dataIndex].posts)}`, ...windowRemarks(windows[item.dataIndex])]
              : []),
          },
        },
      },
    },
    plugins: [gapShade],
    state: { spans: gapSpans(windows) },
  };
}

function authorsConfig({ answer, series }, palette) {
  const { windows } = answer;
  const lonely = (i) => series.authors[i]?.y !== null && (series.authors[i - 1]?.y ?? null) === null && (series.authors[i + 1]?.y ?? null) === null;
  const edge = { borderWidth: 0, pointRadius: 0, pointHoverRadius: 0, backgroundColor: palette.band };
  return {
    type: 'line',
    data: {
      datasets: [
        {
          label: 'Authors',
          data: series.authors,
          borderColor: palette.accent,
          backgroundColor: palette.accent,
          borderWidth: 2,
          tension: 0.25,
          cubicInterpolationMode: 'monotone',
          pointRadius: ({ dataIndex }) => (lonely(dataIndex) ? 2.5 : 0),
          pointHoverRadius: 4,
          pointHitRadius: 12,
          segment: { borderDash: ({ p1DataIndex }) => (windows[p1DataIndex]?.unfinished ? [4, 4] : undefined) },
        },
        { ...edge, label: 'At least', data: series.low, fill: false, cubicInterpolationMode: 'monotone' },
        { ...edge, label: 'At most', data: series.high, fill: '-1', cubicInterpolationMode: 'monotone' },
      ],
    },
    options: {
      interaction: { mode: 'index', intersect: false, axis: 'x' },
      scales: { x: timeAxis(palette, timeBounds(answer)), y: countAxis(palette) },
      plugins: {
        tooltip: {
          ...tooltip(palette),
          displayColors: false,
          filter: (item) => item.datasetIndex === 0,
          callbacks: {
            title: ([item]) => (item ? formatSpan(windows[item.dataIndex].start, windows[item.dataIndex].end) : ''),
            label: ({ dataIndex }) => {
              const { authors, authorsLow, authorsHigh } = windows[dataIndex];
              if (authorsLow === authorsHigh) return `${formatCount(authors)} authors`;
              return [`About ${formatCount(authors)} authors`, `95% sure: ${formatCount(authorsLow)} to ${formatCount(authorsHigh)}`];
            },
            footer: ([item]) => (item ? windowRemarks(windows[item.dataIndex]) : []),
          },
        },
      },
    },
    plugins: [gapShade],
    state: { spans: gapSpans(windows) },
  };
}

function barsConfig({ bars, all = 0 }, palette) {
  return {
    type: 'bar',
    data: {
      labels: bars.map((bar) => bar.label),
      datasets: [{
        data: bars.map((bar) => bar.value),
        // A function: a plain colour is shared by all bars and kept when the theme changes.
        backgroundColor: () => palette.accent,
        borderRadius: 4,
        maxBarThickness: 16,
        barPercentage: 0.7,
        categoryPercentage: 1,
      }],
    },
    options: {
      indexAxis: 'y',
      layout: { padding: { right: 48 } },
      interaction: { mode: 'index', intersect: false, axis: 'y' },
      scales: {
        x: { display: false, min: 0, max: Math.max(1, ...bars.map((bar) => bar.value)) },
        y: {
          border: { display: false },
          grid: { display: false },
          ticks: {
            color: palette.text,
            autoSkip: false,
            crossAlign: 'far',
            callback(value) {
              const label = [...this.getLabelForValue(value)];
              const most = Math.min(20, Math.max(10, Math.floor(this.chart.width / 19)));
              return label.length > most ? `${label.slice(0, most - 1).join('')}…` : label.join('');
            },
          },
        },
      },
      plugins: {
        tooltip: {
          ...tooltip(palette),
          displayColors: false,
          callbacks: {
            title: ([item]) => (item ? bars[item.dataIndex].label : ''),
            label: ({ dataIndex }) => {
              const bar = bars[dataIndex];
              return [
                `${bar.error ? 'at least ' : ''}${formatCount(bar.value)} posts${all ? ` (${shareText(bar, all)})` : ''}`,
                ...(bar.error ? [moreText(bar)] : []),
              ];
            },
            footer: ([item]) => bars[item?.dataIndex]?.note ?? '',
          },
        },
      },
    },
    plugins: [endLabels],
    state: { bars },
  };
}

const BUILDERS = {
  posts: postsConfig,
  authors: authorsConfig,
  hashtags: barsConfig,
  languages: barsConfig,
  hosts: barsConfig,
  located: barsConfig,
};

/** Keeps one chart for each canvas by name; `readPalette` is asked at each drawing. */
export function createCharts(canvases, readPalette) {
  const charts = new Map();
  const views = new Map();
  const calm = globalThis.matchMedia?.('(prefers-reduced-motion: reduce)').matches ?? false;

  function draw(name, view) {
    const canvas = canvases[name];
    if (!canvas) return;
    const palette = readPalette();
    const config = BUILDERS[name](view, palette);
    views.set(name, view);
    Chart.defaults.font.family = palette.font;
    Chart.defaults.font.size = 12;
    // Through the style object, which a strict content policy allows, unlike a style attribute.
    if (view.bars) canvas.parentElement.style.blockSize = `${Math.max(1, view.bars.length) * ROW_PX + 8}px`;

    const options = {
      responsive: true,
      maintainAspectRatio: false,
      animation: calm ? false : { duration: 350 },
      ...config.options,
    };
    const known = charts.get(name);
    if (known) {
      known.$birdsong = { ...config.state, palette };
      // Datasets are changed in place, so that a tooltip stays where it is.
      known.data.labels = config.data.labels;
      config.data.datasets.forEach((dataset, i) => Object.assign((known.data.datasets[i] ??= {}), dataset));
      known.data.datasets.length = config.data.datasets.length;
      known.options = options;
      known.update('none');
      return;
    }
    const holder = { id: 'holder', beforeInit: (chart) => { chart.$birdsong = { ...config.state, palette }; } };
    charts.set(name, new Chart(canvas, { type: config.type, data: config.data, options, plugins: [holder, ...config.plugins] }));
  }

  return {
    draw,
    /** Draws everything anew, in the colours of now. */
    restyle() {
      for (const [name, view] of [...views]) draw(name, view);
    },
    destroy() {
      for (const chart of charts.values()) chart.destroy();
      charts.clear();
    },
  };
}
