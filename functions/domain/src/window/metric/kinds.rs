//! Posts by kind.

use super::{Context, Metric, sum};
use crate::frame::SlimPost;
use crate::post::Kind;
use crate::wire::{DecodeError, Reader};

/// Posts by kind. Their sum is the number of posts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds([u64; Kind::ALL.len()]);

impl Kinds {
    /// Posts of this kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    pub(crate) fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    /// Posts of any kind.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Metric for Kinds {
    sum!();

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.add(post.kind);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn each_post_has_one_kind() {
        let posts: Vec<_> =
            [Kind::Reply, Kind::Reply, Kind::Repost].map(|kind| SlimPost { kind, ..SlimPost::default() }).into();
        let mut kinds: Kinds = counted(&posts, 0);
        assert_eq!(Kind::ALL.map(|kind| kinds.of(kind)), [0, 2, 0, 1]);
        kinds.merge(&counted(&posts, 0), true);
        assert_eq!((kinds.posts(), kinds.of(Kind::Reply)), (6, 4));
    }
}
