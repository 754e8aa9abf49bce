//! The unordered half of the streamer: posts of one chunk are matched and written as slim lines.

use birdsong_domain::frame::{self, Lane};
use birdsong_domain::network::Network;
use birdsong_domain::post::{Located, PostId, SourcePost};
use birdsong_domain::region::Regions;

use crate::originals::Originals;
use crate::unreadable::Unreadable;

/// All lanes of a network's posts in a set of regions, numbered.
#[derive(Debug, Clone)]
pub struct Lanes {
    network: Network,
    all: Vec<Lane>,
    /// First lane and number of lanes of each region.
    of_region: Vec<(u32, u32)>,
}

impl Lanes {
    /// The lanes of posts of `network` in `regions`: one each, more for a hot region.
    #[must_use]
    pub fn new(regions: &Regions, network: Network) -> Self {
        let (mut all, mut of_region) = (vec![], vec![]);
        for region in regions.list() {
            of_region.push((all.len() as u32, u32::from(region.hot_buckets)));
            all.extend((0..region.hot_buckets).map(|bucket| Lane::posts(&region.id, network, bucket)));
        }
        Self { network, all, of_region }
    }

    /// Where the posts were published.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// The lanes, by number.
    #[must_use]
    pub fn all(&self) -> &[Lane] {
        &self.all
    }

    /// A hot region's posts are spread by author, those without one by their own id.
    fn of(&self, region: usize, post: &SourcePost<'_>) -> u32 {
        let (first, count) = self.of_region[region];
        if count == 1 {
            return first;
        }
        // The low bits of X's ids hardly change, so they are mixed first (Fibonacci hashing).
        let of_id = || ((post.id.0 >> 64) as u64 ^ post.id.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        first + (post.author.unwrap_or_else(of_id) % u64::from(count)) as u32
    }
}

/// One post that matched a region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    pub(crate) id: PostId,
    pub(crate) time_ms: i64,
    /// Its copies, one a region, as a range of [`Batch::copies`].
    pub(crate) copies: (u32, u32),
}

/// One line in [`Batch::lines`] and the lane that it goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLine {
    pub(crate) lane: u32,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// Lines that go nowhere, by the time that they belong to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unsent {
    /// A time in the same minute, in milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) filtered: u64,
    pub(crate) quarantined: u64,
    /// Posts that the source had withheld by then, since it was connected; 0 without a notice.
    pub(crate) withheld: u64,
}

impl Unsent {
    pub(crate) fn is_empty(&self) -> bool {
        self.filtered + self.quarantined + self.withheld == 0
    }
}

/// What became of a chunk of a source.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) lines: Vec<u8>,
    pub(crate) posts: Vec<Prepared>,
    pub(crate) copies: Vec<LaneLine>,
    pub(crate) quarantined: Vec<Unreadable>,
    /// Filtered posts by their time; notices and unreadable lines, which have none, by that of the post before
    /// them, else of the one behind them.
    pub(crate) unsent: Vec<Unsent>,
    /// Lines without a time, as long as no post came.
    pub(crate) timeless: Unsent,
    /// Time of the last post.
    pub(crate) last_ms: Option<i64>,
    newest_ms: Option<i64>,
    scratch: Vec<(usize, Located)>,
}

impl Batch {
    /// Matches one post and keeps its lines.
    pub fn add(&mut self, regions: &Regions, lanes: &Lanes, post: &SourcePost<'_>) {
        regions.matching(post, &mut self.scratch);
        self.keep(lanes, post);
    }

    /// The same with posts that are remembered: a repost that comes without words counts where its
    /// original counted, too.
    pub(crate) fn add_with(
        &mut self,
        regions: &Regions,
        lanes: &Lanes,
        post: &SourcePost<'_>,
        originals: &mut Originals,
    ) {
        let Some((post, original)) = originals.whole(post) else {
            self.add(regions, lanes, post);
            let found = self.scratch.iter().map(|(region, located)| (&*regions.list()[*region].id, *located));
            return originals.remember(post, found);
        };
        regions.matching(&post, &mut self.scratch);
        for (id, located) in original {
            // Regions may have changed since an earlier run.
            let Some(region) = regions.index_of(id) else { continue };
            if self.scratch.iter().all(|(found, _)| *found != region) {
                self.scratch.push((region, located));
            }
        }
        self.scratch.sort_unstable_by_key(|(region, _)| *region);
        self.keep(lanes, &post);
    }

    fn keep(&mut self, lanes: &Lanes, post: &SourcePost<'_>) {
        self.newest_ms = self.newest_ms.max(Some(post.time_ms));
        if self.last_ms.replace(post.time_ms).is_none() {
            let timeless = std::mem::take(&mut self.timeless);
            if !timeless.is_empty() {
                self.unsent.push(Unsent { at_ms: post.time_ms, ..timeless });
            }
        }
        if self.scratch.is_empty() {
            self.unsent().filtered += 1;
            return;
        }
        let first = self.copies.len() as u32;
        for (n, (region, located)) in self.scratch.iter().enumerate() {
            let from = self.lines.len() as u32;
            frame::put_line(&mut self.lines, post, *located, n > 0);
            let lane = lanes.of(*region, post);
            self.copies.push(LaneLine { lane, from, to: self.lines.len() as u32 });
        }
        let copies = (first, self.copies.len() as u32);
        self.posts.push(Prepared { id: post.id, time_ms: post.time_ms, copies });
    }

    /// Where a line counts that comes now and goes nowhere.
    fn unsent(&mut self) -> &mut Unsent {
        const MINUTE_MS: i64 = 60_000;
        let Some(last_ms) = self.last_ms else { return &mut self.timeless };
        let is_here = |unsent: &Unsent| unsent.at_ms.div_euclid(MINUTE_MS) == last_ms.div_euclid(MINUTE_MS);
        if !self.unsent.last().is_some_and(is_here) {
            self.unsent.push(Unsent { at_ms: last_ms, ..Unsent::default() });
        }
        self.unsent.last_mut().unwrap_or(&mut self.timeless)
    }

    /// Counts something that is no post, such as a delete notice.
    pub fn add_notice(&mut self) {
        self.unsent().filtered += 1;
    }

    /// Counts a notice that the source has withheld this many posts since it was connected.
    pub fn add_withheld(&mut self, total: u64) {
        self.add_notice();
        self.unsent().withheld = total;
    }

    /// Keeps a line that could not be read for the quarantine.
    pub fn add_unreadable(&mut self, line: Unreadable) {
        self.quarantined.push(line);
        self.unsent().quarantined += 1;
    }

    /// Newest event time of its posts, in milliseconds.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// The lines in quarantine.
    #[must_use]
    pub fn quarantined(&self) -> &[Unreadable] {
        &self.quarantined
    }
}

#[cfg(test)]
mod tests {
    use birdsong_domain::post::PostId;

    use super::*;

    #[test]
    fn posts_without_author_are_spread_over_the_buckets_of_a_hot_region() {
        let regions = "[[region]]\nid = \"a\"\nlanguages = [\"en\"]\nhot_buckets = 4\n";
        let lanes = Lanes::new(&Regions::parse("test", regions).unwrap(), Network::X);
        let mut buckets = [0; 4];
        for n in 0..400u64 {
            let post = SourcePost {
                // As X numbers posts: the low 22 bits identify the machine at X, and are often zero.
                id: PostId(u128::from((1_000_000_000_000 + n * 7) << 22)),
                lang: "en".into(),
                ..SourcePost::default()
            };
            let lane = lanes.of(0, &post);
            assert_eq!(lane, lanes.of(0, &post));
            buckets[lane as usize % 4] += 1;
        }
        assert!(buckets.iter().all(|posts| (70..130).contains(posts)), "{buckets:?}");
    }

    #[test]
    fn hashed_ids_are_spread_by_all_of_their_bits() {
        let regions = "[[region]]\nid = \"a\"\nlanguages = [\"en\"]\nhot_buckets = 4\n";
        let lanes = Lanes::new(&Regions::parse("test", regions).unwrap(), Network::X);
        let lane = |id: u128| lanes.of(0, &SourcePost { id: PostId(id), ..SourcePost::default() });
        for shift in [0, 64] {
            let found: std::collections::BTreeSet<_> = (0..100).map(|n| lane(n << shift)).collect();
            assert_eq!(found.len(), 4, "{shift}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_kept() {
        let mut batch = Batch::default();
        let line = Unreadable::new(&"test".into(), 7, "broken".into(), b"{");
        batch.add_unreadable(line.clone());
        assert_eq!((batch.quarantined(), batch.timeless.quarantined, batch.timeless.filtered), (&[line][..], 1, 0));
    }
}
