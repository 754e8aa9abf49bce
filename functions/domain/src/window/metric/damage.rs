//! What cannot be read.

use super::{Context, Metric, put_counts, take_counts};
use crate::frame::Frame;
use crate::wire::{DecodeError, Reader};

/// Damaged log records and windows: what they held is missing from the other counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Log records that cannot be read; each counts in the first window that it has posts of.
    pub records: u64,
    /// Posts of this window in records that cannot be read, as far as their headers can.
    pub posts: u64,
    /// Those among them of which no earlier region has a copy.
    pub primary: u64,
    /// How often the stored window could not be read and started from zero. A reprocess restores it.
    pub resets: u64,
}

impl Metric for Damage {
    fn is_empty(&self) -> bool {
        self.records + self.posts + self.resets == 0
    }

    fn frame(&mut self, frame: &Frame, context: &Context) {
        if frame.damage.is_none() {
            return;
        }
        let header = &frame.header;
        let first_ms = header.windows.first().map_or(header.cut_ms, |count| count.window_ms);
        self.records += u64::from(context.rules.size.start_of(first_ms) == context.window);
        for count in header.windows.iter().filter(|count| count.window_ms == context.window.0) {
            self.posts += count.posts;
            self.primary += count.primary;
        }
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        self.records += other.records;
        self.posts += other.posts;
        self.primary += other.primary;
        self.resets += other.resets;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_counts(out, &[self.records, self.posts, self.primary, self.resets]);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [records, posts, primary, resets] = take_counts(reader)?;
        Ok(Self { records, posts, primary, resets })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, stored};
    use super::*;
    use crate::frame::{FrameError, FrameHeader, PostCount};

    #[test]
    fn a_damaged_record_counts_once_and_its_posts_where_they_belong() {
        let windows = [(-300_000, 3, 2), (0, 5, 1)].map(PostCount::from).to_vec();
        let header = FrameHeader { windows, ..FrameHeader::default() };
        let frame = Frame { header, damage: Some(FrameError::Checksum), ..Frame::default() };
        let mut damage = Damage::default();
        damage.frame(&Frame::default(), &context(0));
        assert!(damage.is_empty());
        damage.frame(&frame, &context(0));
        assert_eq!(stored(&damage), Damage { records: 0, posts: 5, primary: 1, resets: 0 });
        damage.frame(&Frame { header: FrameHeader::default(), ..frame }, &context(0));
        assert_eq!(damage.records, 1, "without a list of windows it is that of the cut");
        let other = Damage { records: 2, posts: 3, primary: 4, resets: 5 };
        damage.merge(&other, true);
        assert_eq!(damage, Damage { records: 3, posts: 8, primary: 5, resets: 5 });
        damage.merge(&other, false);
        assert_eq!(damage.resets, 10);
    }
}
