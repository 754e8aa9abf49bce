//! Rebuilds windows from a range of the log and repairs any that differ.
//!
//! Reads from ahead of the first window, folds by the same rules, and writes a row only when its bytes
//! differ, under the next generation. Rows that have no record in the log are removed. So it can run
//! beside live aggregation, whose next put then fails its condition and continues from here; and a second
//! run finds nothing to change.
//!
//! What live aggregation may own is never touched. A row whose fence is not ahead of what was read is
//! replaced on condition that it is still the row that was compared. Any other row (unreadable, ahead,
//! or without a record in the log) waits for proof: its version is read **first**, and then the log is read
//! to its end. A record is in the log before it is in a window, so every record in this version
//! has been read by then; if it still contradicts the log, it was altered. It is replaced or removed on
//! condition that it still has that version.
//!
//! A row that was folded while all of its records were whole stays when one of them is damaged by now, because a new
//! fold would lose what it counted. Which windows a record without a readable header belongs to is not known; but the row
//! knows which frames it counted.
//!
//! A row is removed only when no record of the whole log is of its window, and none of those is unreadable.
//! A row whose fence is before the log's oldest record stays: it may be of an earlier log.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::time::Duration;

use birdsong_domain::frame::{Frame, Lane};
use birdsong_domain::ports::{
    self, Expected, PartialKey, PortError, PostLog, PutOutcome, ReadFrom, RowVersion, SequenceNumber, Settings,
    WindowStore,
};
use birdsong_domain::revision::Cause;
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart, rfc3339};
use birdsong_domain::window::{Aggregate, FoldRules, Partial, touched};

use crate::LIVE_GENERATION;

/// Records read at a time.
const PAGE: usize = 256;
/// How often a row that live aggregation has moved on is compared again.
const ROUNDS: u32 = 20;
/// The wait between two of these rounds.
const PAUSE: Duration = Duration::from_millis(500);
/// In how many rounds in a row a fence must be ahead of all that the log has before it counts as
/// altered. Kinesis may show a record to one reader a little later than to another.
const CONFIRMATIONS: u32 = 5;

/// Why a reprocess could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReprocessError {
    /// The log or the store failed; running it again is safe.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The log no longer has all records of the range.
    #[error(
        "the log is complete only since {since}, so windows before that cannot be folded again; start at {since} or later, name an archive of the log that reaches further back (--archive), or replay an archive of posts"
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
    /// Posts by the log; `None` when the log has no record of this window.
    pub after: Option<u64>,
    /// What was done.
    pub change: Change,
    /// Posts that were not late, before and after; what was before is `None` when it could not be read.
    pub on_time: (Option<u64>, u64),
    /// Why it was corrected, if it was: by the log, or by another rule of the fold.
    pub cause: Cause,
}

/// What was done with one stored window (or would be, in a dry run).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was equal to the fold of the log, byte for byte.
    None,
    /// It was corrected.
    Changed,
    /// Its fence was ahead of the log, or generation or fence could not be read, so that live
    /// aggregation could not have gone on; it was repaired.
    Healed,
    /// The log has no record of it; it was removed.
    Removed,
    /// It stays although the log cannot reproduce it: it may come from a record that is damaged, that arrived at a
    /// wrong time, or that the log no longer has.
    Kept,
    /// Somebody was always ahead of us; live aggregation keeps this window.
    LeftToLive,
}

impl Change {
    /// Whether the window is stored otherwise than before.
    #[must_use]
    pub fn is_correction(self) -> bool {
        matches!(self, Self::Changed | Self::Healed | Self::Removed)
    }
}

/// What a reprocess did, window by window in key order.
#[derive(Debug, Default)]
pub struct Receipt {
    /// Each window found in the log's range or in the store.
    pub entries: Vec<Entry>,
    /// Records that cannot be read.
    pub unreadable: u64,
}

impl Receipt {
    /// Number of windows that are stored otherwise than before: changed, healed or removed.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.entries.iter().filter(|entry| entry.change.is_correction()).count()
    }

    /// Number of windows whose fence or generation was repaired.
    #[must_use]
    pub fn healed(&self) -> usize {
        self.count(Change::Healed)
    }

    /// Number of windows removed because the log has no record of them.
    #[must_use]
    pub fn removed(&self) -> usize {
        self.count(Change::Removed)
    }

    /// Number of windows of one outcome.
    #[must_use]
    pub fn count(&self, change: Change) -> usize {
        self.entries.iter().filter(|entry| entry.change == change).count()
    }
}

/// Folds all windows that start in `from..to` again, and compares them with all that is stored there. With
/// `dry_run` nothing is stored or removed. Must be called from a tokio runtime with timers.
///
/// # Errors
/// When log or store fail, or the log does not reach back far enough.
pub async fn reprocess<L: PostLog, S: WindowStore + Settings>(
    log: &L,
    store: &S,
    rules: FoldRules,
    range: std::ops::Range<WindowStart>,
    dry_run: bool,
    progress: impl FnMut(Progress),
) -> Result<Receipt, ReprocessError> {
    reprocess_announced(log, store, rules, range, dry_run, progress, async |_| Ok(())).await
}

/// The same. `announce` gets the corrections before they are made, and again those that came out otherwise because others
/// wrote meanwhile. When it fails, they are not made.
///
/// # Errors
/// As [`reprocess`], and when `announce` fails.
pub async fn reprocess_announced<L: PostLog, S: WindowStore + Settings>(
    log: &L,
    store: &S,
    rules: FoldRules,
    range: std::ops::Range<WindowStart>,
    dry_run: bool,
    mut progress: impl FnMut(Progress),
    mut announce: impl AsyncFnMut(&[Entry]) -> Result<(), PortError>,
) -> Result<Receipt, ReprocessError> {
    let start_ms = range.start.0 - FUTURE_LIMIT_MS;
    let mut fold = LogFold {
        shards: vec![],
        folded: BTreeMap::new(),
        unreadable: 0,
        without_header: BTreeMap::new(),
        earlier: None,
        copied_ms: ports::copied_ms(store).await?,
        progress: Progress::default(),
    };
    let stored = store.keys(range.start, range.end).await?;
    fold.read_on(log, rules, &range, start_ms, &mut progress).await?;
    let mut entries: BTreeMap<PartialKey, Entry> = BTreeMap::new();
    let mut open: BTreeMap<PartialKey, Suspicion> =
        stored.into_iter().chain(fold.folded.keys().cloned()).map(|key| (key, Suspicion::default())).collect();
    for round in 0..ROUNDS {
        // The first look needs no proof where store and log agree; it decides which rows do.
        if round > 0 {
            if round > 1 {
                tokio::time::sleep(PAUSE).await;
            }
            for (key, suspicion) in &mut open {
                suspicion.look(store.version(key).await?);
            }
            fold.read_on(log, rules, &range, start_ms, &mut progress).await?;
        }
        let mut left = BTreeMap::new();
        let mut settled = vec![];
        let (mut planned, mut announced) = (vec![], vec![]);
        for (key, mut suspicion) in open {
            let mut outcome = fold.settle(store, &key, &mut suspicion, true).await?;
            if matches!(outcome, Settled::Unread) {
                fold.read_earlier(log, rules, &range, &mut progress).await?;
                outcome = fold.settle(store, &key, &mut suspicion, true).await?;
            }
            match outcome {
                Settled::As(found, change) if !dry_run && change.is_correction() => {
                    announced.push(fold.entry(&key, found, change));
                    planned.push((key, suspicion));
                }
                outcome => settled.push((key, suspicion, outcome)),
            }
        }
        if !planned.is_empty() {
            announce(&announced).await?;
        }
        let mut differ = vec![];
        for ((key, mut suspicion), announced) in planned.into_iter().zip(announced) {
            let outcome = fold.settle(store, &key, &mut suspicion, false).await?;
            if let Settled::As(found, change) = outcome
                && change.is_correction()
            {
                let entry = fold.entry(&key, found, change);
                if (entry.on_time, entry.cause) != (announced.on_time, announced.cause) {
                    differ.push(entry);
                }
            }
            settled.push((key, suspicion, outcome));
        }
        if !differ.is_empty() {
            announce(&differ).await?;
        }
        for (key, suspicion, outcome) in settled {
            match outcome {
                Settled::As(found, change) => {
                    let entry = fold.entry(&key, found, change);
                    // While a fence was ahead, live aggregation skipped what came. So the row is compared once
                    // more, with all that was in the log when it was repaired.
                    let is_seen_again = !dry_run && matches!(change, Change::Healed | Change::Removed);
                    if is_seen_again {
                        left.insert(key.clone(), Suspicion::default());
                    }
                    match entries.entry(key) {
                        btree_map::Entry::Vacant(place) => drop(place.insert(entry)),
                        btree_map::Entry::Occupied(mut known) => {
                            let known = known.get_mut();
                            (known.after, known.on_time.1) = (entry.after, entry.on_time.1);
                        }
                    }
                }
                Settled::Gone => {}
                Settled::NotYet | Settled::Unread => drop(left.insert(key, suspicion)),
            }
        }
        open = left;
        if open.is_empty() {
            break;
        }
    }
    for (key, suspicion) in open {
        let entry = fold.entry(&key, suspicion.found, Change::LeftToLive);
        entries.entry(key).or_insert(entry);
    }
    Ok(Receipt { entries: entries.into_values().collect(), unreadable: fold.unreadable })
}

/// What is known of a row that contradicts the log.
struct Suspicion {
    /// Its version before the log was last read to its end.
    version: Option<RowVersion>,
    /// In how many rounds in a row it had this version.
    rounds: u32,
    /// What was last found there.
    found: Found,
}

/// What was stored, compared with the log.
#[derive(Clone, Copy)]
struct Found {
    before: Before,
    /// Posts that were not late; `None` when it cannot be read.
    on_time: Option<u64>,
    /// Whether it was folded from the same whole records.
    is_of_same_records: bool,
}

impl Found {
    const MISSING: Self = Self { before: Before::Missing, on_time: Some(0), is_of_same_records: false };
}

fn on_time(aggregate: &Aggregate) -> u64 {
    aggregate.posts().saturating_sub(aggregate.lateness.posts)
}

impl Default for Suspicion {
    fn default() -> Self {
        Self { version: None, rounds: 0, found: Found::MISSING }
    }
}

impl Suspicion {
    fn look(&mut self, version: Option<RowVersion>) {
        self.rounds = if self.version == version { self.rounds + 1 } else { 1 };
        self.version = version;
    }
}

/// How far the comparison of one row has come.
enum Settled {
    /// To its end.
    As(Found, Change),
    /// The row is gone, and the log has no record of it.
    Gone,
    /// Live aggregation may own it, or wrote meanwhile.
    NotYet,
    /// Only [`LogFold::read_earlier`] can decide.
    Unread,
}

/// The content of the log before the part that was folded.
struct Earlier {
    /// Keys of the range that have a record there.
    keys: BTreeSet<PartialKey>,
    /// First record of the log, of all shards the lowest; `None` when the log is empty.
    oldest: Option<SequenceNumber>,
}

/// All shards, folded from the log alone. A lane moves from a shard to its children when that is
/// split or merged, so a window may have records in several.
struct LogFold {
    /// In the order of the log: parents before children.
    shards: Vec<ShardPosition>,
    folded: BTreeMap<PartialKey, Folded>,
    unreadable: u64,
    /// The last record whose header cannot be read, by lane; `None` is any lane.
    without_header: BTreeMap<Option<Lane>, SequenceNumber>,
    earlier: Option<Earlier>,
    /// Windows that started before this were copied: the log has not all of their posts.
    copied_ms: i64,
    progress: Progress,
}

struct ShardPosition {
    name: String,
    /// First record read.
    first: Option<SequenceNumber>,
    next: ReadFrom,
    /// Last record read.
    read_to: SequenceNumber,
}

struct Folded {
    fence: SequenceNumber,
    aggregate: Aggregate,
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
            let since = log.complete_since(&name).await?.max(self.copied_ms);
            if since > start_ms {
                let first = rules.size.start_of(since + FUTURE_LIMIT_MS + rules.size.ms() - 1);
                return Err(ReprocessError::Gone { since: rfc3339(first.0) });
            }
            self.shards.push(ShardPosition { name, first: None, next: ReadFrom::Time(start_ms), read_to: 0u64.into() });
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
            let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
            shard.first.get_or_insert_with(|| first.sequence.clone());
            shard.next = ReadFrom::After(last.sequence.clone());
            shard.read_to = last.sequence.clone();
            self.progress =
                Progress { records: self.progress.records + records.len() as u64, arrived_ms: last.arrived_ms };
            for record in &records {
                let frame = Frame::of(record);
                self.unreadable += u64::from(frame.damage.is_some());
                if frame.damage.is_some() && frame.header.run.is_empty() {
                    self.without_header.insert(record.lane.clone(), record.sequence.clone());
                }
                for window in touched(rules, &frame).into_iter().filter(|window| range.contains(window)) {
                    let key = PartialKey { lane: frame.header.lane.clone(), window };
                    let folded = self
                        .folded
                        .entry(key)
                        .or_insert_with(|| Folded { fence: record.sequence.clone(), aggregate: Aggregate::default() });
                    folded.aggregate.fold(rules, window, &frame);
                    folded.fence = record.sequence.clone();
                }
            }
            progress(self.progress);
        }
    }

    /// Reads the log before the part that was folded, as far as removing rows depends on it. That part does
    /// not change, so once is enough.
    async fn read_earlier<L: PostLog>(
        &mut self,
        log: &L,
        rules: FoldRules,
        range: &std::ops::Range<WindowStart>,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), PortError> {
        let mut earlier = Earlier { keys: BTreeSet::new(), oldest: None };
        for shard in &self.shards {
            let mut next = ReadFrom::Oldest;
            'shard: loop {
                let records = log.read(&shard.name, &next, PAGE).await?;
                let (Some(first), Some(last)) = (records.first(), records.last()) else { break };
                if next == ReadFrom::Oldest && earlier.oldest.as_ref().is_none_or(|oldest| first.sequence < *oldest) {
                    earlier.oldest = Some(first.sequence.clone());
                }
                next = ReadFrom::After(last.sequence.clone());
                for record in &records {
                    if shard.first.as_ref().is_some_and(|first| record.sequence >= *first) {
                        progress(self.progress);
                        break 'shard;
                    }
                    self.progress.records += 1;
                    let frame = Frame::of(record);
                    self.unreadable += u64::from(frame.damage.is_some());
                    for window in touched(rules, &frame).into_iter().filter(|window| range.contains(window)) {
                        earlier.keys.insert(PartialKey { lane: frame.header.lane.clone(), window });
                    }
                }
                progress(self.progress);
            }
        }
        self.earlier = Some(earlier);
        Ok(())
    }

    /// Whether all shards were read up to this record, whichever of them it is in.
    fn has_passed(&self, fence: &SequenceNumber) -> bool {
        !self.shards.is_empty() && self.shards.iter().all(|shard| *fence <= shard.read_to)
    }

    /// Whether the stored row counted whole records that are damaged by now: those counts are here and nowhere else.
    fn would_lose(&self, lane: &Lane, stored: &Partial, ours: &Partial) -> bool {
        let (before, after) = (&stored.aggregate, &ours.aggregate);
        let loses_posts = after.is_damaged() && !before.is_damaged() && before.posts() > after.posts();
        let last = self.without_header.get(&Some(lane.clone())).max(self.without_header.get(&None));
        let loses_frames = last.is_some_and(|last| {
            // What is ahead of all that was read may yet come.
            let is_read = stored.fence <= *last.max(&ours.fence);
            // If each lacks some frames, the one with more of them stays.
            is_read && before.has_frame_beyond(after) && before.frames.0 >= after.frames.0
        });
        loses_posts || loses_frames
    }

    /// A line of the receipt.
    fn entry(&self, key: &PartialKey, found: Found, change: Change) -> Entry {
        let folded = self.folded.get(key).map(|folded| &folded.aggregate);
        Entry {
            key: key.clone(),
            before: found.before,
            after: folded.map(Aggregate::posts),
            change,
            on_time: (found.on_time, folded.map_or(0, on_time)),
            cause: if found.is_of_same_records { Cause::Rule } else { Cause::Reprocess },
        }
    }

    /// Compares one row with the log and repairs it.
    async fn settle<S: WindowStore>(
        &self,
        store: &S,
        key: &PartialKey,
        suspicion: &mut Suspicion,
        dry_run: bool,
    ) -> Result<Settled, PortError> {
        let folded = self.folded.get(key);
        let ours = |generation| {
            folded.map(|folded| Partial {
                generation,
                fence: folded.fence.clone(),
                aggregate: folded.aggregate.clone(),
                stored_ms: 0,
            })
        };
        let put = async |partial: &Partial, expected: &Expected, found, change| {
            let is_put = dry_run || store.put(key, partial, expected).await? == PutOutcome::Stored;
            Ok(if is_put { Settled::As(found, change) } else { Settled::NotYet })
        };
        let stored = match store.load(key).await {
            Ok(None) => {
                suspicion.found = Found::MISSING;
                return match ours(LIVE_GENERATION + 1) {
                    Some(ours) => put(&ours, &Expected::Absent, Found::MISSING, Change::Changed).await,
                    None => Ok(Settled::Gone),
                };
            }
            Ok(Some(stored)) if stored.aggregate.is_newer() => return Err(crate::newer(key)),
            Ok(Some(stored)) => Some(stored),
            Err(PortError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let is_of_same_records = |stored: &Partial| {
            let is_whole = |aggregate: &Aggregate| !aggregate.is_damaged();
            folded.is_some_and(|folded| {
                folded.fence == stored.fence && is_whole(&folded.aggregate) && is_whole(&stored.aggregate)
            })
        };
        let found = Found {
            before: stored.as_ref().map_or(Before::Damaged, |stored| Before::Posts(stored.aggregate.posts())),
            on_time: stored.as_ref().map(|stored| on_time(&stored.aggregate)),
            is_of_same_records: stored.as_ref().is_some_and(is_of_same_records),
        };
        suspicion.found = found;
        if let (Some(stored), Some(ours)) = (&stored, stored.as_ref().and_then(|stored| ours(next(stored.generation))))
        {
            if stored.fence == ours.fence && encode(stored)? == encode(&ours)? {
                return Ok(Settled::As(found, Change::None));
            }
            if self.would_lose(&key.lane, stored, &ours) {
                return Ok(Settled::As(found, Change::Kept));
            }
            if stored.fence <= ours.fence {
                let expected = Expected::At { generation: stored.generation, fence: stored.fence.clone() };
                return put(&ours, &expected, found, Change::Changed).await;
            }
        }
        // Unreadable, ahead of what was read, or not in the log at all.
        let Some(version) = suspicion.version.clone() else { return Ok(Settled::NotYet) };
        if stored.is_some_and(|stored| {
            (version.generation, version.fence.as_ref()) != (Some(stored.generation), Some(&stored.fence))
        }) {
            return Ok(Settled::NotYet);
        }
        let last = folded.map(|folded| &folded.fence);
        let is_proven = version.fence.as_ref().is_some_and(|fence| last >= Some(fence) || self.has_passed(fence));
        if !is_proven && suspicion.rounds < CONFIRMATIONS {
            return Ok(Settled::NotYet);
        }
        let Some(ours) = ours(next(version.generation.unwrap_or(LIVE_GENERATION))) else {
            let Some(earlier) = &self.earlier else { return Ok(Settled::Unread) };
            // No record has the number 0.
            let is_of_older_log = version.fence.as_ref().is_some_and(|fence| {
                *fence > 0u64.into() && earlier.oldest.as_ref().is_none_or(|oldest| fence < oldest)
            });
            if self.unreadable > 0 || is_of_older_log || earlier.oldest.is_none() || earlier.keys.contains(key) {
                return Ok(Settled::As(found, Change::Kept));
            }
            let is_gone = dry_run || store.remove(key, &version).await?;
            return Ok(if is_gone { Settled::As(found, Change::Removed) } else { Settled::NotYet });
        };
        let is_healed = version.generation.is_none() || version.fence.as_ref().is_none_or(|fence| *fence > ours.fence);
        let change = if is_healed { Change::Healed } else { Change::Changed };
        put(&ours, &Expected::Row(version), found, change).await
    }
}

/// The generation after this one. The last one can only have been written by damage.
fn next(generation: u32) -> u32 {
    generation.checked_add(1).unwrap_or(LIVE_GENERATION + 1)
}

fn encode(partial: &Partial) -> Result<Vec<u8>, PortError> {
    partial.encode().map_err(PortError::cannot_encode)
}
