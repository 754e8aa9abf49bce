//! Who wrote the posts with a hashtag or link: how many authors, and the share of the largest one, in a few bytes.
//!
//! Authors are counted by the [`KEPT`] smallest of their hashes (bottom-k: Bar-Yossef et al., "Counting Distinct Elements in
//! a Data Stream", 2002): exact while there are no more, and an estimate behind that. The share of the largest author follows
//! from the sum of squares of the authors' posts, which is estimated with [`SIGNS`] signed sums (Alon, Matias and Szegedy, "The
//! Space Complexity of Approximating the Frequency Moments", 1996). Both can be merged, and neither depends on the order of
//! the posts.
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
//! assert!(least > 500 && least <= 800 && 800 <= most + 100);
//! ```

use crate::uniques::Estimate;
use crate::wire::{self, DecodeError, Reader};

/// Hashes that are kept: up to so many authors are counted exactly.
pub const KEPT: usize = 8;
/// Signed sums of posts.
pub const SIGNS: usize = 4;

/// The authors of some posts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Posts whose author is known.
    posts: u64,
    /// The smallest hashes, in order.
    smallest: Vec<u16>,
    /// Posts, each with a sign of its author.
    sums: [i64; SIGNS],
}

/// What is kept of an author's hash, which is even already.
fn short(author: u64) -> u16 {
    (author >> 48) as u16
}

/// The signs of an author.
pub(crate) fn signs(hash: u16) -> [i64; SIGNS] {
    let bits = u32::from(hash).wrapping_mul(0x9e37_79b1) >> (32 - SIGNS);
    std::array::from_fn(|n| if bits >> n & 1 == 0 { 1 } else { -1 })
}

/// Share of the largest author in thousandths, about and at least, from posts, signed sums, and distinct authors at least.
///
/// With shares p of the authors, the sum of squares is at most the largest p, and its root at least that.
pub(crate) fn top_share(posts: u64, sums: [i64; SIGNS], authors: u64) -> (u64, u64) {
    if posts == 0 {
        return (0, 0);
    }
    let squares = sums.iter().map(|sum| u128::from(sum.unsigned_abs()).pow(2)).sum::<u128>() / SIGNS as u128;
    let n = u128::from(posts);
    // The others have one post each, at least; and somebody has no fewer than the mean.
    let most = (n.saturating_sub(u128::from(authors.max(1))) + 1).min(n) * 1000 / n;
    let root = ((squares * 1_000_000).isqrt() / n).min(most);
    let least = (squares * 1000 / n / n).min(root);
    (u64::try_from(least).unwrap_or(1000), u64::try_from(root).unwrap_or(1000))
}

impl Crowd {
    /// Counts a post of an author, who is named by a hash whose bits are even.
    pub fn add(&mut self, author: u64) {
        let hash = short(author);
        self.posts += 1;
        self.keep(hash);
        self.sums.iter_mut().zip(signs(hash)).for_each(|(sum, sign)| *sum += sign);
    }

    fn keep(&mut self, hash: u16) {
        if let Err(at) = self.smallest.binary_search(&hash)
            && at < KEPT
        {
            self.smallest.truncate(KEPT - 1);
            self.smallest.insert(at, hash);
        }
    }

    /// Adds the authors of other posts.
    pub fn merge(&mut self, other: &Self) {
        self.posts += other.posts;
        other.smallest.iter().for_each(|hash| self.keep(*hash));
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, theirs)| *sum += theirs);
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

    /// The signed sums of the posts.
    pub(crate) fn sums(&self) -> [i64; SIGNS] {
        self.sums
    }

    /// Share of the largest author, in thousandths: at least, and at most, about. With one large author among many, the
    /// second is close to the truth.
    #[must_use]
    pub fn top_author_permille(&self) -> (u64, u64) {
        top_share(self.posts, self.sums, self.authors().low)
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
            self.sums.iter().for_each(|sum| wire::put_i64(out, *sum));
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
            return Ok(Self { smallest: vec![hash], sums: signs(hash), ..crowd });
        }
        for _ in 0..reader.u8()? {
            let hash = hash(reader)?;
            if crowd.smallest.len() == KEPT || crowd.smallest.last().is_some_and(|last| *last >= hash) {
                return Err(reader.error("few hashes, in order"));
            }
            crowd.smallest.push(hash);
        }
        for sum in &mut crowd.sums {
            *sum = reader.i64()?;
        }
        // Each post adds or subtracts one.
        let is_sum = |sum: &i64| sum.unsigned_abs() <= posts && (sum.unsigned_abs() ^ posts) & 1 == 0;
        if crowd.smallest.is_empty() || crowd.smallest.len() as u64 > posts || !crowd.sums.iter().all(is_sum) {
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
    fn a_flood_by_one_author_is_seen_and_a_crowd_is_none() {
        let (mut seen, mut wrong) = (0, 0);
        for seed in 0..500u64 {
            let author = |n: u64| seed << 32 | n;
            // 70 of 100 posts, and 5 to 60 posts by as many authors.
            let flood: Vec<_> = (0..100).map(|n| author(if n % 10 < 7 { 0 } else { n })).collect();
            seen += usize::from(of(&flood).top_author_permille().1 > 500);
            let crowd: Vec<_> = (0..5 + seed % 55).map(author).collect();
            wrong += usize::from(of(&crowd).top_author_permille().1 > 500);
        }
        assert!(seen >= 495 && wrong <= 5, "{seen} of 500 floods, {wrong} of 500 crowds");
    }

    #[test]
    fn one_post_needs_three_bytes() {
        assert_eq!(encoded(&of(&[4])).len(), 3);
    }

    #[test]
    fn the_largest_share_follows_from_the_sum_of_squares() {
        for (posts, sums, authors, expected) in [
            (0, [0; SIGNS], 0, (0, 0)),
            (10, [10, -10, 10, 10], 1, (1000, 1000)),
            // A quarter is the sum of squares, if one author has half of the posts and the others have few.
            (100, [50, -50, 50, 50], 30, (250, 500)),
            (3, [1; SIGNS], 3, (111, 333)),
            // Nine authors have ten posts, so one of them has two at most.
            (10, [10; SIGNS], 9, (200, 200)),
        ] {
            assert_eq!(top_share(posts, sums, authors), expected, "{sums:?}");
        }
    }

    #[test]
    fn authors_follow_from_the_eighth_smallest_hash() {
        let of = |posts| Crowd { posts, smallest: (0..8).collect(), sums: [0; SIGNS] }.authors();
        // 7, 3.4 and 14.4 times 65,536 / 8.
        assert_eq!(of(1 << 40), Estimate { value: 57_344, low: 27_852, high: 117_964 });
        assert_eq!(of(30_000), Estimate { value: 30_000, low: 27_852, high: 30_000 });
    }

    // Rule 1.8.
    #[test]
    fn a_crowd_has_one_form_and_all_others_are_refused() {
        let crowd = |posts: u8, hashes: &[u8], sums: [i64; SIGNS]| {
            let mut bytes = vec![posts, hashes.len() as u8];
            hashes.iter().for_each(|hash| bytes.extend([*hash, 0]));
            sums.iter().for_each(|sum| wire::put_i64(&mut bytes, *sum));
            bytes
        };
        let read = |bytes: &[u8]| Crowd::decode(&mut Reader::new(bytes)).map(|crowd| encoded(&crowd));
        let even = [0, 2, -2, 2];
        for good in
            [crowd(2, &[1, 2], even), crowd(8, &[1, 2, 3, 4, 5, 6, 7, 8], [-8, 0, 8, 2]), vec![1, 9, 9], vec![0]]
        {
            assert_eq!(read(&good), Ok(good));
        }
        for (what, bad) in [
            ("nine hashes", crowd(10, &[1, 2, 3, 4, 5, 6, 7, 8, 9], even)),
            ("another order", crowd(2, &[2, 1], even)),
            ("a hash twice", crowd(2, &[1, 1], even)),
            ("no author", crowd(2, &[], even)),
            ("more authors than posts", crowd(2, &[1, 2, 3], even)),
            ("a sum above the posts", crowd(2, &[1], [4, 0, 0, 0])),
            ("an odd sum of two posts", crowd(2, &[1], [1, 0, 0, 0])),
        ] {
            assert!(read(&bad).is_err(), "{what}");
        }
    }

    #[test]
    fn signs_are_a_part_of_the_stored_form() {
        // Stored crowds of one post have no sums; they follow from the hash.
        let of = |hash: u16| signs(hash).map(|sign| if sign > 0 { '+' } else { '-' }).iter().collect::<String>();
        assert_eq!([0, 1, 2, 0x8000, 0xffff].map(of), ["++++", "-++-", "--++", "--+-", "-+--"]);
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
            for crowd in [&one, &of(&posts)] {
                let authors = crowd.authors();
                prop_assert!(authors.low <= times.len() as u64 && times.len() as u64 <= authors.high);
                let (least, at_most) = crowd.top_author_permille();
                prop_assert!(least <= at_most && at_most <= 1000);
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
