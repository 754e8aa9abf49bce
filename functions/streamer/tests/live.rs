//! A live source, a log that fails, restarts and crashes, in simulated time: nothing is lost, nothing
//! counts twice, and the ledger says what happened.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use birdsong_domain::frame::{self, STREAM};
use birdsong_domain::post::{Kind, PostId, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_sources::live::{Change, Intake};
use birdsong_streamer::cutter::CutRules;
use birdsong_streamer::live::{self, Board, Ended, Pipe, Start};
use birdsong_streamer::outbox::{Outbox, OutboxLimits};
use world::{Lines, START_MS, World, counted};

fn regions() -> Arc<Regions> {
    let text =
        "[[region]]\nid = \"fr\"\nlanguages = [\"fr\"]\n[[region]]\nid = \"any\"\nlanguages = [\"fr\", \"en\"]\n";
    Arc::new(Regions::parse("test", text).unwrap())
}

fn post(id: u64, now_ms: i64) -> SourcePost<'static> {
    SourcePost {
        id: PostId::x(id),
        time_ms: now_ms - 300,
        author: id % 7,
        kind: Kind::Original,
        lang: ["fr", "en", "de"][(id % 3) as usize].into(),
        hashtags: vec![],
        mentions: 0,
        hosts: vec![],
        text: "word".into(),
        point: None,
        place: None,
        rule_tags: vec![],
    }
}

fn pipe(world: &Arc<World>, run: u64, outbox: Outbox, start: Start) -> Pipe<World, World, Lines> {
    Pipe {
        source: "test".into(),
        run: format!("run{run}"),
        regions: regions(),
        size: WindowSize::FIVE_MINUTES,
        rules: CutRules::default(),
        log: world.clone(),
        settings: world.clone(),
        aside: Lines::default(),
        outbox,
        start,
        board: Arc::default(),
        clock: world.clock(),
        jitter: || 0.5,
        drain: Duration::from_secs(20),
    }
}

/// Feeds posts `from..to`, about ten a second, saying after each chunk where it would go on.
async fn feed(world: &Arc<World>, feeder: &mut live::Feeder, from: u64, to: u64) {
    feeder.change(Change::Connected);
    let mut next = from;
    while next < to {
        tokio::time::sleep(Duration::from_millis(world.dice.below(1000))).await;
        let end = (next + 1 + world.dice.below(10)).min(to);
        for id in next..end {
            feeder.post(&post(id, world.now_ms()));
        }
        next = end;
        feeder.flush(Some(next.to_string())).await;
    }
}

/// One streamer from its start to its end. `stop_after` ends it in good order, `crash_after` without
/// a word.
async fn life(
    world: &Arc<World>,
    run: u64,
    spool: &Path,
    to: u64,
    stop_after: Duration,
    is_crash: bool,
) -> Option<Ended> {
    let limits = OutboxLimits { memory_bytes: 2000, ..OutboxLimits::default() };
    let outbox = Outbox::open(Some(spool.into()), limits).unwrap();
    // A settings table that is away makes the start fail, and the task is started again.
    let start = live::start(&**world, &**world, "test", &outbox, 100_000, world.now_ms()).await.ok()?;
    let from: u64 = start.point.resume.as_ref().map_or(0, |text| text.parse().unwrap());
    let pipe = pipe(world, run, outbox, start);
    let (mut feeder, inbox) = live::feeder("test", &regions(), &world.clock(), &Arc::new(Board::default()));
    let feeding = async move {
        // A source goes back a little, to be on the safe side.
        let feeding = feed(world, &mut feeder, from.saturating_sub(20), to);
        let _ = tokio::time::timeout(stop_after, feeding).await;
        if is_crash {
            std::future::pending::<()>().await;
        }
        feeder.flush(None).await;
    };
    let living = async { tokio::join!(live::run(pipe, inbox), feeding).0.unwrap() };
    if is_crash { tokio::time::timeout(stop_after, living).await.ok() } else { Some(living.await) }
}

#[tokio::test(start_paused = true)]
async fn every_post_is_in_the_log_once_whatever_fails() {
    for seed in 0..40 {
        let world = World::new(seed, 4);
        let spool = tempfile::tempdir().unwrap();
        let posts = 3000;
        let mut run = 0;
        while run < 200 {
            // Each life is different: the log may be away, the end may be a crash.
            let away_ms = if world.dice.below(2) == 0 { world.dice.below(90_000) } else { 0 };
            world.away_until_ms.store(world.now_ms() + away_ms as i64, Ordering::Relaxed);
            let is_crash = run < 12 && world.dice.below(2) == 0;
            let time = if run < 12 { 1000 + world.dice.below(60_000) } else { 3_600_000 };
            let ended = life(&world, run, spool.path(), posts, Duration::from_millis(time), is_crash).await;
            run += 1;
            if run > 12 && ended.is_some_and(|ended| ended.left_bytes == 0) {
                break;
            }
        }
        let (counts, _) = counted(&world);
        for id in 0..posts {
            let wanted = [("fr", id % 3 == 0), ("any", id % 3 != 2)];
            for (region, is_wanted) in wanted {
                let found = counts.get(&(region.to_owned(), PostId::x(id).0)).copied().unwrap_or(0);
                assert_eq!(found, u64::from(is_wanted), "seed {seed}, post {id} in {region}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_ledger_balances_when_no_run_crashes_and_says_what_a_full_spool_gave_up() {
    for seed in 0..4 {
        let world = World::new(seed, 5);
        let spool = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 2000, spool_bytes: 20_000 };
        let outbox = Outbox::open(Some(spool.path().into()), limits).unwrap();
        let start = loop {
            match live::start(&*world, &*world, "test", &outbox, 100_000, world.now_ms()).await {
                Ok(start) => break start,
                Err(error) => assert!(error.is_retryable()),
            }
        };
        world.away_until_ms.store(START_MS + 300_000, Ordering::Relaxed);
        let (mut feeder, inbox) = live::feeder("test", &regions(), &world.clock(), &Arc::new(Board::default()));
        let pipe = pipe(&world, 0, outbox, start);
        let feeding = async {
            feed(&world, &mut feeder, 0, 5000).await;
            feeder.unreadable("half a line".into(), b"{");
            feeder.notice();
            feeder.post(&post(4999, world.now_ms()));
            feeder.flush(None).await;
            drop(feeder);
        };
        let (ended, ()) = tokio::join!(live::run(pipe, inbox), feeding);
        let ended = ended.unwrap();
        let (counts, ledger) = counted(&world);
        assert!(ledger.balances(), "seed {seed}: {ledger:?}");
        let in_log = counts.keys().map(|(_, id)| id).collect::<HashSet<_>>().len() as u64;
        assert_eq!((ledger.received, ledger.quarantined, ledger.duplicates), (5003, 1, 1), "seed {seed}");
        assert_eq!((ledger.sent, ledger.dropped), (in_log, ended.dropped), "seed {seed}");
        assert!(ended.dropped > 0 && ended.left_bytes == 0, "seed {seed}: {ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_beats_an_outage_does_not_and_a_gap_is_told_in_each_of_its_windows() {
    let world = World::new(1, 0);
    let (mut feeder, inbox) = live::feeder("test", &regions(), &world.clock(), &Arc::new(Board::default()));
    let outbox = Outbox::open(None, OutboxLimits::default()).unwrap();
    let start = live::start(&*world, &*world, "test", &outbox, 10, world.now_ms()).await.unwrap();
    let pipe = pipe(&world, 0, outbox, start);
    let feeding = async {
        let minute = Duration::from_secs(60);
        feeder.change(Change::Connected);
        feeder.flush(None).await;
        tokio::time::sleep(minute).await;
        let reason = "the connection was closed".to_owned();
        feeder.change(Change::Waiting { reason, retry_in: minute });
        feeder.flush(None).await;
        let from_ms = world.now_ms();
        tokio::time::sleep(10 * minute).await;
        feeder.change(Change::Connected);
        feeder.change(Change::Gap { from_ms, to_ms: world.now_ms(), reason: "no backfill".into() });
        feeder.flush(None).await;
        drop(feeder);
    };
    let (ended, ()) = tokio::join!(live::run(pipe, inbox), feeding);
    assert_eq!(ended.unwrap().ledger.missed_ms, 600_000);
    let (mut beats, mut missed) = (vec![], BTreeMap::<i64, u64>::new());
    for record in world.records.lock().unwrap().iter() {
        let header = frame::decode(&record.bytes).unwrap().header;
        assert_eq!(header.lane.region, STREAM);
        if header.ledger.missed_ms == 0 {
            beats.push((header.cut_ms - START_MS) / 1000);
        } else {
            *missed.entry(WindowSize::FIVE_MINUTES.start_of(header.cut_ms).0).or_default() += header.ledger.missed_ms;
        }
    }
    assert!((5..=7).contains(&beats.iter().filter(|at| **at <= 61).count()), "{beats:?}");
    assert_eq!(beats.iter().filter(|at| (62..655).contains(*at)).count(), 0, "{beats:?}");
    assert!(missed.len() == 3 && missed.values().all(|ms| *ms <= 300_000), "{missed:?}");
    assert_eq!(missed.values().sum::<u64>(), 600_000);
}
