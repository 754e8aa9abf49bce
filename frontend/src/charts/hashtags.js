// @ts-check
// The most frequent hashtags of the range.

import { barChart, topBars } from '../chart-kit/bars.js';
import { t } from '../i18n.js';
import { count } from '../model/values.js';

export default barChart({
  id: 'hashtags',
  reads: { total: ['posts', 'hashtags', 'long_hashtags'] },
  size: 'half',
  finds: 'hashtag',
  isBound: true,
  bars: ({ report }) => topBars(report.hashtags, ({ tag }) => tag && `#${tag.replace(/^#/, '')}`, ({ tag }) => ({ type: 'hashtag', key: (tag ?? '').replace(/^#/, '') })),
  remark: ({ report }) => {
    const tooLong = count(report.long_hashtags);
    return tooLong > 0 ? t('series.tooLong', { n: tooLong }) : '';
  },
});
