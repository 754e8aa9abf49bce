//! Mastodon.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::frame::SlimPost;
use birdsong_domain::post::{AuthorKey, PostId};
use birdsong_domain::time::WindowSize;
use birdsong_sources::live::Intake;
use birdsong_sources::mastodon::{Feed, Mastodon, Options, Token};
use birdsong_streamer::live::{Ended, Feeder};
use birdsong_testkit::fake::InProcess;
use birdsong_testkit::fake::mastodon::{Event, Instance, Script, Trouble};

use super::world::{Counted, START_MS, World, life};

const HOUR: Duration = Duration::from_secs(3600);
const PER_SEC: u32 = 3;

fn script(seed: u64, hours: u32) -> Script {
    let until = Some(u64::from(hours * 3600 * PER_SEC));
    Script { until, token: Some("good".into()), ..Script::calm(seed, START_MS, PER_SEC) }
}

async fn stream(
    world: &Arc<World>,
    server: &Arc<Instance>,
    stop_after: Duration,
    resume: Option<String>,
    mut feeder: Feeder,
) -> Feeder {
    let token = Some(Token::new("good").unwrap());
    let options = Options { server: "https://here.example".into(), feed: Feed::Public, token };
    let key = AuthorKey([1; 16]);
    let client = Mastodon::new(options, InProcess(server.router()), key, world.clock(), || 0.5).unwrap();
    let resume = resume.unwrap_or_else(|| format!("{} {START_MS}", (START_MS - 60_000) << 16));
    let ended = tokio::time::timeout(stop_after, client.run(Some(&resume), &mut feeder)).await;
    assert!(ended.is_err(), "{ended:?}");
    feeder.flush(None).await;
    feeder
}

async fn whole(seed: u64, server: Script, log_trouble: u64, crashes: u64) -> (Arc<World>, Arc<Instance>, Ended) {
    let hours = Duration::from_secs(server.until.unwrap() / u64::from(PER_SEC));
    let world = World::new(seed, log_trouble);
    let spool = tempfile::tempdir().unwrap();
    let server = Instance::new(server, world.clock());
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

fn troubled(seed: u64, hours: u32) -> Script {
    let calm_from_ms = Some(START_MS + i64::from(hours) * 3_600_000);
    Script { troubles: Trouble::ALL.to_vec(), every_events: 300, calm_from_ms, ..script(seed, hours) }
}

type Posts = BTreeMap<(String, u128), Vec<SlimPost>>;

fn by_region(counted: Counted) -> Posts {
    let mut posts = Posts::new();
    for ((region, _, id), all) in counted {
        posts.entry((region, id)).or_default().extend(all);
    }
    posts
}

/// Each post once, the same but for its time; its window the same, too, when its server told its
/// true time and it did not come at the very border of a window.
fn assert_same(seed: u64, server: &Instance, found: &Posts, expected: &Posts) {
    let found_keys: Vec<_> = found.keys().collect();
    let expected_keys: Vec<_> = expected.keys().collect();
    assert!(found_keys == expected_keys, "seed {seed}: {} of {} posts", found_keys.len(), expected_keys.len());
    let mut honest_ms = BTreeMap::new();
    for n in 0.. {
        match server.event(n) {
            Some(Event::Update(status)) => {
                let is_honest = !["19", "209"].iter().any(|c| status["created_at"].as_str().unwrap().starts_with(c));
                if is_honest {
                    honest_ms.insert(PostId::text("mastodon", status["uri"].as_str().unwrap()).0, server.time_ms(n));
                }
            }
            Some(_) => (),
            None => break,
        }
    }
    let window = |ms: i64| WindowSize::FIVE_MINUTES.start_of(ms).0;
    for (key, posts) in found {
        assert_eq!(posts.len(), 1, "seed {seed}: {key:?}");
        let rest = |post: &SlimPost| SlimPost { t: 0, c: false, ..post.clone() };
        assert_eq!(rest(&posts[0]), rest(&expected[key][0]), "seed {seed}: {key:?}");
        if let Some(ms) = honest_ms.get(&key.1)
            && window(ms - 3000) == window(ms + 3000)
        {
            assert_eq!(window(posts[0].t), window(*ms), "seed {seed}: {key:?}");
        }
    }
}

async fn undisturbed(seed: u64, hours: u32) -> Posts {
    let (world, server, ended) = whole(seed, script(seed, hours), 0, 0).await;
    let (posts, ledger) = world.counted();
    assert_eq!(server.told().streams, 1, "nothing disturbs");
    assert!(ledger.balances() && ledger == ended.ledger && ledger.quarantined == 0, "{ledger:?}");
    assert!(posts.len() > 2000 * hours as usize, "{} posts", posts.len());
    by_region(posts)
}

#[tokio::test(start_paused = true)]
async fn hours_of_trouble_give_the_posts_of_a_calm_day_and_the_ledger_balances() {
    for seed in 0..3 {
        let expected = undisturbed(seed, 2).await;
        let (world, server, ended) = whole(seed, troubled(seed, 2), 20, 0).await;
        let (found, ledger) = world.counted();
        assert_same(seed, &server, &by_region(found), &expected);
        assert!(ledger.balances(), "seed {seed}: {ledger:?}");
        assert_eq!(ledger, ended.ledger, "seed {seed}");
        assert!(ledger.duplicates > 0 && ledger.quarantined > 0, "seed {seed}: {ledger:?}");
        assert!(server.told().streams > 15, "seed {seed}: {} streams", server.told().streams);
        assert_eq!(world.board.states()[0].gaps, 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn crashes_and_restarts_lose_nothing_and_count_nothing_twice() {
    for seed in 10..13 {
        let expected = undisturbed(seed, 1).await;
        let (world, server, _) = whole(seed, troubled(seed, 1), 20, 12).await;
        assert_same(seed, &server, &by_region(world.counted().0), &expected);
        assert_eq!(world.board.states()[0].gaps, 0, "seed {seed}");
    }
}
