//! The Numenta Anomaly Benchmark's way of scoring (Lavin and Ahmad 2015), for series of counts of posts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use birdsong_domain::time::{WindowSize, parse_rfc3339};

use crate::series::Series;

/// One file: the series, and its labelled windows as ranges of rows (both ends inside).
pub(crate) struct Labelled {
    pub(crate) series: Series,
    pub(crate) labels: Vec<(usize, usize)>,
}

/// What detections earn and cost.
#[derive(Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) false_positive: f64,
    pub(crate) missed: f64,
}

pub(crate) const STANDARD: Profile = Profile { false_positive: 0.11, missed: 1.0 };
pub(crate) const LOW_FALSE_POSITIVES: Profile = Profile { false_positive: 0.22, missed: 1.0 };
pub(crate) const LOW_FALSE_NEGATIVES: Profile = Profile { false_positive: 0.11, missed: 2.0 };

/// Rows at the start of a series that are not scored: 15 %, of at most 5,000 rows. The limit is in NAB's code and so
/// in all published figures.
pub(crate) fn probation(rows: usize) -> usize {
    (rows * 15 / 100).min(750)
}

fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// The raw score of detections at these rows.
pub(crate) fn raw(file: &Labelled, detections: &[usize], profile: Profile) -> f64 {
    let probation = probation(file.series.counts.len());
    let mut best = vec![None::<f64>; file.labels.len()];
    let mut total = 0.0;
    for &at in detections.iter().filter(|at| **at >= probation) {
        if let Some(label) = file.labels.iter().position(|(first, last)| (*first..=*last).contains(&at)) {
            let (first, last) = file.labels[label];
            let value = sigmoid(-((last - at + 1) as f64) / (last - first + 1) as f64) / sigmoid(-1.0);
            best[label] = Some(best[label].map_or(value, |best| best.max(value)));
        } else {
            let before = file.labels.iter().rev().find(|(_, last)| *last < at);
            let worth = before.map_or(-1.0, |(first, last)| sigmoid((at - last) as f64 / (last - first).max(1) as f64));
            total += worth * profile.false_positive;
        }
    }
    total + best.iter().map(|best| best.unwrap_or(-profile.missed)).sum::<f64>()
}

/// From raw scores to the scale on which silence has 0 and perfection 100.
pub(crate) fn normalized(raw: f64, labels: usize, profile: Profile) -> f64 {
    let labels = labels as f64;
    100.0 * (raw + labels * profile.missed) / (labels * (1.0 + profile.missed))
}

fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    parse_rfc3339(&format!("{}Z", text.replacen(' ', "T", 1)))
}

/// Reads all series of a folder that `windows.json` (or NAB's `combined_windows.json`) names.
pub(crate) fn load(folder: &Path) -> anyhow::Result<Vec<Labelled>> {
    let path = folder.join("windows.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let all: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    let mut files = vec![];
    for (name, labels) in all {
        let path = folder.join(&name);
        if !path.exists() {
            println!("{} is not there, so it is left out.", path.display());
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        files.push(parse(&name, &text, &labels).with_context(|| format!("reading {}", path.display()))?);
    }
    if files.is_empty() {
        bail!("{} names no series that is there", path.display());
    }
    Ok(files)
}

fn parse(name: &str, text: &str, labels: &[(String, String)]) -> anyhow::Result<Labelled> {
    let mut rows = vec![];
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let (at, count) = line.split_once(',').with_context(|| format!("no comma in {line:?}"))?;
        let at = time(at).with_context(|| format!("no time in {line:?}"))?;
        let count: f64 = count.trim().parse().with_context(|| format!("no count in {line:?}"))?;
        rows.push((at, count as u32));
    }
    let Some((start_ms, _)) = rows.first().copied() else { bail!("no rows") };
    let labels = labels
        .iter()
        .map(|(from, to)| {
            let (from, to) = time(from).zip(time(to)).with_context(|| format!("no times in {from:?}, {to:?}"))?;
            let first = rows.iter().position(|(at, _)| *at >= from).context("a label after the series")?;
            let last = rows.iter().rposition(|(at, _)| *at <= to).context("a label before the series")?;
            if first > last {
                bail!("a label between two rows");
            }
            Ok((first, last))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    // The files have a row each five minutes, at a second of their own.
    let size = WindowSize::FIVE_MINUTES;
    let counts = rows.iter().map(|(_, count)| Some(*count)).collect();
    let name = name.trim_start_matches("Twitter_volume_").trim_end_matches(".csv").to_owned();
    Ok(Labelled { series: Series { name, size, start_ms: size.start_of(start_ms).0, counts }, labels })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rows: usize, labels: &[(usize, usize)]) -> Labelled {
        let (name, size) = (String::new(), WindowSize::FIVE_MINUTES);
        Labelled { series: Series { name, size, start_ms: 0, counts: vec![Some(0); rows] }, labels: labels.to_vec() }
    }

    fn points(file: &Labelled, detections: &[usize], profile: Profile) -> f64 {
        normalized(raw(file, detections, profile), file.labels.len(), profile)
    }

    #[test]
    fn silence_has_none_and_perfection_has_all_points() {
        let file = file(10_000, &[(2000, 2400), (6000, 6400)]);
        for profile in [STANDARD, LOW_FALSE_POSITIVES, LOW_FALSE_NEGATIVES] {
            assert!(points(&file, &[], profile).abs() < 1e-9);
            assert!((points(&file, &[2000, 6000], profile) - 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn early_detections_earn_more_and_only_the_first_counts() {
        let file = file(10_000, &[(2000, 2400)]);
        let (early, late) = (points(&file, &[2100], STANDARD), points(&file, &[2390], STANDARD));
        assert!(early > 95.0 && (50.0..60.0).contains(&late), "{early} {late}");
        assert!((points(&file, &[2100, 2200, 2390], STANDARD) - early).abs() < 1e-9);
    }

    #[test]
    fn false_alarms_cost_less_just_behind_a_window() {
        let file = file(10_000, &[(2000, 2400)]);
        let lost = |at| 100.0 - points(&file, &[2000, at], STANDARD);
        assert!((lost(1000) - 5.5).abs() < 1e-9, "0.11 of 2");
        assert!((lost(9000) - 5.5).abs() < 1e-9);
        assert!(lost(2420) < 1.0, "{}", lost(2420));
        assert!((lost(749)).abs() < 1e-9, "not scored");
        let low = 100.0 - points(&file, &[2000, 1000], LOW_FALSE_POSITIVES);
        assert!((low - 11.0).abs() < 1e-9, "{low}");
    }

    #[test]
    fn files_are_read_with_their_labels() {
        let text = "timestamp,value\n2015-02-26 21:42:53,104\n2015-02-26 21:47:53,100\n2015-02-26 21:52:53,99\n";
        let label = ("2015-02-26 21:47:53.000000".to_owned(), "2015-02-26 21:52:53.000000".to_owned());
        let file = parse("Twitter_volume_AAPL.csv", text, std::slice::from_ref(&label)).unwrap();
        assert_eq!((file.series.name.as_str(), file.labels), ("AAPL", vec![(1, 2)]));
        assert_eq!(file.series.counts, [Some(104), Some(100), Some(99)]);
        assert!(parse("x", "timestamp,value\n1,2\n", &[label]).is_err());
    }
}
