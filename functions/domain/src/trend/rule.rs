//! The constants of the rule. They are round on purpose: `make trends` shows what they reach, and
//! `docs/explanation/trends.md` how little it changes when they do.

use serde::{Deserialize, Serialize};

pub(super) const DAY_MINUTES: u32 = 24 * 60;
pub(super) const SUM_MINUTES: u32 = 15;
pub(super) const LONG_MINUTES: u32 = 60;
pub(super) const AROUND_MINUTES: u32 = 30;
pub(super) const RECENT_MINUTES: u32 = 120;

/// Days before the scored window that show what is usual at its time of day. The highest is left out.
pub(super) const BASELINE_DAYS: usize = 7;
/// Days with enough usable windows that a baseline needs.
pub(super) const MIN_GOOD_DAYS: usize = 2;
/// Days over which the usual difference from one day to the next is measured.
pub(super) const WIDTH_DAYS: usize = 14;
/// A baseline day, or the span that shows the level, counts when at least this share of it is usable.
pub(super) const USABLE: (usize, usize) = (3, 4);
/// Posts that are added to both sides of the level, so that it is steady for rare series.
pub(super) const LEVEL_PSEUDO: i128 = 8;
/// How much the level may raise or lower the baseline: by this factor.
pub(super) const LEVEL_LIMIT: i128 = 3;
/// Posts that are added to each variance.
pub(super) const EXTRA_VARIANCE: i128 = 1;

/// A window is unusual only when it differs by this many near widths (the season score), in thousandths.
pub(super) const GATE_MILLI: i64 = 5_000;
/// Fewest posts in the sum.
pub const MIN_POSTS: u64 = 5;
/// Fewest distinct authors of the sum, where they are known.
pub(super) const MIN_AUTHORS: u32 = 3;
/// Largest share of one author, in thousandths, where it is known.
pub(super) const MAX_TOP_AUTHOR: u16 = 500;

/// The share of all posts of a region that a hashtag without a history is taken to have: a thousandth.
pub const NEW_SHARE_PPM: u32 = 1_000;

/// A drop has a season score of minus this in [`DROP_WINDOWS`] windows in a row.
pub(super) const DROP_MILLI: i64 = 6_000;
pub(super) const DROP_WINDOWS: usize = 3;
/// Where fewer posts are expected in the sum, a drop or a silence cannot be detected. In thousandths.
pub(super) const MIN_EXPECTED_MILLI: i64 = 3_000;
/// Posts that were expected in a span without any, in thousandths, to call it a silence; more by the factor by which
/// the series scatters more than chance.
pub(super) const SILENCE_MILLI: i64 = 12_000;
/// Longest span that is searched for a silence.
pub(super) const SILENCE_MINUTES: u32 = 6 * 60;

/// Half the width of a range that contains 80 % of a normal distribution, in thousandths of a standard deviation.
pub(super) const RANGE_MILLI: i128 = 1_282;

/// The peak of earlier reports halves in this time.
pub(super) const HALF_LIFE_MINUTES: u32 = 3 * 60;
/// An event ends when its score was below half of the threshold for this time.
pub(super) const END_MINUTES: u32 = 30;

/// Posts of a minute above this are taken as this: 4,369 a second. Then no sum of squares of two weeks overflows 64 bits.
pub(super) const MAX_MINUTE: u32 = 1 << 18;

/// How much must happen before it is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// Few reports.
    Strict,
    /// The default, at which the figures are measured.
    #[default]
    Balanced,
    /// More reports, and more of them by chance.
    Sensitive,
}

impl Sensitivity {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sensitive, Self::Balanced, Self::Strict];

    /// The name in parameters of the API and in the regions file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Balanced => "balanced",
            Self::Sensitive => "sensitive",
        }
    }

    /// Reads what [`Sensitivity::as_str`] wrote.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sensitivity| sensitivity.as_str() == name)
    }

    /// The score from which on a window is reported, in thousandths.
    #[must_use]
    pub fn theta_milli(self) -> i64 {
        match self {
            Self::Strict => 7_000,
            Self::Balanced => 4_000,
            Self::Sensitive => 3_000,
        }
    }
}
