//! The header of a frame: which lane, source and run it is of, its ledgers, and how many posts each window has in it.

use serde::{Deserialize, Serialize};

use super::{Lane, Ledger, is_default};

/// First line of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameHeader {
    /// The lane that the frame belongs to.
    pub lane: Lane,
    /// The source's name, such as `demo` or `bluesky`.
    pub source: String,
    /// The streamer run that cut the frame; a fresh id each time that numbering starts.
    pub run: String,
    /// Number of the frame within its run and lane, from 1. A repeated append has the same number,
    /// and is folded once.
    pub counter: u64,
    /// When the frame was cut, by the streamer's clock; for archives the newest event time.
    pub cut_ms: i64,
    /// Since when the source has been connected.
    pub connected_ms: i64,
    /// Whether `cut_ms` is real time, so that posts can be late and lag can be measured.
    pub live: bool,
    /// Number of the cut within its run, from 1: the frames of a cut are sent together, the ledger's
    /// last.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cut: u64,
    /// What happened to the source itself, such as time that it missed; only on frames of [`STREAM`](super::STREAM).
    #[serde(default, skip_serializing_if = "Ledger::is_empty")]
    pub ledger: Ledger,
    /// What became of the lines since the run's last frame with a ledger, by the start of the window that they
    /// belong to, in milliseconds; only on frames of [`STREAM`](super::STREAM).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledgers: Vec<(i64, Ledger)>,
    /// The posts of this frame by window; none on frames of [`STREAM`](super::STREAM), and in version 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<PostCount>,
}

/// How many posts of a frame belong to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(i64, u64, u64)", from = "(i64, u64, u64)")]
pub struct PostCount {
    /// Start of the window, in milliseconds.
    pub window_ms: i64,
    /// All posts.
    pub posts: u64,
    /// Those that are no further copies ([`SlimPost::is_copy`](super::SlimPost::is_copy)).
    pub primary: u64,
}

impl From<PostCount> for (i64, u64, u64) {
    fn from(count: PostCount) -> Self {
        (count.window_ms, count.posts, count.primary)
    }
}

impl From<(i64, u64, u64)> for PostCount {
    fn from((window_ms, posts, primary): (i64, u64, u64)) -> Self {
        Self { window_ms, posts, primary }
    }
}

impl FrameHeader {
    /// The header of a record of this lane that arrived at this time, in milliseconds, and whose own header
    /// cannot be read.
    pub(super) fn unknown(lane: Lane, arrived_ms: i64) -> Self {
        Self { lane, cut_ms: arrived_ms, connected_ms: arrived_ms, live: true, ..Self::default() }
    }

    /// The ledgers of this frame, each with a time in its window, in milliseconds.
    pub fn ledgers(&self) -> impl Iterator<Item = (i64, &Ledger)> {
        std::iter::once((self.cut_ms, &self.ledger)).chain(self.ledgers.iter().map(|(at_ms, ledger)| (*at_ms, ledger)))
    }
}
