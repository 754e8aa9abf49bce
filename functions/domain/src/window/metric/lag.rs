//! Time between a post and the cut of its frame.

use super::{Context, Metric, put_counts, take_counts};
use crate::frame::SlimPost;
use crate::wire::{DecodeError, Reader};

/// Lags between posts of live sources and the cuts of their frames. A negative one, which comes from clocks that
/// differ, counts as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Sum in milliseconds.
    pub sum_ms: u64,
    /// Largest, in milliseconds.
    pub max_ms: u64,
    /// Number of posts with a lag.
    pub count: u64,
}

impl Metric for Lag {
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn post(&mut self, post: &SlimPost, context: &Context) {
        if context.is_live {
            let lag_ms = u64::try_from(context.cut_ms - post.time_ms).unwrap_or(0);
            self.sum_ms += lag_ms;
            self.max_ms = self.max_ms.max(lag_ms);
            self.count += 1;
        }
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        self.sum_ms += other.sum_ms;
        self.max_ms = self.max_ms.max(other.max_ms);
        self.count += other.count;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_counts(out, &[self.sum_ms, self.max_ms, self.count]);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [sum_ms, max_ms, count] = take_counts(reader)?;
        Ok(Self { sum_ms, max_ms, count })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, counted};
    use super::*;

    #[test]
    fn a_live_post_has_a_lag_of_at_least_zero() {
        let posts = [1000, 3000, 6000].map(|time_ms| SlimPost { time_ms, ..SlimPost::default() });
        let mut lag: Lag = counted(&posts, 5000);
        assert_eq!(lag, Lag { sum_ms: 6000, max_ms: 4000, count: 3 });
        lag.merge(&counted(&posts[1..2], 9000), true);
        assert_eq!(lag, Lag { sum_ms: 12_000, max_ms: 6000, count: 4 });
        lag.post(&posts[0], &Context { is_live: false, ..context(5000) });
        assert_eq!(lag.count, 4, "that of an archive has none");
    }
}
