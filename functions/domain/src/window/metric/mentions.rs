//! Mentions of accounts.

use super::{Context, Metric};
use crate::frame::SlimPost;
use crate::wire::{self, DecodeError, Reader};

/// Mentions of accounts: a post has as many as it names accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mentions(pub u64);

impl Metric for Mentions {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.0 += u64::from(post.mentions);
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
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn each_account_that_a_post_mentions_counts() {
        let posts = [1u32, 0, 2].map(|mentions| SlimPost { mentions, ..SlimPost::default() });
        let mut count: Mentions = counted(&posts, 0);
        count.merge(&counted(&posts[..2], 0), true);
        assert_eq!(count.0, 4);
    }
}
