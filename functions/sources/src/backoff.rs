//! Waits between attempts that grow until there was success for a while.
//!
//! ```
//! use std::time::Duration;
//!
//! use birdsong_sources::backoff::{Backoff, Pace};
//!
//! const RETRY: Pace = Pace::doubling(Duration::from_millis(100), Duration::from_secs(5)).full_jitter();
//! let mut backoff = Backoff::default();
//! assert_eq!(backoff.next(RETRY, 1.0), Duration::from_millis(100));
//! assert_eq!(backoff.next(RETRY, 0.5), Duration::from_millis(100), "half of 200 ms");
//! backoff.reset();
//! assert_eq!(backoff.next(RETRY, 1.0), Duration::from_millis(100));
//! ```

use std::time::Duration;

/// Without full jitter, waits are longer by up to this share, so that clients which lost their connections together
/// do not come back together.
const JITTER: f64 = 0.25;

/// How fast the waits after one kind of failure grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    first: Duration,
    cap: Duration,
    is_linear: bool,
    /// The first attempt comes at once.
    is_first_free: bool,
    /// A wait is anything from nothing to its full length.
    has_full_jitter: bool,
}

impl Pace {
    /// None at first, then `step` longer each time, up to `cap`.
    #[must_use]
    pub const fn linear(step: Duration, cap: Duration) -> Self {
        Self { first: step, cap, is_linear: true, is_first_free: true, has_full_jitter: false }
    }

    /// `first`, then twice as long each time, up to `cap`.
    #[must_use]
    pub const fn doubling(first: Duration, cap: Duration) -> Self {
        Self { first, cap, is_linear: false, is_first_free: false, has_full_jitter: false }
    }

    /// None at first, then as [`Pace::doubling`].
    #[must_use]
    pub const fn doubling_after_one(first: Duration, cap: Duration) -> Self {
        Self { is_first_free: true, ..Self::doubling(first, cap) }
    }

    /// The same, but each wait is anything from nothing to its full length: for many that retry against one service
    /// of ours. Otherwise jitter lengthens a wait by up to a quarter, as a foreign server asks for a least wait.
    #[must_use]
    pub const fn full_jitter(self) -> Self {
        Self { has_full_jitter: true, ..self }
    }

    /// The wait after this many earlier waits; `jitter` is a number from 0 to 1.
    fn wait(self, earlier: u32, jitter: f64) -> Duration {
        if self.is_first_free && earlier == 0 {
            return Duration::ZERO;
        }
        let n = earlier - u32::from(self.is_first_free);
        let factor = if self.is_linear { n + 1 } else { 1u32.checked_shl(n).unwrap_or(u32::MAX) };
        let share = if self.has_full_jitter { jitter } else { 1.0 + JITTER * jitter };
        self.first.saturating_mul(factor).min(self.cap).mul_f64(share)
    }
}

/// How often each pace was used since the last good spell.
#[derive(Clone, Debug, Default)]
pub struct Backoff(Vec<(Pace, u32)>);

impl Backoff {
    /// The next wait of this pace; `jitter` is a random number from 0 to 1.
    pub fn next(&mut self, pace: Pace, jitter: f64) -> Duration {
        let at = self.0.iter().position(|(other, _)| *other == pace).unwrap_or_else(|| {
            self.0.push((pace, 0));
            self.0.len() - 1
        });
        let waits = &mut self.0[at].1;
        let wait = pace.wait(*waits, jitter);
        *waits = waits.saturating_add(1);
        wait
    }

    /// After success: each pace starts from its first wait.
    pub fn reset(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn waits_grow_to_their_cap_and_start_again() {
        let linear = Pace::linear(ms(250), ms(600));
        let doubling = Pace::doubling(ms(5000), ms(320_000));
        let mut backoff = Backoff::default();
        assert_eq!([0; 4].map(|_| backoff.next(linear, 0.0)), [ms(0), ms(250), ms(500), ms(600)]);
        let waits = [0; 8].map(|_| backoff.next(doubling, 0.0).as_secs());
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 320], "a pace is independent");
        backoff.reset();
        assert_eq!(backoff.next(linear, 1.0), ms(0));
        assert_eq!(backoff.next(linear, 1.0), ms(312) + Duration::from_micros(500));
        let after_one = Pace::doubling_after_one(ms(5000), ms(320_000));
        assert_eq!([0; 3].map(|_| backoff.next(after_one, 0.0)), [ms(0), ms(5000), ms(10_000)]);
        let full = doubling.full_jitter();
        assert_eq!([1.0, 0.5, 0.0].map(|jitter| backoff.next(full, jitter)), [ms(5000), ms(5000), ms(0)]);
    }

    proptest! {
        #[test]
        fn no_wait_is_shorter_than_the_one_before_or_longer_than_the_cap(
            first in 1u64..10_000, more in 0u64..1_000_000, jitter in 0.0f64..=1.0, kind in 0..3, tries in 1u32..200,
        ) {
            let (first, cap) = (ms(first), ms(first + more));
            let pace = [Pace::linear, Pace::doubling, Pace::doubling_after_one][kind as usize](first, cap);
            let mut backoff = Backoff::default();
            let mut before = Duration::ZERO;
            for _ in 0..tries {
                let wait = backoff.next(pace, jitter);
                prop_assert!(wait >= before && wait <= cap.mul_f64(1.0 + JITTER));
                before = wait;
            }
        }
    }
}
