// @ts-check
// The hosts that posts link to most often.

import { barChart, topBars } from '../chart-kit/bars.js';

export default barChart({
  id: 'link-hosts',
  reads: { total: ['posts', 'link_hosts'] },
  size: 'third',
  finds: 'host',
  isBound: true,
  bars: ({ report }) => topBars(report.link_hosts, ({ host }) => host, ({ host }) => ({ type: 'host', key: host ?? '' })),
});
