//! Late posts.

use super::{Context, Metric, put_counts, take_counts};
use crate::frame::SlimPost;
use crate::wire::{DecodeError, Reader};

/// Posts that came when the window was final already. They are counted, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// All of them.
    pub posts: u64,
    /// Those of which no earlier region has a copy.
    pub primary: u64,
}

impl Metric for Lateness {
    fn is_empty(&self) -> bool {
        self.posts == 0
    }

    fn post(&mut self, post: &SlimPost, context: &Context) {
        self.posts += u64::from(context.is_late);
        self.primary += u64::from(context.is_late && !post.is_copy);
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        self.posts += other.posts;
        self.primary += other.primary;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_counts(out, &[self.posts, self.primary]);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [posts, primary] = take_counts(reader)?;
        Ok(Self { posts, primary })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn a_post_is_late_when_its_window_was_final_at_the_cut() {
        let posts = [true, false, true].map(|is_copy| SlimPost { is_copy, ..SlimPost::default() });
        assert_eq!(counted::<Lateness>(&posts, 419_999), Lateness::default());
        assert_eq!(counted::<Lateness>(&posts, 420_000), Lateness { posts: 3, primary: 1 });
    }
}
