//! Posts by how their region was decided.

use super::{Context, Metric, sum};
use crate::frame::SlimPost;
use crate::post::Located;
use crate::wire::{DecodeError, Reader};

/// Posts by how their region was decided. Their sum is the number of posts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchedBy([u64; Located::ALL.len()]);

impl MatchedBy {
    /// Posts whose region was decided this way.
    #[must_use]
    pub fn of(&self, located: Located) -> u64 {
        self.0[located as usize]
    }
}

impl Metric for MatchedBy {
    sum!();

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.0[post.located as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn each_post_was_matched_in_one_way() {
        let posts = [Located::Place, Located::Rule, Located::Place];
        let posts = posts.map(|located| SlimPost { located, ..SlimPost::default() });
        let mut matched: MatchedBy = counted(&posts, 0);
        matched.merge(&counted(&posts[1..], 0), true);
        assert_eq!(Located::ALL.map(|located| matched.of(located)), [0, 3, 2, 0, 0]);
    }
}
