//! How the windows of a batch are read and put: several at a time, ledgers last, and from the cache where it has them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use birdsong_aggregator::Aggregator;
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
