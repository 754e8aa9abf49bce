//! Rule 1.21. The archive of a log gives what the log gave: once, whole, and byte for byte.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use birdsong_aggregator::reprocess::{Receipt, ReprocessError, reprocess};
use birdsong_archive::{ArchivedLog, Day, Files, MemoryFiles, list_all, manifests, prune, verify, write};
use birdsong_domain::frame::{self, FrameHeader, Lane, Ledger, PostCount, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, PartialKey, PortError, PostLog};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::SqliteLog;
use birdsong_testkit::MemoryStore;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// 2026-05-20.
const FIRST_MS: i64 = 1_779_235_200_000;
/// Each test is a process of its own.
static NOW_MS: AtomicI64 = AtomicI64::new(FIRST_MS);

fn now_ms() -> i64 {
    NOW_MS.load(Ordering::Relaxed)
}

fn frame_of(lane: &Lane, counter: u64, times_ms: &[i64]) -> FrameRecord {
    let is_ledger = lane.is_ledger();
    let ledger = Ledger { received: u64::from(is_ledger), sent: u64::from(is_ledger), ..Ledger::default() };
    let header = FrameHeader {
        lane: lane.clone(),
        source: "test".into(),
        run: "run".into(),
        counter,
        cut_ms: now_ms(),
        live: true,
        ledger,
        ..FrameHeader::default()
    };
    let mut lines = vec![];
    for (n, time_ms) in times_ms.iter().enumerate() {
        let id = u128::from(counter) << 64 | n as u128;
        let hashtags = vec![format!("tag{}", counter % 7)];
        let post = SlimPost { id, time_ms: *time_ms, author: Some(counter % 11), hashtags, ..SlimPost::default() };
        serde_json::to_writer(&mut lines, &post).unwrap();
        lines.push(b'\n');
    }
    FrameRecord { lane: lane.clone(), bytes: frame::encode(&header, &lines).unwrap() }
}

/// A log of four days, of which the first goes with the retention when `is_pruned`. Late posts are among its records, and
/// a damaged one.
struct World {
    _dir: tempfile::TempDir,
    log: SqliteLog,
}

async fn world() -> World {
    NOW_MS.store(FIRST_MS, Ordering::Relaxed);
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open_with_clock(dir.path(), now_ms).unwrap();
    let (fog, rain) = (Lane::posts("fog", Network::X, 0), Lane::posts("rain", Network::BLUESKY, 0));
    let ledger = Lane::ledger(Network::X, "test");
    for hour in 0..4 * 24 {
        NOW_MS.store(FIRST_MS + hour * HOUR_MS, Ordering::Relaxed);
        log.retain(2 * DAY_MS).await.unwrap();
        NOW_MS.store(FIRST_MS + hour * HOUR_MS + 5, Ordering::Relaxed);
        let (counter, at) = (hour as u64 + 1, now_ms());
        let mut frames = vec![frame_of(&fog, counter, &[at - 10, at - 9]), frame_of(&ledger, counter, &[])];
        if hour % 5 == 0 {
            // Late by two days, and by a minute.
            frames.push(frame_of(&rain, counter, &[at - 2 * DAY_MS, at - 60_000, at]));
        }
        if hour == 30 {
            frames.push(FrameRecord { lane: fog.clone(), bytes: b"BSF3 is not all".to_vec() });
        }
        for outcome in log.append(&frames).await {
            outcome.unwrap();
        }
    }
    NOW_MS.store(FIRST_MS + 4 * DAY_MS + HOUR_MS, Ordering::Relaxed);
    World { _dir: dir, log }
}

/// Removes what is older than two days.
async fn forget(log: &SqliteLog) {
    for _ in 0..48 {
        NOW_MS.fetch_add(HOUR_MS, Ordering::Relaxed);
        log.retain(2 * DAY_MS).await.unwrap();
    }
}

fn day(n: i64) -> Day {
    Day::of(FIRST_MS + n * DAY_MS)
}

async fn archive<F: Files>(log: &SqliteLog, files: &F) -> Result<usize, PortError> {
    Ok(write(log, files, "7", Day::MIN..Day::MAX, now_ms(), |_| ()).await?.len())
}

fn all(files: &MemoryFiles) -> BTreeMap<String, Vec<u8>> {
    files.change(|files| files.clone())
}

type Rows = BTreeMap<PartialKey, (u32, Vec<u8>)>;

/// Folds a range into an empty store.
async fn fold<L: PostLog>(log: &L, windows: std::ops::Range<WindowStart>) -> Result<(Receipt, Rows), ReprocessError> {
    let store = MemoryStore::default();
    let receipt = reprocess(log, &store, FoldRules::default(), windows, false, |_| ()).await?;
    Ok((receipt, store.dump()))
}

fn windows(days: std::ops::Range<i64>) -> std::ops::Range<WindowStart> {
    WindowStart(FIRST_MS + days.start * DAY_MS)..WindowStart(FIRST_MS + days.end * DAY_MS)
}

#[tokio::test]
async fn windows_that_the_log_no_longer_has_are_folded_from_the_archive_byte_for_byte() {
    let World { log, _dir } = world().await;
    let files = MemoryFiles::default();
    // The log had two days when the archive began; the days before that are in it.
    let kept: Vec<_> = write(&log, &files, "7", Day::MIN..Day::MAX, now_ms(), |_| ()).await.unwrap();
    let first = kept[0].day;
    assert!(first > day(0) && kept.len() >= 2, "{kept:?}");
    let range = WindowStart(first.start_ms() + HOUR_MS)..WindowStart(FIRST_MS + 4 * DAY_MS);
    let (receipt, expected) = fold(&log, range.clone()).await.unwrap();
    assert!(receipt.unreadable <= 1 && expected.len() > 100);

    forget(&log).await;
    assert!(matches!(fold(&log, range.clone()).await, Err(ReprocessError::Gone { .. })));
    let archived = ArchivedLog::open(&log, &files, "7", range.clone()).await.unwrap();
    let (_, rows) = fold(&archived, range.clone()).await.unwrap();
    assert!(rows == expected);
    // Live aggregation goes on from these rows, and a second run changes nothing.
    let store = MemoryStore::default();
    for _ in 0..2 {
        let receipt = reprocess(&archived, &store, FoldRules::default(), range.clone(), false, |_| ()).await.unwrap();
        assert!(receipt.changed() == 0 || receipt.changed() == expected.len());
    }
    assert!(store.dump() == expected);
    // Earlier windows are not in it, either.
    let before = windows(0..1);
    let archived = ArchivedLog::open(&log, &files, "7", before.clone()).await.unwrap();
    assert!(matches!(fold(&archived, before).await, Err(ReprocessError::Gone { .. })));
}

#[tokio::test]
async fn a_log_that_was_archived_from_its_beginning_is_complete_since_ever() {
    NOW_MS.store(FIRST_MS, Ordering::Relaxed);
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open_with_clock(dir.path(), now_ms).unwrap();
    let lane = Lane::posts("fog", Network::X, 0);
    let files = MemoryFiles::default();
    // An archive of old posts that is replayed: what arrives now is of windows of long ago.
    log.append(&[frame_of(&lane, 1, &[FIRST_MS - 500 * DAY_MS])]).await.pop().unwrap().unwrap();
    let range = windows(-501..-499);
    let (_, expected) = fold(&log, range.clone()).await.unwrap();
    for _ in 0..5 {
        NOW_MS.fetch_add(DAY_MS, Ordering::Relaxed);
        archive(&log, &files).await.unwrap();
        log.retain(DAY_MS).await.unwrap();
    }
    assert!(matches!(fold(&log, range.clone()).await, Err(ReprocessError::Gone { .. })));
    let archived = ArchivedLog::open(&log, &files, "7", range.clone()).await.unwrap();
    let (_, rows) = fold(&archived, range).await.unwrap();
    assert!(!rows.is_empty() && rows == expected);
}

#[tokio::test]
async fn writing_again_changes_nothing_and_a_lost_day_gets_the_same_bytes() {
    let World { log, _dir } = world().await;
    let files = MemoryFiles::default();
    assert!(archive(&log, &files).await.unwrap() >= 2);
    let written = all(&files);
    assert_eq!(archive(&log, &files).await.unwrap(), 0);
    for day in 0..4 {
        files.change(|files| files.remove(&format!("manifests/{}.json", self::day(day))));
    }
    archive(&log, &files).await.unwrap();
    assert!(all(&files) == written);
}

/// Fails each put from the nth on.
struct Failing<'a>(&'a MemoryFiles, AtomicUsize);

impl Files for Failing<'_> {
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, PortError> {
        self.0.list(prefix, after).await
    }

    async fn get(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, PortError> {
        self.0.get(name, limit).await
    }

    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        if self.1.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.1.store(0, Ordering::Relaxed);
            return Err(PortError::Unavailable { what: "the folder", reason: "no space left".into() });
        }
        self.0.put(name, bytes).await
    }

    async fn remove(&self, name: &str) -> Result<(), PortError> {
        self.0.remove(name).await
    }
}

#[tokio::test]
async fn a_write_that_is_cut_short_anywhere_continues_to_the_same_bytes() {
    let World { log, _dir } = world().await;
    let whole = MemoryFiles::default();
    archive(&log, &whole).await.unwrap();
    for puts in 0..all(&whole).len() {
        let files = MemoryFiles::default();
        assert!(archive(&log, &Failing(&files, puts.into())).await.is_err());
        // What is there is whole: a file without its manifest is no day.
        let verified = verify(&files, |_| ()).await.unwrap();
        assert_eq!((verified.damaged, verified.missing), (vec![], vec![]), "after {puts}");
        archive(&log, &files).await.unwrap();
        assert!(all(&files) == all(&whole), "after {puts}");
    }
}

#[tokio::test]
async fn damage_is_found_and_nothing_is_folded_from_it() {
    let World { log, _dir } = world().await;
    let files = MemoryFiles::default();
    archive(&log, &files).await.unwrap();
    let whole = all(&files);
    let range = windows(0..4);
    forget(&log).await;
    for name in whole.keys() {
        for change in [
            |bytes: &mut Vec<u8>| {
                let half = bytes.len() / 2;
                bytes[half] ^= 1;
            },
            |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1),
        ] {
            let files = MemoryFiles::default();
            files.change(|files| {
                *files = whole.clone();
                change(files.get_mut(name).unwrap());
            });
            let verified = verify(&files, |_| ()).await.unwrap();
            let is_manifest = name.starts_with("manifests/");
            let is_cut_line_end = is_manifest && all(&files)[name].len() + 1 == whole[name].len();
            if is_cut_line_end {
                assert_eq!(verified.damaged.len(), 0, "the line end behind a manifest");
                continue;
            }
            assert_eq!(verified.damaged.len(), 1, "{name}: {:?}", verified.damaged);
            assert!(verified.damaged[0].contains(name), "{name}: {:?}", verified.damaged);
            let error = match ArchivedLog::open(&log, &files, "7", range.clone()).await {
                Ok(archived) => match fold(&archived, WindowStart(range.start.0 + 2 * DAY_MS)..range.end).await {
                    Err(ReprocessError::Port(error)) => error,
                    other => panic!("{name}: {:?}", other.map(|(receipt, _)| receipt.changed())),
                },
                Err(error) => error,
            };
            assert!(matches!(&error, PortError::Corrupt { what, .. } if what.contains(name)), "{name}: {error}");
        }
    }
    files.change(|files| {
        let name = files.keys().find(|name| name.starts_with("region=")).unwrap().clone();
        files.remove(&name).unwrap();
    });
    assert!(verify(&files, |_| ()).await.unwrap().damaged[0].contains("it is missing"));
}

#[tokio::test]
async fn an_archive_of_another_log_or_format_and_a_gap_are_refused() {
    let World { log, _dir } = world().await;
    let files = MemoryFiles::default();
    archive(&log, &files).await.unwrap();
    let refused = |result: Result<(), PortError>, reason: &str| match result {
        Err(PortError::Refused { reason: found, .. }) => assert!(found.contains(reason), "{found}"),
        other => panic!("{other:?}"),
    };
    let range = windows(3..4);
    refused(ArchivedLog::open(&log, &files, "8", range.clone()).await.map(drop), "another log");
    refused(write(&log, &files, "8", Day::MIN..Day::MAX, now_ms(), |_| ()).await.map(drop), "another log");
    let none = MemoryFiles::default();
    refused(ArchivedLog::open(&log, &none, "7", range.clone()).await.map(drop), "no day is in it");
    // The archive ends, the log goes on and forgets what is between.
    forget(&log).await;
    forget(&log).await;
    for _ in 0..3 {
        let lane = Lane::posts("fog", Network::X, 0);
        log.append(&[frame_of(&lane, 900, &[])]).await.pop().unwrap().unwrap();
        forget(&log).await;
    }
    refused(ArchivedLog::open(&log, &files, "7", range).await.map(drop), "the records between are lost");
}

#[tokio::test]
async fn old_days_are_pruned_with_what_is_left_over_of_them() {
    let World { log, _dir } = world().await;
    let files = MemoryFiles::default();
    archive(&log, &files).await.unwrap();
    files.change(|files| files.insert(format!("region=fog/day={}/0.0009.ndjson.zst", day(0)), vec![]));
    assert_eq!(verify(&files, |_| ()).await.unwrap().left_over.len(), 1);
    let pruned = prune(&files, day(3)).await.unwrap();
    assert!(!pruned.is_empty() && pruned.iter().all(|pruned| *pruned < day(3)));
    let left = list_all(&files, "").await.unwrap();
    assert!(!left.is_empty() && left.iter().all(|name| name.contains(&day(3).to_string())), "{left:?}");
    assert_eq!(verify(&files, |_| ()).await.unwrap().damaged, Vec::<String>::new());
}

/// `cargo nextest run -p birdsong-archive --no-capture an_hour_of_ten_posts` prints what docs/how-to/archive-the-log.md states.
#[tokio::test]
async fn an_hour_of_ten_posts_a_second_is_small() {
    NOW_MS.store(FIRST_MS, Ordering::Relaxed);
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open_with_clock(dir.path(), now_ms).unwrap();
    let lane = Lane::posts("fog", Network::X, 0);
    // Ids and authors are hashes, which do not compress (splitmix64).
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let authors: Vec<u64> = (0..20_000).map(|_| random()).collect();
    let mut plain_bytes = 0;
    for second in 0..3600 {
        NOW_MS.store(FIRST_MS + second * 1000, Ordering::Relaxed);
        let mut lines = vec![];
        for _ in 0..10 {
            let (n, of) = (random(), |n: u64, list: &[&str]| list[n as usize % list.len()].to_owned());
            let post = SlimPost {
                id: u128::from(random()) << 64 | u128::from(random()),
                time_ms: now_ms() - (n % 1000) as i64,
                author: Some(authors[random() as usize % authors.len()]),
                lang: of(n >> 10, &["en", "en", "en", "fr", "fr", "es", "de", ""]),
                hashtags: (0..(n >> 20) % 3).map(|_| format!("tag{}", random() % 300)).collect(),
                mentions: ((n >> 30) % 2) as u32,
                hosts: (0..(n >> 40) % 2).map(|_| format!("host{}.example.org", random() % 50)).collect(),
                has_media: (n >> 50) % 3 == 0,
                ..SlimPost::default()
            };
            serde_json::to_writer(&mut lines, &post).unwrap();
            lines.push(b'\n');
        }
        plain_bytes += lines.len();
        let header = FrameHeader {
            lane: lane.clone(),
            source: "x".into(),
            run: "019abcde0123456789ab".into(),
            counter: second as u64 + 1,
            cut: second as u64 + 1,
            cut_ms: now_ms(),
            connected_ms: FIRST_MS,
            live: true,
            windows: vec![PostCount { window_ms: FIRST_MS, posts: 10, primary: 10 }],
            ..FrameHeader::default()
        };
        let bytes = frame::encode(&header, &lines).unwrap();
        log.append(&[FrameRecord { lane: lane.clone(), bytes }]).await.pop().unwrap().unwrap();
    }
    NOW_MS.store(FIRST_MS + 2 * DAY_MS, Ordering::Relaxed);
    let files = MemoryFiles::default();
    archive(&log, &files).await.unwrap();
    let day = manifests(&files).await.unwrap().remove(0);
    assert_eq!(day.posts(), 36_000);
    let of_post = day.bytes() as f64 / day.posts() as f64;
    let year_gb = of_post * 10.0 * 365.0 * 86_400.0 / 1e9;
    println!("{of_post:.1} bytes a post (lines: {}), {year_gb:.1} GB a year", plain_bytes / 36_000);
    assert!(of_post < 60.0, "{of_post}");
}
