//! A log that is slow and fails, and one streamer after the other in front of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use birdsong_domain::frame::{self, Ledger, SlimPost};
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber, Settings};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_sources::live::Clock;
use birdsong_streamer::cutter::CutRules;
use birdsong_streamer::live::{self, Aside, Board, Ended, Feeder, Pipe};
use birdsong_streamer::outbox::{Outbox, OutboxLimits};
use birdsong_streamer::quarantine::Quarantined;
use birdsong_testkit::fake::dice::Dice;
use tokio::time::Instant;

pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// A log in memory that fails as told, and the settings beside it.
pub(crate) struct World {
    records: Mutex<Vec<LogRecord>>,
    settings: Mutex<HashMap<String, String>>,
    dice: Mutex<Dice>,
    began: Instant,
    /// One append in so many fails, half of those with only the answer lost; 0 for none.
    trouble: u64,
    pub(crate) board: Arc<Board>,
}

impl World {
    pub(crate) fn new(seed: u64, trouble: u64) -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            settings: Mutex::default(),
            dice: Mutex::new(Dice::of(&[seed])),
            began: Instant::now(),
            trouble,
            board: Arc::default(),
        })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        START_MS + self.began.elapsed().as_millis() as i64
    }

    pub(crate) fn clock(self: &Arc<Self>) -> Clock {
        let world = self.clone();
        Arc::new(move || world.now_ms())
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.dice.lock().unwrap().below(end)
    }

    fn take(&self, frame: &FrameRecord) -> SequenceNumber {
        let mut records = self.records.lock().unwrap();
        let sequence = SequenceNumber::from(records.len() as u64 + 1);
        let bytes = frame.bytes.clone();
        records.push(LogRecord { sequence: sequence.clone(), arrived_ms: self.now_ms(), bytes });
        sequence
    }

    /// What the log has, counting each frame of a run once: the posts of each region and how often
    /// each of them is there; the sum of the ledgers.
    pub(crate) fn counted(&self) -> (Counted, Ledger) {
        let (mut posts, mut ledger) = (Counted::new(), Ledger::default());
        let mut seen = HashSet::new();
        for record in self.records.lock().unwrap().iter() {
            let frame = frame::decode(&record.bytes).unwrap();
            if seen.insert((frame.header.lane.clone(), frame.header.run.clone(), frame.header.counter)) {
                ledger.add(&frame.header.ledger);
                for post in frame.posts {
                    let window = WindowSize::FIVE_MINUTES.start_of(post.t).0;
                    let of_region = posts.entry((frame.header.lane.region.clone(), window, post.i)).or_default();
                    of_region.push(post);
                }
            }
        }
        (posts, ledger)
    }
}

/// Posts by region, window and id.
pub(crate) type Counted = BTreeMap<(String, i64, u128), Vec<SlimPost>>;

impl PostLog for World {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        tokio::time::sleep(Duration::from_millis(5 + self.below(50))).await;
        let away = || PortError::Unavailable { what: "log", reason: "away".into() };
        if self.trouble > 0 && self.below(self.trouble) == 0 {
            let is_taken = self.below(2) == 0;
            // Not so long that the log cannot keep up.
            tokio::time::sleep(Duration::from_secs(self.below(10))).await;
            return frames
                .iter()
                .map(|frame| {
                    if is_taken {
                        self.take(frame);
                    }
                    Err(away())
                })
                .collect();
        }
        frames.iter().map(|frame| Ok(self.take(frame))).collect()
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
        self.settings.lock().unwrap().insert(key.into(), value.into());
        Ok(())
    }
}

struct Nowhere;

impl Aside for Nowhere {
    async fn keep(&mut self, _lines: &[Quarantined]) -> Result<(), PortError> {
        Ok(())
    }
}

pub(crate) fn regions() -> Arc<Regions> {
    let text = "[[region]]\nid = \"fr\"\nlanguages = [\"fr\"]\n\
                [[region]]\nid = \"montreal\"\nkeywords = [\"montréal\", \"métro\", \"#GoHabsGo\"]\n\
                [[region]]\nid = \"tokyo\"\nkeywords = [\"東京\", \"#東京\"]\n";
    Arc::new(Regions::parse("test", text).unwrap())
}

/// One streamer from its start to its end after `stop_after`, in good order or, with `is_crash`,
/// without a word. `source` streams into a feeder, from a resume point on.
pub(crate) async fn life<F>(
    world: &Arc<World>,
    run: u64,
    spool: &Path,
    (stop_after, is_crash): (Duration, bool),
    source: impl FnOnce(Option<String>, Feeder) -> F,
) -> Option<Ended>
where
    F: Future<Output = Feeder>,
{
    let limits = OutboxLimits { memory_bytes: 100_000, ..OutboxLimits::default() };
    let outbox = Outbox::open(Some(spool.into()), limits).unwrap();
    let start = live::start(&**world, &**world, "test", &outbox, 100_000, world.now_ms()).await.unwrap();
    let resume = start.point.resume.clone();
    let (feeder, inbox) = live::feeder("test", &regions(), &world.clock(), &world.board);
    let pipe = Pipe {
        source: "test".into(),
        run: format!("run{run}"),
        regions: regions(),
        size: WindowSize::FIVE_MINUTES,
        rules: CutRules::default(),
        log: world.clone(),
        settings: world.clone(),
        aside: Nowhere,
        outbox,
        start,
        board: world.board.clone(),
        clock: world.clock(),
        jitter: || 0.5,
        drain: Duration::from_secs(600),
    };
    // The source hands its feeder back when it is told to stop; dropped, it ends the pipe.
    let feeding = async { drop(source(resume, feeder).await) };
    let living = async { tokio::join!(live::run(pipe, inbox), feeding).0.unwrap() };
    if is_crash { tokio::time::timeout(stop_after, living).await.ok() } else { Some(living.await) }
}

/// Panics with what differs, not with all that there is.
pub(crate) fn assert_same(seed: u64, found: &Counted, expected: &Counted) {
    for (key, posts) in expected {
        let there = found.get(key);
        assert_eq!(there.map(Vec::len), Some(1), "seed {seed}: {key:?} is there once");
        let same = |post: &SlimPost| SlimPost { c: false, ..post.clone() };
        assert_eq!(there.map(|posts| same(&posts[0])), Some(same(&posts[0])), "seed {seed}");
    }
    let more: Vec<_> = found.keys().filter(|key| !expected.contains_key(*key)).take(3).collect();
    assert!(more.is_empty(), "seed {seed}: {more:?} should not be there");
}
