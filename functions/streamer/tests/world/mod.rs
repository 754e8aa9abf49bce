//! A log in memory that fails as told, the settings beside it, and simulated time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use birdsong_domain::frame::{self, Ledger};
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber, Settings};
use birdsong_sources::live::Clock;
use birdsong_streamer::live::Aside;
use birdsong_streamer::quarantine::Quarantined;
use tokio::time::Instant;

pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// A number that looks random, from a seed.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }
}

/// A log in memory that fails as told, and the settings beside it.
pub(crate) struct World {
    pub(crate) records: Mutex<Vec<LogRecord>>,
    pub(crate) settings: Mutex<HashMap<String, String>>,
    pub(crate) dice: Dice,
    began: Instant,
    /// Until when the log takes nothing, in milliseconds.
    pub(crate) away_until_ms: AtomicI64,
    /// One append in so many goes wrong, one way or another; 0 for none.
    trouble: u64,
}

impl World {
    pub(crate) fn new(seed: u64, trouble: u64) -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            settings: Mutex::default(),
            dice: Dice::new(seed),
            began: Instant::now(),
            away_until_ms: AtomicI64::new(0),
            trouble,
        })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        START_MS + self.began.elapsed().as_millis() as i64
    }

    pub(crate) fn clock(self: &Arc<Self>) -> Clock {
        let world = self.clone();
        Arc::new(move || world.now_ms())
    }

    pub(crate) fn take(&self, frame: &FrameRecord) -> SequenceNumber {
        let mut records = self.records.lock().unwrap();
        let sequence = SequenceNumber::from(records.len() as u64 + 1);
        let bytes = frame.bytes.clone();
        records.push(LogRecord { sequence: sequence.clone(), arrived_ms: self.now_ms(), bytes });
        sequence
    }
}

fn away() -> PortError {
    PortError::Unavailable { what: "log", reason: "away".into() }
}

impl PostLog for World {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        tokio::time::sleep(Duration::from_millis(5 + self.dice.below(50))).await;
        if self.now_ms() < self.away_until_ms.load(Ordering::Relaxed) {
            return frames.iter().map(|_| Err(away())).collect();
        }
        let is_bad = self.trouble > 0 && self.dice.below(self.trouble) == 0;
        let kind = self.dice.below(3);
        frames
            .iter()
            .map(|frame| match (is_bad, kind) {
                // Some records of a call fail.
                (true, 0) if self.dice.below(2) == 0 => Err(away()),
                // The log has it, but the answer is lost.
                (true, 1) => {
                    self.take(frame);
                    Err(away())
                }
                (true, 2) => Err(PortError::Refused { what: "log", reason: "no rights just now".into() }),
                _ => Ok(self.take(frame)),
            })
            .collect()
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok(vec!["one".into()])
    }

    async fn complete_since(&self, _shard: &str) -> Result<i64, PortError> {
        Ok(i64::MIN)
    }

    async fn read(&self, _shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        let records = self.records.lock().unwrap();
        let is_wanted = |record: &&LogRecord| match from {
            ReadFrom::Oldest => true,
            ReadFrom::Time(ms) => record.arrived_ms >= *ms,
            ReadFrom::After(sequence) => record.sequence > *sequence,
        };
        Ok(records.iter().filter(is_wanted).take(limit).cloned().collect())
    }
}

impl Settings for World {
    async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        Ok(self.settings.lock().unwrap().get(key).cloned())
    }

    async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        if self.trouble > 0 && self.dice.below(self.trouble) == 0 {
            return Err(away());
        }
        self.settings.lock().unwrap().insert(key.into(), value.into());
        Ok(())
    }
}

#[derive(Clone, Default)]
pub(crate) struct Lines(pub(crate) Arc<Mutex<Vec<Quarantined>>>);

impl Aside for Lines {
    async fn keep(&mut self, lines: &[Quarantined]) -> Result<(), PortError> {
        self.0.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

/// What the log has: how often each post stands in each lane, counting each frame of a run once, and
/// the sum of the ledgers.
pub(crate) fn counted(world: &World) -> (BTreeMap<(String, u128), u64>, Ledger) {
    let (mut posts, mut ledger) = (BTreeMap::new(), Ledger::default());
    let mut seen = HashSet::new();
    for record in world.records.lock().unwrap().iter() {
        let frame = frame::decode(&record.bytes).unwrap();
        if seen.insert((frame.header.lane.clone(), frame.header.run.clone(), frame.header.counter)) {
            ledger.add(&frame.header.ledger);
            for post in &frame.posts {
                *posts.entry((frame.header.lane.region.clone(), post.i)).or_default() += 1;
            }
        }
    }
    (posts, ledger)
}
