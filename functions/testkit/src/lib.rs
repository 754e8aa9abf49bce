//! Fakes with fault injection, fake servers of the sources, and the contract suites of the ports.

pub mod fake;
mod log_contract;
mod store_contract;

pub use log_contract::post_log_contract;
pub use store_contract::{sample_partial, window_store_contract};

use std::collections::BTreeMap;
use std::sync::Mutex;

use birdsong_domain::ports::{Expected, PartialKey, PortError, PutOutcome, Settings, WindowStore};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::Partial;

/// A window store in memory, holding the very bytes that a real one would hold.
#[derive(Debug, Default)]
pub struct MemoryStore {
    items: Mutex<BTreeMap<PartialKey, (u32, Vec<u8>)>>,
    faults: Mutex<Vec<Fault>>,
}

/// What goes wrong at one put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The put fails and nothing is stored.
    Lost,
    /// The put is stored, but the caller hears of a time-out.
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
        self.items.lock().map(|items| items.clone()).unwrap_or_default()
    }

    /// Stores bytes without any condition, as damage would.
    pub fn overwrite(&self, key: PartialKey, generation: u32, bytes: Vec<u8>) {
        if let Ok(mut items) = self.items.lock() {
            items.insert(key, (generation, bytes));
        }
    }

    /// Deletes an item.
    pub fn remove(&self, key: &PartialKey) {
        if let Ok(mut items) = self.items.lock() {
            items.remove(key);
        }
    }
}

fn read(key: &PartialKey, generation: u32, bytes: &[u8]) -> Result<Partial, PortError> {
    Partial::decode(generation, bytes)
        .map_err(|e| PortError::Corrupt { what: format!("{} {}", key.lane, key.window.0), reason: e.to_string() })
}

impl WindowStore for MemoryStore {
    async fn load(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        let items = self.items.lock().map_err(poisoned)?;
        items.get(key).map(|(generation, bytes)| read(key, *generation, bytes)).transpose()
    }

    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        let fault = self.faults.lock().map_err(poisoned)?.pop().unwrap_or(Fault::None);
        let timeout = || PortError::Unavailable { what: "memory store put", reason: "timed out".into() };
        if fault == Fault::Lost {
            return Err(timeout());
        }
        let mut items = self.items.lock().map_err(poisoned)?;
        let stored = match items.get(key).map(|(generation, bytes)| (*generation, read(key, *generation, bytes))) {
            // A reprocess may replace what nobody can read.
            Some((generation, Err(_))) if *expected == Expected::Behind => {
                if generation >= partial.generation {
                    return Ok(PutOutcome::Conflict);
                }
                None
            }
            other => other.map(|(_, stored)| stored).transpose()?,
        };
        let matches = match (&stored, expected) {
            (None, Expected::Absent | Expected::Behind) => true,
            (Some(stored), Expected::Behind) => stored.generation < partial.generation && stored.fence <= partial.fence,
            (Some(stored), Expected::At { generation, fence }) => {
                stored.generation == *generation && stored.fence == *fence
            }
            _ => false,
        };
        if !matches {
            return Ok(PutOutcome::Conflict);
        }
        let bytes = partial.encode().map_err(|e| PortError::Refused { what: "zstd", reason: e.to_string() })?;
        items.insert(key.clone(), (partial.generation, bytes));
        if fault == Fault::AnswerLost { Err(timeout()) } else { Ok(PutOutcome::Stored) }
    }

    async fn query(
        &self,
        region: &str,
        from: WindowStart,
        to: WindowStart,
    ) -> Result<Vec<(PartialKey, Partial)>, PortError> {
        let items = self.items.lock().map_err(poisoned)?;
        let mut found = Vec::new();
        for (key, (generation, bytes)) in items.iter() {
            if key.lane.region == region && (from..to).contains(&key.window) {
                found.push((key.clone(), read(key, *generation, bytes)?));
            }
        }
        found.sort_by_key(|item| (item.0.window, item.0.lane.bucket));
        Ok(found)
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        let items = self.items.lock().map_err(poisoned)?;
        Ok(items.keys().filter(|key| key.lane.region == region).map(|key| key.window).max())
    }
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
