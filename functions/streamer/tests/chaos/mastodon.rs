//! The client of Mastodon against a fake of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::frame::SlimPost;
use birdsong_domain::post::InstallationKey;
use birdsong_domain::time::WindowSize;
use birdsong_sources::fake::InProcess;
use birdsong_sources::http::Token;
use birdsong_sources::mastodon::fake::{Event, Instance, Script, Trouble};
use birdsong_sources::mastodon::{Feed, Mastodon, Options};
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Source, SourceError};
use birdsong_streamer::ingest::Ingest;
use birdsong_streamer::pipeline::Ended;
use birdsong_testkit::context;

use super::bluesky::REGIONS;
use super::windows::{Order, Windows};
use super::world::{Counted, START_MS, World, assert_same_posts, lives, seeds};

pub(crate) const NAME: &str = "mastodon:here.example";
const PER_SEC: u32 = 3;

pub(crate) fn script(seed: u64, hours: u32) -> Script {
    let until = Some(u64::from(hours * 3600 * PER_SEC));
    Script { until, token: Some("good".into()), ..Script::calm(seed, START_MS, PER_SEC) }
}

pub(crate) fn troubled(seed: u64, hours: u32) -> Script {
    let calm_from_ms = Some(START_MS + i64::from(hours) * 3_600_000);
    Script { troubles: Trouble::ALL.to_vec(), every_events: 300, calm_from_ms, ..script(seed, hours) }
}

/// A client of a streamer that starts.
async fn stream(
    world: &Arc<World>,
    server: &Arc<Instance>,
    resume: Option<String>,
    feeder: &mut Ingest,
) -> SourceError {
    let token = Some(Token::new("good").unwrap());
    let options = Options { server: "https://here.example".into(), feed: Feed::Public, token };
    let key = InstallationKey([1; 16]);
    let mut client =
        Mastodon::new(options, InProcess(server.router()), &context(world.regions.clone(), key, world.clock()))
            .unwrap();
    let resume = resume.unwrap_or_else(|| format!("{} {START_MS}", (START_MS - 60_000) << 16));
    client.stream(Some(&resume), feeder, Stop::never()).await.unwrap()
}

/// One life after the other until all is read.
pub(crate) async fn live_through(world: &Arc<World>, script: Script, crashes: u64) -> (Arc<Instance>, Ended) {
    let time = Duration::from_secs(script.until.unwrap() / u64::from(PER_SEC));
    let server = Instance::new(script, world.clock());
    let client = async |resume, feeder: &mut Ingest| stream(world, &server, resume, feeder).await;
    let ended = lives(world, NAME, time, crashes, client).await;
    (server, ended)
}

async fn whole(seed: u64, script: Script, trouble: u64, crashes: u64) -> (Arc<World>, Arc<Instance>, Ended) {
    let world = World::new(seed, trouble, REGIONS);
    let (server, ended) = live_through(&world, script, crashes).await;
    (world, server, ended)
}

async fn undisturbed(script: Script) -> (Counted, Windows) {
    let hours = script.until.unwrap() as usize / 3600 / PER_SEC as usize;
    let (world, server, ended) = whole(script.seed, script, 0, 0).await;
    let (posts, ledger) = world.counted();
    assert_eq!(server.activity().streams, 1, "nothing disturbs");
    assert!(ledger.balances() && ledger == ended.ledger && ledger.quarantined == 0, "{ledger:?}");
    assert!(posts.len() > 2000 * hours, "{} posts", posts.len());
    (posts, Windows::of(&world).await)
}

/// Each post once, the same except for its time. Its window is the same, too, when its server sent its
/// true time and it did not arrive at the very border of a window.
fn assert_same(what: &str, server: &Instance, found: &Counted, expected: &Counted) {
    assert_same_posts(what, found, expected, |post| SlimPost { time_ms: 0, ..post.clone() });
    let mut honest_ms = BTreeMap::new();
    for n in 0.. {
        match server.event(n) {
            Some(Event::Update(status)) => {
                let is_honest = !["19", "209"].iter().any(|c| status["created_at"].as_str().unwrap().starts_with(c));
                if is_honest {
                    honest_ms.insert(
                        InstallationKey([1; 16]).post("mastodon", status["uri"].as_str().unwrap().as_bytes()).0,
                        server.time_ms(n),
                    );
                }
            }
            Some(_) => (),
            None => break,
        }
    }
    let window = |ms: i64| WindowSize::FIVE_MINUTES.start_of(ms).0;
    for (key, posts) in found {
        if let Some(ms) = honest_ms.get(&key.1)
            && window(ms - 3000) == window(ms + 3000)
        {
            assert_eq!(window(posts[0].time_ms), window(*ms), "{what}: {key:?}");
        }
    }
}

/// The authors' servers send true times, so that posts from the timeline count where they would have
/// counted.
pub(crate) fn honest(script: Script) -> Script {
    Script { is_honest: true, ..script }
}

#[tokio::test(start_paused = true)]
async fn hours_of_trouble_give_the_posts_of_a_calm_day_and_the_ledger_balances() {
    for seed in seeds(0..3) {
        let what = format!("seed {seed}");
        let (posts, _) = undisturbed(script(seed, 2)).await;
        let (world, server, ended) = whole(seed, troubled(seed, 2), 20, 0).await;
        let (found, ledger) = world.counted();
        assert_same(&what, &server, &found, &posts);
        assert!(ledger.balances(), "{what}: {ledger:?}");
        assert_eq!(ledger, ended.ledger, "{what}");
        assert!(ledger.duplicates > 0 && ledger.quarantined > 0, "{what}: {ledger:?}");
        assert!(server.activity().streams > 15, "{what}: {} streams", server.activity().streams);
        assert_eq!(world.board.states()[0].gaps, 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn hours_of_trouble_give_the_windows_of_a_calm_day_when_servers_send_true_times() {
    for seed in seeds(0..2) {
        let what = format!("seed {seed}");
        let (_, windows) = undisturbed(honest(script(seed, 2))).await;
        let (world, server, _) = whole(seed, honest(troubled(seed, 2)), 20, 0).await;
        Windows::of(&world).await.assert_same(&what, &windows, Order::Free);
        assert!(server.activity().streams > 15, "{what}: {} streams", server.activity().streams);
    }
}

#[tokio::test(start_paused = true)]
async fn crashes_and_restarts_lose_nothing_and_count_nothing_twice() {
    // 18 crashes where a resume point was once too young, behind a long silence.
    for seed in seeds([10, 11, 12, 18]) {
        let what = format!("seed {seed}");
        let (posts, _) = undisturbed(script(seed, 1)).await;
        let (world, server, _) = whole(seed, troubled(seed, 1), 20, 12).await;
        assert_same(&what, &server, &world.counted().0, &posts);
        assert_eq!(world.board.states()[0].gaps, 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn crashes_and_restarts_give_the_windows_of_a_calm_day_when_servers_send_true_times() {
    for seed in seeds(10..12) {
        let (_, windows) = undisturbed(honest(script(seed, 1))).await;
        let (world, ..) = whole(seed, honest(troubled(seed, 1)), 20, 12).await;
        Windows::of(&world).await.assert_same(&format!("seed {seed}"), &windows, Order::Free);
    }
}
