//! The most frequent hashtags.

use super::{Context, Metric};
use crate::frame::SlimPost;
use crate::hashtag;
use crate::profile::{self, Profiles};
use crate::topk::TopK;
use crate::wire::{self, DecodeError, Reader};

/// Hashtags with a counter in one partial.
pub const HASHTAG_COUNTERS: usize = 96;
/// Hashtags with a counter in one roll-up.
pub const ROLLUP_HASHTAG_COUNTERS: usize = 256;

/// Hashtags by folded key.
#[derive(Clone, Debug, Default)]
pub struct Hashtags {
    /// The most frequent ones; `None` when there was none.
    pub top: Option<TopK>,
    /// Hashtags that were longer than the limit and so are not among them.
    pub too_long: u64,
    /// The posts with the heaviest ones.
    pub profiles: Profiles,
}

impl Metric for Hashtags {
    fn is_empty(&self) -> bool {
        self.top.is_none() && self.too_long == 0
    }

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        self.too_long += u64::from(post.long_hashtags);
        let mut keys = vec![];
        for written in &post.hashtags {
            match hashtag::key(written) {
                Some(key) => keys.push((key, written)),
                // Too long and not merely empty.
                None => self.too_long += u64::from(written.contains(char::is_alphanumeric)),
            }
        }
        let mut heavy = vec![];
        for (key, written) in &keys {
            let top = self.top.get_or_insert_with(|| TopK::new(HASHTAG_COUNTERS));
            let count = top.add(key, written, post.author);
            if count >= profile::START {
                heavy.push((key, count));
            }
        }
        if !heavy.is_empty() {
            let tags: Vec<_> = keys.iter().map(|(key, _)| &**key).collect();
            heavy.iter().for_each(|(key, count)| self.profiles.add(key, *count, post.kind, &post.lang, &tags));
        }
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        TopK::merge_into(&mut self.top, other.top.as_ref());
        self.too_long += other.too_long;
        self.profiles.merge(&other.profiles);
    }

    fn shrink(&mut self) {
        TopK::shrink(&mut self.top, ROLLUP_HASHTAG_COUNTERS);
        self.profiles.shrink();
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.too_long);
        self.profiles.encode(out);
        if let Some(top) = &self.top {
            top.encode(out);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let too_long = reader.u64()?;
        let profiles = Profiles::decode(reader)?;
        let has_top = !reader.rest().is_empty();
        Ok(Self {
            too_long,
            profiles,
            top: has_top.then(|| TopK::decode(HASHTAG_COUNTERS, ROLLUP_HASHTAG_COUNTERS, reader)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn a_profile_starts_behind_the_fifth_post() {
        let post = SlimPost { hashtags: vec!["Fog".into(), "sea".into()], ..SlimPost::default() };
        let profile = |posts: usize| counted::<Hashtags>(&vec![post.clone(); posts], 0).profiles.of("fog").cloned();
        assert_eq!(profile(4), None);
        let profile = profile(7).unwrap();
        assert_eq!((profile.posts, profile.tags.list()), (3, vec![("sea", 3)]));
    }

    #[test]
    fn hashtags_that_are_too_long_are_counted_as_such() {
        let tagged = |tags: &[&str], long_hashtags| SlimPost {
            hashtags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            long_hashtags,
            ..SlimPost::default()
        };
        let long = "x".repeat(5000);
        let none: Hashtags = counted(&[tagged(&[], 2), tagged(&[&long, " # "], 0)], 0);
        assert_eq!((none.too_long, none.top.is_none()), (3, true));
        assert!(Hashtags::default().is_empty() && !none.is_empty());
        let mut one: Hashtags = counted(&[tagged(&["Fog", "fog", "Fog"], 0)], 0);
        assert!(!one.is_empty());
        one.merge(&none, true);
        let top = one.top.unwrap().top(2);
        assert_eq!((one.too_long, top.len(), top[0].shown.as_str(), top[0].count), (3, 1, "Fog", 3));
    }
}
