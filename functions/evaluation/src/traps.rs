//! What must not fool the rule, and what it must find all the same. Each trap is asserted.

use anyhow::ensure;
use birdsong_domain::frame::{self, FrameHeader, Lane};
use birdsong_domain::hashtag::Hashtags;
use birdsong_domain::network::Network;
use birdsong_domain::post::{PostId, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_domain::trend::{
    Evidence, Fall, NEW_SHARE_PPM, NoScore, Past, Scale, Sensitivity, Step, Tracker, Verdict,
};
use birdsong_domain::window::{Aggregate, FoldRules, touched};

use crate::random::Random;

/// A trap and its check. `Ok` says what was seen.
pub(crate) struct Trap {
    pub(crate) name: &'static str,
    pub(crate) must: &'static str,
    pub(crate) check: fn() -> anyhow::Result<String>,
}

pub(crate) const TRAPS: [Trap; 15] = [
    Trap { name: "one-author flood", must: "named as a flood, not reported", check: flood },
    Trap { name: "evergreen tag", must: "usual, however high", check: evergreen },
    Trap { name: "tag repeated in a post", must: "counts once", check: repeated },
    Trap { name: "DST day", must: "the hour's shift is not reported", check: daylight_saving },
    Trap { name: "gap in the baseline", must: "no false report, bursts still found", check: gap },
    Trap { name: "sampled window", must: "no score", check: sampled },
    Trap { name: "new tag", must: "compared with its region", check: new_tag },
    Trap { name: "two bursts 3 h apart", must: "two events", check: two_bursts },
    Trap { name: "slow ramp", must: "fourfold in four days, not reported", check: ramp },
    Trap { name: "no baseline yet", must: "says so", check: no_baseline },
    Trap { name: "silence", must: "found, if the connection lives", check: silence },
    Trap { name: "silence of a rare series", must: "cannot be detected", check: rare_silence },
    Trap { name: "posts that come back", must: "as on other days, not reported", check: come_back },
    Trap { name: "drop", must: "found", check: drop },
    Trap { name: "end of a burst", must: "no drop", check: end_of_burst },
];

const DAY: usize = 288;
const SEEDS: std::ops::Range<u64> = 0..20;

fn scale() -> Scale {
    WindowSize::FIVE_MINUTES.into()
}

/// Counts around a daily cycle: `rate` says how many posts window `at` has on average.
fn counts(seed: u64, windows: usize, rate: impl Fn(usize) -> f64) -> Vec<Option<u32>> {
    let mut random = Random::new(seed);
    (0..windows).map(|at| Some(random.poisson(rate(at)))).collect()
}

/// A daily cycle around 1, from 0.4 to 1.6; `at` in windows.
fn cycle(at: usize) -> f64 {
    1.0 + 0.6 * (std::f64::consts::TAU * (at % DAY) as f64 / DAY as f64).cos()
}

/// Windows from `from` on that open an event, with unknown authors.
fn opened(counts: &[Option<u32>], from: usize) -> Vec<usize> {
    let past = Past::for_many(scale(), counts);
    let mut tracker = Tracker::default();
    (from..counts.len())
        .filter(|at| {
            past.score(*at, Default::default()).is_ok_and(|score| {
                let theta = Sensitivity::Balanced.theta_milli();
                matches!(tracker.advance(scale(), *at as i64, score.score_milli, theta), Step::Opened)
            })
        })
        .collect()
}

/// Adds `posts` to each window of a range.
fn add(counts: &mut [Option<u32>], windows: std::ops::Range<usize>, posts: u32) {
    counts[windows].iter_mut().flatten().for_each(|count| *count += posts);
}

/// Multiplies the posts of each window of a range.
fn multiply(counts: &mut [Option<u32>], windows: std::ops::Range<usize>, factor: u32) {
    counts[windows].iter_mut().flatten().for_each(|count| *count *= factor);
}

fn flood() -> anyhow::Result<String> {
    let mut series = counts(1, 15 * DAY, |at| 2.0 * cycle(at));
    let end = series.len();
    add(&mut series, end - 3..end, 20);
    let past = Past::new(scale(), &series);
    let by = |authors, share| [Evidence { authors: Some(authors), top_author_permille: Some(share) }; 2];
    let score = past.score(end - 1, by(6, 900))?;
    ensure!(score.verdict == Verdict::Flooded && score.score_milli == 0, "{score:?}");
    let pair = past.score(end - 1, by(2, 500))?;
    ensure!(pair.verdict == Verdict::TooFewAuthors && pair.score_milli == 0, "{pair:?}");
    let many = past.score(end - 1, by(40, 100))?;
    ensure!(many.score_milli >= Sensitivity::Balanced.theta_milli(), "by many: {many:?}");
    Ok(format!("flooded; by 40 authors it scores {:.1}", many.score_milli as f64 / 1000.0))
}

fn evergreen() -> anyhow::Result<String> {
    let (mut usual, mut by_chance) = (0, 0);
    for seed in SEEDS {
        let series = counts(seed, 28 * DAY, |at| 40.0 * cycle(at));
        by_chance += opened(&series, 14 * DAY).len();
        let score = Past::new(scale(), &series).score(series.len() - 1, Default::default())?;
        ensure!(score.observed > 100, "{score:?}");
        usual += usize::from(score.verdict == Verdict::Usual && score.score_milli == 0);
    }
    ensure!(usual == 20, "only {usual} of 20 end as usual");
    // Chance alone may do this once in twenty weeks.
    ensure!(by_chance <= 2, "{by_chance} reports in 40 weeks");
    Ok(format!("{by_chance} reports in 40 weeks; all 20 end as usual"))
}

fn repeated() -> anyhow::Result<String> {
    // Through the same way as any post: written tags, a frame, a window.
    let regions = Regions::parse("regions.toml", "[[region]]\nid = \"fog\"\nkeywords = [\"fog\"]\n")?;
    let mut tags = Hashtags::default();
    (0..50).for_each(|_| tags.add("Storm".into()));
    let (hashtags, long_hashtags) = tags.finish();
    let time_ms = 1_700_000_000_000;
    let post =
        SourcePost { id: PostId(1), time_ms, text: "fog".into(), hashtags, long_hashtags, ..SourcePost::default() };
    let mut matches = vec![];
    regions.matching(&post, &mut matches);
    let Some((region, located)) = matches.first().copied() else { anyhow::bail!("the post matches no region") };
    let mut lines = vec![];
    frame::put_line(&mut lines, &post, located, false);
    let lane = Lane::posts(&regions.list()[region].id, Network::X, 0);
    let header = FrameHeader { lane, run: "run".into(), counter: 1, cut_ms: time_ms + 500, ..FrameHeader::default() };
    let (frame, rules) = (frame::decode(&frame::encode(&header, &lines)?)?, FoldRules::default());
    let mut aggregate = Aggregate::default();
    aggregate.fold(rules, touched(rules, &frame)[0], &frame);
    let top = aggregate.hashtags.top.map_or_else(Vec::new, |top| top.top(1));
    ensure!(top.len() == 1 && top[0].count == 1, "counts {}", top.first().map_or(0, |top| top.count));
    Ok("50 times in one post: 1".into())
}

fn daylight_saving() -> anyhow::Result<String> {
    for seed in SEEDS {
        // On day 20, everybody is an hour earlier.
        let series = counts(seed, 28 * DAY, |at| 30.0 * cycle(if at >= 20 * DAY { at + 12 } else { at }));
        let reports = opened(&series, 14 * DAY);
        ensure!(reports.is_empty(), "seed {seed}: reported at {reports:?}");
    }
    Ok("0 reports, in 20 series".into())
}

fn gap() -> anyhow::Result<String> {
    let mut missing = 0;
    for seed in SEEDS {
        let mut series = counts(seed, 21 * DAY, |at| 10.0 * cycle(at));
        // Six hours three days before the end, two whole days before that, and single windows.
        series[18 * DAY - 72..18 * DAY].fill(None);
        series[15 * DAY..17 * DAY].fill(None);
        (14 * DAY..21 * DAY - 6).step_by(37).for_each(|at| series[at] = None);
        let reports = opened(&series, 14 * DAY);
        ensure!(reports.is_empty(), "seed {seed}: reported at {reports:?}");
        let end = series.len();
        add(&mut series, end - 3..end, 60);
        series[end - 3..end].iter_mut().for_each(|count| *count = count.or(Some(70)));
        let score = Past::new(scale(), &series).score(end - 1, Default::default())?;
        ensure!(score.score_milli >= Sensitivity::Balanced.theta_milli(), "seed {seed}: {score:?}");
        ensure!(score.missing_permille > 0 && score.good_days < 7, "seed {seed}: {score:?}");
        missing = score.missing_permille;
    }
    Ok(format!("0 reports; bursts found with {:.0} % of the baseline missing", f64::from(missing) / 10.0))
}

fn sampled() -> anyhow::Result<String> {
    let mut series = counts(3, 15 * DAY, |at| 10.0 * cycle(at));
    let end = series.len();
    add(&mut series, end - 6..end, 100);
    let found = opened(&series, 14 * DAY);
    ensure!(found.len() == 1, "without the sample: reported at {found:?}");
    series[end - 6..end].fill(None);
    let past = Past::new(scale(), &series);
    ensure!((end - 6..end).all(|at| past.score(at, Default::default()) == Err(NoScore::NotUsable)));
    let reports = opened(&series, 14 * DAY);
    ensure!(reports.is_empty(), "reported at {reports:?}");
    Ok("no score in 6 windows that would be reported".into())
}

fn new_tag() -> anyhow::Result<String> {
    let by_many = [Evidence { authors: Some(9), top_author_permille: Some(200) }; 2];
    let score = |posts_a_window: f64, observed| {
        let region = counts(4, 15 * DAY, |at| posts_a_window * cycle(at));
        let past = Past::new(scale(), &region);
        past.score_new(region.len() - 1, [observed; 2], NEW_SHARE_PPM, by_many)
    };
    let theta = Sensitivity::Balanced.theta_milli();
    let (small, few, large) = (score(100.0, 15)?, score(100.0, 4)?, score(30_000.0, 15)?);
    ensure!(small.score_milli >= theta, "15 posts in a region of 100: {small:?}");
    ensure!(few.score_milli == 0, "4 posts: {few:?}");
    ensure!(large.score_milli == 0, "15 posts in a region of 30,000: {large:?}");
    Ok(format!("15 posts: {:.1} in a region of 100 a window, 0 in one of 30,000", small.score_milli as f64 / 1000.0))
}

fn two_bursts() -> anyhow::Result<String> {
    for seed in SEEDS {
        let mut series = counts(seed, 16 * DAY, |at| 5.0 * cycle(at));
        let first = 15 * DAY + 60;
        add(&mut series, first..first + 6, 40);
        add(&mut series, first + 36..first + 42, 40);
        let reports = opened(&series, 14 * DAY);
        let found = reports.len() == 2 && reports[0].abs_diff(first) <= 3 && reports[1].abs_diff(first + 36) <= 3;
        ensure!(found, "seed {seed}: bursts at {first} and {}, reported at {reports:?}", first + 36);
    }
    Ok("2 events in each of 20 series".into())
}

fn ramp() -> anyhow::Result<String> {
    for seed in SEEDS {
        let growth = |at: usize| 1.0 + 3.0 * (at.saturating_sub(15 * DAY) as f64 / (4 * DAY) as f64).min(1.0);
        let series = counts(seed, 21 * DAY, |at| 10.0 * cycle(at) * growth(at));
        let reports = opened(&series, 14 * DAY);
        ensure!(reports.is_empty(), "seed {seed}: reported at {reports:?}");
    }
    Ok("0 reports, in 20 series".into())
}

fn no_baseline() -> anyhow::Result<String> {
    let series = counts(5, 2 * DAY, |_| 10.0);
    let score = Past::new(scale(), &series).score(series.len() - 1, Default::default());
    ensure!(score == Err(NoScore::NoBaseline { good_days: 1 }), "{score:?}");
    Ok(score.err().map_or_else(String::new, |error| error.to_string()))
}

fn silence() -> anyhow::Result<String> {
    let mut series = counts(6, 15 * DAY, |_| 4.0);
    let end = series.len();
    series[end - 12..].fill(Some(0));
    let past = Past::new(scale(), &series);
    let fall = past.fall(end - 1, true)?;
    ensure!(matches!(fall, Fall::Silence { .. }), "{fall:?}");
    ensure!(past.fall(end - 1, false)? == Fall::NotProven);
    let found = (end - 12..end).find(|at| matches!(past.fall(*at, true), Ok(Fall::Silence { .. })));
    ensure!(past.fall(end - 13, true)? == Fall::Usual);
    Ok(format!("after {} minutes, at 4 posts a window", found.map_or(0, |at| (at + 13 - end) * 5)))
}

fn rare_silence() -> anyhow::Result<String> {
    let mut series = counts(7, 15 * DAY, |_| 0.5);
    let end = series.len();
    series[end - 72..].fill(Some(0));
    let fall = Past::new(scale(), &series).fall(end - 1, true)?;
    ensure!(fall == Fall::CannotTell, "{fall:?}");
    Ok("said so".into())
}

fn come_back() -> anyhow::Result<String> {
    let mut found = 0;
    for seed in SEEDS {
        // One hour to eight.
        let mut series = counts(seed, 28 * DAY, |at| 40.0 * cycle(at));
        let silent = 20 * DAY + 50..20 * DAY + 50 + 12 * (1 + seed as usize % 8);
        series[silent.clone()].fill(Some(0));
        let reports = opened(&series[..21 * DAY], 14 * DAY);
        ensure!(
            reports.iter().all(|at| *at < silent.start),
            "seed {seed}: reported at {reports:?}, silent in {silent:?}"
        );
        let back = silent.end..silent.end + 6;
        multiply(&mut series, back.clone(), 4);
        found += usize::from(opened(&series[..21 * DAY], 14 * DAY).iter().any(|at| back.contains(at)));
    }
    ensure!(found == 20, "of bursts right after it, only {found} of 20 are found");
    Ok("0 reports, in 20 series; bursts right after a silence found".into())
}

fn drop() -> anyhow::Result<String> {
    let mut series = counts(8, 15 * DAY, |at| 50.0 * cycle(at));
    let end = series.len();
    series[end - 6..].fill(Some(5));
    let past = Past::new(scale(), &series);
    ensure!(matches!(past.fall(end - 1, true)?, Fall::Drop { .. }), "{:?}", past.fall(end - 1, true)?);
    ensure!(past.fall(end - 7, true)? == Fall::Usual);
    Ok("from 80 posts a window to 5".into())
}

fn end_of_burst() -> anyhow::Result<String> {
    for seed in SEEDS {
        let mut series = counts(seed, 16 * DAY, |at| 50.0 * cycle(at));
        let burst = 15 * DAY + 20..15 * DAY + 50;
        multiply(&mut series, burst.clone(), 8);
        let past = Past::for_many(scale(), &series);
        for at in burst.start..series.len() {
            ensure!(past.fall(at, true)? == Fall::Usual, "seed {seed}, window {at}: {:?}", past.fall(at, true)?);
        }
    }
    Ok("none, in 20 series".into())
}
