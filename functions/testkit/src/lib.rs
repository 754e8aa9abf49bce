//! Fakes with fault injection, the contract suites of the ports, and what tests of several crates share.
//!
//! ```
//! use birdsong_domain::frame::Lane;
//! use birdsong_domain::network::Network;
//! use birdsong_domain::ports::{Expected, PartialKey, WindowStore};
//! use birdsong_domain::time::WindowStart;
//! use birdsong_testkit::{Fault, MemoryStore, sample_partial};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let store = MemoryStore::default();
//! store.inject(vec![Fault::AnswerLost]);
//! let key = PartialKey { lane: Lane::posts("fog", Network::X, 0), window: WindowStart(0) };
//! let put = store.put(&key, &sample_partial(1, 1u64.into(), 5), &Expected::Absent).await;
//! assert!(put.is_err(), "the caller sees a time-out");
//! assert!(store.dump().contains_key(&key), "but the partial is stored");
//! # }
//! ```

mod document_contract;
mod hooked;
mod log_contract;
mod rollup_contract;
mod store_contract;

pub use document_contract::document_store_contract;
pub use hooked::{Call, Hook, Hooked};
pub use log_contract::post_log_contract;
pub use rollup_contract::rollup_store_contract;
pub use store_contract::{newer_state, sample_partial, window_store_contract};

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use birdsong_domain::ports::{
    Change, Document, DocumentKey, DocumentKind, DocumentStore, Expected, Live, LiveWindow, PartialKey, PortError,
    PutOutcome, RollupRow, RollupStore, Row, RowVersion, SequenceNumber, Settings, WindowStore, check_document,
};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::rollup::{HOUR_MS, Period, Rollup, RollupKey};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::metric::{LastLate, Lateness};
use birdsong_domain::window::{Aggregate, Partial};
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Clock, Context};
use tokio::sync::watch;

/// What the posts of a window gave, without what describes the log and the connection: the numbers of the frames, how often
/// the log was written to, and how long posts were on their way. Two runs over the same posts have the same.
#[must_use]
pub fn of_posts(aggregate: &Aggregate) -> Aggregate {
    let mut alone = Aggregate::default();
    // Takes all but the numbers of the frames.
    alone.merge(aggregate, true);
    alone.frames.0 = 0;
    (alone.lag.sum_ms, alone.lag.max_ms) = (0, 0);
    (alone.lateness, alone.last_late) = (Lateness::default(), LastLate::default());
    alone
}

/// A window store in memory, with exactly the bytes of a real one.
#[derive(Debug, Default)]
pub struct MemoryStore {
    items: Mutex<BTreeMap<PartialKey, Item>>,
    rollups: Mutex<BTreeMap<RollupKey, (u64, Vec<u8>)>>,
    changes: Mutex<BTreeMap<(bool, i64, String), u64>>,
    settings: Mutex<BTreeMap<String, String>>,
    documents: Mutex<BTreeMap<DocumentKey, (u64, Vec<u8>)>>,
    /// Number of the last change, and the time of puts.
    clock: AtomicU64,
    rollup_reads: AtomicU64,
    has_more_changes: AtomicBool,
    faults: Mutex<Vec<Fault>>,
}

/// A row as real stores have it: generation and fence beside the state.
#[derive(Clone, Debug)]
struct Item {
    generation: u32,
    fence: Option<SequenceNumber>,
    state: Vec<u8>,
    stored_ms: i64,
}

impl Item {
    fn version(&self) -> RowVersion {
        let mut token = self.generation.to_le_bytes().to_vec();
        token.extend(self.fence.iter().flat_map(|fence| fence.as_str().bytes()));
        RowVersion { generation: Some(self.generation), fence: self.fence.clone(), token: token.into() }
    }

    fn read(&self, key: &PartialKey) -> Result<Partial, PortError> {
        let corrupt = |reason: String| PortError::Corrupt { what: format!("{} {}", key.lane, key.window.0), reason };
        let mut partial = Partial::decode(self.generation, &self.state).map_err(|e| corrupt(e.to_string()))?;
        partial.stored_ms = self.stored_ms;
        if Some(&partial.fence) != self.fence.as_ref() {
            return Err(corrupt("the fence beside the state differs from it".into()));
        }
        Ok(partial)
    }
}

/// The fault of one put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The put fails and nothing is stored.
    Lost,
    /// The put is stored, but the caller gets a time-out.
    AnswerLost,
}

fn poisoned<T>(_: T) -> PortError {
    PortError::Unavailable { what: "memory store", reason: "a test thread panicked".into() }
}

impl MemoryStore {
    /// The faults of the next puts, last one first; puts beyond them succeed.
    pub fn inject(&self, faults: Vec<Fault>) {
        if let Ok(mut slot) = self.faults.lock() {
            *slot = faults;
        }
    }

    /// Every stored item: generation and state bytes.
    #[must_use]
    pub fn dump(&self) -> BTreeMap<PartialKey, (u32, Vec<u8>)> {
        let of = |(key, item): (&PartialKey, &Item)| (key.clone(), (item.generation, item.state.clone()));
        self.items.lock().map(|items| items.iter().map(of).collect()).unwrap_or_default()
    }

    /// Stores bytes without any condition, as damage would. The fence beside a state that cannot be read
    /// stays as it was.
    pub fn overwrite(&self, key: PartialKey, generation: u32, state: Vec<u8>) {
        if let Ok(mut items) = self.items.lock() {
            let before = items.get(&key).and_then(|item| item.fence.clone());
            let fence = Partial::decode(generation, &state).ok().map(|partial| partial.fence).or(before);
            let stored_ms = self.changed(&key);
            items.insert(key, Item { generation, fence, state, stored_ms });
        }
    }

    /// Alters the fence beside the state, as damage would; `None` makes it unreadable.
    pub fn alter_fence(&self, key: &PartialKey, fence: Option<SequenceNumber>) {
        if let Ok(mut items) = self.items.lock()
            && let Some(item) = items.get_mut(key)
        {
            item.fence = fence;
        }
    }

    /// Deletes an item without any condition.
    pub fn lose(&self, key: &PartialKey) {
        if let Ok(mut items) = self.items.lock() {
            items.remove(key);
            self.changed(key);
        }
    }

    /// All roll-ups: their state bytes.
    #[must_use]
    pub fn dump_rollups(&self) -> BTreeMap<RollupKey, Vec<u8>> {
        let of = |(key, (_, state)): (&RollupKey, &(u64, Vec<u8>))| (key.clone(), state.clone());
        self.rollups.lock().map(|rollups| rollups.iter().map(of).collect()).unwrap_or_default()
    }

    /// Empties the list of changes; with `and_say_so` readers know that it lacks some, as when it is too long.
    pub fn forget_changes(&self, and_say_so: bool) {
        self.has_more_changes.store(and_say_so, Ordering::Relaxed);
        if let Ok(mut changes) = self.changes.lock() {
            changes.clear();
        }
    }

    /// How often roll-ups were read.
    #[must_use]
    pub fn rollup_reads(&self) -> u64 {
        self.rollup_reads.load(Ordering::Relaxed)
    }

    /// Notes that a window changed, and returns when.
    fn changed(&self, key: &PartialKey) -> i64 {
        let hour_ms = key.window.0.div_euclid(HOUR_MS) * HOUR_MS;
        let stamp = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(mut changes) = self.changes.lock() {
            changes.insert((false, hour_ms, key.lane.region().to_owned()), stamp);
        }
        i64::try_from(stamp).unwrap_or(i64::MAX)
    }
}

impl WindowStore for MemoryStore {
    async fn load(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        let items = self.items.lock().map_err(poisoned)?;
        items.get(key).map(|item| item.read(key)).transpose()
    }

    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        let fault = self.faults.lock().map_err(poisoned)?.pop().unwrap_or(Fault::None);
        let timeout = || PortError::Unavailable { what: "memory store put", reason: "timed out".into() };
        if fault == Fault::Lost {
            return Err(timeout());
        }
        let mut items = self.items.lock().map_err(poisoned)?;
        let matches = match (items.get(key), expected) {
            (None, Expected::Absent) => true,
            (Some(stored), Expected::At { generation, fence }) => {
                stored.generation == *generation && stored.fence.as_ref() == Some(fence)
            }
            (Some(stored), Expected::Row(version)) => stored.version() == *version,
            _ => false,
        };
        if !matches {
            return Ok(PutOutcome::Conflict);
        }
        let state = partial.encode().map_err(PortError::cannot_encode)?;
        let stored_ms = self.changed(key);
        let item = Item { generation: partial.generation, fence: Some(partial.fence.clone()), state, stored_ms };
        items.insert(key.clone(), item);
        if fault == Fault::AnswerLost { Err(timeout()) } else { Ok(PutOutcome::Stored) }
    }

    async fn keys(&self, from: WindowStart, to: WindowStart) -> Result<Vec<PartialKey>, PortError> {
        let items = self.items.lock().map_err(poisoned)?;
        Ok(items.keys().filter(|key| (from..to).contains(&key.window)).cloned().collect())
    }

    async fn version(&self, key: &PartialKey) -> Result<Option<RowVersion>, PortError> {
        Ok(self.items.lock().map_err(poisoned)?.get(key).map(Item::version))
    }

    async fn remove(&self, key: &PartialKey, version: &RowVersion) -> Result<bool, PortError> {
        let mut items = self.items.lock().map_err(poisoned)?;
        if items.get(key).is_some_and(|item| item.version() != *version) {
            return Ok(false);
        }
        if items.remove(key).is_some() {
            self.changed(key);
        }
        Ok(true)
    }

    async fn query(&self, region: &str, from: WindowStart, to: WindowStart) -> Result<Vec<Row>, PortError> {
        let items = self.items.lock().map_err(poisoned)?;
        let mut found = Vec::new();
        for (key, item) in items.iter() {
            if key.lane.region() == region && (from..to).contains(&key.window) {
                found.push((key.clone(), item.read(key)));
            }
        }
        found.sort_by(|a, b| (a.0.window, &a.0.lane).cmp(&(b.0.window, &b.0.lane)));
        Ok(found)
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        let items = self.items.lock().map_err(poisoned)?;
        Ok(items.keys().filter(|key| key.lane.region() == region).map(|key| key.window).max())
    }
}

impl Settings for MemoryStore {
    async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        Ok(self.settings.lock().map_err(poisoned)?.get(key).cloned())
    }

    async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        self.settings.lock().map_err(poisoned)?.insert(key.to_owned(), value.to_owned());
        Ok(())
    }
}

impl RollupStore for MemoryStore {
    async fn rollups(
        &self,
        region: &str,
        period: Period,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<RollupRow>, PortError> {
        self.rollup_reads.fetch_add(1, Ordering::Relaxed);
        let rollups = self.rollups.lock().map_err(poisoned)?;
        let is_asked = |key: &RollupKey| {
            key.lane.region() == region && key.period == period && (from_ms..to_ms).contains(&key.start_ms)
        };
        let row = |(key, (revision, state)): (&RollupKey, &(u64, Vec<u8>))| {
            let corrupt = |reason: String| PortError::Corrupt { what: format!("a roll-up of {}", key.lane), reason };
            let rollup = Rollup::decode(state).map_err(|error| corrupt(error.to_string()));
            RollupRow { key: key.clone(), revision: *revision, rollup }
        };
        Ok(rollups.iter().filter(|(key, _)| is_asked(key)).map(row).collect())
    }

    async fn put_rollup(
        &self,
        key: &RollupKey,
        rollup: Option<&Rollup>,
        expected: Option<u64>,
    ) -> Result<PutOutcome, PortError> {
        let mut rollups = self.rollups.lock().map_err(poisoned)?;
        if rollups.get(key).map(|(revision, _)| *revision) != expected {
            return Ok(PutOutcome::Conflict);
        }
        match rollup {
            Some(rollup) => {
                let state = rollup.encode().map_err(PortError::cannot_encode)?;
                rollups.insert(key.clone(), (expected.unwrap_or(0) + 1, state));
            }
            None => drop(rollups.remove(key)),
        }
        Ok(PutOutcome::Stored)
    }

    async fn changes(&self, limit: usize) -> Result<Vec<Change>, PortError> {
        let changes = self.changes.lock().map_err(poisoned)?;
        let change = |((is_day, start_ms, region), stamp): (&(bool, i64, String), &u64)| Change {
            region: region.clone(),
            period: Period::ALL[usize::from(*is_day)],
            start_ms: *start_ms,
            stamp: stamp.to_string(),
        };
        Ok(changes.iter().take(limit).map(change).collect())
    }

    async fn add_change(&self, region: &str, period: Period, start_ms: i64) -> Result<(), PortError> {
        let stamp = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        let key = (period == Period::Day, start_ms, region.to_owned());
        self.changes.lock().map_err(poisoned)?.insert(key, stamp);
        Ok(())
    }

    async fn settle(&self, change: &Change) -> Result<bool, PortError> {
        let mut changes = self.changes.lock().map_err(poisoned)?;
        let key = (change.period == Period::Day, change.start_ms, change.region.clone());
        let is_same = changes.get(&key).is_some_and(|stamp| stamp.to_string() == change.stamp);
        if is_same {
            changes.remove(&key);
        }
        Ok(is_same)
    }

    async fn live(&self, regions: &[&str], from: WindowStart) -> Result<Live, PortError> {
        let changes = self.changes(usize::MAX).await?;
        let mut windows = vec![];
        for region in regions {
            let rows = self.query(region, from, WindowStart(i64::MAX)).await?;
            windows.extend(rows.into_iter().map(LiveWindow::from));
        }
        Ok(Live { windows, changes, has_more: self.has_more_changes.load(Ordering::Relaxed), settle_ms: 0 })
    }

    async fn replace_setting(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, PortError> {
        let mut settings = self.settings.lock().map_err(poisoned)?;
        let is_expected = settings.get(key).map(String::as_str) == expected;
        if is_expected {
            settings.insert(key.to_owned(), value.to_owned());
        }
        Ok(is_expected)
    }
}

impl DocumentStore for MemoryStore {
    async fn documents(
        &self,
        kind: DocumentKind,
        region: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Document>, PortError> {
        let documents = self.documents.lock().map_err(poisoned)?;
        let is_asked =
            |key: &DocumentKey| key.kind == kind && key.region == region && (from_ms..to_ms).contains(&key.start_ms);
        let document = |(key, (revision, body)): (&DocumentKey, &(u64, Vec<u8>))| Document {
            start_ms: key.start_ms,
            revision: *revision,
            body: body.clone(),
        };
        Ok(documents.iter().filter(|(key, _)| is_asked(key)).map(document).collect())
    }

    async fn put_document(
        &self,
        key: &DocumentKey,
        body: Option<&[u8]>,
        expected: Option<u64>,
    ) -> Result<PutOutcome, PortError> {
        let mut documents = self.documents.lock().map_err(poisoned)?;
        if documents.get(key).map(|(revision, _)| *revision) != expected {
            return Ok(PutOutcome::Conflict);
        }
        match body {
            Some(body) => {
                check_document(key, body)?;
                documents.insert(key.clone(), (expected.unwrap_or(0) + 1, body.to_vec()));
            }
            None => drop(documents.remove(key)),
        }
        Ok(PutOutcome::Stored)
    }
}

/// What a source is made with in a test: no secrets, and retries in the middle of their range.
#[must_use]
pub fn context(regions: Arc<Regions>, key: InstallationKey, clock: Clock) -> Context {
    Context { regions, key, clock, jitter: || 0.5, dir: PathBuf::new(), secrets: Arc::new(|_| Ok(None)) }
}

/// Does `work`, which is asked to stop when `stop` completes.
pub async fn until<T>(stop: impl Future<Output = ()>, work: impl AsyncFnOnce(Stop) -> T) -> T {
    let (send, receive) = watch::channel(false);
    let mut work = std::pin::pin!(work(Stop::new(receive)));
    tokio::select! {
        biased;
        done = work.as_mut() => return done,
        () = stop => {
            let _ = send.send(true);
        }
    }
    work.await
}

/// Settings of which nothing is kept.
#[derive(Clone, Copy, Debug)]
pub struct NoSettings;

impl Settings for NoSettings {
    async fn setting(&self, _key: &str) -> Result<Option<String>, PortError> {
        Ok(None)
    }

    async fn set_setting(&self, _key: &str, _value: &str) -> Result<(), PortError> {
        Ok(())
    }
}
