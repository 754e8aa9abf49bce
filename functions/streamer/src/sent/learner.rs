//! Reads a log and remembers which posts were sent to which regions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use birdsong_domain::frame::{self, Frame, FrameError, FrameHeader, Lane, Ledger, PostCount};
use birdsong_domain::ports::FrameRecord;
use birdsong_domain::post::PostId;

use super::SentPosts;

/// Cuts of a run that may be under way at once. A run sends its cuts one after the other, so only the last of a
/// run that crashed may lack their ledger.
const OPEN_CUTS: usize = 64;

/// Takes the frames of a log, shard by shard. A run that crashed may have got the posts of its last cut into the
/// log without the cut's ledger: [`Learner::finish`] makes the ledgers that are missing.
#[derive(Debug, Default)]
pub struct Learner {
    runs: HashMap<String, OpenRun>,
}

#[derive(Debug, Default)]
struct OpenRun {
    /// Cuts whose ledger was not found yet: a header of theirs, and the posts of each lane.
    cuts: BTreeMap<u64, (FrameHeader, BTreeMap<Lane, Vec<PostCount>>)>,
    /// The newest cuts whose ledger was found.
    ledgers: BTreeSet<u64>,
    /// Highest number of a frame with a ledger.
    counter: u64,
}

impl Learner {
    /// Takes a frame in.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn read(&mut self, frame: &Frame, sent: &mut SentPosts, now_ms: i64) -> io::Result<()> {
        let header = &frame.header;
        let is_ledger = header.lane.is_ledger();
        if !is_ledger {
            let region = sent.sets.region(header.lane.region());
            let region = sent.sets.of(&mut vec![region]);
            for post in &frame.posts {
                sent.learn(PostId(post.id), region, now_ms)?;
            }
        }
        let run = match self.runs.get_mut(&header.run) {
            Some(run) => run,
            None => self.runs.entry(header.run.clone()).or_default(),
        };
        if is_ledger {
            run.counter = run.counter.max(header.counter);
            // Frames with cut 0 are notes between cuts.
            if header.cut > 0 {
                run.cuts.remove(&header.cut);
                run.ledgers.insert(header.cut);
            }
            while run.ledgers.len() > OPEN_CUTS {
                run.ledgers.pop_first();
            }
        } else if !header.windows.is_empty() && !run.ledgers.contains(&header.cut) {
            let (_, lanes) = run.cuts.entry(header.cut).or_insert_with(|| (header.clone(), BTreeMap::new()));
            // A frame may be in the log twice.
            lanes.insert(header.lane.clone(), header.windows.clone());
            while run.cuts.len() > OPEN_CUTS {
                run.cuts.pop_first();
            }
        }
        Ok(())
    }

    /// The log is read to its end. Gives the ledgers that runs of `source` which are over left out: the posts of
    /// their last cut are in the log, and nothing counts them as sent.
    ///
    /// The numbers of such a frame follow from the log alone. When it is appended twice, or the crashed run's own
    /// one appears after all, it counts once.
    ///
    /// # Errors
    /// When a frame cannot be encoded.
    pub fn finish(self, source: &str) -> Result<Vec<FrameRecord>, FrameError> {
        let mut missing = vec![];
        for run in self.runs.into_values() {
            // Ledgers before these were found, too, and are not remembered.
            let oldest = run.ledgers.first().filter(|_| run.ledgers.len() == OPEN_CUTS).copied().unwrap_or(0);
            let open = run.cuts.into_iter().filter(|(cut, (header, _))| *cut >= oldest && header.source == source);
            for (n, (header, lanes)) in open.map(|(_, open)| open).enumerate() {
                let mut windows = BTreeMap::<i64, u64>::new();
                for count in lanes.values().flatten() {
                    *windows.entry(count.window_ms).or_default() += count.primary;
                }
                let ledger = |posts| Ledger { received: posts, sent: posts, ..Ledger::default() };
                let lane = Lane::ledger(header.lane.network(), &header.source);
                let header = FrameHeader {
                    lane: lane.clone(),
                    counter: run.counter + 1 + n as u64,
                    ledgers: windows.into_iter().map(|(window_ms, posts)| (window_ms, ledger(posts))).collect(),
                    windows: vec![],
                    ..header
                };
                missing.push(FrameRecord { lane, bytes: frame::encode(&header, b"")? });
            }
        }
        Ok(missing)
    }
}
