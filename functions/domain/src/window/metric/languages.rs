//! Posts by language.
//!
//! Languages come from outside, so their number is bounded. Which of them have a counter must not
//! depend on the order in which posts come: of all tags seen, the [`MAX_LANGUAGES`] shortest ones are
//! kept (equally long ones in the order of their text), and all others are counted together. A tag
//! among the shortest of all is among the shortest of any part, so it has had its counter since it
//! first came: every count is exact, and so is the count of the rest. The result is a function of the
//! posts alone, in any order of posts and merges.

use std::collections::BTreeMap;

use super::{Context, Metric};
use crate::frame::SlimPost;
use crate::wire::{self, DecodeError, Reader};

/// Where posts without a language are counted (BCP 47's code for undetermined).
pub const NO_LANGUAGE: &str = "und";
/// Tags with a separate counter. BCP 47 has fewer than 200 languages of two letters, so real posts
/// stay below it even when many of them name a country, too.
pub const MAX_LANGUAGES: usize = 1024;
/// Longest tag with a counter, in bytes; BCP 47 asks that programs keep at least 35 characters
/// (RFC 5646, section 4.4.1).
pub const MAX_LANGUAGE_BYTES: usize = 35;

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages {
    counts: BTreeMap<Box<str>, u64>,
    other: u64,
}

/// What decides which tags are kept: the shortest, then by text.
fn rank(tag: &str) -> (usize, &str) {
    (tag.len(), tag)
}

impl Languages {
    /// Counts `posts` posts in the language `tag`.
    pub fn add(&mut self, tag: &str, posts: u64) {
        if let Some(count) = self.counts.get_mut(tag) {
            *count += posts;
            return;
        }
        if tag.len() > MAX_LANGUAGE_BYTES {
            self.other += posts;
            return;
        }
        if self.counts.len() >= MAX_LANGUAGES {
            match self.counts.keys().max_by(|a, b| rank(a).cmp(&rank(b))).cloned() {
                Some(last) if rank(tag) < rank(&last) => self.other += self.counts.remove(&last).unwrap_or_default(),
                _ => {
                    self.other += posts;
                    return;
                }
            }
        }
        self.counts.insert(tag.into(), posts);
    }

    /// Tags and their posts, by tag.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(tag, posts)| (&**tag, *posts))
    }

    /// Posts in languages without a counter.
    #[must_use]
    pub fn other(&self) -> u64 {
        self.other
    }
}

impl Metric for Languages {
    fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.other == 0
    }

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.add(if post.lang.is_empty() { NO_LANGUAGE } else { &post.lang }, 1);
    }

    fn merge(&mut self, part: &Self, _same_window: bool) {
        self.other += part.other;
        for (tag, posts) in &part.counts {
            self.add(tag, *posts);
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.counts.len() as u64);
        for (tag, posts) in &self.counts {
            wire::put_bytes(out, tag.as_bytes());
            wire::put_u64(out, *posts);
        }
        wire::put_u64(out, self.other);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut languages = Self { counts: decode_counts(reader, MAX_LANGUAGES)?, other: 0 };
        languages.other = reader.u64()?;
        if languages.counts.keys().any(|tag| tag.len() > MAX_LANGUAGE_BYTES) {
            return Err(reader.error("language tags of at most 35 bytes"));
        }
        Ok(languages)
    }
}

fn decode_counts(reader: &mut Reader<'_>, most: usize) -> Result<BTreeMap<Box<str>, u64>, DecodeError> {
    let mut counts = BTreeMap::<Box<str>, u64>::new();
    for _ in 0..reader.u64()? {
        let tag = reader.text()?;
        if counts.len() == most || counts.last_key_value().is_some_and(|(last, _)| **last >= *tag) {
            return Err(reader.error("a bounded number of languages, in order"));
        }
        counts.insert(tag.into(), reader.u64()?);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(languages: &Languages) -> Vec<u8> {
        let mut out = vec![];
        languages.encode(&mut out);
        out
    }

    fn of(tags: &[String]) -> Languages {
        let mut languages = Languages::default();
        tags.iter().for_each(|tag| languages.add(tag, 1));
        languages
    }

    #[test]
    fn the_seventieth_language_has_its_count_whenever_it_comes() {
        let tag = |n: u8| format!("{}{}", char::from(b'a' + n / 26), char::from(b'a' + n % 26));
        let mut tags: Vec<_> = (0..70).map(tag).collect();
        tags.extend(std::iter::repeat_n(tag(69), 30));
        let languages = of(&tags);
        assert_eq!(languages.iter().find(|(name, _)| *name == tag(69)), Some((tag(69).as_str(), 31)));
        assert_eq!((languages.iter().count(), languages.other()), (70, 0));
    }

    #[test]
    fn beyond_the_bound_the_shortest_tags_have_exact_counts() {
        let mut tags: Vec<_> = (0..MAX_LANGUAGES + 100).map(|n| format!("en-x-{n:04}")).collect();
        tags.push("fr".into());
        tags.push("x".repeat(MAX_LANGUAGE_BYTES + 1));
        let languages = of(&tags);
        assert_eq!(languages.iter().count(), MAX_LANGUAGES);
        assert_eq!(languages.other(), 102, "100 tags, the one that was replaced, and the one that is too long");
        assert!(languages.iter().any(|(tag, posts)| (tag, posts) == ("fr", 1)));
        let bytes = encoded(&languages);
        assert_eq!(Languages::decode(&mut Reader::new(&bytes)).as_ref(), Ok(&languages));
    }

    // Rule 1.8.
    #[test]
    fn counts_have_one_form_and_all_others_are_refused() {
        let of = |tags: &[&str]| {
            let mut bytes = vec![];
            wire::put_u64(&mut bytes, tags.len() as u64);
            for tag in tags {
                wire::put_bytes(&mut bytes, tag.as_bytes());
                bytes.push(1);
            }
            bytes.push(0);
            bytes
        };
        let read = |bytes: &[u8]| Languages::decode(&mut Reader::new(bytes)).map(|languages| encoded(&languages));
        let (longest, longer) = ("x".repeat(MAX_LANGUAGE_BYTES), "x".repeat(MAX_LANGUAGE_BYTES + 1));
        let tags: Vec<_> = (0..=MAX_LANGUAGES).map(|n| format!("{n:04}")).collect();
        let tags: Vec<_> = tags.iter().map(String::as_str).collect();
        for good in [of(&[]), of(&["en", "fr"]), of(&[&longest]), of(&tags[1..])] {
            assert_eq!(read(&good), Ok(good));
        }
        for bad in [of(&["fr", "en"]), of(&["en", "en"]), of(&[&longer]), of(&tags)] {
            assert!(read(&bad).is_err());
        }
        // A tag of 35 bytes has a counter, a longer one has none, and neither has one that came too late.
        let mut full = Languages::default();
        [&*longest, &*longer, &format!("{longer}x"), &format!("{longer}y")].iter().for_each(|tag| full.add(tag, 1));
        assert_eq!((full.iter().count(), full.other()), (1, 3));
        full.merge(&full.clone(), true);
        assert_eq!((full.iter().next(), full.other()), (Some((&*longest, 2)), 6));
        let mut full = Languages::default();
        tags.iter().for_each(|tag| full.add(tag, 1));
        assert_eq!((full.iter().last(), full.other()), (Some(("1023", 1)), 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        // Rule 9.6.
        #[test]
        fn neither_order_nor_parts_show(seed: u64, cut in 0usize..3000, again in 0usize..3000) {
            let mut dice = seed | 1;
            let mut tags: Vec<_> = (0..3000u64).map(|n| format!("{:x}", n * n % 1500)).collect();
            let straight = encoded(&of(&tags));
            for at in (1..tags.len()).rev() {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                tags.swap(at, (dice >> 33) as usize % (at + 1));
            }
            let mut merged = of(&tags[cut..]);
            merged.merge(&of(&tags[..cut]), true);
            prop_assert_eq!(&encoded(&merged), &straight);
            let mut reloaded = of(&tags[..again]);
            reloaded = Languages::decode(&mut Reader::new(&encoded(&reloaded))).unwrap();
            tags[again..].iter().for_each(|tag| reloaded.add(tag, 1));
            prop_assert_eq!(&encoded(&reloaded), &straight);
        }
    }
}
