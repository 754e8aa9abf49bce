//! What an invocation of the aggregator reports as metrics.

use birdsong_domain::metrics::{aggregator, cloudwatch};
use serde_json::Value;

/// What one invocation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMetrics {
    /// Records in the event.
    pub records: u64,
    /// Posts folded, late ones among them.
    pub posts: u64,
    /// Posts that came when their window was final.
    pub late: u64,
    /// Conditional puts repeated because another writer was faster.
    pub conflicts: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Partials written.
    pub partials: u64,
    /// Bytes of the items written.
    pub item_bytes: u64,
    /// Age of the oldest record when its windows were stored, in milliseconds.
    pub lag_ms: u64,
}

impl BatchMetrics {
    /// The line, for standard output, in the embedded metric format. `namespace` distinguishes one deployment's metrics from another's, and
    /// `now_ms` is the time of the figures.
    #[must_use]
    pub fn line(&self, namespace: &str, now_ms: i64) -> Value {
        let samples = [
            (&aggregator::RECORDS, self.records.into()),
            (&aggregator::POSTS, self.posts.into()),
            (&aggregator::LATE, self.late.into()),
            (&aggregator::CONFLICTS, self.conflicts.into()),
            (&aggregator::QUARANTINED, self.quarantined.into()),
            (&aggregator::PARTIALS, self.partials.into()),
            (&aggregator::ITEM_BYTES, self.item_bytes.into()),
            (&aggregator::LAG, self.lag_ms.into()),
        ];
        cloudwatch::line(&aggregator::GROUP, &[], &samples, namespace, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of the format: each metric and dimension that is named is next to `_aws`, metrics as
    /// numbers, dimensions as texts, at most 100 metrics and 30 dimensions.
    #[test]
    fn every_metric_that_is_named_has_a_value() {
        let line =
            BatchMetrics { posts: 7, lag_ms: 12, ..BatchMetrics::default() }.line("birds-of-paris", 1_700_000_000_000);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_000_i64);
        assert_eq!(directive["Namespace"], "birds-of-paris");
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_u64(), "{name}");
        }
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string());
        }
        assert_eq!((line["posts"].as_u64(), line["lag_ms"].as_u64()), (Some(7), Some(12)));
        assert!(!line.to_string().contains('\n'));
    }
}
