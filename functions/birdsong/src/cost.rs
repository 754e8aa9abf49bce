//! `birdsong cost`: what a month on AWS costs, from frames and items that it makes and measures.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};
use birdsong_aggregator::Aggregator;
use birdsong_domain::ports::{Expected, LogRecord, PartialKey, PortError, PutOutcome, WindowStore};
use birdsong_domain::post::AuthorKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::{FoldRules, Partial};
use birdsong_embedded::MemoryWindows;
use birdsong_sources::demo::Demo;
use birdsong_streamer::cutter::{CutFrame, CutRules, Cutter, Origin};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::recent::Recent;
use clap::Args;

use crate::{CountArgs, data, parse_secs};

/// Two windows of five minutes.
const SIMULATED_SECS: i64 = 600;
/// Begin of the simulation, a window's start.
const BEGIN_SECS: i64 = 1_700_000_100;
const MONTH_HOURS: f64 = 730.0;
const MONTH_SECS: f64 = MONTH_HOURS * 3600.0;

/// List prices in US dollars, us-east-1, November 2026.
mod price {
    /// A shard of a provisioned stream, an hour.
    pub(super) const SHARD_HOUR: f64 = 0.015;
    /// A million PUT units of 25 KB.
    pub(super) const PUT_UNITS: f64 = 0.014;
    /// A million invocations.
    pub(super) const INVOCATIONS: f64 = 0.20;
    /// A GB-second on arm64.
    pub(super) const GB_SEC: f64 = 0.000_013_333_4;
    /// A million write units of 1 KB, on demand.
    pub(super) const WRITE_UNITS: f64 = 0.625;
    /// A million read units of 4 KB, on demand.
    pub(super) const READ_UNITS: f64 = 0.125;
    /// Fargate on arm64: a vCPU and a GB, an hour each.
    pub(super) const VCPU_HOUR: f64 = 0.03238;
    pub(super) const GB_HOUR: f64 = 0.00356;
    /// A public IPv4 address, an hour.
    pub(super) const IPV4_HOUR: f64 = 0.005;
}

/// What an item has besides its state: keys, counters, expiry. Measured by the test `two_pages` of
/// `functions/aws`.
const ITEM_OVERHEAD_BYTES: u64 = 205;
/// Taken for the time of an invocation, since nothing here can measure it: so much by itself, and so
/// much for each put.
const INVOCATION_MS: f64 = 10.0;
const PUT_MS: f64 = 6.0;
const LAMBDA_GB: f64 = 0.25;
const STREAMER_VCPU: f64 = 0.25;
const STREAMER_GB: f64 = 0.5;

#[derive(Debug, Args)]
pub(crate) struct CostArgs {
    #[command(flatten)]
    count: CountArgs,
    /// Posts a second that the source sends, one table row each
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000], value_name = "N,…")]
    rates: Vec<u32>,
    /// The event source mapping's batching window: longer means fewer writes and later charts
    #[arg(long, default_value = "5s", value_parser = parse_secs, value_name = "TIME")]
    batching: u64,
}

pub(crate) fn cost(args: CostArgs) -> Result<ExitCode> {
    let regions = data::load_regions(&args.count)?;
    let rules = FoldRules { size: args.count.window.unwrap_or(FoldRules::default().size), ..FoldRules::default() };
    if args.rates.iter().any(|rate| !(1..=100_000).contains(rate)) {
        bail!("--rates takes posts a second from 1 to 100000");
    }
    if !(1..=300).contains(&args.batching) {
        bail!("--batching goes from 1s to 300s, as Lambda's batching window does");
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "posts/s",
        "frame bytes",
        "item bytes",
        "writes/s",
        "streamer $",
        "Kinesis $",
        "Lambda $",
        "DynamoDB $",
        "a month $",
        "a million posts $",
    ]);
    for rate in args.rates {
        eprintln!("birdsong: simulating {SIMULATED_SECS} s of {rate} posts a second …");
        let measured = simulate(rate, &regions, rules, args.batching)?;
        let month = Month::of(&measured);
        let posts = f64::from(rate) * MONTH_SECS / 1e6;
        let mut row = vec![
            rate.to_string(),
            (measured.record_bytes / measured.records.max(1)).to_string(),
            (measured.item_bytes / measured.puts.max(1)).to_string(),
            format!("{:.1}", measured.puts as f64 / SIMULATED_SECS as f64),
        ];
        let dollars = [month.streamer, month.kinesis, month.lambda, month.dynamodb, month.total()];
        row.extend(dollars.map(|dollars| format!("{dollars:.2}")));
        row.push(format!("{:.3}", month.total() / posts));
        table.add_row(row);
    }
    println!("{table}");
    println!(
        "\nList prices of us-east-1, without free tiers, taxes, API requests, logs and what the source itself charges.\n\
         Frames, items and writes are measured on made-up posts; the Lambda's time is assumed\n\
         ({INVOCATION_MS} ms and {PUT_MS} ms a write at {LAMBDA_GB} GB)."
    );
    Ok(ExitCode::SUCCESS)
}

/// What the simulated time took.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    records: u64,
    record_bytes: u64,
    put_units: u64,
    invocations: u64,
    puts: u64,
    item_bytes: u64,
    write_units: u64,
    loads: u64,
}

/// Counts what DynamoDB would charge for.
#[derive(Default)]
struct Charged {
    windows: MemoryWindows,
    puts: AtomicU64,
    item_bytes: AtomicU64,
    write_units: AtomicU64,
    loads: AtomicU64,
}

impl WindowStore for Charged {
    async fn load(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.windows.load(key).await
    }

    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        let state = partial.encode().map_err(|e| PortError::Refused { what: "zstd", reason: e.to_string() })?;
        let item_bytes = state.len() as u64 + ITEM_OVERHEAD_BYTES;
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.item_bytes.fetch_add(item_bytes, Ordering::Relaxed);
        self.write_units.fetch_add(item_bytes.div_ceil(1024), Ordering::Relaxed);
        self.windows.put(key, partial, expected).await
    }

    async fn query(
        &self,
        region: &str,
        from: WindowStart,
        to: WindowStart,
    ) -> Result<Vec<(PartialKey, Partial)>, PortError> {
        self.windows.query(region, from, to).await
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        self.windows.newest(region).await
    }
}

/// Made-up posts at an even rate through the real streamer and the real aggregator.
fn simulate(rate: u32, regions: &Regions, rules: FoldRules, batching_secs: u64) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let demo = Demo::new(1, regions, AuthorKey([0; 16]));
    let lanes = Lanes::new(regions);
    let begin_ms = BEGIN_SECS * 1000;
    let origin = Origin { source: "cost".into(), run: "cost".into(), live: true, connected_ms: begin_ms };
    let mut cutter = Cutter::new(origin, CutRules::default(), rules.size, lanes.clone(), Recent::new(1 << 16));
    let store = Arc::new(Charged::default());
    let mut aggregator = Aggregator::new(store.clone(), rules, 512);
    let mut measured = Measured::default();
    let (mut waiting, mut sequence) = (Vec::new(), 0u64);
    let mut demo_second = BEGIN_SECS;
    // Posts of the demo that came with a second but belong to the next one here.
    let mut batches = std::collections::VecDeque::new();
    let (mut batch, mut made) = (Batch::default(), 0u64);
    for second in 0..SIMULATED_SECS {
        while batches.is_empty() {
            demo.second(demo_second, &mut |post| {
                let mut post = post.clone();
                post.time_ms = begin_ms + (made * 1000 / u64::from(rate)) as i64;
                batch.add(regions, &lanes, &post);
                made += 1;
                if made.is_multiple_of(u64::from(rate)) {
                    batches.push_back(std::mem::take(&mut batch));
                }
            });
            demo_second += 1;
        }
        let now_ms = begin_ms + (second + 1) * 1000;
        let mut frames: Vec<CutFrame> = vec![];
        if let Some(batch) = batches.pop_front() {
            cutter.take(&batch, now_ms, &mut frames);
        }
        cutter.tick(now_ms, &mut frames);
        for frame in frames {
            let bytes = frame.encode()?.bytes;
            measured.records += 1;
            measured.record_bytes += bytes.len() as u64;
            measured.put_units += (bytes.len() as u64).div_ceil(25 << 10);
            sequence += 1;
            waiting.push(LogRecord { sequence: sequence.into(), arrived_ms: now_ms, bytes });
        }
        if (second + 1).unsigned_abs().is_multiple_of(batching_secs) && !waiting.is_empty() {
            measured.invocations += 1;
            runtime.block_on(aggregator.fold_batch(&waiting))?;
            waiting.clear();
        }
    }
    measured.puts = store.puts.load(Ordering::Relaxed);
    measured.item_bytes = store.item_bytes.load(Ordering::Relaxed);
    measured.write_units = store.write_units.load(Ordering::Relaxed);
    measured.loads = store.loads.load(Ordering::Relaxed);
    Ok(measured)
}

/// US dollars of a month.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Month {
    streamer: f64,
    kinesis: f64,
    lambda: f64,
    dynamodb: f64,
}

impl Month {
    fn of(measured: &Measured) -> Self {
        let times = MONTH_SECS / SIMULATED_SECS as f64;
        let millions = |n: u64| n as f64 * times / 1e6;
        let per_sec = |n: u64| n as f64 / SIMULATED_SECS as f64;
        // A shard takes 1,000 records and 1 MB a second.
        let shards = (per_sec(measured.records) / 1000.0).ceil().max((per_sec(measured.record_bytes) / 1e6).ceil());
        let lambda_secs =
            (measured.invocations as f64 * INVOCATION_MS + measured.puts as f64 * PUT_MS) / 1000.0 * times;
        Self {
            streamer: (STREAMER_VCPU * price::VCPU_HOUR + STREAMER_GB * price::GB_HOUR + price::IPV4_HOUR)
                * MONTH_HOURS,
            kinesis: shards * price::SHARD_HOUR * MONTH_HOURS + millions(measured.put_units) * price::PUT_UNITS,
            lambda: millions(measured.invocations) * price::INVOCATIONS + lambda_secs * LAMBDA_GB * price::GB_SEC,
            dynamodb: millions(measured.write_units) * price::WRITE_UNITS
                + millions(measured.loads) * price::READ_UNITS,
        }
    }

    fn total(&self) -> f64 {
        self.streamer + self.kinesis + self.lambda + self.dynamodb
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_what_the_price_list_says() {
        // A second has one record of one unit, one invocation and two puts of two units.
        let secs = SIMULATED_SECS as u64;
        let measured = Measured {
            records: secs,
            record_bytes: 2000 * secs,
            put_units: secs,
            invocations: secs,
            puts: 2 * secs,
            item_bytes: 4000 * secs,
            write_units: 4 * secs,
            loads: 0,
        };
        let month = Month::of(&measured);
        // 730 h have 2.628 million seconds.
        let near = |found: f64, expected: f64| (found - expected).abs() < 0.01;
        assert!(near(month.streamer, 10.86), "{month:?}");
        assert!(near(month.kinesis, 10.95 + 2.628 * 0.014), "{month:?}");
        assert!(near(month.lambda, 2.628 * 0.2 + 2_628_000.0 * 0.022 * 0.25 * 0.000_013_333_4), "{month:?}");
        assert!(near(month.dynamodb, 4.0 * 2.628 * 0.625), "{month:?}");
        let two = Measured { records: 1001 * secs, ..measured };
        assert!(near(Month::of(&two).kinesis, 2.0 * 10.95 + 2.628 * 0.014), "a shard takes 1,000 records a second");
    }

    #[test]
    fn the_simulation_counts_every_frame_and_write() {
        let regions = Regions::everything("all");
        let slow = simulate(10, &regions, FoldRules::default(), 5).unwrap();
        assert_eq!(slow.invocations, SIMULATED_SECS as u64 / 5);
        // One lane and the ledger's, each cut at least every other second.
        assert!((600..=1300).contains(&slow.records), "{slow:?}");
        assert!(slow.puts >= 2 * slow.invocations && slow.write_units >= slow.puts, "{slow:?}");
        let rare = simulate(10, &regions, FoldRules::default(), 60).unwrap();
        assert!(rare.write_units * 5 < slow.write_units, "{rare:?} {slow:?}");
    }
}
