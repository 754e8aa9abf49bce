//! Measures the adapters: `cargo run --release -p birdsong-embedded --example rates [DIR]`.
//! DIR decides which disk is measured; without it the system's temporary directory does.
#![allow(clippy::unwrap_used, reason = "a measurement may panic")]

use std::time::Instant;

use birdsong_domain::frame::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, FrameRecord, PartialKey, PostLog, ReadFrom, SequenceNumber, WindowStore};
use birdsong_domain::time::WindowStart;
use birdsong_embedded::{MemoryLog, MemoryWindows, SHARD, SqliteLog, SqliteStore};
use birdsong_testkit::sample_partial;

/// About what 200 posts make.
const FRAME_BYTES: usize = 8 << 10;

fn say(what: &str, count: usize, since: Instant) {
    let secs = since.elapsed().as_secs_f64();
    println!("{what:<44} {:>12.0} /s  {:>10.1} us each", count as f64 / secs, secs / count as f64 * 1e6);
}

async fn logs(log: &impl PostLog, name: &str, calls: usize, frames_per_call: usize) {
    // Noise, as compressed frames are.
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let frame = FrameRecord {
        lane: Lane::posts("montreal", Network::X, 0),
        bytes: (0..FRAME_BYTES).map(|_| noise()).collect(),
    };
    let frames = vec![frame; frames_per_call];
    let start = Instant::now();
    for _ in 0..calls {
        assert!(log.append(&frames).await.iter().all(Result::is_ok));
    }
    say(&format!("{name}: append, {frames_per_call} frames a call"), calls * frames_per_call, start);
    let start = Instant::now();
    let (mut from, mut count) = (ReadFrom::Oldest, 0);
    loop {
        let page = log.read(SHARD, &from, 256).await.unwrap();
        let Some(last) = page.last() else { break };
        count += page.len();
        from = ReadFrom::After(last.sequence.clone());
    }
    say(&format!("{name}: read, 256 records a call"), count, start);
}

async fn stores(store: &impl WindowStore, name: &str, windows: i64) {
    let key = |n: i64| PartialKey { lane: Lane::posts("montreal", Network::X, 0), window: WindowStart(n * 300_000) };
    let mut partial = sample_partial(1, 1u64.into(), 1);
    let start = Instant::now();
    for n in 0..windows {
        store.put(&key(n), &partial, &Expected::Absent).await.unwrap();
    }
    say(&format!("{name}: put, new windows"), windows as usize, start);
    let start = Instant::now();
    for n in 0..windows {
        let expected = Expected::At { generation: 1, fence: SequenceNumber::from(n as u64 + 1) };
        partial.fence = SequenceNumber::from(n as u64 + 2);
        store.put(&key(7), &partial, &expected).await.unwrap();
    }
    say(&format!("{name}: put, one window again"), windows as usize, start);
    let start = Instant::now();
    for n in 0..windows {
        store.load(&key(n)).await.unwrap().unwrap();
    }
    say(&format!("{name}: load"), windows as usize, start);
    let start = Instant::now();
    for n in 0..20 {
        let from = n * 288 % windows;
        let found = store.query("montreal", key(from).window, key(from + 288).window).await.unwrap();
        assert!(!found.is_empty());
    }
    say(&format!("{name}: query of a day (288 windows)"), 20, start);
}

#[tokio::main]
async fn main() {
    let dir = match std::env::args().nth(1) {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    println!(
        "frames of {FRAME_BYTES} bytes, partials of {} bytes",
        sample_partial(1, 1u64.into(), 1).encode().unwrap().len()
    );
    for (name, frames_per_call) in [("one", 1), ("many", 50)] {
        let log = SqliteLog::open(&dir.path().join(name)).unwrap();
        logs(&log, "log in a file", 400, frames_per_call).await;
    }
    logs(&MemoryLog::new(1 << 30), "log in memory", 400, 50).await;
    stores(&SqliteStore::open(dir.path()).unwrap(), "store in a file", 20_000).await;
    stores(&MemoryWindows::default(), "store in memory", 20_000).await;
}
