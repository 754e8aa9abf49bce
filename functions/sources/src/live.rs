//! What live sources have in common: where they hand on what they received, and how long they wait
//! before they connect again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::SourcePost;

/// The clock, in milliseconds since 1970. Waiting is done by tokio's timers, so that a test can
/// pause them and let this clock follow.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Takes what a live source receives. The streamer implements it, and quarantines posts that lie too far
/// in the future ([`FUTURE_LIMIT_MS`](birdsong_domain::time::FUTURE_LIMIT_MS)), whatever source they come
/// from. A source must not take such a time for its place in the stream.
///
/// A source reads a chunk, calls [`post`](Intake::post), [`notice`](Intake::notice) or
/// [`unreadable`](Intake::unreadable) for everything in it, then [`flush`](Intake::flush).
pub trait Intake: Send {
    /// A post.
    fn post(&mut self, post: &SourcePost<'_>);

    /// Something that is no post, such as a deletion.
    fn notice(&mut self);

    /// Something that could not be read, with the reason. It goes to quarantine without its words.
    fn unreadable(&mut self, reason: String, bytes: &[u8]);

    /// Hands on what was gathered since the last call. Waits when the streamer is behind, so that
    /// the source reads no further.
    ///
    /// `resume` is where the source would begin again once everything up to here is in the log; the
    /// streamer writes it down only then. `None` leaves the last one.
    fn flush(&mut self, resume: Option<Resume>) -> impl Future<Output = ()> + Send;

    /// Something about the connection changed.
    fn change(&mut self, change: Change);
}

/// Where a source would begin again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// In the source's own words.
    pub place: String,
    /// Nothing that the source would give again from there was received before this time, in
    /// milliseconds; the streamer looks in the log for what was sent since, so that it counts once.
    pub since_ms: i64,
}

/// What a source tells of its connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Connected; what is posted from now on is received.
    Connected,
    /// The connection ended or could not be made; the next try is in `retry_in`.
    Waiting {
        /// What happened, and what to do about it if anything can be done.
        reason: String,
        /// Time until the next try.
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
    /// The source sent so many events again that came before the place where it was asked to begin. They
    /// were received, and counted, before; they are dropped and not counted in the ledger.
    Replayed {
        /// Number of events since the last report.
        events: u64,
    },
    /// Only this share of the posts is asked for from now on, to stay within the budget; 1 is all.
    Sampling {
        /// From 0 to 1.
        share: f64,
    },
    /// Something beside the stream keeps failing, or does no longer. The stream itself goes on.
    Trouble {
        /// What fails, and what to do about it; `None` when it works again.
        reason: Option<String>,
    },
    /// Money spent at the source since the first of the month, in US dollars.
    Spent {
        /// US dollars.
        dollars: f64,
    },
}

/// Why a source ended by itself. Whatever a retry can mend is retried inside the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The source does not let us in; the text says what to do.
    #[error("{0}")]
    Refused(String),
    /// The configuration cannot be used; the text says what to change.
    #[error("{0}")]
    Config(String),
}
