//! A long run: the streamer, the log, the aggregator, the digest and the API of one machine, in simulated time and in
//! trouble. The streamer and the aggregator crash and start again, the source repeats posts and delivers some late, log and
//! store fail, are slow or full, the clock is wrong for a while, the regions file changes, and records are damaged.
//!
//! The ledger must balance at each hour, memory, files and descriptors must not grow, and in the end each window must be
//! that of a run of the same posts without trouble, byte for byte but for what describes the log and the connection.
//!
//! `HOURS=24 RATE=1000` is `make soak`. Without them, it runs for twenty simulated minutes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod calm;
mod measure;
mod streamer;
mod world;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use birdsong_aggregator::{Aggregator, FoldError};
use birdsong_api::{Api, Limits, router_with};
use birdsong_digest::Digest;
use birdsong_domain::ports::{PostLog, ReadFrom};
use birdsong_domain::rollup::HOUR_MS;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{SHARD, SqliteLog, SqliteStore};
use birdsong_testkit::Hooked;
use http_body_util::BodyExt;
use measure::Row;
use streamer::{Progress, Store};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use world::{EXTRA, Log, OfStore, Posts, START_MS, Weather, now_ms, regions, true_ms};

/// How long the log keeps records, in milliseconds: longer than a start reads back, however wrong the clock is.
const RETENTION_MS: i64 = 3 * HOUR_MS;
/// Until the log is full and everything that a streamer remembers is there, in minutes.
const WARM_MINUTES: u64 = 240;
const NAMES: [&str; 4] = ["any", "fr", "fog", EXTRA];

fn variable(name: &str) -> Option<f64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: give a number")))
}

/// What all parts share.
struct Machine {
    dir: std::path::PathBuf,
    log: Arc<Log>,
    store: Arc<Store>,
    weather: Arc<Weather>,
    progress: Arc<Progress>,
    /// The log has all that it will get.
    is_written: AtomicBool,
    /// And the windows have it.
    is_folded: AtomicBool,
    answers: AtomicU64,
    digests: AtomicU64,
}

impl Machine {
    fn open(dir: &Path, seed: u64) -> Self {
        let weather = Weather::new(seed);
        let rows = SqliteLog::open_with_clock(dir, now_ms).expect("a folder of our own");
        let store = SqliteStore::open(dir).expect("a folder of our own");
        Self {
            dir: dir.to_owned(),
            log: Arc::new(Log { rows, weather: weather.clone() }),
            store: Arc::new(Hooked { rows: Arc::new(store), hook: OfStore(weather.clone()) }),
            weather,
            progress: Arc::default(),
            is_written: AtomicBool::default(),
            is_folded: AtomicBool::default(),
            answers: AtomicU64::default(),
            digests: AtomicU64::default(),
        }
    }

    /// Lives of the aggregator, until every record is folded. Returns the dead letters.
    async fn aggregate(&self, longest: Duration) -> usize {
        let mut letters = BTreeSet::new();
        loop {
            let length = Duration::from_millis(60_000 + self.weather.below(longest.as_millis() as u64));
            // Like a crash at this moment, in the middle of whatever it does.
            if timeout(length, self.follow(&mut letters)).await.is_ok() {
                self.is_folded.store(true, Ordering::Relaxed);
                return letters.len();
            }
        }
    }

    async fn follow(&self, letters: &mut BTreeSet<String>) {
        let mut aggregator = Aggregator::new(self.store.clone(), FoldRules::default(), 512);
        let checkpoint = self.store.rows.checkpoint(SHARD).await.expect("our own file can be read");
        let mut from = checkpoint.map_or(ReadFrom::Oldest, ReadFrom::After);
        loop {
            let is_whole = self.is_written.load(Ordering::Relaxed);
            let Ok(records) = self.log.read(SHARD, &from, 256).await else {
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            let Some(last) = records.last().map(|record| record.sequence.clone()) else {
                if is_whole {
                    return;
                }
                sleep(Duration::from_millis(2_000 + self.weather.below(6_000))).await;
                continue;
            };
            match aggregator.fold_batch(SHARD, &records).await {
                Ok(outcome) => letters.extend(outcome.dead.iter().map(|letter| letter.key())),
                Err(FoldError::Store(error)) if error.is_retryable() => {
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
                Err(error) => panic!("the aggregator: {error}"),
            }
            self.store.rows.set_checkpoint(SHARD, &last).await.expect("our own file can be written");
            from = ReadFrom::After(last);
        }
    }

    fn is_over(&self) -> bool {
        self.is_folded.load(Ordering::Relaxed)
    }

    /// The digest each minute. Now and then it is cut short, and starts without what it knew.
    async fn digest(&self) {
        let mut digest = Digest::new(self.store.clone(), FoldRules::default());
        while !self.is_over() {
            match digest.run(&NAMES, now_ms(), || self.weather.below(200) == 0).await {
                Ok(_) => _ = self.digests.fetch_add(1, Ordering::Relaxed),
                Err(error) => assert!(error.is_retryable(), "the digest: {error}"),
            }
            if self.weather.below(60) == 0 {
                digest = Digest::new(self.store.clone(), FoldRules::default());
            }
            sleep(Duration::from_secs(60)).await;
        }
    }

    /// A viewer of the dashboard: what it asks for, every fifteen seconds. Nothing that fails is in the way of that.
    async fn look(&self) {
        let api = Api {
            store: self.store.rows.clone(),
            regions: Arc::new(regions(true).list().to_vec()),
            rules: FoldRules::default(),
            now_ms: Arc::new(now_ms),
            sources: Arc::new(Vec::new),
            problems: Arc::new(Vec::new),
            grace_ms: 0,
        };
        // What is kept is full before the first hours are over.
        let limits = Limits { cache_kib: 4 << 10, parts_kib: 16 << 10, compress: true, ..Limits::default() };
        let app = router_with(api, limits);
        while !self.is_over() {
            let region = NAMES[self.weather.below(4) as usize];
            let hours = [1, 6, 24][self.weather.below(3) as usize];
            let (from, to) = (true_ms() - hours * HOUR_MS, true_ms());
            let time = birdsong_domain::time::rfc3339;
            for path in [
                "/api/overview".to_owned(),
                "/api/status".to_owned(),
                format!("/api/windows?region={region}&from={}&to={}&step=auto", time(from), time(to)),
                format!("/api/events?region={region}&from={}&to={}", time(from), time(to)),
            ] {
                let request = Request::get(&path).body(Body::empty()).expect("a path");
                let answer = app.clone().oneshot(request).await.expect("the router always answers");
                let status = answer.status();
                let body = answer.into_body().collect().await.expect("a body").to_bytes();
                assert_eq!(status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&body));
                self.answers.fetch_add(1, Ordering::Relaxed);
            }
            sleep(Duration::from_secs(15)).await;
        }
    }

    /// Removes old records, as the machine does.
    async fn retain(&self) {
        while !self.is_over() {
            self.log.rows.retain(RETENTION_MS).await.expect("our own file can be written");
            sleep(Duration::from_secs(600)).await;
        }
    }

    /// A row a minute, and the balance each hour.
    async fn measure(&self, began: Instant) -> Vec<Row> {
        let mut rows = vec![];
        for minute in 1.. {
            sleep(Duration::from_secs(60)).await;
            let row = Row {
                minute,
                real_secs: began.elapsed().as_secs(),
                posts: self.progress.next.load(Ordering::Relaxed),
                lives: self.progress.lives.load(Ordering::Relaxed),
                failures: self.weather.failures.load(Ordering::Relaxed),
                ..Row::default()
            };
            rows.push(row.look(&self.dir));
            if minute % 60 == 0 {
                let (ledger, posts) = calm::counted(&self.store.rows).await.expect("the windows can be read");
                assert!(ledger.balances(), "in hour {}: {ledger:?}", minute / 60);
                assert!(posts >= ledger.sent, "in hour {}, {posts} posts of {ledger:?} are in windows", minute / 60);
                let Row { real_secs, lives, failures, memory_kib, descriptors, files, log_bytes, store_bytes, .. } =
                    rows[rows.len() - 1];
                println!(
                    "hour {}: {real_secs} s, {} posts received, {lives} lives, {failures} failures, {} MiB, {descriptors} \
                     descriptors, {files} files, log {} MiB, store {} MiB",
                    minute / 60,
                    ledger.received,
                    memory_kib >> 10,
                    log_bytes >> 20,
                    store_bytes >> 20
                );
            }
            if self.is_over() {
                break;
            }
        }
        rows
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Row::HEAD.to_owned();
    rows.iter().for_each(|row| row.write(&mut table));
    table
}

// Rules 1.1, 1.5, 2.1, 2.2, 3.1, 3.3, 3.5, 4.6, 4.8 and 7.1.
#[test]
fn hours_of_trouble_give_the_windows_of_a_calm_run_and_nothing_grows() {
    let hours = variable("HOURS").unwrap_or(1.0 / 3.0);
    let rate = variable("RATE").unwrap_or(30.0) as u64;
    let seed = variable("SEED").unwrap_or(1.0) as u64;
    let minutes = (hours * 60.0) as u64;
    let posts = Posts { rate, count: minutes * 60 * rate };
    // Several lives in a short run, and an hour at most in a long one.
    let longest = Duration::from_secs((minutes * 60 / 6).clamp(60, 3_600));
    let began = Instant::now();

    let folder = tempfile::tempdir().unwrap();
    let (calm_dir, dir) = (folder.path().join("calm"), folder.path().join("data"));
    std::fs::create_dir_all(&calm_dir).unwrap();
    let calm = std::thread::spawn({
        let calm_dir = calm_dir.clone();
        move || calm::run(&calm_dir, posts)
    });

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (machine, rows, letters) = runtime.block_on(async {
        assert!(true_ms() - START_MS < 1000);
        let machine = Machine::open(&dir, seed);
        let stream = async {
            streamer::lives(&dir, posts, &machine.log, &machine.store, &machine.progress, longest).await;
            machine.is_written.store(true, Ordering::Relaxed);
        };
        let weather = machine.weather.change(&machine.log);
        let ((), (), letters, (), (), (), rows) = tokio::join!(
            stream,
            weather,
            machine.aggregate(longest),
            machine.digest(),
            machine.look(),
            machine.retain(),
            machine.measure(began)
        );
        (machine, rows, letters)
    });
    let calm_ledger = calm.join().unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (windows, ledger, counted) = runtime.block_on(async {
        let (ledger, counted) = calm::counted(&machine.store.rows).await.unwrap();
        let calm = SqliteStore::open(&calm_dir).unwrap();
        let windows = calm::compare(&machine.store.rows, &calm).await.unwrap();
        (windows, ledger, counted)
    });
    let dead = machine.weather.damaged.load(Ordering::Relaxed);
    let lines = machine.progress.lines.load(Ordering::Relaxed);
    let mut summary = String::new();
    let _ = write!(
        summary,
        "{hours:.2} simulated hours at {rate} posts a second in {} s: {} posts, {windows} windows equal to those of the calm \
         run, {} lives of the streamer, {} failed calls, {} runs of the digest, {} answers, {dead} damaged records; {ledger:?}",
        began.elapsed().as_secs(),
        posts.count,
        machine.progress.lives.load(Ordering::Relaxed),
        machine.weather.failures.load(Ordering::Relaxed),
        machine.digests.load(Ordering::Relaxed),
        machine.answers.load(Ordering::Relaxed),
    );
    println!("{summary}");
    if let Ok(out) = std::env::var("SOAK_TABLE") {
        std::fs::write(out, table(&rows)).unwrap();
    }
    assert!(windows > 0 && ledger.balances(), "{ledger:?}");
    assert_eq!(counted, ledger.sent, "what was sent is counted once");
    assert_eq!(letters as u64, dead, "each damaged record is a dead letter");
    assert_eq!(ledger.dropped, 0, "the spool was large enough");
    assert_eq!(Row::default().look(&dir).spool_files, 0, "nothing waits for the log");
    // A crash loses the lines between the last frame and its end, and the source sends them again.
    assert!(calm_ledger.received <= ledger.received && ledger.received <= lines, "{ledger:?}, {lines} lines");
    assert!(ledger.duplicates > 0 && ledger.sent >= calm_ledger.sent, "{ledger:?}, {calm_ledger:?}");
    let warm_minutes = WARM_MINUTES.min(minutes / 4);
    let grown = measure::grown(&rows, warm_minutes, warm_minutes == WARM_MINUTES);
    assert!(grown.is_empty(), "{grown:?}");
}
