// @ts-check
// Chart.js with the parts that the charts of the page use. It is half of the page's code, and is loaded when a chart is first drawn.

import { BarController, BarElement, Chart, Filler, LineController, LineElement, LinearScale, PointElement, Tooltip } from 'chart.js';

Chart.register(BarController, BarElement, Filler, LinearScale, LineController, LineElement, PointElement, Tooltip);

export { Chart };
