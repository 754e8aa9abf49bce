//! Rule 8.1. For any request, a query has few windows at a time, heavy ones run in bounded number, errors are small.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use birdsong_api::{Api, Limits, router, router_with};
use birdsong_domain::frame::{Lane, STREAM};
use birdsong_domain::ports::{Expected, PartialKey, PortError, WindowStore};
use birdsong_domain::region::{Region, Regions};
use birdsong_domain::time::{WindowStart, parse_rfc3339, rfc3339};
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore, sample_partial};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// 2023-11-14T00:00:00Z.
const DAY: i64 = 1_699_920_000_000;
const DAY_MS: i64 = 86_400_000;
const MIN: i64 = 60_000;

/// Records the longest range that is asked for, and makes queries of a region wait.
struct Watch {
    longest_ms: AtomicI64,
    waiting: AtomicUsize,
    gate: Semaphore,
}

impl Hook for Watch {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        let Call::Query(region, from, to) = call else { return Ok(()) };
        self.longest_ms.fetch_max(to.0 - from.0, Ordering::Relaxed);
        // The second region is the one that makes wait.
        if region == "slow" {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.gate.acquire().await.unwrap().forget();
        }
        Ok(())
    }
}

fn watched(rows: MemoryStore, is_open: bool) -> Arc<Hooked<Watch>> {
    let gate = Semaphore::new(if is_open { Semaphore::MAX_PERMITS } else { 0 });
    let hook = Watch { longest_ms: AtomicI64::new(0), waiting: AtomicUsize::new(0), gate };
    Arc::new(Hooked { rows: Arc::new(rows), hook })
}

fn regions() -> Vec<Region> {
    let file = "[[region]]\nid = \"a\"\nlanguages = [\"en\"]\nhot_buckets = 2\n\
                [[region]]\nid = \"slow\"\nlanguages = [\"fr\"]\n";
    Regions::parse("test", file).unwrap().list().to_vec()
}

fn api<S: WindowStore>(store: Arc<S>, regions: Vec<Region>, now_ms: i64) -> Api<S> {
    Api {
        store,
        regions: Arc::new(regions),
        rules: FoldRules::default(),
        now_ms: Arc::new(move || now_ms),
        sources: Arc::new(Vec::new),
        problems: Arc::new(Vec::new),
        grace_ms: 0,
    }
}

async fn get(app: &Router, path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let answer = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

fn error(body: &[u8]) -> (String, String, Value) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
    (text("code"), text("message"), body["error"]["parameter"].clone())
}

/// Two days of windows in two lanes and the ledger's, with holes.
async fn two_days() -> MemoryStore {
    let store = MemoryStore::default();
    for n in (0..576i64).filter(|n| n % 7 != 3) {
        let window = WindowStart(DAY + n * 5 * MIN);
        let lanes = [("a", 0u16, n % 3 != 0), ("a", 1, n % 4 != 0), (STREAM, 0, n % 5 != 0)];
        for (region, bucket, _) in lanes.into_iter().filter(|(_, _, is_there)| *is_there) {
            let key = PartialKey { lane: Lane::try_from(format!("{region}#x#{bucket}")).unwrap(), window };
            let partial = sample_partial(1, 1u64.into(), u64::from(bucket) + n.unsigned_abs() % 5 + 1);
            store.put(&key, &partial, &Expected::Absent).await.unwrap();
        }
    }
    store
}

/// What happened: 32 queries of six days used 1.7 GB, since each had all windows of its range decoded.
#[tokio::test]
async fn a_long_range_is_read_in_parts_and_the_answer_does_not_show_where_they_end() {
    let store = watched(two_days().await, true);
    let answer_in = async |slice_partials| {
        store.hook.longest_ms.store(0, Ordering::Relaxed);
        let limits = Limits { slice_partials, ..Limits::default() };
        let app = router_with(api(store.clone(), regions(), DAY + 2 * DAY_MS), limits);
        let mut answers = vec![];
        for (step, to) in [("5m", DAY_MS), ("15m", 2 * DAY_MS - 20 * MIN), ("6h", 3 * DAY_MS), ("1d", 2 * DAY_MS)] {
            let path = format!("/api/windows?step={step}&from={}&to={}", rfc3339(DAY + 25 * MIN), rfc3339(DAY + to));
            let (status, headers, body) = get(&app, &path).await;
            assert_eq!(status, StatusCode::OK);
            let read: Value = serde_json::from_slice(&body).unwrap();
            assert!(read["total"]["posts"].as_u64().unwrap() > 0 && !read["windows"].as_array().unwrap().is_empty());
            answers.push((headers[header::ETAG].clone(), body));
        }
        (answers, store.hook.longest_ms.load(Ordering::Relaxed))
    };
    let (whole, longest_ms) = answer_in(u32::MAX).await;
    assert!(longest_ms >= DAY_MS);
    for slice in [1, 3, 30, 128, 216] {
        let (answers, longest_ms) = answer_in(slice).await;
        // Windows are read by whole hours, and up to six hours are made from windows at a time.
        assert!(longest_ms <= 7 * 60 * MIN, "{longest_ms} ms in one read");
        assert!(answers == whole, "slices of {slice} change the answer");
    }
}

#[tokio::test]
async fn the_status_reads_in_parts() {
    let store = watched(two_days().await, true);
    let app = router(api(store.clone(), regions(), DAY + 2 * DAY_MS));
    assert_eq!(get(&app, "/api/status").await.0, StatusCode::OK);
    assert!(store.hook.longest_ms.load(Ordering::Relaxed) <= 128 * 5 * MIN);
}

/// What happened: 150 clients with an allowed query used 4.3 GB, and the status needed 24 s.
#[tokio::test(start_paused = true)]
async fn heavy_queries_run_in_bounded_number_and_the_others_do_not_wait_for_them() {
    let store = watched(MemoryStore::default(), false);
    let app = router(api(store.clone(), regions(), DAY));
    let month = format!("/api/windows?region=slow&step=30m&from={}&to={}", rfc3339(DAY - 31 * DAY_MS), rfc3339(DAY));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (app, month) = (app.clone(), month.clone());
        running.spawn(async move { get(&app, &month).await });
    }
    let mut refused = 0;
    while refused < 18 {
        let (status, headers, body) = running.join_next().await.unwrap().unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(headers[header::RETRY_AFTER], "2");
        assert_eq!(error(&body).0, "overloaded");
        refused += 1;
    }
    assert_eq!(store.hook.waiting.load(Ordering::Relaxed), 2, "the places of two such queries");
    // Cheap queries have separate places.
    for path in ["/api/windows", "/api/regions", "/healthz"] {
        assert_eq!(get(&app, path).await.0, StatusCode::OK, "{path}");
    }
    // Once the two are done, the next one finds a place.
    store.hook.gate.add_permits(1 << 20);
    for _ in 0..2 {
        assert_eq!(running.join_next().await.unwrap().unwrap().0, StatusCode::OK);
    }
    assert_eq!(get(&app, &month).await.0, StatusCode::OK);
}

/// An answer that its caller does not read stays in memory, so it keeps its place.
#[tokio::test(start_paused = true)]
async fn answers_that_are_not_read_are_bounded_too() {
    let limits = Limits { answer_kib: 1, wait: Duration::from_secs(1), ..Limits::default() };
    let app = router_with(api(Arc::new(MemoryStore::default()), regions(), DAY), limits);
    let ask = || app.clone().oneshot(Request::get("/api/windows").body(Body::empty()).unwrap());
    let unread = ask().await.unwrap();
    assert_eq!(unread.status(), StatusCode::OK);
    assert_eq!(ask().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(unread);
    assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_ours_is_shown_short_and_clean_in_an_error() {
    let many = (0..5000).map(|n| Region { id: format!("region-{n}"), ..regions()[0].clone() }).collect();
    let app = router(api(Arc::new(MemoryStore::default()), many, DAY));
    let long = "%F0%9F%8C%AB%1B".repeat(2000);
    for (path, status, code) in [
        (format!("/api/{long}"), 404, "unknown_path"),
        (format!("/api/windows?region={long}"), 404, "unknown_region"),
        (format!("/api/windows?from={long}"), 400, "bad_parameter"),
        (format!("/api/windows?step={long}"), 400, "bad_parameter"),
        (format!("/api/windows?{long}=1"), 400, "bad_parameter"),
        (format!("/api/windows?{}=%ff", "p".repeat(9000)), 400, "bad_parameter"),
        (format!("/api/status?{long}"), 400, "bad_parameter"),
        ("/api".into(), 404, "unknown_path"),
        ("/api/".into(), 404, "unknown_path"),
    ] {
        let (found, headers, body) = get(&app, &path).await;
        let shown = &path[..path.len().min(60)];
        let (found_code, message, parameter) = error(&body);
        assert_eq!((found.as_u16(), found_code.as_str()), (status, code), "{shown}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        let text = message + parameter.as_str().unwrap_or_default();
        assert!(text.chars().count() < 600, "{shown}: {} characters", text.chars().count());
        assert!(!text.contains('\u{1b}'), "{shown}");
    }
    let post = app.clone().oneshot(Request::post("/api/status").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(post.headers()[header::ALLOW], "GET, HEAD");
}

#[tokio::test]
async fn each_answer_has_times_of_rfc_3339_at_both_ends_of_time() {
    let app_at = |now_ms| router(api(Arc::new(MemoryStore::default()), regions(), now_ms));
    let app = app_at(DAY);
    for (query, status, parameter) in [
        ("from=0000-01-01T00:00:00Z&to=0000-01-02T00:00:00Z", 200, ""),
        ("from=0000-01-01T00:00:00Z", 200, ""),
        ("to=0000-01-02T00:00:00Z", 200, ""),
        ("to=0000-01-01T12:00:00Z", 422, "to"),
        ("from=0000-01-01T00:00:00%2B23:59&to=0000-01-01T00:05:00Z", 400, "from"),
        ("from=9999-12-31T00:00:00Z&to=9999-12-31T23:55:00Z", 200, ""),
        ("from=9999-12-31T00:00:00Z&to=9999-12-31T23:55:01Z", 422, "to"),
        ("from=9999-12-31T23:59:59Z", 422, "from"),
        ("from=9999-12-31T12:00:00Z&step=1d", 422, "from"),
        ("from=9999-12-31T23:59:59-23:59", 400, "from"),
    ] {
        let (found, _, body) = get(&app, &format!("/api/windows?{query}")).await;
        assert_eq!(found.as_u16(), status, "{query}");
        if status == 200 {
            let body: Value = serde_json::from_slice(&body).unwrap();
            for name in ["from", "to"] {
                let time = body[name].as_str().unwrap();
                assert!(parse_rfc3339(time).is_some() && time.len() == 20, "{query}: {name} is {time}");
            }
        } else {
            assert_eq!(error(&body).2, parameter, "{query}");
        }
    }
    for now_ms in [i64::MIN, -62_167_219_200_000, 253_402_300_799_999, i64::MAX] {
        for path in ["/api/windows", "/api/windows?step=1d", "/api/windows?from=2023-11-14T00:00:00Z", "/api/status"] {
            assert_eq!(get(&app_at(now_ms), path).await.0, StatusCode::OK, "{path} at {now_ms}");
        }
    }
}
