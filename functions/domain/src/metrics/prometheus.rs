//! Metrics as Prometheus reads them over HTTP: the text format, version 0.0.4.

use std::fmt::Write as _;

use super::{Group, Kind, Metric, Sample, Unit, Value};

/// Media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text, while it is written. Samples of one metric come together, whatever the order in which they are added.
#[derive(Debug, Default)]
pub struct Text(Vec<(&'static Metric, String)>);

impl Text {
    /// Adds a sample, unless Prometheus does not have the metric.
    pub fn add(&mut self, metric: &'static Metric, labels: &[(&str, &str)], value: Value) {
        let Some(name) = metric.prometheus else { return };
        write_sample(self.lines(metric), name, "", labels, &scaled(value, metric.unit));
    }

    /// Adds samples of a part. `labels` are the values of the group's labels.
    pub fn add_all(&mut self, group: &Group, labels: &[&str], samples: &[Sample]) {
        let labels: Vec<_> = group.labels.iter().copied().zip(labels.iter().copied()).collect();
        for (metric, value) in samples {
            self.add(metric, &labels, *value);
        }
    }

    /// Adds a histogram: numbers of values up to each bound and beyond the one before, values beyond the last bound, and
    /// the sum of all. Bounds and sum are in the metric's unit.
    pub fn add_histogram(&mut self, metric: &'static Metric, buckets: &[(f64, u64)], beyond: u64, sum: f64) {
        let Some(name) = metric.prometheus else { return };
        let lines = self.lines(metric);
        let mut count = 0;
        for (bound, values) in buckets {
            count += values;
            let bound = scaled((*bound).into(), metric.unit);
            write_sample(lines, name, "_bucket", &[("le", &bound)], &count.to_string());
        }
        count += beyond;
        write_sample(lines, name, "_bucket", &[("le", "+Inf")], &count.to_string());
        write_sample(lines, name, "_sum", &[], &scaled(sum.into(), metric.unit));
        write_sample(lines, name, "_count", &[], &count.to_string());
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        let mut text = String::new();
        for (metric, lines) in self.0 {
            let Some(name) = metric.prometheus else { continue };
            let help = metric.help.replace('\\', r"\\").replace('\n', r"\n");
            let kind = match metric.kind {
                Kind::Counter | Kind::Sum => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
        }
        text
    }

    fn lines(&mut self, metric: &'static Metric) -> &mut String {
        let known = self.0.iter().position(|(known, _)| std::ptr::eq(*known, metric));
        let at = known.unwrap_or_else(|| {
            self.0.push((metric, String::new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// A value in base units.
fn scaled(value: Value, unit: Unit) -> String {
    let real = match value {
        Value::Whole(whole) if unit != Unit::Milliseconds => return whole.to_string(),
        Value::Whole(whole) => whole as f64,
        Value::Real(real) => real,
    };
    let real = if unit == Unit::Milliseconds { real / 1000.0 } else { real };
    if real.is_infinite() { if real > 0.0 { "+Inf" } else { "-Inf" }.to_owned() } else { real.to_string() }
}

fn write_sample(text: &mut String, name: &str, suffix: &str, labels: &[(&str, &str)], value: &str) {
    text.push_str(name);
    text.push_str(suffix);
    for (n, (label, of_label)) in labels.iter().enumerate() {
        let escaped = of_label.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        let _ = write!(text, "{}{label}=\"{escaped}\"", if n == 0 { '{' } else { ',' });
    }
    if !labels.is_empty() {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{aggregator, http, process, source};

    #[test]
    fn samples_of_a_metric_come_together_with_help_and_type_once() {
        let mut text = Text::default();
        for (name, sent) in [("x", 5), ("bluesky", 6)] {
            text.add_all(&source::GROUP, &[name], &[(&source::SENT, sent.into()), (&source::CONNECTED, true.into())]);
        }
        assert_eq!(
            text.finish(),
            "# HELP birdsong_source_sent_posts_total Posts that matched at least one region and went to the log\n\
             # TYPE birdsong_source_sent_posts_total counter\n\
             birdsong_source_sent_posts_total{source=\"x\"} 5\n\
             birdsong_source_sent_posts_total{source=\"bluesky\"} 6\n\
             # HELP birdsong_source_connected Whether the source is connected\n\
             # TYPE birdsong_source_connected gauge\n\
             birdsong_source_connected{source=\"x\"} 1\n\
             birdsong_source_connected{source=\"bluesky\"} 1\n"
        );
    }

    #[test]
    fn values_of_labels_are_escaped() {
        let shown = |value: &str| {
            let mut text = Text::default();
            text.add(&process::BUILD, &[("version", value), ("other", "o")], 1.into());
            text.finish().lines().last().unwrap().to_owned()
        };
        assert_eq!(shown("a\"b\\c\nd"), r#"birdsong_build_info{version="a\"b\\c\nd",other="o"} 1"#);
        assert_eq!(shown("{ä,=}\t"), "birdsong_build_info{version=\"{ä,=}\t\",other=\"o\"} 1");
        assert_eq!(shown(r"\n"), r#"birdsong_build_info{version="\\n",other="o"} 1"#);
    }

    #[test]
    fn the_meaning_is_escaped() {
        static ODD: Metric = Metric {
            cloudwatch: None,
            prometheus: Some("odd"),
            kind: Kind::Gauge,
            unit: Unit::Count,
            help: "a \\ b\nc \"d\"",
        };
        let mut text = Text::default();
        text.add(&ODD, &[], 0.into());
        assert_eq!(text.finish(), "# HELP odd a \\\\ b\\nc \"d\"\n# TYPE odd gauge\nodd 0\n");
    }

    #[test]
    fn milliseconds_become_seconds_and_odd_numbers_have_their_names() {
        let shown = |metric, value: Value| {
            let mut text = Text::default();
            text.add(metric, &[], value);
            text.finish().lines().last().unwrap().split_once(' ').unwrap().1.to_owned()
        };
        assert_eq!(shown(&aggregator::LAG, (-1250).into()), "-1.25");
        assert_eq!(shown(&process::START, 1_700_000_000_123_i64.into()), "1700000000.123");
        assert_eq!(shown(&aggregator::POSTS, u64::MAX.into()), "18446744073709551615");
        assert_eq!(shown(&source::SAMPLED, f64::INFINITY.into()), "+Inf");
        assert_eq!(shown(&source::SAMPLED, f64::NEG_INFINITY.into()), "-Inf");
        assert_eq!(shown(&source::SAMPLED, f64::NAN.into()), "NaN");
        assert_eq!(shown(&source::SAMPLED, 1e-9.into()), "0.000000001");
    }

    #[test]
    fn buckets_of_a_histogram_add_up() {
        let mut text = Text::default();
        text.add_histogram(&http::DURATION, &[(0.5, 2), (10.0, 0), (2_500.0, 3)], 1, 7_001.0);
        let name = "birdsong_http_response_duration_seconds";
        let expected = [
            format!("{name}_bucket{{le=\"0.0005\"}} 2"),
            format!("{name}_bucket{{le=\"0.01\"}} 2"),
            format!("{name}_bucket{{le=\"2.5\"}} 5"),
            format!("{name}_bucket{{le=\"+Inf\"}} 6"),
            format!("{name}_sum 7.001"),
            format!("{name}_count 6"),
        ];
        assert_eq!(text.finish().lines().skip(2).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_prometheus_does_not_have_is_left_out() {
        let mut text = Text::default();
        text.add(&aggregator::ITEM_BYTES, &[], 1.into());
        assert_eq!(text.finish(), "");
    }
}
