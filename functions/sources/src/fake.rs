//! Fake servers of the sources, for tests and for people who develop.

use std::sync::{Mutex, PoisonError};

use crate::http::{Body, Http, HttpError};
use crate::source::Clock;
use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::dice::Dice;

/// A server that plays a kind of source, as that kind describes it in the [table](crate::source::KINDS).
#[derive(Clone, Copy, Debug)]
pub struct Fake {
    /// How it may behave: names and what they mean. The first one is the default, without trouble.
    pub scripts: &'static [(&'static str, &'static str)],
    /// What else can be switched on: names and what they mean.
    pub switches: &'static [(&'static str, &'static str)],
    /// Starts it.
    pub start: fn(&Order, TcpListener) -> Started,
}

/// What a fake server is to do.
#[derive(Clone)]
pub struct Order {
    /// Name of one of its scripts.
    pub script: String,
    /// Names of its switches that are on.
    pub switches: Vec<String>,
    /// Posts a second.
    pub rate: u32,
    /// Decides everything random.
    pub seed: u64,
    /// Milliseconds since 1970.
    pub clock: Clock,
}

impl Order {
    /// Whether a switch is on.
    #[must_use]
    pub fn has(&self, switch: &str) -> bool {
        self.switches.iter().any(|on| on == switch)
    }

    /// When the server's posts start, in milliseconds: it has ten minutes of the past, for clients that come back with
    /// a cursor.
    pub(crate) fn start_ms(&self) -> i64 {
        (self.clock)() - 600_000
    }
}

/// A fake server that listens.
pub struct Started {
    /// The address of the source that reads from it.
    pub source: String,
    /// Variables that the source needs.
    pub environment: Vec<(&'static str, String)>,
    /// Serves until it is dropped.
    pub serving: BoxFuture<'static, std::io::Result<()>>,
}

/// Answers requests by a router in this process: no sockets, so that a test can pause the time.
#[derive(Clone, Debug)]
pub struct InProcess(pub Router);

impl Http for InProcess {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let answer = match self.0.clone().oneshot(request.map(AxumBody::from)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        Ok(answer.map(|body| {
            let chunks = body.into_data_stream();
            Box::pin(chunks.map(|chunk| chunk.map_err(|error| HttpError(error.to_string())))) as Body
        }))
    }
}

/// Something that the connections of a server share.
#[derive(Debug, Default)]
pub(crate) struct Kept<T>(Mutex<T>);

impl<T> Kept<T> {
    pub(crate) fn new(kept: T) -> Self {
        Self(Mutex::new(kept))
    }

    /// Reads or changes it.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// When events happen: one in each gap, somewhere in it. Times are in a unit of the caller's.
#[derive(Debug)]
pub(crate) struct Pace {
    seed: u64,
    start: i64,
    gap: i64,
}

impl Pace {
    pub(crate) fn new(seed: u64, start: i64, gap: i64) -> Self {
        Self { seed, start, gap: gap.max(1) }
    }

    /// When event `n` happens.
    pub(crate) fn time(&self, n: u64) -> i64 {
        let within = Dice::of(&[self.seed, n, 1]).below(self.gap as u64) as i64;
        self.start + n as i64 * self.gap + within
    }

    /// Number of the first event at or behind this time.
    pub(crate) fn first_from(&self, time: i64) -> u64 {
        let mut n = ((time - self.start) / self.gap - 1).max(0) as u64;
        while self.time(n) < time {
            n += 1;
        }
        n
    }
}

/// Whether a time has come, if it ever does.
pub(crate) fn is_at(time_ms: Option<i64>, now_ms: i64) -> bool {
    time_ms.is_some_and(|time_ms| now_ms >= time_ms)
}

/// Events until the next fault, where there is one every `every_events` on average.
pub(crate) fn until_trouble(dice: &mut Dice, is_calm: bool, every_events: u64) -> u64 {
    if is_calm { u64::MAX } else { 1 + dice.below(2 * every_events) }
}
