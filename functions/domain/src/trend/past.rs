use serde::{Deserialize, Serialize};

use super::{Scale, rule};

/// Counts of one series, prepared so that any of its windows can be scored fast.
///
/// A score depends on the window, the [`Scale::history`] windows before it, and nothing else. So a `Past` of fifteen
/// days gives its last window the same score as a `Past` of a year gives that window.
pub struct Past {
    scale: Scale,
    /// At `i`: sum of the counts before window `i`, and number of windows before it that are not usable.
    counts: Vec<(u64, u32)>,
    /// For the short and the long sum, at `i`: total over the windows before `i` of the squared difference between its
    /// sum and that of the day before, and number of windows that have both. The total of a long series wraps around;
    /// that of two weeks never does. Without it, each score adds up two weeks.
    differences: Option<[Vec<(u64, u32)>; 2]>,
}

/// Who wrote the posts of a sum. `None`: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Distinct authors.
    pub authors: Option<u32>,
    /// Share of the author with the most posts, in thousandths.
    pub top_author_permille: Option<u16>,
}

/// The value that is usual, and a range that contains 80 % of usual values or more. In thousandths of a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usual {
    /// Expected value.
    pub expected_milli: i64,
    /// Lower end of the range.
    pub low_milli: i64,
    /// Upper end of the range.
    pub high_milli: i64,
}

/// A window compared with the days before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// The score that decides, in thousandths: `level_milli`, or zero when `verdict` has a reason against it.
    pub score_milli: i64,
    /// Why the score counts, or does not.
    pub verdict: Verdict,
    /// Distance from what is usual, in thousandths of the far width: how much the series differs from one day to the
    /// next in two weeks, bursts included.
    pub level_milli: i64,
    /// The same distance in thousandths of the near width: how much it varies at this time of day.
    pub season_milli: i64,
    /// Windows in the sum that is scored, the last one included: a quarter of an hour, or an hour.
    pub windows: usize,
    /// Posts in that sum. Absurdly high counts are cut.
    pub observed: u64,
    /// What is usual for that sum: the value that it was compared with, and the range in which nothing is unusual.
    pub usual: Usual,
    /// Days in the baseline, before the highest is left out.
    pub good_days: u8,
    /// Share of the baseline that is missing, in thousandths.
    pub missing_permille: u16,
}

/// Why a score counts, or is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It differs from what is usual.
    Unusual,
    /// It differs less than it usually varies at this time of day. A hashtag of every day ends here.
    Usual,
    /// Too few posts to say anything.
    TooFewPosts,
    /// Fewer than three authors.
    TooFewAuthors,
    /// One author wrote more than half of the posts.
    Flooded,
}

impl Verdict {
    fn is_about_authors(self) -> bool {
        matches!(self, Self::TooFewAuthors | Self::Flooded)
    }
}

/// Why a window has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoScore {
    /// One of the windows of the sum is missing, incomplete, sampled or provisional.
    #[error("the window is not complete")]
    NotUsable,
    /// Fewer than two good days.
    #[error("no baseline yet: {good_days} good days, two are needed")]
    NoBaseline {
        /// Days that can be used.
        good_days: u8,
    },
    /// Too much of the two hours before the sum is missing.
    #[error("the two hours before are not complete")]
    NoRecent,
}

/// Whether fewer posts arrive than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fall {
    /// No.
    Usual,
    /// Far fewer than usual.
    Drop {
        /// Posts in the sum that ends with the window.
        observed: u64,
        /// What is usual for that sum.
        usual: Usual,
        /// Negative, in thousandths of the near width.
        season_milli: i64,
    },
    /// None at all.
    Silence {
        /// First window without a post, as far as it was searched.
        since: usize,
        /// Posts that are usual in the span since then, in thousandths.
        expected_milli: i64,
    },
    /// So few posts are usual that a silence would show nothing.
    CannotTell,
    /// Nothing shows that the connection was alive.
    NotProven,
}

/// Fixed point: 16 binary digits after the point.
const ONE: i128 = 1 << 16;

/// What the days before show about one span.
struct Baseline {
    /// As on other days.
    ordinary: Level,
    /// At the level of the two hours before. A series may stay at that level or be as on other days again, such as after a
    /// silence: what lies between both is usual.
    present: Level,
    good_days: u8,
    missing_permille: u16,
}

/// What is usual at one level. In fixed point; variances have 32 binary digits after the point.
struct Level {
    expected: i128,
    /// Without the least that chance brings.
    near_variance: i128,
    /// What is not known about the level, since it follows from few posts.
    level_variance: i128,
}

impl Past {
    /// Prepares the counts of a series: one a window, oldest first. `None`: the window is missing, incomplete, sampled
    /// or provisional. To score many windows, [`Past::for_many`] is faster.
    #[must_use]
    pub fn new(scale: Scale, series: &[Option<u32>]) -> Self {
        let cap = rule::MAX_MINUTE * scale.size.minutes() as u32;
        let (mut sum, mut bad) = (0u64, 0u32);
        let mut counts = Vec::with_capacity(series.len() + 1);
        counts.push((0, 0));
        for count in series {
            match count {
                Some(count) => sum += u64::from((*count).min(cap)),
                None => bad += 1,
            }
            counts.push((sum, bad));
        }
        Self { scale, counts, differences: None }
    }

    /// As [`Past::new`], with the same scores, for many windows of one series.
    #[must_use]
    pub fn for_many(scale: Scale, series: &[Option<u32>]) -> Self {
        let mut past = Self::new(scale, series);
        let running = |windows: usize| {
            let mut all = vec![(0, 0); past.counts.len().min(scale.day + windows)];
            let (mut squares, mut pairs) = (0u64, 0u32);
            all.extend(differences(&past.counts, windows, scale.day).map(|difference| {
                if let Some(square) = difference {
                    (squares, pairs) = (squares.wrapping_add(square), pairs + 1);
                }
                (squares, pairs)
            }));
            all
        };
        past.differences = Some([running(scale.sum), running(scale.long)]);
        past
    }

    /// Number of windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len() - 1
    }

    /// Whether there is no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Posts in the windows `from..to`, and how many of these are usable. What is outside of the series is not.
    fn span(&self, from: i64, to: i64) -> (u64, usize) {
        let last = self.len() as i64;
        let (low, high) = (from.clamp(0, last), to.clamp(0, last));
        if low >= high {
            return (0, 0);
        }
        let ((before, bad_before), (sum, bad)) = (self.counts[low as usize], self.counts[high as usize]);
        (sum - before, (high - low) as usize - (bad - bad_before) as usize)
    }

    /// Posts in `windows` windows that end with `at`, if all are usable.
    fn total(&self, at: i64, windows: usize) -> Option<u64> {
        let (sum, usable) = self.span(at + 1 - windows as i64, at + 1);
        (usable == windows).then_some(sum)
    }

    /// Scores the window `at`: the posts of the last quarter of an hour, and those of the last hour. The higher score
    /// counts, see [`Score`]. `evidence` is about the posts of the short sum, then of the long one.
    ///
    /// # Errors
    /// When the window, or too much of what it is compared with, is missing.
    pub fn score(&self, at: usize, evidence: [Evidence; 2]) -> Result<Score, NoScore> {
        let short = self.short(at, evidence[0])?;
        if self.scale.long == self.scale.sum {
            return Ok(short);
        }
        let at = at as i64;
        let windows = self.scale.long;
        let long = self.total(at, windows).and_then(|observed| {
            let baseline = self.baseline(at, windows).ok()?;
            Some(scored(windows, observed, &baseline, self.far_variance(at, windows), evidence[1]))
        });
        Ok(higher(short, long))
    }

    /// The score of the last quarter of an hour alone.
    fn short(&self, at: usize, evidence: Evidence) -> Result<Score, NoScore> {
        let (at, windows) = (at as i64, self.scale.sum);
        let observed = self.total(at, windows).ok_or(NoScore::NotUsable)?;
        let baseline = self.baseline(at, windows)?;
        Ok(scored(windows, observed, &baseline, self.far_variance(at, windows), evidence))
    }

    /// Scores a series that has no history of its own, such as a new hashtag. `self` is its region's total; what is
    /// usual is `share_ppm` millionths of it ([`super::NEW_SHARE_PPM`] unless more is known). `observed` are the series'
    /// own posts in the short sum that ends with `at`, and in the long one.
    ///
    /// # Errors
    /// When the region's window, or too much of what it is compared with, is missing.
    pub fn score_new(
        &self,
        at: usize,
        observed: [u64; 2],
        share_ppm: u32,
        evidence: [Evidence; 2],
    ) -> Result<Score, NoScore> {
        let at = at as i64;
        let share = i128::from(share_ppm.min(1_000_000));
        let shrink = |variance: i128| variance / 1_000_000 * share / 1_000_000 * share;
        let one = |windows: usize, observed: u64, evidence: Evidence| {
            self.total(at, windows).ok_or(NoScore::NotUsable)?;
            let Baseline { ordinary, present, good_days, missing_permille } = self.baseline(at, windows)?;
            let part = |of: Level| Level {
                expected: of.expected * share / 1_000_000,
                near_variance: shrink(of.near_variance),
                level_variance: shrink(of.level_variance),
            };
            let baseline = Baseline { ordinary: part(ordinary), present: part(present), good_days, missing_permille };
            let observed = observed.min(u64::from(rule::MAX_MINUTE) * 60);
            Ok(scored(windows, observed, &baseline, shrink(self.far_variance(at, windows)), evidence))
        };
        let short = one(self.scale.sum, observed[0], evidence[0])?;
        if self.scale.long == self.scale.sum {
            return Ok(short);
        }
        Ok(higher(short, one(self.scale.long, observed[1], evidence[1]).ok()))
    }

    /// What is usual in the windows `from..to`: for a band behind a chart. The range is the one that the rule compares
    /// with. It uses only windows before `from`.
    ///
    /// # Errors
    /// When too much of the days before is missing, or the span is empty or longer than a day.
    pub fn usual(&self, from: usize, to: usize) -> Result<Usual, NoScore> {
        let windows = to.saturating_sub(from);
        if windows == 0 || windows > self.scale.day {
            return Err(NoScore::NotUsable);
        }
        let baseline = self.baseline(to as i64 - 1, windows)?;
        Ok(baseline.usual(&baseline.present))
    }

    /// Whether far fewer posts than usual arrive up to the window `at`. `alive` says that the connection is known to
    /// have worked: otherwise missing posts show nothing about the posts.
    ///
    /// # Errors
    /// When the window, or too much of what it is compared with, is missing.
    pub fn fall(&self, at: usize, alive: bool) -> Result<Fall, NoScore> {
        let last = at as i64;
        self.total(last, self.scale.sum).ok_or(NoScore::NotUsable)?;
        if !alive {
            return Ok(Fall::NotProven);
        }
        // The span without a post. What is usual in it follows from the time before it.
        let longest = self.scale.windows(rule::SILENCE_MINUTES);
        let silent = (1..=longest).take_while(|windows| self.total(last, *windows) == Some(0)).last().unwrap_or(0);
        if silent >= self.scale.sum {
            let level = self.baseline(last, silent)?.present;
            let expected = milli(level.expected);
            if expected * (self.scale.sum as i64) < rule::MIN_EXPECTED_MILLI * silent as i64 {
                return Ok(Fall::CannotTell);
            }
            // Posts that come in clusters are silent more often.
            let scatter = (level.near_variance / level.expected.max(1)).max(ONE);
            if i128::from(expected) * ONE >= i128::from(rule::SILENCE_MILLI) * scatter {
                return Ok(Fall::Silence { since: at + 1 - silent, expected_milli: expected });
            }
            return Ok(Fall::Usual);
        }
        let mut lowest = None;
        for back in 0..rule::DROP_WINDOWS {
            let Some(at) = at.checked_sub(back) else { return Ok(Fall::Usual) };
            let score = self.short(at, Evidence::default())?;
            if score.usual.expected_milli < rule::MIN_EXPECTED_MILLI {
                return Ok(Fall::CannotTell);
            }
            if score.season_milli > -rule::DROP_MILLI {
                return Ok(Fall::Usual);
            }
            lowest = lowest.or(Some(score));
        }
        Ok(lowest.map_or(Fall::Usual, |score| Fall::Drop {
            observed: score.observed,
            usual: score.usual,
            season_milli: score.season_milli,
        }))
    }

    /// What the days before show about the span of `windows` windows that ends with `at`.
    fn baseline(&self, at: i64, windows: usize) -> Result<Baseline, NoScore> {
        let Scale { day, around, .. } = self.scale;
        let recent = self.scale.recent.max(windows);
        // The span just before, and the same span on each day.
        let before = |at: i64| {
            let end = at + 1 - windows as i64;
            let (sum, usable) = self.span(end - recent as i64, end);
            enough(usable, recent).then(|| i128::from(sum) * ONE * recent as i128 / usable as i128)
        };
        let mut days = [(0i128, 0i128, 0i128); rule::BASELINE_DAYS];
        let (mut good, mut seen) = (0usize, 0usize);
        for back in 1..=rule::BASELINE_DAYS {
            let middle = at - (back * day) as i64;
            let (mut sum, mut squares, mut usable) = (0i128, 0i128, 0usize);
            for at in middle - around as i64..=middle + around as i64 {
                if let Some(total) = self.total(at, windows) {
                    (sum, squares, usable) = (sum + i128::from(total), squares + i128::from(total).pow(2), usable + 1);
                }
            }
            seen += usable;
            if let Some(before) = before(middle).filter(|_| enough(usable, 2 * around + 1)) {
                let n = usable as i128;
                // Variance around the mean of the day, of a sample.
                let variance = (squares * n - sum * sum) * ONE * ONE / (n * (n - 1).max(1));
                days[good] = (sum * ONE / n, variance, before);
                good += 1;
            }
        }
        let good_days = good as u8;
        if good < rule::MIN_GOOD_DAYS {
            return Err(NoScore::NoBaseline { good_days });
        }
        let now = before(at).ok_or(NoScore::NoRecent)?;
        let days = &mut days[..good];
        days.sort_unstable();
        let days = &days[..good - 1];
        let n = days.len() as i128;
        let mean = days.iter().map(|day| day.0).sum::<i128>() / n;
        let within = days.iter().map(|day| day.1).sum::<i128>() / n;
        let between = days.iter().map(|day| (day.0 - mean).pow(2)).sum::<i128>() / (n - 1).max(1);
        let then = days.iter().map(|day| day.2).sum::<i128>() / n;
        let pseudo = rule::LEVEL_PSEUDO * ONE;
        let at_level = |level: i128| {
            let expected = mean * level / ONE;
            Level {
                expected,
                near_variance: within / ONE * level / ONE * level + between / 2,
                level_variance: expected * expected / (now + pseudo) * ONE,
            }
        };
        let level = ((now + pseudo) * ONE / (then + pseudo)).clamp(ONE / rule::LEVEL_LIMIT, ONE * rule::LEVEL_LIMIT);
        let all = rule::BASELINE_DAYS * (2 * around + 1);
        Ok(Baseline {
            ordinary: at_level(ONE),
            present: at_level(level),
            good_days,
            missing_permille: ((all - seen) * 1000 / all) as u16,
        })
    }

    /// Half of the mean squared difference of sums from one day to the next, over two weeks.
    fn far_variance(&self, at: i64, windows: usize) -> i128 {
        let last = self.len() as i64;
        let from = (at - (rule::WIDTH_DAYS * self.scale.day) as i64 + windows as i64).clamp(0, last);
        let to = (at - windows as i64 + 1).clamp(from, last);
        let (squares, pairs) = if let Some(running) = &self.differences {
            let running = &running[usize::from(windows != self.scale.sum)];
            let ((squares_before, pairs_before), (squares, pairs)) = (running[from as usize], running[to as usize]);
            (squares.wrapping_sub(squares_before), pairs - pairs_before)
        } else {
            let first = (from as usize).saturating_sub(self.scale.day + windows - 1);
            let counts = &self.counts[first..=to as usize];
            differences(counts, windows, self.scale.day)
                .flatten()
                .fold((0u64, 0u32), |(squares, pairs), square| (squares.wrapping_add(square), pairs + 1))
        };
        if pairs == 0 { 0 } else { i128::from(squares) * ONE * ONE / 2 / i128::from(pairs) }
    }
}

/// Squared differences between the sum of `windows` windows and that of the day before, for each window that has a
/// place a day before in `counts` (see [`Past::counts`]). `None`: one of both is not usable.
fn differences(counts: &[(u64, u32)], windows: usize, day: usize) -> impl Iterator<Item = Option<u64>> {
    let from = |window: usize| counts.get(window..).unwrap_or_default();
    let today = from(day + windows).iter().zip(from(day));
    let yesterday = from(windows).iter().zip(counts);
    today.zip(yesterday).map(|((now, now_from), (then, then_from))| {
        (now.1 - now_from.1 + then.1 - then_from.1 == 0)
            .then(|| (now.0 - now_from.0).abs_diff(then.0 - then_from.0).pow(2))
    })
}

/// Whether enough of a span is usable; never of one with nothing usable, since `of` is not 0.
fn enough(usable: usize, of: usize) -> bool {
    usable * rule::USABLE.1 >= of * rule::USABLE.0
}

/// The score that counts of a short and a long sum. When none does, the one that would, but for its authors.
fn higher(short: Score, long: Option<Score>) -> Score {
    let rank =
        |score: &Score| (score.score_milli, if score.verdict.is_about_authors() { score.level_milli } else { 0 });
    long.filter(|long| rank(long) > rank(&short)).unwrap_or(short)
}

fn milli(value: i128) -> i64 {
    (value * 1000 / ONE) as i64
}

/// The square root, with 16 binary digits after the point; at least the smallest above zero.
fn root(variance: i128) -> i128 {
    (variance.max(1) as u128).isqrt() as i128
}

impl Baseline {
    /// The value that is usual at one of the levels, and the range of both.
    fn usual(&self, at: &Level) -> Usual {
        let (ordinary, present) = (self.ordinary.range(), self.present.range());
        Usual {
            expected_milli: milli(at.expected),
            low_milli: milli(ordinary.0.min(present.0)),
            high_milli: milli(ordinary.1.max(present.1)),
        }
    }

    /// The level that is nearer to a sum, and the distance from there; 0 between both.
    fn nearer(&self, observed: u64) -> (&Level, i128) {
        let from = |level: &Level| i128::from(observed) * ONE - level.expected;
        let (ordinary, present) = (from(&self.ordinary), from(&self.present));
        let (level, distance) =
            if present.abs() <= ordinary.abs() { (&self.present, present) } else { (&self.ordinary, ordinary) };
        (level, if ordinary.signum() == present.signum() { distance } else { 0 })
    }
}

impl Level {
    /// A variance that is at least that of chance, with what is not known about the level, and one post more, so that
    /// a few posts are never far from none.
    fn width(&self, variance: i128) -> i128 {
        variance.max(self.expected * ONE) + self.level_variance + rule::EXTRA_VARIANCE * ONE * ONE
    }

    /// A range that contains 80 % of usual values.
    fn range(&self) -> (i128, i128) {
        let half = root(self.near_variance.max(self.expected * ONE) + self.level_variance) * rule::RANGE_MILLI / 1000;
        ((self.expected - half).max(0), self.expected + half)
    }
}

fn scored(windows: usize, observed: u64, baseline: &Baseline, far_variance: i128, evidence: Evidence) -> Score {
    let (level, distance) = baseline.nearer(observed);
    let widths = |variance| distance * 1000 / root(level.width(variance));
    let (season_milli, level_milli) = (widths(level.near_variance) as i64, widths(far_variance) as i64);
    let verdict = if observed < rule::MIN_POSTS {
        Verdict::TooFewPosts
    } else if season_milli < rule::GATE_MILLI {
        Verdict::Usual
    } else if evidence.top_author_permille.is_some_and(|share| share > rule::MAX_TOP_AUTHOR) {
        Verdict::Flooded
    } else if evidence.authors.is_some_and(|authors| authors < rule::MIN_AUTHORS) {
        Verdict::TooFewAuthors
    } else {
        Verdict::Unusual
    };
    Score {
        score_milli: if verdict == Verdict::Unusual { level_milli.max(0) } else { 0 },
        verdict,
        level_milli,
        season_milli,
        windows,
        observed,
        usual: baseline.usual(level),
        good_days: baseline.good_days,
        missing_permille: baseline.missing_permille,
    }
}
