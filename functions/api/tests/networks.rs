//! Counts by network: they add up to the whole, and the flaws of one network are no other's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use birdsong_api::{Api, router};
use birdsong_domain::frame::{Frame, FrameError, FrameHeader, Lane, Ledger, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, WindowStore};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use birdsong_testkit::MemoryStore;
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

/// 2023-11-14T22:15:00Z, a window's start.
const T: i64 = 1_700_000_100_000;
const MIN: i64 = 60_000;
const NETWORKS: [Network; 3] = [Network::BLUESKY, Network::MASTODON, Network::X];

/// Stores what is counted of these frames.
async fn put(store: &MemoryStore, lane: Lane, window: i64, frames: &[Frame]) {
    let mut aggregate = Aggregate::default();
    for frame in frames {
        aggregate.fold(FoldRules::default(), WindowStart(window), frame);
    }
    let key = PartialKey { lane, window: WindowStart(window) };
    let partial = Partial { generation: 1, fence: 1u64.into(), aggregate, stored_ms: 0 };
    store.put(&key, &partial, &Expected::Absent).await.unwrap();
}

fn frame(cut_ms: i64, posts: Vec<SlimPost>) -> Frame {
    let header = FrameHeader { run: "r".into(), counter: 1, cut_ms, live: true, ..FrameHeader::default() };
    Frame { header, posts, damage: None }
}

/// A frame of a ledger.
fn ledger(ledger: Ledger) -> Frame {
    let beat = frame(T + 1000, vec![]);
    Frame { header: FrameHeader { ledger, ..beat.header }, ..beat }
}

fn app(store: MemoryStore) -> axum::Router {
    let regions = Regions::parse("test", "[[region]]\nid = \"a\"\nlanguages = [\"en\"]\nhot_buckets = 2\n").unwrap();
    router(Api {
        store: Arc::new(store),
        regions: Arc::new(regions.list().to_vec()),
        rules: FoldRules::default(),
        now_ms: Arc::new(|| T + 60 * MIN),
        sources: Arc::new(Vec::new),
        problems: Arc::new(Vec::new),
        grace_ms: 0,
    })
}

/// Status and body of `/api/windows` of the two windows from `T`, with this behind the query.
async fn get(app: &axum::Router, more: &str) -> (u16, Value) {
    let path = format!("/api/windows?from=2023-11-14T22:15:00Z&to=2023-11-14T22:25:00Z{more}");
    let answer = app.clone().oneshot(Request::get(&path).body(Body::empty()).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn total(app: &axum::Router, more: &str) -> Value {
    let (status, body) = get(app, more).await;
    assert_eq!(status, 200, "{body}");
    body["total"].clone()
}

/// The counts of a report that add up, by name.
fn counts(report: &Value) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in ["posts", "originals", "replies", "quotes", "reposts", "mentions", "media", "authorless"] {
        counts.insert(name.to_owned(), report[name].as_u64().unwrap());
    }
    for object in ["languages", "located"] {
        for (name, count) in report[object].as_object().unwrap() {
            counts.insert(format!("{object} {name}"), count.as_u64().unwrap());
        }
    }
    for (minute, count) in report["per_minute"].as_array().unwrap().iter().enumerate() {
        counts.insert(format!("minute {minute}"), count.as_u64().unwrap());
    }
    counts.retain(|_, count| *count > 0);
    counts
}

fn sum<'r>(reports: impl Iterator<Item = &'r Value>) -> BTreeMap<String, u64> {
    reports.fold(BTreeMap::new(), |mut sum, report| {
        for (name, count) in counts(report) {
            *sum.entry(name).or_default() += count;
        }
        sum
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    // Rule 3.13.
    #[test]
    fn networks_add_up_to_the_whole(
        posts in prop::collection::vec((0usize..3, 0u16..2, 0i64..10 * MIN, 0u64..1000), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::default();
            let mut lanes = BTreeMap::<(Lane, i64), Vec<SlimPost>>::new();
            for (network, bucket, after_ms, n) in &posts {
                let window = T + after_ms / (5 * MIN) * 5 * MIN;
                let post = SlimPost {
                    id: u128::from(*n),
                    time_ms: T + after_ms,
                    author: (n % 3 > 0).then_some(*n),
                    kind: Kind::ALL[(n % 4) as usize],
                    located: Located::ALL[(n % 5) as usize],
                    lang: ["en", "fr", ""][(n % 3) as usize].into(),
                    mentions: (n % 3) as u32,
                    has_media: n % 2 == 0,
                    ..SlimPost::default()
                };
                lanes.entry((Lane::posts("a", NETWORKS[*network], *bucket), window)).or_default().push(post);
            }
            for ((lane, window), posts) in lanes {
                put(&store, lane, window, &[frame(T + 20 * MIN, posts)]).await;
            }
            let app = app(store);
            let mut parts = vec![];
            for network in NETWORKS {
                let (status, body) = get(&app, &format!("&network={network}")).await;
                assert_eq!(status, 200);
                parts.push(body);
            }
            let (_, whole) = get(&app, "").await;
            assert_eq!(sum(parts.iter().map(|part| &part["total"])), counts(&whole["total"]));
            for (n, window) in whole["windows"].as_array().unwrap().iter().enumerate() {
                assert_eq!(sum(parts.iter().map(|part| &part["windows"][n])), counts(window));
                // The whole has the same counts of each network as the network's own answer.
                let mut listed = window["networks"].as_array().unwrap().iter();
                for (network, part) in NETWORKS.iter().zip(&parts) {
                    let part = &part["windows"][n];
                    if part["posts"] == 0 {
                        assert_eq!(part["networks"], json!([]));
                        continue;
                    }
                    let listed = listed.next().unwrap();
                    assert_eq!((&part["networks"][0], &listed["network"]), (listed, &json!(network.as_str())));
                    for name in ["posts", "originals", "replies", "quotes", "reposts"] {
                        assert_eq!(listed[name], part[name], "{network}");
                    }
                }
                assert_eq!(listed.next(), None);
            }
            let named = get(&app, "&network=x,bluesky&network=mastodon").await;
            assert_eq!(named.1, whole, "all of them are the whole");
        });
    }
}

fn flaws(report: &Value) -> Value {
    report["completeness"]["flaws"].clone()
}

// Rules 1.6, 3.14.
#[tokio::test]
async fn a_sampled_or_silent_source_flags_its_own_network_alone() {
    let store = MemoryStore::default();
    let beat = Ledger { received: 5, filtered: 5, ..Ledger::default() };
    for window in [T, T + 5 * MIN] {
        let at = |ledger_of: Ledger| {
            let frame = ledger(ledger_of);
            Frame { header: FrameHeader { cut_ms: window + 1000, ..frame.header }, ..frame }
        };
        let sampled = Ledger { unasked_permille: 750, ..beat };
        put(&store, Lane::ledger(Network::X, "x"), window, &[at(sampled)]).await;
        put(&store, Lane::ledger(Network::BLUESKY, "bluesky"), window, &[at(beat)]).await;
        let missed = Ledger { missed_ms: 9000, ..beat };
        put(&store, Lane::ledger(Network::MASTODON, "mastodon:one.example"), window, &[at(beat)]).await;
        put(&store, Lane::ledger(Network::MASTODON, "mastodon:two.example"), window, &[at(missed)]).await;
    }
    let app = app(store);
    let whole = total(&app, "").await;
    assert_eq!((flaws(&whole), &whole["completeness"]["received"]), (json!(["missed", "sampled"]), &json!(40)));
    let x = total(&app, "&network=x").await;
    assert_eq!(
        (flaws(&x), &x["completeness"]["sampled"], &x["completeness"]["received"]),
        (json!(["sampled"]), &json!(0.25), &json!(10))
    );
    let bluesky = total(&app, "&network=bluesky").await;
    assert_eq!((flaws(&bluesky), &bluesky["completeness"]["sampled"]), (json!([]), &json!(1.0)));
    assert_eq!(bluesky["completeness"]["complete"], true);
    let mastodon = total(&app, "&network=mastodon").await;
    assert_eq!((flaws(&mastodon), &mastodon["completeness"]["missed_secs"]), (json!(["missed"]), &json!(18)));
    assert_eq!(flaws(&total(&app, "&network=mastodon,x").await), json!(["missed", "sampled"]));
    // Nobody listens to this one.
    let web = total(&app, "&network=web").await;
    assert_eq!((flaws(&web), &web["posts"], &web["networks"]), (json!(["unwatched"]), &json!(0), &json!([])));
}

// Rule 3.14.
#[tokio::test]
async fn damage_flags_the_network_that_it_is_of_and_all_when_that_is_unknown() {
    let store = MemoryStore::default();
    let beat = Ledger { received: 1, filtered: 1, ..Ledger::default() };
    let damaged = |cut_ms| Frame { damage: Some(FrameError::Checksum), ..frame(cut_ms, vec![]) };
    for (network, source) in [(Network::X, "x"), (Network::BLUESKY, "bluesky")] {
        put(&store, Lane::ledger(network, source), T, &[ledger(beat)]).await;
        let second = ledger(beat);
        let second = Frame { header: FrameHeader { cut_ms: T + 5 * MIN, ..second.header }, ..second };
        put(&store, Lane::ledger(network, source), T + 5 * MIN, &[second]).await;
    }
    put(&store, Lane::posts("a", Network::X, 1), T, &[damaged(T)]).await;
    let app = app(store);
    assert_eq!(flaws(&total(&app, "&network=x").await), json!(["corrupt"]));
    assert_eq!(flaws(&total(&app, "&network=bluesky").await), json!([]));
    assert_eq!(flaws(&total(&app, "").await), json!(["corrupt"]));

    let store = MemoryStore::default();
    put(&store, Lane::unknown(), T, &[damaged(T)]).await;
    let app = self::app(store);
    for network in ["", "&network=x", "&network=bluesky"] {
        let (_, body) = get(&app, network).await;
        assert_eq!(flaws(&body["windows"][0]), json!(["corrupt"]), "{network}");
    }
}

#[tokio::test]
async fn an_invalid_name_is_the_callers_mistake() {
    let app = app(MemoryStore::default());
    for bad in ["", "X", "x,", "x,,y", "a%20b", "seventeen-letters"] {
        let (status, body) = get(&app, &format!("&network={bad}")).await;
        assert_eq!((status, &body["error"]["parameter"]), (400, &json!("network")), "{bad} {body}");
    }
    let many: Vec<_> = (0..17).map(|n| format!("n{n}")).collect();
    assert_eq!(get(&app, &format!("&network={}", many.join(","))).await.0, 400);
    assert_eq!(get(&app, &format!("&network={}", many[1..].join(","))).await.0, 200);
    assert_eq!(get(&app, "&network=x&network=x").await.0, 200);
}

#[tokio::test]
async fn a_reference_count_shows_which_share_of_its_posts_is_here() {
    let store = MemoryStore::default();
    let posts =
        |kinds: &[Kind]| kinds.iter().map(|kind| SlimPost { time_ms: T, kind: *kind, ..SlimPost::default() }).collect();
    let of_x = posts(&[Kind::Original, Kind::Reply, Kind::Quote, Kind::Repost, Kind::Repost]);
    put(&store, Lane::posts("a", Network::X, 0), T, &[frame(T + 1000, of_x)]).await;
    put(&store, Lane::posts("a", Network::BLUESKY, 0), T, &[frame(T + 1000, posts(&[Kind::Original]))]).await;
    // Two posts in each minute of both windows but for the last minute.
    let minutes: Vec<_> = (0..9).map(|minute| (T + minute * MIN, if minute < 3 { 2 } else { 0 })).collect();
    birdsong_digest::reference::put(&store, "a", &minutes).await.unwrap();
    let app = app(store);
    let fields = async |more: &str| {
        let (status, body) = get(&app, &format!("&fields=posts,reference,reference_share{more}")).await;
        assert_eq!(status, 200, "{body}");
        let of = |n: usize| ["posts", "reference", "reference_share"].map(|name| body["windows"][n][name].clone());
        [of(0), of(1)]
    };
    // Reposts are not among those that X counts.
    assert_eq!(fields("").await, [[json!(6), json!(6), json!(0.5)], [json!(0), Value::Null, Value::Null]]);
    assert_eq!(fields("&network=x").await[0], [json!(5), json!(6), json!(0.5)]);
    assert_eq!(fields("&network=bluesky").await[0], [json!(1), Value::Null, Value::Null]);
}

// Rule 3.16. On AWS, a shard may be read late while that of the ledger is not.
#[tokio::test]
async fn no_window_is_complete_while_posts_of_its_hour_are_not_in_windows_yet() {
    for (stored, expected) in [(2, json!(["behind"])), (3, json!([]))] {
        let store = MemoryStore::default();
        for window in [T, T + 5 * MIN] {
            let at = |of: Frame| Frame { header: FrameHeader { cut_ms: window + 1000, ..of.header }, ..of };
            let of_ledger = Ledger { received: 4, sent: 3, filtered: 1, ..Ledger::default() };
            put(&store, Lane::ledger(Network::X, "x"), window, &[at(ledger(of_ledger))]).await;
            // The first window has all of its posts either way.
            let posts = if window == T { 3 } else { stored };
            let posts = (0..posts).map(|n| SlimPost { id: n, time_ms: window, ..SlimPost::default() }).collect();
            put(&store, Lane::posts("a", Network::X, 0), window, &[at(frame(window, posts))]).await;
        }
        let app = app(store);
        let (_, body) = get(&app, "").await;
        assert_eq!(flaws(&body["windows"][1]), expected);
        // Only the hour is known.
        assert_eq!(flaws(&body["windows"][0]), expected);
        assert_eq!(
            (&body["total"]["completeness"]["complete"], flaws(&body["total"])),
            (&json!(stored == 3), expected)
        );
    }
}
