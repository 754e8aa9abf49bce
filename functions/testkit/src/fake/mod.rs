//! Fake servers of the sources, for tests and for people who develop.

pub mod bluesky;
pub mod dice;
pub mod mastodon;
pub mod x;

use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::Body as AxumBody;
use birdsong_sources::http::{Body, Http, HttpError};
use bytes::Bytes;
use futures_util::StreamExt;
use tower::ServiceExt;

use dice::Dice;

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
struct Kept<T>(Mutex<T>);

impl<T> Kept<T> {
    fn new(kept: T) -> Self {
        Self(Mutex::new(kept))
    }

    /// Reads or changes it.
    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// When events happen: one in each gap, somewhere in it. Times are in a unit of the caller's.
#[derive(Debug)]
struct Pace {
    seed: u64,
    start: i64,
    gap: i64,
}

impl Pace {
    fn new(seed: u64, start: i64, gap: i64) -> Self {
        Self { seed, start, gap: gap.max(1) }
    }

    /// When event `n` happens.
    fn time(&self, n: u64) -> i64 {
        let within = Dice::of(&[self.seed, n, 1]).below(self.gap as u64) as i64;
        self.start + n as i64 * self.gap + within
    }

    /// Number of the first event at or behind this time.
    fn first_from(&self, time: i64) -> u64 {
        let mut n = ((time - self.start) / self.gap - 1).max(0) as u64;
        while self.time(n) < time {
            n += 1;
        }
        n
    }
}

/// Whether a time has come, if it ever does.
fn is_at(time_ms: Option<i64>, now_ms: i64) -> bool {
    time_ms.is_some_and(|time_ms| now_ms >= time_ms)
}

/// Events until something goes wrong, where it does every so many events on average.
fn until_trouble(dice: &mut Dice, is_calm: bool, every_events: u64) -> u64 {
    if is_calm { u64::MAX } else { 1 + dice.below(2 * every_events) }
}
