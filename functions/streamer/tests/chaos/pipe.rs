//! A live source, a log that fails, restarts and crashes, in simulated time: nothing is lost, nothing
//! counts twice, and the ledger records what happened.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::frame::{self, STREAM};
use birdsong_domain::post::{PostId, SourcePost};
use birdsong_domain::time::{WindowSize, rfc3339};
use birdsong_sources::intake::{Change, Intake, Resume};
use birdsong_streamer::ingest::Ingest;
use birdsong_streamer::outbox::OutboxLimits;
use tokio::time::{sleep, timeout};

use super::world::{Life, START_MS, World, seeds};

const REGIONS: &str =
    "[[region]]\nid = \"fr\"\nlanguages = [\"fr\"]\n[[region]]\nid = \"any\"\nlanguages = [\"fr\", \"en\"]\n";

fn post(id: u64, now_ms: i64) -> SourcePost<'static> {
    SourcePost {
        id: PostId(u128::from(id)),
        time_ms: now_ms - 300,
        author: Some(id % 7),
        lang: ["fr", "en", "de"][(id % 3) as usize].into(),
        text: "word".into(),
        ..SourcePost::default()
    }
}

/// How many posts a source goes back at most, to be on the safe side.
const BACK: u64 = 20;

/// Feeds posts `from..to`, about ten a second, with a resume point after each chunk. `first_ms`
/// has the time at which each post was received first.
async fn feed(world: &Arc<World>, feeder: &mut Ingest, first_ms: &mut Vec<i64>, from: u64, to: u64) {
    feeder.change(Change::Connected);
    let mut next = from;
    while next < to {
        sleep(Duration::from_millis(world.below(1000))).await;
        let end = (next + 1 + world.below(10)).min(to);
        for id in next..end {
            feeder.post(&post(id, world.now_ms()));
            if id == first_ms.len() as u64 {
                first_ms.push(world.now_ms());
            }
        }
        next = end;
        if world.below(8) == 0 {
            // Cut at once, while posts may still wait.
            let (from_ms, to_ms) = (world.now_ms() - 10, world.now_ms());
            feeder.change(Change::Gap { from_ms, to_ms, reason: "no backfill".into() });
        }
        let since_ms = first_ms[next.saturating_sub(BACK) as usize];
        feeder.flush(Some(Resume { cursor: next.to_string(), since_ms })).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_post_is_in_the_log_once_whatever_fails() {
    for seed in seeds(0..40) {
        let world = World::new(seed, 4, REGIONS);
        let spool = tempfile::tempdir().unwrap();
        let posts = 3000;
        let (mut run, mut first_ms) = (0, vec![]);
        while run < 200 {
            // Each life is different: the log may be unavailable, the end may be a crash.
            world.down_for_ms(if world.below(2) == 0 { world.below(90_000) } else { 0 });
            let is_crash = run < 12 && world.below(2) == 0;
            let time = Duration::from_millis(if run < 12 { 1000 + world.below(60_000) } else { 3_600_000 });
            let limits = OutboxLimits { memory_bytes: 2000, ..OutboxLimits::default() };
            let drain = Duration::from_secs(20);
            let crash_after = is_crash.then_some(time);
            let life = Life { spool: Some(spool.path()), limits, drain, crash_after, ..Life::calm("test") };
            let lived = life
                .live(&world, async |resume, feeder| {
                    let from: u64 = resume.map_or(0, |text| text.parse().unwrap());
                    let from = from.saturating_sub(world.below(2) * BACK);
                    let _ = timeout(time, feed(&world, feeder, &mut first_ms, from, posts)).await;
                })
                .await;
            run += 1;
            if run > 12 && lived.is_some_and(|(ended, ())| ended.left_bytes == 0) {
                break;
            }
        }
        let (counts, _) = world.counted();
        for id in 0..posts {
            let wanted = [("fr", id % 3 == 0), ("any", id % 3 != 2)];
            for (region, is_wanted) in wanted {
                let found = counts.get(&(region.to_owned(), PostId(u128::from(id)).0)).map_or(0, Vec::len);
                assert_eq!(found, usize::from(is_wanted), "seed {seed}, post {id} in {region}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_ledger_balances_when_no_run_crashes_and_counts_what_a_full_spool_dropped() {
    for seed in seeds(0..4) {
        let world = World::new(seed, 5, REGIONS);
        let spool = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 2000, spool_bytes: 20_000 };
        let life = Life { spool: Some(spool.path()), limits, ..Life::calm("test") };
        let lived = life.live(&world, async |_, feeder| {
            world.down_for_ms(300_000);
            feed(&world, feeder, &mut vec![], 0, 5000).await;
            feeder.unreadable("half a line".into(), b"{");
            feeder.notice();
            feeder.post(&post(4999, world.now_ms()));
        });
        let (ended, ()) = lived.await.unwrap();
        let (counts, ledger) = world.counted();
        assert!(ledger.balances(), "seed {seed}: {ledger:?}");
        let in_log = counts.keys().map(|(_, id)| id).collect::<HashSet<_>>().len() as u64;
        assert_eq!((ledger.received, ledger.quarantined, ledger.duplicates), (5003, 1, 1), "seed {seed}");
        assert_eq!((ledger.sent, ledger.dropped), (in_log, ended.dropped), "seed {seed}");
        assert!(ended.dropped > 0 && ended.left_bytes == 0, "seed {seed}: {ended:?}");
        assert_eq!(world.board.entries()[0].ledger.dropped, ended.dropped, "seed {seed}: so does the metric");
    }
}

/// Found by Mastodon's chaos: after a long silence it stays where it was for a while, to read again what
/// came late, and a crash then found posts in the log that the next run did not look for.
#[tokio::test(start_paused = true)]
async fn what_a_source_repeats_from_a_place_where_it_stayed_for_long_counts_once() {
    let world = World::new(1, 0, REGIONS);
    let long = Duration::from_secs(100);
    let crash = Life { crash_after: Some(3 * long), ..Life::calm("test") };
    let crashed = crash.live(&world, async |_, feeder| {
        for id in 0..3 {
            feeder.post(&post(id, world.now_ms()));
            feeder.flush(Some(Resume { cursor: "before 0".into(), since_ms: START_MS })).await;
            sleep(long).await;
        }
        std::future::pending::<()>().await;
    });
    assert!(crashed.await.is_none());
    let again = Life::calm("test").live(&world, async |resume, feeder| {
        assert_eq!(resume.as_deref(), Some("before 0"));
        for id in 0..4 {
            feeder.post(&post(id, world.now_ms()));
        }
        feeder.flush(None).await;
    });
    again.await.unwrap();
    let (posts, _) = world.counted();
    assert_eq!(posts.values().map(Vec::len).collect::<Vec<_>>(), [1; 5], "0, 1 and 3 in any, 0 and 3 in fr");
}

#[tokio::test(start_paused = true)]
async fn silence_beats_an_outage_does_not_and_a_gap_shows_in_each_of_its_windows() {
    let world = World::new(1, 0, REGIONS);
    let lived = Life::calm("test").live(&world, async |_, feeder| {
        let minute = Duration::from_secs(60);
        feeder.change(Change::Connected);
        feeder.flush(None).await;
        sleep(minute).await;
        let reason = "the connection was closed".to_owned();
        feeder.change(Change::Waiting { reason, retry_in: minute });
        feeder.flush(None).await;
        let from_ms = world.now_ms();
        sleep(10 * minute).await;
        feeder.change(Change::Connected);
        feeder.change(Change::Gap { from_ms, to_ms: world.now_ms(), reason: "no backfill".into() });
        feeder.flush(None).await;
    });
    let (ended, ()) = lived.await.unwrap();
    assert_eq!(ended.ledger.missed_ms, 600_000);
    let (mut beats, mut missed) = (vec![], BTreeMap::<i64, u64>::new());
    for record in world.records.lock().unwrap().iter() {
        let header = frame::decode(&record.bytes).unwrap().header;
        assert_eq!(header.lane.region(), STREAM);
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

/// Milliseconds that were missed in each window, counted from the first one, by the records from `first` on.
fn missed(world: &World, first: usize) -> BTreeMap<i64, u64> {
    let mut missed = BTreeMap::new();
    for record in &world.records.lock().unwrap()[first..] {
        let header = frame::decode(&record.bytes).unwrap().header;
        if header.ledger.missed_ms > 0 {
            let window =
                WindowSize::FIVE_MINUTES.start_of(header.cut_ms).0 - WindowSize::FIVE_MINUTES.start_of(START_MS).0;
            *missed.entry(window / 300_000).or_default() += header.ledger.missed_ms;
        }
    }
    missed
}

fn waiting(reason: &str) -> Change {
    Change::Waiting { reason: reason.into(), retry_in: Duration::from_secs(60) }
}

// Rule 3.9.
/// Once `complete: true`, as nothing was known of a source before its first connection.
#[tokio::test(start_paused = true)]
async fn a_source_that_never_connects_makes_windows_incomplete_while_they_are_current() {
    let world = World::new(1, 0, REGIONS);
    let minute = Duration::from_secs(60);
    let lived = Life::calm("test").live(&world, async |_, feeder| {
        for _ in 0..23 {
            feeder.change(waiting("nothing there"));
            feeder.flush(None).await;
            sleep(minute).await;
            // START_MS is 200 s into its window.
            let since_ms = world.now_ms() - START_MS;
            let reported_ms: u64 = missed(&world, 0).values().sum();
            assert!(since_ms - reported_ms as i64 <= 11_000, "{reported_ms} of {since_ms}");
        }
    });
    let (ended, ()) = lived.await.unwrap();
    let missed = missed(&world, 0);
    assert!(missed.len() >= 5 && (1..4).all(|window| missed[&window] == 300_000), "{missed:?}");
    assert!(ended.ledger.balances() && ended.ledger.received == 0);
    assert!(world.board.states()[0].waiting_since_ms.is_some());
}

// Rule 3.9.
/// A source whose windows are complete in the end must not have been counted as missed, and a gap counts once even
/// if it was noted while it lasted, and by an earlier run.
#[tokio::test(start_paused = true)]
async fn what_a_source_gets_later_is_not_missed_and_what_it_reports_later_counts_once() {
    let minute = Duration::from_secs(60);
    for (reach_ms, is_gap) in [(i64::MAX, false), (i64::MAX, true), (0, true), (300_000, true)] {
        let world = World::new(1, 0, REGIONS);
        let resume = || Some(Resume { cursor: "here".into(), since_ms: world.now_ms() });
        let life = Life { reach_ms, ..Life::calm("test") };
        let first = life.live(&world, async |_, feeder| {
            feeder.change(Change::Connected);
            feeder.post(&post(1, world.now_ms()));
            feeder.flush(resume()).await;
            sleep(minute).await;
            feeder.change(waiting("the connection was closed"));
            feeder.flush(None).await;
            sleep(20 * minute).await;
        });
        first.await.unwrap();
        let lost_ms = START_MS + 60_000;
        let second = life.live(&world, async |_, feeder| {
            feeder.change(waiting("nothing there"));
            feeder.flush(None).await;
            sleep(10 * minute).await;
            feeder.change(Change::Connected);
            if is_gap {
                let to_ms = world.now_ms() - if reach_ms == 0 { 0 } else { 300_000 };
                feeder.change(Change::Gap { from_ms: lost_ms, to_ms, reason: "no backfill".into() });
            }
            feeder.flush(resume()).await;
        });
        second.await.unwrap();
        let missed = missed(&world, 0);
        let whole: u64 = missed.values().sum();
        let wanted = match (reach_ms, is_gap) {
            (_, false) => 0,
            (0, _) => 30 * 60_000,
            _ => 25 * 60_000,
        };
        // The log needs some milliseconds between the runs.
        assert!(whole.abs_diff(wanted) < 1000, "reach {reach_ms}: {whole}, not {wanted}: {missed:?}");
        assert!(missed.values().all(|ms| *ms <= 300_000), "reach {reach_ms}: {missed:?}");
    }
}

// Rule 4.4.
/// What happened: windows of the year 2100 were the newest in every query.
#[tokio::test(start_paused = true)]
async fn a_clock_in_2100_for_a_moment_opens_no_window_there() {
    let world = World::new(1, 0, REGIONS);
    let lived = Life::calm("test").live(&world, async |_, feeder| {
        feeder.change(Change::Connected);
        for id in 0..60 {
            // A post of the true time, which is long ago by such a clock.
            feeder.post(&post(id, world.true_ms()));
            feeder.flush(None).await;
            world.clock_is_ahead_by_ms(if (20..28).contains(&id) { 74 * 365 * 86_400_000 } else { 0 });
            sleep(Duration::from_secs(1)).await;
        }
        // And one that is ahead of a clock that is right.
        feeder.post(&post(1000, world.now_ms() + 700_000));
        feeder.post(&post(1001, i64::MAX / 2000));
        feeder.flush(None).await;
    });
    let (ended, ()) = lived.await.unwrap();
    let end_ms = world.now_ms();
    for record in world.records.lock().unwrap().iter() {
        let frame = frame::decode(&record.bytes).unwrap();
        assert!(frame.header.cut_ms <= end_ms, "{:?}", frame.header);
        assert!(frame.posts.iter().all(|post| post.time_ms <= end_ms));
    }
    assert_eq!((ended.ledger.received, ended.ledger.quarantined), (62, 2));
    assert!(ended.ledger.balances());
    let lines = world.aside.0.lock().unwrap();
    assert!(lines.iter().all(|line| line.reason.ends_with("ahead of our clock")), "{lines:?}");
    let last_post = rfc3339(world.board.states()[0].last_post_ms.unwrap());
    assert!(last_post.starts_with("2023-11-14T22:14"), "{last_post}");
}
