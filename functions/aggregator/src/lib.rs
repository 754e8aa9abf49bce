//! Folds log records into stored windows.
//!
//! Delivery is at least once and the effect exactly once, by two means that every store has: each
//! partial carries a fence (the last record folded into it), and is put on condition that the
//! stored one is the one that the fold started from. Records at or below the fence are skipped; a failed
//! condition means that another writer was faster, so the partial is loaded and folded again.
//!
//! ```
//! use std::sync::Arc;
//!
//! use birdsong_aggregator::Aggregator;
//! use birdsong_domain::frame::{self, FrameHeader, Lane};
//! use birdsong_domain::network::Network;
//! use birdsong_domain::ports::LogRecord;
//! use birdsong_domain::post::{Located, PostId, SourcePost};
//! use birdsong_domain::window::FoldRules;
//! use birdsong_testkit::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let post = SourcePost { id: PostId(1), time_ms: 1_700_000_000_000, ..SourcePost::default() };
//! let mut lines = vec![];
//! frame::put_line(&mut lines, &post, Located::Text, false);
//! let lane = Lane::posts("fog", Network::X, 0);
//! let header = FrameHeader { lane, run: "run".into(), counter: 1, cut_ms: post.time_ms + 500, ..FrameHeader::default() };
//! let bytes = frame::encode(&header, &lines)?;
//! let batch = [LogRecord { sequence: 1u64.into(), arrived_ms: post.time_ms + 600, lane: None, bytes }];
//!
//! let mut aggregator = Aggregator::new(Arc::new(MemoryStore::default()), FoldRules::default(), 64);
//! assert_eq!(aggregator.fold_batch("0", &batch).await?.aggregated, 1);
//! // Delivered again, it is behind the fence.
//! assert_eq!(aggregator.fold_batch("0", &batch).await?.aggregated, 0);
//! # Ok(())
//! # }
//! ```

pub mod copy;
pub mod dead_letter;
pub mod reprocess;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use birdsong_domain::frame::Frame;
use birdsong_domain::ports::{Expected, LogRecord, PartialKey, PortError, PutOutcome, WindowStore};
use birdsong_domain::time::rfc3339;
use birdsong_domain::window::{Aggregate, FoldRules, Partial, touched};
use futures_util::stream::{self, StreamExt};

use crate::dead_letter::DeadLetter;

/// Generation of live aggregation.
pub const LIVE_GENERATION: u32 = 1;
/// How often a put may lose against other writers before the batch fails.
const MAX_CONFLICTS: u32 = 32;
/// Windows of a batch that are read and put at the same time: a store in a network answers after milliseconds.
const CONCURRENT: usize = 8;

/// Why a batch could not be folded. The records stay in the log; the batch may be folded again.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
    /// Too many other writers on one window.
    #[error(
        "window {window} of {lane} was changed by others {MAX_CONFLICTS} times in a row; is a second aggregator reading the same shard?"
    )]
    Contended {
        /// The lane.
        lane: String,
        /// Start of the window in milliseconds.
        window: i64,
    },
}

/// Outcome of a batch whose windows are all stored, so that it may be checkpointed.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// Posts folded now and on time. A post that matched several regions counts once.
    pub aggregated: u64,
    /// Posts folded now whose window was final when their frame was cut.
    pub late: u64,
    /// Puts repeated because another writer was faster.
    pub conflicts: u64,
    /// Partials written.
    pub stored: u64,
    /// Records that cannot be read, and windows that could not be read or stored. They must be kept before the
    /// batch is checkpointed; the windows that they belong to are marked as incomplete.
    pub dead: Vec<DeadLetter>,
}

/// Folds batches of one shard, in order. Keeps the partials that it wrote itself last in a bounded cache.
#[derive(Debug)]
pub struct Aggregator<S> {
    store: Arc<S>,
    rules: FoldRules,
    cache: HashMap<PartialKey, Partial>,
    cache_limit: usize,
    /// Windows that cannot be stored, of which a dead letter was written.
    given_up: HashSet<PartialKey>,
}

/// Abandoned windows that are remembered; beyond that some have a second dead letter.
const MAX_ABANDONED: usize = 10_000;

type Frames<'f> = [(&'f LogRecord, &'f Frame)];

impl<S: WindowStore> Aggregator<S> {
    /// An aggregator over `store`, with room for `cache_limit` warm partials (about 20 KB each).
    #[must_use]
    pub fn new(store: Arc<S>, rules: FoldRules, cache_limit: usize) -> Self {
        Self { store, rules, cache: HashMap::new(), cache_limit, given_up: HashSet::new() }
    }

    /// Folds a batch of records of one shard, in log order. When it returns `Ok`, every window that
    /// the batch touches is stored and the batch may be checkpointed; on an error some windows may
    /// be stored already, and folding the batch again is safe.
    ///
    /// Damage is contained (rule 4.6). An unreadable record counts as corrupt in the windows that it belongs to.
    /// A stored window that cannot be read restarts from zero, marked as such until a reprocess restores it. A window
    /// that cannot be stored is abandoned. Each of them becomes a dead letter, and everything else continues.
    ///
    /// # Errors
    /// When the store is unavailable or refuses, or others keep writing.
    pub async fn fold_batch(&mut self, shard: &str, records: &[LogRecord]) -> Result<BatchOutcome, FoldError> {
        let mut outcome = BatchOutcome::default();
        let frames: Vec<_> = records.iter().map(|record| (record, Frame::of(record))).collect();
        for (record, frame) in &frames {
            if let Some(damage) = &frame.damage {
                let data = base64_simd::STANDARD.encode_to_string(&record.bytes);
                let windows = &frame.header.windows;
                let lost = match windows.iter().map(|count| count.posts).sum::<u64>() {
                    0 => "how many posts it had is unknown".to_owned(),
                    posts => format!("{posts} posts of {} windows are missing", windows.len()),
                };
                outcome.dead.push(DeadLetter::record(shard, record, format!("{damage}; {lost}"), data));
            }
        }
        // Ledgers last: a reader of the ledgers and then the regions never finds fewer posts than they count.
        let mut work: [BTreeMap<PartialKey, Vec<(&LogRecord, &Frame)>>; 2] = Default::default();
        for (record, frame) in &frames {
            for window in touched(self.rules, frame) {
                let key = PartialKey { lane: frame.header.lane.clone(), window };
                work[usize::from(key.lane.is_ledger())].entry(key).or_default().push((record, frame));
            }
        }
        for work in work {
            // Taken out of the cache: if anything fails, the cache must not keep what the store may not have.
            let (store, rules) = (self.store.clone(), self.rules);
            let mut jobs = Vec::with_capacity(work.len());
            for (key, frames) in work {
                let cached = self.cache.remove(&key);
                jobs.push(fold_window(&*store, rules, shard, (key, cached, frames)));
            }
            let mut folding = stream::iter(jobs).buffered(CONCURRENT);
            while let Some(folded) = folding.next().await {
                self.done(folded?, &mut outcome);
            }
        }
        Ok(outcome)
    }

    /// Shows the windows of the last batches to readers ([`WindowStore::publish`]).
    ///
    /// # Errors
    /// When the store fails. The windows are stored all the same.
    pub async fn publish(&self) -> Result<(), PortError> {
        self.store.publish().await
    }

    /// Takes a window into account that was folded.
    fn done(&mut self, folded: Folded, outcome: &mut BatchOutcome) {
        outcome.aggregated += folded.aggregated;
        outcome.late += folded.late;
        outcome.stored += u64::from(folded.is_stored);
        outcome.conflicts += folded.conflicts;
        outcome.dead.extend(folded.restarted);
        if let Some(letter) = folded.abandoned {
            if self.given_up.len() >= MAX_ABANDONED {
                self.given_up.clear();
            }
            if self.given_up.insert(folded.key.clone()) {
                outcome.dead.push(letter);
            }
        }
        if let Some(partial) = folded.kept {
            self.keep(folded.key, partial);
        }
    }

    fn keep(&mut self, key: PartialKey, partial: Partial) {
        if self.cache_limit == 0 {
            return;
        }
        if self.cache.len() >= self.cache_limit {
            // The oldest windows are the least likely to be needed again. With more lanes than room, those that are here
            // stay, so that they at least need not be read again.
            let oldest = self.cache.keys().map(|key| key.window).min();
            match oldest.filter(|oldest| *oldest < key.window) {
                Some(oldest) => self.cache.retain(|key, _| key.window > oldest),
                None => return,
            }
        }
        self.cache.insert(key, partial);
    }
}

/// A window that was folded, and stored if anything changed.
struct Folded {
    key: PartialKey,
    /// What the store has now, if this writer put it.
    kept: Option<Partial>,
    aggregated: u64,
    late: u64,
    is_stored: bool,
    conflicts: u64,
    /// The dead letter of a stored window that could not be read.
    restarted: Option<DeadLetter>,
    /// The dead letter of a window that cannot be stored.
    abandoned: Option<DeadLetter>,
}

/// Folds the frames of one window onto the cached partial or the stored one, and stores the result.
async fn fold_window<S: WindowStore>(
    store: &S,
    rules: FoldRules,
    shard: &str,
    (key, mut cached, frames): (PartialKey, Option<Partial>, Vec<(&LogRecord, &Frame)>),
) -> Result<Folded, FoldError> {
    let letter = |reason: String| frames.last().map(|(last, _)| DeadLetter::window(shard, &key, last, reason));
    let mut folded = Folded {
        key: key.clone(),
        kept: None,
        aggregated: 0,
        late: 0,
        is_stored: false,
        conflicts: 0,
        restarted: None,
        abandoned: None,
    };
    let mut damage = None;
    for _ in 0..MAX_CONFLICTS {
        let cached = cached.take();
        let is_own = cached.is_some();
        let base = match cached {
            Some(partial) => Ok(as_expected(Some(partial))),
            None => match store.load(&key).await {
                Ok(stored) => Ok(as_expected(stored)),
                Err(error @ PortError::Corrupt { .. }) => {
                    damage = Some(error.to_string());
                    restart_window(store, &key).await
                }
                Err(error) => Err(error),
            },
        };
        let (base, expected) = match base {
            Ok(base) => base,
            Err(PortError::Corrupt { what, reason }) => {
                folded.abandoned = letter(format!("{what}: {reason}; the window is not stored"));
                return Ok(folded);
            }
            Err(error) => return Err(error.into()),
        };
        if base.as_ref().is_some_and(|partial| partial.aggregate.is_newer()) {
            return Err(FoldError::Store(newer(&key)));
        }
        let (partial, posts, late) = fold_onto(rules, &key, base, &frames);
        let Some((partial, is_changed)) = partial else { return Ok(folded) };
        if !is_changed {
            // A row of another writer is looked at again each time: were its fence altered, a reprocess would
            // repair it, but the cache would continue to skip records.
            folded.kept = is_own.then_some(partial);
            return Ok(folded);
        }
        match store.put(&key, &partial, &expected).await {
            Ok(PutOutcome::Stored) => {
                (folded.aggregated, folded.late, folded.is_stored) = (posts - late, late, true);
                folded.kept = Some(partial);
                folded.restarted =
                    damage.and_then(|reason| letter(format!("{reason}; the window restarted from zero")));
                return Ok(folded);
            }
            Ok(PutOutcome::Conflict) => folded.conflicts += 1,
            Err(error @ PortError::Corrupt { .. }) => {
                folded.abandoned = letter(format!("{error}; the window is not stored"));
                return Ok(folded);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(FoldError::Contended { lane: key.lane.to_string(), window: key.window.0 })
}

/// An empty window in the place of one that cannot be read.
async fn restart_window<S: WindowStore>(store: &S, key: &PartialKey) -> Result<(Option<Partial>, Expected), PortError> {
    let Some(version) = store.version(key).await? else { return Ok((None, Expected::Absent)) };
    let partial = Partial {
        generation: version.generation.unwrap_or(LIVE_GENERATION),
        fence: 0u64.into(),
        aggregate: Aggregate::restarted(),
        stored_ms: 0,
    };
    Ok((Some(partial), Expected::Row(version)))
}

/// A newer release counted in this window what this one does not know: folding more would leave that behind.
fn newer(key: &PartialKey) -> PortError {
    let reason = format!(
        "a newer release of Birdsong wrote window {} of {}: update this program to that release",
        rfc3339(key.window.0),
        key.lane
    );
    PortError::Refused { what: "the window store", reason }
}

fn as_expected(stored: Option<Partial>) -> (Option<Partial>, Expected) {
    let expected = stored.as_ref().map_or(Expected::Absent, |partial| Expected::At {
        generation: partial.generation,
        fence: partial.fence.clone(),
    });
    (stored, expected)
}

/// Folds the frames behind the fence of `base` onto it. The flag is whether there were any.
fn fold_onto(
    rules: FoldRules,
    key: &PartialKey,
    base: Option<Partial>,
    frames: &Frames<'_>,
) -> (Option<(Partial, bool)>, u64, u64) {
    let counts = |partial: &Partial| (partial.aggregate.primary.0, partial.aggregate.lateness.primary);
    let (before, late_before) = base.as_ref().map_or((0, 0), counts);
    let mut partial = base;
    let mut is_changed = false;
    for (record, frame) in frames {
        let sequence = &record.sequence;
        if partial.as_ref().is_some_and(|partial| *sequence <= partial.fence) {
            continue;
        }
        is_changed = true;
        let target = partial.get_or_insert_with(|| Partial {
            generation: LIVE_GENERATION,
            fence: sequence.clone(),
            aggregate: Aggregate::default(),
            stored_ms: 0,
        });
        target.aggregate.fold(rules, key.window, frame);
        target.fence = sequence.clone();
    }
    let (after, late_after) = partial.as_ref().map_or((0, 0), counts);
    (partial.map(|partial| (partial, is_changed)), after - before, late_after - late_before)
}
