//! Mentions of accounts.

use super::{Context, Metric, sum};
use crate::frame::SlimPost;
use crate::wire::{DecodeError, Reader};

/// Mentions of accounts: a post has as many as it names accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mentions(pub u64);

impl Metric for Mentions {
    sum!();

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.0 += u64::from(post.mentions);
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
