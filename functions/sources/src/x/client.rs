//! One connection to the filtered stream: from the rules and the connect to what its end asks for.

mod errand;
mod reading;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::rfc3339;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::http::{Http, HttpError, Token, safe_for_token};
use crate::intake::{Change, Intake, Resume};
use crate::session::{Client, ConnectLimit, End, Link, ReadAhead, Received, Reception, Session, Stop, Wait, Watchdog};
use crate::source::{Clock, Context, SourceError};

use self::reading::Incoming;
use super::api::{Api, ReadToken};
use super::governor::{Budget, Governor, Verdict};
use super::meter::{Journal, Meter, Recorded};
use super::problem::{Class, Failure};
use super::state::{Cursor, State, is_due};
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
/// X allows 50 of these calls in 15 minutes.
const USAGE_EVERY: Duration = Duration::from_secs(3600);
/// A post is delivered within about this time (P99 of X's own pages), in milliseconds.
const LATENCY_MS: i64 = 7000;
/// Pause before the journal is retried, such as on a disk that is full.
const JOURNAL_RETRY: Duration = Duration::from_secs(5);

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
        if let Ended::Paid(until_ms) = ended {
            link.intake.change(Change::Paused { until_ms });
        }
        self.next_step(ended)
    }

    fn ended(&mut self, intake: &mut dyn Intake) -> Option<Resume> {
        let now_ms = self.now_ms();
        self.state.report(now_ms, true, intake)
    }
}
