//! Bluesky.

use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::post::AuthorKey;
use birdsong_sources::bluesky::{Bluesky, Options};
use birdsong_sources::live::Intake;
use birdsong_streamer::live::{Ended, Feeder};
use birdsong_testkit::fake::bluesky::{InProcess, Jetstream, Script, Trouble};

use super::world::{Counted, START_MS, World, assert_same, life};

const HOUR: Duration = Duration::from_secs(3600);
const PER_SEC: u32 = 4;

fn script(seed: u64, hours: u32) -> Script {
    let events = u64::from(hours * 3600 * PER_SEC);
    Script { posts_until: Some(events), ..Script::calm(seed, START_MS, PER_SEC) }
}

async fn stream(
    world: &Arc<World>,
    server: &Arc<Jetstream>,
    stop_after: Duration,
    resume: Option<String>,
    mut feeder: Feeder,
) -> Feeder {
    let hosts = ["ws://host0", "ws://host1", "ws://host2"].map(str::to_owned).to_vec();
    let options = Options { hosts, ..Options::default() };
    let client = Bluesky::new(options, InProcess::new(server, 5), AuthorKey([1; 16]), world.clock(), || 0.5).unwrap();
    // From the first event on, so that all runs have the same to read.
    let resume = resume.unwrap_or_else(|| (START_MS * 1000).to_string());
    let ended = tokio::time::timeout(stop_after, client.run(Some(&resume), &mut feeder)).await;
    assert!(ended.is_err(), "{ended:?}");
    feeder.flush(None).await;
    feeder
}

/// One life after the other until all is read.
async fn whole(seed: u64, server: Script, log_trouble: u64, crashes: u64) -> (Arc<World>, Arc<Jetstream>, Ended) {
    let hours = Duration::from_secs(server.posts_until.unwrap() / u64::from(PER_SEC));
    let world = World::new(seed, log_trouble);
    let spool = tempfile::tempdir().unwrap();
    let server = Jetstream::new(server, world.clock());
    for run in 0..crashes {
        let time = Duration::from_secs(1 + world.below(hours.as_secs() / crashes));
        let is_crash = world.below(3) > 0;
        let source = |resume, feeder| stream(&world, &server, time, resume, feeder);
        life(&world, run, spool.path(), (time, is_crash), source).await;
    }
    let gone = Duration::from_millis((world.now_ms() - START_MS) as u64);
    let rest = hours.saturating_sub(gone) + HOUR / 4;
    let source = |resume, feeder| stream(&world, &server, rest, resume, feeder);
    let ended = life(&world, crashes, spool.path(), (rest, false), source).await.unwrap();
    assert_eq!((ended.left_bytes, ended.dropped), (0, 0), "seed {seed}");
    (world, server, ended)
}

async fn undisturbed(seed: u64, hours: u32) -> Counted {
    let (world, server, ended) = whole(seed, script(seed, hours), 0, 0).await;
    let (posts, ledger) = world.counted();
    assert_eq!(server.told().cursors.len(), 1, "nothing disturbs");
    assert!(ledger.balances() && ledger == ended.ledger && ledger.quarantined == 0, "{ledger:?}");
    assert!(posts.len() > 4000 * hours as usize / 2, "{} posts", posts.len());
    posts
}

fn troubled(seed: u64, hours: u32) -> Script {
    let calm_from_ms = Some(START_MS + i64::from(hours) * 3_600_000);
    Script { troubles: Trouble::ALL.to_vec(), every_events: 400, calm_from_ms, ..script(seed, hours) }
}

#[tokio::test(start_paused = true)]
async fn hours_of_trouble_give_the_windows_of_a_calm_day_and_the_ledger_balances() {
    for seed in 0..3 {
        let expected = undisturbed(seed, 2).await;
        let (world, server, ended) = whole(seed, troubled(seed, 2), 20, 0).await;
        let (found, ledger) = world.counted();
        assert_same(seed, &found, &expected);
        assert!(ledger.balances(), "seed {seed}: {ledger:?}");
        assert_eq!(ledger, ended.ledger, "seed {seed}");
        assert!(ledger.duplicates > 0 && ledger.quarantined > 0, "seed {seed}: {ledger:?}");
        assert!(server.told().cursors.len() > 20, "seed {seed}: {} connections", server.told().cursors.len());
        let state = &world.board.states()[0];
        assert_eq!(state.gaps, 0, "seed {seed}");
        assert!(state.reconnects > 20, "seed {seed}: {state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn crashes_and_restarts_lose_nothing_and_count_nothing_twice() {
    for seed in 10..13 {
        let expected = undisturbed(seed, 1).await;
        let (world, ..) = whole(seed, troubled(seed, 1), 20, 12).await;
        assert_same(seed, &world.counted().0, &expected);
        assert_eq!(world.board.states()[0].gaps, 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_whose_clocks_differ_take_over_from_each_other() {
    for seed in 20..21 {
        let expected = undisturbed(seed, 1).await;
        let skew_us = vec![0, 900_000, -1_300_000];
        let (world, server, _) = whole(seed, Script { skew_us, ..troubled(seed, 1) }, 0, 0).await;
        assert!(server.told().cursors.len() > 10);
        // The same posts once each, though a second or so earlier or later.
        let ids = |posts: &Counted| {
            let mut ids: Vec<_> =
                posts.iter().flat_map(|(key, all)| all.iter().map(|_| (key.0.clone(), key.2))).collect();
            ids.sort_unstable();
            ids
        };
        assert!(ids(&world.counted().0) == ids(&expected), "seed {seed}");
    }
}
