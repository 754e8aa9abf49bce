//! Rules 1.2 to 1.4 and 1.9. What a reprocess reads before it corrects a row, how long it waits, and what it says.

use std::sync::{Arc, Mutex};

use birdsong_aggregator::reprocess::{Before, Change, Entry, Progress, Receipt, reprocess, reprocess_announced};
use birdsong_domain::frame::{self, FrameHeader, Lane, Ledger};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{LogRecord, PartialKey, PortError, PostLog, Settings, WindowStore};
use birdsong_domain::revision::Cause;
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart};
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore, newer_state};

use crate::list_log::{ALL, ListLog, Shards, folded, list, log, record, run, states};

/// Counts the calls of a store, and moves the fence of a row each time that somebody looks at it.
#[derive(Default)]
struct Watched {
    calls: Mutex<Vec<&'static str>>,
    restless: Option<(Arc<MemoryStore>, PartialKey)>,
}

impl Hook for Watched {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        let mut calls = self.calls.lock().unwrap();
        match call {
            Call::Load => calls.push("load"),
            Call::Version => calls.push("version"),
            Call::Put => calls.push("put"),
            Call::Remove => calls.push("remove"),
            _ => (),
        }
        if let (Call::Version, Some((store, key))) = (call, &self.restless) {
            store.alter_fence(key, Some((10_000 + calls.len() as u64).into()));
        }
        Ok(())
    }
}

/// Fifty posts of one window.
fn one_window() -> (ListLog, PartialKey) {
    let lane = Lane::posts("a", Network::X, 0);
    let records = (1..=50u64).map(|n| record(n, lane.clone(), n as i64 * 2000)).collect();
    (list(records), PartialKey { lane, window: WindowStart(0) })
}

/// A window that the log has no record of.
fn stranger() -> PartialKey {
    PartialKey { lane: Lane::posts("x", Network::X, 0), window: WindowStart(300_000) }
}

/// Puts a row there that has a fence, and the counts of another one.
fn make_up(store: &MemoryStore, key: PartialKey, generation: u32, fence: u64) {
    let mut row = run(store.load(store.dump().keys().next().unwrap())).unwrap().unwrap();
    row.fence = fence.into();
    store.overwrite(key, generation, row.encode().unwrap());
}

/// Puts the fold of the first records in the place of a row.
fn set_back(store: &MemoryStore, records: &[LogRecord], generation: u32) {
    for (key, (_, state)) in folded(&list(records.to_vec())).dump() {
        store.overwrite(key, generation, state);
    }
}

fn of(receipt: &Receipt, key: &PartialKey) -> Entry {
    receipt.entries.iter().find(|entry| entry.key == *key).unwrap().clone()
}

/// What the log proves is corrected at once. A fence that no record has must be the same in five looks, half a second
/// apart. After a repair, live aggregation may have skipped records, so the row is compared once more.
#[test]
fn a_row_is_corrected_as_soon_as_the_log_proves_it_wrong() {
    type Alter = fn(&MemoryStore, &[LogRecord], &PartialKey);
    let once = ["load"];
    let at_once = ["load", "load", "put"];
    let once_more = ["version", "load"];
    let five_looks = once_more.repeat(5);
    /// The calls of the store in each look.
    type Looks<'a> = &'a [&'a [&'a str]];
    let cases: [(&str, Alter, Change, u64, Looks<'_>); 5] = [
        ("it is right", |_, _, _| (), Change::None, 0, &[&once]),
        ("it is lost", |store, _, key| store.lose(key), Change::Changed, 0, &[&at_once]),
        ("it is behind", |store, records, _| set_back(store, &records[..20], 1), Change::Changed, 0, &[&at_once]),
        (
            "it cannot be read",
            |store, _, key| store.overwrite(key.clone(), 1, b"damaged".to_vec()),
            Change::Changed,
            0,
            &[&once, &once_more, &["load", "put"]],
        ),
        (
            "its fence is ahead of the log",
            |store, _, key| store.alter_fence(key, Some(51u64.into())),
            Change::Healed,
            2500,
            &[&once, &five_looks, &["load", "put"], &once_more],
        ),
    ];
    for (what, alter, change, waits_ms, calls) in cases {
        let (log, key) = one_window();
        let store = Hooked::<Watched> { rows: folded(&log), ..Hooked::default() };
        let expected = states(&store.rows);
        alter(&store.rows, &log.records, &key);
        let (receipt, waited_ms) = timed(&log, &store, false);
        assert_eq!((of(&receipt, &key).change, waited_ms), (change, waits_ms), "{what}");
        assert_eq!(*store.hook.calls.lock().unwrap(), calls.concat(), "{what}");
        assert_eq!(states(&store.rows), expected, "{what}");
    }
}

/// A reprocess, and how long it waited, in milliseconds.
fn timed(log: &impl PostLog, store: &(impl WindowStore + Settings), dry_run: bool) -> (Receipt, u64) {
    run(async {
        let began = tokio::time::Instant::now();
        let receipt = reprocess(log, store, FoldRules::default(), ALL, dry_run, |_| ()).await.unwrap();
        (receipt, began.elapsed().as_millis() as u64)
    })
}

/// Rows of which the log has no record: proof is that all shards were read behind the fence.
#[test]
fn a_row_without_a_record_is_removed_when_the_log_was_read_behind_its_fence() {
    for (fence, waits_ms) in [(7, 500), (50, 500), (51, 2500)] {
        let (log, _) = one_window();
        let store = folded(&log);
        make_up(&store, stranger(), 1, fence);
        let (would, waited_ms) = timed(&log, &*store, true);
        assert_eq!((of(&would, &stranger()).change, waited_ms), (Change::Removed, waits_ms - 500), "{fence}");
        let (receipt, waited_ms) = timed(&log, &*store, false);
        assert_eq!((of(&receipt, &stranger()).change, waited_ms), (Change::Removed, waits_ms), "{fence}");
    }
}

/// The last record of a window is proof enough, however far the shards without the window are.
#[test]
fn a_row_is_corrected_once_its_own_records_were_read() {
    let (log, key) = one_window();
    let store = folded(&log);
    let expected = states(&store);
    store.overwrite(key, 1, b"damaged".to_vec());
    let (receipt, waited_ms) = timed(&Shards(vec![log, list(vec![])]), &*store, false);
    assert_eq!((receipt.changed(), waited_ms), (1, 0));
    assert_eq!(states(&store), expected);
}

#[test]
fn a_row_that_others_always_move_is_left_to_them() {
    let (log, key) = one_window();
    let rows = folded(&log);
    rows.alter_fence(&key, Some(10_000u64.into()));
    let hook = Watched { restless: Some((rows.clone(), key.clone())), ..Watched::default() };
    let store = Hooked { rows, hook };
    let (receipt, waited_ms) = timed(&log, &store, false);
    // Twenty rounds. The second one follows at once.
    assert_eq!((of(&receipt, &key).change, receipt.changed(), waited_ms), (Change::LeftToLive, 0, 18 * 500));
}

#[test]
fn a_correction_has_the_next_generation() {
    type Alter = fn(&MemoryStore, &[LogRecord], &PartialKey);
    let cases: [(&str, Alter, u32); 6] = [
        ("as it was", |_, _, _| (), 1),
        ("lost", |store, _, key| store.lose(key), 2),
        ("behind", |store, records, _| set_back(store, &records[..20], 5), 6),
        ("behind, and of the last generation", |store, records, _| set_back(store, &records[..20], u32::MAX), 2),
        ("damaged", |store, _, key| store.overwrite(key.clone(), 7, b"damaged".to_vec()), 8),
        ("ahead", |store, _, key| make_up(store, key.clone(), 3, 99), 4),
    ];
    for (what, alter, generation) in cases {
        let (log, key) = one_window();
        let store = folded(&log);
        alter(&store, &log.records, &key);
        timed(&log, &*store, false);
        assert_eq!(store.dump()[&key].0, generation, "{what}");
    }
}

/// A rule of the fold is the reason only if the same whole records were counted in another way.
#[test]
fn other_records_are_no_other_rule() {
    let (log, key) = one_window();
    let cause = |log: &ListLog, store: &MemoryStore| {
        let entry = of(&timed(log, store, true).0, &key);
        assert!(entry.change.is_correction(), "{entry:?}");
        entry.cause
    };
    let store = folded(&log);
    set_back(&store, &log.records[..20], 1);
    assert_eq!(cause(&log, &store), Cause::Reprocess, "it lacks records");
    make_up(&store, key.clone(), 1, 50);
    assert_eq!(cause(&log, &store), Cause::Rule, "the last record is there, and some are counted otherwise");
    let (mut damaged, _) = one_window();
    *damaged.records[30].bytes.last_mut().unwrap() ^= 1;
    let store = folded(&damaged);
    assert_eq!(cause(&log, &store), Cause::Reprocess, "one of its records was damaged");
}

/// Others write between the announcement and the correction: what is really replaced is announced, too.
#[test]
fn what_came_out_otherwise_than_announced_is_announced_again() {
    for others_write in [false, true] {
        let (log, key) = one_window();
        let store = folded(&log);
        store.lose(&key);
        let behind = folded(&list(log.records[..20].to_vec())).dump()[&key].1.clone();
        let mut announced = vec![];
        let announce = async |entries: &[Entry]| {
            if others_write && announced.is_empty() {
                store.overwrite(key.clone(), 1, behind.clone());
            }
            announced.push(entries.iter().map(|entry| (entry.before, entry.on_time)).collect::<Vec<_>>());
            Ok(())
        };
        run(reprocess_announced(&log, &*store, FoldRules::default(), ALL, false, |_| (), announce)).unwrap();
        let mut expected = vec![vec![(Before::Missing, (Some(0), 50))]];
        if others_write {
            expected.push(vec![(Before::Posts(20), (Some(20), 50))]);
        }
        assert_eq!(announced, expected);
    }
}

#[test]
fn the_progress_counts_each_record_once() {
    let log = log(0);
    let store = folded(&log);
    let of_range = |range| {
        let mut reported = vec![];
        let progress = |progress: Progress| reported.push((progress.records, progress.arrived_ms));
        run(reprocess(&log, &*store, FoldRules::default(), range, false, progress)).unwrap();
        reported
    };
    assert_eq!(of_range(ALL), [(256, 512_000), (512, 1_024_000), (600, 1_200_000)]);
    // A row without a record is removed only when the log before the range was read, too.
    let range = WindowStart(1_200_000)..WindowStart(1_500_000);
    let start = u64::try_from((range.start.0 - FUTURE_LIMIT_MS) / 2000).unwrap();
    let ours = 600 - (start - 1);
    let expected = [(256, 1_110_000), (ours, 1_200_000)];
    assert_eq!(of_range(range.clone())[..], expected);
    make_up(&store, PartialKey { window: range.start, ..stranger() }, 1, 7);
    let last = of_range(range).last().copied();
    assert_eq!(last, Some((600, 1_200_000)));
}

// Rule 1.9.
#[test]
fn a_window_of_a_newer_release_is_not_replaced() {
    let (log, key) = one_window();
    let store = folded(&log);
    let newer = newer_state(&run(store.load(&key)).unwrap().unwrap());
    store.overwrite(key.clone(), 1, newer.clone());
    let result = run(reprocess(&log, &*store, FoldRules::default(), ALL, false, |_| ()));
    assert!(result.unwrap_err().to_string().contains("a newer release of Birdsong wrote window"));
    assert_eq!(store.dump()[&key], (1, newer));
}

// Rule 1.4.
/// What was folded from whole records stays when one of them is damaged by now. Damage that loses no posts is shown.
#[test]
fn posts_of_a_record_that_is_damaged_by_now_stay() {
    let (mut log, key) = one_window();
    let whole = folded(&log);
    let before = whole.dump();
    *log.records[49].bytes.last_mut().unwrap() ^= 1;
    let damaged = folded(&log);
    let (receipt, _) = timed(&log, &*whole, false);
    assert_eq!((of(&receipt, &key).change, receipt.unreadable), (Change::Kept, 1));
    assert_eq!(whole.dump(), before);
    // It was never folded: nothing that is here is lost.
    set_back(&whole, &log.records[..49], 1);
    assert_eq!(of(&timed(&log, &*whole, false).0, &key).change, Change::Changed);
    assert_eq!(states(&whole), states(&damaged));
    // Made up, with more posts than the log has and the same damage.
    log.records.push(record(51, key.lane.clone(), 102_000));
    let mut more = run(folded(&log).load(&key)).unwrap().unwrap();
    more.fence = 50u64.into();
    log.records.pop();
    whole.overwrite(key.clone(), 1, more.encode().unwrap());
    assert_eq!(of(&timed(&log, &*whole, false).0, &key).change, Change::Changed);
    assert_eq!(states(&whole), states(&damaged));
}

// Rule 1.4.
/// The record of a row may be before the part of the log that is folded again, in any shard and behind others.
#[test]
fn the_whole_log_decides_whether_a_row_is_removed() {
    let range = || WindowStart(7_200_000)..WindowStart(7_500_000);
    let row = PartialKey { window: range().start, ..stranger() };
    let change = |log: &Shards, fence: u64| {
        let store = folded(&log.0[0]);
        make_up(&store, row.clone(), 1, fence);
        let receipt = run(reprocess(log, &*store, FoldRules::default(), range(), false, |_| ())).unwrap();
        assert_eq!(of(&receipt, &row).change == Change::Kept, store.dump().contains_key(&row));
        (of(&receipt, &row).change, receipt.unreadable)
    };
    let parts = |sizes: &[std::ops::Range<usize>]| {
        let records = log(0).records;
        Shards(sizes.iter().map(|part| list(records[part.clone()].to_vec())).collect())
    };
    // The oldest record of all shards has number 101.
    for order in [[100..300, 300..600], [300..600, 100..300]] {
        let log = parts(&order);
        assert_eq!(change(&log, 100).0, Change::Kept, "of an older log: {order:?}");
        assert_eq!(change(&log, 101).0, Change::Removed, "{order:?}");
        assert_eq!(change(&log, 299).0, Change::Removed, "{order:?}");
    }
    let whole: Vec<_> = std::iter::once(0..600).collect();
    // In the range again, there is a record of another row.
    let with = |mut log: Shards, again: LogRecord| {
        let other = record(700, Lane::posts("a", Network::X, 0), 7_200_002);
        log.0[0].records.extend([again, other]);
        log
    };
    let of_row = || LogRecord { arrived_ms: 1_201_000, ..record(601, row.lane.clone(), 7_200_001) };
    assert_eq!(change(&with(parts(&whole), of_row()), 601), (Change::Kept, 0), "cut by a clock that was fast");
    let mut unreadable = LogRecord { arrived_ms: 1_201_000, ..record(601, stranger().lane, 1_201_000) };
    unreadable.bytes.truncate(20);
    assert_eq!(change(&with(parts(&whole), unreadable), 7), (Change::Kept, 1));
    let other = LogRecord { arrived_ms: 1_201_000, ..record(601, stranger().lane, 1_201_000) };
    assert_eq!(change(&with(parts(&whole), other), 7), (Change::Removed, 0));
}

/// The fold of a log, and the same log with the header of one record damaged.
fn with_damaged_header(mut log: ListLog, at: usize) -> (Arc<MemoryStore>, ListLog) {
    let store = folded(&log);
    log.records[at].bytes[20] ^= 4;
    (store, log)
}

/// A ledger in each minute of a window.
fn ledgers() -> (ListLog, PartialKey) {
    let lane = Lane::ledger(Network::X, "x");
    let records = (1..=5u64).map(|n| {
        let ledger = Ledger { received: n, filtered: n, ..Ledger::default() };
        let header =
            FrameHeader { run: "run".into(), counter: n, cut_ms: n as i64 * 50_000, ledger, ..FrameHeader::default() };
        let header = FrameHeader { lane: lane.clone(), ..header };
        let bytes = frame::encode(&header, b"").unwrap();
        LogRecord { sequence: n.into(), arrived_ms: header.cut_ms, lane: Some(lane.clone()), bytes }
    });
    (list(records.collect()), PartialKey { lane: lane.clone(), window: WindowStart(0) })
}

// Rules 1.4 and 3.3.
/// A record without a readable header names no windows. A row knows which frames it counted.
#[test]
fn what_was_counted_of_a_record_whose_header_is_damaged_by_now_stays() {
    let cases = [
        ("in the middle", one_window(), 30, 0),
        ("the first one", one_window(), 0, 0),
        ("the last one, which is the fence", one_window(), 49, 0),
        ("it arrived in the next window", one_window(), 30, 300_000),
        ("a ledger, which has no posts", ledgers(), 2, 0),
        ("a ledger that arrived in the next window", ledgers(), 4, 100_000),
    ];
    for (what, (mut log, key), at, later_ms) in cases {
        for is_lane_known in [true, false] {
            log.records[at].arrived_ms += later_ms;
            log.records[at].lane = is_lane_known.then(|| key.lane.clone());
            let (store, log) = with_damaged_header(list(log.records.clone()), at);
            let before = store.dump()[&key].clone();
            let (receipt, _) = timed(&log, &*store, false);
            assert_eq!((of(&receipt, &key).change, receipt.unreadable), (Change::Kept, 1), "{what}, {is_lane_known}");
            assert_eq!(store.dump()[&key], before, "{what}, {is_lane_known}");
            let (again, _) = timed(&log, &*store, false);
            assert_eq!((of(&again, &key).change, again.changed()), (Change::Kept, 0), "{what}, {is_lane_known}");
        }
    }
}

// Rule 1.4.
/// Such a record keeps nothing wrong: not in another lane, nor rows that lack records or never counted it.
#[test]
fn a_damaged_header_keeps_no_row_that_would_lose_nothing() {
    let (mut log, key) = one_window();
    log.records[30].lane = Some(key.lane.clone());
    let (store, log) = with_damaged_header(log, 30);
    let corrected = |what: &str, store: &MemoryStore, log: &ListLog| {
        let expected = states(&folded(log));
        assert_eq!(of(&timed(log, store, false).0, &key).change, Change::Changed, "{what}");
        assert_eq!(states(store), expected, "{what}");
    };
    set_back(&store, &log.records[..30], 1);
    corrected("it never counted the record", &store, &log);
    set_back(&store, &one_window().0.records[..40], 1);
    corrected("it lacks more records than the log", &store, &log);
    let other = Lane::posts("b", Network::X, 0);
    let mut damaged = log.records[30].clone();
    damaged.lane = Some(other);
    let whole = one_window().0;
    let mut records = whole.records.clone();
    records.remove(30);
    let without = list([records, vec![LogRecord { sequence: 60u64.into(), ..damaged }]].concat());
    let store = folded(&whole);
    assert_eq!(of(&timed(&without, &*store, false).0, &key).change, Change::Changed, "it is of another lane");
}
