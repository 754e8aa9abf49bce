//! `birdsong cost`: what a month on AWS costs, from frames and items that it makes and measures.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};
use birdsong_aggregator::Aggregator;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, LogRecord, PartialKey, PortError, PutOutcome, Row, RowVersion, WindowStore};
use birdsong_domain::post::AuthorKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::{FoldRules, Partial};
use birdsong_embedded::MemoryWindows;
use birdsong_sources::demo::Demo;
use birdsong_streamer::cutter::{CutFrame, CutRules, Cutter, Origin};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::sent::{SentRules, SharedSent};
use clap::Args;

use crate::{CountArgs, data, parse_secs, print};

/// Two windows of five minutes.
const SIMULATED_SECS: i64 = 600;
/// Begin of the simulation, a window's start.
const BEGIN_SECS: i64 = 1_700_000_100;
const MONTH_HOURS: f64 = 730.0;
const MONTH_SECS: f64 = MONTH_HOURS * 3600.0;
const GIB: f64 = (1u64 << 30) as f64;
const DAY_SECS: u64 = 86_400;

/// List prices in US dollars, us-east-1, November 2026.
mod price {
    /// A shard of a provisioned stream, an hour.
    pub(super) const SHARD_HOUR: f64 = 0.015;
    /// A million PUT units of 25 KB.
    pub(super) const PUT_UNITS: f64 = 0.014;
    /// On top of a shard's hour when records are kept for more than a day.
    pub(super) const LONGER_SHARD_HOUR: f64 = 0.020;
    /// And for each GB of those that are kept for more than a week, a month.
    pub(super) const LONGER_GB: f64 = 0.023;
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
    /// A secret, a metric of our own, a metric that an alarm looks at, a dashboard: a month each.
    pub(super) const SECRET: f64 = 0.40;
    pub(super) const METRIC: f64 = 0.30;
    pub(super) const ALARM: f64 = 0.10;
    pub(super) const DASHBOARD: f64 = 3.00;
    /// A GB of logs.
    pub(super) const LOGS_GB: f64 = 0.50;
}

/// What an item has besides its state: keys, counters, expiry. Measured by the test of `functions/aws` that reads
/// a day in two pages.
const ITEM_OVERHEAD_BYTES: u64 = 205;
/// Taken for the time of an invocation, since nothing here can measure it: so much by itself, and so
/// much for each put.
const INVOCATION_MS: f64 = 10.0;
const PUT_MS: f64 = 6.0;
/// Taken for what an invocation leaves in the logs: Lambda's start and report, and our metrics. What the streamer
/// writes each minute is about as long.
const LOG_BYTES: f64 = 1000.0;
const LAMBDA_GB: f64 = 0.25;
const STREAMER_VCPU: f64 = 0.25;
const STREAMER_GB: f64 = 0.5;
/// What the streamer writes into the table for a source: its state twice a minute, its place six times.
const SETTINGS_A_MINUTE: f64 = 8.0;
/// Metrics of the aggregator, and of a source that costs nothing itself (X has one more).
const METRICS: f64 = 8.0 + 12.0;
/// Ten alarms of `infra/`, one of which looks at three metrics, and two of a source.
const ALARM_METRICS: f64 = 12.0 + 2.0;

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
    /// How long the log keeps records: more than a day costs more (stream_retention_hours of infra/)
    #[arg(long, default_value = "7d", value_parser = parse_secs, value_name = "TIME")]
    retention: u64,
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
    if !(DAY_SECS..=365 * DAY_SECS).contains(&args.retention) {
        bail!("--retention goes from 1d to 365d, as Kinesis has it");
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
        "CloudWatch $",
        "a month $",
        "a million posts $",
    ]);
    for rate in args.rates {
        print::err(format_args!("birdsong: simulating {SIMULATED_SECS} s of {rate} posts a second …"));
        let measured = simulate(rate, &regions, rules, args.batching)?;
        let month = Month::of(&measured, args.retention);
        let posts = f64::from(rate) * MONTH_SECS / 1e6;
        let mut row = vec![
            rate.to_string(),
            (measured.record_bytes / measured.records.max(1)).to_string(),
            (measured.item_bytes / measured.puts.max(1)).to_string(),
            format!("{:.1}", measured.puts as f64 / SIMULATED_SECS as f64),
        ];
        let dollars = [month.streamer, month.kinesis, month.lambda, month.dynamodb, month.cloudwatch, month.total()];
        row.extend(dollars.map(|dollars| format!("{dollars:.2}")));
        row.push(format!("{:.3}", month.total() / posts));
        table.add_row(row);
    }
    print::out(&table);
    print::out(format_args!(
        "\nList prices of us-east-1 for what infra/ makes, with one source, and a log of provisioned shards that keeps\n\
         records for {} h. Without free tiers, taxes, API requests, storage and what the source itself charges.\n\
         Frames, items and writes are measured on made-up posts; the Lambda's time and its logs are assumed\n\
         ({INVOCATION_MS} ms and {PUT_MS} ms a write at {LAMBDA_GB} GB, {LOG_BYTES} bytes).",
        args.retention.div_ceil(3600)
    ));
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
        let state = partial.encode().map_err(PortError::cannot_encode)?;
        let item_bytes = state.len() as u64 + ITEM_OVERHEAD_BYTES;
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.item_bytes.fetch_add(item_bytes, Ordering::Relaxed);
        self.write_units.fetch_add(item_bytes.div_ceil(1024), Ordering::Relaxed);
        self.windows.put(key, partial, expected).await
    }

    async fn keys(&self, from: WindowStart, to: WindowStart) -> Result<Vec<PartialKey>, PortError> {
        self.windows.keys(from, to).await
    }

    async fn version(&self, key: &PartialKey) -> Result<Option<RowVersion>, PortError> {
        self.windows.version(key).await
    }

    async fn remove(&self, key: &PartialKey, version: &RowVersion) -> Result<bool, PortError> {
        self.windows.remove(key, version).await
    }

    async fn query(&self, region: &str, from: WindowStart, to: WindowStart) -> Result<Vec<Row>, PortError> {
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
    let lanes = Lanes::new(regions, Network::DEMO);
    let begin_ms = BEGIN_SECS * 1000;
    let origin = Origin { source: "cost".into(), run: "cost".into(), live: true, connected_ms: begin_ms };
    let sent = SharedSent::new(SentRules::archive(None));
    let mut cutter = Cutter::new(origin, CutRules::default(), rules.size, lanes.clone(), sent);
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
            cutter.take(&batch, now_ms, &mut frames)?;
        }
        cutter.tick(now_ms, &mut frames);
        for frame in frames {
            let bytes = frame.encode()?.bytes;
            measured.records += 1;
            measured.record_bytes += bytes.len() as u64;
            measured.put_units += (bytes.len() as u64).div_ceil(25 << 10);
            sequence += 1;
            waiting.push(LogRecord { sequence: sequence.into(), arrived_ms: now_ms, lane: None, bytes });
        }
        if (second + 1).unsigned_abs().is_multiple_of(batching_secs) && !waiting.is_empty() {
            measured.invocations += 1;
            runtime.block_on(aggregator.fold_batch("0", &waiting))?;
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
    cloudwatch: f64,
}

impl Month {
    fn of(measured: &Measured, retention_secs: u64) -> Self {
        let times = MONTH_SECS / SIMULATED_SECS as f64;
        let millions = |n: u64| n as f64 * times / 1e6;
        let per_sec = |n: u64| n as f64 / SIMULATED_SECS as f64;
        // A shard takes 1,000 records and 1 MB a second.
        let shards = (per_sec(measured.records) / 1000.0).ceil().max((per_sec(measured.record_bytes) / 1e6).ceil());
        let lambda_secs =
            (measured.invocations as f64 * INVOCATION_MS + measured.puts as f64 * PUT_MS) / 1000.0 * times;
        let longer = if retention_secs > DAY_SECS { price::LONGER_SHARD_HOUR } else { 0.0 };
        let old_gib = per_sec(measured.record_bytes) * retention_secs.saturating_sub(7 * DAY_SECS) as f64 / GIB;
        let minutes = MONTH_HOURS * 60.0;
        let log_gib = (measured.invocations as f64 * times + minutes) * LOG_BYTES / GIB;
        Self {
            streamer: (STREAMER_VCPU * price::VCPU_HOUR + STREAMER_GB * price::GB_HOUR + price::IPV4_HOUR)
                * MONTH_HOURS
                + price::SECRET,
            kinesis: shards * (price::SHARD_HOUR + longer) * MONTH_HOURS
                + millions(measured.put_units) * price::PUT_UNITS
                + old_gib * price::LONGER_GB,
            lambda: millions(measured.invocations) * price::INVOCATIONS + lambda_secs * LAMBDA_GB * price::GB_SEC,
            dynamodb: (millions(measured.write_units) + SETTINGS_A_MINUTE * minutes / 1e6) * price::WRITE_UNITS
                + millions(measured.loads) * price::READ_UNITS,
            cloudwatch: METRICS * price::METRIC
                + ALARM_METRICS * price::ALARM
                + price::DASHBOARD
                + log_gib * price::LOGS_GB,
        }
    }

    fn total(&self) -> f64 {
        self.streamer + self.kinesis + self.lambda + self.dynamodb + self.cloudwatch
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
        let month = Month::of(&measured, DAY_SECS);
        // 730 h have 2.628 million seconds.
        let near = |found: f64, expected: f64| (found - expected).abs() < 0.01;
        assert!(near(month.streamer, 10.86 + 0.40), "{month:?}");
        assert!(near(month.kinesis, 10.95 + 2.628 * 0.014), "{month:?}");
        assert!(near(month.lambda, 2.628 * 0.2 + 2_628_000.0 * 0.022 * 0.25 * 0.000_013_333_4), "{month:?}");
        assert!(near(month.dynamodb, 4.0 * 2.628 * 0.625 + 8.0 * 0.0438 * 0.625), "{month:?}");
        // 2,628,000 invocations and 43,800 minutes leave 2.49 GiB of logs.
        assert!(near(month.cloudwatch, 20.0 * 0.30 + 14.0 * 0.10 + 3.0 + 2.488 * 0.50), "{month:?}");
        let parts = [month.streamer, month.kinesis, month.lambda, month.dynamodb, month.cloudwatch];
        assert!(near(month.total(), parts.iter().sum()), "{month:?}");
        let two = Measured { records: 1001 * secs, ..measured };
        let kinesis = Month::of(&two, DAY_SECS).kinesis;
        assert!(near(kinesis, 2.0 * 10.95 + 2.628 * 0.014), "a shard takes 1,000 records a second");
    }

    #[test]
    fn records_that_are_kept_for_more_than_a_day_cost_by_the_shard_and_after_a_week_by_their_bytes() {
        let secs = SIMULATED_SECS as u64;
        // 1 MB a second is one shard, a little more two.
        let one = Measured { records: secs, record_bytes: 1_000_000 * secs, ..Measured::default() };
        let two = Measured { record_bytes: 1_000_001 * secs, ..one };
        let more = |measured, secs| Month::of(measured, secs).kinesis - Month::of(measured, DAY_SECS).kinesis;
        let near = |found: f64, expected: f64| (found - expected).abs() < 0.01;
        assert!(near(more(&one, DAY_SECS + 3600), 14.60), "{}", more(&one, DAY_SECS + 3600));
        assert!(near(more(&one, 7 * DAY_SECS), 14.60), "{}", more(&one, 7 * DAY_SECS));
        assert!(near(more(&two, 7 * DAY_SECS), 29.20), "{}", more(&two, 7 * DAY_SECS));
        // A day of 1 MB a second has 80.47 GiB.
        assert!(near(more(&one, 8 * DAY_SECS), 14.60 + 80.466 * 0.023), "{}", more(&one, 8 * DAY_SECS));
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
