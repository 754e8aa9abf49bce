//! The metrics of all parts in one table: name, unit, kind and meaning of each.
//!
//! The same values are written in two formats: lines for CloudWatch ([`cloudwatch::line`]) and text for Prometheus
//! ([`prometheus::Text`]). A metric that one of them does not have has no name there. Alarms and dashboards use the names,
//! so a name never changes.
//!
//! ```
//! use birdsong_domain::metrics::{cloudwatch, prometheus, source};
//!
//! let samples = [(&source::SENT, 7.into()), (&source::LAG, 1_500.into())];
//! let line = cloudwatch::line(&source::GROUP, &["bluesky"], &samples, "birdsong", 0);
//! assert_eq!((&line["sent"], &line["lag_ms"], &line["source"]), (&7.into(), &1_500.into(), &"bluesky".into()));
//!
//! let mut text = prometheus::Text::default();
//! text.add_all(&source::GROUP, &["bluesky"], &samples);
//! assert!(text.finish().ends_with("\nbirdsong_source_lag_seconds{source=\"bluesky\"} 1.5\n"));
//! ```

pub mod cloudwatch;
pub mod prometheus;
mod table;

pub use table::{GROUPS, aggregator, digest, http, process, source};

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Name in CloudWatch.
    pub cloudwatch: Option<&'static str>,
    /// Name in Prometheus, with its unit.
    pub prometheus: Option<&'static str>,
    /// How it changes.
    pub kind: Kind,
    /// What its values are given in.
    pub unit: Unit,
    /// What it counts or measures, as one sentence without a full stop.
    pub help: &'static str,
}

/// How a metric changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It grows. Prometheus gets the sum since the start, CloudWatch what was added since the line before.
    Counter,
    /// As [`Kind::Counter`], but CloudWatch, too, gets the sum since the start.
    Sum,
    /// It is measured, and may grow and fall.
    Gauge,
    /// Numbers of values up to several bounds.
    Histogram,
}

/// What the values of a metric are given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds. Prometheus has seconds.
    Milliseconds,
    /// 0 or 1.
    Flag,
    /// A share, from 0 to 1.
    Ratio,
    /// US dollars.
    Dollars,
}

impl Unit {
    /// The name, as the documentation has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Milliseconds => "milliseconds",
            Self::Flag => "0 or 1",
            Self::Ratio => "share",
            Self::Dollars => "US dollars",
        }
    }
}

/// The metrics of one part.
#[derive(Debug)]
pub struct Group {
    /// The part: the value of the dimension `service` in CloudWatch.
    pub service: &'static str,
    /// The labels that each sample has, which are dimensions in CloudWatch.
    pub labels: &'static [&'static str],
    /// All of its metrics.
    pub metrics: &'static [&'static Metric],
}

/// A value of a metric, in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(i128),
    /// Any other.
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Whole(value.into())
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// A metric with its value.
pub type Sample = (&'static Metric, Value);

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = (&'static Group, &'static Metric)> {
        GROUPS.iter().flat_map(|group| group.metrics.iter().map(move |metric| (*group, *metric)))
    }

    #[test]
    fn names_are_unique_and_follow_the_rules_of_prometheus() {
        let mut names = std::collections::BTreeSet::new();
        for (_, metric) in all() {
            let Some(name) = metric.prometheus else { continue };
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("birdsong_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            let is_sum = matches!(metric.kind, Kind::Counter | Kind::Sum);
            assert_eq!(name.ends_with("_total"), is_sum, "{name}: counters, and only they, end with _total");
            let unit = match metric.unit {
                Unit::Bytes => "_bytes",
                Unit::Milliseconds => "_seconds",
                Unit::Ratio => "_ratio",
                Unit::Dollars => "_dollars",
                Unit::Count | Unit::Flag => "",
            };
            assert!(name.trim_end_matches("_total").ends_with(unit), "{name} lacks its unit, {unit}");
        }
    }

    #[test]
    fn names_in_cloudwatch_are_unique_in_their_service_and_end_with_their_unit() {
        let mut names = std::collections::BTreeSet::new();
        for (group, metric) in all() {
            let Some(name) = metric.cloudwatch else { continue };
            assert!(names.insert((group.service, name)), "{name} is there twice");
            assert_eq!(name.ends_with("_ms"), metric.unit == Unit::Milliseconds, "{name}");
            assert!(
                name != "service" && name != "_aws" && !group.labels.contains(&name),
                "{name} names something else"
            );
        }
    }

    #[test]
    fn each_metric_has_a_name_and_a_meaning() {
        for (group, metric) in all() {
            assert!(metric.cloudwatch.or(metric.prometheus).is_some(), "{}: {}", group.service, metric.help);
            assert!(!metric.help.is_empty() && !metric.help.ends_with('.'), "{}", metric.help);
            assert!(!metric.help.contains(['|', '\n']), "{}", metric.help);
        }
    }
}
