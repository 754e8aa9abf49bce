//! Keeps a connection up: connects, waits after a failure, connects again.
//!
//! A source brings a client, which makes one connection and reads until it ends. Waiting, back-off, the
//! limit on connects and reporting are done here, the same for every source.

mod read_ahead;
mod reception;

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::backoff::{Backoff, Pace};
use crate::intake::{Change, Intake, Resume};
use crate::source::{Clock, SourceError};

pub(crate) use read_ahead::{Dead, ReadAhead, Received, Watchdog};
pub(crate) use reception::Reception;

/// A connection that lasted this long was a good one: after it, waits start from the shortest again.
pub(crate) const GOOD_SPELL: Duration = Duration::from_secs(60);
/// Longest sleep without a look at the clock, which may be set meanwhile.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);
/// Longest wait for a time of the clock before trying again: the clock may have been wrong.
const LONGEST_CLOCK_WAIT: Duration = Duration::from_secs(3600);

/// Becomes true when it is time to stop.
#[derive(Clone, Debug)]
pub struct Stop(Option<watch::Receiver<bool>>);

impl Stop {
    /// Stops when the value is `true`.
    #[must_use]
    pub fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(Some(receiver))
    }

    /// Never stops.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// Whether it is time.
    #[must_use]
    pub fn is_now(&self) -> bool {
        self.0.as_ref().is_some_and(|receiver| *receiver.borrow())
    }

    /// Waits until it is time; forever when nothing is left to signal it.
    pub async fn wait(&mut self) {
        if let Some(receiver) = &mut self.0
            && receiver.wait_for(|stop| *stop).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

/// Makes connections to one server.
pub(crate) trait Client: Send {
    /// Connects, reads and hands on until the connection ends. It calls [`Link::connected`] once the connection
    /// is open.
    fn connect(&mut self, link: &mut Link<'_>) -> impl Future<Output = End> + Send;

    /// Called after each connection, before its last flush. Returns where the source would continue.
    fn ended(&mut self, _intake: &mut dyn Intake) -> Option<Resume> {
        None
    }
}

/// Why a connection ended or could not be made.
#[derive(Debug)]
pub(crate) enum End {
    /// Another attempt may succeed, after a wait.
    Retry(String, Wait),
    /// It was time to stop.
    Stopped,
    /// Only a person can solve it.
    Failed(SourceError),
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wait {
    /// Longer each time.
    Paced(Pace),
    /// This long.
    For(Duration),
    /// Until the clock shows this time in milliseconds.
    Until(i64),
}

/// How many connects a server allows in a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectLimit {
    pub(crate) connects: usize,
    pub(crate) within: Duration,
}

/// What a client works with during a connection.
pub(crate) struct Link<'a> {
    pub(crate) intake: &'a mut dyn Intake,
    pub(crate) stop: Stop,
    /// Failed attempts since the last good spell, up to this connection.
    failures: u32,
    connects: &'a mut VecDeque<Instant>,
    connected: &'a mut Option<Instant>,
}

impl Link<'_> {
    /// A connect that counts for the server's limit starts now.
    pub(crate) fn connecting(&mut self) {
        self.connects.push_back(Instant::now());
    }

    /// Failed attempts since the last good spell, which this connection may have been.
    pub(crate) fn failures(&self) -> u32 {
        if is_good_spell(*self.connected) { 0 } else { self.failures }
    }

    /// The connection is open.
    pub(crate) fn connected(&mut self) {
        *self.connected = Some(Instant::now());
        self.intake.change(Change::Connected);
    }
}

/// Runs connections of one client, one after the other.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) clock: Clock,
    pub(crate) jitter: fn() -> f64,
    pub(crate) limit: Option<ConnectLimit>,
}

impl Session {
    /// Keeps a connection up until only a person can solve the problem, or until `stop`, when there is no error.
    pub(crate) async fn run<C: Client>(
        &self,
        client: &mut C,
        intake: &mut dyn Intake,
        mut stop: Stop,
    ) -> Option<SourceError> {
        let (mut backoff, mut failures) = (Backoff::default(), 0);
        let (mut connects, mut connected) = (VecDeque::new(), None::<Instant>);
        loop {
            let mut link = Link {
                intake: &mut *intake,
                stop: stop.clone(),
                failures,
                connects: &mut connects,
                connected: &mut connected,
            };
            let end = client.connect(&mut link).await;
            if is_good_spell(connected.take()) {
                backoff.reset();
                failures = 0;
            }
            let (reason, wait) = match end {
                End::Retry(reason, wait) => (reason, wait),
                End::Stopped => {
                    let resume = client.ended(intake);
                    intake.flush(resume).await;
                    return None;
                }
                End::Failed(error) => {
                    intake.flush(None).await;
                    return Some(error);
                }
            };
            failures = failures.saturating_add(1);
            let least = self.until_connect(&mut connects);
            let (wait, is_by_clock) = match wait {
                Wait::Paced(pace) => (backoff.next(pace, (self.jitter)()), false),
                Wait::For(wait) => (wait, false),
                Wait::Until(time_ms) => (until(time_ms, (self.clock)()).min(LONGEST_CLOCK_WAIT), true),
            };
            let wait = wait.max(least);
            intake.change(Change::Waiting { reason, retry_in: wait });
            let resume = client.ended(intake);
            intake.flush(resume).await;
            tokio::select! {
                () = self.sleep(wait, if is_by_clock { least } else { wait }) => (),
                () = stop.wait() => return None,
            }
        }
    }

    /// How long until the server allows another connect.
    fn until_connect(&self, connects: &mut VecDeque<Instant>) -> Duration {
        let Some(ConnectLimit { connects: most, within }) = self.limit else { return Duration::ZERO };
        while connects.front().is_some_and(|at| at.elapsed() >= within) {
            connects.pop_front();
        }
        if connects.len() < most {
            return Duration::ZERO;
        }
        connects.front().map_or(Duration::ZERO, |at| within.saturating_sub(at.elapsed()))
    }

    /// Sleeps by tokio's timers; after `least` no longer than until the clock, which may be set, shows
    /// that the time has come.
    async fn sleep(&self, wait: Duration, least: Duration) {
        let until_ms = (self.clock)().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let end = Instant::now() + wait;
        tokio::time::sleep(least).await;
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(until(until_ms, (self.clock)()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_AT_CLOCK)).await;
        }
    }
}

/// From `now_ms` until `time_ms`, both in milliseconds; nothing when that is past.
pub(crate) fn until(time_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(time_ms.saturating_sub(now_ms)).unwrap_or(0))
}

fn is_good_spell(connected: Option<Instant>) -> bool {
    connected.is_some_and(|since| since.elapsed() >= GOOD_SPELL)
}
