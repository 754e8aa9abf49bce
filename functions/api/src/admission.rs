//! Admission: which queries may run, by their cost.
//!
//! The cost of a query is known before it runs: windows × lanes, the partials that it reads. Permits for a bounded
//! number of partials keep memory and time bounded for any request; a query that gets no permit within a short wait is
//! rejected and may be retried. The queries of a usual page have separate permits, so that they never wait for
//! heavy ones.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, ErrorCode};

/// Limits of the router.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Partials in one read of the store. It bounds the decoded windows of a query.
    pub slice_partials: u32,
    /// A query of at most this many partials is cheap: a day of five-minute windows in nine lanes, with the ledger.
    pub cheap_partials: u32,
    /// Partials of all cheap queries that run.
    pub cheap_total: u32,
    /// Partials of all heavy queries that run: the largest two of a region with one lane.
    pub heavy_total: u32,
    /// KiB of unsent answers that are too large to be kept.
    pub answer_kib: u32,
    /// How long a query waits for its permit.
    pub wait: Duration,
    /// How long an answer, and what was read of the store for it, is used again.
    pub reuse: Duration,
    /// How much longer an answer is given while it is made anew.
    pub stale: Duration,
    /// KiB of all answers that are kept.
    pub cache_kib: u32,
    /// KiB, about, of windows, hours and days that are kept to make answers from.
    pub parts_kib: u32,
    /// Whether answers are compressed.
    pub compress: bool,
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
            reuse: Duration::ZERO,
            stale: Duration::ZERO,
            cache_kib: 32 << 10,
            parts_kib: 64 << 10,
            compress: false,
        }
    }
}

/// The permits.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) limits: Limits,
    cheap: Pool,
    heavy: Pool,
    answers: Pool,
}

#[derive(Debug)]
struct Pool {
    total: u32,
    permits: Arc<Semaphore>,
}

impl Pool {
    fn new(total: u32) -> Self {
        // A semaphore without permits would never let anything in.
        let total = total.max(1);
        Self { total, permits: Arc::new(Semaphore::new(total as usize)) }
    }

    /// A query that is larger than all permits together runs alone.
    async fn take(&self, weight: u32, wait: Duration) -> Result<OwnedSemaphorePermit, ApiError> {
        let weight = weight.clamp(1, self.total);
        let permit = tokio::time::timeout(wait, self.permits.clone().acquire_many_owned(weight)).await;
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            let message = "too many large queries at the same time; try again later, or ask for a shorter range";
            ApiError::new(ErrorCode::Overloaded, message)
        })
    }
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            cheap: Pool::new(limits.cheap_total),
            heavy: Pool::new(limits.heavy_total),
            answers: Pool::new(limits.answer_kib),
        }
    }

    /// A permit for the work of a query that reads this many partials.
    ///
    /// # Errors
    /// `overloaded` when there is no permit within the wait.
    pub(crate) async fn admit(&self, partials: u64) -> Result<OwnedSemaphorePermit, ApiError> {
        let weight = u32::try_from(partials).unwrap_or(u32::MAX);
        let class = if weight <= self.limits.cheap_partials { &self.cheap } else { &self.heavy };
        class.take(weight, self.limits.wait).await
    }

    /// A permit for an answer of this many bytes, to be kept until it is sent.
    ///
    /// # Errors
    /// `overloaded` when there is no permit within the wait.
    pub(crate) async fn hold(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        self.answers.take(u32::try_from(bytes >> 10).unwrap_or(u32::MAX), self.limits.wait).await
    }
}
