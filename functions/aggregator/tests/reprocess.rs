//! Rule 1.2. A reprocess restores the fold of the log, byte for byte, and changes nothing the second time.

use std::sync::{Arc, Mutex};

use birdsong_aggregator::Aggregator;
use birdsong_aggregator::reprocess::{Before, Change, Entry, Receipt, ReprocessError, reprocess, reprocess_announced};
use birdsong_domain::frame::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{
    Expected, FrameRecord, LogRecord, PartialKey, PortError, PostLog, ReadFrom, SequenceNumber, Settings, WindowStore,
};
use birdsong_domain::revision::Cause;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore};

use crate::list_log::{ALL, ListLog, Shards, folded, list, log, record, run, states};

#[test]
fn what_is_right_stays_and_what_is_wrong_comes_back_byte_for_byte() {
    let log = log(0);
    let store = folded(&log);
    let expected = states(&store);
    let again = |dry| run(reprocess(&log, &*store, FoldRules::default(), ALL, dry, |_| ())).unwrap();
    let receipt = again(false);
    assert_eq!((receipt.changed(), receipt.entries.len()), (0, expected.len()));

    let keys: Vec<_> = store.dump().into_keys().collect();
    let other = store.dump()[&keys[3]].clone();
    store.lose(&keys[0]);
    store.overwrite(keys[1].clone(), 1, b"damaged".to_vec());
    store.overwrite(keys[2].clone(), 5, other.1);
    let receipt = again(true);
    assert_eq!(receipt.changed(), 3);
    assert_ne!(states(&store), expected, "a dry run stores nothing");
    let receipt = again(false);
    assert_eq!(receipt.changed(), 3);
    assert_eq!(receipt.entries[0].before, Before::Missing);
    assert_eq!(receipt.entries[1].before, Before::Damaged);
    assert!(matches!(receipt.entries[2].before, Before::Posts(_)));
    assert_eq!(states(&store), expected);
    assert_eq!(again(false).changed(), 0);
}

/// What is about to be corrected is announced with its counts and its reason, and if that fails, nothing is corrected.
#[test]
fn a_correction_is_announced_before_it_is_made() {
    let log = log(0);
    let store = folded(&log);
    let keys: Vec<_> = store.dump().into_keys().collect();
    store.lose(&keys[0]);
    store.overwrite(keys[1].clone(), 1, b"damaged".to_vec());
    // As a release would have counted that knew fewer metrics: the same records, other bytes.
    let mut other = run(store.load(&keys[2])).unwrap().unwrap();
    other.aggregate.mentions.0 += 1;
    let version = Expected::At { generation: other.generation, fence: other.fence.clone() };
    run(store.put(&keys[2], &other, &version)).unwrap();
    let (wrong, before) = (states(&store), store.dump());

    let announced = Mutex::new(vec![]);
    let again = |fails: bool| {
        let announce = async |entries: &[Entry]| {
            let now = store.dump();
            let is_made = |entry: &Entry| now.get(&entry.key) != before.get(&entry.key);
            announced.lock().unwrap().extend(entries.iter().map(|entry| (entry.clone(), is_made(entry))));
            if fails { Err(PortError::Unavailable { what: "the test", reason: String::new() }) } else { Ok(()) }
        };
        run(reprocess_announced(&log, &*store, FoldRules::default(), ALL, false, |_| (), announce))
    };
    assert!(again(true).is_err());
    assert_eq!(states(&store), wrong, "nothing was corrected");
    announced.lock().unwrap().clear();
    let receipt = again(false).unwrap();
    let corrected: Vec<_> = receipt.entries.into_iter().filter(|entry| entry.change.is_correction()).collect();
    let mut announced = announced.into_inner().unwrap();
    // The damaged one is looked at twice.
    announced.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
    assert_eq!(announced, corrected.iter().map(|entry| (entry.clone(), false)).collect::<Vec<_>>());
    let of = |n: usize| (corrected[n].on_time, corrected[n].cause);
    let posts = |n: usize| corrected[n].after.unwrap();
    assert_eq!(of(0), ((Some(0), posts(0)), Cause::Reprocess));
    assert_eq!(of(1), ((None, posts(1)), Cause::Reprocess));
    assert_eq!(of(2), ((Some(posts(2)), posts(2)), Cause::Rule));
    assert_eq!(states(&store), states(&folded(&log)));
}

#[test]
fn only_windows_of_the_range_are_touched() {
    let log = log(0);
    let store = folded(&log);
    for key in store.dump().into_keys() {
        store.lose(&key);
    }
    let range = WindowStart(300_000)..WindowStart(600_000);
    let receipt = run(reprocess(&log, &*store, FoldRules::default(), range, false, |_| ())).unwrap();
    assert_eq!(receipt.changed(), 2);
    assert!(store.dump().into_keys().all(|key| key.window == WindowStart(300_000)));
}

#[test]
fn when_live_aggregation_is_ahead_the_log_is_read_up_to_it() {
    let log = log(40);
    let store = folded(&log);
    let expected = states(&store);
    let receipt = run(reprocess(&log, &*store, FoldRules::default(), ALL, false, |_| ())).unwrap();
    assert_eq!(receipt.changed(), 0);
    assert!(receipt.entries.iter().all(|entry| entry.change == Change::None));
    assert_eq!(states(&store), expected);
}

#[test]
fn live_aggregation_continues_behind_a_reprocess() {
    let log = log(0);
    let expected = states(&folded(&log));
    let store = Arc::new(MemoryStore::default());
    let mut live = Aggregator::new(store.clone(), FoldRules::default(), 64);
    run(live.fold_batch("0", &log.records[..300])).unwrap();
    for key in store.dump().into_keys() {
        store.overwrite(key, 1, b"damaged".to_vec());
    }
    let early = list(log.records[..400].to_vec());
    run(reprocess(&early, &*store, FoldRules::default(), ALL, false, |_| ())).unwrap();
    run(live.fold_batch("0", &log.records[300..])).unwrap();
    assert_eq!(states(&store), expected);
}

#[test]
fn a_log_that_does_not_reach_back_is_refused() {
    let log = ListLog { since: 900_000, ..log(0) };
    let store = folded(&log);
    let range = WindowStart(1_200_000)..WindowStart(1_500_000);
    let result = run(reprocess(&log, &*store, FoldRules::default(), range, false, |_| ()));
    assert!(matches!(result, Err(ReprocessError::Gone { since }) if since == "1970-01-01T00:25:00Z"));
}

#[test]
fn a_window_that_spans_a_split_shard_is_whole() {
    let log = log(0);
    let store = folded(&log);
    let expected = states(&store);
    // In the middle of a window.
    let log = Shards([&log.records[..333], &log.records[333..]].map(|records| list(records.to_vec())).into());
    let again = || run(reprocess(&log, &*store, FoldRules::default(), ALL, false, |_| ())).unwrap();
    assert_eq!(again().changed(), 0);
    for key in store.dump().into_keys() {
        store.lose(&key);
    }
    assert_eq!(again().changed(), expected.len());
    assert_eq!(states(&store), expected);
    assert_eq!(again().changed(), 0);
}

fn again(log: &impl PostLog, store: &(impl WindowStore + Settings), dry_run: bool) -> Receipt {
    run(reprocess(log, store, FoldRules::default(), ALL, dry_run, |_| ())).unwrap()
}

fn counts(receipt: &Receipt) -> (usize, usize, usize) {
    (receipt.changed(), receipt.removed(), receipt.healed())
}

// Rule 1.3.
#[test]
fn rows_without_a_record_in_the_log_are_removed() {
    let log = log(0);
    let store = folded(&log);
    let expected = states(&store);
    let model = store.dump().into_values().next().unwrap();
    let strangers =
        [("a", 7, 0), ("nobody", 0, 300_000), ("a", 0, 9_000_000), ("b", 0, 300_001), ("_stream", 0, -300_000)].map(
            |(region, bucket, window)| PartialKey {
                lane: Lane::try_from(format!("{region}#x#{bucket}")).unwrap(),
                window: WindowStart(window),
            },
        );
    for key in &strangers {
        store.overwrite(key.clone(), model.0, model.1.clone());
    }
    // An unreadable one, and one with a fence that never existed.
    store.overwrite(strangers[1].clone(), 1, b"damaged".to_vec());
    store.alter_fence(&strangers[2], Some(1_000_000u64.into()));

    let would = again(&log, &*store, true);
    assert_eq!(counts(&would), (5, 5, 0));
    assert_eq!(store.dump().len(), expected.len() + 5, "a dry run removes nothing");
    let receipt = again(&log, &*store, false);
    assert_eq!(receipt.entries, would.entries);
    for key in &strangers {
        let entry = receipt.entries.iter().find(|entry| entry.key == *key).unwrap();
        assert_eq!((entry.after, entry.change), (None, Change::Removed));
        assert_eq!(entry.before == Before::Damaged, [&strangers[1], &strangers[2]].contains(&key), "{entry:?}");
    }
    assert_eq!(states(&store), expected);
    assert_eq!(counts(&again(&log, &*store, false)), (0, 0, 0));
}

#[test]
fn rows_outside_the_range_stay() {
    let log = log(0);
    let store = folded(&log);
    let model = store.dump().into_values().next().unwrap();
    let stranger = |window| PartialKey { lane: Lane::posts("x", Network::X, 0), window: WindowStart(window) };
    for window in [0, 300_000, 600_000] {
        store.overwrite(stranger(window), model.0, model.1.clone());
    }
    let range = WindowStart(300_000)..WindowStart(600_000);
    let receipt = run(reprocess(&log, &*store, FoldRules::default(), range, false, |_| ())).unwrap();
    assert_eq!(counts(&receipt), (1, 1, 0));
    assert!(store.dump().contains_key(&stranger(0)) && store.dump().contains_key(&stranger(600_000)));
}

#[test]
fn a_fence_ahead_of_the_log_and_what_cannot_be_read_beside_a_state_are_healed() {
    let log = log(0);
    let store = folded(&log);
    let expected = states(&store);
    let keys: Vec<_> = store.dump().into_keys().collect();
    store.alter_fence(&keys[0], Some(601u64.into()));
    store.alter_fence(&keys[1], None);
    // Ahead of its state, yet not of the log.
    store.alter_fence(&keys[2], Some(599u64.into()));
    // State and fence agree: the bytes of a later log.
    let mut later = run(store.load(&keys[3])).unwrap().unwrap();
    later.fence = 12_345u64.into();
    store.overwrite(keys[3].clone(), u32::MAX, later.encode().unwrap());
    // Behind: an ordinary change.
    store.alter_fence(&keys[4], Some(1u64.into()));
    let receipt = again(&log, &*store, false);
    assert_eq!(counts(&receipt), (5, 0, 4));
    assert_eq!(receipt.entries[3].before, Before::Posts(later.aggregate.posts()));
    assert_eq!(receipt.entries[4].change, Change::Changed);
    assert_eq!(states(&store), expected);
    assert_eq!(counts(&again(&log, &*store, false)), (0, 0, 0));

    // And live aggregation continues.
    let mut longer = log.records;
    longer.extend(
        (601..=640u64).map(|n| record(n, Lane::posts(["a", "b"][n as usize % 2], Network::X, 0), n as i64 * 2000)),
    );
    let mut live = Aggregator::new(store.clone(), FoldRules::default(), 64);
    run(live.fold_batch("0", &longer[600..])).unwrap();
    assert_eq!(states(&store), states(&folded(&list(longer))));
}

// Rule 1.4.
/// Kinesis may show a record to live aggregation a little earlier than to a reprocess.
#[test]
fn a_row_whose_record_is_seen_late_is_neither_removed_nor_repaired() {
    let mut records = log(0).records;
    records.extend(
        (601..=610u64).map(|n| record(n, Lane::posts(["a", "c"][n as usize % 2], Network::X, 0), n as i64 * 2000)),
    );
    let late = ListLog { hidden: Mutex::new(10), hidden_for: Mutex::new(4), ..list(records) };
    let store = folded(&late);
    let expected = states(&store);
    let receipt = again(&late, &*store, false);
    assert_eq!(counts(&receipt), (0, 0, 0), "{receipt:?}");
    assert_eq!(states(&store), expected);
}

// Rule 1.4.
#[test]
fn what_the_log_cannot_confirm_stays() {
    let stranger = PartialKey { lane: Lane::posts("x", Network::X, 0), window: WindowStart(300_000) };
    let range = || WindowStart(300_000)..WindowStart(600_000);
    let kept = |log: &ListLog, fence: u64, why: &str| {
        let store = folded(log);
        let mut row = run(store.load(store.dump().keys().next().unwrap())).unwrap().unwrap();
        row.fence = fence.into();
        store.overwrite(stranger.clone(), 1, row.encode().unwrap());
        let receipt = run(reprocess(log, &*store, FoldRules::default(), range(), false, |_| ())).unwrap();
        let entry = receipt.entries.iter().find(|entry| entry.key == stranger).unwrap();
        let is_there = store.dump().contains_key(&stranger);
        assert_eq!(entry.change == Change::Kept, is_there, "{why}");
        is_there
    };
    assert!(!kept(&log(0), 7, "a row of nobody"));
    let mut unreadable = log(0);
    unreadable.records[300].bytes.truncate(20);
    assert!(kept(&unreadable, 7, "the record of the row may be the unreadable one"));
    let mut pruned = log(0);
    pruned.records.drain(..100);
    assert!(kept(&pruned, 7, "of a log that was here before"));
    assert!(!kept(&pruned, 0, "no record has this number"));
    // Cut by a clock that ran two hours fast: its window is behind its arrival.
    let fast = PartialKey { window: WindowStart(7_200_000), ..stranger.clone() };
    let mut early = log(0);
    early.records.push(LogRecord { arrived_ms: 1_201_000, ..record(601, fast.lane.clone(), 7_200_001) });
    let store = folded(&early);
    let range = fast.window..WindowStart(7_500_000);
    let receipt = run(reprocess(&early, &*store, FoldRules::default(), range, false, |_| ())).unwrap();
    assert_eq!((receipt.changed(), receipt.count(Change::Kept)), (0, 1));
    assert!(store.dump().contains_key(&fast));

    let store = folded(&log(0));
    let before = states(&store);
    let receipt = again(&list(vec![]), &*store, false);
    assert_eq!((receipt.changed(), receipt.count(Change::Kept)), (0, before.len()), "an empty log proves nothing");
    assert_eq!(states(&store), before);
}

/// Live aggregation has its turn just before a row is replaced or removed.
struct LastMoment<'a> {
    log: &'a ListLog,
    live: tokio::sync::Mutex<Option<Aggregator<MemoryStore>>>,
}

impl Hook for LastMoment<'_> {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        if matches!(call, Call::Put | Call::Remove)
            && let Some(mut live) = self.live.lock().await.take()
        {
            let hidden = std::mem::take(&mut *self.log.hidden.lock().unwrap());
            live.fold_batch("0", &self.log.records[self.log.records.len() - hidden..]).await.unwrap();
        }
        Ok(())
    }
}

// Rule 1.4.
/// Until a fence that is ahead is repaired, live aggregation mistakes new records for old ones and skips them.
#[test]
fn what_live_aggregation_skipped_up_to_the_last_moment_is_counted() {
    for (lane, change) in [("a", Change::Healed), ("c", Change::Removed)] {
        for fence in [5_000u64, 3] {
            let mut records = log(0).records;
            records
                .extend((601..=604u64).map(|n| record(n, Lane::try_from(format!("{lane}#x#0")).unwrap(), 1_201_000)));
            let expected = states(&folded(&list(records.clone())));
            // Hidden until live aggregation has its turn.
            let log = ListLog { hidden: Mutex::new(4), hidden_for: Mutex::new(u32::MAX), ..list(records) };
            let store = folded(&list(log.records[..600].to_vec()));
            let mut row = run(store.load(store.dump().keys().next().unwrap())).unwrap().unwrap();
            row.fence = fence.into();
            let key =
                PartialKey { lane: Lane::try_from(format!("{lane}#x#0")).unwrap(), window: WindowStart(1_200_000) };
            store.overwrite(key.clone(), 1, row.encode().unwrap());
            let live = Aggregator::new(store.clone(), FoldRules::default(), 64);
            let hook = LastMoment { log: &log, live: tokio::sync::Mutex::new(Some(live)) };
            let store = Hooked { rows: store, hook };
            let receipt = again(&log, &store, false);
            assert!(states(&store.rows) == expected, "{lane} {fence}");
            let entry = receipt.entries.iter().find(|entry| entry.key == key).unwrap();
            if fence == 5_000 {
                assert_eq!((entry.change, entry.after), (change, Some(if lane == "a" { 5 } else { 4 })), "{receipt:?}");
            }
        }
    }
}

/// Yields to others a number of times, which is of a seed.
struct Yielding(Mutex<u64>);

impl Yielding {
    async fn wait(&self) {
        let turns = {
            let mut seed = self.0.lock().unwrap();
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *seed >> 61
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
}

impl Hook for Yielding {
    async fn before(&self, _call: Call<'_>) -> Result<(), PortError> {
        self.wait().await;
        Ok(())
    }
}

/// A log to which records are appended while it is read.
struct GrowingLog {
    log: ListLog,
    turns: Yielding,
}

impl PostLog for GrowingLog {
    async fn append(&self, _: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        vec![]
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        self.log.shards().await
    }

    async fn complete_since(&self, shard: &str) -> Result<i64, PortError> {
        self.log.complete_since(shard).await
    }

    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        self.turns.wait().await;
        self.log.read(shard, from, limit).await
    }
}

// Rule 1.4.
/// Rows are altered, made up and lost, and live aggregation writes the same rows while they are repaired.
#[test]
fn beside_live_aggregation_no_post_is_lost_and_no_strange_row_stays() {
    const STEP: usize = 25;
    for seed in 0..60u64 {
        let records: Vec<_> = log(0).records[300..].to_vec();
        let expected = states(&folded(&list(records.clone())));
        let store = Arc::new(MemoryStore::default());
        let of_seed = |salt: u64| Yielding(Mutex::new(seed * 977 + salt));
        let yielding = |salt: u64| Hooked { rows: store.clone(), hook: of_seed(salt) };
        let growing = GrowingLog {
            log: ListLog { hidden: Mutex::new(200), hidden_for: Mutex::new(u32::MAX), ..list(records.clone()) },
            turns: of_seed(1),
        };
        run(async {
            let mut live =
                Aggregator::new(Arc::new(yielding(2)), FoldRules::default(), if seed % 2 == 0 { 64 } else { 0 });
            live.fold_batch("0", &records[..100]).await.unwrap();
            let keys: Vec<_> = store.dump().into_keys().collect();
            // Rows of windows that live aggregation is about to write, made up from another one.
            let mut stranger = store.load(&keys[0]).await.unwrap().unwrap();
            stranger.fence = [301u64, 350, 5_000][seed as usize % 3].into();
            for key in [(0, 900_000), (0, 1_200_000), (3, 900_000)].map(|(bucket, window)| PartialKey {
                lane: Lane::posts("a", Network::X, bucket),
                window: WindowStart(window),
            }) {
                if !store.dump().contains_key(&key) {
                    store.overwrite(key, 1, stranger.encode().unwrap());
                }
            }
            store.alter_fence(keys.last().unwrap(), Some([2u64, 9_999][seed as usize % 2].into()));
            let write = async {
                for step in (100..300).step_by(STEP) {
                    *growing.log.hidden.lock().unwrap() = 300 - step - STEP;
                    // What it cannot read it tries again, as it does in real life.
                    while let Err(error) = live.fold_batch("0", &records[step..step + STEP]).await {
                        assert!(error.to_string().contains("damaged"), "{error}");
                        tokio::time::sleep(std::time::Duration::from_millis(100 + seed)).await;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(seed * 7)).await;
                }
            };
            let rules = FoldRules::default();
            let repair = async {
                let to_repair = yielding(3);
                reprocess(&growing, &to_repair, rules, ALL, false, |_| ()).await.unwrap()
            };
            let ((), receipt) = tokio::join!(write, repair);
            assert_eq!(receipt.count(Change::LeftToLive), 0, "seed {seed}: {receipt:?}");
        });
        assert!(states(&store) == expected, "seed {seed}");
        assert_eq!(run(reprocess(&growing, &*store, FoldRules::default(), ALL, false, |_| ())).unwrap().changed(), 0);
    }
}
