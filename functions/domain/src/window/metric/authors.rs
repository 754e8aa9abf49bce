//! Distinct authors.

use super::{Context, Metric};
use crate::frame::SlimPost;
use crate::uniques::{Estimate, Uniques};
use crate::wire::{self, DecodeError, Reader};

/// Distinct authors, and posts whose source names no author.
#[derive(Clone, Debug, Default)]
pub struct Authors {
    /// Of the posts whose source names an author.
    pub known: Uniques,
    /// Posts whose source names no author.
    pub authorless: u64,
}

impl Authors {
    /// How many people wrote these `posts` posts, with the bounds that contain the number with 95 %
    /// probability; exact when the bounds are equal. There are never more authors than posts, and never
    /// fewer than in a part that was merged into this. Posts without author may each be of a separate author
    /// or all of known authors: they widen the bounds.
    #[must_use]
    pub fn distinct(&self, posts: u64) -> Estimate {
        let known = self.known.estimate().at_most(posts.saturating_sub(self.authorless));
        let least = u64::from(posts > 0);
        Estimate { value: known.value.max(least), low: known.low.max(least), high: known.high + self.authorless }
    }
}

impl Metric for Authors {
    fn is_empty(&self) -> bool {
        self.authorless == 0 && self.known.is_empty()
    }

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        match post.author {
            Some(author) => self.known.add(author),
            None => self.authorless += 1,
        }
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        self.known.merge(&other.known);
        self.authorless += other.authorless;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.authorless);
        self.known.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { authorless: reader.u64()?, known: Uniques::decode(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    // Rule 9.3.
    #[test]
    fn posts_without_author_are_of_one_author_or_of_as_many_as_there_are_posts() {
        let of = |authors, authorless: usize| {
            let named = (0..authors).map(|author| SlimPost { author: Some(author), ..SlimPost::default() });
            let posts: Vec<_> = named.chain(std::iter::repeat_n(SlimPost::default(), authorless)).collect();
            counted::<Authors>(&posts, 0).distinct(posts.len() as u64)
        };
        assert_eq!(of(0, 0), Estimate::exact(0));
        assert_eq!(of(0, 300), Estimate { value: 1, low: 1, high: 300 });
        assert_eq!(of(7, 0), Estimate::exact(7));
        assert_eq!(of(7, 3), Estimate { value: 7, low: 7, high: 10 });
    }
}
