//! What is unusual: the rule that compares a window with the days before it, and when that is worth a report.
//!
//! Everything here is a pure function of counts. There is no clock and no floating point, so a replay gives the same
//! scores and the same events on every machine. `docs/explanation/trends.md` explains the rule and has the measured
//! figures; `make trends` measures again.
//!
//! ```
//! use birdsong_domain::time::WindowSize;
//! use birdsong_domain::trend::{Evidence, Past, Scale, Sensitivity, Step, Tracker};
//!
//! // Four days with three posts in each window of five minutes, then a burst.
//! let scale = Scale::from(WindowSize::FIVE_MINUTES);
//! let mut counts = vec![Some(3); 4 * 288];
//! counts.extend([Some(9), Some(30)]);
//! let past = Past::new(scale, &counts);
//! let score = past.score(counts.len() - 1, [Evidence::default(); 2]).expect("a baseline");
//! assert_eq!((score.observed, score.usual.expected_milli), (42, 9_000));
//! let mut tracker = Tracker::default();
//! assert!(matches!(tracker.advance(scale, 1153, score.score_milli, Sensitivity::Balanced.theta_milli()), Step::Opened));
//! ```

mod past;
mod report;
mod rule;
#[cfg(test)]
mod tests;

pub use past::{Evidence, Fall, NoScore, Past, Score, Usual, Verdict};
pub use report::{Open, Step, Tracker};
pub use rule::{MIN_POSTS, NEW_SHARE_PPM, Sensitivity};

use crate::time::WindowSize;

/// The spans of the rule in windows. A span that is shorter than a window has one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    size: WindowSize,
    /// Windows in a day.
    pub day: usize,
    /// Windows that are added up and scored: a quarter of an hour.
    pub sum: usize,
    /// Windows of the longer sum, which is scored as well: an hour.
    pub long: usize,
    /// How far around the same time of day a baseline day is read: thirty minutes each way.
    pub around: usize,
    /// The span before the sum that shows the present level: two hours.
    pub recent: usize,
}

impl From<WindowSize> for Scale {
    fn from(size: WindowSize) -> Self {
        let windows = |minutes: u32| windows(size, minutes);
        Self {
            size,
            day: windows(rule::DAY_MINUTES),
            sum: windows(rule::SUM_MINUTES),
            long: windows(rule::LONG_MINUTES),
            around: windows(rule::AROUND_MINUTES),
            recent: windows(rule::RECENT_MINUTES),
        }
    }
}

impl Scale {
    /// Length of a window.
    #[must_use]
    pub fn size(self) -> WindowSize {
        self.size
    }

    /// How many windows before the scored one its score depends on; older ones are ignored.
    #[must_use]
    pub fn history(self) -> usize {
        (rule::WIDTH_DAYS + 1) * self.day
    }

    fn windows(self, minutes: u32) -> usize {
        windows(self.size, minutes)
    }
}

fn windows(size: WindowSize, minutes: u32) -> usize {
    (minutes * 60 / size.secs()).max(1) as usize
}
