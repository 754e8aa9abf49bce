//! The detectors that are compared. All reports go through the product's tracker, so that only scores differ.

use birdsong_domain::trend::{Evidence, Past, Scale, Score, Step, Tracker, Verdict};

use crate::series::{Scores, Series};

/// A way to score each window of a series.
pub(crate) struct Detector {
    pub(crate) name: &'static str,
    pub(crate) score: fn(&Series) -> Scores,
}

/// The product's rule.
pub(crate) const BIRDSONG: Detector = Detector { name: "Birdsong", score: birdsong };

/// What it is compared with.
pub(crate) const RIVALS: [Detector; 5] = [
    Detector { name: "near width alone", score: near },
    Detector { name: "far width alone", score: far },
    Detector { name: "Mastodon's tag score", score: mastodon },
    Detector { name: "EARS C2", score: ears_c2 },
    Detector { name: "Poisson z", score: poisson_z },
];

fn scores(series: &Series, of: fn(Score) -> i64) -> Scores {
    let past = Past::for_many(Scale::from(series.size), &series.counts);
    (0..series.counts.len()).map(|at| past.score(at, [Evidence::default(); 2]).map_or(0, of)).collect()
}

fn birdsong(series: &Series) -> Scores {
    scores(series, |score| score.score_milli)
}

/// One part of the product's rule: the distance in near widths, wherever there are enough posts.
fn near(series: &Series) -> Scores {
    scores(series, |score| if score.verdict == Verdict::TooFewPosts { 0 } else { score.season_milli })
}

/// The other part: the distance in far widths.
fn far(series: &Series) -> Scores {
    scores(series, |score| if score.verdict == Verdict::TooFewPosts { 0 } else { score.level_milli })
}

fn sums(series: &Series) -> Vec<f64> {
    let windows = Scale::from(series.size).sum;
    let counts = &series.counts;
    let sum =
        |end: usize| counts[(end + 1).saturating_sub(windows)..=end].iter().flatten().map(|c| f64::from(*c)).sum();
    (0..counts.len()).map(sum).collect()
}

fn thousandths(score: f64) -> i64 {
    (score * 1000.0) as i64
}

/// Mastodon compares the uses of a tag on this day (UTC) so far with those of the whole day before:
/// (observed − expected)² / expected, from five uses on.
fn mastodon(series: &Series) -> Scores {
    let day_of = |at: usize| (series.start_ms + at as i64 * series.size.ms()).div_euclid(86_400_000);
    let (mut day, mut before, mut now) = (day_of(0), 0.0, 0.0);
    let mut scores = vec![];
    for (at, count) in series.counts.iter().enumerate() {
        if day_of(at) != day {
            (day, before, now) = (day_of(at), now, 0.0);
        }
        now += f64::from(count.unwrap_or(0));
        let expected = f64::max(before, 1.0);
        let unusual = now > expected && now >= 5.0;
        scores.push(if unusual { thousandths((now - expected).powi(2) / expected) } else { 0 });
    }
    scores
}

/// EARS C2 of the CDC on sums of fifteen minutes: seven sums, two sums ago, show mean and deviation.
fn ears_c2(series: &Series) -> Scores {
    let (sums, step) = (sums(series), Scale::from(series.size).sum);
    let mut scores = vec![0; sums.len()];
    for at in 9 * step..sums.len() {
        let baseline = (3..10).map(|back| sums[at - back * step]);
        let mean = baseline.clone().sum::<f64>() / 7.0;
        let variance = baseline.map(|sum| (sum - mean).powi(2)).sum::<f64>() / 6.0;
        scores[at] = thousandths((sums[at] - mean) / variance.sqrt().max(1.0));
    }
    scores
}

/// Distance from the mean of the seven days before, in standard deviations of a Poisson distribution.
fn poisson_z(series: &Series) -> Scores {
    let (sums, week) = (sums(series), 7 * Scale::from(series.size).day);
    let mut running = 0.0;
    let mut scores = vec![];
    for (at, sum) in sums.iter().enumerate() {
        let mean = running / at.clamp(1, week) as f64;
        scores.push(if at * 7 >= week * 2 { thousandths((sum - mean) / f64::max(mean, 1.0).sqrt()) } else { 0 });
        running += sum;
        if at >= week {
            running -= sums[at - week];
        }
    }
    scores
}

/// Windows at which an event is reported.
pub(crate) fn reports(scale: Scale, scores: &[i64], theta_milli: i64) -> Vec<usize> {
    let mut tracker = Tracker::default();
    let opened = |(at, score): (usize, &i64)| {
        matches!(tracker.advance(scale, at as i64, *score, theta_milli), Step::Opened).then_some(at)
    };
    scores.iter().enumerate().filter_map(opened).collect()
}

/// Thresholds that are tried: from 1 on, in steps of 3 %.
pub(crate) fn thresholds() -> Vec<i64> {
    (0..300).map(|step| (1000.0 * 1.03f64.powi(step)) as i64).collect()
}
