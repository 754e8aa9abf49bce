//! When late posts came last.

use super::{Context, Metric};
use crate::frame::SlimPost;
use crate::wire::{self, DecodeError, Reader};

/// When the newest frame with late posts was cut, in milliseconds; `None` when no post was late. It comes from the log, so a
/// fold of the same records has the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastLate(pub Option<i64>);

impl Metric for LastLate {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn post(&mut self, _post: &SlimPost, context: &Context) {
        if context.is_late {
            self.0 = self.0.max(Some(context.cut_ms));
        }
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        self.0 = self.0.max(other.0);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(cut_ms) = self.0 {
            wire::put_i64(out, cut_ms);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Some(reader.i64()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn the_newest_frame_with_late_posts_counts() {
        let posts = [SlimPost::default()];
        let last = |cut_ms| {
            let mut last = LastLate::default();
            posts.iter().for_each(|post| last.post(post, &super::super::tests::context(cut_ms)));
            last
        };
        assert_eq!(last(419_999), LastLate(None), "it was on time");
        let mut late: LastLate = counted(&posts, 420_000);
        late.merge(&last(500_000), true);
        late.merge(&LastLate(None), false);
        assert_eq!(late, LastLate(Some(500_000)));
    }
}
