//! Posts with media.

use super::{Context, Metric};
use crate::frame::SlimPost;
use crate::wire::{self, DecodeError, Reader};

/// Posts with at least one photo, video, GIF or audio attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media(pub u64);

impl Metric for Media {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.0 += u64::from(post.has_media);
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
    fn a_post_with_media_counts_once() {
        let posts = [true, false, true].map(|has_media| SlimPost { has_media, ..SlimPost::default() });
        let mut media: Media = counted(&posts, 0);
        media.merge(&counted(&posts[1..], 0), false);
        assert_eq!(media, Media(3));
    }
}
