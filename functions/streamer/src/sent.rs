//! Which posts the log has, and in which regions: a post counts once in a region, however often it comes
//! (rule 7.1).
//!
//! Exact, and in bounded memory whatever the number of posts: the posts sent last are in a hash table, older
//! ones in sorted runs on disk that are merged eight at a time (a log-structured merge tree; O'Neil et al.,
//! "The Log-Structured Merge-Tree", 1996). Only the log is durable. The index is learned from it at the start,
//! in files that have no name and vanish with the process.

mod learner;
mod run;
mod sets;

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use birdsong_domain::post::PostId;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;
use parking_lot::{Mutex, MutexGuard};

pub use learner::Learner;
use run::{Entry, Run, Scratch};
pub(crate) use sets::{RegionSet, RegionSets};

pub(crate) type ById<V> = HashMap<PostId, V, BuildHasherDefault<IdHasher>>;

/// Runs of one size that are merged into one of the next size.
const FAN_IN: usize = 8;

/// How much is remembered, and where.
#[derive(Clone, Debug)]
pub struct SentRules {
    /// Posts kept in memory, about 40 bytes each; the rest is on disk, 20 bytes each.
    pub memory_posts: usize,
    /// Where the files are made. `None` is the system's folder for temporary files.
    pub dir: Option<PathBuf>,
    /// Posts sent longer ago than this, in milliseconds, may be forgotten. `None` forgets nothing.
    pub keep_ms: Option<i64>,
}

impl SentRules {
    /// A hash table grows beyond 7/8 of a power of two.
    const ARCHIVE_POSTS: usize = (1 << 20) / 8 * 7;
    const LIVE_POSTS: usize = (1 << 17) / 8 * 7;
    /// Twice what a start learns, see [`crate::recovery::REPEATS_MS`].
    const LIVE_KEEP_MS: i64 = 2 * crate::recovery::REPEATS_MS;

    /// For archives: every post in the log is remembered.
    #[must_use]
    pub fn archive(dir: Option<PathBuf>) -> Self {
        Self { memory_posts: Self::ARCHIVE_POSTS, dir, keep_ms: None }
    }

    /// For live sources: as long as one of them may deliver a post again.
    #[must_use]
    pub fn live(dir: PathBuf) -> Self {
        Self { memory_posts: Self::LIVE_POSTS, dir: Some(dir), keep_ms: Some(Self::LIVE_KEEP_MS) }
    }
}

/// The posts that the log has. All sources of a process share one, so that a post counts once by whichever
/// way it comes.
#[derive(Clone, Debug)]
pub struct SharedSent(Arc<Mutex<SentPosts>>);

impl SharedSent {
    /// Knows no post yet.
    #[must_use]
    pub fn new(rules: SentRules) -> Self {
        Self(Arc::new(Mutex::new(SentPosts::new(rules))))
    }

    /// One at a time. A thread that panicked cannot have left it half changed in a way that matters: at worst
    /// a post is sent again.
    pub fn lock(&self) -> MutexGuard<'_, SentPosts> {
        self.0.lock()
    }
}

/// The index itself; see the module's text.
#[derive(Debug)]
pub struct SentPosts {
    rules: SentRules,
    scratch: Scratch,
    pub(crate) sets: RegionSets,
    /// The posts sent last, in the order in which they came: mostly that of their ids, which spares sorting.
    young: Vec<Entry>,
    /// Place of each post in `young`.
    places: HashTable<u32>,
    /// Largest and oldest first.
    runs: Vec<Run>,
}

impl SentPosts {
    fn new(rules: SentRules) -> Self {
        Self {
            scratch: Scratch::new(rules.dir.clone()),
            rules,
            sets: RegionSets::default(),
            young: vec![],
            places: HashTable::new(),
            runs: vec![],
        }
    }

    /// Remembers that a post is sent to `regions` and returns those of them that did not have it yet.
    ///
    /// # Errors
    /// When a file of the index cannot be read.
    pub(crate) fn add(&mut self, id: PostId, regions: RegionSet, now_ms: i64) -> io::Result<RegionSet> {
        let is_here = |place: &u32| self.young[*place as usize].id == id.0;
        let young = self.places.find(hash(id.0), is_here).map(|place| self.young[*place as usize].regions);
        let young = young.unwrap_or_default();
        let mut missing = self.sets.without(regions, young);
        if missing.is_empty() {
            return Ok(missing);
        }
        for run in &mut self.runs {
            let known = run.get(id)?;
            missing = self.sets.without(missing, known);
        }
        if !missing.is_empty() {
            self.learn(id, missing, now_ms)?;
        }
        Ok(missing)
    }

    /// Remembers that a post is in these regions, without a look-up: it may be in several runs.
    ///
    /// # Errors
    /// When a file of the index cannot be read or written.
    pub(crate) fn learn(&mut self, id: PostId, regions: RegionSet, now_ms: i64) -> io::Result<()> {
        let young = &self.young;
        let is_here = |place: &u32| young[*place as usize].id == id.0;
        match self.places.entry(hash(id.0), is_here, |place| hash(young[*place as usize].id)) {
            Place::Occupied(place) => {
                let known = &mut self.young[*place.get() as usize];
                known.regions = self.sets.union(known.regions, regions);
            }
            Place::Vacant(place) => {
                place.insert(young.len() as u32);
                self.young.push(Entry { id: id.0, regions });
            }
        }
        if self.young.len() >= self.rules.memory_posts {
            self.spill(now_ms)?;
        }
        Ok(())
    }

    /// Moves what is in memory into a run, and forgets runs that are old enough.
    fn spill(&mut self, now_ms: i64) -> io::Result<()> {
        if let Some(keep_ms) = self.rules.keep_ms {
            self.runs.retain(|run| run.written_ms >= now_ms.saturating_sub(keep_ms));
        }
        // A stable sort finds what is in order already.
        self.young.sort_by_key(|entry| entry.id);
        self.runs.push(self.scratch.write(0, now_ms, || self.young.iter().map(|entry| Ok(*entry)))?);
        self.young.clear();
        self.places.clear();
        while let Some(last) = self.runs.last()
            && let same = self.runs.iter().rev().take_while(|run| run.level == last.level).count()
            && same >= FAN_IN
        {
            let (level, written_ms) = (last.level + 1, last.written_ms);
            let parts = self.runs.split_off(self.runs.len() - same);
            let sets = RefCell::new(&mut self.sets);
            self.runs.push(self.scratch.write(level, written_ms, || run::merged(&parts, &sets))?);
        }
        Ok(())
    }
}

fn hash(id: u128) -> u64 {
    let mut hasher = IdHasher::default();
    hasher.write_u128(id);
    hasher.finish()
}

/// Ids are hashes or have a worker and sequence number in their low bits; one multiplication by a
/// large odd constant (2^64 / golden ratio) spreads them over the table. Ids made to collide can
/// only slow the streamer that receives them.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u128(u128::from(*b));
        }
    }

    fn write_u128(&mut self, id: u128) {
        let mixed = (self.0 ^ id as u64 ^ (id >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use birdsong_domain::post::InstallationKey;
    use std::collections::BTreeSet;

    use birdsong_domain::frame::{self, Frame, FrameHeader, Lane, Ledger, PostCount, STREAM, SlimPost};

    use proptest::prelude::*;

    use super::*;

    fn rules(memory_posts: usize, keep_ms: Option<i64>) -> SentRules {
        SentRules { memory_posts, dir: None, keep_ms }
    }

    fn id(n: u64) -> PostId {
        if n.is_multiple_of(2) {
            PostId(u128::from(n))
        } else {
            InstallationKey([1; 16]).post("test", &n.to_be_bytes())
        }
    }

    proptest! {
        /// Against a plain map from posts to regions, with so little memory that runs are merged.
        #[test]
        fn a_region_misses_a_post_once(
            posts in prop::collection::vec((0u64..400, 0u32..16, any::<bool>()), 1..3000), memory_posts in 2usize..40,
        ) {
            let mut sent = SentPosts::new(rules(memory_posts, None));
            let mut plain = HashMap::<u64, BTreeSet<u32>>::new();
            for (n, bits, is_learned) in posts {
                let regions: BTreeSet<u32> = (0..4).filter(|bit| bits >> bit & 1 == 1).collect();
                let known = plain.entry(n).or_default();
                let set = sent.sets.of(&mut regions.iter().copied().collect());
                if is_learned {
                    sent.learn(id(n), set, 0).unwrap();
                } else {
                    let missing: Vec<u32> = regions.difference(known).copied().collect();
                    let expected = sent.sets.of(&mut missing.clone());
                    prop_assert_eq!(sent.add(id(n), set, 0).unwrap(), expected);
                }
                known.extend(regions);
            }
        }
    }

    #[test]
    fn many_posts_cost_few_runs_and_all_are_known() {
        let mut sent = SentPosts::new(rules(100, None));
        let all = sent.sets.of(&mut vec![0]);
        for n in 0..100_000 {
            assert_eq!(sent.add(id(n), all, 0).unwrap(), all);
        }
        assert!(sent.runs.len() < 3 * FAN_IN, "{}", sent.runs.len());
        for n in (0..100_000).rev() {
            assert!(sent.add(id(n), all, 0).unwrap().is_empty(), "{n}");
        }
    }

    #[test]
    fn what_no_source_can_repeat_is_forgotten() {
        let mut sent = SentPosts::new(rules(100, Some(60_000)));
        let all = sent.sets.of(&mut vec![0]);
        for n in 0..60_000 {
            let now_ms = n as i64 * 10;
            assert!(!sent.add(id(n), all, now_ms).unwrap().is_empty());
            assert!(sent.add(id(n.saturating_sub(5900)), all, now_ms).unwrap().is_empty(), "59 s ago: {n}");
        }
        assert!(!sent.add(id(0), all, 600_000).unwrap().is_empty(), "ten minutes ago");
    }

    #[test]
    fn memory_is_bounded_and_eight_runs_become_one() {
        let mut sent = SentPosts::new(rules(2, None));
        let all = sent.sets.of(&mut vec![0]);
        for n in 0..1001 {
            sent.add(id(n), all, n as i64).unwrap();
            assert!(sent.young.len() < 2);
        }
        // 500 in the octal system is 764.
        let levels: Vec<_> = sent.runs.iter().map(|run| run.level).collect();
        assert_eq!(levels, [[2; 7].as_slice(), &[1; 6], &[0; 4]].concat());
        assert_eq!(
            sent.runs.iter().map(|run| run.written_ms).collect::<Vec<_>>()[11..],
            [975, 991, 993, 995, 997, 999][..]
        );
    }

    #[test]
    fn runs_are_forgotten_when_their_last_post_is_too_old() {
        let mut sent = SentPosts::new(rules(2, Some(100)));
        let all = sent.sets.of(&mut vec![0]);
        // Runs of two posts, written at 10, 30, 50 and so on.
        for n in 0..14 {
            sent.add(id(n), all, n as i64 * 10).unwrap();
        }
        assert_eq!(sent.runs.iter().map(|run| run.written_ms).collect::<Vec<_>>(), [30, 50, 70, 90, 110, 130]);
    }

    fn frame(lane: &str, cut: u64, ids: &[u64]) -> Frame {
        let header = FrameHeader {
            lane: Lane::try_from(format!("{lane}#x#0")).unwrap(),
            source: "test".into(),
            run: "run".into(),
            counter: cut,
            live: true,
            cut,
            windows: vec![PostCount { window_ms: 0, posts: ids.len() as u64, primary: ids.len() as u64 }],
            ..FrameHeader::default()
        };
        let header = if lane == STREAM { FrameHeader { windows: vec![], ..header } } else { header };
        let post = |n: &u64| SlimPost { id: id(*n).0, author: Some(1), ..SlimPost::default() };
        Frame { header, posts: ids.iter().map(post).collect(), damage: None }
    }

    // Rule 3.3.
    #[test]
    fn a_cut_without_its_ledger_gets_one_that_counts_once_however_often_it_is_written() {
        for is_ledger_first in [false, true] {
            let mut frames: Vec<_> = (1..200).map(|cut| frame("oslo", cut, &[cut])).collect();
            // The crashed run's last frame is there twice: its append timed out.
            frames.push(frame("oslo", 199, &[199]));
            let ledgers = (1..199).map(|cut| frame(STREAM, cut, &[]));
            let at = if is_ledger_first { 0 } else { frames.len() };
            frames.splice(at..at, ledgers);
            let recover = |frames: &[Frame], source| {
                let (mut sent, mut learner) = (SentPosts::new(rules(50, None)), Learner::default());
                frames.iter().for_each(|frame| learner.read(frame, &mut sent, 0).unwrap());
                let oslo = sent.sets.region("oslo");
                let oslo = sent.sets.of(&mut vec![oslo]);
                assert!((1..200).all(|n| sent.add(id(n), oslo, 0).unwrap().is_empty()));
                let missing = learner.finish(source).unwrap();
                missing.iter().map(|record| frame::decode(&record.bytes).unwrap()).collect::<Vec<_>>()
            };
            assert_eq!(recover(&frames, "another"), [], "its runs may still be at work");
            let missing = recover(&frames, "test");
            let header = &missing[0].header;
            assert_eq!((missing.len(), header.cut, header.counter, &*header.run), (1, 199, 199, "run"));
            assert_eq!(header.ledgers, [(0, Ledger { received: 1, sent: 1, ..Ledger::default() })]);
            assert_eq!(recover(&frames, "test"), missing, "it has the same number when it is written again");
            frames.extend(missing);
            assert_eq!(recover(&frames, "test"), []);
        }
    }

    /// Of a run that crashed before it wrote any ledger, the last cuts get one, with numbers in order.
    #[test]
    fn the_last_cuts_of_a_run_without_ledgers_get_one_each() {
        let mut note = frame(STREAM, 0, &[]);
        note.header.counter = 1000;
        let mut frames = vec![note];
        for cut in 1..=70 {
            frames.push(frame("oslo", cut, &[cut]));
            frames.push(frame("bergen", cut, &[cut, cut + 100]));
        }
        let (mut sent, mut learner) = (SentPosts::new(rules(50, None)), Learner::default());
        frames.iter().for_each(|frame| learner.read(frame, &mut sent, 0).unwrap());
        let missing = learner.finish("test").unwrap();
        assert_eq!(missing.len(), 64);
        for (n, record) in missing.iter().enumerate() {
            let header = frame::decode(&record.bytes).unwrap().header;
            assert_eq!((header.cut, header.counter), (7 + n as u64, 1001 + n as u64));
            assert_eq!((header.lane.is_ledger(), header.windows), (true, vec![]));
            assert_eq!(header.ledgers, [(0, Ledger { received: 3, sent: 3, ..Ledger::default() })]);
        }
    }
}
