//! `GET /metrics` of the real binary, read by a strict parser of the text format; and the files of `contrib/` and the
//! documentation against the table of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use birdsong_domain::metrics::{GROUPS, Kind, Metric};
use regex::Regex;
use serde_json::Value;

use crate::support::{Running, get};

/// A family of the text: its kind, and values by names and labels.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: BTreeMap<(String, Vec<(String, String)>), f64>,
}

/// The families of a text in format 0.0.4.
///
/// # Errors
/// What is wrong, also where a real scraper would not mind: a family has its meaning, then its type, then its samples,
/// all together, and no empty lines, spare spaces, comments or times.
fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut current: Option<(String, Family)> = None;
    let body = text.strip_suffix('\n').ok_or("the last line does not end")?;
    let mut lines = body.split('\n').peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            finish(&mut families, current.take())?;
            let (name, help) = help.split_once(' ').ok_or(format!("no meaning: {line}"))?;
            check_name(name, "_:")?;
            unescape(help, "\\n", None)?;
            let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
            let kind = kind.ok_or(format!("no type behind: {line}"))?;
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err(format!("no kind of metric: {kind}"));
            }
            current = Some((name.to_owned(), Family { kind: kind.to_owned(), ..Family::default() }));
            continue;
        }
        let (name, family) = current.as_mut().ok_or(format!("a sample without meaning and type: {line}"))?;
        let (key, value) = sample(line)?;
        let suffixes: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        if !suffixes.iter().any(|suffix| key.0 == format!("{name}{suffix}")) {
            return Err(format!("not a sample of {name}: {line}"));
        }
        if family.samples.insert(key, value).is_some() {
            return Err(format!("twice: {line}"));
        }
    }
    finish(&mut families, current)?;
    Ok(families)
}

fn finish(families: &mut BTreeMap<String, Family>, family: Option<(String, Family)>) -> Result<(), String> {
    let Some((name, family)) = family else { return Ok(()) };
    if family.samples.is_empty() {
        return Err(format!("{name} has no samples"));
    }
    if family.kind == "counter" && family.samples.values().any(|value| !(*value >= 0.0 && value.is_finite())) {
        return Err(format!("{name} counts below zero, or not at all"));
    }
    if (family.kind == "counter") != name.ends_with("_total") {
        return Err(format!("{name}: counters, and only they, end with _total"));
    }
    if family.kind == "histogram" {
        let of = |suffix: &str| {
            family.samples.get(&(format!("{name}{suffix}"), vec![])).ok_or(format!("{name} lacks {suffix}"))
        };
        of("_sum")?;
        let count = *of("_count")?;
        let mut buckets = vec![];
        for ((_, labels), value) in family.samples.iter().filter(|((of, _), _)| of.ends_with("_bucket")) {
            let [(label, bound)] = &labels[..] else { return Err(format!("{name} has a bucket without a bound")) };
            buckets.push((number(bound)?, *value));
            if label != "le" {
                return Err(format!("{name} has a bucket without a bound"));
            }
        }
        buckets.sort_by(|one, two| one.0.total_cmp(&two.0));
        if buckets.last() != Some(&(f64::INFINITY, count)) || buckets.windows(2).any(|pair| pair[0].1 > pair[1].1) {
            return Err(format!("the buckets of {name} do not add up"));
        }
    }
    if families.insert(name.clone(), family).is_some() {
        return Err(format!("{name} comes twice"));
    }
    Ok(())
}

fn check_name(name: &str, besides: &str) -> Result<(), String> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || besides.contains(c);
    if name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!("not a name: {name:?}"))
}

/// The text up to `end`, or all of it, and what follows.
fn unescape<'t>(text: &'t str, escapes: &str, end: Option<char>) -> Result<(String, &'t str), String> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if Some(c) == end => return Ok((out, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, c)) if escapes.contains(c) => out.push(if c == 'n' { '\n' } else { c }),
                _ => return Err(format!("not an escape: {text}")),
            },
            '\r' => return Err(format!("a carriage return: {text}")),
            _ => out.push(c),
        }
    }
    if end.is_some() { Err(format!("no end: {text}")) } else { Ok((out, "")) }
}

#[allow(clippy::type_complexity, reason = "a key and a value")]
fn sample(line: &str) -> Result<((String, Vec<(String, String)>), f64), String> {
    let name_end = line.find(['{', ' ']).ok_or(format!("no value: {line}"))?;
    let (name, mut rest) = line.split_at(name_end);
    check_name(name, "_:")?;
    let mut labels = vec![];
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, value) = rest.split_once("=\"").ok_or(format!("not a label: {line}"))?;
            check_name(label, "_")?;
            let (value, after) = unescape(value, "\\n\"", Some('"'))?;
            labels.push((label.to_owned(), value));
            rest = after.strip_prefix([',', '}']).ok_or(format!("labels do not end: {line}"))?;
            if after.starts_with('}') {
                break;
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or(format!("no value: {line}"))?;
    let names: BTreeSet<_> = labels.iter().map(|(label, _)| label).collect();
    if names.len() < labels.len() {
        return Err(format!("a label comes twice: {line}"));
    }
    Ok(((name.to_owned(), labels), number(value)?))
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            text.parse().map_err(|_| format!("not a number: {text:?}"))
        }
        _ => Err(format!("not a number: {text:?}")),
    }
}

#[test]
fn the_parser_is_strict() {
    let good = "# HELP a_total A \\\\ b\n# TYPE a_total counter\na_total{x=\"\\\"\\n\\\\ ,}\"} 1\na_total 2.5\n";
    let families = parse(good).unwrap();
    let of_label = families["a_total"].samples.keys().find(|(_, labels)| !labels.is_empty()).unwrap();
    assert_eq!(of_label.1, [("x".to_owned(), "\"\n\\ ,}".to_owned())]);
    let gauge = "# HELP g G\n# TYPE g gauge\n";
    let histogram = |samples: &str| format!("# HELP h H\n# TYPE h histogram\n{samples}");
    parse(&histogram("h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n")).unwrap();
    for bad in [
        "a 1\n".to_owned(),
        format!("{gauge}g 1"),
        format!("{gauge}\ng 1\n"),
        format!("{gauge}g 1\r\n"),
        format!("{gauge}g  1\n"),
        format!("{gauge}g 1 1700000000000\n"),
        format!("{gauge}g one\n"),
        format!("{gauge}g{{x=\"1\"}}\n"),
        format!("{gauge}g{{x='1'}} 1\n"),
        format!("{gauge}g{{x=\"1\",}} 1\n"),
        format!("{gauge}g{{x=\"1\",x=\"2\"}} 1\n"),
        format!("{gauge}g{{x=\"\\t\"}} 1\n"),
        format!("{gauge}g{{0=\"1\"}} 1\n"),
        format!("{gauge}g 1\ng 2\n"),
        format!("{gauge}f 1\n"),
        format!("{gauge}g 1\n{gauge}g{{x=\"1\"}} 1\n"),
        gauge.to_owned(),
        "# TYPE g gauge\ng 1\n".to_owned(),
        "# HELP g G\n# TYPE g summary\ng 1\n".to_owned(),
        "# HELP g G\\t\n# TYPE g gauge\ng 1\n".to_owned(),
        "# HELP c C\n# TYPE c counter\nc 1\n".to_owned(),
        "# HELP c_total C\n# TYPE c_total gauge\nc_total 1\n".to_owned(),
        good.replace("2.5", "-1"),
        good.replace("2.5", "NaN"),
        histogram("h_bucket{le=\"+Inf\"} 2\nh_sum 3\n"),
        histogram("h_bucket{le=\"+Inf\"} 1\nh_sum 3\nh_count 2\n"),
        histogram("h_bucket{le=\"0.5\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 3\nh_count 1\n"),
        histogram("h_bucket{le=\"0.5\"} 2\nh_sum 3\nh_count 2\n"),
        histogram("h 2\n"),
    ] {
        assert!(parse(&bad).is_err(), "{bad:?}");
    }
}

/// All metrics of the process that listens on this port.
fn scrape(port: &str) -> BTreeMap<String, Family> {
    let (status, text) = get(port, "/metrics");
    assert_eq!(status, 200, "{text}");
    parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The sum of all samples of a family.
fn sum(families: &BTreeMap<String, Family>, name: &str) -> f64 {
    families.get(name).map_or(0.0, |family| family.samples.values().sum())
}

fn scrape_until(port: &str, is_there: impl Fn(&BTreeMap<String, Family>) -> bool) -> BTreeMap<String, Family> {
    let started = Instant::now();
    loop {
        let families = scrape(port);
        if is_there(&families) {
            return families;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{families:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

const PORT: &str = "metrics at http://127.0.0.1:";

#[test]
fn metrics_of_a_run_count_what_its_parts_do() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().to_str().unwrap();
    let running = Running::start(
        &["--port", "0", "--metrics-port", "0", "--everything", "all", "--source", "demo:?backfill=10m", "--data", dir],
        &[],
    );
    let port = running.port_behind(PORT);
    let families = scrape_until(&port, |families| {
        ["source_received_posts", "aggregator_posts", "digest_runs"]
            .iter()
            .all(|name| sum(families, &format!("birdsong_{name}_total")) > 0.0)
    });
    assert_eq!(sum(&families, "birdsong_aggregator_blocked"), 0.0);
    assert_eq!(sum(&families, "birdsong_build_info"), 1.0);
    let known: BTreeSet<_> = metrics().filter_map(|metric| metric.prometheus).collect();
    let unknown: Vec<_> = families.keys().filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");

    let page = running.port_behind("http://localhost:");
    assert_eq!(get(&page, "/api/nothing").0, 404);
    let families = scrape(&port);
    let responses = &families["birdsong_http_responses_total"].samples;
    let class = |class: &str| {
        responses[&("birdsong_http_responses_total".to_owned(), vec![("class".to_owned(), class.to_owned())])]
    };
    assert_eq!((class("4xx"), class("5xx")), (1.0, 0.0));
    assert_eq!(
        families["birdsong_http_response_duration_seconds"].samples
            [&("birdsong_http_response_duration_seconds_count".to_owned(), vec![])],
        sum(&families, "birdsong_http_responses_total")
    );
}

#[test]
fn metrics_of_a_stream_are_those_of_its_sources() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().to_str().unwrap();
    let running = Running::start(
        &["stream", "--everything", "all", "--source", "demo", "--data", dir],
        &[("BIRDSONG_METRICS_PORT", "0")],
    );
    let families =
        scrape_until(&running.port_behind(PORT), |families| sum(families, "birdsong_source_connected") == 1.0);
    assert!(families.keys().all(|name| !name.starts_with("birdsong_aggregator") && !name.starts_with("birdsong_http")));
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn metrics() -> impl Iterator<Item = &'static Metric> {
    GROUPS.iter().flat_map(|group| group.metrics.iter().copied())
}

/// Names that a query may have.
fn names_of_series() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for metric in metrics() {
        let Some(name) = metric.prometheus else { continue };
        match metric.kind {
            Kind::Histogram => names.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}"))),
            _ => drop(names.insert(name.to_owned())),
        }
    }
    names
}

/// Values of the keys `expr`, `query` and `definition` anywhere in a document.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if ["expr", "query", "definition"].contains(&key.as_str()) => {
                        found.push(text.clone());
                    }
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => (),
    }
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_metrics_that_exist() {
    let contrib = repository().join("contrib");
    let dashboard: Value = serde_json::from_slice(&fs::read(contrib.join("grafana/birdsong.json")).unwrap()).unwrap();
    let mut texts = vec![];
    queries(&dashboard, &mut texts);
    let alerts = fs::read_to_string(contrib.join("alerts.yml")).unwrap();
    texts.extend(alerts.lines().filter_map(|line| line.trim().strip_prefix("expr:")).map(str::to_owned));
    let (known, name) = (names_of_series(), Regex::new(r"\b(birdsong|process)_[a-z_]+").unwrap());
    let asked: BTreeSet<_> =
        texts.iter().flat_map(|text| name.find_iter(text)).map(|name| name.as_str().to_owned()).collect();
    let unknown: Vec<_> = asked.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(asked.len() > 20, "{asked:?}");
}

/// Panels have ids of their own, lie on the grid of 24 columns without covering each other, and ask the data source that
/// the reader chooses.
#[test]
fn the_panels_of_the_dashboard_are_in_order() {
    let file = repository().join("contrib/grafana/birdsong.json");
    let dashboard: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let at = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        let [x, y, w, h] = at;
        assert!(w > 0 && h > 0 && x + w <= 24, "{title}: {at:?}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{title} covers another panel");
        }
        if panel["type"] != "text" && panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
        }
    }
    assert!(panels.len() > 10 && dashboard["schemaVersion"].as_u64() >= Some(38));
}

/// `UPDATE=1 cargo nextest run -p birdsong reference_of_metrics` updates it.
#[test]
fn the_reference_of_metrics_has_the_table() {
    let path = repository().join("docs/reference/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let mut expected = page.clone();
    for group in GROUPS {
        let mut table =
            String::from("\n| Prometheus | CloudWatch | kind | unit | meaning |\n| --- | --- | --- | --- | --- |\n");
        for metric in group.metrics {
            let code = |name: Option<&str>| name.map_or(String::new(), |name| format!("`{name}`"));
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Sum => "sum",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let cells = [
                code(metric.prometheus),
                code(metric.cloudwatch),
                kind.into(),
                metric.unit.as_str().into(),
                metric.help.into(),
            ];
            table += &format!("| {} |\n", cells.join(" | ").replace("  ", " "));
        }
        let (start, end) = (
            format!("<!-- metrics of {}: start -->\n", group.service),
            format!("\n<!-- metrics of {}: end -->", group.service),
        );
        let (before, rest) = expected.split_once(&start).unwrap_or_else(|| panic!("{start} is missing"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{end} is missing"));
        expected = format!("{before}{start}{table}{end}{after}");
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(page == expected || std::env::var_os("UPDATE").is_some(), "UPDATE=1 updates docs/reference/metrics.md");
}
