//! Who wrote the posts with a hashtag or link: how many authors, and the share of the largest one, in a few bytes.
//!
//! Authors are counted by the [`KEPT`] smallest of their hashes (bottom-k: Bar-Yossef et al., "Counting Distinct Elements in
//! a Data Stream", 2002): exact while there are no more, and an estimate behind that. The largest author is found with two
//! counters as Misra and Gries have them (1982): an author with more than a third of the posts has one. Both can be merged.
//!
//! ```
//! use birdsong_domain::crowd::Crowd;
//!
//! let mut crowd = Crowd::default();
//! for post in 0..100u64 {
//!     // One author wrote 80 of 100 posts.
//!     let author = if post % 5 == 0 { post } else { 1 };
//!     crowd.add(author.wrapping_mul(0x9e37_79b9_7f4a_7c15));
//! }
//! assert!(crowd.authors().low <= 21 && 21 <= crowd.authors().high);
//! let (least, most) = crowd.top_author_permille();
//! assert!(least > 600 && least <= 800 && 800 <= most);
//! ```

use crate::uniques::Estimate;
use crate::wire::{self, DecodeError, Reader};

/// Hashes that are kept: up to so many authors are counted exactly.
pub const KEPT: usize = 8;
/// Authors with a counter.
const COUNTERS: usize = 2;

/// The authors of some posts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Posts whose author is known.
    posts: u64,
    /// The smallest hashes, in order.
    smallest: Vec<u16>,
    /// Authors with a counter, in the order of their hashes: hash, and posts at least.
    top: Vec<(u16, u64)>,
}

/// What is kept of an author's hash, which is even already.
fn short(author: u64) -> u16 {
    (author >> 48) as u16
}

impl Crowd {
    /// Counts a post of an author, who is named by a hash whose bits are even.
    pub fn add(&mut self, author: u64) {
        let hash = short(author);
        self.posts += 1;
        self.keep(hash);
        match self.top.binary_search_by_key(&hash, |(hash, _)| *hash) {
            Ok(at) => self.top[at].1 += 1,
            Err(at) if self.top.len() < COUNTERS => self.top.insert(at, (hash, 1)),
            Err(_) => self.lower(1),
        }
    }

    fn keep(&mut self, hash: u16) {
        if let Err(at) = self.smallest.binary_search(&hash)
            && at < KEPT
        {
            self.smallest.truncate(KEPT - 1);
            self.smallest.insert(at, hash);
        }
    }

    fn lower(&mut self, posts: u64) {
        self.top.retain_mut(|(_, count)| {
            *count = count.saturating_sub(posts);
            *count > 0
        });
    }

    /// Adds the authors of other posts.
    pub fn merge(&mut self, other: &Self) {
        self.posts += other.posts;
        other.smallest.iter().for_each(|hash| self.keep(*hash));
        for (hash, posts) in &other.top {
            match self.top.binary_search_by_key(hash, |(hash, _)| *hash) {
                Ok(at) => self.top[at].1 += posts,
                Err(at) => self.top.insert(at, (*hash, *posts)),
            }
        }
        if self.top.len() > COUNTERS {
            let mut counts: Vec<u64> = self.top.iter().map(|(_, posts)| *posts).collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            self.lower(counts[COUNTERS]);
        }
    }

    /// Posts whose author is known.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.posts
    }

    /// Distinct authors, with the bounds that contain the number with about 95 % probability; exact up to [`KEPT`], but for
    /// two authors with equal hashes (1 in 65,536).
    #[must_use]
    pub fn authors(&self) -> Estimate {
        let kept = self.smallest.len();
        let Some(largest) = self.smallest.last().filter(|_| kept == KEPT) else { return Estimate::exact(kept as u64) };
        // The 8th smallest of n even numbers lies at 8 of n + 1 parts. Times n it is distributed as Gamma(8), of which 95 %
        // lie between 3.4 and 14.4.
        let parts = |tenths: u64| tenths * (1 << 16) / (10 * (u64::from(*largest) + 1));
        let least = KEPT as u64;
        let of = |tenths| parts(tenths).clamp(least, self.posts.max(least));
        Estimate { value: of(70), low: of(34), high: of(144) }
    }

    /// Hashes of some authors, at most `n`, in order: equal ones are the same author.
    #[must_use]
    pub fn some(&self, n: usize) -> &[u16] {
        &self.smallest[..n.min(self.smallest.len())]
    }

    /// The largest author that has a counter: its hash, and its posts at least.
    #[must_use]
    pub fn top_author(&self) -> Option<(u16, u64)> {
        // The smallest hash of equals.
        self.top.iter().rev().max_by_key(|(_, posts)| *posts).copied()
    }

    /// Share of the largest author, in thousandths: at least, and at most. It is known to a third of the posts.
    #[must_use]
    pub fn top_author_permille(&self) -> (u64, u64) {
        let most = self.top.iter().map(|(_, posts)| *posts).max().unwrap_or(0);
        let counted: u64 = self.top.iter().map(|(_, posts)| *posts).sum();
        let error = self.posts.saturating_sub(counted) / (COUNTERS as u64 + 1);
        let permille = |posts: u64| (posts * 1000).checked_div(self.posts).unwrap_or(0);
        (permille(most), permille((most + error).min(self.posts)))
    }

    /// Appends the one byte form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.posts);
        if self.posts == 0 {
            return;
        }
        // Most hashtags have one post.
        if self.posts > 1 {
            out.push(self.smallest.len() as u8);
        }
        self.smallest.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
        if self.posts > 1 {
            out.push(self.top.len() as u8);
            for (hash, posts) in &self.top {
                out.extend_from_slice(&hash.to_le_bytes());
                wire::put_u64(out, *posts);
            }
        }
    }

    /// Reads what [`Crowd::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged, or not the one form.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let hash = |reader: &mut Reader<'_>| Ok::<_, DecodeError>(u16::from_le_bytes([reader.u8()?, reader.u8()?]));
        let posts = reader.u64()?;
        let mut crowd = Self { posts, ..Self::default() };
        if posts == 0 {
            return Ok(crowd);
        }
        if posts == 1 {
            let hash = hash(reader)?;
            return Ok(Self { smallest: vec![hash], top: vec![(hash, 1)], ..crowd });
        }
        for _ in 0..reader.u8()? {
            let hash = hash(reader)?;
            if crowd.smallest.len() == KEPT || crowd.smallest.last().is_some_and(|last| *last >= hash) {
                return Err(reader.error("few hashes, in order"));
            }
            crowd.smallest.push(hash);
        }
        for _ in 0..reader.u8()? {
            let (hash, posts) = (hash(reader)?, reader.u64()?);
            let is_next = crowd.top.last().is_none_or(|(last, _)| *last < hash);
            if crowd.top.len() == COUNTERS || !is_next || posts == 0 || posts > crowd.posts {
                return Err(reader.error("few authors, in order"));
            }
            crowd.top.push((hash, posts));
        }
        let counted = crowd.top.iter().try_fold(0u64, |sum, (_, posts)| sum.checked_add(*posts));
        if crowd.smallest.is_empty() || counted.is_none_or(|counted| counted > crowd.posts) {
            return Err(reader.error("the authors of these posts"));
        }
        Ok(crowd)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn even(author: u64) -> u64 {
        siphasher::sip::SipHasher13::new().hash(&author.to_le_bytes())
    }

    fn of(authors: &[u64]) -> Crowd {
        let mut crowd = Crowd::default();
        authors.iter().for_each(|author| crowd.add(even(*author)));
        crowd
    }

    fn encoded(crowd: &Crowd) -> Vec<u8> {
        let mut out = vec![];
        crowd.encode(&mut out);
        out
    }

    #[test]
    fn many_authors_are_estimated_within_the_bounds() {
        let mut within = 0;
        for seed in 0..200u64 {
            let authors: Vec<_> = (0..1000).map(|n| seed << 32 | n).collect();
            let estimate = of(&authors).authors();
            within += usize::from(estimate.low <= 1000 && 1000 <= estimate.high);
        }
        assert!((180..=200).contains(&within), "{within} of 200");
    }

    #[test]
    fn one_post_needs_three_bytes() {
        assert_eq!(encoded(&of(&[4])).len(), 3);
    }

    proptest! {
        // Rule 9.4.
        #[test]
        fn bounds_hold_in_any_cut(posts in prop::collection::vec(0u64..20, 1..120), cut in 0usize..120) {
            let cut = cut.min(posts.len());
            let (mut one, two) = (of(&posts[..cut]), of(&posts[cut..]));
            let mut other = two.clone();
            other.merge(&one);
            one.merge(&two);
            prop_assert_eq!(&one, &other);
            let mut times = BTreeMap::<u64, u64>::new();
            posts.iter().for_each(|author| *times.entry(*author).or_default() += 1);
            let most = times.values().max().copied().unwrap_or(0) * 1000 / posts.len() as u64;
            for crowd in [&one, &of(&posts)] {
                let authors = crowd.authors();
                prop_assert!(authors.low <= times.len() as u64 && times.len() as u64 <= authors.high);
                let (least, at_most) = crowd.top_author_permille();
                prop_assert!(least <= most && most <= at_most, "{least} {most} {at_most}");
                let bytes = encoded(crowd);
                let mut reader = Reader::new(&bytes);
                prop_assert_eq!(&Crowd::decode(&mut reader).unwrap(), crowd);
                prop_assert!(reader.finish().is_ok());
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_or_the_one_form(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(crowd) = Crowd::decode(&mut reader) {
                let read = bytes.len() - reader.rest().len();
                let again = encoded(&crowd);
                prop_assert_eq!(Crowd::decode(&mut Reader::new(&again)).unwrap(), crowd);
                prop_assert!(again.len() <= read);
            }
        }
    }
}
