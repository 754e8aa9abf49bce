//! Folds log records into stored windows.
//!
//! Delivery is at least once and the effect exactly once, by two means that every store has: each
//! partial carries a fence (the last record folded into it), and is put on condition that what is
//! stored is what the fold started from. Records at or below the fence are skipped; a failed
//! condition means that somebody else wrote, so the partial is loaded and folded again.

pub mod reprocess;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use birdsong_domain::frame::{self, Frame, FrameError};
use birdsong_domain::ports::{Expected, LogRecord, PartialKey, PortError, PutOutcome, SequenceNumber, WindowStore};
use birdsong_domain::window::{Aggregate, FoldRules, Partial, touched};

/// Generation of live aggregation.
pub const LIVE_GENERATION: u32 = 1;
/// How often a put may lose against other writers before the batch is given back.
const MAX_CONFLICTS: u32 = 32;

/// Why a batch could not be folded. The records stay in the log; the batch may be given again.
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

/// What became of a batch whose windows are all stored, so that it may be checkpointed.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// Posts folded now and on time. A post that several regions took counts once.
    pub aggregated: u64,
    /// Posts folded now whose window was final when their frame was cut.
    pub late: u64,
    /// Puts that somebody else's write made us repeat.
    pub conflicts: u64,
    /// Partials written.
    pub stored: u64,
    /// Records that are no frames: their position, and what is wrong with them.
    pub quarantined: Vec<(SequenceNumber, FrameError)>,
}

/// Folds batches of one shard, in order. Keeps the partials that it wrote itself last in a bounded cache.
#[derive(Debug)]
pub struct Aggregator<S> {
    store: Arc<S>,
    rules: FoldRules,
    cache: HashMap<PartialKey, Partial>,
    cache_limit: usize,
}

impl<S: WindowStore> Aggregator<S> {
    /// An aggregator over `store`, with room for `cache_limit` warm partials (about 20 KB each).
    #[must_use]
    pub fn new(store: Arc<S>, rules: FoldRules, cache_limit: usize) -> Self {
        Self { store, rules, cache: HashMap::new(), cache_limit }
    }

    /// Folds a batch of records of one shard, in log order. When it returns `Ok`, every window that
    /// the batch touches is stored and the batch may be checkpointed; on an error some windows may
    /// be stored already, and giving the batch again is safe.
    ///
    /// # Errors
    /// When the store fails or others keep writing.
    pub async fn fold_batch(&mut self, records: &[LogRecord]) -> Result<BatchOutcome, FoldError> {
        let mut outcome = BatchOutcome::default();
        let mut frames = Vec::with_capacity(records.len());
        for record in records {
            match frame::decode(&record.bytes) {
                Ok(frame) => frames.push((&record.sequence, frame)),
                Err(error) => outcome.quarantined.push((record.sequence.clone(), error)),
            }
        }
        let mut work: BTreeMap<PartialKey, Vec<(&SequenceNumber, &Frame)>> = BTreeMap::new();
        for (sequence, frame) in &frames {
            for window in touched(self.rules, frame) {
                let key = PartialKey { lane: frame.header.lane.clone(), window };
                work.entry(key).or_default().push((sequence, frame));
            }
        }
        for (key, frames) in work {
            self.fold_window(key, &frames, &mut outcome).await?;
        }
        Ok(outcome)
    }

    async fn fold_window(
        &mut self,
        key: PartialKey,
        frames: &[(&SequenceNumber, &Frame)],
        outcome: &mut BatchOutcome,
    ) -> Result<(), FoldError> {
        for _ in 0..MAX_CONFLICTS {
            // Taken out of the cache: if anything fails below, the cache must not keep what the
            // store may not have.
            let cached = self.cache.remove(&key);
            let is_own = cached.is_some();
            let base = match cached {
                Some(partial) => Some(partial),
                None => self.store.load(&key).await?,
            };
            let expected = base.as_ref().map_or(Expected::Absent, |partial| Expected::At {
                generation: partial.generation,
                fence: partial.fence.clone(),
            });
            let (partial, posts, late) = fold_onto(self.rules, &key, base, frames);
            let Some((partial, is_changed)) = partial else { return Ok(()) };
            if !is_changed {
                // Somebody else's row is looked at again each time: were its fence altered, a reprocess would
                // repaired it, but the cache would go on skipping records.
                if is_own {
                    self.keep(key, partial);
                }
                return Ok(());
            }
            match self.store.put(&key, &partial, &expected).await? {
                PutOutcome::Stored => {
                    outcome.aggregated += posts - late;
                    outcome.late += late;
                    outcome.stored += 1;
                    self.keep(key, partial);
                    return Ok(());
                }
                PutOutcome::Conflict => outcome.conflicts += 1,
            }
        }
        Err(FoldError::Contended { lane: key.lane.to_string(), window: key.window.0 })
    }

    fn keep(&mut self, key: PartialKey, partial: Partial) {
        if self.cache_limit == 0 {
            return;
        }
        if self.cache.len() >= self.cache_limit {
            // The oldest windows are the least likely to be needed again.
            let mut windows: Vec<_> = self.cache.keys().map(|key| key.window).collect();
            let middle = windows.len() / 2;
            let (_, median, _) = windows.select_nth_unstable(middle);
            let median = *median;
            self.cache.retain(|key, _| key.window > median);
        }
        self.cache.insert(key, partial);
    }
}

/// Folds the frames that lie behind the fence of `base` onto it. The flag says whether any did.
fn fold_onto(
    rules: FoldRules,
    key: &PartialKey,
    base: Option<Partial>,
    frames: &[(&SequenceNumber, &Frame)],
) -> (Option<(Partial, bool)>, u64, u64) {
    let counts = |partial: &Partial| (partial.aggregate.primary, partial.aggregate.primary_late);
    let (before, late_before) = base.as_ref().map_or((0, 0), counts);
    let mut partial = base;
    let mut is_changed = false;
    for (sequence, frame) in frames {
        if partial.as_ref().is_some_and(|partial| **sequence <= partial.fence) {
            continue;
        }
        is_changed = true;
        let target = partial.get_or_insert_with(|| Partial {
            generation: LIVE_GENERATION,
            fence: (*sequence).clone(),
            aggregate: Aggregate::default(),
        });
        target.aggregate.fold(rules, key.window, frame);
        target.fence = (*sequence).clone();
    }
    let (after, late_after) = partial.as_ref().map_or((0, 0), counts);
    (partial.map(|partial| (partial, is_changed)), after - before, late_after - late_before)
}
