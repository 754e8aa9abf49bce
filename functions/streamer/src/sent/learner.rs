//! Reads a log and remembers which posts were sent to which regions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use birdsong_domain::frame::{Frame, STREAM};
use birdsong_domain::post::PostId;

use super::SentPosts;

/// Cuts of a run that may be under way at once. A run sends its cuts one after the other, so only the last of a
/// run that crashed may lack their ledger.
const OPEN_CUTS: usize = 64;

/// Takes the frames of a log, shard by shard. A run that crashed may have got the posts of its last cut into the
/// log without the cut's ledger: those are in their regions, and yet no ledger counts them as sent.
#[derive(Debug, Default)]
pub struct Learner {
    runs: HashMap<String, OpenRun>,
}

#[derive(Debug, Default)]
struct OpenRun {
    /// Posts of cuts whose ledger was not found yet.
    cuts: BTreeMap<u64, Vec<PostId>>,
    /// The newest cuts whose ledger was found.
    ledgers: BTreeSet<u64>,
}

impl Learner {
    /// Takes a frame in.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn read(&mut self, frame: &Frame, sent: &mut SentPosts, now_ms: i64) -> io::Result<()> {
        let header = &frame.header;
        let is_ledger = header.lane.region == STREAM;
        if !is_ledger {
            let region = sent.sets.region(&header.lane.region);
            let region = sent.sets.of(&mut vec![region]);
            for post in &frame.posts {
                sent.learn(PostId(post.i), region, now_ms)?;
            }
        }
        if header.cut == 0 {
            return Ok(());
        }
        let run = match self.runs.get_mut(&header.run) {
            Some(run) => run,
            None => self.runs.entry(header.run.clone()).or_default(),
        };
        if is_ledger {
            run.cuts.remove(&header.cut);
            run.ledgers.insert(header.cut);
            while run.ledgers.len() > OPEN_CUTS {
                run.ledgers.pop_first();
            }
        } else if !run.ledgers.contains(&header.cut) {
            run.cuts.entry(header.cut).or_default().extend(frame.posts.iter().map(|post| PostId(post.i)));
            while run.cuts.len() > OPEN_CUTS {
                run.cuts.pop_first();
            }
        }
        Ok(())
    }

    /// The log is read to its end.
    pub fn finish(self, sent: &mut SentPosts) {
        for run in self.runs.into_values() {
            // Ledgers before these were found, too, and are not remembered.
            let oldest = run.ledgers.first().filter(|_| run.ledgers.len() == OPEN_CUTS).copied().unwrap_or(0);
            sent.uncounted.extend(run.cuts.into_iter().filter(|(cut, _)| *cut >= oldest).flat_map(|(_, ids)| ids));
        }
    }
}
