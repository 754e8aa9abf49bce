//! Posts that no earlier region has.

use super::{Context, Metric, sum};
use crate::frame::SlimPost;
use crate::wire::{DecodeError, Reader};

/// Posts of which no earlier region has a copy: the sum over all regions counts each post once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Primary(pub u64);

impl Metric for Primary {
    sum!();

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.0 += u64::from(!post.is_copy);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn copies_do_not_count() {
        let posts = [false, true, false].map(|is_copy| SlimPost { is_copy, ..SlimPost::default() });
        let mut count: Primary = counted(&posts, 0);
        count.merge(&counted(&posts[..2], 0), true);
        assert_eq!(count.0, 3);
    }
}
