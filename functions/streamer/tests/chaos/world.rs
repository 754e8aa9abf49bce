//! Simulated time, a log in memory with scripted faults and the settings beside it, and streamers that
//! write to it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use birdsong_domain::frame::{self, Ledger, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber, Settings};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_sources::dice::Dice;
use birdsong_sources::intake::Intake;
use birdsong_sources::source::{Clock, SourceError};
use birdsong_streamer::cutter::CutRules;
use birdsong_streamer::ingest::Ingest;
use birdsong_streamer::outbox::{Outbox, OutboxLimits};
use birdsong_streamer::pipeline::Ended;
use birdsong_streamer::pipeline::{self, Pipe};
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_streamer::status::StatusRegistry;
use birdsong_streamer::unreadable::Unreadable;
use birdsong_streamer::unreadable::UnreadableStore;
use birdsong_streamer::{ingest, recovery};
use tokio::time::{Instant, sleep, timeout};

/// Start of every world, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// More than any test has posts.
const ORIGINALS: usize = 100_000;
/// Few, so that the index of posts that were sent goes to disk.
const MEMORY_POSTS: usize = 100;

/// The seeds that a test tries: these of `BIRDSONG_SEEDS`, such as `1000..1100`, or else its own.
pub(crate) fn seeds(own: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let Ok(wanted) = std::env::var("BIRDSONG_SEEDS") else { return own.into_iter().collect() };
    let range = wanted.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("BIRDSONG_SEEDS={wanted}: give a range such as 1000..1100")).collect()
}

/// A log in memory with scripted faults, the settings beside it, and the time.
pub(crate) struct World {
    pub(crate) regions: Arc<Regions>,
    pub(crate) board: Arc<StatusRegistry>,
    pub(crate) aside: Lines,
    pub(crate) records: Mutex<Vec<LogRecord>>,
    settings: Mutex<HashMap<String, String>>,
    dice: Mutex<Dice>,
    began: Instant,
    /// By how much the clock of everybody but the sources is ahead, in milliseconds.
    ahead_ms: AtomicI64,
    /// Whether the clock is wrong at the start of some lives.
    pub(crate) clock_jumps: AtomicBool,
    /// Until when the log accepts nothing, in milliseconds.
    down_until_ms: AtomicI64,
    /// One in this many appends and settings fails, one way or another; 0 for none.
    trouble: u64,
    runs: AtomicU64,
}

impl World {
    pub(crate) fn new(seed: u64, trouble: u64, regions: &str) -> Arc<Self> {
        // A test that fails shows what it printed.
        println!("seed {seed}, trouble {trouble}");
        Arc::new(Self {
            regions: Arc::new(Regions::parse("test", regions).unwrap()),
            board: Arc::default(),
            aside: Lines::default(),
            records: Mutex::default(),
            settings: Mutex::default(),
            dice: Mutex::new(Dice::of(&[seed])),
            began: Instant::now(),
            ahead_ms: AtomicI64::new(0),
            clock_jumps: AtomicBool::new(false),
            down_until_ms: AtomicI64::new(0),
            trouble,
            runs: AtomicU64::new(0),
        })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.true_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// The time of a correct clock.
    pub(crate) fn true_ms(&self) -> i64 {
        START_MS + self.began.elapsed().as_millis() as i64
    }

    pub(crate) fn clock_is_ahead_by_ms(&self, ms: i64) {
        self.ahead_ms.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn clock(self: &Arc<Self>) -> Clock {
        let world = self.clone();
        Arc::new(move || world.now_ms())
    }

    /// A random number below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.dice.lock().unwrap().below(end)
    }

    /// The log accepts nothing for this many milliseconds.
    pub(crate) fn down_for_ms(&self, ms: u64) {
        self.down_until_ms.store(self.true_ms() + ms as i64, Ordering::Relaxed);
    }

    fn is_bad(&self) -> bool {
        self.trouble > 0 && self.below(self.trouble) == 0
    }

    fn take(&self, frame: &FrameRecord) -> SequenceNumber {
        let mut records = self.records.lock().unwrap();
        let sequence = SequenceNumber::from(records.len() as u64 + 1);
        let bytes = frame.bytes.clone();
        records.push(LogRecord {
            sequence: sequence.clone(),
            arrived_ms: self.now_ms(),
            lane: Some(frame.lane.clone()),
            bytes,
        });
        sequence
    }

    /// What the log has, counting each frame of a run once: the posts of each region, as often as they
    /// are there, and the sum of the ledgers.
    pub(crate) fn counted(&self) -> (Counted, Ledger) {
        let (mut posts, mut ledger) = (Counted::new(), Ledger::default());
        let mut seen = HashSet::new();
        for record in self.records.lock().unwrap().iter() {
            let frame = frame::decode(&record.bytes).unwrap();
            let header = frame.header;
            if seen.insert((header.lane.clone(), header.run.clone(), header.counter)) {
                header.ledgers().for_each(|(_, of_window)| ledger.add(of_window));
                assert!(!header.lane.is_ledger() || frame.posts.is_empty());
                for post in frame.posts {
                    posts.entry((header.lane.region().to_owned(), post.id)).or_default().push(post);
                }
            }
        }
        (posts, ledger)
    }
}

/// Posts by region and id.
pub(crate) type Counted = BTreeMap<(String, u128), Vec<SlimPost>>;

fn unavailable() -> PortError {
    PortError::Unavailable { what: "log", reason: "no answer".into() }
}

impl PostLog for World {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        sleep(Duration::from_millis(5 + self.below(50))).await;
        if self.true_ms() < self.down_until_ms.load(Ordering::Relaxed) {
            return frames.iter().map(|_| Err(unavailable())).collect();
        }
        let trouble = if self.is_bad() { self.below(4) } else { u64::MAX };
        if matches!(trouble, 1 | 2) {
            // A time-out, yet not so long that the log cannot keep up.
            sleep(Duration::from_millis(self.below(4000))).await;
        }
        frames
            .iter()
            .map(|frame| match trouble {
                // Some records of a call fail.
                0 if self.below(2) == 0 => Err(unavailable()),
                // The log has it, but the answer is lost.
                1 => {
                    self.take(frame);
                    Err(unavailable())
                }
                2 => Err(unavailable()),
                3 => Err(PortError::Refused { what: "log", reason: "no rights just now".into() }),
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
        let first = records.partition_point(|record| match from {
            ReadFrom::Oldest => false,
            ReadFrom::Time(ms) => record.arrived_ms < *ms,
            ReadFrom::After(sequence) => record.sequence <= *sequence,
        });
        Ok(records[first..].iter().take(limit).cloned().collect())
    }
}

impl Settings for World {
    async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        Ok(self.settings.lock().unwrap().get(key).cloned())
    }

    async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        if self.is_bad() {
            return Err(unavailable());
        }
        self.settings.lock().unwrap().insert(key.into(), value.into());
        Ok(())
    }
}

/// Unreadable lines in quarantine.
#[derive(Clone, Default)]
pub(crate) struct Lines(pub(crate) Arc<Mutex<Vec<Unreadable>>>);

impl UnreadableStore for Lines {
    async fn keep(&mut self, lines: &[Unreadable]) -> Result<(), PortError> {
        self.0.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

/// How a streamer of one source lives.
#[derive(Clone, Copy)]
pub(crate) struct Life<'a> {
    /// Name of its source.
    pub(crate) source: &'a str,
    /// Where frames wait for the log, when not in memory alone.
    pub(crate) spool: Option<&'a Path>,
    pub(crate) limits: OutboxLimits,
    /// Time limit for the log to store the rest.
    pub(crate) drain: Duration,
    /// How far back its source can get missed posts, in milliseconds.
    pub(crate) reach_ms: i64,
    /// When it ends without a word, if it does not in good order.
    pub(crate) crash_after: Option<Duration>,
}

impl Life<'_> {
    /// It waits for the log without limit, in memory.
    pub(crate) fn calm(source: &str) -> Life<'_> {
        let drain = Duration::from_secs(3600);
        let reach_ms = i64::MAX;
        Life { source, spool: None, limits: OutboxLimits::default(), drain, reach_ms, crash_after: None }
    }

    /// From its start to its end. `stream` fills the feeder from a resume point on and returns when
    /// it is stopped or its source ends; its result is returned, unless the streamer crashed.
    pub(crate) async fn live<T>(
        self,
        world: &Arc<World>,
        stream: impl AsyncFnOnce(Option<String>, &mut Ingest) -> T,
    ) -> Option<(Ended, T)> {
        let living = async {
            let outbox = Outbox::open(self.spool.map(Path::to_owned), self.limits).unwrap();
            // An unavailable settings table makes the start fail, and the task is started again.
            let sent =
                SharedSent::new(SentRules { memory_posts: MEMORY_POSTS, ..SentRules::live(std::env::temp_dir()) });
            let mut start = loop {
                let (source, now_ms) = (self.source, world.now_ms());
                match recovery::start(&**world, &**world, source, &outbox, &sent, ORIGINALS, now_ms).await {
                    Ok(start) => break start,
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
                sleep(Duration::from_secs(1)).await;
            };
            let resume = start.point.resume.clone();
            let originals = std::mem::take(&mut start.originals);
            let network = Network::of_source(self.source).unwrap();
            let (mut feeder, inbox) =
                ingest::ingest(self.source, network, &world.regions, &world.clock(), &world.board, originals);
            let pipe = Pipe {
                source: self.source.into(),
                network,
                run: format!("{}{}", self.source, world.runs.fetch_add(1, Ordering::Relaxed)),
                regions: world.regions.clone(),
                size: WindowSize::FIVE_MINUTES,
                rules: CutRules::default(),
                log: world.clone(),
                settings: world.clone(),
                unreadable: world.aside.clone(),
                outbox,
                start,
                sent,
                reach_ms: self.reach_ms,
                status: world.board.clone(),
                clock: world.clock(),
                jitter: || 0.5,
                drain: self.drain,
            };
            let streaming = async move {
                let given = stream(resume, &mut feeder).await;
                feeder.flush(None).await;
                // The feeder is dropped, which ends the pipe.
                given
            };
            let (ended, given) = tokio::join!(pipeline::run(pipe, inbox), streaming);
            (ended.unwrap(), given)
        };
        match self.crash_after {
            Some(time) => timeout(time, living).await.ok(),
            None => Some(living.await),
        }
    }
}

/// One life after the other, of random length, most of them ended by a crash, and a last one until a
/// quarter of an hour behind `time`: by then everything that `client` can get must be in the log.
pub(crate) async fn lives(
    world: &Arc<World>,
    source: &str,
    time: Duration,
    crashes: u64,
    client: impl AsyncFn(Option<String>, &mut Ingest) -> SourceError,
) -> Ended {
    let spool = tempfile::tempdir().unwrap();
    let limits = OutboxLimits { memory_bytes: 20_000, ..OutboxLimits::default() };
    let life = Life { spool: Some(spool.path()), limits, drain: Duration::from_secs(600), ..Life::calm(source) };
    let stop_after = async |time, resume, feeder: &mut Ingest| {
        let ended = timeout(time, client(resume, feeder)).await;
        assert!(ended.is_err(), "{ended:?}");
    };
    for _ in 0..crashes {
        let time = Duration::from_secs(1 + world.below(time.as_secs() / crashes));
        world.down_for_ms(if world.below(3) == 0 { world.below(180_000) } else { 0 });
        let crash_after = (world.below(3) > 0).then_some(time);
        if world.clock_jumps.load(Ordering::Relaxed) {
            let jumps_ms = [0, -300_000, 2_400_000, 7_200_000];
            world.clock_is_ahead_by_ms(jumps_ms[world.below(4) as usize]);
        }
        Life { crash_after, ..life }.live(world, async |resume, feeder| stop_after(time, resume, feeder).await).await;
    }
    world.clock_is_ahead_by_ms(0);
    let rest = time.saturating_sub(world.began.elapsed()) + Duration::from_secs(900);
    let (ended, ()) = life.live(world, async |resume, feeder| stop_after(rest, resume, feeder).await).await.unwrap();
    assert_eq!((ended.left_bytes, ended.dropped), (0, 0), "all that there is, is in the log");
    ended
}

/// Each post is there once, the same but for what `rest` leaves out. Panics with what differs, not with
/// all that there is.
pub(crate) fn assert_same_posts(what: &str, found: &Counted, expected: &Counted, rest: impl Fn(&SlimPost) -> SlimPost) {
    for (key, posts) in expected {
        let there = found.get(key);
        assert_eq!(there.map(Vec::len), Some(1), "{what}: {key:?} is there once");
        assert_eq!(there.map(|posts| rest(&posts[0])), Some(rest(&posts[0])), "{what}: {key:?}");
    }
    let more: Vec<_> = found.keys().filter(|key| !expected.contains_key(*key)).take(3).collect();
    assert!(more.is_empty(), "{what}: {more:?} should not be there");
}
