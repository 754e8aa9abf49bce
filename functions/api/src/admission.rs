//! Which queries may run, by what they cost.
//!
//! What a query reads is known before it runs: windows × lanes. Places of bounded weight keep memory and
//! time bounded whatever is asked, and a query that finds none within a short wait is asked to come
//! again. Queries of a usual page have places of their own, so that they never wait for heavy ones.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::ApiError;

/// Limits of the router.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Partials that one read of the store asks for. It bounds the decoded windows that a query holds.
    pub slice_partials: u32,
    /// A query of at most so many partials is cheap: a day of five-minute windows in nine lanes.
    pub cheap_partials: u32,
    /// Partials of all cheap queries under way.
    pub cheap_total: u32,
    /// Partials of all heavy queries under way: the largest two of a region with one lane.
    pub heavy_total: u32,
    /// KiB of answers on their way to slow callers, of cheap queries and of heavy ones.
    pub answer_kib: u32,
    /// How long a query waits for its place.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            slice_partials: 128,
            cheap_partials: 2_880,
            cheap_total: 8 * 2_880,
            heavy_total: 36_000,
            answer_kib: 64 << 10,
            wait: Duration::from_secs(2),
        }
    }
}

/// The places.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) limits: Limits,
    cheap: Class,
    heavy: Class,
}

/// Places of queries that are alike.
#[derive(Debug)]
pub(crate) struct Class {
    work: Pool,
    answers: Pool,
}

#[derive(Debug)]
struct Pool {
    total: u32,
    places: Arc<Semaphore>,
}

impl Pool {
    fn new(total: u32) -> Self {
        // A semaphore of none would never let anything in.
        let total = total.max(1);
        Self { total, places: Arc::new(Semaphore::new(total as usize)) }
    }

    /// What is larger than all places runs alone.
    async fn take(&self, weight: u32, wait: Duration) -> Result<OwnedSemaphorePermit, ApiError> {
        let weight = weight.clamp(1, self.total);
        let place = tokio::time::timeout(wait, self.places.clone().acquire_many_owned(weight)).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            let message = "too many large queries at once; try again, or ask for a shorter range";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
        })
    }
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        let class = |total| Class { work: Pool::new(total), answers: Pool::new(limits.answer_kib) };
        Self { limits, cheap: class(limits.cheap_total), heavy: class(limits.heavy_total) }
    }

    /// A place for the work of a query that reads so many partials, and its class. The place is free again
    /// when the permit is dropped.
    ///
    /// # Errors
    /// 503 when there is none within the wait.
    pub(crate) async fn admit(&self, partials: u64) -> Result<(&Class, OwnedSemaphorePermit), ApiError> {
        let weight = u32::try_from(partials).unwrap_or(u32::MAX);
        let class = if weight <= self.limits.cheap_partials { &self.cheap } else { &self.heavy };
        Ok((class, class.work.take(weight, self.limits.wait).await?))
    }

    /// A place for an answer of so many bytes, until it is sent.
    ///
    /// # Errors
    /// 503 when there is none within the wait.
    pub(crate) async fn hold(&self, class: &Class, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        class.answers.take(u32::try_from(bytes >> 10).unwrap_or(u32::MAX), self.limits.wait).await
    }
}
