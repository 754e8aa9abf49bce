//! What is known of posts that may be reposted, in bounded memory. Bluesky sends a repost without the
//! words of its original: it counts where the original counted.

use std::borrow::Cow;

use birdsong_domain::frame::Frame;
use birdsong_domain::post::{Kind, Located, PostId, SourcePost};
use serde::{Deserialize, Serialize};

use crate::recent::LastPosts;

/// Remembers at least the last `capacity` posts that matched a region or were reposted, and at most
/// twice as many.
#[derive(Debug)]
pub struct Originals {
    source: String,
    posts: LastPosts<Original>,
    /// Ids of regions.
    regions: Vec<String>,
}

impl Default for Originals {
    /// Remembers nothing.
    fn default() -> Self {
        Self::new("", 0)
    }
}

/// What a repost inherits from its original.
#[derive(Debug)]
struct Original {
    /// Places in [`Originals::regions`], and how the region was decided.
    regions: Box<[(u16, Located)]>,
    /// [`Words`] in JSON: one allocation instead of several.
    words: Box<[u8]>,
}

#[derive(Serialize, Deserialize)]
struct Words<'a> {
    #[serde(borrow)]
    lang: Cow<'a, str>,
    #[serde(borrow)]
    hashtags: Vec<Cow<'a, str>>,
    long_hashtags: u32,
}

impl Originals {
    /// For the posts of `source`. A `capacity` of 0 remembers nothing.
    #[must_use]
    pub fn new(source: &str, capacity: usize) -> Self {
        Self { source: source.into(), posts: LastPosts::new(capacity), regions: vec![] }
    }

    /// Nothing is remembered.
    pub(crate) fn is_off(&self) -> bool {
        self.posts.capacity() == 0
    }

    /// A repost of a known post, with the language and hashtags of the original, and the regions that matched
    /// it. Posts that are looked up are kept longer.
    pub(crate) fn whole<'s>(
        &'s mut self,
        repost: &SourcePost<'s>,
    ) -> Option<(SourcePost<'s>, impl Iterator<Item = (&'s str, Located)>)> {
        let original = self.posts.get(repost.repost_of?)?;
        let Words { lang, hashtags, long_hashtags } = serde_json::from_slice(&original.words).ok()?;
        let regions = original.regions.iter().map(|(n, located)| (&*self.regions[usize::from(*n)], *located));
        Some((SourcePost { lang, hashtags, long_hashtags, ..repost.clone() }, regions))
    }

    /// Remembers a post that matched these regions.
    pub(crate) fn remember<'r>(&mut self, post: &SourcePost<'_>, regions: impl Iterator<Item = (&'r str, Located)>) {
        if self.is_off() || post.kind == Kind::Repost {
            return;
        }
        let regions: Box<[_]> = regions.filter_map(|(id, located)| Some((self.number(id)?, located))).collect();
        if !regions.is_empty() {
            let words = Words {
                lang: Cow::Borrowed(&post.lang),
                hashtags: post.hashtags.clone(),
                long_hashtags: post.long_hashtags,
            };
            self.posts.insert(post.id, Original { regions, words: words.json() });
        }
    }

    /// Remembers what an earlier run wrote into a frame.
    pub(crate) fn learn(&mut self, frame: &Frame) {
        if self.is_off() || frame.header.source != self.source {
            return;
        }
        let Some(region) = self.number(frame.header.lane.region()) else { return };
        for post in frame.posts.iter().filter(|post| post.kind != Kind::Repost) {
            let region = (region, post.located);
            if let Some(known) = self.posts.get(PostId(post.id)) {
                if !known.regions.contains(&region) {
                    known.regions = known.regions.iter().copied().chain([region]).collect();
                }
                continue;
            }
            let hashtags = post.hashtags.iter().map(|tag| Cow::Borrowed(&**tag)).collect();
            let words = Words { lang: Cow::Borrowed(&post.lang), hashtags, long_hashtags: post.long_hashtags };
            self.posts.insert(PostId(post.id), Original { regions: Box::new([region]), words: words.json() });
        }
    }

    fn number(&mut self, region: &str) -> Option<u16> {
        let n = self.regions.iter().position(|known| known == region).unwrap_or_else(|| {
            self.regions.push(region.into());
            self.regions.len() - 1
        });
        u16::try_from(n).ok()
    }
}

impl Words<'_> {
    fn json(&self) -> Box<[u8]> {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

// Rule 3.6.
#[cfg(test)]
mod tests {
    use birdsong_domain::frame::{self, FrameHeader, Lane};
    use birdsong_domain::network::Network;
    use birdsong_domain::region::Regions;

    use super::*;
    use crate::prepare::{Batch, Lanes};

    const REGIONS: &str = "[[region]]\nid = \"metro\"\nkeywords = [\"métro\"]\n\
        [[region]]\nid = \"habs\"\nkeywords = [\"#GoHabsGo\"]\nlanguages = [\"fr\"]\n\
        [[region]]\nid = \"french\"\nlanguages = [\"fr\"]\n";

    fn post(id: u128, text: &'static str, hashtags: &[&'static str]) -> SourcePost<'static> {
        SourcePost {
            id: PostId(id),
            time_ms: 1_700_000_000_000,
            author: Some(id as u64),
            lang: "fr".into(),
            hashtags: hashtags.iter().map(|tag| (*tag).into()).collect(),
            text: text.into(),
            ..SourcePost::default()
        }
    }

    fn repost(id: u128, of: u128) -> SourcePost<'static> {
        SourcePost { kind: Kind::Repost, lang: "".into(), repost_of: Some(PostId(of)), ..post(id, "", &[]) }
    }

    /// Region, kind, language, hashtags and way of each copy of the last post of a batch.
    fn copies(regions: &Regions, originals: &mut Originals, post: &SourcePost<'_>) -> Vec<String> {
        let (mut batch, lanes) = (Batch::default(), Lanes::new(regions, Network::BLUESKY));
        batch.add_with(regions, &lanes, post, originals);
        assert_eq!(batch.posts.len() as u64 + batch.unsent.iter().map(|unsent| unsent.filtered).sum::<u64>(), 1);
        let copies = batch.copies.iter().map(|copy| {
            let line = &batch.lines[copy.from as usize..copy.to as usize];
            let post: frame::SlimPost = serde_json::from_slice(line).unwrap();
            let region = lanes.all()[copy.lane as usize].region();
            let words = format!("{} {:?} and {}", post.lang, post.hashtags, post.long_hashtags);
            format!("{region} {:?} {words} {:?} {}", post.kind, post.located, post.is_copy)
        });
        copies.collect()
    }

    #[test]
    fn a_repost_without_words_counts_where_its_original_counted() {
        let regions = Regions::parse("test", REGIONS).unwrap();
        let mut originals = Originals::new("bluesky", 10);
        let original = SourcePost { long_hashtags: 2, ..post(1, "Panne de métro", &["GoHabsGo", "stm"]) };
        let of_original = copies(&regions, &mut originals, &original);
        assert_eq!(of_original.len(), 3, "{of_original:?}");
        assert_eq!(
            copies(&regions, &mut originals, &repost(2, 1)),
            of_original.iter().map(|copy| copy.replace("Original", "Repost")).collect::<Vec<_>>()
        );
        // A repost of a repost, of an unknown post or of a post that matched no region counts nowhere.
        assert!(copies(&regions, &mut originals, &repost(3, 2)).is_empty());
        let english = SourcePost { lang: "en".into(), ..post(4, "nothing", &[]) };
        assert!(copies(&regions, &mut originals, &english).is_empty());
        assert!(copies(&regions, &mut originals, &repost(5, 4)).is_empty());
        let mut off = Originals::default();
        copies(&regions, &mut off, &original);
        assert!(copies(&regions, &mut off, &repost(6, 1)).is_empty());
    }

    /// A frame of a region as an earlier run of `source` wrote it, with this post.
    fn written(source: &str, region: &str, post: &SourcePost<'_>) -> Frame {
        let lane = Lane::posts(region, Network::BLUESKY, 0);
        let header =
            FrameHeader { lane, source: source.into(), run: "run".into(), counter: 1, ..FrameHeader::default() };
        let mut lines = vec![];
        frame::put_line(&mut lines, post, Located::Text, false);
        frame::decode(&frame::encode(&header, &lines).unwrap()).unwrap()
    }

    /// It is in a frame of each region, and some frames are in the log twice.
    #[test]
    fn a_repost_of_what_an_earlier_run_wrote_counts_in_the_same_regions() {
        // None of them matches by words.
        let text = ["a", "b", "c"].map(|id| format!("[[region]]\nid = \"{id}\"\nkeywords = [\"nothing\"]\n"));
        let regions = Regions::parse("test", &text.concat()).unwrap();
        let original = SourcePost { long_hashtags: 2, ..post(1, "", &["stm"]) };
        let mut originals = Originals::new("bluesky", 10);
        for region in ["a", "c", "a", "c"] {
            originals.learn(&written("bluesky", region, &original));
        }
        let other = post(2, "", &[]);
        originals.learn(&written("mastodon:a", "b", &other));
        originals.learn(&written("bluesky", "b", &SourcePost { kind: Kind::Repost, ..post(3, "", &[]) }));
        let found = copies(&regions, &mut originals, &repost(4, 1));
        let copy = |region: &str, is_copy| format!("{region} Repost fr [\"stm\"] and 2 Text {is_copy}");
        assert_eq!(found, [copy("a", false), copy("c", true)]);
        assert!(originals.posts.get(PostId(1)).is_some_and(|known| known.regions.len() == 2), "each once");
        for unknown in [2, 3] {
            assert!(copies(&regions, &mut originals, &repost(5, unknown)).is_empty(), "{unknown}");
        }
        let mut off = Originals::new("bluesky", 0);
        off.learn(&written("bluesky", "a", &original));
        assert!(copies(&regions, &mut off, &repost(6, 1)).is_empty());
    }

    #[test]
    fn a_region_that_was_added_since_matches_a_repost_by_what_is_known() {
        let before = Regions::parse("test", "[[region]]\nid = \"gone\"\nkeywords = [\"métro\"]\n").unwrap();
        let now = Regions::parse("test", REGIONS).unwrap();
        let mut originals = Originals::new("bluesky", 10);
        copies(&before, &mut originals, &post(1, "métro", &["GoHabsGo"]));
        let found = copies(&now, &mut originals, &repost(2, 1));
        assert_eq!(found.iter().map(|copy| copy.split(' ').next().unwrap()).collect::<Vec<_>>(), ["habs", "french"]);
    }

    #[test]
    fn what_is_reposted_is_kept_and_others_are_forgotten() {
        let regions = Regions::everything("all");
        let mut originals = Originals::new("bluesky", 100);
        let lanes = Lanes::new(&regions, Network::BLUESKY);
        for id in 1..10_000 {
            Batch::default().add_with(&regions, &lanes, &post(id, "", &[]), &mut originals);
            assert!(originals.whole(&repost(0, 1)).is_some(), "{id}");
        }
        assert!(originals.whole(&repost(0, 2)).is_none(), "long forgotten");
    }
}
