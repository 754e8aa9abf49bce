//! Folds a part of the log again and puts right what the store has otherwise.
//!
//! Reads from ahead of the first window, folds by the same rules, and puts a window only when its
//! bytes differ, under the next generation, on condition that the stored fence is not ahead. So it
//! can run beside live aggregation, whose next put then fails its condition and goes on from here;
//! and a second run finds nothing to change.

use std::collections::BTreeMap;

use birdsong_domain::frame;
use birdsong_domain::ports::{
    Expected, PartialKey, PortError, PostLog, PutOutcome, ReadFrom, SequenceNumber, WindowStore,
};
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart, rfc3339};
use birdsong_domain::window::{Aggregate, FoldRules, Partial, touched};

use crate::LIVE_GENERATION;

/// Records read at a time.
const PAGE: usize = 256;
/// How often a window that live aggregation has moved on is read up to date again.
const ROUNDS: u32 = 20;
/// How often a damaged item's unknown generation is guessed one higher.
const GENERATION_GUESSES: u32 = 64;

/// Why a reprocess could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReprocessError {
    /// The log or the store failed; running it again is safe.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The log no longer has all records of the range.
    #[error(
        "the log is complete only since {since}, so windows before that cannot be folded again; begin at {since} or later, or replay an archive"
    )]
    Gone {
        /// First time that can be reprocessed, RFC 3339.
        since: String,
    },
}

/// How far a reprocess is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Log records read.
    pub records: u64,
    /// When the last one of them arrived, in milliseconds.
    pub arrived_ms: i64,
}

/// What was stored before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Missing,
    /// Something that could not be read.
    Damaged,
    /// A window with this many posts.
    Posts(u64),
}

/// What became of one stored window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which one.
    pub key: PartialKey,
    /// What was there.
    pub before: Before,
    /// Posts by the log.
    pub after: u64,
    /// What was done.
    pub change: Change,
}

/// What was done with one stored window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was as the log says, byte for byte.
    None,
    /// It was put right (or would be, in a dry run).
    Changed,
    /// Somebody was always ahead of us; live aggregation keeps this window.
    LeftToLive,
}

/// What a reprocess did, window by window in key order.
#[derive(Debug, Default)]
pub struct Receipt {
    /// Each window found in the log's range.
    pub entries: Vec<Entry>,
    /// Records that are no frames.
    pub unreadable: u64,
}

impl Receipt {
    /// Number of windows changed.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.entries.iter().filter(|entry| entry.change == Change::Changed).count()
    }
}

/// Folds all windows that start in `from..to` again. With `dry_run` nothing is stored.
///
/// # Errors
/// When log or store fail, or the log does not reach back far enough.
pub async fn reprocess<L: PostLog, S: WindowStore>(
    log: &L,
    store: &S,
    rules: FoldRules,
    range: std::ops::Range<WindowStart>,
    dry_run: bool,
    mut progress: impl FnMut(Progress),
) -> Result<Receipt, ReprocessError> {
    let start_ms = range.start.0 - FUTURE_LIMIT_MS;
    let mut fold = LogFold { shards: vec![], folded: BTreeMap::new(), unreadable: 0, told: Progress::default() };
    fold.read_on(log, rules, &range, start_ms, &mut progress).await?;
    let mut receipt = Receipt::default();
    let mut todo: Vec<PartialKey> = fold.folded.keys().cloned().collect();
    for round in 0..ROUNDS {
        let mut behind = Vec::new();
        for key in todo {
            let Some(folded) = fold.folded.get(&key) else { continue };
            match settle(store, &key, folded, &fold.shards[folded.shard].read_to, dry_run).await? {
                Some(entry) => receipt.entries.push(entry),
                None => behind.push(key),
            }
        }
        todo = behind;
        if todo.is_empty() {
            break;
        }
        if round + 1 < ROUNDS {
            fold.read_on(log, rules, &range, start_ms, &mut progress).await?;
        }
    }
    for key in todo {
        let after = fold.folded.get(&key).map_or(0, |folded| folded.aggregate.posts());
        receipt.entries.push(Entry { key, before: Before::Posts(after), after, change: Change::LeftToLive });
    }
    receipt.unreadable = fold.unreadable;
    receipt.entries.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(receipt)
}

/// All shards, folded from the log alone. A lane moves from a shard to its children when that is
/// split or merged, so a window may have records in several.
struct LogFold {
    /// In the order of the log: parents before children.
    shards: Vec<ShardPosition>,
    folded: BTreeMap<PartialKey, Folded>,
    unreadable: u64,
    told: Progress,
}

struct ShardPosition {
    name: String,
    next: ReadFrom,
    /// Last record read.
    read_to: SequenceNumber,
}

struct Folded {
    fence: SequenceNumber,
    aggregate: Aggregate,
    /// Index of the shard that its last record came from.
    shard: usize,
}

impl LogFold {
    /// Reads every shard to its end, those that came up meanwhile, too.
    async fn read_on<L: PostLog>(
        &mut self,
        log: &L,
        rules: FoldRules,
        range: &std::ops::Range<WindowStart>,
        start_ms: i64,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), ReprocessError> {
        for name in log.shards().await? {
            if self.shards.iter().any(|shard| shard.name == name) {
                continue;
            }
            let since = log.complete_since(&name).await?;
            if since > start_ms {
                let first = rules.size.start_of(since + FUTURE_LIMIT_MS + rules.size.ms() - 1);
                return Err(ReprocessError::Gone { since: rfc3339(first.0) });
            }
            self.shards.push(ShardPosition { name, next: ReadFrom::Time(start_ms), read_to: 0u64.into() });
        }
        for shard in 0..self.shards.len() {
            self.read_shard(log, rules, range, shard, progress).await?;
        }
        Ok(())
    }

    async fn read_shard<L: PostLog>(
        &mut self,
        log: &L,
        rules: FoldRules,
        range: &std::ops::Range<WindowStart>,
        number: usize,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), PortError> {
        loop {
            let shard = &mut self.shards[number];
            let records = log.read(&shard.name, &shard.next, PAGE).await?;
            let Some(last) = records.last() else { return Ok(()) };
            shard.next = ReadFrom::After(last.sequence.clone());
            shard.read_to = last.sequence.clone();
            self.told = Progress { records: self.told.records + records.len() as u64, arrived_ms: last.arrived_ms };
            for record in &records {
                let Ok(frame) = frame::decode(&record.bytes) else {
                    self.unreadable += 1;
                    continue;
                };
                for window in touched(rules, &frame).into_iter().filter(|window| range.contains(window)) {
                    let key = PartialKey { lane: frame.header.lane.clone(), window };
                    let folded = self.folded.entry(key).or_insert_with(|| Folded {
                        fence: record.sequence.clone(),
                        aggregate: Aggregate::default(),
                        shard: number,
                    });
                    folded.aggregate.fold(rules, window, &frame);
                    folded.fence = record.sequence.clone();
                    folded.shard = number;
                }
            }
            progress(self.told);
        }
    }
}

/// Compares one window with the store and puts it right; `None` when the store is ahead.
async fn settle<S: WindowStore>(
    store: &S,
    key: &PartialKey,
    Folded { fence, aggregate, .. }: &Folded,
    read_to: &SequenceNumber,
    dry_run: bool,
) -> Result<Option<Entry>, PortError> {
    let encode =
        |partial: &Partial| partial.encode().map_err(|e| PortError::Refused { what: "zstd", reason: e.to_string() });
    let mut ours = Partial { generation: LIVE_GENERATION + 1, fence: fence.clone(), aggregate: aggregate.clone() };
    let after = aggregate.posts();
    let entry = |before, change| Some(Entry { key: key.clone(), before, after, change });
    let mut expected = Expected::Behind;
    let before = match store.load(key).await {
        Ok(None) => Before::Missing,
        Ok(Some(stored)) => {
            if encode(&stored)? == encode(&ours)? {
                return Ok(entry(Before::Posts(after), Change::None));
            }
            if stored.fence > *read_to {
                return Ok(None);
            }
            ours.generation = stored.generation + 1;
            if stored.fence > *fence {
                // Everything up to there has been read, so no record can have moved this fence: it was
                // altered. It is replaced on condition that it is still the very same.
                expected = Expected::At { generation: stored.generation, fence: stored.fence.clone() };
            }
            Before::Posts(stored.aggregate.posts())
        }
        Err(PortError::Corrupt { .. }) => Before::Damaged,
        Err(error) => return Err(error),
    };
    if dry_run {
        return Ok(entry(before, Change::Changed));
    }
    let guesses = if before == Before::Damaged { GENERATION_GUESSES } else { 1 };
    for _ in 0..guesses {
        if store.put(key, &ours, &expected).await? == PutOutcome::Stored {
            return Ok(entry(before, Change::Changed));
        }
        ours.generation += 1;
    }
    Ok(None)
}
