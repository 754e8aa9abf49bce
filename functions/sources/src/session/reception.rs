//! Until when a stream that cannot be resumed was received, and the gap when it is connected again.
//!
//! The clock may be set at any time. A timer that is never set knows how long a connection of this run was
//! lost, and bounds the clock.

use std::time::Duration;

use tokio::time::Instant;

use super::{GOOD_SPELL, until};

/// Gaps are reported for this much of the past; before it no one was watching. In milliseconds.
const LONGEST_GAP_MS: i64 = 86_400_000;

/// A time until which the stream was received.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// In milliseconds, by a clock that may have been set since.
    time_ms: i64,
    /// By a timer that is never set; none for an earlier run.
    at: Option<Instant>,
}

/// Until when the stream was received.
#[derive(Clone, Debug)]
pub(crate) struct Reception {
    /// A post is delivered within about this time: what was posted just before the connection broke may
    /// be missing, too. In milliseconds.
    latency_ms: i64,
    last: Option<Last>,
    /// The server sends again what came after `last`, and has not done so yet.
    owed_until: Option<Instant>,
}

impl Reception {
    /// Of a stream that an earlier run received until `last_ms`.
    pub(crate) fn new(latency_ms: i64, last_ms: Option<i64>) -> Self {
        Self { latency_ms, last: last_ms.map(|time_ms| Last { time_ms, at: None }), owed_until: None }
    }

    /// The stream was received until then, if nothing before is owed. The clock may have gone back since
    /// the last call.
    pub(crate) fn received(&mut self, time_ms: i64, at: Instant) {
        if self.owed_until.is_none_or(|until| Instant::now() >= until) {
            self.last = Some(Last { time_ms, at: Some(at) });
        }
    }

    /// Until when the stream was received, in milliseconds.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.last.map(|last| last.time_ms)
    }

    /// The stream is connected again, and the server sends what was posted in the last `covered_ms`. Returns
    /// the first and last time, in milliseconds, of what is missing for good.
    pub(crate) fn connected(&mut self, now_ms: i64, covered_ms: i64) -> Option<(i64, i64)> {
        self.owed_until = None;
        let Some(last) = self.last else {
            self.received(now_ms, Instant::now());
            return None;
        };
        let away = last.at.map_or(Duration::ZERO, |at| at.elapsed());
        let last_ms = last.time_ms.min(now_ms - i64::try_from(away.as_millis()).unwrap_or(0));
        let from_ms = (last_ms - self.latency_ms).max(now_ms - LONGEST_GAP_MS);
        let gap = (now_ms - from_ms > covered_ms).then(|| {
            // What the server sends again is assumed to start a little later than requested.
            let to_ms = if covered_ms > 0 { now_ms - covered_ms + self.latency_ms } else { now_ms };
            // The next gap starts where this one ends.
            let time_ms = to_ms + self.latency_ms;
            self.last = Some(Last { time_ms, at: Instant::now().checked_sub(until(now_ms, time_ms)) });
            (from_ms, to_ms)
        });
        self.owed_until = (covered_ms > 0).then(|| Instant::now() + GOOD_SPELL);
        self.received(now_ms, Instant::now());
        gap
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LATENCY_MS: i64 = 7000;
    const NOW_MS: i64 = 1_700_000_000_000;

    #[test]
    fn a_first_connection_has_no_gap() {
        assert_eq!(Reception::new(LATENCY_MS, None).connected(NOW_MS, 0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_what_the_server_does_not_send_again() {
        let mut reception = Reception::new(LATENCY_MS, Some(NOW_MS - 600_000));
        assert_eq!(reception.connected(NOW_MS, 300_000), Some((NOW_MS - 607_000, NOW_MS - 293_000)));
        // Nothing of the five minutes has come: without them, the next gap starts where that one ended.
        assert_eq!(reception.connected(NOW_MS, 0), Some((NOW_MS - 293_000, NOW_MS)));
        let mut reception = Reception::new(LATENCY_MS, Some(NOW_MS - 60_000));
        assert_eq!(reception.connected(NOW_MS, 300_000), None, "all of it comes again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_bounds_a_clock_that_was_set_back() {
        let mut reception = Reception::new(LATENCY_MS, None);
        reception.received(NOW_MS, Instant::now());
        tokio::time::sleep(Duration::from_secs(100)).await;
        let now_ms = NOW_MS - 3_600_000;
        assert_eq!(reception.connected(now_ms, 0), Some((now_ms - 107_000, now_ms)));
    }

    proptest! {
        // Rule 3.9.
        /// Gaps of one run lie one after the other, none is longer than a day, and together with what comes again
        /// they cover the time from the last reception to now.
        #[test]
        fn gaps_cover_what_was_missed_and_no_more(
            away_ms in 0i64..200_000_000, covered_ms in prop_oneof![Just(0i64), 60_000i64..300_000],
        ) {
            let mut reception = Reception::new(LATENCY_MS, Some(NOW_MS - away_ms));
            let gap = reception.connected(NOW_MS, covered_ms);
            prop_assert_eq!(gap.is_some(), away_ms.min(LONGEST_GAP_MS - LATENCY_MS) + LATENCY_MS > covered_ms);
            if let Some((from_ms, to_ms)) = gap {
                prop_assert!(from_ms <= to_ms + LATENCY_MS && to_ms <= NOW_MS);
                prop_assert!(from_ms == (NOW_MS - away_ms - LATENCY_MS).max(NOW_MS - LONGEST_GAP_MS));
                prop_assert!(to_ms >= NOW_MS - covered_ms);
            }
        }
    }
}
