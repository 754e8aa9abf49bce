//! Posts with media.

use super::{Context, Metric, sum};
use crate::frame::SlimPost;
use crate::wire::{DecodeError, Reader};

/// Posts with at least one photo, video, GIF or audio attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media(pub u64);

impl Metric for Media {
    sum!();

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.0 += u64::from(post.has_media);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn a_post_with_media_counts_once() {
        let posts = [true, false, true].map(|has_media| SlimPost { has_media, ..SlimPost::default() });
        let mut media: Media = counted(&posts, 0);
        media.merge(&counted(&posts[1..], 0), false);
        assert_eq!(media, Media(3));
    }
}
