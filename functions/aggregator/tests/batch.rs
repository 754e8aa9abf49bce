//! How the windows of a batch are read and put: several at a time, ledgers last, and from the cache where it has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use birdsong_aggregator::{Aggregator, BatchOutcome};
use birdsong_domain::frame::{self, FrameHeader, Lane, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{LogRecord, PortError};
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore};

/// Counts calls, and how many of them are going on at the same time.
#[derive(Default)]
struct Slow {
    loads: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Hook for Slow {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        if call == Call::Load {
            self.loads.fetch_add(1, Ordering::Relaxed);
        }
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A frame of each of `lanes` regions and of the ledger.
fn batch(lanes: u64, counter: u64) -> Vec<LogRecord> {
    let lane = |n: u64| match n {
        0 => Lane::ledger(Network::X, "x"),
        n => Lane::posts(&format!("r{n}"), Network::X, 0),
    };
    let record = |n: u64| {
        let header = FrameHeader {
            lane: lane(n),
            run: "run".into(),
            counter,
            cut_ms: 1000,
            live: true,
            ..FrameHeader::default()
        };
        let post = SlimPost { id: u128::from(n), time_ms: 1000, author: Some(n), ..SlimPost::default() };
        let line = [&serde_json::to_vec(&post).unwrap()[..], b"\n"].concat();
        let lines = if n == 0 { &[][..] } else { &line[..] };
        let sequence = (counter * 10_000 + n).into();
        LogRecord { sequence, arrived_ms: 0, lane: None, bytes: frame::encode(&header, lines).unwrap() }
    };
    (0..=lanes).map(record).collect()
}

fn aggregator(cache: usize) -> (Arc<Hooked<Slow>>, Aggregator<Hooked<Slow>>) {
    let store = Arc::new(Hooked::<Slow>::default());
    (store.clone(), Aggregator::new(store, FoldRules::default(), cache))
}

#[tokio::test(start_paused = true)]
async fn windows_of_a_batch_wait_for_the_store_together() {
    let (store, mut aggregator) = aggregator(100);
    let started = tokio::time::Instant::now();
    aggregator.fold_batch("0", &batch(80, 1)).await.unwrap();
    assert_eq!(store.hook.most.load(Ordering::Relaxed), 8);
    // Eighty reads and eighty puts, eight at a time, and then those of the ledger.
    assert_eq!(started.elapsed().as_millis() / 10, 80 * 2 / 8 + 2);

    let one_by_one = Arc::new(MemoryStore::default());
    let mut other = Aggregator::new(one_by_one.clone(), FoldRules::default(), 0);
    for record in batch(80, 1) {
        other.fold_batch("0", &[record]).await.unwrap();
    }
    assert_eq!(store.rows.dump(), one_by_one.dump());
}

#[tokio::test(start_paused = true)]
async fn more_lanes_than_the_cache_has_room_for_leave_those_in_it_warm() {
    let (store, mut aggregator) = aggregator(50);
    aggregator.fold_batch("0", &batch(79, 1)).await.unwrap();
    assert_eq!(store.hook.loads.swap(0, Ordering::Relaxed), 80);
    for counter in 2..5 {
        aggregator.fold_batch("0", &batch(79, counter)).await.unwrap();
        assert_eq!(store.hook.loads.swap(0, Ordering::Relaxed), 30, "thirty lanes have no room");
    }
}

/// A record with a post of this region and time, cut at another time.
fn record(sequence: u64, region: &str, time_ms: i64, cut_ms: i64) -> LogRecord {
    let lane = Lane::posts(region, Network::X, 0);
    let header =
        FrameHeader { lane, run: "run".into(), counter: sequence, cut_ms, live: true, ..FrameHeader::default() };
    let post = SlimPost { id: u128::from(sequence), time_ms, author: Some(sequence), ..SlimPost::default() };
    let bytes = frame::encode(&header, &serde_json::to_vec(&post).unwrap()).unwrap();
    LogRecord { sequence: sequence.into(), arrived_ms: 0, lane: None, bytes }
}

#[tokio::test(start_paused = true)]
async fn a_full_cache_makes_room_for_later_windows_by_the_oldest_ones() {
    let (store, mut aggregator) = aggregator(3);
    let mut sequence = 0;
    let mut loads = async |region: &str, window_ms: i64| {
        sequence += 1;
        aggregator.fold_batch("0", &[record(sequence, region, window_ms, window_ms)]).await.unwrap();
        store.hook.loads.swap(0, Ordering::Relaxed)
    };
    for (region, window_ms) in [("a", 0), ("b", 300_000), ("c", 300_000), ("d", 600_000)] {
        assert_eq!(loads(region, window_ms).await, 1, "{region} is new");
    }
    for (region, window_ms) in [("b", 300_000), ("c", 300_000), ("d", 600_000)] {
        assert_eq!(loads(region, window_ms).await, 0, "{region} is warm");
    }
    assert_eq!([loads("a", 0).await, loads("a", 0).await], [1, 1], "it has no room any more");
    assert_eq!(loads("b", 300_000).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_counts_what_it_did_itself() {
    let store = Arc::new(MemoryStore::default());
    let [mut ours, mut rival] = [(), ()].map(|()| Aggregator::new(store.clone(), FoldRules::default(), 8));
    let late = |sequence| record(sequence, "a", 1000, 1_000_000);
    let counts = |outcome: BatchOutcome| (outcome.aggregated, outcome.late, outcome.stored, outcome.conflicts);
    let first = [record(1, "a", 1000, 2000), record(2, "b", 1000, 2000)];
    assert_eq!(counts(ours.fold_batch("0", &first).await.unwrap()), (2, 0, 2, 0));
    assert_eq!(counts(rival.fold_batch("0", &[late(3), late(4)]).await.unwrap()), (0, 2, 2, 0));
    // A late frame is of the window in which it was cut, too. What it has in its cache is behind what the rival stored.
    let both = [record(5, "a", 1000, 2000), late(6)];
    assert_eq!(counts(ours.fold_batch("0", &both).await.unwrap()), (1, 1, 2, 1));
}

/// Windows that are too large for it, and no readers.
struct Refusing;

impl Hook for Refusing {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        match call {
            Call::Put => Err(PortError::Corrupt { what: "a window".into(), reason: "too large".into() }),
            Call::Publish => Err(PortError::Unavailable { what: "the readers", reason: String::new() }),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_window_that_cannot_be_stored_has_one_dead_letter() {
    let store = Arc::new(Hooked { rows: Arc::new(MemoryStore::default()), hook: Refusing });
    let mut aggregator = Aggregator::new(store, FoldRules::default(), 8);
    for (sequence, letters) in [(0, 2), (2, 0), (4, 0)] {
        let records = ["a", "b"].map(|region| record(sequence + u64::from(region == "b") + 1, region, 1000, 1000));
        let outcome = aggregator.fold_batch("0", &records).await.unwrap();
        assert_eq!((outcome.dead.len(), outcome.stored), (letters, 0), "{sequence}");
        assert!(outcome.dead.iter().all(|letter| letter.reason.contains("too large; the window is not stored")));
    }
    assert!(aggregator.publish().await.is_err(), "the store is asked to show its windows");
}
