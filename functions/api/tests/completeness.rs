//! Rule 3.7. From a live source to the API, in simulated time: what is missing from a window shows in it with
//! its reason, and a window in which nothing was posted is not one in which no source was connected.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use birdsong_aggregator::Aggregator;
use birdsong_api::{Api, router};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use birdsong_domain::post::{PostId, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::time::{WindowSize, rfc3339};
use birdsong_domain::window::FoldRules;
use birdsong_embedded::MemoryLog;
use birdsong_sources::intake::{Change, Intake, Resume};
use birdsong_sources::source::Clock;
use birdsong_streamer::cutter::CutRules;
use birdsong_streamer::ingest::Ingest;
use birdsong_streamer::originals::Originals;
use birdsong_streamer::outbox::{Outbox, OutboxLimits};
use birdsong_streamer::pipeline::{self, Pipe};
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_streamer::status::StatusRegistry;
use birdsong_streamer::unreadable::Unreadable;
use birdsong_streamer::unreadable::UnreadableStore;
use birdsong_streamer::{ingest, recovery};
use birdsong_testkit::{MemoryStore, NoSettings};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use tower::ServiceExt;

/// Start of a window, and of a step of four.
const START_MS: i64 = 1_700_000_400_000;
const SECOND: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(300);

/// A log that can be unavailable.
struct Log {
    records: MemoryLog,
    is_down: AtomicBool,
}

impl PostLog for Log {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        if self.is_down.load(Ordering::Relaxed) {
            let unavailable = || PortError::Unavailable { what: "log", reason: "no answer".into() };
            return frames.iter().map(|_| Err(unavailable())).collect();
        }
        self.records.append(frames).await
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        self.records.shards().await
    }

    async fn complete_since(&self, shard: &str) -> Result<i64, PortError> {
        self.records.complete_since(shard).await
    }

    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        self.records.read(shard, from, limit).await
    }
}

struct Nowhere;

impl UnreadableStore for Nowhere {
    async fn keep(&mut self, _lines: &[Unreadable]) -> Result<(), PortError> {
        Ok(())
    }
}

/// A source under the test's control.
struct Source {
    feeder: Ingest,
    began: Instant,
    clock: Clock,
    next_id: u64,
}

impl Source {
    /// Waits until this many seconds of a window have passed.
    async fn until(&self, window: u32, second: u32) {
        sleep_until(self.began + WINDOW * window + SECOND * second).await;
    }

    /// A post each second, for so long.
    async fn posts(&mut self, seconds: u32) {
        for _ in 0..seconds {
            sleep(SECOND).await;
            self.next_id += 1;
            let post = SourcePost {
                id: PostId(u128::from(self.next_id)),
                time_ms: (self.clock)() - 100,
                author: Some(self.next_id),
                lang: "en".into(),
                ..SourcePost::default()
            };
            self.feeder.post(&post);
            // It can fetch what it misses.
            self.feeder.flush(Some(Resume { cursor: "here".into(), since_ms: (self.clock)() })).await;
        }
    }

    async fn report(&mut self, change: Change) {
        self.feeder.change(change);
        self.feeder.flush(None).await;
    }

    async fn disconnect(&mut self) {
        self.report(Change::Waiting { reason: "closed".into(), retry_in: SECOND }).await;
    }
}

async fn get(app: &axum::Router, path: &str) -> Value {
    let answer = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_window_reports_what_is_missing_and_why() {
    let regions = Arc::new(Regions::parse("test", "[[region]]\nid = \"en\"\nlanguages = [\"en\"]\n").unwrap());
    let began = Instant::now();
    let clock: Clock = Arc::new(move || START_MS + began.elapsed().as_millis() as i64);
    let log = Arc::new(Log { records: MemoryLog::new(1 << 30), is_down: AtomicBool::new(false) });
    let spool = tempfile::tempdir().unwrap();
    let limits = OutboxLimits { memory_bytes: 2000, spool_bytes: 90_000 };
    let outbox = Outbox::open(Some(spool.path().into()), limits).unwrap();
    let sent = SharedSent::new(SentRules::live(spool.path().into()));
    let start = recovery::start(&*log, &NoSettings, "test", &outbox, &sent, 0, START_MS).await.unwrap();
    let (feeder, inbox) = ingest::ingest(
        "test",
        Network::X,
        &regions,
        &clock,
        &Arc::new(StatusRegistry::default()),
        Originals::default(),
    );
    let pipe = Pipe {
        source: "test".into(),
        network: Network::X,
        run: "run".into(),
        regions: regions.clone(),
        size: WindowSize::FIVE_MINUTES,
        rules: CutRules::default(),
        log: log.clone(),
        settings: Arc::new(NoSettings),
        unreadable: Nowhere,
        outbox,
        start,
        sent,
        reach_ms: i64::MAX,
        status: Arc::default(),
        clock: clock.clone(),
        jitter: || 0.5,
        drain: Duration::from_secs(20),
    };
    let mut source = Source { feeder, began, clock: clock.clone(), next_id: 0 };
    let feeding = async {
        // 0: posts. 1: silence.
        source.report(Change::Connected).await;
        source.posts(200).await;
        // 2: the log is unavailable for longer than the spool is large.
        source.until(2, 0).await;
        log.is_down.store(true, Ordering::Relaxed);
        source.posts(280).await;
        log.is_down.store(false, Ordering::Relaxed);
        source.until(2, 295).await;
        source.disconnect().await;
        // 3: disconnected.
        source.until(4, 5).await;
        source.report(Change::Connected).await;
        // 4, 5: only a quarter is asked for, in parts of them.
        source.until(4, 200).await;
        source.report(Change::Sampling { share: 0.25 }).await;
        source.until(5, 100).await;
        source.report(Change::Sampling { share: 1.0 }).await;
        source.posts(10).await;
        // 6: disconnected, without a way to get the posts of that time. 7: a line that cannot be read.
        source.until(6, 10).await;
        source.disconnect().await;
        let from_ms = clock();
        source.until(6, 70).await;
        source.report(Change::Connected).await;
        source.report(Change::Gap { from_ms, to_ms: clock(), reason: "no backfill".into() }).await;
        source.until(7, 10).await;
        source.feeder.unreadable("half a line".into(), b"{");
        source.posts(1).await;
        source.until(8, 0).await;
        drop(source);
    };
    let (ended, ()) = tokio::join!(pipeline::run(pipe, inbox), feeding);
    let ended = ended.unwrap();

    let store = Arc::new(MemoryStore::default());
    let records = log.records.take(usize::MAX);
    let mut aggregator = Aggregator::new(store.clone(), FoldRules::default(), 64);
    for batch in records.chunks(100) {
        assert!(aggregator.fold_batch("0", batch).await.unwrap().dead.is_empty());
    }
    let end_ms = START_MS + 8 * WINDOW.as_millis() as i64;
    let app = router(Api {
        store,
        regions: Arc::new(regions.list().to_vec()),
        rules: FoldRules::default(),
        now_ms: Arc::new(move || end_ms + 3_600_000),
        sources: Arc::new(Vec::new),
        problems: Arc::new(Vec::new),
        grace_ms: 0,
    });
    let range = format!("from={}&to={}", rfc3339(START_MS), rfc3339(end_ms));
    let answer = get(&app, &format!("/api/windows?step=5m&{range}")).await;
    let windows = answer["windows"].as_array().unwrap();
    let completeness: Vec<_> = windows.iter().map(|window| &window["completeness"]).collect();
    let flaws: Vec<_> = completeness.iter().map(|completeness| completeness["flaws"].clone()).collect();
    let wanted = [
        json!([]),
        json!([]),
        json!(["dropped"]),
        json!(["unwatched"]),
        json!(["sampled"]),
        json!(["sampled"]),
        json!(["missed"]),
        json!(["unreadable"]),
    ];
    assert_eq!(flaws, wanted);
    assert!(completeness.iter().all(|completeness| completeness["complete"] == (completeness["flaws"] == json!([]))));
    let numbers = |of: &dyn Fn(&Value) -> f64| -> Vec<f64> { windows.iter().map(of).collect() };
    let dropped = ended.dropped as f64;
    assert!(dropped > 0.0 && dropped < 280.0, "{dropped}");
    assert_eq!(numbers(&|w| w["posts"].as_f64().unwrap()), [200.0, 0.0, 280.0 - dropped, 0.0, 0.0, 10.0, 0.0, 1.0]);
    let of = |name: &str| numbers(&|w| w["completeness"][name].as_f64().unwrap());
    assert_eq!(of("dropped"), [0.0, 0.0, dropped, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(of("missed_secs"), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 60.0, 0.0]);
    assert_eq!(of("sampled"), [1.0, 1.0, 1.0, 1.0, 0.25, 0.25, 1.0, 1.0]);
    let frames = of("frames");
    assert!(frames[1] >= 29.0 && frames[3] == 0.0, "silence beats, an outage does not: {frames:?}");

    let step = get(&app, &format!("/api/windows?step=20m&{range}")).await["windows"].clone();
    let of_steps = |name: &str| [0, 1].map(|n| step[n]["completeness"][name].clone());
    assert_eq!(of_steps("flaws"), [json!(["unwatched", "dropped"]), json!(["missed", "unreadable", "sampled"])]);
    assert_eq!(of_steps("sampled"), [json!(1.0), json!(0.25)], "the smallest share of a step");
    let ledger = &get(&app, "/api/status").await["ledger"];
    assert_eq!((&ledger["balanced"], ledger["dropped"].as_f64()), (&json!(true), Some(dropped)));
}
