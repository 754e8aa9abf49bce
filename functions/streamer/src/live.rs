//! One live source on its way into the log.
//!
//! The source hands batches to a [`Feeder`]; [`run`] cuts them into frames, keeps what the log does
//! not have in the [outbox](crate::outbox), and writes the source's resume point down only when the
//! log has everything before it. Started again, it learns from the log what was sent behind that
//! point and for some time before it, so that what the source repeats counts as a duplicate.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::frame::{Frame, FrameError, Ledger};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, PortError, PostLog, ReadFrom, Settings};
use birdsong_domain::post::SourcePost;
use birdsong_domain::region::Regions;
use birdsong_domain::status::{SourceState, SourceStatus};
use birdsong_domain::time::{WindowSize, is_future, rfc3339};
use birdsong_sources::live::{Change, Clock, Intake, Resume};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::SteadyClock;
use crate::cutter::{CutFrame, CutRules, Cutter, Origin};
use crate::durable::blocking;
use crate::originals::Originals;
use crate::outbox::{Cut, Dropped, Outbox, OutboxLimits, ResumePoint};
use crate::prepare::{Batch, Lanes};
use crate::quarantine::Quarantined;
use crate::send;
use crate::sent::{Learner, SharedSent};
use crate::unheard::{Span, Unheard};

/// Batches between source and cutter; behind them the source waits.
const INBOX: usize = 8;
/// How often the cutter looks at the clock.
const TICK: Duration = Duration::from_millis(100);
/// First and longest wait before the log is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often it is tried to keep unreadable lines: 0.7 s at most, as the end must not wait for it longer.
const ASIDE_TRIES: u32 = 4;
/// How often a resume point is written down at most.
const RESUME_EVERY: Duration = Duration::from_secs(10);
/// How often it is written down what time was missed.
const MISSED_EVERY: Duration = Duration::from_secs(60);
/// The log's clock, ours and the source's differ by less than this, in milliseconds.
const CLOCK_MARGIN_MS: i64 = 60_000;
/// A source may deliver a post again for this long, in milliseconds: X delivers each version of a post, which may
/// be edited for half an hour; newer Jetstream hosts start up to an hour before the cursor (jetstream#343).
pub const REPEATS_MS: i64 = 75 * 60_000;
/// How long it takes until the spool is tried again that could not be written.
const PARK_AGAIN: Duration = Duration::from_secs(1);
/// How long the settings may take at the end.
const GOODBYE: Duration = Duration::from_millis(500);
/// Records read at a time when learning what was sent.
const PAGE: usize = 256;

/// How all sources of a streamer do, for whoever asks.
#[derive(Debug, Default)]
pub struct Board(Mutex<Vec<Standing>>);

/// How one source does.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// As the API tells it.
    pub state: SourceState,
    /// Newest event time of its posts, in milliseconds.
    pub newest_ms: Option<i64>,
    /// Since the start. What a full spool gave up counts as dropped, and as sent before that.
    pub ledger: Ledger,
    /// Bytes of frames that the log does not have yet.
    pub waiting_bytes: u64,
    /// When [`run`] last went round, in milliseconds; it does many times a second. 0 before and after.
    pub beat_ms: i64,
}

impl Board {
    /// All sources, in the order in which they first told something.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        self.0.lock().clone()
    }

    /// The states alone.
    #[must_use]
    pub fn states(&self) -> Vec<SourceState> {
        self.standings().into_iter().map(|standing| standing.state).collect()
    }

    /// Changes what is told of `source`.
    pub fn tell(&self, source: &str, change: impl FnOnce(&mut SourceState)) {
        self.stand(source, |standing| change(&mut standing.state));
    }

    /// A source is over until the next start: it does not let us in, or it failed.
    pub fn stopped(&self, source: &str, reason: String) {
        self.stand(source, |standing| {
            standing.state.status = SourceStatus::Stopped;
            standing.state.reason = Some(reason);
            standing.state.connected_since_ms = None;
        });
    }

    fn stand(&self, source: &str, change: impl FnOnce(&mut Standing)) {
        let mut all = self.0.lock();
        let at = all.iter().position(|standing| standing.state.source == source).unwrap_or_else(|| {
            let state = SourceState { source: source.into(), ..SourceState::default() };
            all.push(Standing { state, ..Standing::default() });
            all.len() - 1
        });
        change(&mut all[at]);
    }
}

/// What a source handed on.
#[derive(Debug, Default)]
pub struct Gathered {
    batch: Batch,
    resume: Option<Resume>,
    /// Times in which posts may have been missed, in milliseconds.
    gaps: Vec<(i64, i64)>,
    /// Shares of the posts that are asked for, and since when, in milliseconds.
    shares: Vec<(f64, i64)>,
    /// Since when the source is connected, or `None` while it is not; when that changed.
    connection: Option<Option<i64>>,
}

/// The end of the pipe that a source fills.
pub struct Feeder {
    source: Arc<str>,
    regions: Arc<Regions>,
    lanes: Lanes,
    clock: Clock,
    board: Arc<Board>,
    gathered: Gathered,
    originals: Originals,
    unreadable: u64,
    was_connected: bool,
    /// On this connection.
    is_replay_told: bool,
    out: mpsc::Sender<Gathered>,
}

/// A feeder for the source of this name, whose posts are of `network`, and what [`run`] takes from it. `originals` are those of the
/// start.
#[must_use]
pub fn feeder(
    source: &str,
    network: Network,
    regions: &Arc<Regions>,
    clock: &Clock,
    board: &Arc<Board>,
    originals: Originals,
) -> (Feeder, mpsc::Receiver<Gathered>) {
    let (out, inbox) = mpsc::channel(INBOX);
    let now_ms = clock();
    board.tell(source, |state| _ = state.waiting_since_ms.get_or_insert(now_ms));
    let feeder = Feeder {
        source: source.into(),
        regions: regions.clone(),
        lanes: Lanes::new(regions, network),
        clock: clock.clone(),
        board: board.clone(),
        gathered: Gathered::default(),
        originals,
        unreadable: 0,
        was_connected: false,
        is_replay_told: false,
        out,
    };
    (feeder, inbox)
}

impl Feeder {
    /// The source is over until the next start: nobody listens from now on. The feeder must be kept, so
    /// that the windows of this time show it.
    pub async fn is_over(&mut self) {
        self.gathered.connection = Some(None);
        let now_ms = (self.clock)();
        self.board.tell(&self.source, |state| _ = state.waiting_since_ms.get_or_insert(now_ms));
        self.flush(None).await;
    }
}

impl Intake for Feeder {
    fn post(&mut self, post: &SourcePost<'_>) {
        if is_future(post.time_ms, (self.clock)()) {
            let time = rfc3339(post.time_ms);
            return self.unreadable(format!("its time {time} is more than ten minutes ahead of our clock"), b"");
        }
        self.gathered.batch.add_with(&self.regions, &self.lanes, post, &mut self.originals);
    }

    fn notice(&mut self) {
        self.gathered.batch.add_notice();
    }

    fn unreadable(&mut self, reason: String, bytes: &[u8]) {
        self.unreadable += 1;
        let line = Quarantined::new(&self.source, self.unreadable, reason, bytes);
        self.gathered.batch.add_unreadable(line);
    }

    async fn flush(&mut self, resume: Option<Resume>) {
        self.gathered.resume = resume;
        let gathered = std::mem::take(&mut self.gathered);
        if let Some(newest_ms) = gathered.batch.newest_ms() {
            self.board.stand(&self.source, |standing| {
                let newest_ms = standing.newest_ms.map_or(newest_ms, |before| before.max(newest_ms));
                standing.newest_ms = Some(newest_ms);
                standing.state.last_post_ms = Some(newest_ms);
            });
        }
        if self.out.send(gathered).await.is_err() {
            // The runner is gone and says why.
            std::future::pending::<()>().await;
        }
    }

    fn change(&mut self, change: Change) {
        let now_ms = (self.clock)();
        let source = &*self.source;
        match &change {
            Change::Connected => {
                tracing::info!(source, "connected");
                self.is_replay_told = false;
                self.gathered.connection = Some(Some(now_ms));
            }
            Change::Waiting { reason, retry_in } => {
                let retry_in_secs = (retry_in.as_secs_f64() * 10.0).round() / 10.0;
                tracing::warn!(source, retry_in_secs, "not connected: {reason}");
                self.gathered.connection = Some(None);
            }
            Change::Gap { from_ms, to_ms, reason } => {
                let (from, to) = (rfc3339(*from_ms), rfc3339(*to_ms));
                tracing::warn!(source, from, to, "posts may be missing: {reason}");
                self.gathered.gaps.push((*from_ms, *to_ms));
            }
            Change::Sampling { share } => {
                if *share < 1.0 {
                    tracing::warn!(source, share, "only a share of the posts is asked for");
                } else {
                    tracing::info!(source, "all posts are asked for");
                }
                self.gathered.shares.push((*share, now_ms));
            }
            Change::Replayed { events } => {
                if !std::mem::replace(&mut self.is_replay_told, true) {
                    tracing::warn!(
                        source,
                        events,
                        "the host sends events from before the resume point, they are dropped"
                    );
                }
            }
            Change::Trouble { reason: Some(reason) } => tracing::warn!(source, "{reason}"),
            Change::Trouble { reason: None } => tracing::info!(source, "what failed beside the stream works again"),
            Change::Spent { .. } => (),
        }
        let is_reconnect = self.was_connected;
        self.was_connected |= change == Change::Connected;
        self.board.tell(source, |state| match change {
            Change::Connected => {
                state.status = SourceStatus::Connected;
                state.reason = None;
                state.connected_since_ms = Some(now_ms);
                state.waiting_since_ms = None;
                state.reconnects += u64::from(is_reconnect);
            }
            Change::Waiting { reason, .. } => {
                state.status = SourceStatus::Waiting;
                state.reason = Some(reason);
                state.connected_since_ms = None;
                state.waiting_since_ms.get_or_insert(now_ms);
            }
            Change::Gap { .. } => state.gaps += 1,
            Change::Replayed { events } => state.replayed += events,
            Change::Sampling { share } => state.sampled = (share < 1.0).then_some(share),
            Change::Trouble { reason } => state.reason = reason,
            Change::Spent { dollars } => state.spent_dollars = Some(dollars),
        });
    }
}

/// Keeps lines that could not be read.
pub trait Aside: Send {
    /// Keeps lines; they are safe once it returns `Ok`.
    fn keep(&mut self, lines: &[Quarantined]) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// What [`run`] works with.
pub struct Pipe<L, S, Q> {
    /// Name of the source.
    pub source: String,
    /// Where its posts were published.
    pub network: Network,
    /// A fresh id of this run.
    pub run: String,
    /// The regions of the feeder.
    pub regions: Arc<Regions>,
    /// Length of a window.
    pub size: WindowSize,
    /// When frames are cut.
    pub rules: CutRules,
    /// Where frames go.
    pub log: Arc<L>,
    /// Where resume points are kept.
    pub settings: Arc<S>,
    /// Where unreadable lines go.
    pub aside: Q,
    /// Frames that wait for the log.
    pub outbox: Outbox,
    /// From [`start`].
    pub start: Start,
    /// The posts that the log has; [`start`] learned them.
    pub sent: SharedSent,
    /// How far back, in milliseconds, the source can get what it missed, once it has a resume point.
    pub reach_ms: i64,
    /// Told how it goes.
    pub board: Arc<Board>,
    /// Milliseconds since 1970.
    pub clock: Clock,
    /// A number from 0 to 1, anew at each call: spreads retries.
    pub jitter: fn() -> f64,
    /// How long the log may take for the rest once the source has ended.
    pub drain: Duration,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Everything since the start.
    pub ledger: Ledger,
    /// Posts given up because the spool was full; the ledger in the log says so, too.
    pub dropped: u64,
    /// Bytes that wait in the spool for the next start.
    pub left_bytes: u64,
    /// Bytes of frames that neither the log nor the spool has. Their posts are lost, unless the source sends them
    /// again.
    pub lost_bytes: u64,
}

/// Where a source goes on.
#[derive(Debug)]
pub struct Start {
    /// Everything before this is in the log or waits in the outbox.
    pub point: ResumePoint,
    /// Posts whose reposts may come.
    pub originals: Originals,
}

fn resume_key(source: &str) -> String {
    format!("resume:{source}")
}

fn unheard_key(source: &str) -> String {
    format!("unheard:{source}")
}

/// Finds out where a source goes on, and what is known of the posts that the log and the outbox have received
/// since and for [`REPEATS_MS`] before. `originals` posts at least are remembered that a repost without words may
/// pass on; 0 for a source that has none of these.
///
/// # Errors
/// When the settings cannot be read or written, or the log, the outbox's files or the index not be read.
pub async fn start<L: PostLog, S: Settings>(
    log: &L,
    settings: &S,
    source: &str,
    outbox: &Outbox,
    sent: &SharedSent,
    originals: usize,
    now_ms: i64,
) -> Result<Start, PortError> {
    let key = resume_key(source);
    let mut originals = Originals::new(source, originals);
    let mut point = ResumePoint { resume: None, at_ms: now_ms };
    match settings.setting(&key).await? {
        Some(text) => match serde_json::from_str(&text) {
            Ok(stored) => point = stored,
            Err(error) => {
                tracing::error!(source, "the resume point is damaged, the source goes on from now: {error}");
            }
        },
        // When this run crashes before it has a resume point, the next one learns what it sent.
        None => save_resume(settings, source, &point).await?,
    }
    // The clock may have been wrong then.
    let from_ms = point.at_ms.min(now_ms).saturating_sub(REPEATS_MS + CLOCK_MARGIN_MS);
    let (mut learner, unreadable) = learn_log(log, Some(from_ms), sent, &mut originals, now_ms, |_| ()).await?;
    if unreadable > 0 {
        tracing::warn!(source, unreadable, "records of the log are damaged: posts in them that come again count again");
    }
    let spooled = outbox
        .learn(&mut learner, &mut sent.lock(), &mut originals, now_ms)
        .map_err(|error| PortError::Unavailable { what: "the spool folder", reason: error.to_string() })?;
    recover(log, learner, source).await?;
    Ok(Start { point: spooled.unwrap_or(point), originals })
}

/// Writes down where a source goes on.
///
/// # Errors
/// When the settings cannot be written.
pub async fn save_resume<S: Settings>(settings: &S, source: &str, point: &ResumePoint) -> Result<(), PortError> {
    let text = serde_json::to_string(point)
        .map_err(|error| PortError::Corrupt { what: resume_key(source), reason: error.to_string() })?;
    settings.set_setting(&resume_key(source), &text).await
}

/// Remembers all posts that the log has, for a run of `source`. `progress` gets the number of records read. Gives the
/// number of records that cannot be read: their posts are not known, and count again when they are sent again.
///
/// # Errors
/// When the log or the index cannot be read, or the log not be written.
pub async fn learn_all<L: PostLog>(
    log: &L,
    source: &str,
    sent: &SharedSent,
    now_ms: i64,
    progress: impl Fn(u64),
) -> Result<u64, PortError> {
    let (learner, unreadable) = learn_log(log, None, sent, &mut Originals::default(), now_ms, progress).await?;
    recover(log, learner, source).await?;
    Ok(unreadable)
}

/// Appends the ledgers that earlier runs of the source left out when they crashed.
async fn recover<L: PostLog>(log: &L, learner: Learner, source: &str) -> Result<(), PortError> {
    let missing = learner
        .finish(source)
        .map_err(|error| PortError::Corrupt { what: "a ledger of a crashed run".into(), reason: error.to_string() })?;
    if missing.is_empty() {
        return Ok(());
    }
    tracing::info!(
        source,
        cuts = missing.len(),
        "an earlier run ended before it could write its ledger: writing it now"
    );
    log.append(&missing).await.into_iter().try_for_each(|outcome| outcome.map(drop))
}

/// Reads the records that arrived since `from_ms`, or all.
async fn learn_log<L: PostLog>(
    log: &L,
    from_ms: Option<i64>,
    sent: &SharedSent,
    originals: &mut Originals,
    now_ms: i64,
    progress: impl Fn(u64),
) -> Result<(Learner, u64), PortError> {
    let (mut read, mut unreadable, mut learner) = (0, 0, Learner::default());
    for shard in log.shards().await? {
        let mut from = from_ms.map_or(ReadFrom::Oldest, ReadFrom::Time);
        loop {
            let records = log.read(&shard, &from, PAGE).await?;
            let Some(last) = records.last() else { break };
            from = ReadFrom::After(last.sequence.clone());
            let mut index = sent.lock();
            for record in &records {
                let frame = Frame::of(record);
                unreadable += u64::from(frame.damage.is_some());
                if frame.header.run.is_empty() {
                    continue;
                }
                originals.learn(&frame);
                learner.read(&frame, &mut index, now_ms).map_err(|error| PortError::Unavailable {
                    what: "the index of posts that were sent",
                    reason: error.to_string(),
                })?;
            }
            read += records.len() as u64;
            progress(read);
        }
    }
    Ok((learner, unreadable))
}

/// Why a run cannot go on.
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

/// Brings what the feeder hands on into the log, until the feeder is dropped and the rest is sent or
/// `drain` is over.
///
/// A log that is away, or refuses, is tried again for as long as it takes: an operator can mend it,
/// and until then frames wait in the outbox. Unreadable lines that cannot be put aside go into the
/// program's own log.
///
/// # Errors
/// When frames cannot be made, or the index of posts that were sent cannot be read.
pub async fn run<L, S, Q>(pipe: Pipe<L, S, Q>, mut inbox: mpsc::Receiver<Gathered>) -> Result<Ended, RunError>
where
    L: PostLog + 'static,
    S: Settings,
    Q: Aside,
{
    let Pipe { source, log, settings, aside, outbox, reach_ms, board, clock, jitter, drain, .. } = pipe;
    let mut keeper = Keeper { aside, is_away: false, problem: None };
    let point = &pipe.start.point;
    let mut has_resume = point.resume.is_some();
    let mut steady = SteadyClock::new(clock.clone(), has_resume.then_some(point.at_ms));
    let mut last_ms = steady.now_ms();
    let mut missed = Missed::load(&*settings, &source).await;
    let origin = Origin { source: source.clone(), run: pipe.run, live: true, connected_ms: last_ms };
    let mut cutter = Cutter::new(origin, pipe.rules, pipe.size, Lanes::new(&pipe.regions, pipe.network), pipe.sent);
    cutter.disconnected();
    let mut hold = Hold { outbox, frames: vec![], resume: None, dropped: 0, problem: None, park_at: Instant::now() };
    let mut sending: Option<Sending> = None;
    let (mut wait, mut retry_at) = (RETRY.0, Instant::now());
    let mut points = ResumePoints { settings: &*settings, source: &source, newest: None, written: None };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut end_by: Option<Instant> = None;
    // Why the log does not have what it should.
    let mut problem = None;
    loop {
        if sending.is_none() && Instant::now() >= retry_at {
            match hold.front() {
                Some(records) => sending = Some(Box::pin(append(log.clone(), records))),
                // A file that cannot be read just now.
                None if !hold.outbox.is_empty() => retry_at = Instant::now() + RETRY.1,
                None => (),
            }
        }
        let reach_ms = if has_resume { reach_ms } else { 0 };
        let (mut ledger, waiting_bytes, beat_ms) = (cutter.ledger(), hold.outbox.waiting_bytes(), clock());
        ledger.dropped += hold.dropped;
        let current = [&problem, &hold.problem, &keeper.problem].into_iter().flatten().next();
        board.stand(&source, |standing| {
            (standing.ledger, standing.waiting_bytes, standing.beat_ms) = (ledger, waiting_bytes, beat_ms);
            if standing.state.problem.as_ref() != current {
                standing.state.problem = current.cloned();
            }
        });
        if let Some(by) = end_by
            && (hold.outbox.is_empty() || Instant::now() >= by)
        {
            break;
        }
        tokio::select! {
            // At the end, what the source gathered is taken in any case: it is bounded.
            gathered = inbox.recv(), if end_by.is_none() && (hold.outbox.has_room() || inbox.is_closed()) => {
                match gathered {
                    Some(gathered) => {
                        if let Some(newest_ms) = gathered.batch.newest_ms() {
                            steady.saw(newest_ms);
                        }
                        let now_ms = steady.now_ms();
                        has_resume |= gathered.resume.is_some();
                        let unreadable = gathered.batch.quarantined();
                        if !unreadable.is_empty() {
                            keeper.keep(&source, unreadable, jitter).await;
                        }
                        let mut gaps = vec![];
                        for gap in gathered.gaps {
                            gaps.extend(missed.unheard.note(gap));
                        }
                        match gathered.connection {
                            Some(Some(since_ms)) => gaps.extend(missed.unheard.listens(since_ms, reach_ms)),
                            Some(None) => missed.unheard.waits(now_ms),
                            None => (),
                        }
                        for (from_ms, to_ms) in gaps {
                            cutter.gap(from_ms, to_ms, &mut hold.frames);
                        }
                        for (share, at_ms) in gathered.shares {
                            cutter.sampling(share, at_ms, &mut hold.frames);
                        }
                        match gathered.connection {
                            Some(Some(since_ms)) => cutter.connected(since_ms),
                            Some(None) => cutter.disconnected(),
                            None => (),
                        }
                        cutter.take(&gathered.batch, now_ms, &mut hold.frames)?;
                        hold.resume = gathered.resume.or(hold.resume.take());
                    }
                    None => {
                        // Nothing is left to repeat what waits here.
                        cutter.cut(steady.now_ms(), &mut hold.frames);
                        end_by = Some(Instant::now() + drain);
                    }
                }
                hold.keep(&cutter)?;
            }
            (left, error) = async { match sending.as_mut() {
                Some(sending) => sending.await,
                None => std::future::pending().await,
            } } => {
                sending = None;
                match error {
                    None => {
                        if problem.is_some() {
                            tracing::info!(source, "the log takes frames again");
                        }
                        (wait, problem) = (RETRY.0, None);
                    }
                    Some(error) => {
                        let now = format!("the log does not take frames: {error}");
                        // Once, and again when the reason is another.
                        if problem.as_ref() != Some(&now) {
                            let waiting_bytes = hold.outbox.waiting_bytes();
                            tracing::warn!(source, waiting_bytes, "{now}; trying again");
                        }
                        problem = Some(now);
                        retry_at = Instant::now() + wait.mul_f64(jitter());
                        wait = (wait * 2).min(RETRY.1);
                    }
                }
                let point = hold.settle(left);
                points.newest = point.or(points.newest.take());
                points.write(false).await;
            }
            _ = ticks.tick() => {
                let now_ms = steady.now_ms();
                if end_by.is_some() {
                    // Nothing is cut any more.
                } else if now_ms < last_ms - 1000 {
                    // The clock went back: what waits must not wait until it is there again.
                    cutter.cut(now_ms, &mut hold.frames);
                } else if !steady.is_doubted() || !cutter.is_drained() {
                    cutter.tick(now_ms, &mut hold.frames);
                }
                if end_by.is_none() && !steady.is_doubted() {
                    for (from_ms, to_ms) in missed.unheard.tick(now_ms, reach_ms) {
                        cutter.gap(from_ms, to_ms, &mut hold.frames);
                    }
                }
                last_ms = now_ms;
                // Nobody knows which time a lost file was of: the present window says that posts are missing.
                if hold.outbox.take_damaged() > 0 && end_by.is_none() {
                    cutter.gap(now_ms - 1, now_ms, &mut hold.frames);
                }
                hold.keep(&cutter)?;
                hold.park_again();
                points.write(false).await;
                missed.store(&*settings, &source, false).await;
            }
        }
    }
    // An append that is given up may have been carried out; its frames are sent again then, and the
    // aggregator takes each of them once.
    drop(sending);
    // Settings that are locked must not hold up the end. Without the newest point, posts that come again are duplicates.
    let _ = tokio::time::timeout(GOODBYE, async {
        points.write(true).await;
        missed.store(&*settings, &source, true).await;
    })
    .await;
    hold.park();
    let lost_bytes = hold.outbox.memory_bytes();
    if lost_bytes > 0 {
        let reason = hold.problem.as_deref().unwrap_or("there is no spool");
        tracing::error!(
            source,
            lost_bytes,
            "posts are lost, as neither the log nor the spool could be written: {reason}"
        );
    }
    // Nothing goes round any more, and nothing is stuck.
    board.stand(&source, |standing| standing.beat_ms = 0);
    let left_bytes = hold.outbox.waiting_bytes() - lost_bytes;
    Ok(Ended { ledger: cutter.ledger(), dropped: hold.dropped, left_bytes, lost_bytes })
}

/// What was noted of a source's missed time, kept for the next run.
struct Missed {
    unheard: Unheard,
    written: Option<Instant>,
}

impl Missed {
    /// Without what cannot be read, a gap that the source reports may count in full.
    async fn load<S: Settings>(settings: &S, source: &str) -> Self {
        let noted = match settings.setting(&unheard_key(source)).await {
            Ok(text) => text.and_then(|text| serde_json::from_str::<Vec<Span>>(&text).ok()).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(source, "what was missed before cannot be read: {error}");
                vec![]
            }
        };
        Self { unheard: Unheard::new(noted), written: None }
    }

    async fn store<S: Settings>(&mut self, settings: &S, source: &str, at_once: bool) {
        if !at_once && self.written.is_some_and(|at| at.elapsed() < MISSED_EVERY) {
            return;
        }
        let Some(noted) = self.unheard.changed() else { return };
        self.written = Some(Instant::now());
        let text = serde_json::to_string(noted).unwrap_or_default();
        if let Err(error) = settings.set_setting(&unheard_key(source), &text).await {
            tracing::warn!(source, "what was missed could not be written: {error}");
        }
    }
}

/// Puts unreadable lines aside.
struct Keeper<Q> {
    aside: Q,
    /// It took nothing the last time.
    is_away: bool,
    /// Why, as long as that is so.
    problem: Option<String>,
}

impl<Q: Aside> Keeper<Q> {
    /// Lines that cannot be put aside after some tries are told one by one; what is in order must not
    /// wait for them for ever.
    async fn keep(&mut self, source: &str, lines: &[Quarantined], jitter: fn() -> f64) {
        let mut wait = RETRY.0;
        let mut tries_left = if self.is_away { 1 } else { ASIDE_TRIES };
        loop {
            tries_left -= 1;
            let Err(error) = self.aside.keep(lines).await else {
                (self.is_away, self.problem) = (false, None);
                return;
            };
            if tries_left == 0 {
                self.is_away = true;
                self.problem = Some(format!("unreadable lines cannot be kept: {error}"));
                tracing::error!(source, "unreadable lines cannot be kept, they are logged here: {error}");
                for Quarantined { line, reason, size_bytes, shape, .. } in lines {
                    tracing::error!(source, line, size_bytes, shape, "unreadable: {reason}");
                }
                return;
            }
            tracing::warn!(source, "unreadable lines cannot be put aside, trying again: {error}");
            tokio::time::sleep(wait.mul_f64(jitter())).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }
}

/// Frames that are cut and what waits behind them.
struct Hold {
    outbox: Outbox,
    frames: Vec<CutFrame>,
    /// Newest resume point; it belongs to a cut only when nothing was left uncut.
    resume: Option<Resume>,
    dropped: u64,
    /// Why frames that should be in a file are not.
    problem: Option<String>,
    /// When to try that again.
    park_at: Instant,
}

impl Hold {
    /// Works on the outbox; `on_files` says whether that may wait for the disk.
    fn work<T>(&mut self, on_files: bool, work: impl FnOnce(&mut Outbox) -> T) -> T {
        if on_files { blocking(|| work(&mut self.outbox)) } else { work(&mut self.outbox) }
    }

    /// The oldest cut's frames.
    fn front(&mut self) -> Option<Vec<FrameRecord>> {
        self.work(self.outbox.touches_files(None), |outbox| outbox.front().map(|cut| cut.records.clone()))
    }

    fn settle(&mut self, left: Vec<FrameRecord>) -> Option<ResumePoint> {
        self.work(self.outbox.touches_files(None), |outbox| outbox.settle(left))
    }

    fn park(&mut self) {
        let parked = self.work(true, Outbox::park);
        self.note(parked.map(|()| Dropped::default()));
    }

    /// Tries again to write what waits in memory because the spool could not be written.
    fn park_again(&mut self) {
        if self.problem.is_some() && Instant::now() >= self.park_at {
            self.park();
        }
    }

    /// What came of writing to the spool.
    fn note(&mut self, pushed: std::io::Result<Dropped>) {
        match pushed {
            Ok(dropped) => {
                self.problem = None;
                if dropped.posts > 0 {
                    self.dropped += dropped.posts;
                    tracing::error!(
                        posts = dropped.posts,
                        "the log is away and the spool is full: the oldest posts are dropped"
                    );
                }
            }
            Err(error) => {
                self.park_at = Instant::now() + PARK_AGAIN;
                let problem = format!("the spool cannot be written: {error}; frames wait in memory");
                if self.problem.as_ref() != Some(&problem) {
                    tracing::error!("{problem}");
                }
                self.problem = Some(problem);
            }
        }
    }

    fn keep(&mut self, cutter: &Cutter) -> Result<(), FrameError> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let records = self.frames.iter().map(CutFrame::encode).collect::<Result<_, _>>()?;
        self.frames.clear();
        let resume = if cutter.is_drained() { self.resume.take() } else { None };
        let resume = resume.map(|Resume { place, since_ms }| ResumePoint { resume: Some(place), at_ms: since_ms });
        let cut = Cut { records, resume };
        let pushed = self.work(self.outbox.touches_files(Some(&cut)), |outbox| outbox.push(cut));
        self.note(pushed);
        Ok(())
    }
}

async fn append<L: PostLog>(log: Arc<L>, records: Vec<FrameRecord>) -> (Vec<FrameRecord>, Option<PortError>) {
    let outcomes = send::append(&*log, &records).await;
    let (mut left, mut error) = (vec![], None);
    for (record, outcome) in records.into_iter().zip(outcomes) {
        if let Err(e) = outcome {
            // The first one: that of a ledger may only say that it waits.
            error.get_or_insert(e);
            left.push(record);
        }
    }
    (left, error)
}

struct ResumePoints<'a, S> {
    settings: &'a S,
    source: &'a str,
    newest: Option<ResumePoint>,
    written: Option<Instant>,
}

impl<S: Settings> ResumePoints<'_, S> {
    async fn write(&mut self, at_once: bool) {
        let is_due = at_once || self.written.is_none_or(|at| at.elapsed() >= RESUME_EVERY);
        let Some(newest) = self.newest.as_ref().filter(|_| is_due) else { return };
        self.written = Some(Instant::now());
        match save_resume(self.settings, self.source, newest).await {
            Ok(()) => self.newest = None,
            Err(error) => tracing::warn!(source = self.source, "the resume point could not be written: {error}"),
        }
    }
}

/// The limits of [`OutboxLimits::default`], and files in a folder of the source's own below `dir`.
///
/// # Errors
/// When the folder cannot be made or read.
pub fn spool(dir: &std::path::Path, source: &str) -> std::io::Result<Outbox> {
    let name: String = source.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Outbox::open(Some(dir.join(name)), OutboxLimits::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing for so many tries.
    struct Away {
        tries_left: u32,
        kept: usize,
        tries: u32,
    }

    impl Aside for Away {
        async fn keep(&mut self, lines: &[Quarantined]) -> Result<(), PortError> {
            self.tries += 1;
            if self.tries_left > 0 {
                self.tries_left -= 1;
                return Err(PortError::Unavailable { what: "the bucket", reason: "away".into() });
            }
            self.kept += lines.len();
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarantine_that_is_away_holds_nothing_up_for_long() {
        let lines = [Quarantined::new(&"test".into(), 1, "half a line".into(), b"{")];
        let mut keeper = Keeper { aside: Away { tries_left: 3, kept: 0, tries: 0 }, is_away: false, problem: None };
        keeper.keep("test", &lines, || 1.0).await;
        assert_eq!((keeper.aside.kept, keeper.aside.tries, keeper.is_away), (1, 4, false));
        // It is given up after some seconds, then tried once for each batch until it is back.
        keeper.aside.tries_left = ASIDE_TRIES + 2;
        let began = Instant::now();
        keeper.keep("test", &lines, || 1.0).await;
        assert!((500..1000).contains(&began.elapsed().as_millis()) && keeper.is_away);
        for (tries, kept) in [(1, 1), (1, 1), (1, 2)] {
            let before = (keeper.aside.tries, Instant::now());
            keeper.keep("test", &lines, || 1.0).await;
            assert_eq!((keeper.aside.tries - before.0, before.1.elapsed()), (tries, Duration::ZERO));
            assert_eq!((keeper.aside.kept, keeper.is_away), (kept, kept == 1));
        }
    }
}
