//! The router over a store with known windows.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use birdsong_api::{Api, router};
use birdsong_digest::revisions::{self, Corrected};
use birdsong_domain::frame::{Frame, FrameHeader, Lane, Ledger, STREAM, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, WindowStore};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::region::Regions;
use birdsong_domain::revision::{Cause, LaneWindow};
use birdsong_domain::status::{SourceState, SourceStatus};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use birdsong_testkit::MemoryStore;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// 2023-11-14T22:15:00Z, a window's start.
const T: i64 = 1_700_000_100_000;
const HOUR_MS: i64 = 3_600_000;
const MIN: i64 = 60_000;
const REGIONS: &str = "[[region]]\nid = \"a\"\nname = \"Aa\"\nlanguages = [\"en\"]\nhot_buckets = 2\n\
                       [[region]]\nid = \"b\"\nlanguages = [\"fr\"]\n";

async fn put(store: &MemoryStore, lane: Lane, window: i64, authors: std::ops::Range<u64>, cut_ms: i64, ledger: Ledger) {
    let posts = authors
        .map(|a| SlimPost {
            id: u128::from(a),
            time_ms: window + 61_000,
            author: Some(a),
            kind: Kind::ALL[(a % 4) as usize],
            located: Located::Text,
            lang: "en".into(),
            hashtags: vec!["Tag".into()],
            ..SlimPost::default()
        })
        .collect();
    let header = FrameHeader {
        lane: lane.clone(),
        source: "test".into(),
        run: "r".into(),
        counter: 1,
        cut_ms,
        cut: 1,
        live: true,
        ledger,
        ..FrameHeader::default()
    };
    let mut aggregate = Aggregate::default();
    aggregate.fold(FoldRules::default(), WindowStart(window), &Frame { header, posts, damage: None });
    let partial = Partial { generation: 1, fence: 1u64.into(), aggregate, stored_ms: 0 };
    store.put(&PartialKey { lane, window: WindowStart(window) }, &partial, &Expected::Absent).await.unwrap();
}

/// Region `a`: 20 posts by 15 authors in two lanes of one window, 4 late ones two windows later;
/// no source was connected in between.
async fn app(now_ms: i64) -> axum::Router {
    let store = MemoryStore::default();
    put(&store, Lane::posts("a", Network::X, 0), T, 0..10, T + 70_000, Ledger::default()).await;
    put(&store, Lane::posts("a", Network::X, 1), T, 5..15, T + 70_000, Ledger::default()).await;
    put(&store, Lane::posts("a", Network::X, 0), T + 10 * MIN, 0..4, T + 30 * MIN, Ledger::default()).await;
    let ledger = Ledger { received: 26, sent: 24, filtered: 1, quarantined: 1, ..Ledger::default() };
    put(&store, Lane::ledger(Network::X, "test"), T, 0..0, T + 70_000, ledger).await;
    app_over(store, now_ms)
}

fn app_over(store: MemoryStore, now_ms: i64) -> axum::Router {
    let source = SourceState {
        source: "test".into(),
        status: SourceStatus::Connected,
        last_post_ms: Some(T),
        updated_at_ms: Some(now_ms),
        ..SourceState::default()
    };
    app_of(store, now_ms, source)
}

fn app_of(store: MemoryStore, now_ms: i64, source: SourceState) -> axum::Router {
    router(Api {
        store: Arc::new(store),
        regions: Arc::new(Regions::parse("test", REGIONS).unwrap().list().to_vec()),
        rules: FoldRules::default(),
        now_ms: Arc::new(move || now_ms),
        sources: Arc::new(move || vec![source.clone()]),
        problems: Arc::new(Vec::new),
        grace_ms: 0,
    })
}

async fn get(app: &axum::Router, path: &str) -> (StatusCode, axum::http::HeaderMap, Value) {
    let answer = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Rule 4.4. What happened: a clock in the year 2100 for some seconds, and only that year was visible.
#[tokio::test]
async fn windows_of_a_far_future_hide_none_of_the_present() {
    let store = MemoryStore::default();
    let (now_ms, in_2100_ms) = (T + 4 * MIN, 4_102_444_800_000);
    let ledger = Ledger { received: 10, sent: 10, ..Ledger::default() };
    for (window, authors) in [(T, 0..10), (in_2100_ms, 0..0)] {
        put(&store, Lane::posts("a", Network::X, 0), window, authors, window + 70_000, Ledger::default()).await;
        put(&store, Lane::ledger(Network::X, "test"), window, 0..0, window + 70_000, ledger).await;
    }
    let app = app_over(store, now_ms);
    let (_, _, status) = get(&app, "/api/status").await;
    assert_eq!(status["newest_post"], rfc3339(T + 61_000), "{status}");
    assert_eq!((&status["ledger"]["received"], &status["ledger"]["aggregated"]), (&json!(10), &json!(10)), "{status}");
    let (_, _, answer) = get(&app, "/api/windows?region=a").await;
    assert!(answer["windows"].as_array().unwrap().iter().any(|window| window["posts"] == 10), "{answer}");
}

#[tokio::test]
async fn lanes_are_merged_and_authors_united_not_added() {
    let (status, _, body) = get(&app(T + 60 * MIN).await, "/api/windows").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&body["region"], &body["name"]), (&json!("a"), &json!("Aa")));
    let windows = body["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 288, "empty windows are listed");
    assert_eq!(body["to"], rfc3339(T + 15 * MIN), "up to the newest data");
    let [first, gap, late] = &windows[285..] else { panic!() };
    assert_eq!((&first["posts"], &first["authors"]), (&json!(20), &json!(15)));
    assert_eq!(first["per_minute"], json!([0, 20, 0, 0, 0]));
    assert_eq!(first["hashtags"][0], json!({"tag": "Tag", "count": 20, "error": 0}));
    assert_eq!((&first["lifecycle"], &first["completeness"]["quarantined"]), (&json!("final"), &json!(1)));
    assert_eq!(
        (&first["completeness"]["complete"], &first["completeness"]["flaws"]),
        (&json!(false), &json!(["unreadable"]))
    );
    assert_eq!((&gap["posts"], &gap["completeness"]["frames"]), (&json!(0), &json!(0)));
    assert_eq!((&gap["completeness"]["flaws"], &gap["completeness"]["sampled"]), (&json!(["unwatched"]), &json!(1.0)));
    assert_eq!((&late["lifecycle"], &late["completeness"]["late"]), (&json!("revised"), &json!(4)));
    assert_eq!((&body["total"]["posts"], &body["total"]["authors"]), (&json!(24), &json!(15)));
}

/// When, why and by how much: late posts follow from the window, and what a reprocess changed from its record.
#[tokio::test]
async fn a_revised_window_says_when_why_and_by_how_much() {
    let store = MemoryStore::default();
    put(&store, Lane::posts("a", Network::X, 0), T, 0..10, T + 70_000, Ledger::default()).await;
    put(&store, Lane::posts("a", Network::X, 0), T + 5 * MIN, 0..6, T + 370_000, Ledger::default()).await;
    put(&store, Lane::posts("a", Network::X, 0), T + 10 * MIN, 0..4, T + 30 * MIN, Ledger::default()).await;
    let corrected = |window_ms, network, before, after, cause| Corrected {
        region: "a",
        lane: LaneWindow { window_ms, network, bucket: 0 },
        before,
        after,
        cause,
    };
    // One network came back, another one was removed: no row shows that.
    let all = [
        corrected(T, Network::X, Some(2), 10, Cause::Retry),
        corrected(T + 5 * MIN, Network::BLUESKY, Some(3), 0, Cause::Reprocess),
        corrected(T + 10 * MIN, Network::X, None, 0, Cause::Rule),
    ];
    for one in all {
        revisions::record(&store, &[one], T + 40 * MIN).await.unwrap();
    }
    let app = app_over(store, T + 60 * MIN);
    let range = format!("from={}&to={}", rfc3339(T), rfc3339(T + 15 * MIN));
    let of = async |query: &str| -> Value { get(&app, &format!("/api/windows?{range}&{query}")).await.2 };
    let body = of("fields=revision,lifecycle,posts&total_fields=revision").await;
    let at = rfc3339(T + 40 * MIN);
    let revision = |why: &[&str], change: Option<i64>| json!({"changed_at": at, "why": why, "change": change});
    let windows = body["windows"].as_array().unwrap();
    assert_eq!(windows[0]["revision"], revision(&["retry"], Some(8)));
    assert_eq!(windows[1]["revision"], revision(&["reprocess"], Some(-3)));
    assert_eq!(windows[2]["revision"], revision(&["late", "rule"], None));
    assert!(windows.iter().all(|window| window["lifecycle"] == "revised"), "{body}");
    assert_eq!(body["total"]["revision"], revision(&["late", "reprocess", "retry", "rule"], None));
    let bluesky = of("network=bluesky&fields=revision&step=15m").await;
    assert_eq!(bluesky["windows"][0]["revision"], revision(&["reprocess"], Some(-3)));
    let series = get(&app, &format!("/api/series?tag=tag&{range}&step=5m")).await.2;
    assert_eq!(series["steps"][0]["revision"], revision(&["retry"], Some(8)), "{series}");
    assert_eq!(series["steps"][2]["revision"], revision(&["late", "rule"], None), "{series}");
}

/// Late posts alone need no record: when the last of them came is in the window.
#[tokio::test]
async fn late_posts_say_when_they_came() {
    let body = get(&app(T + 60 * MIN).await, "/api/windows").await.2;
    let windows = body["windows"].as_array().unwrap();
    let [first, _, late] = &windows[285..] else { panic!() };
    assert_eq!(first["revision"], Value::Null);
    assert_eq!(late["revision"], json!({"changed_at": rfc3339(T + 30 * MIN), "why": ["late"], "change": 4}));
    assert_eq!(body["total"]["revision"], late["revision"]);
}

#[tokio::test]
async fn steps_merge_windows_and_keep_minutes_in_place() {
    let query = format!("/api/windows?step=15m&from={}&to={}", rfc3339(T), rfc3339(T + 15 * MIN));
    let (_, _, body) = get(&app(T + 60 * MIN).await, &query).await;
    let windows = body["windows"].as_array().unwrap();
    assert_eq!((windows.len(), &windows[0]["posts"]), (1, &json!(24)));
    let mut minutes = vec![0; 15];
    (minutes[1], minutes[11]) = (20, 4);
    assert_eq!(windows[0]["per_minute"], json!(minutes));
    assert_eq!(windows[0]["lifecycle"], "revised");
}

#[tokio::test]
async fn an_open_window_is_provisional_and_the_future_is_not_shown() {
    let query = format!("/api/windows?from={}&to={}", rfc3339(T - 5 * MIN), rfc3339(T + 20 * MIN));
    let (_, _, body) = get(&app(T + 2 * MIN).await, &query).await;
    let windows = body["windows"].as_array().unwrap();
    assert_eq!((windows.len(), &windows[1]["lifecycle"]), (2, &json!("provisional")));
}

// Rule 9.7.
#[tokio::test]
async fn the_future_is_neither_final_nor_complete() {
    let of = async |from: i64, to: i64, step: &str, now: i64| {
        let query = format!("/api/windows?step={step}&from={}&to={}", rfc3339(from), rfc3339(to));
        let (_, _, body) = get(&app(now).await, &query).await;
        let total = &body["total"];
        let flaws = total["completeness"]["flaws"].as_array().unwrap().clone();
        assert_eq!(total["completeness"]["complete"], json!(flaws.is_empty()));
        (total["lifecycle"].clone(), flaws.contains(&json!("future")), body["windows"].as_array().unwrap().len())
    };
    let (provisional, done) = (json!("provisional"), json!("revised"));
    // All of it is in the future, by years or by a second.
    let year = 365 * 24 * 60 * MIN;
    assert_eq!(of(T + year, T + year + 60 * MIN, "5m", T + 60 * MIN).await, (provisional.clone(), true, 0));
    assert_eq!(of(T, T + 5 * MIN, "5m", T - 1000).await, (provisional.clone(), true, 0));
    // A part of it is in the future.
    assert_eq!(of(T, T + 60 * MIN, "5m", T + 20 * MIN).await, (provisional.clone(), true, 5));
    // Its last step is open.
    assert_eq!(of(T, T + 15 * MIN, "5m", T + 12 * MIN).await, (provisional.clone(), false, 3));
    assert_eq!(of(T, T + 15 * MIN, "15m", T + 2 * MIN).await, (provisional, false, 1));
    // All of it has been.
    assert_eq!(of(T, T + 15 * MIN, "15m", T + 60 * MIN).await, (done.clone(), false, 1));
    assert_eq!(of(T, T + 15 * MIN, "5m", T + 60 * MIN).await, (done, false, 3));
}

// Rule 9.8.
#[tokio::test]
async fn an_answer_covers_at_least_the_time_that_was_asked_for() {
    let query = format!("/api/windows?step=15m&from={}&to={}", rfc3339(T + MIN), rfc3339(T + 16 * MIN));
    let (_, _, body) = get(&app(T + 60 * MIN).await, &query).await;
    assert_eq!((&body["from"], &body["to"]), (&json!(rfc3339(T)), &json!(rfc3339(T + 30 * MIN))));
}

/// Posts by `authors` authors, one each, and `nobodys` more without author, in the window `T`.
async fn put_posts(store: &MemoryStore, authors: u64, nobodys: u64) {
    let post = |n: u64| SlimPost {
        id: u128::from(n),
        time_ms: T + 1000,
        author: (n < authors).then(|| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        lang: format!("{}{}", char::from(b'a' + (n % 70 / 26) as u8), char::from(b'a' + (n % 70 % 26) as u8)),
        hashtags: vec!["ABcd".into()],
        long_hashtags: u32::from(n == 0),
        ..SlimPost::default()
    };
    put_posts_of(store, T, (0..authors + nobodys).map(post).collect()).await;
}

/// A window of region `a` with these posts.
async fn put_posts_of(store: &MemoryStore, window: i64, posts: Vec<SlimPost>) {
    let lane = Lane::posts("a", Network::X, 0);
    let header = FrameHeader {
        lane: lane.clone(),
        source: "test".into(),
        run: "r".into(),
        counter: 1,
        cut_ms: window + 2000,
        cut: 1,
        live: true,
        ..FrameHeader::default()
    };
    let mut aggregate = Aggregate::default();
    aggregate.fold(FoldRules::default(), WindowStart(window), &Frame { header, posts, damage: None });
    let partial = Partial { generation: 1, fence: 1u64.into(), aggregate, stored_ms: 0 };
    store.put(&PartialKey { lane, window: WindowStart(window) }, &partial, &Expected::Absent).await.unwrap();
}

// Rule 9.2.
#[tokio::test]
async fn no_answer_has_more_authors_than_posts() {
    for (authors, nobodys, low, high) in [(7, 0, 7, 7), (7, 3, 7, 10), (0, 300, 1, 300), (400, 0, 380, 400)] {
        let store = MemoryStore::default();
        put_posts(&store, authors, nobodys).await;
        let (_, _, body) = get(&app_over(store, T + 60 * MIN), "/api/windows?step=15m").await;
        for span in [&body["total"], body["windows"].as_array().unwrap().last().unwrap()] {
            let count = |name: &str| span[name].as_u64().unwrap();
            assert_eq!((count("posts"), count("authorless")), (authors + nobodys, nobodys));
            assert!(count("authors_low") >= low && count("authors_low") <= count("authors"), "{span}");
            assert!(count("authors_high") <= high && count("authors_high") >= count("authors"), "{span}");
            assert_eq!(count("long_hashtags"), u64::from(authors + nobodys > 0));
            assert_eq!(span["hashtags"][0]["tag"], "ABcd");
            assert_eq!(span["languages"].as_object().unwrap().len() as u64, (authors + nobodys).min(70));
            assert_eq!(count("other_languages"), 0);
        }
    }
}

#[tokio::test]
async fn a_total_lists_as_many_as_are_asked_for() {
    let store = MemoryStore::default();
    // In three windows: 60 hashtags and hosts in all, the first ones most often, and none twice in a post.
    for window in 0..3 {
        let post = |n: u64| SlimPost {
            id: u128::from(n),
            time_ms: T + window * 5 * MIN + 1000,
            author: Some(n),
            hashtags: vec![format!("tag{:02}", n % (20 * (window as u64 + 1)))],
            hosts: vec![format!("host{:02}.example", n % (10 * (window as u64 + 1)))],
            ..SlimPost::default()
        };
        put_posts_of(&store, T + window * 5 * MIN, (0..60).map(post).collect()).await;
    }
    let app = app_over(store, T + 60 * MIN);
    let listed = async |query: &str| {
        let (_, _, body) = get(&app, &format!("/api/windows?step=5m{query}")).await;
        let window = body["windows"].as_array().unwrap().iter().rfind(|window| window["posts"] == 60).unwrap();
        let lengths = |report: &Value| ["hashtags", "link_hosts"].map(|name| report[name].as_array().unwrap().len());
        assert_eq!(body["total"]["hashtags"][0]["tag"], "tag00");
        (lengths(&body["total"]), lengths(window))
    };
    assert_eq!(listed("").await, ([20, 10], [20, 10]));
    assert_eq!(listed("&top=1").await, ([1, 1], [20, 10]));
    assert_eq!(listed("&top=25").await, ([25, 25], [20, 10]));
    assert_eq!(listed("&top=2048").await, ([60, 30], [20, 10]));
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let app = app(T + 60 * MIN).await;
    for (query, status, parameter) in [
        ("region=nowhere", 404, "region"),
        ("step=7m", 422, "step"),
        ("step=25h", 422, "step"),
        ("step=401d", 422, "step"),
        ("fields=fog", 422, "fields"),
        ("total_fields=posts,fog", 422, "total_fields"),
        ("top=0", 422, "top"),
        ("top=2049", 422, "top"),
        ("top=99999999999999999999999", 400, "top"),
        ("top=+5", 400, "top"),
        ("top=", 400, "top"),
        ("top=all", 400, "top"),
        ("since=now", 400, "since"),
        ("version=x", 400, "version"),
        ("step=0", 422, "step"),
        ("step=-5m", 400, "step"),
        ("step=", 400, "step"),
        ("step=1234567890", 400, "step"),
        ("from=yesterday", 400, "from"),
        ("from=2023-11-15T00:00:00Z&to=2023-11-14T00:00:00Z", 422, "to"),
        ("from=2000-01-01T00:00:00Z&to=2023-11-14T00:00:00Z", 422, "step"),
        ("form=2023-11-14T00:00:00Z", 400, "form"),
        ("step=5m&step=5m", 400, "step"),
        ("region=%ff", 400, "region"),
    ] {
        let (found, _, body) = get(&app, &format!("/api/windows?{query}")).await;
        assert_eq!((found.as_u16(), &body["error"]["parameter"]), (status, &json!(parameter)), "{query}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().len() > 5);
    }
    let (status, _, body) = get(&app, "/api/nothing").await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("unknown_path")));
    let post = app.clone().oneshot(Request::post("/api/status").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let app = app(T + 60 * MIN).await;
    let (_, headers, _) = get(&app, "/api/windows").await;
    let tag = headers[header::ETAG].clone();
    let again = Request::get("/api/windows").header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(again).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn the_status_shows_freshness_and_a_balanced_ledger() {
    let (_, _, body) = get(&app(T + 60 * MIN).await, "/api/status").await;
    let ledger = &body["ledger"];
    let counts = ["received", "sent", "aggregated", "late"].map(|name| ledger[name].as_u64().unwrap());
    assert_eq!((counts, &ledger["balanced"]), ([26, 24, 20, 4], &json!(true)));
    let day_ms = 24 * 60 * MIN;
    assert_eq!(
        (&ledger["from"], &ledger["to"]),
        (&json!(rfc3339((T / HOUR_MS) * HOUR_MS - day_ms)), &json!(rfc3339(T + 15 * MIN))),
        "the ledger states which time it covers: whole hours"
    );
    assert_eq!(body["newest_post"], rfc3339(T + 10 * MIN + 61_000));
    assert_eq!(body["freshness_secs"], 60 * 60 - 10 * 60 - 61);
}

// Rule 3.12.
#[tokio::test]
async fn the_status_shows_all_that_is_known_of_a_source_and_when_that_is_old() {
    let state = |updated_at_ms: Option<i64>, status| SourceState {
        source: "x".into(),
        network: Network::X,
        status,
        reason: (status == SourceStatus::Waiting).then(|| "too many connections".into()),
        connected_since_ms: Some(T - MIN),
        last_post_ms: Some(T - 1000),
        reconnects: 3,
        gaps: 1,
        replayed: 12,
        waiting_since_ms: (status == SourceStatus::Waiting).then_some(T - 2 * MIN),
        sampled: Some(0.25),
        spent_dollars: Some(12.5),
        paused_until_ms: None,
        problem: Some("the disk is full".into()),
        updated_at_ms,
    };
    let of = async |source| get(&app_of(MemoryStore::default(), T, source), "/api/status").await.2;
    let fresh = json!({
        "source": "x", "network": "x", "status": "connected", "reason": null, "problem": "the disk is full",
        "last_post": rfc3339(T - 1000), "connected_since": rfc3339(T - MIN), "waiting_since": null,
        "reconnects": 3, "gaps": 1, "replayed": 12, "sampled": 0.25, "spent_dollars": 12.5,
        "updated_at": rfc3339(T - 89_999),
    });
    let status = of(state(Some(T - 89_999), SourceStatus::Connected)).await;
    assert_eq!((&status["sources"], &status["problems"]), (&json!([fresh]), &json!(["x: the disk is full"])));
    let status = of(state(None, SourceStatus::Connected)).await["sources"][0]["status"].clone();
    assert_eq!(status, "connected", "a source of this very process");
    let stale = of(state(Some(T - 90_000), SourceStatus::Waiting)).await["sources"][0].clone();
    let since = rfc3339(T - 90_000);
    let reason = format!("no report from the streamer since {since}; the status was waiting (too many connections)");
    assert_eq!((&stale["status"], &stale["reason"]), (&json!("stale"), &json!(reason)));
    assert_eq!((&stale["connected_since"], &stale["updated_at"]), (&Value::Null, &json!(since)));
}

#[tokio::test]
async fn an_empty_store_answers_too() {
    let app = app_over(MemoryStore::default(), T);
    let (status, _, body) = get(&app, "/api/windows").await;
    assert_eq!((status, &body["total"]["posts"]), (StatusCode::OK, &json!(0)));
    let (status, _, body) = get(&app, "/api/status").await;
    assert_eq!((status, &body["newest_post"]), (StatusCode::OK, &Value::Null));
}

#[tokio::test]
async fn a_window_without_posts_hides_no_older_post() {
    let store = MemoryStore::default();
    put(&store, Lane::posts("a", Network::X, 0), T, 0..10, T + 70_000, Ledger::default()).await;
    // Weeks later something came to the ledger's lane, such as a damaged record.
    let later = T + 30 * 24 * 60 * MIN;
    put(&store, Lane::ledger(Network::X, "test"), later, 0..0, later + 70_000, Ledger::default()).await;
    let (_, _, status) = get(&app_over(store, later + 60 * MIN), "/api/status").await;
    assert_eq!(status["newest_post"], rfc3339(T + 61_000));
}

// Rule 4.6.
#[tokio::test]
async fn a_damaged_window_has_a_flaw_and_hides_no_other() {
    for region in ["a", STREAM] {
        let store = MemoryStore::default();
        store.overwrite(
            PartialKey { lane: Lane::try_from(format!("{region}#x#0")).unwrap(), window: WindowStart(T) },
            1,
            vec![1, 2, 3],
        );
        let app = app_over(store, T + MIN);
        let (status, _, body) = get(&app, "/api/windows").await;
        assert_eq!(status, StatusCode::OK);
        let windows = body["windows"].as_array().unwrap();
        let completeness = &windows.last().unwrap()["completeness"];
        assert_eq!((&completeness["flaws"], &completeness["corrupt"]), (&json!(["corrupt"]), &json!(0)), "{region}");
        let total = &body["total"]["completeness"]["flaws"];
        assert!(total.as_array().unwrap().contains(&json!("corrupt")) && windows.len() == 288, "{total}");
        let (_, _, status) = get(&app, "/api/status").await;
        assert_eq!((&status["ledger"]["corrupt_windows"], &status["ledger"]["balanced"]), (&json!(1), &json!(false)));
        assert_eq!(get(&app, "/healthz").await.0, StatusCode::OK);
    }
}

/// CSV and NDJSON have the rows of the JSON answer, and each form is kept and tagged apart.
#[tokio::test]
async fn rows_are_the_same_in_each_form() {
    let app = app(T + 60 * MIN).await;
    let ask = async |path: &str, accept: &str, known: &str| {
        let request = Request::get(path).header("accept", accept).header("if-none-match", known);
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.status, parts.headers, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
    };
    let (path, csv_path) = ("/api/windows?region=a&step=5m", "/api/windows?format=csv&region=a&step=5m");
    let (_, json_headers, json) = ask(path, "*/*", "").await;
    let windows = serde_json::from_str::<Value>(&json).unwrap()["windows"].as_array().unwrap().clone();
    assert!(windows.iter().any(|window| window["posts"] == 20), "{json}");

    let (status, headers, ndjson) = ask(path, "application/x-ndjson", "").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (StatusCode::OK, "application/x-ndjson"));
    let rows: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows, windows);

    let (_, headers, csv) = ask(path, "text/csv", "").await;
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(headers["content-disposition"], "attachment; filename=\"birdsong-windows.csv\"");
    assert_eq!(headers["vary"], "accept");
    assert_eq!(json_headers["vary"], "accept");
    assert_ne!(headers["etag"], json_headers["etag"]);
    let lines: Vec<_> = csv.split_terminator("\r\n").collect();
    let first = "region,window_start,window_end,lifecycle,revision.changed_at,revision.why,revision.change,posts,";
    assert!(lines[0].starts_with(first), "{csv}");
    assert_eq!(lines.len(), windows.len() + 1);
    for (line, window) in lines[1..].iter().zip(&windows) {
        let cells: Vec<_> = line.split(',').collect();
        assert_eq!((cells[1], cells[7]), (window["window_start"].as_str().unwrap(), &*window["posts"].to_string()));
    }
    assert_eq!(ask(csv_path, "*/*", "").await.2, csv, "the parameter goes before the header");

    let tag = headers["etag"].to_str().unwrap();
    let (status, headers, body) = ask(csv_path, "*/*", tag).await;
    assert_eq!((status, body.len(), headers["etag"].to_str().unwrap()), (StatusCode::NOT_MODIFIED, 0, tag));
    assert_eq!(ask(path, "*/*", tag).await.0, StatusCode::OK, "the tag of another form");

    for (path, header) in [
        ("windows", first),
        ("events", "id,region,kind,subject.type,subject.name,subject.key,start,end,is_open,comparison.at,"),
        ("trends", "region,at,subject.type,subject.name,subject.key,standing,score,"),
        ("series?tag=fog", "region,tag,host,start,posts,posts_high,is_known,"),
    ] {
        let path = format!("/api/{path}");
        let (status, _, body) = ask(&path, "text/csv", "").await;
        assert!(status.is_success() && body.starts_with(header), "{path}: {body}");
        let (status, _, body) = ask(&path, "application/x-ndjson", "").await;
        let is_object = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|row| row.is_object());
        assert!(status.is_success() && body.lines().all(is_object), "{path}: {body}");
        let (status, _, body) = ask(&path, "application/xml", "").await;
        assert_eq!(status, StatusCode::NOT_ACCEPTABLE, "{path}");
        assert!(body.contains("not_acceptable"), "{body}");
    }
    assert_eq!(ask("/api/events?format=xml", "*/*", "").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ask("/api/status?format=csv", "*/*", "").await.0, StatusCode::BAD_REQUEST, "it has no rows");
}
