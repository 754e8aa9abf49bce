//! Metrics as CloudWatch reads them out of log lines (embedded metric format).

use serde_json::{Map, json};

use super::{Group, Sample, Unit, Value};

/// The line of some metrics of a part, for standard output. `labels` are the values of the group's labels, `namespace`
/// distinguishes one deployment's metrics from another's, and `now_ms` is the time of the values. What CloudWatch does
/// not have is left out.
#[must_use]
pub fn line(group: &Group, labels: &[&str], samples: &[Sample], namespace: &str, now_ms: i64) -> serde_json::Value {
    let named = || samples.iter().filter_map(|(metric, value)| Some((metric.cloudwatch?, metric.unit, *value)));
    let metrics: Vec<_> = named().map(|(name, unit, _)| json!({"Name": name, "Unit": name_of(unit)})).collect();
    let dimensions: Vec<_> = ["service"].iter().chain(group.labels).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{"Namespace": namespace, "Dimensions": [dimensions], "Metrics": metrics}],
        }),
    );
    line.insert("service".to_owned(), group.service.into());
    for (label, value) in group.labels.iter().zip(labels) {
        line.insert((*label).to_owned(), (*value).into());
    }
    for (name, _, value) in named() {
        line.insert(name.to_owned(), number(value));
    }
    line.into()
}

fn name_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "Count",
        Unit::Bytes => "Bytes",
        Unit::Milliseconds => "Milliseconds",
        Unit::Flag | Unit::Ratio | Unit::Dollars => "None",
    }
}

fn number(value: Value) -> serde_json::Value {
    match value {
        Value::Whole(whole) => match (u64::try_from(whole), i64::try_from(whole)) {
            (Ok(whole), _) => whole.into(),
            (_, Ok(whole)) => whole.into(),
            _ => (whole as f64).into(),
        },
        Value::Real(real) => real.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{aggregator, digest, source};

    /// The rules of the format: each metric and dimension that is named is next to `_aws`, metrics as numbers,
    /// dimensions as texts.
    #[test]
    fn every_metric_that_is_named_has_a_value() {
        let samples = [(&source::RECEIVED, 7.into()), (&source::LAG, (-250).into()), (&source::SAMPLED, 0.25.into())];
        let line = line(&source::GROUP, &["mastodon:a \"b\""], &samples, "birds-of-paris", 1_700_000_000_000);
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_700_000_000_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "birds-of-paris",
                        "Dimensions": [["service", "source"]],
                        "Metrics": [
                            {"Name": "received", "Unit": "Count"},
                            {"Name": "lag_ms", "Unit": "Milliseconds"},
                            {"Name": "sampled", "Unit": "None"},
                        ],
                    }],
                },
                "service": "streamer",
                "source": "mastodon:a \"b\"",
                "received": 7,
                "lag_ms": -250,
                "sampled": 0.25,
            })
        );
    }

    #[test]
    fn whole_numbers_are_exact() {
        assert_eq!(number(Value::Whole(u64::MAX.into())), json!(u64::MAX));
        assert_eq!(number(Value::Whole(i64::MIN.into())), json!(i64::MIN));
    }

    #[test]
    fn what_cloudwatch_does_not_have_is_left_out() {
        let samples = [(&digest::RUNS, 3.into()), (&digest::ROLLUPS, 2.into())];
        let line = line(&digest::GROUP, &[], &samples, "birdsong", 0);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["service"]]));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"], json!([{"Name": "rollups", "Unit": "Count"}]));
        assert_eq!(line.as_object().unwrap().keys().collect::<Vec<_>>(), ["_aws", "rollups", "service"]);
    }

    /// Names that alarms and dashboards of `infra/` use.
    #[test]
    fn the_names_stay() {
        let names = |group: &Group| group.metrics.iter().filter_map(|metric| metric.cloudwatch).collect::<Vec<_>>();
        let of_source = ["received", "sent", "filtered", "unreadable", "duplicates", "dropped", "reconnects", "gaps"];
        let measured = ["waiting_bytes", "connected", "paused", "sampled", "lag_ms", "spent_dollars"];
        assert_eq!(names(&source::GROUP), [&of_source[..], &measured].concat());
        let of_aggregator =
            ["records", "posts", "late", "conflicts", "quarantined", "partials", "item_bytes", "lag_ms"];
        assert_eq!(names(&aggregator::GROUP), of_aggregator);
        assert_eq!(names(&digest::GROUP), ["redone", "rollups", "digest_conflicts", "digest_ms"]);
    }
}
