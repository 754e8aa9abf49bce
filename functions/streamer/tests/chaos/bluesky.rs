//! The client of Bluesky against a fake of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use birdsong_domain::frame::SlimPost;
use birdsong_domain::post::{InstallationKey, Kind};
use birdsong_domain::time::rfc3339;
use birdsong_domain::uniques::Uniques;
use birdsong_domain::window::Aggregate;
use birdsong_sources::bluesky::fake::{InProcess, Jetstream, Script, Trouble};
use birdsong_sources::bluesky::{Bluesky, NAME, Options};
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Source, SourceError};
use birdsong_streamer::ingest::Ingest;
use birdsong_streamer::pipeline::Ended;
use birdsong_testkit::context;

use super::windows::{Order, Windows};
use super::world::{Counted, START_MS, World, assert_same_posts, lives, seeds};

const PER_SEC: u32 = 4;
/// Regions for posts without places; one of them has its posts in two lanes.
pub(crate) const REGIONS: &str = "[[region]]\nid = \"west\"\nlanguages = [\"fr\", \"en\"]\n\
    [[region]]\nid = \"montreal\"\nkeywords = [\"montréal\", \"métro\", \"#GoHabsGo\"]\nhot_buckets = 2\n\
    [[region]]\nid = \"tokyo\"\nkeywords = [\"東京\", \"#東京\"]\n";

pub(crate) fn script(seed: u64, hours: u32) -> Script {
    let events = u64::from(hours * 3600 * PER_SEC);
    Script { posts_until: Some(events), ..Script::calm(seed, START_MS, PER_SEC) }
}

pub(crate) fn troubled(seed: u64, hours: u32) -> Script {
    let calm_from_ms = Some(START_MS + i64::from(hours) * 3_600_000);
    Script { troubles: Trouble::ALL.to_vec(), every_events: 400, calm_from_ms, ..script(seed, hours) }
}

/// A client of a streamer that starts.
async fn stream(
    world: &Arc<World>,
    server: &Arc<Jetstream>,
    resume: Option<String>,
    feeder: &mut Ingest,
) -> SourceError {
    let hosts = ["ws://host0", "ws://host1", "ws://host2"].map(str::to_owned).to_vec();
    let options = Options { hosts, ..Options::default() };
    let mut client = Bluesky::new(
        options,
        InProcess::new(server, 5),
        &context(world.regions.clone(), InstallationKey([1; 16]), world.clock()),
    )
    .unwrap();
    // From the first event on, so that all runs have the same to read.
    let resume = resume.unwrap_or_else(|| (START_MS * 1000).to_string());
    client.stream(Some(&resume), feeder, Stop::never()).await.unwrap()
}

/// One life after the other until all is read.
pub(crate) async fn live_through(world: &Arc<World>, script: Script, crashes: u64) -> (Arc<Jetstream>, Ended) {
    let time = Duration::from_secs(script.posts_until.unwrap() / u64::from(PER_SEC));
    let server = Jetstream::new(script, world.clock());
    let client = async |resume, feeder: &mut Ingest| stream(world, &server, resume, feeder).await;
    let ended = lives(world, NAME, time, crashes, client).await;
    (server, ended)
}

async fn whole(seed: u64, script: Script, trouble: u64, crashes: u64) -> (Arc<World>, Arc<Jetstream>, Ended) {
    let world = World::new(seed, trouble, REGIONS);
    let (server, ended) = live_through(&world, script, crashes).await;
    (world, server, ended)
}

async fn undisturbed(seed: u64, hours: u32) -> (Counted, Windows) {
    let (world, server, ended) = whole(seed, script(seed, hours), 0, 0).await;
    let (posts, ledger) = world.counted();
    assert_eq!(server.activity().cursors.len(), 1, "nothing disturbs");
    assert!(ledger.balances() && ledger == ended.ledger && ledger.quarantined == 0, "{ledger:?}");
    assert!(posts.len() > 4000 * hours as usize / 2, "{} posts", posts.len());
    // They come without words, and count where their originals did.
    for region in world.regions.list() {
        let is_repost =
            |(key, posts): (&(String, _), &Vec<SlimPost>)| key.0 == region.id && posts[0].kind == Kind::Repost;
        let reposts = posts.iter().filter(|entry| is_repost(*entry)).count();
        assert!(reposts > 50, "{reposts} reposts in {}", region.id);
    }
    let windows = Windows::of(&world).await;
    // Else the order of the posts would not show.
    let is_sketched = |(_, aggregate): (_, &Aggregate)| matches!(aggregate.authors.known, Uniques::Sketch(_));
    let is_purged =
        |(_, aggregate): (_, &Aggregate)| aggregate.hosts.top.as_ref().is_some_and(|hosts| hosts.error() > 0);
    assert!(windows.all().any(is_sketched) && windows.all().any(is_purged));
    (posts, windows)
}

#[tokio::test(start_paused = true)]
async fn hours_of_trouble_give_the_windows_of_a_calm_day_and_the_ledger_balances() {
    for seed in seeds(0..3) {
        let what = format!("seed {seed}");
        let (posts, windows) = undisturbed(seed, 2).await;
        let (world, server, ended) = whole(seed, troubled(seed, 2), 20, 0).await;
        let (found, ledger) = world.counted();
        assert_same_posts(&what, &found, &posts, SlimPost::clone);
        Windows::of(&world).await.assert_same(&what, &windows, Order::Kept);
        assert!(ledger.balances(), "{what}: {ledger:?}");
        assert_eq!(ledger, ended.ledger, "{what}");
        assert!(ledger.duplicates > 0 && ledger.quarantined > 0, "{what}: {ledger:?}");
        assert!(server.activity().cursors.len() > 20, "{what}: {} connections", server.activity().cursors.len());
        let state = &world.board.states()[0];
        assert_eq!(state.gaps, 0, "{what}");
        assert!(state.reconnects > 20, "{what}: {state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn crashes_and_restarts_lose_nothing_and_count_nothing_twice() {
    // 1008: a restart repeats what came before a minute of silence.
    for seed in seeds([10, 11, 12, 1008]) {
        let what = format!("seed {seed}");
        let (posts, windows) = undisturbed(seed, 1).await;
        let (world, ..) = whole(seed, troubled(seed, 1), 20, 12).await;
        assert_same_posts(&what, &world.counted().0, &posts, SlimPost::clone);
        Windows::of(&world).await.assert_same(&what, &windows, Order::Kept);
        assert_eq!(world.board.states()[0].gaps, 0, "{what}");
    }
}

/// Our clock is five minutes behind, or forty minutes or two hours ahead, from one start to another.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_from_start_to_start_changes_no_window() {
    for seed in seeds(40..42) {
        let what = format!("seed {seed}");
        let (posts, windows) = undisturbed(seed, 1).await;
        let world = World::new(seed, 20, REGIONS);
        world.clock_jumps.store(true, Ordering::Relaxed);
        let right = world.clone();
        let server = Jetstream::new(troubled(seed, 1), Arc::new(move || right.true_ms()));
        let client = async |resume, feeder: &mut Ingest| stream(&world, &server, resume, feeder).await;
        lives(&world, NAME, Duration::from_secs(3600), 12, client).await;
        let (found, ledger) = world.counted();
        assert_same_posts(&what, &found, &posts, SlimPost::clone);
        assert!(ledger.balances(), "{what}: {ledger:?}");
        Windows::of(&world).await.assert_same(&what, &windows, Order::Kept);
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_whose_clocks_differ_take_over_from_each_other() {
    for seed in seeds(20..21) {
        let (posts, _) = undisturbed(seed, 1).await;
        let skew_us = vec![0, 900_000, -1_300_000];
        let (world, server, _) = whole(seed, Script { skew_us, ..troubled(seed, 1) }, 0, 0).await;
        assert!(server.activity().cursors.len() > 10);
        // The same posts once each, though a second or so earlier or later.
        let rest = |post: &SlimPost| SlimPost { time_ms: 0, ..post.clone() };
        assert_same_posts(&format!("seed {seed}"), &world.counted().0, &posts, rest);
    }
}

// Rule 4.5.
/// Jetstream's second kind of host (issue 343): each connection starts up to an hour back.
#[tokio::test(start_paused = true)]
async fn hosts_that_start_an_hour_before_the_cursor_change_no_window_and_no_ledger() {
    for seed in seeds([30]) {
        let what = format!("seed {seed}");
        let (posts, windows) = undisturbed(seed, 2).await;
        let seal_every = Some(Duration::from_secs(3600));
        let troubles = vec![Trouble::Cut, Trouble::GoAway, Trouble::Silence];
        let script = Script { seal_every, troubles, every_events: 1500, ..troubled(seed, 2) };
        let (world, server, ended) = whole(seed, script.clone(), 20, 0).await;
        let (found, ledger) = world.counted();
        assert_same_posts(&what, &found, &posts, SlimPost::clone);
        Windows::of(&world).await.assert_same(&what, &windows, Order::Kept);
        assert!(ledger.balances() && ledger == ended.ledger, "{what}: {ledger:?}");
        let (activity, state) = (server.activity(), &world.board.states()[0]);
        assert!(activity.replayed > 5000, "{what}: {}", activity.replayed);
        // All but those of the rewind, and those that a broken connection had under way.
        assert!(
            state.replayed > activity.replayed * 8 / 10 && state.replayed <= activity.replayed,
            "{what}: {state:?} {activity:?}"
        );
        let connections = activity.cursors.len() as u64;
        assert!(ledger.duplicates < connections * 120, "{what}: {connections} connections, {ledger:?}");
        assert_eq!((state.gaps, ledger.quarantined, ledger.missed_ms), (0, 0, 0), "{what}");
        assert!(activity.cursors.iter().flatten().is_sorted(), "{what}: the cursor never goes back");
        // And when the streamer crashes.
        let (world, server, _) = whole(seed, script, 20, 8).await;
        assert_same_posts(&what, &world.counted().0, &posts, SlimPost::clone);
        Windows::of(&world).await.assert_same(&what, &windows, Order::Kept);
        assert!(server.activity().replayed > 5000, "{what}");
    }
}

// Rule 4.4.
/// One such event once blinded the status until its time, and as a cursor it skipped what was to come.
#[tokio::test(start_paused = true)]
async fn events_from_the_far_future_are_quarantined_and_do_not_move_the_cursor() {
    for seed in seeds([40]) {
        let what = format!("seed {seed}");
        let (posts, windows) = undisturbed(seed, 1).await;
        let script = Script { troubles: vec![Trouble::Future, Trouble::Cut], every_events: 60, ..troubled(seed, 1) };
        let (world, server, ended) = whole(seed, script, 0, 4).await;
        assert_same_posts(&what, &world.counted().0, &posts, SlimPost::clone);
        Windows::of(&world).await.assert_same(&what, &windows, Order::Kept);
        assert!(ended.ledger.balances() && ended.ledger.quarantined > 0, "{what}: {:?}", ended.ledger);
        let now_us = world.now_ms() * 1000;
        assert!(server.activity().cursors.iter().flatten().all(|cursor| *cursor <= now_us), "{what}");
        let last_post = rfc3339(world.board.states()[0].last_post_ms.unwrap());
        assert!(last_post.starts_with("2023-11-14T23"), "{what}: {last_post}");
        assert_eq!(world.board.states()[0].gaps, 0, "{what}");
    }
}
