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

mod hooked;
mod log_contract;
mod store_contract;

pub use hooked::{Call, Hook, Hooked};
pub use log_contract::post_log_contract;
pub use store_contract::{newer_state, sample_partial, window_store_contract};

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use birdsong_domain::ports::{
    Expected, PartialKey, PortError, PutOutcome, Row, RowVersion, SequenceNumber, Settings, WindowStore,
};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::Partial;
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Clock, Context};
use tokio::sync::watch;

/// A window store in memory, with exactly the bytes of a real one.
#[derive(Debug, Default)]
pub struct MemoryStore {
    items: Mutex<BTreeMap<PartialKey, Item>>,
    faults: Mutex<Vec<Fault>>,
}

/// A row as real stores have it: generation and fence beside the state.
#[derive(Clone, Debug)]
struct Item {
    generation: u32,
    fence: Option<SequenceNumber>,
    state: Vec<u8>,
}

impl Item {
    fn version(&self) -> RowVersion {
        let mut token = self.generation.to_le_bytes().to_vec();
        token.extend(self.fence.iter().flat_map(|fence| fence.as_str().bytes()));
        RowVersion { generation: Some(self.generation), fence: self.fence.clone(), token: token.into() }
    }

    fn read(&self, key: &PartialKey) -> Result<Partial, PortError> {
        let corrupt = |reason: String| PortError::Corrupt { what: format!("{} {}", key.lane, key.window.0), reason };
        let partial = Partial::decode(self.generation, &self.state).map_err(|e| corrupt(e.to_string()))?;
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
            items.insert(key, Item { generation, fence, state });
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
        }
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
        let item = Item { generation: partial.generation, fence: Some(partial.fence.clone()), state };
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
        items.remove(key);
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
