//! A clock that doubts large leaps.
//!
//! Frames carry the time at which they were cut. A clock that is in the year 2100 for some seconds would
//! open windows of that year, and every query for the newest window would return those for 74 years. So a
//! leap forward of more than an hour is doubted until a post from a source shows that others share the new
//! time, or until it has lasted ten minutes. Until then the previous time continues.
//!
//! A machine that slept, or a program that starts after a long pause, sees such a leap, too: then
//! the first post ends the doubt.

use std::time::Duration;

use birdsong_domain::time::FUTURE_LIMIT_MS;
use birdsong_sources::source::Clock;
use tokio::time::Instant;

/// A longer leap forward is doubted, in milliseconds.
const LEAP_MS: i64 = 3_600_000;
/// For this long.
const DOUBT: Duration = Duration::from_secs(600);

/// The time of a clock, as far as it is to be believed.
pub(crate) struct SteadyClock {
    clock: Clock,
    trusted_ms: i64,
    trusted_at: Instant,
    doubted: Option<Instant>,
}

impl SteadyClock {
    /// `known_ms` is a time that was certainly reached before, such as that of a stored resume point.
    pub(crate) fn new(clock: Clock, known_ms: Option<i64>) -> Self {
        let now_ms = clock();
        let trusted_ms = known_ms.map_or(now_ms, |known_ms| known_ms.min(now_ms));
        Self { clock, trusted_ms, trusted_at: Instant::now(), doubted: None }
    }

    /// The time in milliseconds.
    pub(crate) fn now_ms(&mut self) -> i64 {
        let (now_ms, expected_ms) = ((self.clock)(), self.expected_ms());
        if now_ms.saturating_sub(expected_ms) > LEAP_MS {
            let doubted = *self.doubted.get_or_insert_with(Instant::now);
            if doubted.elapsed() < DOUBT {
                return expected_ms;
            }
        }
        self.trust(now_ms);
        now_ms
    }

    /// Whether the time is not that of the clock.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted.is_some()
    }

    /// A post of this time, in milliseconds, came from a source.
    pub(crate) fn saw(&mut self, post_ms: i64) {
        if self.is_doubted() && post_ms > self.expected_ms().saturating_add(FUTURE_LIMIT_MS) {
            self.trust((self.clock)());
        }
    }

    fn expected_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.trusted_at.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.trusted_ms.saturating_add(elapsed_ms)
    }

    fn trust(&mut self, now_ms: i64) {
        (self.trusted_ms, self.trusted_at, self.doubted) = (now_ms, Instant::now(), None);
    }
}

// Rule 4.4.
#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use tokio::time::sleep;

    const START_MS: i64 = 1_700_000_000_000;
    const YEARS_74_MS: i64 = 74 * 365 * 86_400_000;

    /// A clock, and by how much it is wrong.
    fn clock() -> (Clock, Arc<AtomicI64>) {
        let (began, off_ms) = (Instant::now(), Arc::new(AtomicI64::new(0)));
        let off = off_ms.clone();
        (Arc::new(move || START_MS + began.elapsed().as_millis() as i64 + off.load(Ordering::Relaxed)), off_ms)
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_in_2100_for_a_moment_is_never_believed() {
        let (clock, off_ms) = clock();
        let mut steady = SteadyClock::new(clock, None);
        sleep(Duration::from_secs(5)).await;
        off_ms.store(YEARS_74_MS, Ordering::Relaxed);
        for second in 5..13 {
            assert_eq!((steady.now_ms(), steady.is_doubted()), (START_MS + second * 1000, true));
            steady.saw(START_MS + second * 1000 - 300);
            sleep(Duration::from_secs(1)).await;
        }
        off_ms.store(0, Ordering::Relaxed);
        assert_eq!((steady.now_ms(), steady.is_doubted()), (START_MS + 13_000, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_is_believed_when_a_post_confirms_it_or_in_the_end() {
        let (clock, off_ms) = clock();
        let mut steady = SteadyClock::new(clock.clone(), None);
        // Up to an hour, and back by any time, at once.
        for off in [3_600_000, -18_000_000] {
            off_ms.store(off, Ordering::Relaxed);
            assert_eq!((steady.now_ms(), steady.is_doubted()), (START_MS + off, false));
        }
        off_ms.store(18_000_000, Ordering::Relaxed);
        assert_eq!((steady.now_ms(), steady.is_doubted()), (START_MS - 18_000_000, true));
        // A post may be ten minutes ahead of a clock that is right.
        steady.saw(START_MS - 18_000_000 + FUTURE_LIMIT_MS);
        assert!(steady.is_doubted());
        steady.saw(START_MS + 17_999_000);
        assert_eq!((steady.now_ms(), steady.is_doubted()), (START_MS + 18_000_000, false));
        // A start a month after the last one.
        let mut steady = SteadyClock::new(clock, Some(START_MS - 30 * 86_400_000));
        steady.now_ms();
        assert!(steady.is_doubted());
        sleep(Duration::from_secs(600)).await;
        assert_eq!((steady.now_ms(), steady.is_doubted()), (START_MS + 18_600_000, false));
    }
}
