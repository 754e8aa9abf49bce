//! One connection to the filtered stream.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::{is_future, rfc3339};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::archive::{self, Line};
use crate::http::{Http, HttpError, Token, safe_for_token};
use crate::intake::{Change, Intake, Resume};
use crate::lines::{Lines, Piece};
use crate::session::{
    Client, ConnectLimit, Dead, End, Link, ReadAhead, Received, Reception, Session, Stop, Wait, Watchdog,
};
use crate::source::{Clock, Context, SourceError};

use super::NAME;
use super::api::{Api, ReadToken};
use super::diff::Diff;
use super::governor::{Budget, Governor, Verdict};
use super::meter::{Journal, Meter, Recorded};
use super::problem::{Class, Failure, classify_line};
use super::state::{Cursor, State, is_due};
use super::usage::Usage;
use super::{fields, rules};

/// X sends something every 20 s at least; half of that again is for the way.
pub const STALL: Duration = Duration::from_secs(30);

/// Bytes that are read from the socket and wait to be parsed. Beyond, the socket waits, and X cuts
/// the connection some time after its own queue is full.
const READ_AHEAD_BYTES: u32 = 8 << 20;
/// No post with the fields that are requested is shorter.
const SHORTEST_POST_BYTES: f64 = 200.0;
/// X allows 50 connects in 15 minutes.
const CONNECT_LIMIT: ConnectLimit = ConnectLimit { connects: 45, within: Duration::from_secs(15 * 60) };
/// Pause before the rules are retried.
const RULES_RETRY: Duration = Duration::from_secs(60);
/// X allows 50 of these calls in 15 minutes.
const USAGE_EVERY: Duration = Duration::from_secs(3600);
/// A post is delivered within about this time (P99 of X's own pages), in milliseconds.
const LATENCY_MS: i64 = 7000;
/// A reader that was blocked for this long, or that waited for bytes for this long, shows whether it
/// keeps up.
const STANDSTILL: Duration = Duration::from_secs(1);
/// Pause before the journal is retried, such as on a disk that is full.
const JOURNAL_RETRY: Duration = Duration::from_secs(5);
/// Chunks that are recorded together at most, when that many wait: one wait for the disk is enough for them.
const RECORDED_TOGETHER: usize = 256;

/// How to read the stream.
#[derive(Clone)]
pub struct Options {
    /// Such as [`URL`](super::URL).
    pub url: String,
    /// The app's bearer token.
    pub token: Token,
    /// Reads the token again when X rejects it.
    pub read_token: ReadToken,
    /// Requests a compressed stream; the HTTP client must be able to unpack it. X documents none.
    pub gzip: bool,
    /// Minutes of posts to receive again at each connect, 1 to 5. Enterprise access only.
    pub backfill_minutes: Option<u8>,
    /// A connection on which nothing came for this long is abandoned.
    pub stall: Duration,
    /// The file that keeps what was delivered over a restart; without one only the cursor does, and
    /// what X sends again after a restart counts again.
    pub journal: Option<PathBuf>,
    /// What may be spent.
    pub budget: Option<Budget>,
    /// What a post costs, in US dollars.
    pub dollars_a_post: f64,
}

/// A client of the stream.
pub struct X<H> {
    api: Arc<Api<H>>,
    regions: Arc<Regions>,
    key: InstallationKey,
    options: Options,
    clock: Clock,
    session: Session,
}

/// A client that runs.
struct Running<'a, H> {
    x: &'a X<H>,
    state: State,
    /// The first connection reports the share that an earlier run left.
    is_started: bool,
}

type Chunks = ReadAhead<Result<Bytes, HttpError>>;
type Chunk = Received<Result<Bytes, HttpError>>;

/// What came on one connection.
#[derive(Default)]
struct Incoming {
    lines: Lines,
    /// We fell behind and have not caught up. If X disconnects now, its buffered posts are lost, so that
    /// only the times of the posts themselves are sure.
    is_behind: bool,
    /// Time of the newest post, in milliseconds.
    newest_ms: i64,
}

/// The result of a call beside the stream.
enum Done {
    /// Rules for this share are set.
    Rules(u8),
    Usage(Usage),
}

/// A call beside the stream; its outcome says whether it is about the rules.
type Errand = Pin<Box<dyn Future<Output = (bool, Result<Done, Failure>)> + Send>>;

/// Why a connection is not there.
enum Ended {
    Failed(Failure),
    /// The budget is used up until this time in milliseconds.
    Paid(i64),
    /// It was time to stop.
    Stopped,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<H: Http + 'static> X<H> {
    /// A client that watches the regions of `context` and hashes ids with its key.
    ///
    /// # Errors
    /// When no rules can be made of the regions, or the token would travel in clear.
    pub fn new(options: Options, http: H, context: &Context) -> Result<Self, SourceError> {
        let Context { regions, key, clock, jitter, .. } = context.clone();
        rules::plan(&regions, 100).map_err(|error| SourceError::Config(error.to_string()))?;
        safe_for_token(&options.url)?;
        let api = Arc::new(Api::new(http, &options.url, options.token.clone()));
        let session = Session { clock: clock.clone(), jitter, limit: Some(CONNECT_LIMIT) };
        Ok(Self { api, regions, key, options, clock, session })
    }

    /// How far back X sends again what was missed, in milliseconds.
    pub(super) fn covered_ms(&self) -> i64 {
        self.options.backfill_minutes.map_or(0, |minutes| i64::from(minutes) * 60_000)
    }

    /// Streams until only a person can solve the problem, or until `stop`.
    pub(super) async fn run(
        &mut self,
        resume: Option<&str>,
        intake: &mut dyn Intake,
        mut stop: Stop,
    ) -> Option<SourceError> {
        let resume = resume.and_then(|text| serde_json::from_str::<Cursor>(text).ok());
        let state = tokio::select! {
            state = self.state(resume.as_ref(), intake) => state,
            () = stop.wait() => return None,
        };
        let mut running = Running { x: self, state, is_started: false };
        self.session.run(&mut running, intake, stop).await
    }

    async fn state(&self, resume: Option<&Cursor>, intake: &mut dyn Intake) -> State {
        let (journal, recorded) = self.journal(intake).await;
        let Options { budget, dollars_a_post, .. } = self.options;
        let spent = resume.map(|resume| resume.spent.clone()).unwrap_or_default();
        let percent = resume.map_or(100, |resume| resume.percent);
        let meter = Meter::new(self.key, spent, recorded);
        let governor = Governor::new(budget, dollars_a_post, meter, percent);
        State::new(governor, Reception::new(LATENCY_MS, resume.map(|resume| resume.last_ms)), journal)
    }

    /// Opens the journal, as soon as the disk allows it.
    async fn journal(&self, intake: &mut dyn Intake) -> (Option<Arc<Mutex<Journal>>>, Recorded) {
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

    /// Gives X the rules for this share of the posts.
    fn set_rules(&self, percent: u8) -> impl Future<Output = Result<Done, Failure>> + Send + use<H> {
        let (api, clock, regions) = (self.api.clone(), self.clock.clone(), self.regions.clone());
        async move {
            let wanted = rules::plan(&regions, percent)
                .map_err(|error| Failure { class: Class::Refused, reason: error.to_string() })?;
            let diff = Diff::new(api.rules(&clock).await?, &wanted.rules).sparing(&wanted.foreign_tags);
            for tag in diff.missing(&wanted.foreign_tags) {
                tracing::warn!("no rule at X has the tag {tag:?} that a region lists: no post matches it");
            }
            if !diff.is_empty() {
                api.check(&diff, &clock).await?;
                api.apply(&diff, &clock).await?;
            }
            Ok(Done::Rules(percent))
        }
    }
}

impl<H: Http + 'static> Running<'_, H> {
    fn now_ms(&self) -> i64 {
        (self.x.clock)()
    }

    /// Sets the rules, connects, and reads until that ends.
    async fn once(&mut self, link: &mut Link<'_>) -> Ended {
        let mut stop = link.stop.clone();
        let opened = tokio::select! {
            opened = self.open(link) => opened,
            () = stop.wait() => return Ended::Stopped,
        };
        let mut chunks = match opened {
            Ok(chunks) => chunks,
            Err(ended) => return ended,
        };
        self.connected(link).await;

        let mut incoming = Incoming::default();
        let ended = self.read_on(&mut chunks, &mut incoming, link.intake, &mut stop).await;
        self.finish(chunks, incoming, link.intake).await;
        ended
    }

    /// Sets the rules and connects.
    async fn open(&mut self, link: &mut Link<'_>) -> Result<Chunks, Ended> {
        let Options { budget, backfill_minutes, gzip, stall, .. } = &self.x.options;
        if budget.is_some() && is_due(self.state.usage_due) {
            self.state.usage_due = Instant::now() + USAGE_EVERY;
            // Without it our own count decides.
            if let Ok(usage) = self.x.api.usage(&self.x.clock).await {
                let now_ms = self.now_ms();
                self.state.governor.reconcile(&usage, now_ms);
            }
        }
        let now_ms = self.now_ms();
        if let Verdict::PauseUntil(until_ms) = self.state.governor.look(now_ms) {
            return Err(Ended::Paid(until_ms));
        }
        if is_due(self.state.rules_due) {
            let percent = self.state.governor.percent();
            self.x.set_rules(percent).await?;
            self.state.rules_are_set(percent, link.intake);
        }
        link.connecting();
        // From the first connect on, so that an account without it learns so at the start, not days later.
        let query = match backfill_minutes {
            Some(minutes) => format!("{}&backfill_minutes={minutes}", fields::query()),
            None => fields::query(),
        };
        let body = self.x.api.connect(&query, *gzip, &self.x.clock).await?;
        // What is read is paid for, though it is counted only when it is parsed.
        let ahead = self.state.governor.uncounted().map_or(READ_AHEAD_BYTES, |posts| {
            (posts * SHORTEST_POST_BYTES).clamp(1.0, f64::from(READ_AHEAD_BYTES)) as u32
        });
        let watchdog = Watchdog { silence: *stall, quiet: *stall };
        let weigh = |chunk: &Result<Bytes, HttpError>| Some(chunk.as_ref().map_or(0, Bytes::len));
        Ok(ReadAhead::new(body, watchdog, ahead, self.x.clock.clone(), weigh))
    }

    /// Hands on what is read, and keeps rules and usage up to date beside it, until that ends.
    async fn read_on(
        &mut self,
        chunks: &mut Chunks,
        incoming: &mut Incoming,
        intake: &mut dyn Intake,
        stop: &mut Stop,
    ) -> Ended {
        let mut errand: Option<Errand> = None;
        loop {
            errand = errand.or_else(|| self.next_errand());
            tokio::select! {
                () = stop.wait() => return Ended::Stopped,
                chunk = chunks.next() => {
                    let mut ended = self.take(chunk, incoming, intake);
                    // What waits is recorded with it.
                    for _ in 1..RECORDED_TOGETHER {
                        if ended.is_some() {
                            break;
                        }
                        let Some(chunk) = chunks.try_next() else { break };
                        ended = self.take(Some(chunk), incoming, intake);
                    }
                    let is_recorded = tokio::select! {
                        biased;
                        () = self.record(intake) => true,
                        () = stop.wait() => false,
                    };
                    if !is_recorded {
                        return Ended::Stopped;
                    }
                    let now_ms = self.now_ms();
                    let resume = self.state.report(now_ms, false, intake);
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
                    let now_ms = self.now_ms();
                    match done {
                        (_, Ok(Done::Rules(percent))) => self.state.rules_are_set(percent, intake),
                        (_, Ok(Done::Usage(usage))) => self.state.governor.reconcile(&usage, now_ms),
                        // The stream itself meets these, too, and reports more.
                        (_, Err(failure)) if failure.class == Class::Refused => return failure.into(),
                        (true, Err(failure)) => self.state.rules_failed(&failure, intake),
                        // Without it our own count decides.
                        (false, Err(_)) => (),
                    }
                }
            }
        }
    }

    /// The next call beside the stream, if one is due.
    fn next_errand(&mut self) -> Option<Errand> {
        if is_due(self.state.rules_due) {
            self.state.rules_due = Instant::now() + RULES_RETRY;
            let rules = self.x.set_rules(self.state.governor.percent());
            return Some(Box::pin(async move { (true, rules.await) }));
        }
        if self.x.options.budget.is_some() && is_due(self.state.usage_due) {
            self.state.usage_due = Instant::now() + USAGE_EVERY;
            let (api, clock) = (self.x.api.clone(), self.x.clock.clone());
            return Some(Box::pin(async move { (false, api.usage(&clock).await.map(Done::Usage)) }));
        }
        None
    }

    /// Hands on the content of a chunk, and decides whether the stream continues.
    fn take(
        &mut self,
        chunk: Option<Result<Chunk, Dead>>,
        incoming: &mut Incoming,
        intake: &mut dyn Intake,
    ) -> Option<Ended> {
        let broken = match &chunk {
            Some(Ok(Chunk { item: Ok(_), .. })) => None,
            Some(Ok(Chunk { item: Err(HttpError(reason)), .. })) => Some(format!("the connection broke: {reason}")),
            Some(Err(Dead::Silent | Dead::Quiet)) => {
                Some(format!("nothing came for {} s, not even a keep-alive", self.x.options.stall.as_secs()))
            }
            None => Some("the connection was closed".into()),
        };
        let failure = match (chunk, broken) {
            (Some(Ok(chunk)), None) => self.read(&chunk, incoming, intake),
            (_, reason) => {
                if let Some(begun) = incoming.lines.end() {
                    intake.unreadable("the connection ended within the line".into(), &begun);
                }
                Some(Failure::network(reason.unwrap_or_default()))
            }
        };
        let now_ms = self.now_ms();
        let verdict = self.state.governor.look(now_ms);
        if let Verdict::Sample(percent) = verdict {
            self.state.sample(percent, now_ms, intake);
        }
        match (failure, verdict) {
            (Some(failure), _) => Some(failure.into()),
            (None, Verdict::PauseUntil(until_ms)) => Some(Ended::Paid(until_ms)),
            (None, _) => None,
        }
    }

    /// Makes durable what was counted, as soon as the disk allows it. Nothing is read or handed on meanwhile.
    async fn record(&mut self, intake: &mut dyn Intake) {
        let mut has_failed = false;
        while let Err(error) = self.state.record_once().await {
            let reason = format!("the stream waits, because the costs cannot be written to disk: {error}");
            self.state.trouble(Some(reason), intake);
            has_failed = true;
            tokio::time::sleep(JOURNAL_RETRY).await;
        }
        if has_failed {
            self.state.trouble(None, intake);
        }
    }

    /// Closes the stream and hands on what was read of it, which is paid for.
    async fn finish(&mut self, mut chunks: Chunks, mut incoming: Incoming, intake: &mut dyn Intake) {
        chunks.close();
        while let Some(Ok(chunk)) = chunks.next().await {
            self.read(&chunk, &mut incoming, intake);
            for _ in 1..RECORDED_TOGETHER {
                let Some(Ok(chunk)) = chunks.try_next() else { break };
                self.read(&chunk, &mut incoming, intake);
            }
            self.hand_on_last(intake).await;
        }
        // What was read before a stop that came while the disk did not accept it.
        self.hand_on_last(intake).await;
    }

    /// Hands on at the end. A full disk is not waited for: the cursor has the sum, too, and the
    /// posts are worth more than the certainty that it survives a crash at this moment.
    async fn hand_on_last(&mut self, intake: &mut dyn Intake) {
        if let Err(error) = self.state.record_once().await {
            tracing::error!(source = NAME, "the costs could not be written to disk: {error}");
        }
        intake.flush(None).await;
    }

    async fn connected(&mut self, link: &mut Link<'_>) {
        let now_ms = self.now_ms();
        self.state.governor.connected(true, now_ms);
        link.connected();
        if let Some((from_ms, to_ms)) = self.state.reception.connected(now_ms, self.x.covered_ms()) {
            let reason = "the stream was not connected, and X does not send again what was posted meanwhile";
            link.intake.change(Change::Gap { from_ms, to_ms, reason: reason.into() });
        }
        self.state.repeat_trouble(link.intake);
        link.intake.flush(self.state.resume()).await;
    }

    /// Hands on the content of a chunk. Returns X's message about the end of the stream.
    fn read(&mut self, chunk: &Chunk, incoming: &mut Incoming, intake: &mut dyn Intake) -> Option<Failure> {
        let Ok(bytes) = &chunk.item else { return None };
        let now_ms = self.now_ms();
        let mut ended = None;
        // X bills by the day of delivery.
        let received_ms = chunk.at_ms;
        let Incoming { lines, is_behind, newest_ms } = incoming;
        let governor = &mut self.state.governor;
        lines.take(bytes, |piece| {
            let line = match piece {
                Piece::Line(line) => line,
                Piece::Oversize(head) => {
                    intake.unreadable("the line is longer than 1 MiB".into(), head);
                    return;
                }
            };
            let read = archive::read_line(line, &self.x.key, &mut |post| match post {
                Ok(post) => {
                    governor.count(post.id, received_ms);
                    // One from the far future does not show how far the stream was received.
                    if !is_future(post.time_ms, now_ms) {
                        *newest_ms = post.time_ms.max(*newest_ms);
                    }
                    intake.post(&post);
                }
                Err(error) => intake.unreadable(error.to_string(), line),
            });
            match read {
                Ok(Line::Blank | Line::Posts) => (),
                Ok(Line::Notice("errors" | "title")) => ended = Some(classify_line(line)),
                Ok(Line::Notice(_) | Line::Withheld(_)) => intake.notice(),
                Err(error) => intake.unreadable(error.to_string(), line),
            }
        });
        *is_behind |= chunk.blocked_for >= STANDSTILL;
        if chunk.waited >= STANDSTILL {
            *is_behind = false;
        }
        let reception = &mut self.state.reception;
        if !*is_behind {
            reception.received(chunk.at_ms, chunk.at);
        } else if reception.last_ms().is_none_or(|last_ms| last_ms < *newest_ms) {
            // X sends roughly in the order of time.
            let late = Duration::from_millis(u64::try_from(chunk.at_ms - *newest_ms).unwrap_or(0));
            reception.received(*newest_ms, chunk.at.checked_sub(late).unwrap_or(chunk.at));
        }
        ended
    }

    /// What the end of a connection asks for.
    fn next_step(&mut self, ended: Ended) -> End {
        let now_ms = self.now_ms();
        match ended {
            Ended::Stopped => End::Stopped,
            Ended::Paid(until_ms) => {
                let budget = self.state.governor.budget().map(|budget| budget.to_string()).unwrap_or_default();
                let reason = format!(
                    "the budget of {budget} is used up until {}; --source 'x:?budget=…' sets a larger one",
                    rfc3339(until_ms)
                );
                End::Retry(reason, Wait::Until(until_ms))
            }
            Ended::Failed(failure) => {
                if failure.class == Class::Token {
                    match (self.x.options.read_token)() {
                        Ok(token) if self.x.api.change_token(token.clone()) => (),
                        _ => return End::Failed(SourceError::Refused(failure.reason)),
                    }
                }
                match self.state.wait(&failure.class, (self.x.session.jitter)(), now_ms) {
                    Some(wait) => End::Retry(failure.reason, wait),
                    None => End::Failed(SourceError::Refused(failure.reason)),
                }
            }
        }
    }
}

impl<H: Http + 'static> Client for Running<'_, H> {
    async fn connect(&mut self, link: &mut Link<'_>) -> End {
        if !std::mem::replace(&mut self.is_started, true) {
            let now_ms = self.now_ms();
            self.state.governor.look(now_ms);
            let percent = self.state.governor.percent();
            if percent < 100 {
                link.intake.change(Change::Sampling { share: f64::from(percent) / 100.0 });
            }
        }
        let ended = self.once(link).await;
        let now_ms = self.now_ms();
        self.state.governor.connected(false, now_ms);
        self.next_step(ended)
    }

    fn ended(&mut self, intake: &mut dyn Intake) -> Option<Resume> {
        let now_ms = self.now_ms();
        self.state.report(now_ms, true, intake)
    }
}
