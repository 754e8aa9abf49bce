//! Tests of the files beyond the ports: restarts, other processes, damage, foreign files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use birdsong_aggregator::Aggregator;
use birdsong_domain::frame::{self, FrameHeader, Lane};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{
    Expected, FrameRecord, LogRecord, PartialKey, PortError, PostLog, PutOutcome, ReadFrom, SequenceNumber, Settings,
    WindowStore,
};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{MemoryWindows, SHARD, SqliteLog, SqliteStore};
use birdsong_testkit::sample_partial;
use proptest::prelude::*;
use rusqlite::Connection;

fn record(bytes: &[u8]) -> FrameRecord {
    FrameRecord { lane: Lane::posts("a", Network::X, 0), bytes: bytes.to_vec() }
}

fn key() -> PartialKey {
    PartialKey { lane: Lane::posts("montréal", Network::X, 2), window: WindowStart(300_000) }
}

fn number(digits: &str) -> SequenceNumber {
    SequenceNumber::parse(digits).unwrap()
}

async fn append(log: &SqliteLog, bytes: &[u8]) -> SequenceNumber {
    log.append(&[record(bytes)]).await.remove(0).unwrap()
}

async fn all(log: &SqliteLog) -> Vec<LogRecord> {
    log.read(SHARD, &ReadFrom::Oldest, 1000).await.unwrap()
}

#[tokio::test]
async fn the_log_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(dir.path()).unwrap();
    assert_eq!(log.newest_sequence().await.unwrap(), None);
    let first = append(&log, b"one").await;
    let before = all(&log).await;
    drop(log);
    let log = SqliteLog::open(dir.path()).unwrap();
    assert_eq!(all(&log).await, before);
    assert_eq!(log.newest_sequence().await.unwrap(), Some(first.clone()));
    assert!(append(&log, b"two").await > first);
}

#[tokio::test]
async fn pruned_numbers_are_never_used_again() {
    static NOW: AtomicI64 = AtomicI64::new(1000);
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open_with_clock(dir.path(), || NOW.load(Ordering::Relaxed)).unwrap();
    let frames: Vec<_> = (0..2500u32).map(|n| record(&n.to_be_bytes())).collect();
    let last = log.append(&frames).await.pop().unwrap().unwrap();
    assert_eq!(log.retain(1000).await.unwrap(), 0);
    NOW.store(1999, Ordering::Relaxed);
    assert_eq!(log.retain(1000).await.unwrap(), 0, "younger than a second");
    assert_eq!(log.complete_since(SHARD).await.unwrap(), i64::MIN, "nothing was removed");
    NOW.store(2000, Ordering::Relaxed);
    assert_eq!(log.retain(1000).await.unwrap(), 2500);
    assert_eq!(log.retain(1000).await.unwrap(), 0);
    assert_eq!(all(&log).await, []);
    drop(log);
    let log = SqliteLog::open_with_clock(dir.path(), || NOW.load(Ordering::Relaxed)).unwrap();
    assert_eq!(log.newest_sequence().await.unwrap(), Some(last.clone()));
    assert_eq!(log.read(SHARD, &ReadFrom::After(last.clone()), 10).await.unwrap(), []);
    assert_eq!(log.complete_since(SHARD).await.unwrap(), 1001);
    assert!(append(&log, b"next").await > last);
    assert_eq!(log.read(SHARD, &ReadFrom::After(number("3")), 10).await.unwrap().len(), 1, "from a pruned position");
}

#[tokio::test]
async fn arrival_times_do_not_follow_a_clock_that_goes_back() {
    static NOW: AtomicI64 = AtomicI64::new(5000);
    let dir = tempfile::tempdir().unwrap();
    for (now, arrived) in [(5000, 5000), (3000, 5000), (6000, 6000), (1, 6000)] {
        NOW.store(now, Ordering::Relaxed);
        let log = SqliteLog::open_with_clock(dir.path(), || NOW.load(Ordering::Relaxed)).unwrap();
        append(&log, b"x").await;
        assert_eq!(all(&log).await.last().unwrap().arrived_ms, arrived);
    }
}

const DAY_MS: i64 = 86_400_000;
/// 2026-11-26T10:00:00Z
const TODAY_MS: i64 = 1_795_687_200_000;
/// 2100-01-01
const IN_2100_MS: i64 = 4_102_444_800_000;
const WEEK_MS: i64 = 7 * DAY_MS;

/// Rule 3.10. What happened: the clock in the year 2100 for 8 s emptied the log, and later records stayed forever.
#[tokio::test]
async fn a_clock_in_2100_for_a_moment_neither_empties_the_log_nor_keeps_records_forever() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let now = |ms: i64| NOW.store(ms, Ordering::Relaxed);
    let dir = tempfile::tempdir().unwrap();
    let open = || SqliteLog::open_with_clock(dir.path(), || NOW.load(Ordering::Relaxed)).unwrap();
    // A week of records, one an hour.
    let log = open();
    for hour in 0..=7 * 24 {
        now(TODAY_MS - WEEK_MS + hour * 3_600_000);
        append(&log, b"before").await;
        log.retain(WEEK_MS).await.unwrap();
    }
    let before = all(&log).await.len();
    assert!(before >= 7 * 24 - 1, "{before}");
    drop(log);
    for second in 0..8 {
        now(IN_2100_MS + second * 1000);
        let log = open();
        append(&log, b"in 2100").await;
        log.retain(WEEK_MS).await.unwrap();
    }
    assert!(all(&open()).await.len() >= 6 * 24 + 8, "a day at most");
    // The clock is right again.
    let log = open();
    now(TODAY_MS + 10_000);
    append(&log, b"after").await;
    let records = all(&log).await;
    assert!(records.iter().is_sorted_by_key(|record| record.arrived_ms));
    assert!(records.iter().rev().take(9).all(|record| record.arrived_ms == TODAY_MS + 10_000), "{records:?}");
    let since = log.read(SHARD, &ReadFrom::Time(TODAY_MS), 1000).await.unwrap();
    assert_eq!(since.len(), 10, "from this time on, none before and none missing");
    assert!(log.complete_since(SHARD).await.unwrap() < TODAY_MS - 5 * DAY_MS);
    // And a week and a day later it is gone like all others.
    for hour in 1..=8 * 24 {
        now(TODAY_MS + hour * 3_600_000);
        log.retain(WEEK_MS).await.unwrap();
    }
    assert_eq!(all(&log).await, []);
    assert!(log.complete_since(SHARD).await.unwrap() <= TODAY_MS + 10_001);
}

#[tokio::test]
async fn a_mark_of_an_earlier_version_from_2100_does_not_bar_a_reprocess() {
    static NOW: AtomicI64 = AtomicI64::new(IN_2100_MS);
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open_with_clock(dir.path(), || NOW.load(Ordering::Relaxed)).unwrap();
    append(&log, b"in 2100").await;
    let file = Connection::open(dir.path().join("log.sqlite")).unwrap();
    file.execute("INSERT INTO pruned (id, before_ms) VALUES (0, ?1)", [IN_2100_MS - WEEK_MS]).unwrap();
    NOW.store(TODAY_MS, Ordering::Relaxed);
    append(&log, b"now").await;
    assert_eq!(all(&log).await.iter().map(|record| record.arrived_ms).collect::<Vec<_>>(), [TODAY_MS; 2]);
    assert_eq!(log.complete_since(SHARD).await.unwrap(), TODAY_MS);
}

#[tokio::test]
async fn a_clock_that_falls_back_changes_no_arrival_time() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    // In 1970, and where a month of records is.
    for wrong_ms in [1000, TODAY_MS - 20 * DAY_MS, TODAY_MS - 45 * DAY_MS] {
        let dir = tempfile::tempdir().unwrap();
        let log = SqliteLog::open_with_clock(dir.path(), || NOW.load(Ordering::Relaxed)).unwrap();
        for day in 0..60 {
            NOW.store(TODAY_MS - (60 - day) * DAY_MS, Ordering::Relaxed);
            append(&log, b"x").await;
        }
        let before = all(&log).await;
        NOW.store(wrong_ms, Ordering::Relaxed);
        append(&log, b"y").await;
        assert_eq!(all(&log).await[..60], before);
        log.retain(WEEK_MS).await.unwrap();
        assert_eq!(all(&log).await.len(), 61);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Rule 3.10. Whatever the clock shows now and then: arrival times never go back, no record younger than its time
    /// less a day for each jump is gone, and a reader from a true time on misses nothing once the clock is
    /// right.
    #[test]
    fn a_clock_that_jumps_now_and_then_loses_nothing_early(
        steps in prop::collection::vec((1..7_200_000i64, 0..12u8, any::<bool>()), 20..120),
    ) {
        static NOW: AtomicI64 = AtomicI64::new(0);
        static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let open = || SqliteLog::open_with_clock(dir.path(), || NOW.load(Ordering::Relaxed)).unwrap();
            let (mut log, mut true_ms, mut jumps, mut came) = (open(), TODAY_MS, 0, vec![]);
            for (step_ms, kind, is_wrong) in steps {
                true_ms += step_ms;
                let is_wrong = is_wrong && kind < 4;
                NOW.store(if is_wrong { true_ms + 74 * 365 * DAY_MS } else { true_ms }, Ordering::Relaxed);
                jumps += i64::from(is_wrong);
                match kind {
                    0 => log = open(),
                    1 | 2 => _ = log.retain(WEEK_MS).await.unwrap(),
                    _ => came.push((append(&log, b"x").await, true_ms)),
                }
            }
            NOW.store(true_ms, Ordering::Relaxed);
            came.push((append(&log, b"last").await, true_ms));
            let left: Vec<_> = log.read(SHARD, &ReadFrom::Oldest, 10_000).await.unwrap();
            assert!(left.iter().is_sorted_by_key(|record| record.arrived_ms));
            assert!(left.last().unwrap().arrived_ms == true_ms, "no later than now");
            for (sequence, at_ms) in &came {
                let is_there = left.iter().any(|record| record.sequence == *sequence);
                assert!(is_there || true_ms - at_ms >= WEEK_MS - (jumps + 1) * DAY_MS, "{jumps} jumps");
                let from = log.read(SHARD, &ReadFrom::Time(*at_ms), 10_000).await.unwrap();
                let wanted = came.iter().filter(|(other, ms)| ms >= at_ms && left.iter().any(|r| r.sequence == *other));
                for (other, _) in wanted {
                    assert!(from.iter().any(|record| record.sequence == *other), "{other} is missed");
                }
            }
        });
    }
}

#[tokio::test]
async fn a_position_that_the_log_never_assigned_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(dir.path()).unwrap();
    append(&log, b"x").await;
    for ahead in ["2", "9223372036854775807", "9223372036854775808", &"4".repeat(56)] {
        let error = log.read(SHARD, &ReadFrom::After(number(ahead)), 10).await.unwrap_err();
        assert!(matches!(&error, PortError::Refused { reason, .. } if reason.contains(ahead)), "{error}");
    }
    for (after, count) in [("0", 1), ("1", 0)] {
        assert_eq!(log.read(SHARD, &ReadFrom::After(number(after)), 10).await.unwrap().len(), count);
    }
    assert_eq!(log.read(SHARD, &ReadFrom::Oldest, 0).await.unwrap(), []);
}

#[tokio::test]
async fn a_read_ends_early_rather_than_fill_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(dir.path()).unwrap();
    let frames: Vec<_> = (0..24).map(|n| record(&vec![n; 1 << 20])).collect();
    assert!(log.append(&frames).await.iter().all(Result::is_ok));
    let page = all(&log).await;
    assert_eq!(page.len(), 16);
    let rest = log.read(SHARD, &ReadFrom::After(page[15].sequence.clone()), 1000).await.unwrap();
    assert_eq!(rest.len(), 8);
}

#[tokio::test]
async fn an_append_wakes_the_reader_even_when_it_came_first() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(dir.path()).unwrap();
    append(&log, b"x").await;
    tokio::time::timeout(Duration::from_secs(5), log.appended().notified()).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(20), log.appended().notified());
    assert!(waiting.await.is_err(), "no append, no wake-up");
}

#[tokio::test]
async fn processes_append_to_one_log_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (SqliteLog::open(dir.path()).unwrap(), SqliteLog::open(dir.path()).unwrap());
    for _ in 0..100 {
        let (a, b) = tokio::join!(append(&one, b"a"), append(&two, b"b"));
        assert_ne!(a, b);
    }
    assert_eq!(all(&one).await.len(), 200);
    assert_eq!(all(&one).await, all(&two).await);
}

#[tokio::test]
async fn many_processes_may_create_the_files_at_once() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let path = Arc::new(dir.path().to_owned());
        let open = |_| {
            let path = path.clone();
            std::thread::spawn(move || (SqliteStore::open(&path).map(drop), SqliteLog::open(&path).map(drop)))
        };
        let threads: Vec<_> = (0..8).map(open).collect();
        for thread in threads {
            let (store, log) = thread.join().unwrap();
            store.unwrap();
            log.unwrap();
        }
    }
}

#[tokio::test]
async fn a_closed_file_is_whole_without_its_companions() {
    let dir = tempfile::tempdir().unwrap();
    let (log, store) = (SqliteLog::open(dir.path()).unwrap(), SqliteStore::open(dir.path()).unwrap());
    append(&log, b"x").await;
    all(&log).await;
    store.set_setting("a", "b").await.unwrap();
    store.setting("a").await.unwrap();
    drop((log, store));
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["log.sqlite", "store.sqlite"]);
}

#[tokio::test]
async fn the_store_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let partial = sample_partial(1, 5u64.into(), 1);
    assert_eq!(store.put(&key(), &partial, &Expected::Absent).await.unwrap(), PutOutcome::Stored);
    store.set_checkpoint(SHARD, &number("5")).await.unwrap();
    store.set_setting("window_secs", "300").await.unwrap();
    store.set_setting("window_secs", "60").await.unwrap();
    drop(store);
    let store = SqliteStore::open(dir.path()).unwrap();
    let stored = store.load(&key()).await.unwrap().unwrap();
    assert_eq!(stored.encode().unwrap(), partial.encode().unwrap());
    assert_eq!(store.checkpoint(SHARD).await.unwrap(), Some(number("5")));
    assert_eq!(store.checkpoint("other").await.unwrap(), None);
    assert_eq!(store.setting("window_secs").await.unwrap().as_deref(), Some("60"));
    assert_eq!(store.setting("other").await.unwrap(), None);
    assert!(store.delete(&key()).await.unwrap());
    assert!(!store.delete(&key()).await.unwrap());
    assert!(store.load(&key()).await.unwrap().is_none());
}

#[tokio::test]
async fn two_processes_conflict_over_one_window() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (SqliteStore::open(dir.path()).unwrap(), SqliteStore::open(dir.path()).unwrap());
    let (first, second) = (sample_partial(1, 1u64.into(), 1), sample_partial(1, 2u64.into(), 2));
    assert_eq!(one.put(&key(), &first, &Expected::Absent).await.unwrap(), PutOutcome::Stored);
    assert_eq!(two.put(&key(), &second, &Expected::Absent).await.unwrap(), PutOutcome::Conflict);
    let at_first = Expected::At { generation: 1, fence: number("1") };
    assert_eq!(two.put(&key(), &second, &at_first).await.unwrap(), PutOutcome::Stored);
    assert_eq!(one.put(&key(), &second, &at_first).await.unwrap(), PutOutcome::Conflict);
    assert_eq!(one.load(&key()).await.unwrap().unwrap().fence, number("2"));
}

#[tokio::test]
async fn a_lock_of_another_process_only_delays_a_put() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let other = raw(dir.path(), "store.sqlite");
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        other.execute_batch("COMMIT").unwrap();
    });
    let partial = sample_partial(1, 1u64.into(), 1);
    assert!(store.load(&key()).await.unwrap().is_none(), "a reader does not wait for a writer");
    assert!(!release.is_finished());
    assert_eq!(store.put(&key(), &partial, &Expected::Absent).await.unwrap(), PutOutcome::Stored);
    release.join().unwrap();
}

#[tokio::test]
async fn a_checkpoint_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(store.checkpoint(SHARD).await.unwrap(), None);
    let long = "4".repeat(56);
    for (set, then) in [("9", "9"), ("10", "10"), ("9", "10"), (&long, &long), ("99", &long), ("11", &long)] {
        store.set_checkpoint(SHARD, &number(set)).await.unwrap();
        assert_eq!(store.checkpoint(SHARD).await.unwrap(), Some(number(then)), "after {set}");
    }
    store.set_checkpoint("1", &number("3")).await.unwrap();
    assert_eq!(store.checkpoint("1").await.unwrap(), Some(number("3")), "each shard has its own");
}

fn raw(dir: &Path, file: &str) -> Connection {
    Connection::open(dir.join(file)).unwrap()
}

fn heartbeat(n: u64) -> LogRecord {
    let header = FrameHeader {
        lane: key().lane,
        source: "test".into(),
        run: "run".into(),
        counter: n,
        cut_ms: 300_000,
        cut: 1,
        live: true,
        ..FrameHeader::default()
    };
    LogRecord { sequence: n.into(), arrived_ms: 0, lane: None, bytes: frame::encode(&header, &[]).unwrap() }
}

/// Rule 4.6. Damaged data is an error that names its place, and stays for inspection.
#[tokio::test]
async fn a_damaged_window_is_an_error_that_names_it_and_restarts() {
    for damage in [
        "state = x'00'",
        "state = substr(state, 1, length(state) - 1)",
        "fence = '3'",
        "fence = '9999999'",
        "fence = 'x'",
        "generation = -1",
        "generation = 4294967296",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
        let partial = sample_partial(1, 5u64.into(), 1);
        store.put(&key(), &partial, &Expected::Absent).await.unwrap();
        let other = raw(dir.path(), "store.sqlite");
        other.execute(&format!("UPDATE partial SET {damage}"), []).unwrap();
        let damaged = || other.query_row("SELECT generation, fence, state FROM partial", [], whole).unwrap();
        fn whole(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, String, Vec<u8>)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        }
        let before = damaged();
        let error = store.load(&key()).await.unwrap_err();
        assert!(matches!(error, PortError::Corrupt { .. }) && !error.is_retryable(), "{damage}: {error}");
        let rows = store.query("montréal", WindowStart(0), WindowStart(900_000)).await.unwrap();
        assert!(matches!(rows[..], [(_, Err(PortError::Corrupt { .. }))]), "{damage}");
        assert!(error.to_string().contains("montréal"), "{error}");
        assert!(error.to_string().contains("1970-01-01T00:05:00Z"), "{error}");
        let mut aggregator = Aggregator::new(store.clone(), FoldRules::default(), 8);
        let outcome = aggregator.fold_batch("0", &[heartbeat(6)]).await.unwrap();
        assert_eq!((outcome.dead.len(), outcome.stored), (1, 1), "{damage}");
        assert_eq!(store.load(&key()).await.unwrap().unwrap().aggregate.damage.resets, 1, "{damage}");
        other.execute("DELETE FROM partial", []).unwrap();
        store.put(&key(), &partial, &Expected::Absent).await.unwrap();
        other.execute(&format!("UPDATE partial SET {damage}"), []).unwrap();
        assert_eq!(damaged(), before, "{damage}");
        // Whatever is damaged, the row can be recognized, replaced and removed.
        assert_eq!(store.keys(WindowStart(0), WindowStart(900_000)).await.unwrap(), [key()], "{damage}");
        let version = store.version(&key()).await.unwrap().unwrap();
        assert_eq!(version.generation.is_none(), damage.starts_with("generation"), "{damage}");
        assert_eq!(version.fence.is_none(), damage.starts_with("fence = 'x"), "{damage}");
        let repaired = sample_partial(2, 5u64.into(), 1);
        assert_eq!(store.put(&key(), &repaired, &Expected::Row(version.clone())).await.unwrap(), PutOutcome::Stored);
        assert_eq!(store.load(&key()).await.unwrap().unwrap().encode().unwrap(), repaired.encode().unwrap());
        assert!(!store.remove(&key(), &version).await.unwrap(), "{damage}");
        other.execute(&format!("UPDATE partial SET {damage}"), []).unwrap();
        let version = store.version(&key()).await.unwrap().unwrap();
        assert!(store.remove(&key(), &version).await.unwrap(), "{damage}");
        assert!(store.load(&key()).await.unwrap().is_none(), "{damage}");
    }
}

#[tokio::test]
async fn a_damaged_checkpoint_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    raw(dir.path(), "store.sqlite").execute("INSERT INTO checkpoint VALUES ('0', '7x')", []).unwrap();
    assert!(matches!(store.checkpoint(SHARD).await, Err(PortError::Corrupt { .. })));
}

fn open_errors(dir: &Path) -> [PortError; 2] {
    [SqliteLog::open(dir).unwrap_err(), SqliteStore::open(dir).unwrap_err()]
}

fn assert_refused(errors: [PortError; 2], says: &str) {
    for (error, file) in errors.iter().zip(["log.sqlite", "store.sqlite"]) {
        let text = error.to_string();
        assert!(matches!(error, PortError::Refused { .. }), "{text}");
        assert!(text.contains(file) && text.contains(says), "{text}");
    }
}

// Rule 4.9.
#[test]
fn files_of_other_releases_are_refused_with_what_to_do_and_left_alone() {
    for (version, says) in [
        (1, "(format 1, this one reads 4), and there is no conversion: start with a new data folder (--data)"),
        (5, "a newer release of Birdsong wrote it (format 5, this one reads 4)"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop((SqliteLog::open(dir.path()).unwrap(), SqliteStore::open(dir.path()).unwrap()));
        let files = ["log.sqlite", "store.sqlite"];
        for file in files {
            raw(dir.path(), file).pragma_update(None, "user_version", version).unwrap();
        }
        let before = files.map(|file| std::fs::read(dir.path().join(file)).unwrap());
        assert_refused(open_errors(dir.path()), says);
        assert_eq!(files.map(|file| std::fs::read(dir.path().join(file)).unwrap()), before);
    }
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = "not a database, ".repeat(1000);
    for file in ["log.sqlite", "store.sqlite"] {
        std::fs::write(dir.path().join(file), &text).unwrap();
    }
    assert_refused(open_errors(dir.path()), "not an SQLite database");
    assert_eq!(std::fs::read_to_string(dir.path().join("log.sqlite")).unwrap(), text);

    let dir = tempfile::tempdir().unwrap();
    for file in ["log.sqlite", "store.sqlite"] {
        raw(dir.path(), file).execute_batch("CREATE TABLE theirs (x)").unwrap();
    }
    assert_refused(open_errors(dir.path()), "another program");

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    for error in open_errors(&dir.path().join("file")) {
        assert!(matches!(&error, PortError::Refused { reason, .. } if reason.contains("data directory")), "{error}");
    }
}

#[tokio::test]
async fn the_store_in_memory_has_the_bytes_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (file, memory) = (SqliteStore::open(dir.path()).unwrap(), MemoryWindows::default());
    for n in 0..20u16 {
        let key = PartialKey {
            lane: Lane::posts(["a", "b"][usize::from(n % 2)], Network::X, n),
            window: WindowStart(i64::from(n % 3)),
        };
        let partial = sample_partial(1, u64::from(n).into(), u64::from(n));
        file.put(&key, &partial, &Expected::Absent).await.unwrap();
        memory.put(&key, &partial, &Expected::Absent).await.unwrap();
    }
    assert_eq!(memory.dump().unwrap().len(), 20);
    assert_eq!(file.dump().await.unwrap(), memory.dump().unwrap());
}

// Rule 1.4.
/// A log made again beside the windows of one that is gone must not be mistaken for the log of those.
#[tokio::test]
async fn a_new_log_beside_old_windows_is_complete_from_now_on_only() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open_with_clock(dir.path(), || 5_000).unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(log.complete_since(SHARD).await.unwrap(), i64::MIN, "nothing was there");
    store.put(&key(), &sample_partial(1, 1u64.into(), 1), &Expected::Absent).await.unwrap();
    drop(log);
    let log = SqliteLog::open_with_clock(dir.path(), || 6_000).unwrap();
    assert_eq!(log.complete_since(SHARD).await.unwrap(), i64::MIN, "the same log");
    drop((log, store));
    for file in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    let log = SqliteLog::open_with_clock(dir.path(), || 7_000).unwrap();
    assert_eq!(log.complete_since(SHARD).await.unwrap(), 7_000);
    // An empty store has lost nothing.
    let dir = tempfile::tempdir().unwrap();
    let _store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(SqliteLog::open(dir.path()).unwrap().complete_since(SHARD).await.unwrap(), i64::MIN);
}

/// A row without a record in the log doubled the API's posts, and a fence ahead of its state stayed forever; a
/// reprocess reported of both that nothing changed.
#[tokio::test(start_paused = true)]
async fn a_reprocess_removes_strange_rows_and_repairs_a_fence_that_was_altered_in_the_file() {
    use birdsong_aggregator::reprocess::{Change, reprocess};
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open_with_clock(dir.path(), || 300_000).unwrap();
    let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
    let frames: Vec<_> = (1..=9).map(|n| FrameRecord { lane: key().lane, bytes: heartbeat(n).bytes }).collect();
    assert!(log.append(&frames).await.iter().all(Result::is_ok));
    let records = log.read(SHARD, &ReadFrom::Oldest, 100).await.unwrap();
    Aggregator::new(store.clone(), FoldRules::default(), 8).fold_batch("0", &records).await.unwrap();
    let right = store.dump().await.unwrap().into_values().next().unwrap().1;

    let other = raw(dir.path(), "store.sqlite");
    for (damage, change) in [
        (
            "INSERT INTO partial SELECT region, window_start, 'x#7', generation, fence, state, 0 FROM partial",
            Change::Removed,
        ),
        (
            "INSERT INTO partial SELECT 'nobody', window_start, 'x#0', generation, fence, state, 0 FROM partial",
            Change::Removed,
        ),
        ("INSERT INTO partial SELECT region, window_start + 1, 'x#0', 1, '5', x'00', 0 FROM partial", Change::Removed),
        ("UPDATE partial SET fence = '10'", Change::Healed),
        ("UPDATE partial SET fence = '123456789012345678901234567890'", Change::Healed),
        ("UPDATE partial SET fence = 'x'", Change::Healed),
        ("UPDATE partial SET fence = CAST(x'ff' AS TEXT)", Change::Healed),
        ("UPDATE partial SET generation = -1", Change::Healed),
        ("UPDATE partial SET generation = 4294967296", Change::Healed),
        ("UPDATE partial SET generation = 4294967295, state = x'00'", Change::Changed),
        ("UPDATE partial SET fence = '1'", Change::Changed),
        ("DELETE FROM partial", Change::Changed),
    ] {
        other.execute(damage, []).unwrap();
        let again = async || {
            let range = WindowStart(0)..WindowStart(900_000);
            reprocess(&log, &*store, FoldRules::default(), range, false, |_| ()).await.unwrap()
        };
        let receipt = again().await;
        assert_eq!((receipt.changed(), receipt.count(change)), (1, 1), "{damage}: {receipt:?}");
        let states: Vec<_> = store.dump().await.unwrap().into_iter().map(|(key, (_, state))| (key, state)).collect();
        assert_eq!(states, [(key(), right.clone())], "{damage}");
        assert_eq!(again().await.changed(), 0, "{damage}");
    }
}
