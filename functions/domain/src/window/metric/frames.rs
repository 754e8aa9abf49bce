//! Frames.

use super::{Context, Metric};
use crate::frame::Frame;
use crate::wire::{self, DecodeError, Reader};

/// Frames that touched the window, heartbeats among them. Without any, no source was connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames(pub u64);

impl Metric for Frames {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn frame(&mut self, _frame: &Frame, _context: &Context) {
        self.0 += 1;
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        self.0 += other.0;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u64().map(Self)
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
