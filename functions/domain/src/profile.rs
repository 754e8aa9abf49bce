//! The posts with one hashtag: of which kind, in which languages, and with which other hashtags. It shows
//! how a rising hashtag's posts differ from others. Only the heaviest hashtags have a profile, and it starts when they have some posts already.
//!
//! ```
//! use birdsong_domain::post::Kind;
//! use birdsong_domain::profile::Profiles;
//!
//! let mut profiles = Profiles::default();
//! for count in 1..=7 {
//!     profiles.add("goal", count, Kind::Repost, "fr", &["final", "goal"]);
//! }
//! let profile = profiles.of("goal").ok_or("it has enough posts")?;
//! assert_eq!((profile.posts, profile.kinds.of(Kind::Repost)), (3, 3));
//! assert_eq!((profile.languages.list(), profile.tags.list()), (vec![("fr", 3)], vec![("final", 3)]));
//! # Ok::<(), &str>(())
//! ```

use std::collections::BTreeMap;

use crate::post::Kind;
use crate::window::metric::{Kinds, MAX_LANGUAGE_BYTES, Metric};
use crate::wire::{self, DecodeError, Reader};

/// Posts that a hashtag has in a window before its profile starts with the next one.
pub(crate) const START: u64 = 5;
/// Profiles of one partial.
const PROFILES: usize = 6;
/// Profiles of one roll-up.
const ROLLUP_PROFILES: usize = 24;
/// Profiles while windows are merged.
const MERGED_PROFILES: usize = 96;
/// Names in each list of a profile.
const NAMES: usize = 6;

/// A few frequent names. A count is too low by at most [`Few::error`] (Misra and Gries, 1982).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Few {
    error: u64,
    counts: BTreeMap<Box<str>, u64>,
}

impl Few {
    fn add(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < NAMES {
            self.counts.insert(name.into(), 1);
        } else {
            self.lower(1);
        }
    }

    fn lower(&mut self, by: u64) {
        self.error += by;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(by);
            *count > 0
        });
    }

    fn merge(&mut self, other: &Self) {
        self.error += other.error;
        for (name, count) in &other.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
        if self.counts.len() > NAMES {
            let mut counts: Vec<u64> = self.counts.values().copied().collect();
            counts.sort_unstable_by(|a, b| b.cmp(a));
            self.lower(counts[NAMES]);
        }
    }

    /// How much a count may be too low, and the largest count of a name that is not listed.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.error
    }

    /// Names and counts, most frequent first, equals by name.
    #[must_use]
    pub fn list(&self) -> Vec<(&str, u64)> {
        let mut list: Vec<_> = self.counts.iter().map(|(name, count)| (&**name, *count)).collect();
        list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        list
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.error);
        out.push(self.counts.len() as u8);
        for (name, count) in &self.counts {
            wire::put_bytes(out, name.as_bytes());
            wire::put_u64(out, *count);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut few = Self { error: reader.u64()?, ..Self::default() };
        for _ in 0..reader.u8()? {
            let (name, count) = (reader.text()?, reader.u64()?);
            let is_next = few.counts.last_key_value().is_none_or(|(last, _)| **last < *name);
            if few.counts.len() == NAMES || !is_next || count == 0 {
                return Err(reader.error("few names, in order"));
            }
            few.counts.insert(name.into(), count);
        }
        Ok(few)
    }
}

/// What is known of the posts with one hashtag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Posts that are in it: not the first ones.
    pub posts: u64,
    /// By kind.
    pub kinds: Kinds,
    /// By language, as the source writes it; posts without one are left out.
    pub languages: Few,
    /// Other hashtags in the same posts, by folded key.
    pub tags: Few,
}

impl Profile {
    fn merge(&mut self, other: &Self) {
        self.posts += other.posts;
        self.kinds.merge(&other.kinds, true);
        self.languages.merge(&other.languages);
        self.tags.merge(&other.tags);
    }
}

/// The profiles of a window, by the folded key of the hashtag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles(BTreeMap<Box<str>, Profile>);

impl Profiles {
    /// Counts a post with a hashtag that occurred `count` times by now, and with these hashtags altogether (folded keys).
    /// A hashtag with more posts than the weakest one takes its place.
    pub fn add(&mut self, tag: &str, count: u64, kind: Kind, language: &str, tags: &[&str]) {
        if count < START {
            return;
        }
        if !self.0.contains_key(tag) {
            if self.0.len() >= PROFILES {
                let Some((weakest, posts)) = self.weakest() else { return };
                if count - START <= posts {
                    return;
                }
                self.0.remove(&*weakest);
            }
            self.0.insert(tag.into(), Profile::default());
        }
        let Some(profile) = self.0.get_mut(tag) else { return };
        profile.posts += 1;
        profile.kinds.add(kind);
        if !language.is_empty() && language.len() <= MAX_LANGUAGE_BYTES {
            profile.languages.add(language);
        }
        tags.iter().filter(|other| **other != tag).for_each(|other| profile.tags.add(other));
    }

    fn weakest(&self) -> Option<(Box<str>, u64)> {
        // The last one by name of equals.
        let weakest = self.0.iter().rev().min_by_key(|(_, profile)| profile.posts);
        weakest.map(|(tag, profile)| (tag.clone(), profile.posts))
    }

    /// Adds the profiles of other windows or lanes.
    pub fn merge(&mut self, other: &Self) {
        for (tag, profile) in &other.0 {
            self.0.entry(tag.clone()).or_default().merge(profile);
        }
        self.keep(MERGED_PROFILES);
    }

    /// Keeps those that a roll-up may have.
    pub(crate) fn shrink(&mut self) {
        self.keep(ROLLUP_PROFILES);
    }

    fn keep(&mut self, most: usize) {
        while self.0.len() > most {
            let Some((weakest, _)) = self.weakest() else { return };
            self.0.remove(&*weakest);
        }
    }

    /// The profile of a hashtag, by its folded key, if it has one.
    #[must_use]
    pub fn of(&self, tag: &str) -> Option<&Profile> {
        self.0.get(tag)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.0.len() as u64);
        for (tag, profile) in &self.0 {
            wire::put_bytes(out, tag.as_bytes());
            wire::put_u64(out, profile.posts);
            profile.kinds.encode(out);
            profile.languages.encode(out);
            profile.tags.encode(out);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut profiles = Self::default();
        for _ in 0..reader.u64()? {
            let tag = reader.text()?;
            let is_next = profiles.0.last_key_value().is_none_or(|(last, _)| **last < *tag);
            let profile = Profile {
                posts: reader.u64()?,
                kinds: Kinds::decode(reader)?,
                languages: Few::decode(reader)?,
                tags: Few::decode(reader)?,
            };
            if profiles.0.len() == ROLLUP_PROFILES || !is_next || profile.posts == 0 {
                return Err(reader.error("few profiles, in order"));
            }
            profiles.0.insert(tag.into(), profile);
        }
        Ok(profiles)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(profiles: &Profiles) -> Profiles {
        let mut bytes = vec![];
        profiles.encode(&mut bytes);
        Profiles::decode(&mut Reader::new(&bytes)).unwrap()
    }

    #[test]
    fn a_heavier_hashtag_takes_the_place_of_the_weakest() {
        let mut profiles = Profiles::default();
        let mut add = |tag: &str, counts: std::ops::RangeInclusive<u64>| {
            counts.for_each(|count| profiles.add(tag, count, Kind::Original, "", &[]));
        };
        (0..PROFILES).for_each(|n| add(&format!("t{n}"), 1..=6));
        add("new", 1..=7);
        assert!(profiles.of("new").is_none(), "it has no more posts than the others");
        profiles.add("new", 8, Kind::Original, "", &[]);
        assert_eq!((profiles.of("new").map(|new| new.posts), profiles.of("t5")), (Some(1), None));
    }

    proptest! {
        #[test]
        fn a_reload_at_any_point_changes_nothing(posts in prop::collection::vec((0usize..9, 0usize..12, 0usize..4), 0..300), every in 1usize..40) {
            let (mut straight, mut reloaded) = (Profiles::default(), Profiles::default());
            let mut counts = [0u64; 9];
            for (n, (tag, other, language)) in posts.iter().enumerate() {
                counts[*tag] += 1;
                let (name, other) = (format!("t{tag}"), format!("t{other}"));
                let tags = [&*other];
                let kind = Kind::ALL[n % Kind::ALL.len()];
                let language = ["", "fr", "en", "ja"][*language];
                straight.add(&name, counts[*tag], kind, language, &tags);
                reloaded.add(&name, counts[*tag], kind, language, &tags);
                if n % every == 0 {
                    reloaded = stored(&reloaded);
                }
            }
            prop_assert_eq!(&straight, &reloaded);
            let (mut one, mut other) = (straight.clone(), Profiles::default());
            one.merge(&Profiles::default());
            other.merge(&straight);
            prop_assert_eq!(one, other);
        }
    }
}
