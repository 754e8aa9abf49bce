//! How busy one shard keeps the function `aggregator`, and how long a run of the function `digest` takes: `make load`.
//!
//!     lambda_load [--put-ms N]
//!
//! Each line feeds the function with the records of a number of busy lanes, one frame a lane and second as the streamer
//! cuts them, in batches as Lambda makes them: after the batching window, at the batch size, or at 6 MB. The store is in
//! memory, but each call waits as long as DynamoDB does. Busy is the time in the function divided by the time that
//! the batch covers; from 100 % on the shard is never caught up with. The last column is the part of a core that it needs:
//! Lambda gives a function one core for 1,769 MB of memory, and less for less.
//!
//! The digest runs once a minute. Here it works through half an hour in which every region has posts, after a
//! day of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use birdsong_aggregator::Aggregator;
use birdsong_aggregator::dead_letter::{DeadLetter, DeadLetters};
use birdsong_aws::lambda::aggregator::Handler;
use birdsong_digest::Digest;
use birdsong_domain::frame::{self, FrameHeader, Lane};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{LogRecord, PortError};
use birdsong_domain::post::{Located, PostId, SourcePost};
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Call, Hook, Hooked};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde_json::json;

/// What a put, or a consistent read of one item, takes at DynamoDB: single-digit milliseconds, rounded up.
const PUT_MS: u64 = 10;
/// What Lambda passes to a function at most.
const MAX_PAYLOAD: usize = 6 << 20;
const WINDOW_SECS: usize = 5;
/// Seconds of posts that each line feeds: a window's end is among them.
const SECONDS: i64 = 30;
const START_MS: i64 = 1_700_000_100_000 - 15_000;

/// Waits before each call, and counts them.
#[derive(Default)]
struct Wait {
    ms: AtomicU64,
    calls: AtomicU64,
}

impl Hook for Wait {
    async fn before(&self, _: Call<'_>) -> Result<(), PortError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let ms = self.ms.load(Ordering::Relaxed);
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        Ok(())
    }
}

fn store(put_ms: u64) -> Arc<Hooked<Wait>> {
    let store = Hooked::<Wait>::default();
    store.hook.ms.store(put_ms, Ordering::Relaxed);
    Arc::new(store)
}

struct NoLetter;

impl DeadLetters for NoLetter {
    async fn keep(&self, letter: &DeadLetter) -> Result<(), PortError> {
        Err(PortError::Refused { what: "the load test", reason: format!("it has no damage: {}", letter.reason) })
    }
}

/// A lane's frame that is cut at a time.
fn frame(lane: Lane, cut_ms: i64, posts: u64) -> Result<LogRecord> {
    let header = FrameHeader {
        lane: lane.clone(),
        source: "load".into(),
        run: "run".into(),
        counter: cut_ms.unsigned_abs(),
        cut_ms,
        cut: cut_ms.unsigned_abs(),
        live: true,
        ..FrameHeader::default()
    };
    let seed =
        lane.to_string().bytes().fold(cut_ms.unsigned_abs(), |seed, byte| seed * 31 % 1_000_003 + u64::from(byte));
    let mut lines = vec![];
    for n in 0..posts {
        let noise = (seed * 104_729 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let post = SourcePost {
            id: PostId(u128::from(noise)),
            time_ms: cut_ms - 500,
            author: Some(noise.rotate_left(17)),
            lang: "en".into(),
            hashtags: vec![format!("tag{}", noise % 60).into()],
            hosts: vec![format!("host{}.example", noise % 9).into()],
            ..SourcePost::default()
        };
        frame::put_line(&mut lines, &post, Located::Text, false);
    }
    let bytes = frame::encode(&header, &lines)?;
    Ok(LogRecord { sequence: cut_ms.unsigned_abs().into(), arrived_ms: cut_ms, lane: Some(lane), bytes })
}

fn lane(region: usize) -> Lane {
    Lane::posts(&format!("region-{region}"), Network::X, 0)
}

/// The record of a lane's frame of a second, as JSON.
fn record(region: usize, second: i64, posts: u64) -> Result<String> {
    let cut_ms = START_MS + second * 1000 + 999;
    let frame = frame(lane(region), cut_ms, posts)?;
    let record = json!({
        "kinesis": {
            "partitionKey": lane(region).to_string(),
            "sequenceNumber": frame.sequence.as_str(),
            "data": base64_simd::STANDARD.encode_to_string(frame.bytes),
            "approximateArrivalTimestamp": cut_ms as f64 / 1000.0,
        },
        "eventID": "shardId-000000000000:1",
    });
    Ok(record.to_string())
}

/// Payloads as the event source mapping cuts them, with the seconds that each one covers.
fn batches(lanes: usize, posts: u64, batch_size: usize) -> Result<Vec<(String, f64)>> {
    let mut batches = vec![];
    let (mut records, mut bytes) = (vec![], 0);
    let mut close = |records: &mut Vec<String>, bytes: &mut usize| {
        let covered = records.len() as f64 / lanes as f64;
        batches.push((format!(r#"{{"Records":[{}]}}"#, records.join(",")), covered));
        (*records, *bytes) = (vec![], 0);
    };
    for second in 0..SECONDS {
        for lane in 0..lanes {
            let record = record(lane, second, posts)?;
            if records.len() == batch_size || bytes + record.len() > MAX_PAYLOAD {
                close(&mut records, &mut bytes);
            }
            bytes += record.len() + 1;
            records.push(record);
        }
        if (second as usize + 1).is_multiple_of(WINDOW_SECS) && !records.is_empty() {
            close(&mut records, &mut bytes);
        }
    }
    Ok(batches)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let put_ms = match &arguments[..] {
        [] => PUT_MS,
        [name, value] if name == "--put-ms" => value.parse().context("--put-ms is a number of milliseconds")?,
        _ => anyhow::bail!("usage: lambda_load [--put-ms N]"),
    };
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header(["lanes", "posts/s", "batch size", "batches/s", "puts/s", "ms a batch", "busy", "of a core"]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for (lanes, posts, batch_size) in [
        (7, 10, 1000),
        (50, 5, 1000),
        (100, 5, 100),
        (200, 5, 100),
        (200, 5, 1000),
        (200, 5, 10_000),
        (1000, 1, 1000),
        (1000, 1, 10_000),
        (1000, 10, 10_000),
    ] {
        let handler = Handler::new(store(put_ms), FoldRules::default(), NoLetter);
        let (mut covered, mut puts, mut n) = (0.0, 0, 0);
        let mut spent = Duration::ZERO;
        let mut computed = Duration::ZERO;
        for (payload, secs) in batches(lanes, posts, batch_size)? {
            let (started, cpu) = (Instant::now(), cpu());
            let (answer, metrics) = handler.handle(&payload, START_MS + SECONDS * 1000).await?;
            spent += started.elapsed();
            computed += self::cpu().saturating_sub(cpu);
            ensure!(answer == Default::default(), "a batch of {lanes} lanes has to come again");
            (covered, puts, n) = (covered + secs, puts + metrics.partials, n + 1);
        }
        let of = |n: u64| format!("{:.1}", n as f64 / covered);
        table.add_row([
            lanes.to_string(),
            (lanes as u64 * posts).to_string(),
            batch_size.to_string(),
            of(n),
            of(puts),
            format!("{:.0}", spent.as_secs_f64() * 1000.0 / n as f64),
            format!("{:.0} %", spent.as_secs_f64() * 100.0 / covered),
            format!("{:.0} %", computed.as_secs_f64() * 100.0 / covered),
        ]);
        eprintln!("{lanes} lanes, batches of {batch_size}: done");
    }
    println!("{table}");
    println!("One shard, batching window {WINDOW_SECS} s, {put_ms} ms for each call of the store.\n");

    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header(["regions", "calls a run", "seconds a run, mean", "longest"]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for regions in [6, 100] {
        table.add_row(digest(regions, put_ms).await?);
        eprintln!("digest of {regions} regions: done");
    }
    println!("{table}");
    println!("The function digest, once a minute; {put_ms} ms for each call of the store.");
    Ok(())
}

/// Processor time of this thread; zero where Linux does not say it.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// A row of the digest's table: a day of posts, and then minutes with more of them.
async fn digest(regions: usize, put_ms: u64) -> Result<[String; 4]> {
    const MINUTES: i64 = 30;
    let store = store(0);
    let mut aggregator = Aggregator::new(store.clone(), FoldRules::default(), 4 * regions);
    let names: Vec<String> = (0..regions).map(|region| lane(region).region().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut run = async |from_ms: i64, times: i64, minutes: i64| -> Result<()> {
        for time in 0..times {
            let cut_ms = from_ms + time * minutes * 60_000 + 30_000;
            let mut records = vec![frame(Lane::ledger(Network::X, "load"), cut_ms, 0)?];
            for region in 0..regions {
                records.push(frame(lane(region), cut_ms, 6)?);
            }
            aggregator.fold_batch("0", &records).await?;
        }
        Ok(())
    };
    let day_ms = START_MS.div_euclid(DAY_MS) * DAY_MS;
    run(day_ms, 288, 5).await?;
    let mut digest = Digest::new(store.clone(), FoldRules::default());
    let mut now_ms = day_ms + DAY_MS;
    while digest.run(&names, now_ms, || false).await?.has_more {}

    let (mut all, mut longest) = (Duration::ZERO, Duration::ZERO);
    store.hook.calls.store(0, Ordering::Relaxed);
    let mut calls = 0;
    for _ in 0..MINUTES {
        run(now_ms, 1, 1).await?;
        now_ms += 60_000;
        store.hook.ms.store(put_ms, Ordering::Relaxed);
        let (started, before) = (Instant::now(), store.hook.calls.load(Ordering::Relaxed));
        digest.run(&names, now_ms, || false).await?;
        let took = started.elapsed();
        (all, longest) = (all + took, longest.max(took));
        calls += store.hook.calls.load(Ordering::Relaxed) - before;
        store.hook.ms.store(0, Ordering::Relaxed);
    }
    Ok([
        regions.to_string(),
        (calls / MINUTES as u64).to_string(),
        format!("{:.1}", all.as_secs_f64() / MINUTES as f64),
        format!("{:.1}", longest.as_secs_f64()),
    ])
}
