//! Asks for the counts of each region in turn, within a budget.

use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::{InstallationKey, PostId};
use birdsong_domain::time::rfc3339;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::backoff::{Backoff, Pace};
use crate::http::{Http, percent_encoded, safe_for_token};
use crate::session::{Stop, Wait, until};
use crate::source::{Clock, Context, SourceError};
use crate::x::api::Api;
use crate::x::governor::Period;
use crate::x::meter::{DAY_MS, Journal, Meter, Spent};
use crate::x::problem::{Class, Failure};
use crate::x::state;

use super::answer::{self, MINUTE_MS, Page};
use super::{CountsStatus, Options, Queries, ReferenceCounts, References, queries};

const PATH: &str = "/2/tweets/counts/recent";
/// X counts the last seven days; a little less, for clocks that differ.
const REACH_MS: i64 = 7 * DAY_MS - 5 * MINUTE_MS;
/// The newest posts are not all counted yet, so the end of a span stays this far behind the clock...
const BEHIND_MS: i64 = 2 * MINUTE_MS;
/// ...and this much is asked for again.
const AGAIN_MS: i64 = 10 * MINUTE_MS;
/// Most pages of one span.
const MAX_PAGES: usize = 100;
/// Pauses before something of ours is retried, such as a full disk.
const OURS: Pace = Pace::doubling(Duration::from_secs(1), Duration::from_secs(60));
/// Longest sleep for a time of the clock, which may be set meanwhile.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(3600);

/// Asks X for the counts of regions.
pub struct Poller<H> {
    api: Api<H>,
    queries: Queries,
    options: Options,
    key: InstallationKey,
    clock: Clock,
    jitter: fn() -> f64,
}

/// How a request ended without counts.
enum Missed {
    /// It failed and cost nothing.
    Free(Failure),
    /// It was paid for, and what came is no counts.
    Paid(Failure),
}

/// How asking for a region ended.
enum Asked {
    /// As far as it is possible now.
    Done,
    /// X refuses it.
    Refused(String),
}

impl<H: Http> Poller<H> {
    /// A poller of the regions of `context`.
    ///
    /// # Errors
    /// When X cannot count the regions, or the token would travel in clear.
    pub fn new(options: Options, http: H, context: &Context) -> Result<Self, SourceError> {
        let queries = queries(&context.regions, &options.only)?;
        safe_for_token(&options.url)?;
        let api = Api::new(http, &options.url, options.token.clone());
        let Context { key, clock, jitter, .. } = context.clone();
        Ok(Self { api, queries, options, key, clock, jitter })
    }

    /// What is asked for.
    #[must_use]
    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    /// Asks and stores until only a person can solve the problem, or until `stop`, when there is no error. A region
    /// that X refuses is left out, and the others continue.
    ///
    /// # Errors
    /// When X refuses all regions, or the token.
    pub async fn run<R: References>(&self, references: &R, mut stop: Stop) -> Result<(), SourceError> {
        tokio::select! {
            ended = self.poll(references) => ended,
            () = stop.wait() => Ok(()),
        }
    }

    async fn poll<R: References>(&self, references: &R) -> Result<(), SourceError> {
        let mut run = Run {
            poller: self,
            references,
            purse: self.purse().await,
            backoff: Backoff::default(),
            status: CountsStatus::default(),
        };
        let mut refused: Vec<Option<String>> = vec![None; self.queries.all.len()];
        loop {
            let started = Instant::now();
            for ((region, query), refused) in self.queries.all.iter().zip(&mut refused) {
                if refused.is_none()
                    && let Asked::Refused(reason) = run.region(region, query).await?
                {
                    let reason = format!("the region {region:?} is not counted: {reason}");
                    tracing::error!("{reason}");
                    run.note(Some(reason.clone()));
                    *refused = Some(reason);
                }
            }
            if let Some(reasons) = refused.iter().cloned().collect::<Option<Vec<_>>>() {
                return Err(SourceError::Refused(reasons.into_iter().next_back().unwrap_or_default()));
            }
            tokio::time::sleep_until(started + self.options.every).await;
        }
    }

    /// What was spent, as soon as the disk can be read.
    async fn purse(&self) -> Purse {
        let mut backoff = Backoff::default();
        loop {
            let Some(path) = self.options.journal.clone() else {
                return Purse { meter: Meter::new(self.key, Spent::default(), Default::default()), journal: None };
            };
            let opened = tokio::task::spawn_blocking(move || Journal::open(&path)).await;
            match opened.map_err(std::io::Error::other).and_then(|opened| opened) {
                Ok((journal, recorded)) => {
                    let meter = Meter::new(self.key, Spent::default(), recorded);
                    return Purse { meter, journal: Some(Arc::new(Mutex::new(journal))) };
                }
                Err(error) => {
                    tracing::warn!("the file of what is spent at X for counts cannot be opened: {error}; trying again");
                    tokio::time::sleep(backoff.next(OURS, (self.jitter)())).await;
                }
            }
        }
    }
}

/// What was spent.
struct Purse {
    meter: Meter,
    journal: Option<Arc<Mutex<Journal>>>,
}

impl Purse {
    /// Counts a request that has to be paid for. Each has an id of its own.
    fn count(&mut self, now_ms: i64) {
        let mut id = u128::from(now_ms.unsigned_abs()) << 32;
        while !self.meter.count(PostId(id), now_ms) {
            id += 1;
        }
    }

    async fn record(&mut self) -> std::io::Result<()> {
        let Some(journal) = self.journal.clone() else { return Ok(()) };
        let Some(entry) = self.meter.unrecorded() else { return Ok(()) };
        let (bytes, is_all) = entry.extent();
        tokio::task::spawn_blocking(move || journal.lock().write(&entry)).await.map_err(std::io::Error::other)??;
        self.meter.recorded(bytes, is_all);
        Ok(())
    }
}

/// A poller that runs.
struct Run<'p, H, R> {
    poller: &'p Poller<H>,
    references: &'p R,
    purse: Purse,
    backoff: Backoff,
    status: CountsStatus,
}

impl<H: Http, R: References> Run<'_, H, R> {
    fn now_ms(&self) -> i64 {
        (self.poller.clock)()
    }

    /// Reports the state when it is news.
    fn note(&mut self, problem: Option<String>) {
        let requests = self.purse.meter.spent().posts(Period::Month.around(self.now_ms()));
        let status = CountsStatus { problem, dollars: requests as f64 * self.poller.options.dollars_a_request };
        if status != self.status {
            self.references.status(&status);
            self.status = status;
        }
    }

    /// Something failed that is retried.
    async fn pause(&mut self, problem: String, wait: Duration) {
        tracing::warn!("counts of X: {problem}; trying again");
        self.note(Some(problem));
        tokio::time::sleep(wait).await;
    }

    async fn pause_for_us(&mut self, problem: String) {
        let wait = self.backoff.next(OURS, (self.poller.jitter)());
        self.pause(problem, wait).await;
    }

    /// Asks for the minutes of a region that are not stored yet, page by page.
    async fn region(&mut self, region: &str, query: &str) -> Result<Asked, SourceError> {
        let newest_ms = loop {
            match self.references.newest_ms(region).await {
                Ok(newest_ms) => break newest_ms,
                Err(error) => self.pause_for_us(format!("stored counts cannot be read: {error}")).await,
            }
        };
        let minute = |ms: i64| ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        let mut next: Option<String> = None;
        let now_ms = self.now_ms();
        let to_ms = minute(now_ms - BEHIND_MS);
        let earliest_ms = minute(now_ms - REACH_MS);
        let from_ms = newest_ms.map_or(earliest_ms, |newest_ms| minute(newest_ms - AGAIN_MS).max(earliest_ms));
        if from_ms >= to_ms {
            return Ok(Asked::Done);
        }
        for _ in 0..MAX_PAGES {
            let page_of = next.as_ref().map(|token| format!("&next_token={}", percent_encoded(token)));
            let path = format!(
                "{PATH}?query={}&granularity=minute&start_time={}&end_time={}{}",
                percent_encoded(query),
                rfc3339(from_ms),
                rfc3339(to_ms),
                page_of.unwrap_or_default()
            );
            let page = match self.page(region, &path).await? {
                Ok(page) => page,
                Err(asked) => return Ok(asked),
            };
            self.put(region, &page, (from_ms, to_ms)).await;
            match page.next {
                Some(token) if next.as_ref() != Some(&token) => next = Some(token),
                _ => break,
            }
        }
        self.backoff.reset();
        self.note(None);
        Ok(Asked::Done)
    }

    /// Gets one page, however often that has to be tried.
    async fn page(&mut self, region: &str, path: &str) -> Result<Result<Page, Asked>, SourceError> {
        loop {
            self.until_affordable().await;
            let failure = match self.ask(path).await {
                Ok(page) => return Ok(Ok(page)),
                Err(Missed::Paid(failure)) => {
                    // Another try costs as much; what is missing is asked for next time.
                    tracing::warn!("counts of X: {region}: {failure}; trying again at the next time");
                    self.note(Some(failure.reason));
                    return Ok(Err(Asked::Done));
                }
                Err(Missed::Free(failure)) => failure,
            };
            if failure.class == Class::Token {
                let read = (self.poller.options.read_token)();
                if !read.is_ok_and(|token| self.poller.api.change_token(token)) {
                    self.note(Some(failure.reason.clone()));
                    return Err(SourceError::Refused(failure.reason));
                }
            }
            let now_ms = self.now_ms();
            let wait = match state::wait(&failure.class, (self.poller.jitter)(), now_ms) {
                None => return Ok(Err(Asked::Refused(failure.reason))),
                Some(Wait::Paced(pace)) => self.backoff.next(pace, (self.poller.jitter)()),
                Some(Wait::For(wait)) => wait,
                Some(Wait::Until(until_ms)) => until(until_ms, now_ms),
            };
            self.pause(failure.reason, wait).await;
        }
    }

    /// Waits until the budget pays for a request.
    async fn until_affordable(&mut self) {
        let Some(budget) = self.poller.options.budget else { return };
        loop {
            let now_ms = self.now_ms();
            let period = budget.period.around(now_ms);
            let requests = self.purse.meter.spent().posts(period) + 1;
            // The price of a request has no exact binary form.
            if requests as f64 * self.poller.options.dollars_a_request <= budget.dollars * (1.0 + 1e-9) {
                return;
            }
            let reason = format!("the budget of {budget} for counts is used up until {}", rfc3339(period.1));
            if self.status.problem.as_ref() != Some(&reason) {
                tracing::warn!("counts of X: {reason}");
            }
            self.note(Some(reason));
            tokio::time::sleep(until(period.1, now_ms).min(LOOK_AT_CLOCK)).await;
        }
    }

    /// Asks once. What is paid for is on disk before it is used.
    async fn ask(&mut self, path: &str) -> Result<Page, Missed> {
        let body = self.poller.api.paid(path, &self.poller.clock).await.map_err(Missed::Free)?;
        let now_ms = self.now_ms();
        self.purse.count(now_ms);
        let answer = Api::<H>::json(body).await;
        while let Err(error) = self.purse.record().await {
            self.pause_for_us(format!("the file of what is spent cannot be written: {error}")).await;
        }
        let unknown = || Missed::Paid(Failure::new(Class::Server, "X counts in an unknown format"));
        answer::read(&answer.map_err(Missed::Paid)?).ok_or_else(unknown)
    }

    /// Stores what is within the span, however often that has to be tried: it is paid for.
    async fn put(&mut self, region: &str, page: &Page, (from_ms, to_ms): (i64, i64)) {
        let within = |(start_ms, _): &&(i64, u64)| (from_ms..to_ms).contains(start_ms);
        let per_minute: Vec<_> = page.per_minute.iter().filter(within).copied().collect();
        let Some((first_ms, _)) = per_minute.first().copied() else { return };
        let counts = ReferenceCounts { region: region.to_owned(), from_ms: first_ms, per_minute };
        while let Err(error) = self.references.put(&counts).await {
            self.pause_for_us(format!("counts cannot be stored: {error}")).await;
        }
    }
}
