//! The state of an X client beyond one connection.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::backoff::Pace;
use crate::intake::{Change, Intake, Resume};
use crate::session::{Reception, Wait, until};

use super::governor::Governor;
use super::meter::{Journal, Spent};
use super::problem::{Class, Failure};

/// Somebody else with the same token may change the rules.
const RULES_EVERY: Duration = Duration::from_secs(15 * 60);
/// How often a new cursor and what was spent are reported.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Failures in a row after which the sync of the rules is reported.
const RULES_FAILURES: u32 = 2;
/// X sends this much again at most, in milliseconds.
const LONGEST_BACKFILL_MS: i64 = 5 * 60_000;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

// docs.x.com, "handling disconnections": network errors linear by 250 ms up to 16 s, HTTP errors doubling
// from 5 s up to 320 s, rate limits doubling from a minute.
const NETWORK: Pace = Pace::linear(Duration::from_millis(250), secs(16));
const CLOSED: Pace = Pace::doubling_after_one(secs(5), secs(320));
const SERVER: Pace = Pace::doubling(secs(5), secs(320));
const OCCUPIED: Pace = Pace::doubling(secs(60), secs(15 * 60));

/// Where the source continues, stored by the streamer as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Until when, in milliseconds, the stream was received.
    pub(super) last_ms: i64,
    /// Share of the posts requested.
    pub(super) percent: u8,
    pub(super) spent: Spent,
}

/// What lives longer than a connection.
pub(super) struct State {
    pub(super) governor: Governor,
    pub(super) reception: Reception,
    pub(super) rules_due: Instant,
    pub(super) usage_due: Instant,
    pub(super) journal: Option<Arc<Mutex<Journal>>>,
    /// Failed syncs of the rules in a row.
    rules_failures: u32,
    /// What was reported as failing beside the stream.
    trouble: Option<String>,
    /// When cursor and costs were last reported.
    reported: Option<Instant>,
    /// Share that the intake knows of, in percent.
    reported_percent: u8,
}

pub(super) fn is_due(due: Instant) -> bool {
    Instant::now() >= due
}

/// How long to wait after a failure, or `None` when no wait helps.
pub(super) fn wait(class: &Class, jitter: f64, now_ms: i64) -> Option<Wait> {
    Some(match class {
        // A token that was changed is tried at once, but not forever.
        Class::Network | Class::Token => Wait::Paced(NETWORK),
        Class::Closed | Class::Rules => Wait::Paced(CLOSED),
        Class::Server => Wait::Paced(SERVER),
        Class::Occupied | Class::RateLimited(None) => Wait::Paced(OCCUPIED),
        Class::RateLimited(Some(at_ms)) => Wait::For(until(*at_ms, now_ms) + secs(1).mul_f64(1.0 + 4.0 * jitter)),
        Class::Slow => Wait::For(secs(15 * 60).mul_f64(1.0 + 0.25 * jitter)),
        Class::Refused => return None,
    })
}

impl State {
    pub(super) fn new(governor: Governor, reception: Reception, journal: Option<Arc<Mutex<Journal>>>) -> Self {
        Self {
            reported_percent: governor.percent(),
            governor,
            reception,
            rules_due: Instant::now(),
            usage_due: Instant::now(),
            journal,
            rules_failures: 0,
            trouble: None,
            reported: None,
        }
    }

    /// How long to wait after a failure, or `None` when no wait helps.
    pub(super) fn wait(&mut self, class: &Class, jitter: f64, now_ms: i64) -> Option<Wait> {
        if *class == Class::Rules {
            self.rules_due = Instant::now();
        }
        wait(class, jitter, now_ms)
    }

    /// Requests another share. A smaller one is reported before it takes effect, a larger one after.
    pub(super) fn sample(&mut self, percent: u8, now_ms: i64, intake: &mut dyn Intake) {
        self.governor.sampled(percent, now_ms);
        if percent < self.reported_percent {
            self.report_share(percent, intake);
        }
        self.rules_due = Instant::now();
    }

    fn report_share(&mut self, percent: u8, intake: &mut dyn Intake) {
        self.reported_percent = percent;
        intake.change(Change::Sampling { share: f64::from(percent) / 100.0 });
    }

    /// Writes what the journal does not have, once.
    pub(super) async fn record_once(&mut self) -> std::io::Result<()> {
        let Some(journal) = self.journal.clone() else { return Ok(()) };
        let Some(entry) = self.governor.meter().unrecorded() else { return Ok(()) };
        let (bytes, is_all) = entry.extent();
        let write = move || journal.lock().write(&entry);
        tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)??;
        self.governor.meter().recorded(bytes, is_all);
        Ok(())
    }

    /// Reports what fails beside the stream, or that it works again. The same is reported once.
    pub(super) fn trouble(&mut self, reason: Option<String>, intake: &mut dyn Intake) {
        if self.trouble != reason {
            self.trouble.clone_from(&reason);
            intake.change(Change::Trouble { reason });
        }
    }

    /// A new connection starts without a reason in the status: reports again what still fails.
    pub(super) fn repeat_trouble(&self, intake: &mut dyn Intake) {
        if let Some(reason) = self.trouble.clone() {
            intake.change(Change::Trouble { reason: Some(reason) });
        }
    }

    /// The stream continues by the rules at X. That is reported only when it lasts.
    pub(super) fn rules_failed(&mut self, failure: &Failure, intake: &mut dyn Intake) {
        self.rules_failures += 1;
        if self.rules_failures >= RULES_FAILURES {
            let reason = format!(
                "the rules at X cannot be brought up to date, the stream continues by those that are set: {}",
                failure.reason
            );
            self.trouble(Some(reason), intake);
        }
    }

    pub(super) fn rules_are_set(&mut self, percent: u8, intake: &mut dyn Intake) {
        self.rules_failures = 0;
        self.trouble(None, intake);
        // Another share may be wanted already.
        if percent == self.governor.percent() {
            self.rules_due = Instant::now() + RULES_EVERY;
            if percent != self.reported_percent {
                self.report_share(percent, intake);
            }
        }
    }

    pub(super) fn resume(&self) -> Option<Resume> {
        let last_ms = self.reception.last_ms()?;
        let cursor = Cursor { last_ms, percent: self.governor.percent(), spent: self.governor.spent().clone() };
        let cursor = serde_json::to_string(&cursor).ok()?;
        // However many minutes the next run requests.
        Some(Resume { cursor, since_ms: last_ms - LONGEST_BACKFILL_MS })
    }

    /// Reports what was spent, and returns a new cursor; both not too often, unless `at_once`.
    pub(super) fn report(&mut self, now_ms: i64, at_once: bool, intake: &mut dyn Intake) -> Option<Resume> {
        if !at_once && self.reported.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return None;
        }
        self.reported = Some(Instant::now());
        intake.change(Change::Spent { dollars: self.governor.dollars(now_ms) });
        self.resume()
    }
}
