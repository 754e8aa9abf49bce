use serde::{Deserialize, Serialize};

use super::{Scale, rule};

/// What one series has reported so far: small enough to be stored with the series.
///
/// Sums overlap and bursts take time, so one burst has a high score in many windows. It is one event: opened by the
/// first report, going on while the score stays high, and ended when it was low for half an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracker {
    /// Score of the last report, in thousandths. It halves every three hours.
    pub peak_milli: i64,
    /// Window of the last report.
    pub peak_at: i64,
    /// The event that has not ended.
    pub open: Option<Open>,
}

/// An event that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Window of the first report.
    pub since: i64,
    /// Last window with a score of at least half of the threshold.
    pub last_high: i64,
}

/// What a window means for the event of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is going on.
    Quiet,
    /// An event starts with this window: report it.
    Opened,
    /// The event goes on. `higher`: its score is above all that was reported before.
    GoesOn {
        /// Whether this is the event's highest score so far.
        higher: bool,
    },
    /// The event ended; its last window is `last`.
    Ended {
        /// The last window with a high score.
        last: i64,
    },
}

impl Tracker {
    /// The peak of earlier reports as it is at window `at`, in thousandths.
    #[must_use]
    pub fn decayed_milli(&self, scale: Scale, at: i64) -> i64 {
        let half = scale.windows(rule::HALF_LIFE_MINUTES) as i64;
        let age = at.saturating_sub(self.peak_at).max(0);
        let (halves, rest) = (age / half, age % half);
        if halves >= 62 {
            return 0;
        }
        // Between two halves, along a line.
        (i128::from(self.peak_milli >> halves) * i128::from(2 * half - rest) / i128::from(2 * half)) as i64
    }

    /// Takes the score of window `at` (its number: start divided by the window size) into account. Windows must come in
    /// order; those without a score are left out.
    pub fn advance(&mut self, scale: Scale, at: i64, score_milli: i64, theta_milli: i64) -> Step {
        let higher = score_milli >= theta_milli && score_milli > self.decayed_milli(scale, at);
        if higher {
            (self.peak_milli, self.peak_at) = (score_milli, at);
        }
        match &mut self.open {
            None if higher => {
                self.open = Some(Open { since: at, last_high: at });
                Step::Opened
            }
            None => Step::Quiet,
            Some(open) if score_milli >= theta_milli / 2 => {
                open.last_high = at;
                Step::GoesOn { higher }
            }
            Some(open) if at.saturating_sub(open.last_high) >= scale.windows(rule::END_MINUTES) as i64 => {
                let last = open.last_high;
                self.open = None;
                Step::Ended { last }
            }
            Some(_) => Step::GoesOn { higher: false },
        }
    }
}
