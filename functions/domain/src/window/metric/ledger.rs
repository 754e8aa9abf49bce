//! What became of the lines of a source (lanes of ledgers only).

use super::{Context, Metric, put_counts, take_counts};
use crate::frame::{Frame, Ledger};
use crate::wire::{DecodeError, Reader};

impl Metric for Ledger {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }

    fn frame(&mut self, frame: &Frame, context: &Context) {
        for (at_ms, ledger) in frame.header.ledgers() {
            if context.rules.size.start_of(at_ms) == context.window {
                self.add(ledger);
            }
        }
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        self.add(other);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Self { received, sent, filtered, quarantined, duplicates, dropped, missed_ms, unasked_permille, withheld } =
            *self;
        let posts = [received, sent, filtered, quarantined, duplicates, dropped];
        put_counts(out, &posts);
        put_counts(out, &[missed_ms, unasked_permille, withheld]);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [received, sent, filtered, quarantined, duplicates, dropped] = take_counts(reader)?;
        let [missed_ms, unasked_permille, withheld] = take_counts(reader)?;
        Ok(Self { received, sent, filtered, quarantined, duplicates, dropped, missed_ms, unasked_permille, withheld })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, stored};
    use super::*;
    use crate::frame::FrameHeader;

    // Rule 1.6.
    #[test]
    fn a_window_has_the_ledgers_that_belong_to_it() {
        let of =
            |received| Ledger { received, filtered: received, unasked_permille: received * 100, ..Ledger::default() };
        let header = FrameHeader {
            cut_ms: 299_999,
            ledger: of(1),
            ledgers: vec![(0, of(2)), (300_000, of(4))],
            ..FrameHeader::default()
        };
        let mut ledger = Ledger::default();
        ledger.frame(&Frame { header, ..Frame::default() }, &context(0));
        assert_eq!(stored(&ledger), Ledger { received: 3, filtered: 3, unasked_permille: 200, ..Ledger::default() });
    }
}
