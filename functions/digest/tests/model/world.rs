//! The world of a history: a log in memory whose shards are split and merged, the store beside it, a source, the clock, and
//! the programs. Each call that a program makes of the log or the store passes a named point, where it may be delayed, fail,
//! be carried out without an answer, or be the last one before the program crashes.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use birdsong_aggregator::{Aggregator, reprocess};
use birdsong_digest::revisions::{self, Corrected};
use birdsong_digest::{Digest, MARGIN_MS};
use birdsong_domain::frame::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{
    FrameRecord, LogRecord, PartialKey, PortError, PostLog, ReadFrom, SequenceNumber, WindowStore,
};
use birdsong_domain::post::{Kind, PostId, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::revision::LaneWindow;
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::{WindowSize, WindowStart, rfc3339};
use birdsong_domain::window::FoldRules;
use birdsong_sources::dice::Dice;
use birdsong_sources::intake::{Change, Intake, Resume};
use birdsong_sources::source::Clock;
use birdsong_streamer::cutter::CutRules;
use birdsong_streamer::ingest::{self, Ingest};
use birdsong_streamer::outbox::{Outbox, OutboxLimits};
use birdsong_streamer::pipeline::{self, Pipe};
use birdsong_streamer::recovery;
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_streamer::status::StatusRegistry;
use birdsong_streamer::unreadable::{Unreadable, UnreadableStore};
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::history::{History, Step};

/// Numbers of the programs.
pub(crate) const STREAMER: usize = 0;
pub(crate) const AGGREGATORS: [usize; 2] = [1, 2];
pub(crate) const DIGESTS: [usize; 2] = [3, 4];
pub(crate) const REPROCESS: usize = 5;
pub(crate) const NAMES: [&str; 6] = ["streamer", "aggregator 1", "aggregator 2", "digest 1", "digest 2", "reprocess"];

/// A midnight.
const MIDNIGHT_MS: i64 = 19_675 * DAY_MS;
const SOURCE: &str = "demo";
/// How far behind its resume point a source starts at most, in posts.
const BACK: u64 = 3;
/// Runs of both digests until nothing is left to do.
const DIGEST_RUNS: usize = 4;
/// A lane goes to the shard that has its slot.
const SLOTS: u64 = 8;
/// Spellings of the same hashtags.
const HASHTAGS: [&str; 5] = ["Goal", "GOAL", "goal", "Fog", "fog"];

/// The content of a mutex, also behind a panic.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(point: &str) -> PortError {
    PortError::Unavailable { what: "the port", reason: format!("trouble at {point}") }
}

/// What happened, a line each.
pub(crate) type Trace = Arc<Mutex<Vec<String>>>;

/// What goes wrong in a program in a round.
#[derive(Debug)]
struct Script {
    dice: Dice,
    /// Of 1,000 calls, those that fail.
    trouble: u64,
    /// Points until the crash.
    crash_after: Option<u64>,
}

/// A program as the log and the store see it.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    script: Mutex<Script>,
    has_crashed: AtomicBool,
    trace: Trace,
}

impl Program {
    fn below(&self, end: u64) -> u64 {
        held(&self.script).dice.below(end)
    }

    /// A named point of the program.
    async fn point(&self, name: &str) -> Result<(), PortError> {
        for _ in 0..self.below(3) {
            tokio::task::yield_now().await;
        }
        let (is_end, is_trouble) = {
            let mut script = held(&self.script);
            let is_end = script.crash_after == Some(0);
            script.crash_after = script.crash_after.map(|left| left.saturating_sub(1));
            (is_end, script.dice.below(1000) < script.trouble)
        };
        if is_end {
            self.note(format!("crashes at {name}"));
            self.has_crashed.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        if is_trouble {
            self.note(format!("has trouble at {name}"));
            return Err(unavailable(name));
        }
        Ok(())
    }

    fn note(&self, what: String) {
        held(&self.trace).push(format!("{} {what}", self.name));
    }

    /// Runs to its end, or to the crash: then `None`.
    async fn live<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.has_crashed.load(Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

/// The points of a program in front of and behind the calls of the store.
#[derive(Clone, Debug)]
pub(crate) struct Points(Arc<Program>);

impl Hook for Points {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        self.0.point(&format!("{call:?}")).await
    }

    async fn after(&self, call: Call<'_>) -> Result<(), PortError> {
        self.0.point(&format!("the answer of {call:?}")).await
    }
}

type Store = Hooked<Points>;

/// A shard of the log.
#[derive(Debug, Default)]
struct Shard {
    /// Shards whose slots it has got, by number. It is read when those were read to their ends.
    parents: Vec<usize>,
    slots: Vec<u64>,
    is_closed: bool,
    records: Vec<LogRecord>,
}

/// The log of the world. Sequence numbers grow over all shards, as in Kinesis they do for each lane.
#[derive(Debug)]
struct Shards {
    list: Vec<Shard>,
    last: u64,
}

impl Shards {
    fn append(&mut self, frame: &FrameRecord, arrived_ms: i64) -> SequenceNumber {
        self.last += 1;
        let slot = Dice::of(&frame.lane.to_string().bytes().map(u64::from).collect::<Vec<_>>()).below(SLOTS);
        let record = LogRecord {
            sequence: self.last.into(),
            arrived_ms,
            lane: Some(frame.lane.clone()),
            bytes: frame.bytes.clone(),
        };
        let of_slot = self.list.iter_mut().find(|shard| !shard.is_closed && shard.slots.contains(&slot));
        of_slot.expect("each slot has an open shard").records.push(record);
        self.last.into()
    }

    /// Closes a shard and returns its slots.
    fn close(&mut self, number: usize) -> Vec<u64> {
        self.list[number].is_closed = true;
        self.list[number].slots.clone()
    }

    fn reshard(&mut self, dice: &mut Dice) {
        let open: Vec<usize> = (0..self.list.len()).filter(|n| !self.list[*n].is_closed).collect();
        let first = *dice.pick(&open);
        let others: Vec<usize> = open.into_iter().filter(|n| *n != first).collect();
        if !others.is_empty() && dice.percent(50) {
            let other = *dice.pick(&others);
            let slots = [self.close(first), self.close(other)].concat();
            self.list.push(Shard { parents: vec![first, other], slots, ..Shard::default() });
        } else if self.list[first].slots.len() > 1 {
            let mut slots = self.close(first);
            let rest = slots.split_off(slots.len() / 2);
            for slots in [slots, rest] {
                self.list.push(Shard { parents: vec![first], slots, ..Shard::default() });
            }
        }
    }
}

/// The log as a program sees it.
#[derive(Clone)]
struct Log {
    world: Arc<World>,
    program: Arc<Program>,
}

impl PostLog for Log {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        let mut outcomes = vec![];
        if let Err(error) = self.program.point("Append").await {
            // Some of the records fail, or all.
            let all = self.program.below(2) == 0;
            for frame in frames {
                let fails = all || self.program.below(2) == 0;
                outcomes.push(if fails { Err(unavailable(&error.to_string())) } else { Ok(self.world.append(frame)) });
            }
            return outcomes;
        }
        for frame in frames {
            let sequence = self.world.append(frame);
            outcomes.push(self.program.point("the answer of Append").await.map(|()| sequence));
        }
        outcomes
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        self.program.point("Shards").await?;
        Ok((0..held(&self.world.shards).list.len()).map(|n| n.to_string()).collect())
    }

    async fn complete_since(&self, _shard: &str) -> Result<i64, PortError> {
        Ok(i64::MIN)
    }

    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        self.program.point("Read").await?;
        let number: usize = shard.parse().map_err(|_| unavailable("a shard that does not exist"))?;
        let shards = held(&self.world.shards);
        let records = &shards.list[number].records;
        let first = match from {
            ReadFrom::Oldest => 0,
            ReadFrom::Time(ms) => records.partition_point(|record| record.arrived_ms < *ms),
            ReadFrom::After(sequence) => records.partition_point(|record| record.sequence <= *sequence),
        };
        // An answer may have fewer records than there are.
        let some = 1 + self.program.below(20) as usize;
        Ok(records[first..].iter().take(some.min(limit)).cloned().collect())
    }
}

/// A post of the source, with the regions whose words it has.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) post: SourcePost<'static>,
    pub(crate) regions: Vec<usize>,
}

/// What the source has, and when it delivered which post first: by its own clock, and by that of the streamer.
#[derive(Debug, Default)]
struct Source {
    posts: Vec<Published>,
    delivered_ms: Vec<(i64, i64)>,
}

/// Unreadable lines are of no interest here.
struct Nowhere;

impl UnreadableStore for Nowhere {
    async fn keep(&mut self, _lines: &[Unreadable]) -> Result<(), PortError> {
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) rules: FoldRules,
    pub(crate) region_ids: Vec<String>,
    pub(crate) store: Arc<MemoryStore>,
    regions: Arc<Regions>,
    cache: usize,
    repeats_ms: i64,
    shards: Mutex<Shards>,
    /// Last record of each shard that an aggregator is done with.
    checkpoints: Mutex<BTreeMap<usize, SequenceNumber>>,
    source: Mutex<Source>,
    programs: [Arc<Program>; 6],
    aggregators: [Mutex<Option<Aggregator<Store>>>; 2],
    digests: [Mutex<Option<Digest<Store>>>; 2],
    status: Arc<StatusRegistry>,
    runs: AtomicU64,
    began: Instant,
    /// Time that has passed in waits, in milliseconds after the midnight.
    waited_ms: AtomicI64,
    /// By how much the clock of the programs is wrong.
    off_ms: AtomicI64,
    /// The latest time that a digest was called with.
    digested_ms: AtomicI64,
}

impl World {
    pub(crate) fn new(history: &History, trace: Trace) -> Result<Arc<Self>, String> {
        let region_ids: Vec<String> = (0..history.regions.len()).map(|n| format!("r{n}")).collect();
        let text: String = (history.regions.iter().enumerate())
            .map(|(n, buckets)| {
                format!("[[region]]\nid = \"r{n}\"\nkeywords = [\"word{n}\"]\nhot_buckets = {buckets}\n")
            })
            .collect();
        let size = WindowSize::from_secs(history.window_minutes * 60).map_err(|error| error.to_string())?;
        let script = || Mutex::new(Script { dice: Dice::of(&[]), trouble: 0, crash_after: None });
        let program = |name| {
            Arc::new(Program { name, script: script(), has_crashed: AtomicBool::new(false), trace: trace.clone() })
        };
        let all = Shard { slots: (0..SLOTS).collect(), ..Shard::default() };
        Ok(Arc::new(Self {
            rules: FoldRules { size, ..FoldRules::default() },
            region_ids,
            store: Arc::default(),
            regions: Arc::new(Regions::parse("model", &text).map_err(|error| error.to_string())?),
            cache: history.cache,
            repeats_ms: history.repeats_ms,
            shards: Mutex::new(Shards { list: vec![all], last: 0 }),
            checkpoints: Mutex::default(),
            source: Mutex::default(),
            programs: NAMES.map(program),
            aggregators: Default::default(),
            digests: Default::default(),
            status: Arc::default(),
            runs: AtomicU64::new(0),
            began: Instant::now(),
            waited_ms: AtomicI64::new(history.begin_ms),
            off_ms: AtomicI64::new(0),
            digested_ms: AtomicI64::new(0),
        }))
    }

    /// The right time.
    fn true_ms(&self) -> i64 {
        MIDNIGHT_MS + self.waited_ms.load(Ordering::Relaxed) + self.began.elapsed().as_millis() as i64
    }

    /// Hours and days that end later than this cannot be rolled up yet, in milliseconds.
    pub(crate) fn final_ms(&self) -> i64 {
        self.digested_ms.load(Ordering::Relaxed) - self.rules.lateness_ms - MARGIN_MS
    }

    /// The time of the programs.
    fn now_ms(&self) -> i64 {
        self.true_ms() + self.off_ms.load(Ordering::Relaxed)
    }

    fn append(&self, frame: &FrameRecord) -> SequenceNumber {
        held(&self.shards).append(frame, self.true_ms())
    }

    /// All records, in the order of the log.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let shards = held(&self.shards);
        let mut records: Vec<_> = shards.list.iter().flat_map(|shard| shard.records.clone()).collect();
        records.sort_by(|a, b| a.sequence.cmp(&b.sequence));
        records
    }

    /// All posts that were published.
    pub(crate) fn published(&self) -> Vec<Published> {
        held(&self.source).posts.clone()
    }

    fn region_names(&self) -> Vec<&str> {
        self.region_ids.iter().map(String::as_str).collect()
    }

    fn port(&self, program: usize) -> Store {
        Hooked { rows: self.store.clone(), hook: Points(self.programs[program].clone()) }
    }

    fn log(self: &Arc<Self>, program: usize) -> Log {
        Log { world: self.clone(), program: self.programs[program].clone() }
    }

    /// Does a step.
    pub(crate) async fn step(self: &Arc<Self>, step: &Step) -> Result<(), String> {
        match step {
            Step::Posts { seed, count } => self.publish(*seed, *count),
            Step::Wait { ms } => drop(self.waited_ms.fetch_add(*ms, Ordering::Relaxed)),
            Step::Clock { off_ms } => self.off_ms.store(*off_ms, Ordering::Relaxed),
            Step::Reshard { seed } => held(&self.shards).reshard(&mut Dice::of(&[*seed])),
            Step::Alter { seed } => self.alter(&mut Dice::of(&[*seed])).await?,
            Step::Round { seed, programs, trouble, crash } => {
                for program in programs {
                    let mut dice = Dice::of(&[*seed, *program as u64]);
                    let crash_after = crash.contains(program).then(|| dice.below(25));
                    *held(&self.programs[*program].script) = Script { dice, trouble: *trouble, crash_after };
                }
                self.round(programs).await?;
            }
        }
        Ok(())
    }

    fn publish(&self, seed: u64, count: u64) {
        let dice = &mut Dice::of(&[seed]);
        for number in 0..count {
            let late_ms = *dice.pick(&[0, 1_000, 30_000, 240_000, 3_600_000, 12_000_000]);
            let regions: Vec<usize> = (0..self.region_ids.len()).filter(|_| dice.percent(60)).collect();
            let words: Vec<String> = regions.iter().map(|region| format!("word{region}")).collect();
            let hashtags = (0..dice.below(3)).map(|_| (*dice.pick(&HASHTAGS)).into()).collect::<Vec<_>>();
            let post = SourcePost {
                id: PostId(u128::from(seed) << 8 | u128::from(number)),
                time_ms: self.true_ms() - late_ms - dice.below(2_000) as i64,
                author: Some(dice.below(5).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                kind: Kind::ALL[dice.below(4) as usize],
                lang: (*dice.pick(&["en", "fr", ""])).into(),
                hashtags,
                mentions: dice.below(3) as u32,
                has_media: dice.percent(30),
                text: words.join(" ").into(),
                ..SourcePost::default()
            };
            held(&self.source).posts.push(Published { post, regions });
        }
    }

    /// A stored row is lost, damaged, altered or made up.
    async fn alter(&self, dice: &mut Dice) -> Result<(), String> {
        let rows = self.store.dump();
        let keys: Vec<&PartialKey> = rows.keys().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let key = (*dice.pick(&keys)).clone();
        let (generation, state) = rows[*dice.pick(&keys)].clone();
        match dice.below(5) {
            0 => self.store.lose(&key),
            1 => self.store.overwrite(key, 1, vec![1, 2, 3]),
            2 => self.store.alter_fence(&key, [None, Some(1_000_000u64.into())][dice.below(2) as usize].clone()),
            // Another row in its place: with a fence of the log and wrong counts.
            3 => self.store.overwrite(key, generation, state),
            _ => {
                let window = WindowStart(key.window.0 - self.rules.size.ms() * (1 + dice.below(3) as i64));
                let made_up = PartialKey { window, lane: key.lane };
                if self.store.load(&made_up).await.map_err(|error| error.to_string())?.is_none() {
                    self.store.overwrite(made_up, generation, state);
                }
            }
        }
        Ok(())
    }

    /// Programs at the same time, until all of them ended or crashed.
    async fn round(self: &Arc<Self>, programs: &[usize]) -> Result<(), String> {
        let running = programs.iter().map(async |number| {
            let program = &self.programs[*number];
            let outcome = program.live(self.run(*number)).await;
            if outcome.is_none() {
                // What it had in memory is gone with its future.
                program.has_crashed.store(false, Ordering::Relaxed);
            }
            outcome.unwrap_or(Ok(()))
        });
        join_all(running).await.into_iter().collect()
    }

    async fn run(self: &Arc<Self>, number: usize) -> Result<(), String> {
        match number {
            STREAMER => self.stream().await,
            REPROCESS => {
                let size_ms = self.rules.size.ms();
                let back = [i64::MAX, 1, 4][self.programs[number].below(3) as usize];
                let from = self.rules.size.start_of(self.true_ms().saturating_sub(back.saturating_mul(size_ms)));
                let from = if back == i64::MAX { WindowStart(0) } else { from };
                // When it fails, it is run again some time.
                self.reprocess(from).await.map(drop).or(Ok(()))
            }
            1 | 2 => self.aggregate(number - AGGREGATORS[0]).await,
            _ => self.digest(number - DIGESTS[0]).await,
        }
    }

    /// Folds all windows from `from` on again. Returns how many changed.
    pub(crate) async fn reprocess(self: &Arc<Self>, from: WindowStart) -> Result<usize, PortError> {
        let range = from..WindowStart(i64::MAX);
        let (log, store) = (self.log(REPROCESS), self.port(REPROCESS));
        let announce = async |entries: &[reprocess::Entry]| {
            let corrected = entries.iter().filter_map(|entry| {
                let Lane::Posts { region, network, bucket } = &entry.key.lane else { return None };
                let lane = LaneWindow { window_ms: entry.key.window.0, network: *network, bucket: *bucket };
                let (before, after) = entry.on_time;
                Some(Corrected { region, lane, before, after, cause: entry.cause })
            });
            revisions::record(&store, &corrected.collect::<Vec<_>>(), self.now_ms()).await
        };
        match reprocess::reprocess_announced(&log, &store, self.rules, range, false, |_| (), announce).await {
            Ok(receipt) => Ok(receipt.changed()),
            Err(reprocess::ReprocessError::Port(error)) => Err(error),
            Err(gone) => Err(unavailable(&gone.to_string())),
        }
    }

    /// A life of the streamer: from its resume point to the last post, some more seconds, and its end.
    async fn stream(self: &Arc<Self>) -> Result<(), String> {
        let program = &self.programs[STREAMER];
        let (log, settings) = (Arc::new(self.log(STREAMER)), Arc::new(self.port(STREAMER)));
        let outbox = Outbox::open(None, OutboxLimits::default()).map_err(|error| error.to_string())?;
        let sent = SharedSent::new(SentRules::live(std::env::temp_dir()));
        let started = recovery::start(&*log, &*settings, SOURCE, &outbox, &sent, 0, self.now_ms()).await;
        // It is started again some time.
        let Ok(mut start) = started else { return Ok(()) };
        let resume = start.point.resume.clone();
        let originals = std::mem::take(&mut start.originals);
        let clock: Clock = {
            let world = self.clone();
            Arc::new(move || world.now_ms())
        };
        let (ingest, inbox) = ingest::ingest(SOURCE, Network::DEMO, &self.regions, &clock, &self.status, originals);
        let pipe = Pipe {
            source: SOURCE.into(),
            network: Network::DEMO,
            run: format!("run{}", self.runs.fetch_add(1, Ordering::Relaxed)),
            regions: self.regions.clone(),
            size: self.rules.size,
            rules: CutRules { max_bytes: 400, ..CutRules::default() },
            log,
            settings,
            unreadable: Nowhere,
            outbox,
            start,
            sent,
            reach_ms: i64::MAX,
            status: self.status.clone(),
            clock,
            jitter: || 0.5,
            drain: Duration::from_secs(5),
        };
        let (ended, ()) = tokio::join!(pipeline::run(pipe, inbox), self.deliver(program, resume, ingest));
        ended.map(drop).map_err(|error| error.to_string())
    }

    /// Delivers posts from a cursor on, some of them again.
    async fn deliver(&self, program: &Program, resume: Option<String>, mut ingest: Ingest) {
        let cursor: u64 = resume.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let mut next = cursor.saturating_sub(program.below(BACK + 1)) as usize;
        ingest.change(Change::Connected);
        loop {
            for _ in 0..1 + program.below(3) {
                let mut source = held(&self.source);
                let mut number = next;
                if program.below(8) == 0 {
                    // One that was delivered a while ago.
                    number = program.below(next as u64 + 1) as usize;
                    let is_recent = |(at_ms, _): &(i64, i64)| self.true_ms() - at_ms <= self.repeats_ms;
                    if number < next && !source.delivered_ms.get(number).is_some_and(is_recent) {
                        continue;
                    }
                }
                let Some(published) = source.posts.get(number) else { break };
                ingest.post(&published.post);
                if number == next {
                    next += 1;
                }
                if number == source.delivered_ms.len() {
                    source.delivered_ms.push((self.true_ms(), self.now_ms()));
                }
            }
            let (is_last, since_ms) = {
                let source = held(&self.source);
                let oldest = next.saturating_sub(BACK as usize);
                let since_ms = source.delivered_ms.get(oldest).map_or(self.now_ms(), |(_, local_ms)| *local_ms);
                (next >= source.posts.len(), since_ms)
            };
            sleep(Duration::from_millis(program.below(500))).await;
            ingest.flush(Some(Resume { cursor: next.to_string(), since_ms })).await;
            if is_last {
                break;
            }
        }
        sleep(Duration::from_millis(*[0, 1_500, 3_000].get(program.below(3) as usize).unwrap_or(&0))).await;
        ingest.flush(None).await;
    }

    /// The shards that can be read: all their parents were read to their ends.
    fn readable(&self) -> Vec<usize> {
        let (shards, checkpoints) = (held(&self.shards), held(&self.checkpoints));
        let is_done = |n: usize| {
            let shard = &shards.list[n];
            shard.is_closed && shard.records.last().map(|last| &last.sequence) == checkpoints.get(&n)
        };
        // An empty parent is done only when its own parents are.
        let mut done = vec![false; shards.list.len()];
        for n in 0..shards.list.len() {
            done[n] = is_done(n) && shards.list[n].parents.iter().all(|parent| done[*parent]);
        }
        let are_done = |n: &usize| shards.list[*n].parents.iter().all(|parent| done[*parent]);
        (0..shards.list.len()).filter(are_done).collect()
    }

    /// An aggregator with what it kept, or a new one.
    fn aggregator(&self, which: usize) -> Aggregator<Store> {
        let kept = held(&self.aggregators[which]).take();
        kept.unwrap_or_else(|| Aggregator::new(Arc::new(self.port(AGGREGATORS[which])), self.rules, self.cache))
    }

    /// A digest with what it kept, or a new one.
    fn digest_of(&self, which: usize) -> Digest<Store> {
        let kept = held(&self.digests[which]).take();
        kept.unwrap_or_else(|| Digest::new(Arc::new(self.port(DIGESTS[which])), self.rules))
    }

    /// Folds some batches, each of a shard from its checkpoint on, or from before it.
    async fn aggregate(self: &Arc<Self>, which: usize) -> Result<(), String> {
        let number = AGGREGATORS[which];
        let (program, log) = (&self.programs[number], self.log(number));
        let mut aggregator = self.aggregator(which);
        for _ in 0..2 + program.below(10) {
            if !self.aggregate_once(program, &log, &mut aggregator, 1 + program.below(8) as usize).await? {
                break;
            }
        }
        *held(&self.aggregators[which]) = Some(aggregator);
        Ok(())
    }

    /// Folds a batch of each shard. Returns whether there was any.
    async fn aggregate_once(
        &self,
        program: &Program,
        log: &Log,
        aggregator: &mut Aggregator<Store>,
        limit: usize,
    ) -> Result<bool, String> {
        let mut has_any = false;
        for shard in self.readable() {
            let checkpoint = held(&self.checkpoints).get(&shard).cloned();
            let from = match checkpoint {
                // Some records come again.
                Some(sequence) => ReadFrom::After(match program.below(4) {
                    0 => {
                        let number: u64 = sequence.as_str().parse().unwrap_or(0);
                        number.saturating_sub(program.below(4)).into()
                    }
                    _ => sequence,
                }),
                None => ReadFrom::Oldest,
            };
            let Ok(records) = log.read(&shard.to_string(), &from, limit).await else {
                has_any = true;
                continue;
            };
            let Some(last) = records.last().map(|record| record.sequence.clone()) else { continue };
            has_any = true;
            match aggregator.fold_batch(&shard.to_string(), &records).await {
                Ok(outcome) => {
                    let stored = outcome.stored;
                    program.note(format!("shard {shard}: {} records, {stored} windows stored", records.len()));
                    if program.point("Checkpoint").await.is_ok() {
                        let mut checkpoints = held(&self.checkpoints);
                        // The other aggregator may be ahead: its checkpoint is as good.
                        let is_ahead = checkpoints.get(&shard).is_none_or(|known| *known < last);
                        if is_ahead {
                            checkpoints.insert(shard, last);
                        }
                    }
                }
                // The batch comes again.
                Err(birdsong_aggregator::FoldError::Store(error)) if error.is_retryable() => (),
                Err(error) => return Err(format!("aggregator: {error}")),
            }
        }
        Ok(has_any)
    }

    /// A run of the digest, which may be cut short.
    async fn digest(self: &Arc<Self>, which: usize) -> Result<(), String> {
        let number = DIGESTS[which];
        let program = &self.programs[number];
        let mut digest = self.digest_of(which);
        let is_over = || program.below(12) == 0;
        let now_ms = self.now_ms();
        self.digested_ms.fetch_max(now_ms, Ordering::Relaxed);
        match digest.run(&self.region_names(), now_ms, is_over).await {
            Ok(outcome) => program.note(format!("at {}: {outcome:?}", rfc3339(now_ms))),
            Err(error) if error.is_retryable() => (),
            Err(error) => return Err(format!("digest: {error}")),
        }
        *held(&self.digests[which]) = Some(digest);
        Ok(())
    }

    /// Brings everything to its end, without faults: the last posts, the last records, and a repair if rows were altered.
    pub(crate) async fn settle(self: &Arc<Self>, has_damage: bool) -> Result<(), String> {
        self.off_ms.store(0, Ordering::Relaxed);
        for program in &self.programs {
            *held(&program.script) = Script { dice: Dice::of(&[]), trouble: 0, crash_after: None };
        }
        self.stream().await?;
        for (which, number) in AGGREGATORS.into_iter().enumerate() {
            let (program, log) = (&self.programs[number], self.log(number));
            let mut aggregator = self.aggregator(which);
            while self.aggregate_once(program, &log, &mut aggregator, 100).await? {}
        }
        if has_damage {
            self.reprocess(WindowStart(0)).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Lets the digests run at a time when every hour and day is final. Returns the time.
    pub(crate) async fn digest_all(self: &Arc<Self>) -> Result<i64, String> {
        let midnight_ms = (self.true_ms() + 2 * DAY_MS).div_euclid(DAY_MS) * DAY_MS;
        let until_ms = midnight_ms + self.rules.lateness_ms + MARGIN_MS;
        let mut digests = [self.digest_of(0), self.digest_of(1)];
        let names = self.region_names();
        // A digest that lost against the other one goes on in its next run.
        for _ in 0..DIGEST_RUNS {
            let mut work = 0;
            for digest in &mut digests {
                let run = digest.run(&names, until_ms, || false).await;
                let outcome = run.map_err(|error| format!("digest: {error}"))?;
                held(&self.programs[DIGESTS[0]].trace).push(format!("a digest at {}: {outcome:?}", rfc3339(until_ms)));
                if outcome.has_more {
                    return Err(format!("the digest has more to do: {outcome:?}"));
                }
                work += outcome.redone + outcome.stored + outcome.watched;
            }
            if work == 0 {
                return Ok(until_ms);
            }
        }
        Err(format!("after {DIGEST_RUNS} runs, the digests still find something to do"))
    }
}

/// A lane of posts has the number of its region.
pub(crate) fn region_of(lane: &Lane) -> Option<usize> {
    lane.region().strip_prefix('r').and_then(|number| number.parse().ok())
}
