//! Times in which a source was disconnected, written into the windows while they last.
//!
//! A source that reconnects reports its gaps. One that does not reports nothing, and
//! windows of other sources would look complete. So as long as a source waits:
//!
//! - What it cannot get any more counts as missed at once, by a ledger note every ten seconds. Without a
//!   resume point that is the whole wait; with one it is the part beyond the source's reach
//!   (X's backfill, the retention of Jetstream's hosts).
//! - What it may still get counts as missed only when it falls out of reach, or when the source reports
//!   it as missed.
//! - Nothing counts twice: a gap that the source reports is reduced by what was noted before, also after a
//!   restart.
//! - A first wait of less than ten seconds, as at each start, does not count.

use std::time::Duration;

use birdsong_domain::ports::Settings;
use tokio::time::Instant;

/// How often missed time is stored at most.
const MISSED_EVERY: Duration = Duration::from_secs(60);
/// Least time that is noted at once, in milliseconds.
const LEAST_MS: i64 = 10_000;
/// No source reports gaps that are longer ago, in milliseconds.
const KEPT_MS: i64 = 2 * 86_400_000;
/// Times that are remembered.
const MAX_NOTED: usize = 100;

/// From and to, in milliseconds.
pub(crate) type Span = (i64, i64);

/// What of a source's time was missed, and what of that is noted.
#[derive(Debug, Default)]
pub(crate) struct Unheard {
    is_waiting: bool,
    /// Begin of the wait, or of what of it is not noted yet.
    since_ms: Option<i64>,
    /// Something of this wait is noted.
    is_noted: bool,
    /// In order, without overlap.
    noted: Vec<Span>,
    is_changed: bool,
}

impl Unheard {
    /// A source that starts to wait, and what was noted of it before.
    pub(crate) fn new(noted: Vec<Span>) -> Self {
        let mut all = Self { is_waiting: true, ..Self::default() };
        noted.into_iter().for_each(|span| _ = all.note(span));
        all.is_changed = false;
        all
    }

    /// The source is not connected.
    pub(crate) fn waits(&mut self, now_ms: i64) {
        if !self.is_waiting {
            (self.is_waiting, self.since_ms, self.is_noted) = (true, Some(now_ms), false);
        }
    }

    /// Advances the time and returns what is to be noted now: `reach_ms` is how far back the source may still get
    /// what it missed.
    pub(crate) fn tick(&mut self, now_ms: i64, reach_ms: i64) -> Vec<Span> {
        if !self.is_waiting {
            return vec![];
        }
        let until_ms = now_ms.saturating_sub(reach_ms);
        // The clock may have gone back.
        let since_ms = self.since_ms.map_or(now_ms, |since_ms| since_ms.min(now_ms));
        self.since_ms = Some(since_ms);
        if until_ms.saturating_sub(since_ms) < LEAST_MS {
            return vec![];
        }
        (self.since_ms, self.is_noted) = (Some(until_ms), true);
        self.note((since_ms, until_ms))
    }

    /// The source is connected. Gives what is left of the wait, if something of it was noted.
    pub(crate) fn listens(&mut self, now_ms: i64, reach_ms: i64) -> Vec<Span> {
        let since_ms = self.since_ms.take().filter(|_| self.is_waiting && self.is_noted);
        self.is_waiting = false;
        since_ms.map_or_else(Vec::new, |since_ms| self.note((since_ms, now_ms.saturating_sub(reach_ms))))
    }

    /// Notes a time. Gives what of it was not noted before.
    pub(crate) fn note(&mut self, (from_ms, to_ms): Span) -> Vec<Span> {
        if from_ms >= to_ms {
            return vec![];
        }
        let (mut left, mut at_ms) = (vec![], from_ms);
        let (mut joined, mut others) = ((from_ms, to_ms), vec![]);
        for &(from, to) in &self.noted {
            if to < from_ms || from > to_ms {
                others.push((from, to));
                continue;
            }
            joined = (joined.0.min(from), joined.1.max(to));
            if from > at_ms {
                left.push((at_ms, from));
            }
            at_ms = at_ms.max(to);
        }
        if at_ms < to_ms {
            left.push((at_ms, to_ms));
        }
        if !left.is_empty() {
            others.push(joined);
            others.sort_unstable();
            others.retain(|(_, to)| *to >= to_ms.saturating_sub(KEPT_MS));
            let old = others.len().saturating_sub(MAX_NOTED);
            self.noted = others.split_off(old);
            self.is_changed = true;
        }
        left
    }

    /// What is noted, when that has changed since the last call.
    pub(crate) fn changed(&mut self) -> Option<&[Span]> {
        std::mem::take(&mut self.is_changed).then_some(&*self.noted)
    }
}

fn unheard_key(source: &str) -> String {
    format!("unheard:{source}")
}

/// A source's missed time, stored for the next run.
pub(crate) struct Missed {
    pub(crate) unheard: Unheard,
    written: Option<Instant>,
}

impl Missed {
    /// Reads what an earlier run stored. Without what cannot be read, a gap that the source reports may count in full.
    pub(crate) async fn load<S: Settings>(settings: &S, source: &str) -> Self {
        let noted = match settings.setting(&unheard_key(source)).await {
            Ok(text) => text.and_then(|text| serde_json::from_str::<Vec<Span>>(&text).ok()).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(source, "the stored record of missed time cannot be read: {error}");
                vec![]
            }
        };
        Self { unheard: Unheard::new(noted), written: None }
    }

    pub(crate) async fn store<S: Settings>(&mut self, settings: &S, source: &str, at_once: bool) {
        if !at_once && self.written.is_some_and(|at| at.elapsed() < MISSED_EVERY) {
            return;
        }
        let Some(noted) = self.unheard.changed() else { return };
        self.written = Some(Instant::now());
        let text = serde_json::to_string(noted).unwrap_or_default();
        if let Err(error) = settings.set_setting(&unheard_key(source), &text).await {
            tracing::warn!(source, "the record of missed time could not be written: {error}");
        }
    }
}

// Rule 3.9.
#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_domain::ports::PortError;
    use proptest::prelude::*;

    fn sum(spans: &[Span]) -> i64 {
        spans.iter().map(|(from, to)| to - from).sum()
    }

    #[test]
    fn a_source_that_never_connects_misses_all_of_its_time_while_that_is_current() {
        let mut unheard = Unheard::new(vec![]);
        let mut missed_ms = 0;
        for second in 0..=600 {
            missed_ms += sum(&unheard.tick(second * 1000, 0));
            assert!(second * 1000 - missed_ms < 10_000 + 1000, "{second}: {missed_ms}");
        }
        assert_eq!(sum(&unheard.listens(605_000, 0)), 5000);
        assert_eq!(unheard.tick(700_000, 0), [], "it listens");
    }

    #[test]
    fn the_moment_until_the_first_connection_is_no_gap() {
        let mut unheard = Unheard::new(vec![]);
        assert_eq!(unheard.tick(0, 0), []);
        assert_eq!(unheard.tick(9000, 0), []);
        assert_eq!(unheard.listens(9900, 0), []);
    }

    #[test]
    fn what_can_still_be_got_is_not_missed() {
        let mut unheard = Unheard::new(vec![]);
        assert_eq!(unheard.listens(0, i64::MAX), []);
        unheard.waits(1000);
        unheard.waits(5000);
        assert_eq!(unheard.tick(300_000, i64::MAX), []);
        assert_eq!(unheard.tick(310_000, 300_000), [], "9 s out of reach");
        assert_eq!(unheard.tick(320_000, 300_000), [(1000, 20_000)]);
        assert_eq!(unheard.listens(330_000, 300_000), [(20_000, 30_000)]);
        // The source reports all of it.
        assert_eq!(unheard.note((-6000, 37_000)), [(-6000, 1000), (30_000, 37_000)]);
    }

    #[test]
    fn times_that_touch_are_one() {
        let mut unheard = Unheard::new(vec![]);
        for (from, to) in [(0, 10), (20, 30), (10, 20), (31, 40)] {
            assert_eq!(unheard.note((from, to)), [(from, to)]);
        }
        assert_eq!(unheard.noted, [(0, 30), (31, 40)]);
        assert_eq!(unheard.note((5, 5)), [], "no time");
        assert_eq!(unheard.note((0, 30)), [], "known");
    }

    /// Settings in memory, and how often they were written.
    #[derive(Default)]
    struct Written(std::sync::Mutex<Vec<(String, String)>>);

    impl Settings for Written {
        async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
            Ok(self.0.lock().unwrap().iter().rev().find(|(written, _)| written == key).map(|(_, value)| value.clone()))
        }

        async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
            self.0.lock().unwrap().push((key.into(), value.into()));
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn missed_time_is_stored_once_a_minute_and_at_the_end() {
        let settings = Written::default();
        let mut missed = Missed::load(&settings, "a").await;
        missed.store(&settings, "a", true).await;
        let mut written = vec![];
        for second in 0..=130 {
            missed.unheard.note((second * 1000, second * 1000 + 1000));
            missed.store(&settings, "a", false).await;
            if settings.0.lock().unwrap().len() > written.len() {
                written.push(second);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(written, [0, 60, 120]);
        missed.store(&settings, "a", true).await;
        let last = settings.0.lock().unwrap().last().cloned();
        assert_eq!(last, Some(("unheard:a".into(), "[[0,131000]]".into())), "nothing was written at the start");
        let mut again = Missed::load(&settings, "a").await;
        assert_eq!(again.unheard.note((130_000, 132_000)), [(131_000, 132_000)]);
        assert_eq!(Missed::load(&settings, "b").await.unheard.note((0, 1)), [(0, 1)], "another source");
    }

    proptest! {
        /// However times overlap, each millisecond is noted once, also after a restart from the stored state.
        #[test]
        fn nothing_is_noted_twice_and_nothing_is_left_out(
            spans in prop::collection::vec((0..1000i64, 0..200i64), 1..60), restart in 0..60usize,
        ) {
            let mut unheard = Unheard::new(vec![]);
            let mut count = vec![0; 1200];
            for (n, (from, long)) in spans.iter().enumerate() {
                if n == restart {
                    unheard = Unheard::new(unheard.noted);
                }
                for (from, to) in unheard.note((*from, from + long)) {
                    (from..to).for_each(|ms| count[ms as usize] += 1);
                }
            }
            for (ms, count) in count.iter().enumerate() {
                let is_in = spans.iter().any(|(from, long)| (*from..from + long).contains(&(ms as i64)));
                prop_assert_eq!(*count, i32::from(is_in), "{}", ms);
            }
        }
    }
}
