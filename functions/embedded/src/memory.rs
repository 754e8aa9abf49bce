//! The same ports without files, for a replay that only needs its result.

use std::collections::{BTreeMap, HashMap, VecDeque};

use birdsong_domain::frame::Lane;
use birdsong_domain::ports::{
    Expected, FrameRecord, LogRecord, PartialKey, PortError, PostLog, PutOutcome, ReadFrom, Row, RowVersion,
    SequenceNumber, WindowStore,
};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::Partial;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Notify;

use crate::store::{by_window, no_lane};
use crate::{Dump, SHARD, check_shard, never_assigned, system_ms};

const WHAT: &str = "post log in memory";

/// A [`PostLog`] in memory, bounded: an append waits while the records have `max_bytes` or
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
    /// An empty log for about `max_bytes` of frames: at most one frame more.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self::with_clock(max_bytes, system_ms)
    }

    /// A log with a clock of milliseconds since the epoch; records are stamped with it, yet
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
        let mut held = self.held.lock();
        let count = limit.min(held.records.len());
        let taken = held.remove(count).collect();
        drop(held);
        self.freed.notify_waiters();
        taken
    }

    /// Frees the records up to and including `up_to`, once they are checkpointed.
    pub fn trim(&self, up_to: &SequenceNumber) {
        let mut held = self.held.lock();
        let count = held.records.partition_point(|record| record.sequence <= *up_to);
        drop(held.remove(count));
        drop(held);
        self.freed.notify_waiters();
    }

    /// The last number assigned, also when its record is gone. `None` before the first.
    #[must_use]
    pub fn newest_sequence(&self) -> Option<SequenceNumber> {
        let last = self.held.lock().last;
        (last > 0).then(|| last.into())
    }

    /// Bytes of the frames held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.lock().bytes
    }

    /// Appends as many of the frames as there is room for.
    fn fill(&self, frames: &[FrameRecord], given: &mut Vec<Result<SequenceNumber, PortError>>) {
        let mut held = self.held.lock();
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
            let (lane, bytes) = (Some(frame.lane.clone()), frame.bytes.clone());
            held.records.push_back(LogRecord { sequence, arrived_ms, lane, bytes });
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
        Ok(self.held.lock().gone_ms.map_or(i64::MIN, |gone_ms| gone_ms.saturating_add(1)))
    }

    /// # Errors
    /// [`PortError::Refused`] when asked for records behind a number that this log never assigned.
    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        check_shard(WHAT, shard)?;
        let held = self.held.lock();
        let first = match from {
            ReadFrom::Oldest => 0,
            ReadFrom::Time(time_ms) => held.records.partition_point(|record| record.arrived_ms < *time_ms),
            ReadFrom::After(after) if *after > held.last.into() => return Err(never_assigned(WHAT, after)),
            ReadFrom::After(after) => held.records.partition_point(|record| record.sequence <= *after),
        };
        Ok(held.records.range(first..).take(limit).cloned().collect())
    }
}

/// Partials that [`MemoryWindows`] keeps decoded, at 3 to 20 KB each.
const MAX_WARM: usize = 4096;

/// A [`WindowStore`] that keeps nothing. The windows that were changed last are in memory, decoded, so that a put costs
/// a clone; beyond a number of them the older ones move into a temporary file, which has no name and is gone with the
/// store.
#[derive(Debug)]
pub struct MemoryWindows {
    held: Mutex<Windows>,
}

#[derive(Debug)]
struct Windows {
    /// By region, start and lane.
    warm: HashMap<String, BTreeMap<WindowStart, BTreeMap<Lane, Partial>>>,
    count: usize,
    max_warm: usize,
    /// Made when it is needed.
    cold: Option<Connection>,
}

impl Default for MemoryWindows {
    fn default() -> Self {
        Self::with_warm(MAX_WARM)
    }
}

fn failed(error: &rusqlite::Error) -> PortError {
    PortError::Unavailable { what: "the temporary file of windows", reason: error.to_string() }
}

impl Windows {
    fn cold(&mut self) -> Result<&mut Connection, PortError> {
        if self.cold.is_none() {
            let open = || -> rusqlite::Result<Connection> {
                // An empty name is a temporary file. Nothing of it outlives a crash.
                let cold = Connection::open("")?;
                cold.execute_batch(
                    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
                     CREATE TABLE partial (
                         region TEXT NOT NULL, window_start INTEGER NOT NULL, lane TEXT NOT NULL,
                         generation INTEGER NOT NULL, state BLOB NOT NULL,
                         PRIMARY KEY (region, window_start, lane)
                     ) STRICT, WITHOUT ROWID;",
                )?;
                Ok(cold)
            };
            self.cold = Some(open().map_err(|error| failed(&error))?);
        }
        self.cold.as_mut().ok_or_else(|| failed(&rusqlite::Error::InvalidQuery))
    }

    fn warm(&self, key: &PartialKey) -> Option<&Partial> {
        self.warm.get(key.lane.region())?.get(&key.window)?.get(&key.lane)
    }

    fn warm_mut(&mut self, key: &PartialKey) -> Option<&mut Partial> {
        self.warm.get_mut(key.lane.region())?.get_mut(&key.window)?.get_mut(&key.lane)
    }

    fn get(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        match (self.warm(key), &self.cold) {
            (Some(partial), _) => Ok(Some(partial.clone())),
            (None, None) => Ok(None),
            (None, Some(cold)) => {
                const ONE: &str =
                    "SELECT generation, state FROM partial WHERE region = ?1 AND window_start = ?2 AND lane = ?3";
                let row = cold.prepare_cached(ONE).and_then(|mut one| {
                    let params = (key.lane.region(), key.window.0, key.lane.within_region());
                    one.query_row(params, |row| Ok((row.get(0)?, row.get(1)?))).optional()
                });
                let row: Option<(u32, Vec<u8>)> = row.map_err(|error| failed(&error))?;
                row.map(|(generation, state)| decode(key, generation, &state)).transpose()
            }
        }
    }

    fn insert(&mut self, key: &PartialKey, partial: Partial) -> Result<(), PortError> {
        let windows = match self.warm.get_mut(key.lane.region()) {
            Some(windows) => windows,
            None => self.warm.entry(key.lane.region().to_owned()).or_default(),
        };
        if windows.entry(key.window).or_default().insert(key.lane.clone(), partial).is_none() {
            self.count += 1;
        }
        if self.count > self.max_warm { self.cool(key.window) } else { Ok(()) }
    }

    /// Moves the older half of the windows into the file, but not the one that was just put.
    fn cool(&mut self, just_put: WindowStart) -> Result<(), PortError> {
        let of_region = |windows: &BTreeMap<WindowStart, BTreeMap<Lane, Partial>>| -> Vec<WindowStart> {
            windows.iter().flat_map(|(start, lanes)| std::iter::repeat_n(*start, lanes.len())).collect()
        };
        let mut starts: Vec<_> = self.warm.values().flat_map(of_region).collect();
        let middle = starts.len() / 2;
        let (_, median, _) = starts.select_nth_unstable(middle);
        let median = *median;
        let mut rows = vec![];
        for windows in self.warm.values_mut() {
            let stays = |start: WindowStart| start > median || start == just_put;
            for (start, lanes) in windows.iter().filter(|(start, _)| !stays(**start)) {
                for (lane, partial) in lanes {
                    let state = partial.encode().map_err(PortError::cannot_encode)?;
                    rows.push((key(*start, lane), partial.generation, state));
                }
            }
            windows.retain(|start, _| stays(*start));
        }
        self.count = self.warm.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
        let cold = self.cold()?;
        let mut store = || -> rusqlite::Result<()> {
            let transaction = cold.transaction()?;
            let mut insert =
                transaction.prepare_cached("INSERT OR REPLACE INTO partial VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (key, generation, state) in &rows {
                insert.execute((key.lane.region(), key.window.0, key.lane.within_region(), generation, state))?;
            }
            drop(insert);
            transaction.commit()
        };
        store().map_err(|error| failed(&error))
    }

    /// Rows of the file in a range, of one region or of all; those that are in memory, too, are older there.
    fn cold_rows(
        &self,
        region: Option<&str>,
        from: WindowStart,
        to: WindowStart,
    ) -> Result<Vec<(PartialKey, u32, Vec<u8>)>, PortError> {
        let Some(cold) = &self.cold else { return Ok(vec![]) };
        // By its key with a region, else all rows.
        let of_region = if region.is_some() { "region = ?1" } else { "?1 IS NULL" };
        let sql = format!(
            "SELECT region, window_start, lane, generation, state FROM partial
             WHERE {of_region} AND window_start >= ?2 AND window_start < ?3 ORDER BY region, window_start"
        );
        let rows = cold.prepare_cached(&sql).and_then(|mut all| {
            let rows = all.query_map((region, from.0, to.0), |row| {
                let (region, lane): (String, String) = (row.get(0)?, row.get(2)?);
                let lane = Lane::parse_within(&region, &lane).ok_or_else(|| no_lane(2, &region, &lane))?;
                Ok((PartialKey { lane, window: WindowStart(row.get(1)?) }, row.get(3)?, row.get(4)?))
            });
            rows?.collect::<rusqlite::Result<Vec<_>>>()
        });
        Ok(rows.map_err(|error| failed(&error))?.into_iter().filter(|(key, ..)| self.warm(key).is_none()).collect())
    }
}

fn decode(key: &PartialKey, generation: u32, state: &[u8]) -> Result<Partial, PortError> {
    Partial::decode(generation, state).map_err(|error| PortError::Corrupt {
        what: format!("window {} of {}", key.window.0, key.lane),
        reason: error.to_string(),
    })
}

impl MemoryWindows {
    /// With room for this many windows in memory, at least one.
    #[must_use]
    pub fn with_warm(max_warm: usize) -> Self {
        let windows = Windows { warm: HashMap::new(), count: 0, max_warm: max_warm.max(1), cold: None };
        Self { held: Mutex::new(windows) }
    }

    /// Everything stored, to be compared with another store.
    ///
    /// # Errors
    /// When a window cannot be encoded, or the temporary file not be read.
    pub fn dump(&self) -> Result<Dump, PortError> {
        let held = self.held.lock();
        let cold = held.cold_rows(None, WindowStart(i64::MIN), WindowStart(i64::MAX))?;
        let mut dump: Dump = cold.into_iter().map(|(key, generation, state)| (key, (generation, state))).collect();
        for (start, lanes) in held.warm.values().flatten() {
            for (lane, partial) in lanes {
                let state = partial.encode().map_err(PortError::cannot_encode)?;
                dump.insert(key(*start, lane), (partial.generation, state));
            }
        }
        Ok(dump)
    }
}

fn key(window: WindowStart, lane: &Lane) -> PartialKey {
    PartialKey { lane: lane.clone(), window }
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
        self.held.lock().get(key)
    }

    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        let mut held = self.held.lock();
        // Mostly it is in memory, and comparing needs no copy.
        if let Some(stored) = held.warm_mut(key) {
            if !holds(expected, stored) {
                return Ok(PutOutcome::Conflict);
            }
            stored.clone_from(partial);
            return Ok(PutOutcome::Stored);
        }
        let is_as_expected = match held.get(key)? {
            Some(stored) => holds(expected, &stored),
            None => *expected == Expected::Absent,
        };
        if !is_as_expected {
            return Ok(PutOutcome::Conflict);
        }
        held.insert(key, partial.clone())?;
        Ok(PutOutcome::Stored)
    }

    async fn keys(&self, from: WindowStart, to: WindowStart) -> Result<Vec<PartialKey>, PortError> {
        let held = self.held.lock();
        let mut keys: Vec<_> = held.cold_rows(None, from, to)?.into_iter().map(|(key, ..)| key).collect();
        let is_asked = |window: WindowStart| from <= window && window < to;
        let warm = held.warm.values().flatten().filter(|(window, _)| is_asked(**window));
        keys.extend(warm.flat_map(|(window, lanes)| lanes.keys().map(|lane| key(*window, lane))));
        Ok(keys)
    }

    async fn version(&self, key: &PartialKey) -> Result<Option<RowVersion>, PortError> {
        Ok(self.load(key).await?.as_ref().map(version_of))
    }

    async fn remove(&self, key: &PartialKey, version: &RowVersion) -> Result<bool, PortError> {
        let mut held = self.held.lock();
        let Some(stored) = held.get(key)? else { return Ok(true) };
        if version_of(&stored) != *version {
            return Ok(false);
        }
        let lanes = held.warm.get_mut(key.lane.region()).and_then(|windows| windows.get_mut(&key.window));
        let removed = lanes.and_then(|lanes| lanes.remove(&key.lane));
        held.count -= usize::from(removed.is_some());
        if let Some(cold) = &held.cold {
            let delete = "DELETE FROM partial WHERE region = ?1 AND window_start = ?2 AND lane = ?3";
            let params = (key.lane.region(), key.window.0, key.lane.within_region());
            cold.execute(delete, params).map_err(|error| failed(&error))?;
        }
        Ok(true)
    }

    async fn query(&self, region: &str, from: WindowStart, to: WindowStart) -> Result<Vec<Row>, PortError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let held = self.held.lock();
        let cold = held.cold_rows(Some(region), from, to)?.into_iter().map(|(key, generation, state)| {
            let partial = decode(&key, generation, &state);
            (key, partial)
        });
        let warm = held.warm.get(region).into_iter().flat_map(|windows| windows.range(from..to));
        let warm = warm.flat_map(|(window, lanes)| lanes.iter().map(|(lane, partial)| (key(*window, lane), partial)));
        let mut rows: Vec<Row> = cold.chain(warm.map(|(key, partial)| (key, Ok(partial.clone())))).collect();
        rows.sort_by(|a, b| by_window(&a.0, &b.0));
        Ok(rows)
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        let held = self.held.lock();
        let mut starts = held.warm.get(region).into_iter().flatten().rev();
        let warm = starts.find(|(_, lanes)| !lanes.is_empty()).map(|(window, _)| *window);
        let Some(cold) = &held.cold else { return Ok(warm) };
        let newest = "SELECT max(window_start) FROM partial WHERE region = ?1";
        let cold: Option<i64> = cold.query_row(newest, [region], |row| row.get(0)).map_err(|error| failed(&error))?;
        Ok(warm.max(cold.map(WindowStart)))
    }
}
