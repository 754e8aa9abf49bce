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

    #[test]
    fn a_profile_has_the_kinds_languages_and_other_hashtags_of_its_posts() {
        let mut profiles = Profiles::default();
        let long = "x".repeat(MAX_LANGUAGE_BYTES + 1);
        for (count, language) in (4..).zip(["fr", "fr", "", &long, &long[1..]]) {
            profiles.add("goal", count, Kind::Repost, language, &["final", "goal"]);
        }
        let profile = profiles.of("goal").unwrap();
        assert_eq!((profile.posts, profile.kinds.of(Kind::Repost)), (4, 4), "the first four posts have none");
        assert_eq!(profile.languages.list(), [("fr", 1), (&long[1..], 1)]);
        assert_eq!((profile.tags.list(), profile.tags.error()), (vec![("final", 4)], 0));
        assert!(!profiles.is_empty() && Profiles::default().is_empty());
    }

    #[test]
    fn the_heaviest_profiles_are_kept() {
        let with = |names: std::ops::Range<u64>| {
            let profile = |n| (format!("{n:03}").into(), Profile { posts: n + 1, ..Profile::default() });
            Profiles(names.map(profile).collect())
        };
        let mut merged = with(0..50);
        merged.merge(&with(50..96));
        assert_eq!(merged, with(0..96));
        merged.merge(&with(96..99));
        assert_eq!(merged, with(3..99));
        merged.shrink();
        assert_eq!(merged, with(75..99));
        merged.shrink();
        assert_eq!(stored(&merged), with(75..99));
    }

    // Rule 1.8.
    #[test]
    fn profiles_have_one_form_and_all_others_are_refused() {
        let few = |names: &[(&str, u8)]| {
            let names =
                names.iter().flat_map(|(name, count)| [&[name.len() as u8], name.as_bytes(), &[*count]].concat());
            [vec![0, names.clone().count() as u8 / 3], names.collect()].concat()
        };
        let profile = |tag: u8, posts: u8, names: &[u8]| [&[1, tag, posts, posts, 0, 0, 0], names, &[0, 0]].concat();
        let all = |profiles: &[Vec<u8>]| [vec![profiles.len() as u8], profiles.concat()].concat();
        let read = |bytes: &[u8]| {
            let profiles = Profiles::decode(&mut Reader::new(bytes))?;
            let mut again = vec![];
            profiles.encode(&mut again);
            Ok::<_, DecodeError>(again)
        };
        let names = [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1), ("g", 1)];
        let of = |names: &[(&str, u8)]| all(&[profile(b'x', 2, &few(names))]);
        let many = |count: u8| all(&(b'A'..b'A' + count).map(|tag| profile(tag, 2, &few(&[]))).collect::<Vec<_>>());
        for good in [of(&names[..6]), of(&[]), all(&[]), many(24)] {
            assert_eq!(read(&good), Ok(good));
        }
        for (what, bad) in [
            ("seven names", of(&names)),
            ("names in another order", of(&[("b", 1), ("a", 1)])),
            ("a name twice", of(&[("a", 1), ("a", 1)])),
            ("a name that did not occur", of(&[("a", 0)])),
            ("25 profiles", many(25)),
            ("profiles in another order", all(&[profile(b'y', 2, &few(&[])), profile(b'x', 2, &few(&[]))])),
            ("a profile twice", all(&[profile(b'x', 2, &few(&[])), profile(b'x', 2, &few(&[]))])),
            ("a profile of no posts", all(&[profile(b'x', 0, &few(&[]))])),
        ] {
            assert!(read(&bad).is_err(), "{what}");
        }
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

        // Rule 9.4.
        #[test]
        fn counts_of_names_stay_within_the_stated_error(names in prop::collection::vec(0usize..10, 0..60), most in 1usize..=10, cut in 0usize..60) {
            let names: Vec<_> = names.into_iter().map(|name| ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][name % most]).collect();
            let of = |names: &[&str]| {
                let mut few = Few::default();
                names.iter().for_each(|name| few.add(name));
                few
            };
            let (one, two) = names.split_at(cut.min(names.len()));
            let mut merged = of(one);
            merged.merge(&of(two));
            for few in [of(&names), merged] {
                prop_assert!(few.error() * (NAMES as u64 + 1) <= names.len() as u64);
                prop_assert!(few.list().len() <= NAMES && few.list().is_sorted_by_key(|(name, count)| (u64::MAX - count, *name)));
                for name in &names {
                    let real = names.iter().filter(|other| *other == name).count() as u64;
                    let count = few.list().iter().find(|(listed, _)| listed == name).map_or(0, |(_, count)| *count);
                    prop_assert!(count <= real && real <= count + few.error());
                    prop_assert!(most > NAMES || count == real, "few names are exact");
                }
            }
        }
    }
}
