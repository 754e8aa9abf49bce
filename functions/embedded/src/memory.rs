//! The same ports without files, for a replay that only wants its result.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use birdsong_domain::frame::Lane;
use birdsong_domain::ports::{
    Expected, FrameRecord, LogRecord, PartialKey, PortError, PostLog, PutOutcome, ReadFrom, RowVersion, SequenceNumber,
    WindowStore,
};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::Partial;
use tokio::sync::Notify;

use crate::{Dump, SHARD, check_shard, never_given, system_ms};

const WHAT: &str = "post log in memory";

/// No code here panics halfway through a change, so a poisoned lock guards nothing broken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A [`PostLog`] in memory, bounded: an append waits while the records held have `max_bytes` or
/// more, until [`MemoryLog::take`] or [`MemoryLog::trim`] makes room. It has one shard, [`SHARD`].
#[derive(Debug)]
pub struct MemoryLog {
    held: Mutex<Held>,
    max_bytes: usize,
    now_ms: fn() -> i64,
    appended: Notify,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    records: VecDeque<LogRecord>,
    bytes: usize,
    last: u64,
    last_ms: i64,
    /// When the last of the records that are gone arrived.
    gone_ms: Option<i64>,
}

impl Held {
    fn remove(&mut self, count: usize) -> std::collections::vec_deque::Drain<'_, LogRecord> {
        for record in self.records.range(..count) {
            self.bytes -= record.bytes.len();
            self.gone_ms = Some(record.arrived_ms);
        }
        self.records.drain(..count)
    }
}

impl MemoryLog {
    /// An empty log that holds about `max_bytes` of frames: at most one frame more.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self::with_clock(max_bytes, system_ms)
    }

    /// A log with a clock that gives milliseconds since the epoch; records are stamped with it, yet
    /// never with less than the record before.
    #[must_use]
    pub fn with_clock(max_bytes: usize, now_ms: fn() -> i64) -> Self {
        Self { held: Mutex::default(), max_bytes, now_ms, appended: Notify::new(), freed: Notify::new() }
    }

    /// Wakes one waiter after each append, or keeps one wake-up for it, so that "read until empty,
    /// then wait" misses nothing.
    #[must_use]
    pub fn appended(&self) -> &Notify {
        &self.appended
    }

    /// Removes and returns the `limit` oldest records. They are the caller's from now on: nothing
    /// brings them back.
    #[must_use]
    pub fn take(&self, limit: usize) -> Vec<LogRecord> {
        let mut held = lock(&self.held);
        let count = limit.min(held.records.len());
        let taken = held.remove(count).collect();
        drop(held);
        self.freed.notify_waiters();
        taken
    }

    /// Frees the records up to and including `up_to`, once they are checkpointed.
    pub fn trim(&self, up_to: &SequenceNumber) {
        let mut held = lock(&self.held);
        let count = held.records.partition_point(|record| record.sequence <= *up_to);
        drop(held.remove(count));
        drop(held);
        self.freed.notify_waiters();
    }

    /// The last number given out, also when its record is gone. `None` when none ever was.
    #[must_use]
    pub fn newest_sequence(&self) -> Option<SequenceNumber> {
        let last = lock(&self.held).last;
        (last > 0).then(|| last.into())
    }

    /// Bytes of the frames held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        lock(&self.held).bytes
    }

    /// Appends as many of the frames as there is room for.
    fn fill(&self, frames: &[FrameRecord], given: &mut Vec<Result<SequenceNumber, PortError>>) {
        let mut held = lock(&self.held);
        let arrived_ms = (self.now_ms)().max(held.last_ms);
        held.last_ms = arrived_ms;
        let before = given.len();
        for frame in &frames[before..] {
            if held.bytes >= self.max_bytes && !held.records.is_empty() {
                break;
            }
            held.last += 1;
            held.bytes += frame.bytes.len();
            let sequence = SequenceNumber::from(held.last);
            given.push(Ok(sequence.clone()));
            held.records.push_back(LogRecord { sequence, arrived_ms, bytes: frame.bytes.clone() });
        }
        drop(held);
        if given.len() > before {
            self.appended.notify_one();
        }
    }
}

impl PostLog for MemoryLog {
    /// Waits for room. Dropped while it waits, it leaves the frames before that point in the log.
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        let mut given = Vec::with_capacity(frames.len());
        while given.len() < frames.len() {
            // Taken before looking, so that room made meanwhile is not missed.
            let freed = self.freed.notified();
            self.fill(frames, &mut given);
            if given.len() < frames.len() {
                freed.await;
            }
        }
        given
    }

    fn keeps_prefix(&self) -> bool {
        true
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok(vec![SHARD.to_owned()])
    }

    async fn complete_since(&self, shard: &str) -> Result<i64, PortError> {
        check_shard(WHAT, shard)?;
        Ok(lock(&self.held).gone_ms.map_or(i64::MIN, |gone_ms| gone_ms.saturating_add(1)))
    }

    /// # Errors
    /// [`PortError::Refused`] when asked for what lies behind a number that this log never gave out.
    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        check_shard(WHAT, shard)?;
        let held = lock(&self.held);
        let first = match from {
            ReadFrom::Oldest => 0,
            ReadFrom::Time(time_ms) => held.records.partition_point(|record| record.arrived_ms < *time_ms),
            ReadFrom::After(after) if *after > held.last.into() => return Err(never_given(WHAT, after)),
            ReadFrom::After(after) => held.records.partition_point(|record| record.sequence <= *after),
        };
        Ok(held.records.range(first..).take(limit).cloned().collect())
    }
}

/// A [`WindowStore`] in memory. It keeps partials decoded, so that a put costs a clone.
#[derive(Debug, Default)]
pub struct MemoryWindows {
    regions: Mutex<HashMap<String, Windows>>,
}

type Windows = BTreeMap<(WindowStart, u16), Partial>;

impl MemoryWindows {
    /// Everything stored, to be compared with another store.
    ///
    /// # Errors
    /// [`PortError::Refused`] when zstd fails.
    pub fn dump(&self) -> Result<Dump, PortError> {
        let regions = lock(&self.regions);
        let all = regions.iter().flat_map(|(region, windows)| windows.iter().map(move |item| (region, item)));
        all.map(|(region, (at, partial))| {
            let state = partial.encode().map_err(|e| PortError::Refused { what: "zstd", reason: e.to_string() })?;
            Ok((key(region, *at), (partial.generation, state)))
        })
        .collect()
    }
}

fn key(region: &str, (window, bucket): (WindowStart, u16)) -> PartialKey {
    PartialKey { lane: Lane::new(region, bucket), window }
}

fn holds(expected: &Expected, stored: &Partial) -> bool {
    match expected {
        Expected::Absent => false,
        Expected::At { generation, fence } => stored.generation == *generation && stored.fence == *fence,
        Expected::Row(version) => version_of(stored) == *version,
    }
}

/// Nothing here can be damaged, so generation and fence are the whole version.
fn version_of(stored: &Partial) -> RowVersion {
    RowVersion { generation: Some(stored.generation), fence: Some(stored.fence.clone()), token: Box::default() }
}

impl WindowStore for MemoryWindows {
    async fn load(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        let regions = lock(&self.regions);
        let windows = regions.get(&key.lane.region);
        Ok(windows.and_then(|windows| windows.get(&(key.window, key.lane.bucket))).cloned())
    }

    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        let at = (key.window, key.lane.bucket);
        let mut regions = lock(&self.regions);
        let stored = regions.get_mut(&key.lane.region).and_then(|windows| windows.get_mut(&at));
        match (stored, expected) {
            (None, Expected::Absent) => {
                regions.entry(key.lane.region.clone()).or_default().insert(at, partial.clone());
                Ok(PutOutcome::Stored)
            }
            (Some(stored), expected) if holds(expected, stored) => {
                stored.clone_from(partial);
                Ok(PutOutcome::Stored)
            }
            _ => Ok(PutOutcome::Conflict),
        }
    }

    async fn keys(&self, from: WindowStart, to: WindowStart) -> Result<Vec<PartialKey>, PortError> {
        let regions = lock(&self.regions);
        let is_asked = |window: WindowStart| from <= window && window < to;
        let all = regions.iter().flat_map(|(region, windows)| windows.keys().map(move |at| (region, *at)));
        Ok(all.filter(|(_, (window, _))| is_asked(*window)).map(|(region, at)| key(region, at)).collect())
    }

    async fn version(&self, key: &PartialKey) -> Result<Option<RowVersion>, PortError> {
        Ok(self.load(key).await?.as_ref().map(version_of))
    }

    async fn remove(&self, key: &PartialKey, version: &RowVersion) -> Result<bool, PortError> {
        let at = (key.window, key.lane.bucket);
        let mut regions = lock(&self.regions);
        let Some(windows) = regions.get_mut(&key.lane.region) else { return Ok(true) };
        if windows.get(&at).is_some_and(|stored| version_of(stored) != *version) {
            return Ok(false);
        }
        windows.remove(&at);
        Ok(true)
    }

    async fn query(
        &self,
        region: &str,
        from: WindowStart,
        to: WindowStart,
    ) -> Result<Vec<(PartialKey, Partial)>, PortError> {
        let regions = lock(&self.regions);
        let Some(windows) = regions.get(region).filter(|_| from < to) else { return Ok(Vec::new()) };
        let found = windows.range((from, 0)..(to, 0));
        Ok(found.map(|(at, partial)| (key(region, *at), partial.clone())).collect())
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        let regions = lock(&self.regions);
        Ok(regions.get(region).and_then(|windows| windows.last_key_value()).map(|((window, _), _)| *window))
    }
}
