//! Reprocess brings back what the log says, byte for byte, and changes nothing the second time.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};

use birdsong_aggregator::Aggregator;
use birdsong_aggregator::reprocess::{Before, Change, ReprocessError, reprocess};
use birdsong_domain::frame::{self, FrameHeader, Lane, Ledger, SlimPost};
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::FoldRules;
use birdsong_testkit::MemoryStore;

/// A log that is a list, with a part that readers see only from the second reading on.
struct ListLog {
    records: Vec<LogRecord>,
    hidden: Mutex<usize>,
    since: i64,
}

impl PostLog for ListLog {
    async fn append(&self, _: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        vec![]
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok(vec!["0".into()])
    }

    async fn complete_since(&self, _: &str) -> Result<i64, PortError> {
        Ok(self.since)
    }

    async fn read(&self, _: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        let mut hidden = self.hidden.lock().unwrap();
        let visible = &self.records[..self.records.len() - *hidden];
        let found: Vec<_> = visible
            .iter()
            .filter(|record| match from {
                ReadFrom::Oldest => true,
                ReadFrom::Time(time) => record.arrived_ms >= *time,
                ReadFrom::After(sequence) => record.sequence > *sequence,
            })
            .take(limit)
            .cloned()
            .collect();
        if found.is_empty() {
            *hidden = 0;
        }
        Ok(found)
    }
}

fn log(hidden: usize) -> ListLog {
    let records = (1..=600u64)
        .map(|n| {
            let t = n as i64 * 2000;
            let header = FrameHeader {
                lane: Lane::new(["a", "b"][n as usize % 2], 0),
                source: "test".into(),
                run: "run".into(),
                counter: n,
                cut_ms: t,
                connected_ms: 0,
                cut: 1,
                frames: 0,
                live: true,
                ledger: Ledger::default(),
            };
            let post = SlimPost {
                i: u128::from(n),
                t,
                a: Some(n % 9),
                k: Kind::Original,
                l: Located::Text,
                c: false,
                g: "en".into(),
                h: vec![format!("t{}", n % 200)],
                m: 0,
                u: vec![],
                x: 0,
            };
            let line = serde_json::to_vec(&post).unwrap();
            LogRecord { sequence: n.into(), arrived_ms: t, bytes: frame::encode(&header, &line).unwrap() }
        })
        .collect();
    ListLog { records, hidden: Mutex::new(hidden), since: i64::MIN }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

const ALL: std::ops::Range<WindowStart> = WindowStart(i64::MIN / 2)..WindowStart(i64::MAX / 2);

fn folded(log: &ListLog) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    run(Aggregator::new(store.clone(), FoldRules::default(), 64).fold_batch(&log.records)).unwrap();
    store
}

fn states(store: &MemoryStore) -> Vec<Vec<u8>> {
    store.dump().into_values().map(|(_, bytes)| bytes).collect()
}

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
    store.remove(&keys[0]);
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

#[test]
fn only_windows_of_the_range_are_touched() {
    let log = log(0);
    let store = folded(&log);
    for key in store.dump().into_keys() {
        store.remove(&key);
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
fn live_aggregation_goes_on_behind_a_reprocess() {
    let log = log(0);
    let expected = states(&folded(&log));
    let store = Arc::new(MemoryStore::default());
    let mut live = Aggregator::new(store.clone(), FoldRules::default(), 64);
    run(live.fold_batch(&log.records[..300])).unwrap();
    for key in store.dump().into_keys() {
        store.overwrite(key, 1, b"damaged".to_vec());
    }
    let early = ListLog { records: log.records[..400].to_vec(), hidden: Mutex::new(0), since: i64::MIN };
    run(reprocess(&early, &*store, FoldRules::default(), ALL, false, |_| ())).unwrap();
    run(live.fold_batch(&log.records[300..])).unwrap();
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

/// The same log after its shard was split: the lanes go on in the child.
struct SplitLog {
    log: ListLog,
    last_of_parent: SequenceNumber,
}

impl PostLog for SplitLog {
    async fn append(&self, _: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        vec![]
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok(vec!["parent".into(), "child".into()])
    }

    async fn complete_since(&self, shard: &str) -> Result<i64, PortError> {
        self.log.complete_since(shard).await
    }

    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        let mut records = self.log.read(shard, from, usize::MAX).await?;
        records.retain(|record| (record.sequence <= self.last_of_parent) == (shard == "parent"));
        records.truncate(limit);
        Ok(records)
    }
}

#[test]
fn a_window_that_spans_a_split_shard_is_whole() {
    let log = log(0);
    let store = folded(&log);
    let expected = states(&store);
    // In the middle of a window.
    let log = SplitLog { log, last_of_parent: 333u64.into() };
    let again = || run(reprocess(&log, &*store, FoldRules::default(), ALL, false, |_| ())).unwrap();
    assert_eq!(again().changed(), 0);
    for key in store.dump().into_keys() {
        store.remove(&key);
    }
    assert_eq!(again().changed(), expected.len());
    assert_eq!(states(&store), expected);
    assert_eq!(again().changed(), 0);
}
