//! The newest post.

use super::{Context, Metric};
use crate::frame::SlimPost;
use crate::wire::{self, DecodeError, Reader};

/// Event time of the newest post, in milliseconds; `None` when there was no post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest(pub Option<i64>);

impl Metric for Newest {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.0 = self.0.max(Some(post.time_ms));
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        self.0 = self.0.max(other.0);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(newest_ms) = self.0 {
            wire::put_i64(out, newest_ms);
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
    fn the_newest_post_may_be_older_than_1970() {
        let posts = [-7000, -5000, -6000].map(|time_ms| SlimPost { time_ms, ..SlimPost::default() });
        let mut newest: Newest = counted(&posts, 0);
        assert_eq!(newest, Newest(Some(-5000)));
        newest.merge(&Newest::default(), true);
        assert_eq!(newest, Newest(Some(-5000)));
    }
}
