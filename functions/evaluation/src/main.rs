//! `make trends`: what the rule of `birdsong_domain::trend` reaches, beside other detectors. It measures the product's
//! own code with the product's constants, on labelled series, on planted bursts, and on traps.

mod detectors;
mod nab;
mod planted;
mod random;
mod series;
mod traps;

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use birdsong_domain::trend::{Past, Scale, Sensitivity};
use clap::Parser;
use comfy_table::{Table, presets};

use detectors::{BIRDSONG, Detector, RIVALS, reports, thresholds};
use nab::{LOW_FALSE_NEGATIVES, LOW_FALSE_POSITIVES, Labelled, Profile, STANDARD};
use planted::{HISTORY_DAYS, Kind, Planted, SCORED_DAYS};
use series::{Scores, in_parallel};

#[derive(Parser)]
#[command(about = "Measures the rule for trends on labelled series, on planted bursts and on traps.")]
struct Options {
    /// Folder with NAB's series of posts and their labels, windows.json.
    #[arg(long, default_value = "../shared/data/nab")]
    nab: PathBuf,
    /// Seeds of the planted series; the last one is left out.
    #[arg(long, default_value = "1..241", value_parser = seeds)]
    seeds: Range<u64>,
}

fn seeds(text: &str) -> anyhow::Result<Range<u64>> {
    let (from, to) = text.split_once("..").context("not of the form 1..241")?;
    let seeds = from.trim().parse()?..to.trim().parse()?;
    if seeds.is_empty() {
        bail!("no seed in {text}");
    }
    Ok(seeds)
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let started = Instant::now();
    let nab = match nab::load(&options.nab) {
        Ok(files) => labelled(&files),
        Err(error) => {
            println!("No labelled series, so this part is left out: {error:#}.\n");
            "nab standard=- low_fp=- lofo=-".to_owned()
        }
    };
    let planted = planted_bursts(options.seeds);
    let failed = trapped();
    println!("It took {:.0} s.", started.elapsed().as_secs_f64());
    println!("{nab} {planted}");
    if failed > 0 {
        bail!("{failed} traps caught the rule");
    }
    Ok(())
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(head.to_vec());
    table
}

/// Scores of each file at each threshold.
struct Sweep {
    thresholds: Vec<i64>,
    raw: Vec<Vec<f64>>,
    labels: usize,
    profile: Profile,
}

impl Sweep {
    fn new(files: &[Labelled], scores: &[Scores], profile: Profile) -> Self {
        let thresholds = thresholds();
        let both: Vec<_> = files.iter().zip(scores).collect();
        let raw = in_parallel(&both, |(file, scores)| {
            let at = |theta: &i64| nab::raw(file, &reports(file.series.size.into(), scores, *theta), profile);
            thresholds.iter().map(at).collect()
        });
        Self { thresholds, raw, labels: files.iter().map(|file| file.labels.len()).sum(), profile }
    }

    /// The best threshold of all files but one.
    fn best_without(&self, left_out: Option<usize>) -> usize {
        let total = |at: usize| -> f64 {
            self.raw.iter().enumerate().filter(|(file, _)| Some(*file) != left_out).map(|(_, raw)| raw[at]).sum()
        };
        (0..self.thresholds.len()).rev().max_by(|a, b| total(*a).total_cmp(&total(*b))).unwrap_or_default()
    }

    fn normalized(&self, raw: f64) -> f64 {
        nab::normalized(raw, self.labels, self.profile)
    }

    fn at(&self, threshold: usize) -> f64 {
        self.normalized(self.raw.iter().map(|raw| raw[threshold]).sum())
    }

    fn best(&self) -> f64 {
        self.at(self.best_without(None))
    }

    /// Each file with the threshold that is best for the others.
    fn left_out(&self) -> f64 {
        self.normalized(self.raw.iter().enumerate().map(|(file, raw)| raw[self.best_without(Some(file))]).sum())
    }

    fn theta(&self) -> i64 {
        self.thresholds[self.best_without(None)]
    }
}

fn labelled(files: &[Labelled]) -> String {
    let labels: usize = files.iter().map(|file| file.labels.len()).sum();
    println!("Labelled series (Numenta Anomaly Benchmark): {} series, {labels} labelled windows.", files.len());
    println!(
        "One threshold for all series: the best one, as NAB has it. Left out: each series with the threshold that is"
    );
    println!("best for the others.\n");
    let mut all = table(&["detector", "standard", "low FP", "low FN", "left out", "threshold"]);
    let mut last = String::new();
    let mut ours = vec![];
    for detector in std::iter::once(&BIRDSONG).chain(&RIVALS) {
        let scores = in_parallel(files, |file| (detector.score)(&file.series));
        let [standard, low_fp, low_fn] =
            [STANDARD, LOW_FALSE_POSITIVES, LOW_FALSE_NEGATIVES].map(|profile| Sweep::new(files, &scores, profile));
        all.add_row([
            detector.name.to_owned(),
            format!("{:.1}", standard.best()),
            format!("{:.1}", low_fp.best()),
            format!("{:.1}", low_fn.best()),
            format!("{:.1}", standard.left_out()),
            format!("{:.1}", standard.theta() as f64 / 1000.0),
        ]);
        if last.is_empty() {
            last = format!(
                "nab standard={:.1} low_fp={:.1} lofo={:.1}",
                standard.best(),
                low_fp.best(),
                standard.left_out()
            );
            ours = scores;
        }
    }
    println!("{all}\n");
    println!("Birdsong with the thresholds of the product:\n");
    let levels = [Sensitivity::Sensitive, Sensitivity::Balanced, Sensitivity::Strict];
    let mut head = vec!["sensitivity", "threshold", "standard", "low FP", "reports a series and week"];
    head.extend(files.iter().map(|file| file.series.name.as_str()));
    let mut fixed = table(&head);
    for level in levels {
        let theta = level.theta_milli();
        let found: Vec<_> =
            files.iter().zip(&ours).map(|(f, scores)| reports(f.series.size.into(), scores, theta)).collect();
        let total = |profile| files.iter().zip(&found).map(|(file, found)| nab::raw(file, found, profile)).sum();
        let weeks: f64 = files.iter().map(|file| file.series.counts.len() as f64 / (7.0 * 288.0)).sum();
        let mut row = vec![
            format!("{level:?}").to_lowercase(),
            format!("{:.1}", theta as f64 / 1000.0),
            format!("{:.1}", nab::normalized(total(STANDARD), labels, STANDARD)),
            format!("{:.1}", nab::normalized(total(LOW_FALSE_POSITIVES), labels, LOW_FALSE_POSITIVES)),
            format!("{:.1}", found.iter().map(Vec::len).sum::<usize>() as f64 / weeks),
        ];
        row.extend(files.iter().zip(&found).map(|(file, found)| {
            // Without the sign of a zero.
            let points = nab::normalized(nab::raw(file, found, STANDARD), file.labels.len(), STANDARD).round() + 0.0;
            format!("{points:.0}")
        }));
        fixed.add_row(row);
    }
    println!("{fixed}\n");
    last
}

/// What a detector finds at one threshold.
#[derive(Default)]
struct Tally {
    /// Planted and found, by height: 1, 2, 4, 8.
    heights: [(usize, usize); 4],
    /// Of heights 4 and 8, those of at least [`CLEAR_POSTS`]: planted and found.
    clear: (usize, usize),
    hits: usize,
    false_alarms: usize,
    by_kind: [usize; 3],
    repeated: usize,
    delays: Vec<usize>,
    weeks: f64,
    /// Clear bursts that were not found.
    missed: Vec<String>,
}

/// Posts in a quarter of an hour that a burst must add to be clear. Fewer drown in chance, whatever the rule.
const CLEAR_POSTS: f64 = 15.0;

impl Tally {
    fn of(all: &[Planted], scores: &[Scores], theta: i64) -> Self {
        let mut tally = Self { weeks: (all.len() * SCORED_DAYS) as f64 / 7.0, ..Self::default() };
        for (planted, scores) in all.iter().zip(scores) {
            let scale = Scale::from(planted.series.size);
            let reports = reports(scale, scores, theta);
            let reports: Vec<usize> = reports.into_iter().filter(|at| *at >= HISTORY_DAYS * scale.day).collect();
            let mut hits = 0;
            for burst in &planted.bursts {
                // The sum holds the burst's last posts for a quarter of an hour.
                let during = burst.first..burst.end + scale.sum;
                let mut inside = reports.iter().filter(|at| during.contains(at));
                let found = inside.next();
                let height = &mut tally.heights[(burst.height.log2() as usize).min(3)];
                let clear = burst.height >= 4.0 && burst.posts >= CLEAR_POSTS;
                height.0 += 1;
                tally.clear.0 += usize::from(clear);
                if clear && found.is_none() {
                    tally.missed.push(format!(
                        "{}: ×{} at {}, base {:.1}",
                        planted.series.name,
                        burst.height,
                        burst.first,
                        burst.posts / 3.0 / burst.height
                    ));
                }
                if let Some(at) = found {
                    height.1 += 1;
                    tally.clear.1 += usize::from(clear);
                    tally.delays.push(at - burst.first);
                    let repeated = inside.count();
                    tally.repeated += repeated;
                    hits += 1 + repeated;
                }
            }
            tally.hits += hits;
            tally.false_alarms += reports.len() - hits;
            tally.by_kind[planted.kind as usize] += reports.len() - hits;
        }
        tally.delays.sort_unstable();
        tally
    }

    fn recall(&self) -> f64 {
        let (planted, found) = self.heights.iter().fold((0, 0), |sum, height| (sum.0 + height.0, sum.1 + height.1));
        found as f64 / f64::max(planted as f64, 1.0)
    }

    fn precision(&self) -> f64 {
        self.hits as f64 / f64::max((self.hits + self.false_alarms) as f64, 1.0)
    }

    fn alarms(&self) -> f64 {
        self.false_alarms as f64 / f64::max(self.weeks, 1.0)
    }
}

fn planted_bursts(seeds: Range<u64>) -> String {
    let all = in_parallel(&seeds.clone().collect::<Vec<_>>(), |seed| planted::plant(*seed));
    let count = |kind| all.iter().filter(|planted| planted.kind == kind).count();
    println!(
        "Planted bursts: {} series of {} days (seeds {}..{}): {} plain, {} quiet, {} with a bot each morning.",
        all.len(),
        HISTORY_DAYS + SCORED_DAYS,
        seeds.start,
        seeds.end,
        count(Kind::Plain),
        count(Kind::Quiet),
        count(Kind::Bot)
    );
    println!(
        "Birdsong has the product's thresholds. The others have the best one of those with at most 0.25 false alarms"
    );
    println!(
        "for each series and week. Clear: ×4 and ×8 that add at least {CLEAR_POSTS} posts in a quarter of an hour.\n"
    );
    let mut rows = table(&[
        "detector",
        "threshold",
        "recall",
        "precision",
        "false alarms",
        "×1",
        "×2",
        "×4",
        "×8",
        "clear",
        "delay",
        "repeated",
    ]);
    let mut row = |name: String, theta: i64, tally: &Tally| {
        let mut row = vec![
            name,
            format!("{:.1}", theta as f64 / 1000.0),
            format!("{:.2}", tally.recall()),
            format!("{:.2}", tally.precision()),
            format!("{:.2}", tally.alarms()),
        ];
        row.extend(tally.heights.iter().map(|(planted, found)| format!("{found}/{planted}")));
        row.push(format!("{}/{}", tally.clear.1, tally.clear.0));
        row.push(tally.delays.get(tally.delays.len() / 2).map_or_else(String::new, usize::to_string));
        row.push(tally.repeated.to_string());
        rows.add_row(row);
    };
    let scores = |detector: &Detector| in_parallel(&all, |planted| (detector.score)(&planted.series));
    let ours = scores(&BIRDSONG);
    let mut last = String::new();
    let (mut kinds, mut missed) = ([0; 3], vec![]);
    for level in [Sensitivity::Sensitive, Sensitivity::Balanced, Sensitivity::Strict] {
        let tally = Tally::of(&all, &ours, level.theta_milli());
        row(format!("Birdsong, {}", format!("{level:?}").to_lowercase()), level.theta_milli(), &tally);
        if level == Sensitivity::Balanced {
            last = format!(
                "planted recall={:.2} precision={:.2} false_alarms={:.2}",
                tally.recall(),
                tally.precision(),
                tally.alarms()
            );
            (kinds, missed) = (tally.by_kind, tally.missed);
        }
    }
    for rival in &RIVALS {
        let scores = scores(rival);
        // Each second threshold is enough to find one.
        let some: Vec<i64> = thresholds().into_iter().step_by(2).collect();
        let tallies = in_parallel(&some, |theta| (*theta, Tally::of(&all, &scores, *theta)));
        let best = tallies.iter().filter(|(_, tally)| tally.alarms() <= 0.25);
        if let Some((theta, tally)) = best.max_by(|a, b| a.1.recall().total_cmp(&b.1.recall())) {
            row(rival.name.to_owned(), *theta, tally);
        }
    }
    println!("{rows}\n");
    println!(
        "Delay: median, in windows of five minutes. Repeated: further events in a burst that was already reported."
    );
    println!(
        "False alarms of the balanced rule: {} in plain series, {} in quiet ones, {} with a bot.",
        kinds[0], kinds[1], kinds[2]
    );
    if !missed.is_empty() {
        println!("Clear bursts that it missed: {}.", missed.join("; "));
    }
    band(&all);
    last
}

/// How often windows without a burst are in the range of usual values, and how fast scores are.
fn band(all: &[Planted]) {
    let inside = in_parallel(all, |planted| {
        let past = Past::new(planted.series.size.into(), &planted.series.counts);
        let quiet = |at: &usize| planted.bursts.iter().all(|burst| !(burst.first..burst.end + 24).contains(at));
        let windows = (HISTORY_DAYS * 288..planted.series.counts.len()).filter(quiet).step_by(7);
        windows.fold((0, 0), |(inside, all), at| match (past.usual(at, at + 1), planted.series.counts[at]) {
            (Ok(usual), Some(count)) => {
                let within = (usual.low_milli..=usual.high_milli).contains(&(i64::from(count) * 1000));
                (inside + usize::from(within), all + 1)
            }
            _ => (inside, all),
        })
    });
    let (inside, windows) = inside.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    println!(
        "The range of usual values holds {:.0} % of the windows without a burst.",
        100.0 * inside as f64 / f64::max(windows as f64, 1.0)
    );
    let Some(counts) = all.first().map(|planted| &planted.series.counts[..15 * 288]) else { return };
    let scale = Scale::from(all[0].series.size);
    let measure = |times: u32, work: &dyn Fn()| {
        let started = Instant::now();
        (0..times).for_each(|_| work());
        started.elapsed().as_secs_f64() * 1e6 / f64::from(times)
    };
    let alone = measure(300, &|| {
        std::hint::black_box(
            Past::new(scale, std::hint::black_box(counts)).score(counts.len() - 1, Default::default()),
        )
        .ok();
    });
    let past = Past::for_many(scale, counts);
    let many = measure(10, &|| {
        (counts.len() - 2016..counts.len()).for_each(|at| {
            std::hint::black_box(past.score(at, Default::default())).ok();
        });
    });
    println!(
        "One window with 15 days of history is scored in {alone:.0} µs, each of a week (2,016) in {:.1} µs.\n",
        many / 2016.0
    );
}

fn trapped() -> usize {
    println!("Traps:\n");
    let results = in_parallel(&traps::TRAPS, |trap| (trap.check)());
    let mut rows = table(&["trap", "must be", "seen", ""]);
    for (trap, result) in traps::TRAPS.iter().zip(&results) {
        let (seen, verdict) = match result {
            Ok(seen) => (seen.clone(), "passed"),
            Err(error) => (error.to_string(), "FAILED"),
        };
        rows.add_row([trap.name, trap.must, &seen, verdict]);
    }
    println!("{rows}\n");
    results.iter().filter(|result| result.is_err()).count()
}
