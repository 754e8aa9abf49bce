//! The rule of trends, computed a second time in another way.

use super::*;
use proptest::test_runner::TestCaseError;

/// The rule as `docs/explanation/trends.md` states it: in floating point, and without anything that makes it fast.
struct Model<'a> {
    scale: Scale,
    series: &'a [Option<u32>],
}

/// What is usual for a sum, and its variances.
struct Expected {
    posts: f64,
    near: f64,
    far: f64,
    level: f64,
    good_days: u8,
    missing_permille: u16,
    /// Without the level.
    ordinary: Option<Box<Expected>>,
}

impl Model<'_> {
    fn count(&self, at: i64) -> Option<f64> {
        let most = (self.scale.size.secs() / 60) << 18;
        self.series.get(usize::try_from(at).ok()?)?.map(|count| f64::from(count.min(most)))
    }

    fn total(&self, at: i64, windows: usize) -> Option<f64> {
        (at + 1 - windows as i64..=at).map(|at| self.count(at)).sum()
    }

    fn before(&self, at: i64, windows: usize) -> Option<f64> {
        let (end, recent) = (at + 1 - windows as i64, self.scale.recent.max(windows));
        let usable: Vec<_> = (end - recent as i64..end).filter_map(|at| self.count(at)).collect();
        (usable.len() * 4 >= recent * 3).then(|| usable.iter().sum::<f64>() * recent as f64 / usable.len() as f64)
    }

    fn expected(&self, at: i64, windows: usize) -> Result<Expected, NoScore> {
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        let around = 2 * self.scale.around + 1;
        let (mut days, mut usable) = (vec![], 0);
        for back in 1..=7 {
            let middle = at - (back * self.scale.day) as i64;
            let first = middle - self.scale.around as i64;
            let sums: Vec<_> = (first..).take(around).filter_map(|at| self.total(at, windows)).collect();
            usable += sums.len();
            if let Some(before) = self.before(middle, windows).filter(|_| sums.len() * 4 >= around * 3) {
                let n = sums.len() as f64;
                let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
                let variance = (squares * n - sums.iter().sum::<f64>().powi(2)) / (n * (n - 1.0));
                days.push([mean(&sums), variance, before]);
            }
        }
        let good_days = days.len() as u8;
        if good_days < 2 {
            return Err(NoScore::NoBaseline { good_days });
        }
        let now = self.before(at, windows).ok_or(NoScore::NoRecent)?;
        days.sort_by(|a, b| a.partial_cmp(b).unwrap());
        days.pop();
        let all = |n: usize| days.iter().map(|day| day[n]).collect::<Vec<_>>();
        let between =
            all(0).iter().map(|day| (day - mean(&all(0))).powi(2)).sum::<f64>() / (days.len() as f64 - 1.0).max(1.0);
        let level = ((now + 8.0) / (mean(&all(2)) + 8.0)).clamp(1.0 / 3.0, 3.0);
        let far = at - 14 * self.scale.day as i64 + windows as i64..=at - windows as i64;
        let far: Vec<_> = far
            .filter_map(|at| {
                Some((self.total(at, windows)? - self.total(at - self.scale.day as i64, windows)?).powi(2))
            })
            .collect();
        let at_level = |level: f64| {
            let posts = mean(&all(0)) * level;
            Expected {
                posts,
                near: mean(&all(1)) * level * level + between / 2.0,
                far: if far.is_empty() { 0.0 } else { mean(&far) / 2.0 },
                level: posts * posts / (now + 8.0),
                good_days,
                missing_permille: ((7 * around - usable) * 1000 / (7 * around)) as u16,
                ordinary: None,
            }
        };
        Ok(Expected { ordinary: Some(Box::new(at_level(1.0))), ..at_level(level) })
    }
}

impl Expected {
    fn of_share(self, share: f64) -> Self {
        let [near, far, level] = [self.near, self.far, self.level].map(|variance| variance * share * share);
        let ordinary = self.ordinary.map(|ordinary| Box::new(ordinary.of_share(share)));
        Self { posts: self.posts * share, near, far, level, ordinary, ..self }
    }

    /// What a number is compared with, and how far it is from there. `None` where digits decide which of both is nearer.
    fn nearer(mut self, observed: f64) -> Option<(Self, f64)> {
        let ordinary = self.ordinary.take()?;
        let [present, back] = [observed - self.posts, observed - ordinary.posts];
        let is_clear =
            (present.abs() - back.abs()).abs() > 0.01 + ordinary.posts / 1000.0 || self.posts == ordinary.posts;
        let (expected, distance) = if present.abs() <= back.abs() { (self, present) } else { (*ordinary, back) };
        is_clear.then_some((expected, if present * back < 0.0 { 0.0 } else { distance }))
    }

    /// The near width and the far one.
    fn widths(&self) -> [f64; 2] {
        [self.near, self.far].map(|of| (of.max(self.posts) + self.level + 1.0).sqrt())
    }

    /// Whether thousandths are those of the distance from what is usual, in such a width.
    fn is_distance(&self, milli: i64, distance: f64, width: f64) -> bool {
        is_near(milli, distance / width, self.posts / width)
    }

    fn range(&self) -> [f64; 2] {
        let half = 1.282 * (self.near.max(self.posts) + self.level).sqrt();
        let [low, high] = [(self.posts - half).max(0.0), self.posts + half];
        let [other_low, other_high] = self.ordinary.as_ref().map_or([low, high], |ordinary| ordinary.range());
        [low.min(other_low), high.max(other_high)]
    }
}

/// Whether thousandths are those of a number, but for the digits that fixed point lacks: the level, with which all numbers
/// of this size were multiplied, has a third of 2^16 steps at least.
fn is_near(milli: i64, number: f64, size: f64) -> bool {
    (milli as f64 - number * 1000.0).abs() <= 5.0 + number.abs() + size / 10.0
}

fn is_usual(usual: Usual, posts: f64, range: [f64; 2]) -> bool {
    let milli = [usual.expected_milli, usual.low_milli, usual.high_milli];
    milli.into_iter().zip([posts, range[0], range[1]]).all(|(milli, number)| is_near(milli, number, range[1]))
}

fn verdict(observed: u64, season_milli: i64, evidence: Evidence) -> Verdict {
    match (evidence.authors, evidence.top_author_permille) {
        _ if observed < 5 => Verdict::TooFewPosts,
        _ if season_milli < 5_000 => Verdict::Usual,
        (_, Some(501..)) => Verdict::Flooded,
        (Some(..3), _) => Verdict::TooFewAuthors,
        _ => Verdict::Unusual,
    }
}

/// Compares the score with those that the short and the long sum have by the model.
fn check(
    score: Result<Score, NoScore>,
    by_model: [Result<(u64, Expected), NoScore>; 2],
    evidence: [Evidence; 2],
    scale: Scale,
) -> Result<(), TestCaseError> {
    let [short, long] = by_model;
    if let Err(error) = short {
        prop_assert_eq!(score, Err(error));
        return Ok(());
    }
    let score = score?;
    let mut ranks = vec![];
    for (model, windows, evidence) in [(short, scale.sum, evidence[0]), (long, scale.long, evidence[1])] {
        let Ok((observed, expected)) = model else { continue };
        let range = expected.range();
        let Some((expected, distance)) = expected.nearer(observed as f64) else { return Ok(()) };
        let widths = expected.widths();
        let [season, level] = widths.map(|width| distance / width);
        let is_this = score.windows == windows && (ranks.is_empty() || scale.sum != scale.long);
        if is_this {
            prop_assert!(
                expected.is_distance(score.season_milli, distance, widths[0])
                    && expected.is_distance(score.level_milli, distance, widths[1]),
                "{:?} {} {}",
                score,
                season,
                level
            );
            prop_assert!(is_usual(score.usual, expected.posts, range), "{:?} {} {:?}", score, expected.posts, range);
            prop_assert_eq!(
                (score.observed, score.good_days, score.missing_permille),
                (observed, expected.good_days, expected.missing_permille)
            );
            prop_assert_eq!(score.verdict, verdict(observed, score.season_milli, evidence));
            prop_assert_eq!(
                score.score_milli,
                if score.verdict == Verdict::Unusual { score.level_milli.max(0) } else { 0 }
            );
        }
        let by_authors = match verdict(observed, (season * 1000.0) as i64, evidence) {
            Verdict::Unusual => (level.max(0.0), 0.0),
            Verdict::Flooded | Verdict::TooFewAuthors => (0.0, level),
            Verdict::TooFewPosts | Verdict::Usual => (0.0, 0.0),
        };
        let is_clear = (season - 5.0).abs() > 0.1;
        ranks.push((by_authors, is_this, is_clear));
    }
    if let [(short, _, true), (long, is_long, true)] = ranks[..]
        && scale.sum != scale.long
    {
        let is_close = (short.0 - long.0).abs() + (short.1 - long.1).abs() < 0.1;
        prop_assert!(
            if short == long { !is_long } else { is_close || is_long == (long > short) },
            "{:?} {:?} {:?}",
            score,
            short,
            long
        );
    }
    Ok(())
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    (prop::option::of(1u32..6), prop::option::of(480u16..520))
        .prop_map(|(authors, top_author_permille)| Evidence { authors, top_author_permille })
}

/// Two to 17 days with bursts, gaps, and another level at the end.
fn any_days() -> impl Strategy<Value = (Scale, Vec<Option<u32>>)> {
    let rate = prop::sample::select(vec![2u32, 10, 60, 2_000]);
    let span = (0.0..1.0, 1usize..90, 0u32..9);
    let spans = prop::collection::vec(span, 0..8);
    (any_size(), rate, 2usize..17, any::<u64>(), spans, 0usize..60, 0u32..9).prop_map(
        |(scale, rate, days, seed, spans, last, times)| {
            let mut state = seed | 1;
            let mut series: Vec<_> = (0..days * scale.day + seed as usize % 40)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    Some((state >> 40) as u32 % rate)
                })
                .collect();
            let len = series.len();
            for (at, windows, times) in spans {
                let from = (at * len as f64) as usize;
                series[from..(from + windows).min(len)]
                    .iter_mut()
                    .for_each(|count| *count = count.filter(|_| times > 2).map(|count| count * times));
            }
            series[len.saturating_sub(last)..].iter_mut().flatten().for_each(|count| *count *= times);
            (scale, series)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn scores_are_those_of_the_documented_rule(
        (scale, series) in any_days(), back in 0usize..4, evidence in [any_evidence(), any_evidence()],
        observed in [0u64..2_000, 0u64..6_000], share in prop_oneof![Just(NEW_SHARE_PPM), 1u32..2_000_000], span in 0usize..300,
    ) {
        let (past, model, at) = (Past::new(scale, &series), Model { scale, series: &series }, series.len() - 1 - back);
        let of = |windows: usize| {
            let observed = model.total(at as i64, windows).ok_or(NoScore::NotUsable)?;
            Ok((observed as u64, model.expected(at as i64, windows)?))
        };
        check(past.score(at, evidence), [of(scale.sum), of(scale.long)], evidence, scale)?;
        let part = f64::from(share.min(1_000_000)) / 1e6;
        let of = |windows, observed: u64| of(windows).map(|(_, expected)| (observed, expected.of_share(part)));
        let new = past.score_new(at, observed, share, evidence);
        check(new, [of(scale.sum, observed[0]), of(scale.long, observed[1])], evidence, scale)?;

        match (past.usual(at, at + span), span) {
            (usual, 0) => prop_assert_eq!(usual, Err(NoScore::NotUsable)),
            (usual, span) if span > scale.day => prop_assert_eq!(usual, Err(NoScore::NotUsable)),
            (usual, span) => match model.expected((at + span - 1) as i64, span) {
                Ok(expected) => {
                    let (posts, range) = (expected.posts, expected.range());
                    prop_assert!(is_usual(usual?, posts, range), "{:?} {} {:?}", usual, posts, range);
                }
                Err(error) => prop_assert_eq!(usual, Err(error)),
            }
        }
    }

    #[test]
    fn falls_are_those_of_the_documented_rule((scale, mut series) in any_days(), zeros in 0usize..90) {
        let at = series.len() - 1;
        series[at.saturating_sub(zeros)..].iter_mut().skip(1).for_each(|count| *count = count.map(|_| 0));
        let model = Model { scale, series: &series };
        let fall = Past::new(scale, &series).fall(at, true);
        let is_close = |a: f64, b: f64| (a - b).abs() < 0.01 + b.abs() * 0.001;
        let longest = 6 * 60 * 60 / scale.size().secs() as usize;
        let silent = (1..=longest).take_while(|windows| model.total(at as i64, *windows) == Some(0.0)).count();
        if model.total(at as i64, scale.sum).is_none() {
            prop_assert_eq!(fall, Err(NoScore::NotUsable));
        } else if silent >= scale.sum {
            let expected = match model.expected(at as i64, silent) {
                Ok(expected) => expected,
                Err(error) => {
                    prop_assert_eq!(fall, Err(error));
                    return Ok(());
                }
            };
            let (in_sum, needed) = (expected.posts * scale.sum as f64 / silent as f64, 12.0 * (expected.near / expected.posts).max(1.0));
            if is_close(in_sum, 3.0) || is_close(expected.posts, needed) {
                return Ok(());
            }
            match fall? {
                Fall::CannotTell => prop_assert!(in_sum < 3.0),
                Fall::Usual => prop_assert!(in_sum > 3.0 && expected.posts < needed),
                Fall::Silence { since, expected_milli } => {
                    prop_assert!(in_sum > 3.0 && expected.posts > needed);
                    prop_assert!(since == at + 1 - silent && is_near(expected_milli, expected.posts, expected.posts));
                }
                other => prop_assert!(false, "{:?}", other),
            }
        } else {
            let mut first = None;
            for at in (at - 2..=at).rev() {
                let Some(observed) = model.total(at as i64, scale.sum) else {
                    prop_assert_eq!(fall, Err(NoScore::NotUsable));
                    return Ok(());
                };
                let expected = match model.expected(at as i64, scale.sum) {
                    Ok(expected) => expected,
                    Err(error) => {
                    prop_assert_eq!(fall, Err(error));
                    return Ok(());
                }
                };
                let range = expected.range();
                let Some((expected, distance)) = expected.nearer(observed) else { return Ok(()) };
                let season = distance / expected.widths()[0];
                if is_close(expected.posts, 3.0) || is_close(season, -6.0) {
                    return Ok(());
                } else if expected.posts < 3.0 {
                    prop_assert_eq!(fall, Ok(Fall::CannotTell));
                    return Ok(());
                } else if season > -6.0 {
                    prop_assert_eq!(fall, Ok(Fall::Usual));
                    return Ok(());
                }
                first.get_or_insert((observed as u64, expected, distance, range));
            }
            let (number, expected, distance, range) = first.unwrap();
            let Ok(Fall::Drop { observed, usual, season_milli }) = fall else { return Err(TestCaseError::fail(format!("{fall:?}"))) };
            prop_assert!(observed == number && expected.is_distance(season_milli, distance, expected.widths()[0]) && is_usual(usual, expected.posts, range), "{:?}", fall);
        }
    }
}

#[test]
fn thresholds_of_a_fall_are_a_part_of_it() {
    let scale = minutes(5);
    let one = |silent: usize| {
        let mut series = vec![Some(1); 3 * DAY];
        series[3 * DAY - silent..].fill(Some(0));
        Past::new(scale, &series).fall(3 * DAY - 1, true)
    };
    // Three posts are usual in a quarter of an hour, which is enough.
    assert_eq!((one(0), one(6)), (Ok(Fall::Usual), Ok(Fall::Usual)));
    // For each rate, the weakest drop of a series that falls to nothing for 20 minutes and then has some posts again.
    let weakest = |rate: u32| {
        let season = |last: u32| {
            let series = [vec![Some(rate); 3 * DAY], vec![Some(0); 4], vec![Some(last)]].concat();
            match Past::new(scale, &series).fall(series.len() - 1, true) {
                Ok(Fall::Drop { season_milli, .. }) => Some(season_milli),
                _ => None,
            }
        };
        let posts: Vec<_> = (1..3 * rate).collect();
        season(posts.partition_point(|last| season(*last).is_some()) as u32)
    };
    assert_eq!((30..300).filter_map(weakest).max(), Some(-6_000));
}
