//! Rules 8.1 to 8.6. Looking is cheap: what can be kept is kept, only what changed is sent, and roll-ups say what their
//! windows say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use birdsong_api::{Api, Limits, router, router_with};
use birdsong_digest::Digest;
use birdsong_domain::frame::{Frame, FrameHeader, Lane, STREAM, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, WindowStore};
use birdsong_domain::region::{Region, Regions};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS};
use birdsong_domain::time::{WindowSize, WindowStart, rfc3339};
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use birdsong_testkit::{MemoryStore, sample_partial};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// 2023-11-14T00:00:00Z.
const DAY: i64 = 1_699_920_000_000;
const MIN: i64 = 60_000;

fn regions() -> Vec<Region> {
    let file = "[[region]]\nid = \"a\"\nlanguages = [\"en\"]\n[[region]]\nid = \"b\"\nlanguages = [\"fr\"]\n";
    Regions::parse("test", file).unwrap().list().to_vec()
}

fn api(store: &Arc<MemoryStore>, size: WindowSize, now_ms: i64) -> Api<MemoryStore> {
    Api {
        store: store.clone(),
        regions: Arc::new(regions()),
        rules: FoldRules { size, ..FoldRules::default() },
        now_ms: Arc::new(move || now_ms),
        sources: Arc::new(Vec::new),
        problems: Arc::new(Vec::new),
        grace_ms: 0,
    }
}

async fn put(store: &MemoryStore, region: &str, network: Network, start_ms: i64, seed: u64) {
    let lane = if region == STREAM { Lane::ledger(network, "x") } else { Lane::posts(region, network, 0) };
    let key = PartialKey { lane, window: WindowStart(start_ms) };
    let stored = store.load(&key).await.unwrap();
    let expected = stored
        .map_or(Expected::Absent, |partial| Expected::At { generation: partial.generation, fence: partial.fence });
    let put = store.put(&key, &sample_partial(1, (start_ms as u64 + seed).into(), seed), &expected).await;
    put.unwrap();
}

/// A window with this many posts and nothing else to say.
async fn plain(store: &MemoryStore, region: &str, start_ms: i64, posts: usize) {
    let lane = if region == STREAM { Lane::ledger(Network::X, "x") } else { Lane::posts(region, Network::X, 0) };
    let key = PartialKey { lane: lane.clone(), window: WindowStart(start_ms) };
    let header = FrameHeader { lane, run: "run".into(), counter: 2, cut_ms: start_ms, ..FrameHeader::default() };
    let post = SlimPost { time_ms: start_ms, ..SlimPost::default() };
    let mut aggregate = Aggregate::default();
    let size = WindowSize::from_secs(60).unwrap();
    let rules = FoldRules { size, ..FoldRules::default() };
    aggregate.fold(rules, key.window, &Frame { header, posts: vec![post; posts], ..Frame::default() });
    let partial = Partial { generation: 1, fence: 1u64.into(), aggregate, stored_ms: 0 };
    store.put(&key, &partial, &Expected::Absent).await.unwrap();
}

/// Three days of windows of two regions, two networks and the ledger, with holes.
async fn three_days(size: WindowSize) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    for n in (0..3 * DAY_MS / size.ms()).filter(|n| n % 7 != 3) {
        let start_ms = DAY + n * size.ms();
        put(&store, "a", Network::X, start_ms, n.unsigned_abs() % 5).await;
        if n % 3 == 0 {
            put(&store, "a", Network::DEMO, start_ms, n.unsigned_abs() % 3).await;
        }
        if n % 4 != 0 {
            put(&store, STREAM, Network::X, start_ms, 1).await;
        }
    }
    put(&store, "b", Network::X, DAY + 2 * DAY_MS, 2).await;
    store
}

async fn get(app: &Router, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn json(app: &Router, path: &str) -> Value {
    let (status, _, body) = get(app, path, &[]).await;
    let value: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200, "{path}: {value}");
    value
}

fn range(from_ms: i64, to_ms: i64) -> String {
    format!("from={}&to={}", rfc3339(from_ms), rfc3339(to_ms))
}

/// The digest has run or not, before or after the windows came: each answer is the same.
#[tokio::test]
async fn a_range_is_the_merge_of_its_windows() {
    let size = WindowSize::FIVE_MINUTES;
    let now_ms = DAY + 3 * DAY_MS + 7 * HOUR_MS;
    let (plain, rolled) = (three_days(size).await, three_days(size).await);
    let rules = FoldRules::default();
    let mut digest = Digest::new(rolled.clone(), rules);
    digest.run(&["a", "b"], now_ms, || false).await.unwrap();
    assert!(rolled.dump_rollups().len() > 100);
    // Some change afterwards, and are listed.
    for store in [&plain, &rolled] {
        put(store, "a", Network::X, DAY + 30 * HOUR_MS, 9).await;
        put(store, STREAM, Network::X, DAY + 5 * HOUR_MS, 9).await;
    }
    let (plain, rolled) = (router(api(&plain, size, now_ms)), router(api(&rolled, size, now_ms)));
    for (from, to) in [(0, 3 * DAY_MS), (DAY_MS, 2 * DAY_MS), (HOUR_MS, 50 * HOUR_MS), (-30 * DAY_MS, 4 * DAY_MS)] {
        for step in ["15m", "1h", "3h", "1d", "3d"] {
            for network in ["", "&network=x", "&network=demo"] {
                let path = format!("/api/windows?{}&step={step}{network}", range(DAY + from, DAY + to));
                let (status, _, body) = get(&plain, &path, &[]).await;
                if status == 422 {
                    continue;
                }
                let mut one: Value = serde_json::from_slice(&body).unwrap();
                let mut other = json(&rolled, &path).await;
                assert_eq!(one["as_of"].take(), other["as_of"].take());
                assert_eq!(one, other, "{path}");
            }
        }
    }
    // And the sums are those of the single windows.
    let windows = json(&plain, &format!("/api/windows?{}&step=5m", range(DAY, DAY + 3 * DAY_MS))).await;
    let sum =
        |field: &str| windows["windows"].as_array().unwrap().iter().map(|w| w[field].as_u64().unwrap()).sum::<u64>();
    for step in ["1h", "1d"] {
        let total = json(&rolled, &format!("/api/windows?{}&step={step}", range(DAY, DAY + 3 * DAY_MS))).await;
        for field in ["posts", "originals", "replies", "quotes", "reposts", "mentions", "media"] {
            assert_eq!(total["total"][field], sum(field), "{step} {field}");
        }
        for exact in ["languages", "authors", "authors_low", "authors_high", "completeness", "lifecycle", "networks"] {
            assert_eq!(total["total"][exact], windows["total"][exact], "{step} {exact}");
        }
        // Of a hashtag that both list, the intervals have the true count in common.
        for tag in total["total"]["hashtags"].as_array().unwrap() {
            let other =
                windows["total"]["hashtags"].as_array().unwrap().iter().find(|other| other["tag"] == tag["tag"]);
            let bounds = |tag: &Value| {
                (tag["count"].as_u64().unwrap(), tag["count"].as_u64().unwrap() + tag["error"].as_u64().unwrap())
            };
            if let Some(other) = other {
                let ((low, high), (other_low, other_high)) = (bounds(tag), bounds(other));
                assert!(low <= other_high && other_low <= high, "{step} {tag} {other}");
            }
        }
    }
}

#[tokio::test]
async fn closed_answers_can_be_kept() {
    let size = WindowSize::FIVE_MINUTES;
    let now_ms = DAY + 3 * DAY_MS + 30 * MIN;
    let store = three_days(size).await;
    Digest::new(store.clone(), FoldRules::default()).run(&["a", "b"], now_ms, || false).await.unwrap();
    let app = router(api(&store, size, now_ms));
    let cache = async |path: &str| {
        let (status, headers, _) = get(&app, path, &[]).await;
        assert_eq!(status, 200, "{path}");
        headers["cache-control"].to_str().unwrap().to_owned()
    };
    let version = json(&app, "/api/overview").await["version"].as_str().unwrap().to_owned();
    let closed = format!("/api/windows?{}&step=1h", range(DAY, DAY + 2 * DAY_MS));
    let open = format!("/api/windows?{}&step=1h", range(DAY, now_ms));
    const OPEN: &str = "public, max-age=0, s-maxage=5, stale-while-revalidate=30, stale-if-error=300";
    assert_eq!(cache(&closed).await, "public, max-age=86400");
    assert_eq!(cache(&format!("{closed}&version={version}")).await, "public, max-age=86400, immutable");
    assert_eq!(cache(&format!("{closed}&version=123")).await, "public, max-age=86400");
    assert_eq!(cache(&format!("{open}&version={version}")).await, OPEN);
    assert_eq!(cache(&format!("{closed}&since={}", rfc3339(DAY))).await, OPEN);
    for path in ["/api/overview", "/api/status"] {
        assert_eq!(cache(path).await, OPEN);
    }
    // A change of a final window opens it again, and is another version afterwards.
    put(&store, "a", Network::X, DAY + HOUR_MS, 17).await;
    assert_eq!(cache(&format!("{closed}&version={version}")).await, OPEN);
    Digest::new(store.clone(), FoldRules::default()).run(&["a", "b"], now_ms + 1, || false).await.unwrap();
    assert_eq!(cache(&format!("{closed}&version={version}")).await, "public, max-age=86400");
    assert_ne!(json(&app, "/api/overview").await["version"], json!(version));
}

/// Each coding of a body has a strong tag of its own, and a caller that has it gets no body.
#[tokio::test]
async fn answers_have_strong_tags_by_their_coding() {
    let store = three_days(WindowSize::FIVE_MINUTES).await;
    let limits = Limits { compress: true, reuse: Duration::from_secs(60), ..Limits::default() };
    let app = router_with(api(&store, WindowSize::FIVE_MINUTES, DAY + 3 * DAY_MS), limits);
    let mut tags = vec![];
    for (accepted, coding) in
        [("identity", None), ("gzip", Some("gzip")), ("gzip, br", Some("br")), ("br;q=0, gzip", Some("gzip"))]
    {
        let (_, headers, body) = get(&app, "/api/windows?step=1h", &[("accept-encoding", accepted)]).await;
        assert_eq!(headers.get("content-encoding").map(|value| value.to_str().unwrap()), coding, "{accepted}");
        assert_eq!(headers["vary"], "accept, accept-encoding");
        let tag = headers["etag"].to_str().unwrap().to_owned();
        assert!(tag.starts_with('"') && !body.is_empty(), "{tag}");
        let weak = format!("W/{tag}");
        for known in [&tag, &weak] {
            let headers = [("accept-encoding", accepted), ("if-none-match", known.as_str())];
            let (status, headers, body) = get(&app, "/api/windows?step=1h", &headers).await;
            assert_eq!((status, body.len(), headers["etag"].to_str().unwrap()), (StatusCode::NOT_MODIFIED, 0, &*tag));
        }
        tags.push(tag);
    }
    tags.dedup();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "{tags:?}");
}

#[tokio::test]
async fn only_what_changed_is_sent() {
    let size = WindowSize::FIVE_MINUTES;
    let store = Arc::new(MemoryStore::default());
    // The clock of this store counts changes; the parameter has seconds to spare.
    let now_ms = DAY + 2 * HOUR_MS;
    for n in 0..12 {
        put(&store, "a", Network::X, DAY + n * 5 * MIN, 1).await;
    }
    let app = router(api(&store, size, now_ms));
    let path = format!("/api/windows?{}&step=5m", range(DAY, DAY + HOUR_MS));
    let whole = json(&app, &path).await;
    assert_eq!(whole["windows"].as_array().unwrap().len(), 12);
    // Nothing was stored after 1970, and all windows ended two hours ago.
    let later = json(&app, &format!("{path}&since={}", whole["as_of"].as_str().unwrap())).await;
    assert_eq!((later["windows"].as_array().unwrap().len(), &later["total"]), (0, &whole["total"]));
    // Windows whose time for late posts ends after that moment are listed: they may be final now.
    let since = rfc3339(DAY + 50 * MIN + 120_000);
    let some = json(&app, &format!("{path}&since={since}")).await;
    let starts: Vec<_> = some["windows"].as_array().unwrap().iter().map(|w| w["window_start"].clone()).collect();
    assert_eq!(starts, [45, 50, 55].map(|minute| json!(rfc3339(DAY + minute * MIN))));
}

#[tokio::test]
async fn several_regions_in_one_call() {
    let store = three_days(WindowSize::FIVE_MINUTES).await;
    let app = router(api(&store, WindowSize::FIVE_MINUTES, DAY + 3 * DAY_MS));
    let path = |regions: &str| {
        format!("/api/windows?region={regions}&{}&step=1d&fields=posts&total_fields=none", range(DAY, DAY + 3 * DAY_MS))
    };
    let both = json(&app, &path("b,a")).await;
    let [b, a] = &both["regions"].as_array().unwrap()[..] else { panic!("{both}") };
    assert_eq!((a, b), (&json(&app, &path("a")).await, &json(&app, &path("b")).await));
    assert_eq!((&b["region"], &b["total"]), (&json!("b"), &Value::Null));
    let steps = b["windows"].as_array().unwrap();
    let fields: Vec<_> = steps[0].as_object().unwrap().keys().cloned().collect();
    assert_eq!((steps.len(), fields), (3, ["posts", "window_end", "window_start"].map(String::from).to_vec()));
    for (path, status) in [("a,nowhere", 404), ("a,", 404), ("a,b,a", 400), (&["a"; 33].join(","), 400)] {
        assert_eq!(get(&app, &format!("/api/windows?region={path}"), &[]).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn any_window_length_works_with_every_range() {
    for minutes in 1..=60u32 {
        let Ok(size) = WindowSize::from_secs(minutes * 60) else { continue };
        let store = Arc::new(MemoryStore::default());
        let now_ms = DAY + 10 * HOUR_MS + 7 * MIN + 1;
        put(&store, "a", Network::X, size.start_of(now_ms).0, 3).await;
        put(&store, "a", Network::X, size.start_of(now_ms - 3 * DAY_MS).0, 3).await;
        let app = router(api(&store, size, now_ms));
        for days in [0, 1, 7, 30, 365, 4000] {
            let length = if days == 0 { HOUR_MS } else { days * DAY_MS };
            let path = format!("/api/windows?{}&step=auto", range(now_ms - length, now_ms));
            let answer = json(&app, &path).await;
            let steps = answer["windows"].as_array().unwrap();
            assert!((1..=301).contains(&steps.len()), "{minutes} min, {days} d: {} steps", steps.len());
            let posts: u64 = steps.iter().map(|step| step["posts"].as_u64().unwrap()).sum();
            assert_eq!(answer["total"]["posts"], posts, "{minutes} min, {days} d");
            assert_eq!(posts, if days >= 7 { 2 } else { 1 } * sample_partial(1, 1u64.into(), 3).aggregate.posts());
        }
    }
}

#[tokio::test]
async fn the_overview_has_all_regions_at_a_glance() {
    let size = WindowSize::FIVE_MINUTES;
    let now_ms = DAY + 3 * DAY_MS - MIN;
    let store = three_days(size).await;
    let app = router(api(&store, size, now_ms));
    let before = json(&app, "/api/overview").await;
    Digest::new(store.clone(), FoldRules::default()).run(&["a", "b"], now_ms, || false).await.unwrap();
    let mut overview = json(&app, "/api/overview").await;
    let a = &overview["regions"][0];
    assert_eq!((&a["region"], &a["name"], a["hours"].as_array().unwrap().len()), (&json!("a"), &json!("a"), 25));
    let path = format!("/api/windows?{}&step=1h", range(DAY + 2 * DAY_MS - HOUR_MS, DAY + 3 * DAY_MS));
    let windows = json(&app, &path).await;
    let posts: Vec<_> = windows["windows"].as_array().unwrap().iter().map(|step| step["posts"].clone()).collect();
    assert_eq!(a["hours"], json!(posts));
    // The window that is open is not a part of it.
    let ended_ms = DAY + 3 * DAY_MS - 5 * MIN;
    let last_hour = json(&app, &format!("/api/windows?{}", range(ended_ms - HOUR_MS, ended_ms))).await;
    assert_eq!(a["posts_last_hour"], last_hour["total"]["posts"]);
    let last = json(&app, &format!("/api/windows?{}", range(DAY + 3 * DAY_MS - 5 * MIN, DAY + 3 * DAY_MS))).await;
    assert_eq!(
        a["latest"],
        json!({"window_start": rfc3339(DAY + 3 * DAY_MS - 5 * MIN), "posts": last["total"]["posts"]})
    );
    assert_eq!(a["usual"], Value::Null, "of two days before, windows are missing");
    assert_eq!(overview["hours_from"], rfc3339(DAY + 2 * DAY_MS - HOUR_MS));
    // It is the same without a digest.
    let mut before = before;
    for value in [&mut overview, &mut before] {
        value["version"].take();
        value["updated_at"].take();
    }
    assert_eq!(before, overview);
    let status = json(&app, "/api/status").await;
    assert_eq!(status["ledger"], overview["ledger"]);
}

#[tokio::test]
async fn the_usual_number_is_that_of_the_days_before() {
    let size = WindowSize::FIVE_MINUTES;
    let store = Arc::new(MemoryStore::default());
    for n in 0..9 * 288 {
        let start_ms = DAY + n * 5 * MIN;
        plain(&store, STREAM, start_ms, 0).await;
        // The last hour has three times as many.
        let usual = 4 + (n % 3) as usize;
        plain(&store, "a", start_ms, if n >= 9 * 288 - 12 { 3 * usual } else { usual }).await;
    }
    let now_ms = DAY + 9 * DAY_MS;
    while Digest::new(store.clone(), FoldRules::default()).run(&["a", "b"], now_ms, || false).await.unwrap().has_more {}
    let app = router(api(&store, size, now_ms));
    let overview = json(&app, "/api/overview").await;
    let a = &overview["regions"][0];
    assert_eq!((&a["posts_last_hour"], &a["usual"], &a["factor"]), (&json!(180), &json!(60.0), &json!(3.0)), "{a}");
    assert!(a["usual_low"].as_f64().unwrap() < 60.0 && a["usual_high"].as_f64().unwrap() > 60.0);
    assert_eq!(a["event"]["kind"], "spike", "{a}");
    // Of a region that never had a post nothing is known: it may be a new one.
    let b = &overview["regions"][1];
    assert_eq!((&b["usual"], &b["factor"], &b["event"]), (&Value::Null, &Value::Null, &Value::Null));
    // A band behind a chart; in full answers it is left out.
    let range = range(DAY + 8 * DAY_MS, DAY + 9 * DAY_MS);
    let fields = "fields=posts,usual,usual_low,usual_high&total_fields=none";
    let windows = json(&app, &format!("/api/windows?{range}&step=1h&{fields}")).await;
    let last = &windows["windows"][23];
    assert_eq!((&last["posts"], &last["usual"]), (&json!(180), &json!(60.0)), "{last}");
    assert!(json(&app, &format!("/api/windows?{range}&step=1h")).await["windows"][0].get("usual").is_none());
    let first = json(&app, &format!("/api/windows?from={}&to={}&{fields}", rfc3339(DAY), rfc3339(DAY + HOUR_MS))).await;
    assert!(first["windows"][0].get("usual").is_none(), "there is no baseline");
    let events = json(&app, "/api/events?region=a&kind=spike").await;
    // Of the windows that are final.
    assert!(events["events"][0]["comparison"]["observed"].as_u64().unwrap() >= 160, "{events}");
    assert_eq!(events["events"][0]["id"], a["event"]["id"]);
    // Nobody knows whether it still goes on when no digest has looked for hours.
    for hours in [2, 4] {
        plain(&store, "a", now_ms + hours * HOUR_MS, 4).await;
        let app = router(api(&store, size, now_ms + hours * HOUR_MS + 5 * MIN));
        let event = json(&app, "/api/overview").await["regions"][0]["event"].take();
        assert_eq!(event.is_null(), hours > 3, "{event}");
    }
}

/// What happened: of 28,000 changed hours 10,000 were listed, and the others had 0 posts that could be kept for a day.
#[tokio::test]
async fn a_list_of_changes_that_is_too_long_makes_everything_out_of_date() {
    let size = WindowSize::FIVE_MINUTES;
    let store = three_days(size).await;
    let now_ms = DAY + 4 * DAY_MS;
    let path = format!("/api/windows?{}&step=1h", range(DAY, DAY + DAY_MS));
    let whole = json(&router(api(&store, size, now_ms)), &path).await;
    // Nothing is rolled up, and nothing is listed.
    store.forget_changes(true);
    let app = router(api(&store, size, now_ms));
    let cut = json(&app, &path).await;
    assert_eq!((&cut["windows"], &cut["total"]), (&whole["windows"], &whole["total"]));
    let (_, headers, _) = get(&app, &path, &[]).await;
    assert!(headers["cache-control"].to_str().unwrap().contains("s-maxage=5"), "{headers:?}");
}

/// What happened: ranges of centuries took seconds, since each empty day was looked at.
#[tokio::test]
async fn centuries_without_posts_cost_little() {
    let size = WindowSize::FIVE_MINUTES;
    let store = three_days(size).await;
    let app = router(api(&store, size, DAY + 4 * DAY_MS));
    let near = json(&app, &format!("/api/windows?{}&step=1d", range(DAY - DAY_MS, DAY + 4 * DAY_MS))).await;
    let far = json(&app, "/api/windows?from=0300-01-01T00:00:00Z&to=2023-11-18T00:00:00Z&step=auto").await;
    let posts =
        |answer: &Value| answer["windows"].as_array().unwrap().iter().map(|w| w["posts"].as_u64().unwrap()).sum();
    let (near_posts, far_posts): (u64, u64) = (posts(&near), posts(&far));
    assert_eq!((near_posts, far_posts), (near["total"]["posts"].as_u64().unwrap(), near_posts));
    assert_eq!(far["total"]["posts"], near["total"]["posts"]);
    assert!(store.rollup_reads() < 2_000, "{} reads", store.rollup_reads());
}

/// What happened: at each full hour a region with windows of an hour seemed to lose nearly all of its posts.
#[tokio::test]
async fn the_open_window_is_compared_with_nothing() {
    for minutes in [5, 45, 60] {
        let size = WindowSize::from_secs(minutes * 60).unwrap();
        let store = Arc::new(MemoryStore::default());
        let now_ms = size.start_of(DAY + 9 * DAY_MS + 12 * HOUR_MS).0 + MIN;
        for n in 0..9 * DAY_MS / size.ms() {
            let start_ms = size.start_of(now_ms).0 - n * size.ms();
            // The open window has nearly nothing yet.
            if n > 0 {
                plain(&store, "a", start_ms, 5).await;
            }
            plain(&store, STREAM, start_ms, 0).await;
        }
        Digest::new(store.clone(), FoldRules { size, ..FoldRules::default() })
            .run(&["a", "b"], now_ms, || false)
            .await
            .unwrap();
        let overview = json(&router(api(&store, size, now_ms)), "/api/overview").await;
        assert_eq!(overview["regions"][0]["factor"], json!(1.0), "{minutes}: {}", overview["regions"][0]);
    }
}
