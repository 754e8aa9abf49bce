//! Where a live source hands on what it receives.

use std::time::Duration;

use birdsong_domain::post::SourcePost;
use futures_util::future::BoxFuture;

/// Receives what a live source reads. The streamer implements it, and quarantines posts that are too far
/// in the future ([`FUTURE_LIMIT_MS`](birdsong_domain::time::FUTURE_LIMIT_MS)), from any source.
/// A source must not use such a time as its position in the stream.
///
/// A source reads a chunk, calls [`post`](Intake::post), [`notice`](Intake::notice) or
/// [`unreadable`](Intake::unreadable) for everything in it, then [`flush`](Intake::flush).
pub trait Intake: Send {
    /// A post.
    fn post(&mut self, post: &SourcePost<'_>);

    /// A message that is no post, such as a deletion.
    fn notice(&mut self);

    /// Bytes that could not be read, with the reason. They go to quarantine without their words.
    fn unreadable(&mut self, reason: String, bytes: &[u8]);

    /// Hands on what was gathered since the last call. Waits when the streamer is behind, so that
    /// the source reads no further.
    ///
    /// `resume` is where the source would continue once everything up to here is in the log; the
    /// streamer stores it only then. `None` keeps the last one.
    fn flush(&mut self, resume: Option<Resume>) -> BoxFuture<'_, ()>;

    /// Something about the connection changed.
    fn change(&mut self, change: Change);
}

/// Where a source would continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Position in the stream, in a format of the source's own.
    pub cursor: String,
    /// Lower bound, in milliseconds, on the arrival time of anything that the source may send again from
    /// there; the streamer looks in the log for what was sent since, so that it counts once.
    pub since_ms: i64,
}

/// A change of a source's connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Connected; what is posted from now on is received.
    Connected,
    /// The connection ended or could not be made; the next attempt is in `retry_in`.
    Waiting {
        /// What happened, and what to do about it if anything can be done.
        reason: String,
        /// Time until the next attempt.
        retry_in: Duration,
    },
    /// Posts between these times (milliseconds) may be missing and will not come any more.
    Gap {
        /// Last time before which nothing is missing.
        from_ms: i64,
        /// First time after which nothing is missing.
        to_ms: i64,
        /// Why.
        reason: String,
    },
    /// The source repeated events from before the position at which it was asked to start. They
    /// were received, and counted, before; they are dropped and not counted in the ledger.
    Replayed {
        /// Number of events since the last report.
        events: u64,
    },
    /// Only this share of the posts is requested from now on, to stay within the budget; 1 is all.
    Sampling {
        /// From 0 to 1.
        share: f64,
    },
    /// Something beside the stream keeps failing, or works again. The stream itself continues.
    Trouble {
        /// What fails, and what to do about it; `None` when it works again.
        reason: Option<String>,
    },
    /// The source waits on purpose until this time, because its budget is used up. A [`Change::Waiting`] follows.
    Paused {
        /// Time of the next attempt, in milliseconds.
        until_ms: i64,
    },
    /// Money spent at the source since the first of the month, in US dollars.
    Spent {
        /// US dollars.
        dollars: f64,
    },
}
