//! The filtered stream of the X API v2.
//!
//! One connection, kept up for ever: rules are set from the regions, lines are read by a task of
//! their own, a silent connection is given up, and what X says about an error decides how long to
//! wait (docs.x.com: "consuming streaming data", "handling disconnections"). What costs money is
//! metered, see [`governor`].

pub mod api;
pub mod fields;
pub mod governor;
pub mod meter;
pub mod rules;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::AuthorKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::{is_future, rfc3339};
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::archive::{self, Line};
use crate::http::{Backoff, Body, Http, HttpError, Lines, Piece, safe_for_token};
use crate::live::{Change, Clock, Intake, Resume, SourceError};

use api::{Api, Class, Diff, Failure, ReadToken, Token, Usage};
use governor::{Budget, Governor, Verdict};
use meter::{Journal, Meter, Recorded, Spent};

/// Name of the source in frames and in the status.
pub const NAME: &str = "x";
/// Where the API is.
pub const URL: &str = "https://api.x.com";
/// X sends something every 20 s at least; half of that again is for the way.
pub const STALL: Duration = Duration::from_secs(30);

/// Bytes that are read from the socket and wait to be parsed. Beyond, the socket waits, and X cuts
/// the connection some time after its own queue is full.
const READ_AHEAD_BYTES: u32 = 8 << 20;
/// No post with the fields above is shorter.
const SHORTEST_POST_BYTES: f64 = 200.0;
/// X takes 50 connects in 15 minutes.
const MAX_CONNECTS: (usize, Duration) = (45, Duration::from_secs(15 * 60));
/// A connection that lived this long was a good one: what X sends again has come, and the waits begin
/// anew.
const HEALTHY: Duration = Duration::from_secs(60);
/// Somebody else with the same token may change the rules.
const RULES_EVERY: Duration = Duration::from_secs(15 * 60);
const RULES_RETRY: Duration = Duration::from_secs(60);
/// X takes 50 of these calls in 15 minutes.
const USAGE_EVERY: Duration = Duration::from_secs(3600);
/// How often a new resume point and what was spent are told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// A post is delivered within about this time (P99 of X's own pages), in milliseconds: what was
/// posted just before the connection broke may be missing, too.
const LATENCY_MS: i64 = 7000;
/// A reader that stood still for this long, or that waited for bytes for this long, tells whether it
/// keeps up.
const STANDSTILL: Duration = Duration::from_secs(1);
/// X sends this much again at most, in milliseconds.
const LONGEST_BACKFILL_MS: i64 = 5 * 60_000;
/// Gaps are told for this much of the past; before it nobody was watching. In milliseconds.
const LONGEST_GAP_MS: i64 = 86_400_000;
/// A used-up budget is looked at again after this time: the clock may have been wrong.
const LOOK_AT_BUDGET: Duration = Duration::from_secs(3600);
/// Longest sleep without a look at the clock, which may be set meanwhile.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);
/// Pause before the journal is tried again, such as on a disk that is full.
const JOURNAL_RETRY: Duration = Duration::from_secs(5);
/// Chunks that are recorded together at most, when so many wait: one wait for the disk is enough for them.
const RECORDED_TOGETHER: usize = 256;
/// Failures in a row after which the sync of the rules is reported.
const RULES_FAILURES: u32 = 2;

/// How to read the stream.
#[derive(Clone)]
pub struct Options {
    /// Such as [`URL`].
    pub url: String,
    /// The app's bearer token.
    pub token: Token,
    /// Reads the token again when X does not take it any more.
    pub read_token: ReadToken,
    /// Asks for a compressed stream; the HTTP client must be able to unpack it. X documents none.
    pub gzip: bool,
    /// Minutes of posts to have again at each connect, 1 to 5. Enterprise access only.
    pub backfill_minutes: Option<u8>,
    /// A connection on which nothing came for this long is given up.
    pub stall: Duration,
    /// The file that keeps what was delivered over a restart; without one only the resume point does, and
    /// what X sends again after a restart counts again.
    pub journal: Option<PathBuf>,
    /// What may be spent.
    pub budget: Option<Budget>,
    /// What a post costs, in US dollars.
    pub dollars_a_post: f64,
    /// A number from 0 to 1, anew at each call: spreads retries.
    pub jitter: fn() -> f64,
}

/// Where the source goes on, kept by the streamer as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Standing {
    /// Until when, in milliseconds, the stream was received.
    last_ms: i64,
    /// Share of the posts asked for.
    percent: u8,
    spent: Spent,
}

/// A client of the stream.
pub struct X<H> {
    api: Arc<Api<H>>,
    regions: Arc<Regions>,
    key: AuthorKey,
    options: Options,
    clock: Clock,
}

/// Why a connection is not there.
enum Ended {
    Failed(Failure),
    /// The budget is used up until this time in milliseconds.
    Paid(i64),
    /// We were told to stop.
    Stopped,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What lives longer than a connection.
struct Session {
    governor: Governor,
    /// Times of the last connects.
    connects: VecDeque<Instant>,
    network: Backoff,
    closed: Backoff,
    was_closed: bool,
    server: Backoff,
    occupied: Backoff,
    /// Until when the stream was received.
    last: Option<Last>,
    /// X sends again what came behind `last`, and has not done so yet.
    owed_until: Option<Instant>,
    connected: Option<Instant>,
    rules_due: Instant,
    /// Failed syncs of the rules in a row.
    rules_failures: u32,
    /// What was reported as failing beside the stream.
    trouble: Option<String>,
    journal: Option<Arc<Mutex<Journal>>>,
    usage_due: Instant,
    told: Option<Instant>,
    /// Share that the intake was told of, in percent.
    told_percent: u8,
}

/// A time until which the stream was received.
#[derive(Clone, Copy)]
struct Last {
    /// In milliseconds, by a clock that may have been set since.
    time_ms: i64,
    /// By a timer that is never set; none for an earlier run.
    at: Option<Instant>,
}

/// What came on one connection.
#[derive(Default)]
struct Incoming {
    lines: Lines,
    /// The reader stood still, and has not had to wait for X since. What X holds back for it is lost when
    /// X gives it up, so that only what the posts themselves tell is sure.
    is_behind: bool,
    /// Time of the newest post, in milliseconds.
    newest_ms: i64,
}

/// What is done beside the stream.
enum Done {
    /// Rules for this share are set.
    Rules(u8),
    Usage(Usage),
}

/// Says with its outcome whether it is about the rules.
type Errand = Pin<Box<dyn Future<Output = (bool, Result<Done, Failure>)> + Send>>;

impl<H: Http + 'static> X<H> {
    /// A client that watches `regions`; `key` hashes the authors.
    ///
    /// # Errors
    /// When no rules can be made of the regions, or the token would travel in clear.
    pub fn new(
        http: H,
        regions: Arc<Regions>,
        key: AuthorKey,
        options: Options,
        clock: Clock,
    ) -> Result<Self, SourceError> {
        rules::plan(&regions, 100).map_err(|error| SourceError::Config(error.to_string()))?;
        safe_for_token(&options.url)?;
        let api = Arc::new(Api::new(http, &options.url, options.token.clone()));
        Ok(Self { api, regions, key, options, clock })
    }

    /// How far back X sends again what was missed, in milliseconds.
    #[must_use]
    pub fn reach_ms(&self) -> i64 {
        self.options.backfill_minutes.map_or(0, |minutes| i64::from(minutes) * 60_000)
    }

    /// Streams until something is wrong that only people can mend, or until `stop`, when there is no
    /// error. `resume` is what the source gave to [`Intake::flush`] in an earlier run.
    ///
    /// X sends nothing again. To stop by dropping this future would lose what was read ahead, so that
    /// `stop` closes the connection and hands that on.
    pub async fn stream<I: Intake>(
        &self,
        resume: Option<&str>,
        intake: &mut I,
        stop: impl Future<Output = ()> + Send,
    ) -> Option<SourceError> {
        let mut stop = std::pin::pin!(stop);
        let resume = resume.and_then(|text| serde_json::from_str::<Standing>(text).ok());
        let mut session = tokio::select! {
            session = self.session(resume.as_ref(), intake) => session,
            () = stop.as_mut() => return None,
        };
        let now_ms = (self.clock)();
        session.governor.look(now_ms);
        if session.governor.percent() < 100 {
            intake.change(Change::Sampling { share: f64::from(session.governor.percent()) / 100.0 });
        }
        loop {
            let ended = self.once(&mut session, intake, stop.as_mut()).await;
            let now_ms = (self.clock)();
            session.governor.connected(false, now_ms);
            if session.connected.take().is_some_and(|since| since.elapsed() >= HEALTHY) {
                session.is_healthy();
            }
            // Only a wait for a day to end is a matter of the clock.
            let is_by_clock = matches!(ended, Ended::Paid(_));
            let (reason, wait) = match ended {
                Ended::Stopped => {
                    session.told = None;
                    let resume = session.tell(now_ms, intake);
                    intake.flush(resume).await;
                    return None;
                }
                Ended::Paid(until_ms) => {
                    let budget = session.governor.budget().map(|budget| budget.to_string()).unwrap_or_default();
                    let reason = format!(
                        "the budget of {budget} is used up until {}; a larger one is set with --x-budget",
                        rfc3339(until_ms)
                    );
                    (reason, until(until_ms, now_ms).min(LOOK_AT_BUDGET))
                }
                Ended::Failed(failure) => {
                    if failure.class == Class::Token {
                        match (self.options.read_token)() {
                            Ok(token) if self.api.change_token(token.clone()) => (),
                            _ => return Some(self.refused(failure.reason, intake).await),
                        }
                    }
                    match session.wait(&failure.class, (self.options.jitter)(), now_ms) {
                        Some(wait) => (failure.reason, wait),
                        None => return Some(self.refused(failure.reason, intake).await),
                    }
                }
            };
            let least = session.until_connect();
            let wait = wait.max(least);
            intake.change(Change::Waiting { reason, retry_in: wait });
            session.told = None;
            let resume = session.tell(now_ms, intake);
            intake.flush(resume).await;
            tokio::select! {
                () = self.sleep(wait, if is_by_clock { least } else { wait }) => (),
                () = stop.as_mut() => return None,
            }
        }
    }

    async fn refused<I: Intake>(&self, reason: String, intake: &mut I) -> SourceError {
        intake.flush(None).await;
        SourceError::Refused(reason)
    }

    /// Opens the journal, as soon as the disk gives it.
    async fn journal<I: Intake>(&self, intake: &mut I) -> (Option<Arc<Mutex<Journal>>>, Recorded) {
        let Some(path) = &self.options.journal else { return (None, Recorded::default()) };
        loop {
            let opened = path.clone();
            let reason = match tokio::task::spawn_blocking(move || Journal::open(&opened)).await {
                Ok(Ok((journal, recorded))) => return (Some(Arc::new(Mutex::new(journal))), recorded),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            let reason = format!("{}, which keeps what is spent, cannot be opened: {reason}", path.display());
            intake.change(Change::Waiting { reason, retry_in: JOURNAL_RETRY });
            tokio::time::sleep(JOURNAL_RETRY).await;
        }
    }

    async fn session<I: Intake>(&self, resume: Option<&Standing>, intake: &mut I) -> Session {
        let (journal, recorded) = self.journal(intake).await;
        let Options { budget, dollars_a_post, .. } = self.options;
        let spent = resume.map(|resume| resume.spent.clone()).unwrap_or_default();
        let percent = resume.map_or(100, |resume| resume.percent);
        let meter = Meter::new(self.key, spent, recorded);
        let governor = Governor::new(budget, dollars_a_post, meter, percent);
        let secs = Duration::from_secs;
        Session {
            told_percent: governor.percent(),
            governor,
            connects: VecDeque::new(),
            network: Backoff::linear(Duration::from_millis(250), secs(16)),
            closed: Backoff::doubling(secs(5), secs(320)),
            was_closed: false,
            server: Backoff::doubling(secs(5), secs(320)),
            occupied: Backoff::doubling(secs(60), secs(15 * 60)),
            last: resume.map(|resume| Last { time_ms: resume.last_ms, at: None }),
            owed_until: None,
            connected: None,
            rules_due: Instant::now(),
            rules_failures: 0,
            trouble: None,
            journal,
            usage_due: Instant::now(),
            told: None,
        }
    }

    /// Sets the rules, connects, and reads until that ends.
    async fn once<I: Intake>(
        &self,
        session: &mut Session,
        intake: &mut I,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Ended {
        let opened = tokio::select! {
            opened = self.open(session, intake) => opened,
            () = stop.as_mut() => return Ended::Stopped,
        };
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(ended) => return ended,
        };
        self.connected(session, intake).await;

        let mut incoming = Incoming::default();
        let ended = self.read_on(&mut reader, &mut incoming, session, intake, stop).await;
        self.finish(reader, incoming, session, intake).await;
        ended
    }

    /// Sets the rules and connects.
    async fn open<I: Intake>(&self, session: &mut Session, intake: &mut I) -> Result<Reader, Ended> {
        if self.options.budget.is_some() && is_due(session.usage_due) {
            session.usage_due = Instant::now() + USAGE_EVERY;
            // Without it our own count decides.
            if let Ok(usage) = self.api.usage(&self.clock).await {
                session.governor.reconcile(&usage, (self.clock)());
            }
        }
        if let Verdict::PauseUntil(until_ms) = session.governor.look((self.clock)()) {
            return Err(Ended::Paid(until_ms));
        }
        if is_due(session.rules_due) {
            let percent = session.governor.percent();
            self.errand_rules(percent).await?;
            session.rules_are_set(percent, intake);
        }
        session.connects.push_back(Instant::now());
        // From the first connect on, so that an account without it is told at the start, not days later.
        let query = match self.options.backfill_minutes {
            Some(minutes) => format!("{}&backfill_minutes={minutes}", fields::query()),
            None => fields::query(),
        };
        let body = self.api.connect(&query, self.options.gzip, &self.clock).await?;
        // What is read is paid for, though it is counted only when it is parsed.
        let ahead = session.governor.uncounted().map_or(READ_AHEAD_BYTES, |posts| {
            (posts * SHORTEST_POST_BYTES).clamp(1.0, f64::from(READ_AHEAD_BYTES)) as u32
        });
        Ok(Reader::new(body, self.options.stall, ahead, self.clock.clone()))
    }

    /// Hands on what the reader gives, and keeps rules and usage up to date beside it, until that ends.
    async fn read_on<I: Intake>(
        &self,
        reader: &mut Reader,
        incoming: &mut Incoming,
        session: &mut Session,
        intake: &mut I,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Ended {
        let mut errand: Option<Errand> = None;
        loop {
            if errand.is_none() {
                if is_due(session.rules_due) {
                    session.rules_due = Instant::now() + RULES_RETRY;
                    let rules = self.errand_rules(session.governor.percent());
                    errand = Some(Box::pin(async move { (true, rules.await) }));
                } else if self.options.budget.is_some() && is_due(session.usage_due) {
                    session.usage_due = Instant::now() + USAGE_EVERY;
                    let (api, clock) = (self.api.clone(), self.clock.clone());
                    errand = Some(Box::pin(async move { (false, api.usage(&clock).await.map(Done::Usage)) }));
                }
            }
            tokio::select! {
                () = stop.as_mut() => return Ended::Stopped,
                chunk = reader.next() => {
                    let mut ended = self.take(chunk, incoming, session, intake);
                    // What waits is recorded with it.
                    for _ in 1..RECORDED_TOGETHER {
                        if ended.is_some() {
                            break;
                        }
                        let Ok(chunk) = reader.chunks.try_recv() else { break };
                        ended = self.take(chunk, incoming, session, intake);
                    }
                    let is_recorded = tokio::select! {
                        biased;
                        () = self.record(session, intake) => true,
                        () = stop.as_mut() => false,
                    };
                    if !is_recorded {
                        return Ended::Stopped;
                    }
                    let resume = session.tell((self.clock)(), intake);
                    intake.flush(resume).await;
                    if let Some(ended) = ended {
                        return ended;
                    }
                }
                done = async { match errand.as_mut() {
                    Some(errand) => errand.await,
                    None => std::future::pending().await,
                } } => {
                    errand = None;
                    match done {
                        (_, Ok(Done::Rules(percent))) => session.rules_are_set(percent, intake),
                        (_, Ok(Done::Usage(usage))) => session.governor.reconcile(&usage, (self.clock)()),
                        // The stream itself meets these, too, and says more.
                        (_, Err(failure)) if failure.class == Class::Refused => return failure.into(),
                        (true, Err(failure)) => session.rules_failed(&failure, intake),
                        // Without it our own count decides.
                        (false, Err(_)) => (),
                    }
                }
            }
        }
    }

    /// Hands on what a chunk holds, and decides whether the stream goes on.
    fn take<I: Intake>(
        &self,
        chunk: Result<Chunk, String>,
        incoming: &mut Incoming,
        session: &mut Session,
        intake: &mut I,
    ) -> Option<Ended> {
        let failure = match chunk {
            Ok(chunk) => self.read(&chunk, incoming, session, intake),
            Err(reason) => {
                if let Some(begun) = incoming.lines.end() {
                    intake.unreadable("the connection ended within the line".into(), &begun);
                }
                Some(Failure::network(reason))
            }
        };
        let now_ms = (self.clock)();
        let verdict = session.governor.look(now_ms);
        if let Verdict::Sample(percent) = verdict {
            session.sample(percent, now_ms, intake);
        }
        match (failure, verdict) {
            (Some(failure), _) => Some(failure.into()),
            (None, Verdict::PauseUntil(until_ms)) => Some(Ended::Paid(until_ms)),
            (None, _) => None,
        }
    }

    /// Makes durable what was counted, as soon as the disk takes it. Nothing is read or handed on meanwhile.
    async fn record<I: Intake>(&self, session: &mut Session, intake: &mut I) {
        let mut has_failed = false;
        while let Err(error) = session.record_once().await {
            let reason = format!("what is spent cannot be written, so that the stream stands still: {error}");
            session.trouble(Some(reason), intake);
            has_failed = true;
            tokio::time::sleep(JOURNAL_RETRY).await;
        }
        if has_failed {
            session.trouble(None, intake);
        }
    }

    /// Closes the stream and hands on what was read of it, which is paid for.
    async fn finish<I: Intake>(
        &self,
        mut reader: Reader,
        mut incoming: Incoming,
        session: &mut Session,
        intake: &mut I,
    ) {
        reader.stop.notify_one();
        while let Some(Ok(chunk)) = reader.chunks.recv().await {
            self.read(&chunk, &mut incoming, session, intake);
            for _ in 1..RECORDED_TOGETHER {
                let Ok(Ok(chunk)) = reader.chunks.try_recv() else { break };
                self.read(&chunk, &mut incoming, session, intake);
            }
            self.hand_on_last(session, intake).await;
        }
        // What was read before a stop that came while the disk did not take it.
        self.hand_on_last(session, intake).await;
    }

    /// Hands on at the end. A disk that is full is not waited for: the resume point holds the sum, too, and the
    /// posts are worth more than the certainty that it survives a crash at this moment.
    async fn hand_on_last<I: Intake>(&self, session: &mut Session, intake: &mut I) {
        if let Err(error) = session.record_once().await {
            tracing::error!(source = NAME, "what is spent could not be written: {error}");
        }
        intake.flush(None).await;
    }

    async fn connected<I: Intake>(&self, session: &mut Session, intake: &mut I) {
        let now_ms = (self.clock)();
        session.connected = Some(Instant::now());
        session.governor.connected(true, now_ms);
        intake.change(Change::Connected);
        session.owed_until = None;
        if let Some(last) = session.last {
            let covered_ms = self.options.backfill_minutes.map_or(0, |minutes| i64::from(minutes) * 60_000);
            // The clock may have been set: in this run a timer knows, too, how long it was.
            let away = last.at.map_or(Duration::ZERO, |at| at.elapsed());
            let last_ms = last.time_ms.min(now_ms - i64::try_from(away.as_millis()).unwrap_or(0));
            let from_ms = (last_ms - LATENCY_MS).max(now_ms - LONGEST_GAP_MS);
            if now_ms - from_ms > covered_ms {
                let reason = "the stream was not connected, and X does not send again what was posted meanwhile";
                // What X sends again is taken to begin a little later than asked for.
                let to_ms = if covered_ms > 0 { now_ms - covered_ms + LATENCY_MS } else { now_ms };
                intake.change(Change::Gap { from_ms, to_ms, reason: reason.into() });
                // The next gap begins where this one ends.
                let time_ms = to_ms + LATENCY_MS;
                session.last = Some(Last { time_ms, at: Instant::now().checked_sub(until(now_ms, time_ms)) });
            }
            session.owed_until = (covered_ms > 0).then(|| Instant::now() + HEALTHY);
        }
        if let Some(reason) = session.trouble.clone() {
            intake.change(Change::Trouble { reason: Some(reason) });
        }
        session.received(now_ms, Instant::now());
        intake.flush(session.resume()).await;
    }

    /// Hands on what a chunk holds. Gives what X says about the end of the stream.
    fn read<I: Intake>(
        &self,
        chunk: &Chunk,
        incoming: &mut Incoming,
        session: &mut Session,
        intake: &mut I,
    ) -> Option<Failure> {
        let now_ms = (self.clock)();
        let mut ended = None;
        // X bills by the day of delivery.
        let received_ms = chunk.at_ms;
        let Incoming { lines, is_behind, newest_ms } = incoming;
        let governor = &mut session.governor;
        lines.take(&chunk.bytes, |piece| {
            let line = match piece {
                Piece::Line(line) => line,
                Piece::Oversize(head) => {
                    intake.unreadable("the line is longer than 1 MiB".into(), head);
                    return;
                }
            };
            let read = archive::read_line(line, &self.key, &mut |post| match post {
                Ok(post) => {
                    governor.count(post.id, received_ms);
                    // One from the far future says nothing about how far the stream was received.
                    if !is_future(post.time_ms, now_ms) {
                        *newest_ms = post.time_ms.max(*newest_ms);
                    }
                    intake.post(&post);
                }
                Err(error) => intake.unreadable(error.to_string(), line),
            });
            match read {
                Ok(Line::Blank | Line::Posts) => (),
                Ok(Line::Notice("errors" | "title")) => ended = Some(api::classify_line(line)),
                Ok(Line::Notice(_) | Line::Withheld(_)) => intake.notice(),
                Err(error) => intake.unreadable(error.to_string(), line),
            }
        });
        *is_behind |= chunk.stood_still >= STANDSTILL;
        if chunk.waited >= STANDSTILL {
            *is_behind = false;
        }
        if !*is_behind {
            session.received(chunk.at_ms, chunk.at);
        } else if session.last.is_none_or(|last| last.time_ms < *newest_ms) {
            // X sends roughly in the order of time.
            let late = Duration::from_millis(u64::try_from(chunk.at_ms - *newest_ms).unwrap_or(0));
            session.received(*newest_ms, chunk.at.checked_sub(late).unwrap_or(chunk.at));
        }
        ended
    }

    /// Makes X have the rules for this share of the posts.
    fn errand_rules(&self, percent: u8) -> impl Future<Output = Result<Done, Failure>> + Send + use<H> {
        let (api, clock, regions) = (self.api.clone(), self.clock.clone(), self.regions.clone());
        async move {
            let wanted = rules::plan(&regions, percent)
                .map_err(|error| Failure { class: Class::Refused, reason: error.to_string() })?;
            let diff = Diff::new(api.rules(&clock).await?, &wanted.rules).sparing(&wanted.foreign_tags);
            for tag in diff.missing(&wanted.foreign_tags) {
                tracing::warn!("no rule at X has the tag {tag:?} that a region lists: nothing comes for it");
            }
            if !diff.is_empty() {
                api.check(&diff, &clock).await?;
                api.apply(&diff, &clock).await?;
            }
            Ok(Done::Rules(percent))
        }
    }

    /// Sleeps by tokio's timers; after `least` no longer than until the clock, which may be set, says
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

fn is_due(due: Instant) -> bool {
    Instant::now() >= due
}

fn until(time_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(time_ms.saturating_sub(now_ms)).unwrap_or(0))
}

impl Session {
    /// The stream was received until then, if nothing before is owed. The clock may have gone back since
    /// the last call.
    fn received(&mut self, time_ms: i64, at: Instant) {
        if self.owed_until.is_none_or(|until| Instant::now() >= until) {
            self.last = Some(Last { time_ms, at: Some(at) });
        }
    }

    fn is_healthy(&mut self) {
        self.network.reset();
        self.closed.reset();
        self.was_closed = false;
        self.server.reset();
        self.occupied.reset();
    }

    /// How long to wait after a failure, or `None` when no wait helps.
    fn wait(&mut self, class: &Class, jitter: f64, now_ms: i64) -> Option<Duration> {
        let wait = match class {
            Class::Network => self.network.wait(jitter),
            Class::Closed | Class::Rules => {
                if *class == Class::Rules {
                    self.rules_due = Instant::now();
                }
                if std::mem::replace(&mut self.was_closed, true) { self.closed.wait(jitter) } else { Duration::ZERO }
            }
            Class::Server => self.server.wait(jitter),
            Class::Occupied | Class::RateLimited(None) => self.occupied.wait(jitter),
            Class::RateLimited(Some(at_ms)) => {
                until(*at_ms, now_ms) + Duration::from_secs(1).mul_f64(1.0 + 4.0 * jitter)
            }
            Class::Slow => Duration::from_secs(15 * 60).mul_f64(1.0 + 0.25 * jitter),
            // It was changed: at once, but not for ever.
            Class::Token => self.network.wait(jitter),
            Class::Refused => return None,
        };
        Some(wait)
    }

    /// How long until X takes another connect.
    fn until_connect(&mut self) -> Duration {
        let (most, within) = MAX_CONNECTS;
        while self.connects.front().is_some_and(|at| at.elapsed() >= within) {
            self.connects.pop_front();
        }
        if self.connects.len() < most {
            return Duration::ZERO;
        }
        self.connects.front().map_or(Duration::ZERO, |at| within.saturating_sub(at.elapsed()))
    }

    /// Asks for another share. A smaller one is told before it holds, a larger one after.
    fn sample<I: Intake>(&mut self, percent: u8, now_ms: i64, intake: &mut I) {
        self.governor.sampled(percent, now_ms);
        if percent < self.told_percent {
            self.tell_share(percent, intake);
        }
        self.rules_due = Instant::now();
    }

    /// Writes what the journal does not have, once.
    async fn record_once(&mut self) -> std::io::Result<()> {
        let Some(journal) = self.journal.clone() else { return Ok(()) };
        let Some(entry) = self.governor.meter().unrecorded() else { return Ok(()) };
        let (bytes, is_all) = entry.extent();
        let write = move || journal.lock().write(&entry);
        tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)??;
        self.governor.meter().recorded(bytes, is_all);
        Ok(())
    }

    /// Reports what fails beside the stream, or that it works again. The same is reported once.
    fn trouble<I: Intake>(&mut self, reason: Option<String>, intake: &mut I) {
        if self.trouble != reason {
            self.trouble.clone_from(&reason);
            intake.change(Change::Trouble { reason });
        }
    }

    /// The stream goes on by the rules that X has. That is worth a word only when it lasts.
    fn rules_failed<I: Intake>(&mut self, failure: &Failure, intake: &mut I) {
        self.rules_failures += 1;
        if self.rules_failures >= RULES_FAILURES {
            let reason = format!(
                "the rules at X cannot be brought up to date, the stream goes on by those that are set: {}",
                failure.reason
            );
            self.trouble(Some(reason), intake);
        }
    }

    fn rules_are_set<I: Intake>(&mut self, percent: u8, intake: &mut I) {
        self.rules_failures = 0;
        self.trouble(None, intake);
        // Another share may be wanted already.
        if percent == self.governor.percent() {
            self.rules_due = Instant::now() + RULES_EVERY;
            if percent != self.told_percent {
                self.tell_share(percent, intake);
            }
        }
    }

    fn tell_share<I: Intake>(&mut self, percent: u8, intake: &mut I) {
        self.told_percent = percent;
        intake.change(Change::Sampling { share: f64::from(percent) / 100.0 });
    }

    fn resume(&self) -> Option<Resume> {
        let last_ms = self.last?.time_ms;
        let standing = Standing { last_ms, percent: self.governor.percent(), spent: self.governor.spent().clone() };
        let place = serde_json::to_string(&standing).ok()?;
        // However many minutes the next run asks for.
        Some(Resume { place, since_ms: last_ms - LONGEST_BACKFILL_MS })
    }

    /// Tells what was spent, and gives a new resume point; both not too often.
    fn tell<I: Intake>(&mut self, now_ms: i64, intake: &mut I) -> Option<Resume> {
        if self.told.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return None;
        }
        self.told = Some(Instant::now());
        intake.change(Change::Spent { dollars: self.governor.dollars(now_ms) });
        self.resume()
    }
}

/// Reads a body in a task of its own, some bytes ahead.
struct Reader {
    chunks: mpsc::UnboundedReceiver<Result<Chunk, String>>,
    /// Makes the task end after the chunk that it has.
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

struct Chunk {
    bytes: Bytes,
    /// When it was received, in milliseconds.
    at_ms: i64,
    at: Instant,
    /// How long it was waited for.
    waited: Duration,
    /// How long nothing was read before that, for want of room.
    stood_still: Duration,
    /// Given back when it was handed on.
    _room: OwnedSemaphorePermit,
}

impl Reader {
    fn new(mut body: Body, stall: Duration, ahead_bytes: u32, clock: Clock) -> Self {
        let (out, chunks) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(ahead_bytes as usize));
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut stood_still = Duration::ZERO;
            loop {
                let began = Instant::now();
                let next = tokio::select! {
                    biased;
                    () = stopped.notified() => return,
                    next = tokio::time::timeout(stall, body.next()) => next,
                };
                let chunk = match next {
                    Err(_) => Err(format!("nothing came for {} s, not even a keep-alive", stall.as_secs())),
                    Ok(None) => Err("the connection was closed".into()),
                    Ok(Some(Err(HttpError(reason)))) => Err(format!("the connection broke: {reason}")),
                    Ok(Some(Ok(bytes))) => {
                        let (at_ms, at) = (clock(), Instant::now());
                        let wanted = u32::try_from(bytes.len()).unwrap_or(u32::MAX).clamp(1, ahead_bytes);
                        let Ok(_room) = room.clone().acquire_many_owned(wanted).await else { return };
                        let stood_still = std::mem::replace(&mut stood_still, at.elapsed());
                        Ok(Chunk { bytes, at_ms, at, waited: at - began, stood_still, _room })
                    }
                };
                let is_end = chunk.is_err();
                if out.send(chunk).is_err() || is_end {
                    return;
                }
            }
        });
        Self { chunks, stop, task }
    }

    /// The next chunk, or why there is none.
    async fn next(&mut self) -> Result<Chunk, String> {
        self.chunks.recv().await.unwrap_or_else(|| Err("the reader of the connection crashed".into()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
