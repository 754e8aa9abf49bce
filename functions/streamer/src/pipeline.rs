//! One live source on its way into the log.
//!
//! The source hands batches to an [`Ingest`](crate::ingest::Ingest); [`run`] cuts them into frames, keeps what the log
//! does not have in the [outbox](crate::outbox), and stores the source's resume point only when the
//! log has everything before it. Started again, it [learns](crate::recovery) from the log what was sent after that
//! point and for some time before it, so that what the source repeats counts as a duplicate.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::frame::{FrameError, Ledger};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, PortError, PostLog, Settings};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_sources::backoff::Backoff;
use birdsong_sources::source::Clock;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::SteadyClock;
use crate::cutter::{CutRules, Cutter, Origin};
use crate::ingest::{Connection, Gathered};
use crate::outbox::Outbox;
use crate::outgoing::Outgoing;
use crate::prepare::Lanes;
use crate::recovery::{ResumePoints, Start};
use crate::send::{self, RETRY};
use crate::sent::SharedSent;
use crate::status::StatusRegistry;
use crate::unheard::Missed;
use crate::unreadable::{UnreadableStore, UnreadableWriter};

/// How often the cutter looks at the clock.
const TICK: Duration = Duration::from_millis(100);
/// Pause before a spool file that cannot be read just now is retried.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// Time limit for the settings at the end.
const GOODBYE: Duration = Duration::from_millis(500);

/// What [`run`] works with.
pub struct Pipe<L, S, Q> {
    /// Name of the source.
    pub source: String,
    /// The network of its posts.
    pub network: Network,
    /// A fresh id of this run.
    pub run: String,
    /// The regions of the ingest.
    pub regions: Arc<Regions>,
    /// Length of a window.
    pub size: WindowSize,
    /// When frames are cut.
    pub rules: CutRules,
    /// Where frames go.
    pub log: Arc<L>,
    /// Where resume points are stored.
    pub settings: Arc<S>,
    /// Where unreadable lines go.
    pub unreadable: Q,
    /// Frames that wait for the log.
    pub outbox: Outbox,
    /// From [`start`](crate::recovery::start).
    pub start: Start,
    /// The posts that the log has; [`start`](crate::recovery::start) learned them.
    pub sent: SharedSent,
    /// How far back, in milliseconds, the source can fetch what it missed, once it has a resume point.
    pub reach_ms: i64,
    /// Receives status updates.
    pub status: Arc<StatusRegistry>,
    /// Milliseconds since 1970.
    pub clock: Clock,
    /// A number from 0 to 1, new at each call: spreads retries.
    pub jitter: fn() -> f64,
    /// Time limit for the log to store the rest once the source has ended.
    pub drain: Duration,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Everything since the start.
    pub ledger: Ledger,
    /// Posts dropped because the spool was full; the ledger in the log counts them, too.
    pub dropped: u64,
    /// Bytes that wait in the spool for the next start.
    pub left_bytes: u64,
    /// Bytes of frames that neither the log nor the spool has. Their posts are lost, unless the source sends them
    /// again.
    pub lost_bytes: u64,
}

/// Why a run cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A frame cannot be made.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What was sent cannot be looked up.
    #[error("the index of posts that were sent cannot be read: {0}")]
    Sent(#[from] std::io::Error),
}

type Sending = Pin<Box<dyn Future<Output = (Vec<FrameRecord>, Option<PortError>)> + Send>>;

/// Writes everything from the ingest into the log, until the ingest is dropped and the rest is sent or
/// `drain` has passed.
///
/// A log that is unavailable or refuses is retried without limit: an operator can repair it,
/// and until then frames wait in the outbox. Unreadable lines that cannot be stored go into the
/// program's log.
///
/// # Errors
/// When frames cannot be made, or the index of posts that were sent cannot be read.
pub async fn run<L, S, Q>(pipe: Pipe<L, S, Q>, mut inbox: mpsc::Receiver<Gathered>) -> Result<Ended, RunError>
where
    L: PostLog + 'static,
    S: Settings,
    Q: UnreadableStore,
{
    let (settings, source) = (pipe.settings.clone(), pipe.source.clone());
    let mut points = ResumePoints { settings: &*settings, source: &source, newest: None, written: None };
    let mut pipeline = Pipeline::new(pipe).await;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pipeline.send_next();
        pipeline.report();
        if pipeline.is_done() {
            break;
        }
        tokio::select! {
            // At the end, what the source gathered is accepted in any case: it is bounded.
            gathered = inbox.recv(), if pipeline.has_room(inbox.is_closed()) => match gathered {
                Some(gathered) => pipeline.on_gathered(gathered).await?,
                None => pipeline.on_source_end()?,
            },
            (left, error) = async { match pipeline.sending.as_mut() {
                Some(sending) => sending.await,
                None => std::future::pending().await,
            } } => {
                pipeline.on_sent(left, error, &mut points);
                points.write(false).await;
            }
            _ = ticks.tick() => {
                pipeline.on_tick()?;
                points.write(false).await;
                pipeline.missed.store(&*settings, &source, false).await;
            }
        }
    }
    // An aborted append may have been carried out; its frames are sent again then, and the
    // aggregator folds each of them once.
    pipeline.sending = None;
    // Locked settings must not delay the end. Without the newest point, posts that come again are duplicates.
    let _ = tokio::time::timeout(GOODBYE, async {
        points.write(true).await;
        pipeline.missed.store(&*settings, &source, true).await;
    })
    .await;
    Ok(pipeline.end())
}

/// A run of one source.
struct Pipeline<L, Q> {
    source: String,
    log: Arc<L>,
    status: Arc<StatusRegistry>,
    clock: Clock,
    jitter: fn() -> f64,
    drain: Duration,
    reach_ms: i64,
    /// The source has a resume point, by an earlier run or this one.
    has_resume: bool,
    steady: SteadyClock,
    /// When the cutter last looked at the clock, in milliseconds.
    last_ms: i64,
    unreadable: UnreadableWriter<Q>,
    missed: Missed,
    cutter: Cutter,
    outgoing: Outgoing,
    sending: Option<Sending>,
    /// Pauses before the log is retried.
    backoff: Backoff,
    /// When to send next.
    retry_at: Instant,
    /// Why the log does not have what it should.
    problem: Option<String>,
    /// The source has ended: the deadline for the rest.
    end_by: Option<Instant>,
}

impl<L: PostLog + 'static, Q: UnreadableStore> Pipeline<L, Q> {
    async fn new<S: Settings>(pipe: Pipe<L, S, Q>) -> Self {
        let point = &pipe.start.point;
        let has_resume = point.resume.is_some();
        let mut steady = SteadyClock::new(pipe.clock.clone(), has_resume.then_some(point.at_ms));
        let last_ms = steady.now_ms();
        let missed = Missed::load(&*pipe.settings, &pipe.source).await;
        let origin = Origin { source: pipe.source.clone(), run: pipe.run, live: true, connected_ms: last_ms };
        let mut cutter = Cutter::new(origin, pipe.rules, pipe.size, Lanes::new(&pipe.regions, pipe.network), pipe.sent);
        cutter.disconnected();
        Self {
            source: pipe.source,
            log: pipe.log,
            status: pipe.status,
            clock: pipe.clock,
            jitter: pipe.jitter,
            drain: pipe.drain,
            reach_ms: pipe.reach_ms,
            has_resume,
            steady,
            last_ms,
            unreadable: UnreadableWriter::new(pipe.unreadable),
            missed,
            cutter,
            outgoing: Outgoing::new(pipe.outbox),
            sending: None,
            backoff: Backoff::default(),
            retry_at: Instant::now(),
            problem: None,
            end_by: None,
        }
    }

    /// Starts to send the oldest cut, when nothing is being sent.
    fn send_next(&mut self) {
        if self.sending.is_some() || Instant::now() < self.retry_at {
            return;
        }
        match self.outgoing.front() {
            Some(records) => self.sending = Some(Box::pin(append(self.log.clone(), records))),
            None if !self.outgoing.outbox.is_empty() => self.retry_at = Instant::now() + READ_AGAIN,
            None => (),
        }
    }

    /// Updates the status.
    fn report(&self) {
        let mut ledger = self.cutter.ledger();
        ledger.dropped += self.outgoing.dropped;
        let (waiting_bytes, beat_ms) = (self.outgoing.outbox.waiting_bytes(), (self.clock)());
        let problems = [&self.problem, &self.outgoing.problem, &self.unreadable.problem];
        let current = problems.into_iter().flatten().next();
        self.status.change(&self.source, |entry| {
            (entry.ledger, entry.waiting_bytes, entry.beat_ms) = (ledger, waiting_bytes, beat_ms);
            if entry.state.problem.as_ref() != current {
                entry.state.problem = current.cloned();
            }
        });
    }

    /// The source has ended, and the rest is in the log or its deadline has passed.
    fn is_done(&self) -> bool {
        self.end_by.is_some_and(|by| self.outgoing.outbox.is_empty() || Instant::now() >= by)
    }

    fn has_room(&self, is_closed: bool) -> bool {
        self.end_by.is_none() && (self.outgoing.outbox.has_room() || is_closed)
    }

    fn reach_ms(&self) -> i64 {
        if self.has_resume { self.reach_ms } else { 0 }
    }

    async fn on_gathered(&mut self, gathered: Gathered) -> Result<(), RunError> {
        let reach_ms = self.reach_ms();
        if let Some(newest_ms) = gathered.batch.newest_ms() {
            self.steady.saw(newest_ms);
        }
        let now_ms = self.steady.now_ms();
        self.has_resume |= gathered.resume.is_some();
        let lines = gathered.batch.quarantined();
        if !lines.is_empty() {
            self.unreadable.keep(&self.source, lines, self.jitter).await;
        }
        let frames = &mut self.outgoing.frames;
        let mut gaps = vec![];
        for gap in gathered.gaps {
            gaps.extend(self.missed.unheard.note(gap));
        }
        match gathered.connection {
            Some(Connection::Since(since_ms)) => gaps.extend(self.missed.unheard.listens(since_ms, reach_ms)),
            Some(Connection::Lost) => self.missed.unheard.waits(now_ms),
            None => (),
        }
        for (from_ms, to_ms) in gaps {
            self.cutter.gap(from_ms, to_ms, frames);
        }
        for (share, at_ms) in gathered.shares {
            self.cutter.sampling(share, at_ms, frames);
        }
        match gathered.connection {
            Some(Connection::Since(since_ms)) => self.cutter.connected(since_ms),
            Some(Connection::Lost) => self.cutter.disconnected(),
            None => (),
        }
        self.cutter.take(&gathered.batch, now_ms, frames)?;
        self.outgoing.resume = gathered.resume.or(self.outgoing.resume.take());
        Ok(self.outgoing.push(&self.cutter)?)
    }

    /// Nothing is left to repeat what waits here.
    fn on_source_end(&mut self) -> Result<(), RunError> {
        self.cutter.cut(self.steady.now_ms(), &mut self.outgoing.frames);
        self.end_by = Some(Instant::now() + self.drain);
        Ok(self.outgoing.push(&self.cutter)?)
    }

    /// The log answered: it lacks these frames of the oldest cut.
    fn on_sent<S>(&mut self, left: Vec<FrameRecord>, error: Option<PortError>, points: &mut ResumePoints<'_, S>) {
        self.sending = None;
        match error {
            None => {
                if self.problem.is_some() {
                    tracing::info!(source = self.source, "the log accepts frames again");
                }
                self.backoff.reset();
                self.problem = None;
            }
            Some(error) => {
                let now = format!("the log does not accept frames: {error}");
                // Once, and again when the reason is another.
                if self.problem.as_ref() != Some(&now) {
                    let waiting_bytes = self.outgoing.outbox.waiting_bytes();
                    tracing::warn!(source = self.source, waiting_bytes, "{now}; trying again");
                }
                self.problem = Some(now);
                self.retry_at = Instant::now() + self.backoff.next(RETRY, (self.jitter)());
            }
        }
        let point = self.outgoing.settle(left);
        points.newest = point.or(points.newest.take());
    }

    fn on_tick(&mut self) -> Result<(), RunError> {
        let (now_ms, reach_ms, is_open) = (self.steady.now_ms(), self.reach_ms(), self.end_by.is_none());
        let frames = &mut self.outgoing.frames;
        if is_open {
            if now_ms < self.last_ms - 1000 {
                // The clock went back: what waits must not wait until it is there again.
                self.cutter.cut(now_ms, frames);
            } else if !self.steady.is_doubted() || !self.cutter.is_drained() {
                self.cutter.tick(now_ms, frames);
            }
            if !self.steady.is_doubted() {
                for (from_ms, to_ms) in self.missed.unheard.tick(now_ms, reach_ms) {
                    self.cutter.gap(from_ms, to_ms, frames);
                }
            }
        }
        self.last_ms = now_ms;
        // The times of a lost file are unknown: the present window reports missing posts.
        if self.outgoing.outbox.take_damaged() > 0 && is_open {
            self.cutter.gap(now_ms - 1, now_ms, &mut self.outgoing.frames);
        }
        self.outgoing.push(&self.cutter)?;
        self.outgoing.park_again();
        Ok(())
    }

    /// Writes the rest to the spool, and reports what is in neither log nor spool.
    fn end(mut self) -> Ended {
        self.outgoing.park();
        let lost_bytes = self.outgoing.outbox.memory_bytes();
        if lost_bytes > 0 {
            let reason = self.outgoing.problem.as_deref().unwrap_or("there is no spool");
            tracing::error!(
                source = self.source,
                lost_bytes,
                "posts are lost, as neither the log nor the spool could be written: {reason}"
            );
        }
        // The loop has exited: clear the heartbeat, so that the source does not look stuck.
        self.status.change(&self.source, |entry| entry.beat_ms = 0);
        let left_bytes = self.outgoing.outbox.waiting_bytes() - lost_bytes;
        Ended { ledger: self.cutter.ledger(), dropped: self.outgoing.dropped, left_bytes, lost_bytes }
    }
}

async fn append<L: PostLog>(log: Arc<L>, records: Vec<FrameRecord>) -> (Vec<FrameRecord>, Option<PortError>) {
    let outcomes = send::append(&*log, &records).await;
    let (mut left, mut error) = (vec![], None);
    for (record, outcome) in records.into_iter().zip(outcomes) {
        if let Err(e) = outcome {
            // The first one: that of a ledger may only report that it waits.
            error.get_or_insert(e);
            left.push(record);
        }
    }
    (left, error)
}
