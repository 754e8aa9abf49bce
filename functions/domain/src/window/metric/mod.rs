//! The metrics of a window: one file for each metric. It defines what the metric counts, how two parts are merged, and
//! how it is stored.
//!
//! A new metric is its file here and its line in the list of `window/aggregate.rs`, which assigns its tag.

pub mod authors;
pub mod damage;
pub mod frames;
pub mod hashtags;
pub mod hosts;
pub mod kinds;
pub mod lag;
pub mod languages;
pub mod last_late;
pub mod lateness;
pub mod ledger;
pub mod matched_by;
pub mod media;
pub mod mentions;
pub mod newest;
pub mod per_minute;
pub mod primary;
pub(crate) mod seen;

pub use authors::Authors;
pub use damage::Damage;
pub use frames::Frames;
pub use hashtags::{HASHTAG_COUNTERS, Hashtags, ROLLUP_HASHTAG_COUNTERS};
pub use hosts::{HOST_COUNTERS, Hosts, ROLLUP_HOST_COUNTERS};
pub use kinds::Kinds;
pub use lag::Lag;
pub use languages::{Languages, MAX_LANGUAGE_BYTES, NO_LANGUAGE};
pub use last_late::LastLate;
pub use lateness::Lateness;
pub use matched_by::MatchedBy;
pub use media::Media;
pub use mentions::Mentions;
pub use newest::Newest;
pub use per_minute::PerMinute;
pub use primary::Primary;

use super::FoldRules;
use crate::frame::{Frame, FrameHeader, SlimPost};
use crate::time::WindowStart;
use crate::wire::{self, DecodeError, Reader};

/// One thing that is counted in a window. Its state is a pure function of the frames that were folded, in the order of
/// their lane.
pub trait Metric: Clone + Default {
    /// Whether nothing was counted. Such a metric is not stored, and what is stored is never such.
    fn is_empty(&self) -> bool;

    /// Counts a frame that touches the window, before the posts in it.
    fn frame(&mut self, _frame: &Frame, _context: &Context) {}

    /// Counts a post of the window.
    fn post(&mut self, _post: &SlimPost, _context: &Context) {}

    /// Adds another lane of the same window or, if not `same_window`, the next window of a longer step.
    fn merge(&mut self, other: &Self, same_window: bool);

    /// Reduces what only a merge of many windows has, so that an hour or a day can be stored.
    fn shrink(&mut self) {}

    /// Appends the one byte form of this state.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`Metric::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged, or not the one form of a state.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// What a metric may use besides the post.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// How windows are folded.
    pub rules: FoldRules,
    /// The window.
    pub window: WindowStart,
    /// When the frame was cut, in milliseconds.
    pub cut_ms: i64,
    /// Whether `cut_ms` is real time.
    pub is_live: bool,
    /// Whether the window was final at the cut.
    pub is_late: bool,
}

impl Context {
    pub(super) fn new(rules: FoldRules, window: WindowStart, header: &FrameHeader) -> Self {
        let is_late = header.live && header.cut_ms >= window.0 + rules.size.ms() + rules.lateness_ms;
        Self { rules, window, cut_ms: header.cut_ms, is_live: header.live, is_late }
    }
}

/// The part of [`Metric`] that is the same for every metric whose whole state is one count, or one array of counts: all but
/// what it counts.
macro_rules! sum {
    () => {
        fn is_empty(&self) -> bool {
            $crate::window::metric::Sum::is_zero(&self.0)
        }

        fn merge(&mut self, other: &Self, _same_window: bool) {
            $crate::window::metric::Sum::add(&mut self.0, &other.0);
        }

        fn encode(&self, out: &mut Vec<u8>) {
            $crate::window::metric::Sum::put(&self.0, out);
        }

        fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
            $crate::window::metric::Sum::take(reader).map(Self)
        }
    };
}
use sum;

/// The state of such a metric.
trait Sum: Sized {
    fn is_zero(&self) -> bool;
    fn add(&mut self, other: &Self);
    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

impl Sum for u64 {
    fn is_zero(&self) -> bool {
        *self == 0
    }

    fn add(&mut self, other: &Self) {
        *self += other;
    }

    fn put(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, *self);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u64()
    }
}

impl<const N: usize> Sum for [u64; N] {
    fn is_zero(&self) -> bool {
        self.iter().all(|count| *count == 0)
    }

    fn add(&mut self, other: &Self) {
        self.iter_mut().zip(other).for_each(|(ours, theirs)| *ours += theirs);
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_counts(out, self);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        take_counts(reader)
    }
}

/// Appends counts, all of them.
fn put_counts(out: &mut Vec<u8>, counts: &[u64]) {
    counts.iter().for_each(|count| wire::put_u64(out, *count));
}

/// Reads `N` counts.
fn take_counts<const N: usize>(reader: &mut Reader<'_>) -> Result<[u64; N], DecodeError> {
    let mut counts = [0; N];
    for count in &mut counts {
        *count = reader.u64()?;
    }
    Ok(counts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A context of the first window of 1970, whose frames are cut at this time.
    pub(crate) fn context(cut_ms: i64) -> Context {
        let header = FrameHeader { cut_ms, live: true, ..FrameHeader::default() };
        Context::new(FoldRules::default(), WindowStart(0), &header)
    }

    /// The count of these posts, whose frame was cut at `cut_ms`, stored and read again.
    ///
    /// # Panics
    /// When it differs after reading.
    pub(crate) fn counted<M: Metric>(posts: &[SlimPost], cut_ms: i64) -> M {
        let mut metric = M::default();
        posts.iter().for_each(|post| metric.post(post, &context(cut_ms)));
        stored(&metric)
    }

    /// A metric stored and read again.
    pub(crate) fn stored<M: Metric>(metric: &M) -> M {
        let bytes = |metric: &M| {
            let mut bytes = vec![];
            metric.encode(&mut bytes);
            bytes
        };
        let stored = bytes(metric);
        let mut reader = Reader::new(&stored);
        let read = M::decode(&mut reader).expect("it can be read");
        reader.finish().expect("all of it is read");
        assert_eq!(bytes(&read), stored, "one state has one form");
        read
    }
}
