// @ts-check
// The most frequent hashtags of the range.

import { barChart, topBars } from '../chart-kit/bars.js';
import { plural } from '../format.js';
import { count } from '../model/values.js';

export default barChart({
  id: 'hashtags',
  title: 'Top hashtags',
  reads: { total: ['posts', 'hashtags', 'long_hashtags'] },
  size: 'half',
  noun: 'hashtags',
  what: 'Hashtag',
  none: 'No hashtags in this range.',
  isBound: true,
  bars: ({ report }) => topBars(report.hashtags, ({ tag }) => tag && `#${tag.replace(/^#/, '')}`, ({ tag }) => ({ type: 'hashtag', key: (tag ?? '').replace(/^#/, '') })),
  remark: ({ report }) => {
    const tooLong = count(report.long_hashtags);
    return tooLong > 0 ? `${plural(tooLong, 'hashtag')} longer than the limit not counted.` : '';
  },
});
