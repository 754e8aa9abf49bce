//! Windows: the [`metric`]s that are counted in each, the [`Aggregate`] of all of them, and the stored item
//! ([`Partial`]).

mod aggregate;
pub mod metric;
mod partial;
#[cfg(test)]
mod tests;

pub use aggregate::Aggregate;
pub use partial::{MAX_PARTIAL_BYTES, Partial};

use crate::frame::Frame;
use crate::time::{WindowSize, WindowStart};

/// What folding depends on besides the log. Two runs with the same rules give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldRules {
    /// Length of a window.
    pub size: WindowSize,
    /// How long after its end a window still accepts posts as on time, in milliseconds.
    pub lateness_ms: i64,
}

impl Default for FoldRules {
    fn default() -> Self {
        Self { size: WindowSize::FIVE_MINUTES, lateness_ms: 120_000 }
    }
}

/// The windows that a frame touches, in order: those of its posts and its ledgers, and the one in which it was
/// cut.
#[must_use]
pub fn touched(rules: FoldRules, frame: &Frame) -> Vec<WindowStart> {
    let mut windows: Vec<_> = frame.header.ledgers().map(|(at_ms, _)| rules.size.start_of(at_ms)).collect();
    if frame.damage.is_some() {
        windows.extend(frame.header.windows.iter().map(|count| rules.size.start_of(count.window_ms)));
    }
    for post in &frame.posts {
        let window = rules.size.start_of(post.time_ms);
        if windows.last() != Some(&window) {
            windows.push(window);
        }
    }
    windows.sort_unstable();
    windows.dedup();
    windows
}
