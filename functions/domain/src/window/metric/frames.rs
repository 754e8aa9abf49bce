//! Frames.

use super::{Context, Metric, sum};
use crate::frame::Frame;
use crate::wire::{DecodeError, Reader};

/// Frames that touched the window, heartbeats among them. Without any, no source was connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames(pub u64);

impl Metric for Frames {
    sum!();

    fn frame(&mut self, _frame: &Frame, _context: &Context) {
        self.0 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, stored};
    use super::*;

    #[test]
    fn a_heartbeat_counts_too() {
        let mut frames = Frames::default();
        frames.frame(&Frame::default(), &context(0));
        frames.merge(&stored(&frames), true);
        assert_eq!(frames, Frames(2));
    }
}
