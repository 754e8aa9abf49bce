//! `birdsong cost`: what a month on AWS costs, part by part, for what `infra/` makes.
//!
//! It computes; it measures nothing. What it assumes is in [`assumed`], and the prices are in [`prices`].

mod prices;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{parse_secs, print};
use prices::Price;

const MONTH_HOURS: f64 = 730.0;
const MONTH_SECS: f64 = MONTH_HOURS * 3600.0;
const MINUTES: f64 = MONTH_HOURS * 60.0;
const MONTH_DAYS: f64 = MONTH_HOURS / 24.0;
const DAY_SECS: u64 = 86_400;
const GB: f64 = 1e9;
/// What DynamoDB counts writes and reads in.
const WRITE_UNIT: f64 = 1024.0;
const READ_UNIT: f64 = 4096.0;

/// What an installation is taken to be like. Sizes and rates that a test checks against the code are marked.
mod assumed {
    /// Length of a window, in seconds.
    pub(super) const WINDOW_SECS: f64 = 300.0;
    /// Records of each lane in a second, while posts come, and their size: six regions at 100 posts a second.
    pub(super) const RECORDS: f64 = 1.0;
    pub(super) const RECORD_BYTES: f64 = 1200.0;
    /// Memory of the functions, in GB: `aggregator_memory_mb`, `digest_memory_mb`, `api_memory_mb`.
    pub(super) const AGGREGATOR_GB: f64 = 0.25;
    pub(super) const DIGEST_GB: f64 = 0.25;
    pub(super) const API_GB: f64 = 0.5;
    /// Time of an invocation by itself, and of each put in it, in seconds.
    pub(super) const INVOCATION_SECS: f64 = 0.010;
    pub(super) const PUT_SECS: f64 = 0.006;
    /// Time of a run of the digest, and of a request to the API, in seconds.
    pub(super) const DIGEST_SECS: f64 = 0.5;
    pub(super) const REQUEST_SECS: f64 = 0.05;
    /// Items of a region's windows when they are put: share and bytes. Measured: 84 % of the demo's windows, 70 posts each, fit
    /// 1 KB, and 15 % 2 KB. With 1,700 to 33,000 posts they have 2.4 to 3.1 KB in the end, and less while they grow.
    pub(super) const WINDOW_SIZES: [(f64, f64); 3] = [(0.3, 1000.0), (0.45, 2000.0), (0.25, 3000.0)];
    /// The mean of these, a window of a ledger, and a roll-up of an hour, in bytes.
    pub(super) const WINDOW_BYTES: f64 = 1950.0;
    pub(super) const LEDGER_BYTES: f64 = 260.0;
    pub(super) const ROLLUP_BYTES: f64 = 4000.0;
    /// The newest windows of each lane that are in one item, and the bytes of each (tested).
    pub(super) const LATEST_WINDOWS: f64 = 4.0;
    pub(super) const LATEST_BYTES: f64 = 80.0;
    /// The stored overview: so much by itself, and so much for each region (tested).
    pub(super) const OVERVIEW_BYTES: f64 = 1000.0;
    pub(super) const OVERVIEW_REGION_BYTES: f64 = 500.0;
    /// Documents of a region, measured with the demo: the series of a day that is half over and of a whole one, what was found,
    /// and the events of a day.
    pub(super) const SERIES_BYTES: f64 = 10_000.0;
    pub(super) const SERIES_DAY_BYTES: f64 = 19_000.0;
    pub(super) const WATCH_BYTES: f64 = 1200.0;
    pub(super) const EVENTS_BYTES: f64 = 1100.0;
    /// Days of series that are read again each hour.
    pub(super) const SERIES_DAYS: f64 = 16.0;
    /// Marks of a region in an hour: every 5 minutes while it is open, every 30 s for two minutes after it.
    pub(super) const MARKS: f64 = 12.0 + 5.0;
    pub(super) const MARK_BYTES: f64 = 150.0;
    /// Settings: of a region in the catalogue, and of a source (its state and its resume point).
    pub(super) const CATALOGUE_BYTES: f64 = 400.0;
    pub(super) const SOURCE_BYTES: f64 = 800.0;
    /// What the streamer writes into the table in a minute: all states twice, each resume point six times.
    pub(super) const STATES: f64 = 2.0;
    pub(super) const RESUME_POINTS: f64 = 6.0;
    /// How often a page asks for the overview, and for the windows of its view if they changed, in seconds.
    pub(super) const POLL_SECS: f64 = 10.0;
    /// How long CloudFront and the function keep an answer, in seconds.
    pub(super) const FRESH_SECS: f64 = 5.0;
    /// How long the function keeps the settings, in seconds.
    pub(super) const SETTINGS_SECS: f64 = 30.0;
    /// Views of a region that differ: its range and networks.
    pub(super) const VIEWS: f64 = 1.0;
    /// Windows that are not final, and how often in an hour counts that were final change: hours and days are rolled up.
    pub(super) const OPEN_WINDOWS: f64 = 2.0;
    pub(super) const VERSIONS: f64 = 2.0;
    /// Windows that a view shows: a day in steps of five minutes.
    pub(super) const VIEW_WINDOWS: f64 = 288.0;
    /// Bytes of answers, compressed: the overview, the windows that changed, and the page, which is loaded once a day.
    pub(super) const OVERVIEW_ANSWER_BYTES: f64 = 1200.0;
    pub(super) const WINDOWS_ANSWER_BYTES: f64 = 2500.0;
    pub(super) const PAGE_BYTES: f64 = 120_000.0;
    pub(super) const PAGE_REQUESTS: f64 = 9.0;
    /// Bytes that an invocation, or a minute of a source, leaves in the logs.
    pub(super) const LOG_BYTES: f64 = 1000.0;
    /// Days for which logs are stored: `log_retention_days` of `infra/`.
    pub(super) const LOG_DAYS: f64 = 30.0;
    /// Bytes of a request in the access log of the API.
    pub(super) const ACCESS_LOG_BYTES: f64 = 400.0;
    /// Size of the task: `infra/modules/streamer`.
    pub(super) const TASK_VCPU: f64 = 0.25;
    pub(super) const TASK_GB: f64 = 0.5;
    /// Calls of KMS for an encrypted stream: Kinesis Data Streams, "costs and performance".
    pub(super) const KMS_CALLS: f64 = 104_000.0;
    /// Metrics that CloudWatch counts for the trigger of the aggregator.
    pub(super) const TRIGGER_METRICS: f64 = 6.0;
    /// Metrics that alarms of `infra/modules/observability` watch: one each, and of each source its own three, and the one of all
    /// that are connected.
    pub(super) const ALARM_METRICS: f64 = 22.0;
    pub(super) const ALARM_METRICS_OF_SOURCE: f64 = 4.0;
    /// Composite alarms.
    pub(super) const COMPOSITE_ALARMS: f64 = 3.0;
    /// Bytes of a post in the archive: docs/how-to/archive-the-log.md has the test that measures them.
    pub(super) const ARCHIVED_POST_BYTES: f64 = 43.0;
    /// How often the streamer looks for a day to archive, in seconds.
    pub(super) const ARCHIVE_SECS: f64 = 3600.0;
    /// X-Ray traces one request in a second, and this share of the others.
    pub(super) const TRACED: f64 = 0.05;
}

#[derive(Debug, Args)]
#[command(after_help = COST_HELP)]
pub(crate) struct CostArgs {
    /// Pages that are open at the same time
    #[arg(long, value_name = "N", default_value_t = 20)]
    viewers: u32,
    /// Regions
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    regions: u32,
    /// Networks that have posts of each region
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    networks: u32,
    /// Sources
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    sources: u32,
    /// Shards of the stream (shard_count of infra/)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=200))]
    shards: u32,
    /// How long the log keeps records, 1d to 365d (stream_retention_hours of infra/)
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_retention)]
    retention: u64,
    /// Records in a batch of the aggregator at most (aggregator_batch_size of infra/)
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch_size: u32,
    /// How long a batch waits for more, 1s to 5m (aggregator_batching_window_secs of infra/)
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_batching)]
    batching_window: u64,
    /// Days of the log that the archive keeps, 0 for none (archive_days of infra/)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    archive_days: u32,
    /// With --archive-days: posts a second in all regions together
    #[arg(long, value_name = "N", default_value_t = 100, requires = "archive_days", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    posts: u32,
    /// Hours of the day in which the pages are open
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u8).range(0..=24))]
    hours_a_day: u8,
    /// Show instead what the worst month of an attacked API costs, on top
    #[arg(long, conflicts_with_all = ["viewers", "regions", "networks", "sources", "shards", "retention", "batch_size", "batching_window", "archive_days", "hours_a_day"])]
    attack: bool,
    /// Show instead the prices, and the pages that they are from
    #[arg(long, conflicts_with = "attack")]
    prices: bool,
    /// With --attack: requests a second that reach the function (api_rate of infra/)
    #[arg(long, value_name = "N", default_value_t = 20, requires = "attack", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    api_rate: u32,
    /// With --attack: how many run at once (api_reserved_concurrency of infra/)
    #[arg(long, value_name = "N", default_value_t = 10, requires = "attack", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    api_concurrency: u32,
    /// With --attack: read units a second of the table (table_max_read_request_units of infra/)
    #[arg(long, value_name = "N", default_value_t = 500, requires = "attack", value_parser = clap::value_parser!(u32).range(1..=40_000))]
    table_reads: u32,
}

const COST_HELP: &str = "List prices of us-east-1, without taxes and without what a source charges. Left out: stored
windows (0.25 a GB-month, 0.20 more with pitr), images, the quarantine and the page (0.10 and 0.02 a GB-month).";

fn parse_retention(text: &str) -> Result<u64, String> {
    let secs = parse_secs(text)?;
    if (DAY_SECS..=365 * DAY_SECS).contains(&secs) { Ok(secs) } else { Err("expected 1d to 365d".to_owned()) }
}

fn parse_batching(text: &str) -> Result<u64, String> {
    let secs = parse_secs(text)?;
    if (1..=300).contains(&secs) { Ok(secs) } else { Err("expected 1s to 5m".to_owned()) }
}

pub(crate) fn cost(args: &CostArgs) -> Result<ExitCode> {
    print::out(match args {
        CostArgs { prices: true, .. } => prices_text(),
        CostArgs { attack: true, .. } => attack_text(args),
        _ => month_text(args),
    });
    Ok(ExitCode::SUCCESS)
}

fn month_text(args: &CostArgs) -> String {
    let lines = month(args);
    let all = sum(&lines);
    let free = all - after_free(&lines);
    format!(
        "{}\n\nFree in every account, of these: {free:.2}. To pay: {:.2}.\n\
         Pages that are open: {}, for {} hours a day. Regions: {}. Networks: {}. Sources: {}. Shards: {}. Days of log: {}.\n\
         Viewers beyond {} change the lines of CloudFront alone.",
        table(&lines),
        all - free,
        args.viewers,
        args.hours_a_day,
        args.regions,
        args.networks,
        args.sources,
        args.shards,
        args.retention / DAY_SECS,
        enough_viewers(args),
    )
}

fn attack_text(args: &CostArgs) -> String {
    let lines = attack(args);
    format!(
        "{}\n\nEvery second of a month at the limits: {} requests a second, {} of them at once, {} read units.\n\
         Requests that are throttled cost nothing. CloudFront has no limit: {} for a million requests, {} for a GB.",
        table(&lines),
        args.api_rate,
        args.api_concurrency,
        args.table_reads,
        dollars(prices::CDN_REQUESTS.dollars * 1e6 / prices::CDN_REQUESTS.per),
        dollars(prices::CDN_GB.dollars),
    )
}

fn prices_text() -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["US dollars", "for", "free in a month", "page"]);
    for price in prices::ALL {
        let free = if price.free > 0.0 { quantity(price.free) } else { String::new() };
        table.add_row([dollars(price.dollars), price.unit.to_owned(), free, price.from.to_owned()]);
    }
    format!("{table}\n\nus-east-1, November 2026, without taxes. A price that is unconfirmed is from a single source.")
}

/// A line of the bill.
#[derive(Clone, Debug)]
struct Line {
    part: &'static str,
    what: &'static str,
    /// Units of the price, in a month.
    quantity: f64,
    price: &'static Price,
}

impl Line {
    fn dollars(&self) -> f64 {
        self.quantity * self.price.dollars / self.price.per
    }
}

fn sum(lines: &[Line]) -> f64 {
    lines.iter().map(Line::dollars).sum()
}

/// The sum without what is free.
fn after_free(lines: &[Line]) -> f64 {
    let paid = prices::ALL.iter().map(|price| {
        let quantity: f64 =
            lines.iter().filter(|line| std::ptr::eq(line.price, *price)).map(|line| line.quantity).sum();
        (quantity - price.free).max(0.0) * price.dollars / price.per
    });
    paid.sum()
}

fn table(lines: &[Line]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["part", "what", "in a month", "price", "US dollars"]);
    for line in lines {
        table.add_row([
            line.part.to_owned(),
            line.what.to_owned(),
            quantity(line.quantity),
            format!("{} / {}", dollars(line.price.dollars), line.price.unit),
            format!("{:.2}", line.dollars()),
        ]);
    }
    table.add_row(["sum", "", "", "", &format!("{:.2}", sum(lines))]);
    table.to_string()
}

fn quantity(quantity: f64) -> String {
    match quantity {
        _ if quantity >= 1e9 => format!("{:.2} billion", quantity / 1e9),
        _ if quantity >= 1e6 => format!("{:.2} million", quantity / 1e6),
        _ if quantity >= 1e3 => format!("{:.1} thousand", quantity / 1e3),
        _ if quantity.fract() < 0.005 => format!("{quantity:.0}"),
        _ => format!("{quantity:.2}"),
    }
}

/// A price with its own digits, at least two behind the point.
fn dollars(dollars: f64) -> String {
    let text = dollars.to_string();
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    if digits < 2 { format!("{dollars:.2}") } else { text }
}

/// Viewers that ask every question as often as the caches let it through.
fn enough_viewers(args: &CostArgs) -> u32 {
    (assumed::POLL_SECS / assumed::FRESH_SECS * f64::from(args.regions) * assumed::VIEWS).ceil() as u32
}

/// Times in which something of `each` units, rounded up, is used.
fn units(times: f64, bytes: f64, unit: f64) -> f64 {
    times * (bytes / unit).ceil()
}

fn month(args: &CostArgs) -> Vec<Line> {
    use assumed::*;
    let (viewers, regions, networks) = (f64::from(args.viewers), f64::from(args.regions), f64::from(args.networks));
    let (sources, shards) = (f64::from(args.sources), f64::from(args.shards));
    let mut lines = vec![];
    let mut line = |part, what, quantity, price| lines.push(Line { part, what, quantity, price });

    line("streamer", "a quarter of a processor", TASK_VCPU * MONTH_HOURS, &prices::VCPU_HOUR);
    line("streamer", "half a GB of memory", TASK_GB * MONTH_HOURS, &prices::TASK_GB_HOUR);
    line("streamer", "its address", MONTH_HOURS, &prices::IPV4_HOUR);
    line("streamer", "the key of hashes; a token is another one", 1.0, &prices::SECRET);

    let lanes = regions * networks + sources;
    let records = lanes * RECORDS;
    line("Kinesis", "shards", shards * MONTH_HOURS, &prices::SHARD_HOUR);
    if args.retention > DAY_SECS {
        line("Kinesis", "records of more than a day", shards * MONTH_HOURS, &prices::LONGER_SHARD_HOUR);
    }
    if args.retention > 7 * DAY_SECS {
        let gb = records * RECORD_BYTES * (args.retention - 7 * DAY_SECS) as f64 / GB;
        line("Kinesis", "records of more than a week", gb, &prices::LONGER_GB);
    }
    line("Kinesis", "records, at most one each second and lane", records * MONTH_SECS, &prices::PUT_UNITS);
    line("Kinesis", "encryption", KMS_CALLS, &prices::KMS_CALLS);

    if args.archive_days > 0 {
        let days = f64::from(args.archive_days);
        let gb = f64::from(args.posts) * DAY_SECS as f64 * days * ARCHIVED_POST_BYTES / GB;
        line("archive", "days of the log, once it has all of them", gb, &prices::S3_GB);
        // A day has a file for each region, one for the ledgers, and a manifest; each look for a day to write is a list.
        let written = MONTH_DAYS * (regions + 2.0) + MONTH_SECS / ARCHIVE_SECS;
        line("archive", "files that are written, and lists", written, &prices::S3_PUTS);
    }

    // A shard's batch closes when it is full or when its time is up, and has each lane once, unless it is so short that
    // not every lane has a record.
    let of_shard = lanes / shards;
    let batch_secs = (args.batching_window as f64).min(f64::from(args.batch_size) / (of_shard * RECORDS));
    let batches = shards * MONTH_SECS / batch_secs;
    let puts = batches * of_shard * (RECORDS * batch_secs).min(1.0);
    let requests = requests(args);
    let api_requests = requests.overview + requests.windows;
    line("Lambda", "aggregator, invocations", batches, &prices::INVOCATIONS);
    let secs = batches * INVOCATION_SECS + (puts + batches) * PUT_SECS;
    line("Lambda", "aggregator, time", secs * AGGREGATOR_GB, &prices::GB_SECONDS);
    line("Lambda", "digest, invocations", MINUTES, &prices::INVOCATIONS);
    line("Lambda", "digest, time", MINUTES * DIGEST_SECS * DIGEST_GB, &prices::GB_SECONDS);
    line("Lambda", "digest, schedule", MINUTES, &prices::SCHEDULED);
    line("Lambda", "api, invocations", api_requests, &prices::INVOCATIONS);
    line("Lambda", "api, time", api_requests * REQUEST_SECS * API_GB, &prices::GB_SECONDS);

    let overview_bytes = OVERVIEW_BYTES + OVERVIEW_REGION_BYTES * regions;
    let latest_bytes = lanes * LATEST_WINDOWS * LATEST_BYTES;
    let ledger_share = sources / lanes;
    let of_regions = WINDOW_SIZES.map(|(share, bytes)| units(puts * (1.0 - ledger_share) * share, bytes, WRITE_UNIT));
    let window_units = of_regions.iter().sum::<f64>() + units(puts * ledger_share, LEDGER_BYTES, WRITE_UNIT);
    // Marks are written for regions and for the ledgers, and deleted.
    let marked = (regions + 1.0) * MONTH_HOURS;
    line("DynamoDB writes", "windows, one each batch and lane", window_units, &prices::WRITE_UNITS);
    line(
        "DynamoDB writes",
        "the newest windows, each batch",
        units(batches, latest_bytes, WRITE_UNIT),
        &prices::WRITE_UNITS,
    );
    line("DynamoDB writes", "marks of hours that changed", marked * (MARKS + 2.0), &prices::WRITE_UNITS);
    line(
        "DynamoDB writes",
        "the overview, each minute",
        units(MINUTES, overview_bytes, WRITE_UNIT),
        &prices::WRITE_UNITS,
    );
    let rollups = lanes * MONTH_HOURS * (1.0 + 1.0 / 24.0);
    line(
        "DynamoDB writes",
        "roll-ups of hours and days",
        units(rollups, ROLLUP_BYTES, WRITE_UNIT),
        &prices::WRITE_UNITS,
    );
    // The series each hour, and what was found each window. In half of the windows an event goes on.
    let documents = regions
        * (units(MONTH_HOURS, SERIES_BYTES, WRITE_UNIT)
            + units(MONTH_SECS / WINDOW_SECS, WATCH_BYTES, WRITE_UNIT)
            + units(MONTH_SECS / WINDOW_SECS / 2.0, EVENTS_BYTES, WRITE_UNIT));
    line("DynamoDB writes", "trends and events", documents, &prices::WRITE_UNITS);
    let settings = MINUTES * (units(STATES, sources * SOURCE_BYTES, WRITE_UNIT) + RESUME_POINTS * sources);
    line("DynamoDB writes", "states and resume points of sources", settings, &prices::WRITE_UNITS);

    let settings_bytes = overview_bytes + regions * CATALOGUE_BYTES + sources * SOURCE_BYTES;
    let live_bytes = latest_bytes + 2.0 * (regions + 1.0) * MARK_BYTES;
    let windows = MONTH_SECS / WINDOW_SECS;
    // Each window once when it starts (aggregator), once when it is final, and once for the roll-up of its hour.
    let once = lanes * windows;
    let digest = MINUTES
        * (units(1.0, settings_bytes, READ_UNIT)
            + units(1.0, overview_bytes, READ_UNIT)
            + units(1.0, live_bytes, READ_UNIT)
            + units(1.0, live_bytes - latest_bytes, READ_UNIT))
        + units(once, WINDOW_BYTES, READ_UNIT)
        + units(lanes * MONTH_HOURS, 12.0 * WINDOW_BYTES, READ_UNIT)
        // The roll-ups that are there.
        + 2.0 * lanes * MONTH_HOURS;
    line("DynamoDB reads", "aggregator, new windows", once, &prices::READ_UNITS);
    line("DynamoDB reads", "digest", digest, &prices::READ_UNITS);
    // The series of the last weeks each hour, and the events of the day each window.
    let series = regions
        * (units(MONTH_HOURS, SERIES_DAYS * SERIES_DAY_BYTES, READ_UNIT)
            + units(MONTH_SECS / WINDOW_SECS, EVENTS_BYTES, READ_UNIT));
    line("DynamoDB reads", "digest, trends and events", series, &prices::READ_UNITS);
    // Eventually consistent: half a unit.
    let looks = requests.busy_secs / FRESH_SECS;
    let look_units = units(looks, overview_bytes, READ_UNIT)
        + units(looks, live_bytes, READ_UNIT)
        + units(requests.busy_secs / SETTINGS_SECS, settings_bytes, READ_UNIT);
    line("DynamoDB reads", "api, the overview each 5 s", look_units / 2.0, &prices::READ_UNITS);
    // The function keeps what is final in memory, until counts that were final change.
    let view_units = |windows: f64| {
        units(1.0, windows * networks * WINDOW_BYTES, READ_UNIT)
            + units(1.0, windows * sources * LEDGER_BYTES, READ_UNIT)
            // The record of corrections, which is mostly empty.
            + units(1.0, 1.0, READ_UNIT)
    };
    line(
        "DynamoDB reads",
        "api, the newest windows of a view each 5 s",
        requests.windows * view_units(OPEN_WINDOWS) / 2.0,
        &prices::READ_UNITS,
    );
    let views = f64::from(args.viewers).min(regions * VIEWS);
    let whole = views * requests.busy_secs / 3600.0 * VERSIONS;
    line(
        "DynamoDB reads",
        "api, all windows of a view when an hour is rolled up",
        whole * view_units(VIEW_WINDOWS) / 2.0,
        &prices::READ_UNITS,
    );

    line("API Gateway", "requests that no cache answers", api_requests, &prices::API_REQUESTS);
    let traced = traced(api_requests / requests.busy_secs.max(1.0)) * requests.busy_secs;
    line("API Gateway", "traces by X-Ray", traced, &prices::TRACES);

    let polls = viewers * requests.open_secs / POLL_SECS;
    let loads = viewers * MONTH_HOURS / 24.0;
    let bytes = polls * (OVERVIEW_ANSWER_BYTES + WINDOWS_ANSWER_BYTES) + loads * PAGE_BYTES;
    line("CloudFront", "requests of pages", 2.0 * polls + loads * PAGE_REQUESTS, &prices::CDN_REQUESTS);
    line("CloudFront", "bytes to pages", bytes / GB, &prices::CDN_GB);

    let named = |group: &birdsong_domain::metrics::Group| {
        group.metrics.iter().filter(|metric| metric.cloudwatch.is_some()).count() as f64
    };
    use birdsong_domain::metrics::{aggregator, digest, source};
    // All but the money and the pauses of its budget, which one kind of source has.
    let metrics = named(&aggregator::GROUP) + named(&digest::GROUP) + (named(&source::GROUP) - 2.0) * sources;
    line("CloudWatch", "metrics", metrics, &prices::METRIC);
    line("CloudWatch", "metrics of the aggregator's trigger", TRIGGER_METRICS, &prices::METRIC);
    line("CloudWatch", "alarms", ALARM_METRICS + ALARM_METRICS_OF_SOURCE * sources, &prices::ALARM);
    line("CloudWatch", "composite alarms", COMPOSITE_ALARMS, &prices::COMPOSITE_ALARM);
    line("CloudWatch", "dashboard", 1.0, &prices::DASHBOARD);
    let logged = (batches + MINUTES * (1.0 + sources) + api_requests) * LOG_BYTES + api_requests * ACCESS_LOG_BYTES;
    line("CloudWatch", "logs", logged / GB, &prices::LOGS_GB);
    line("CloudWatch", "logs that are stored", logged / GB * LOG_DAYS / MONTH_DAYS, &prices::STORED_LOGS_GB);
    lines
}

/// Requests of a month that reach the function.
struct Requests {
    overview: f64,
    windows: f64,
    /// Seconds in which pages are open.
    open_secs: f64,
    /// Seconds in which anybody looks.
    busy_secs: f64,
}

/// A page asks for the overview and for the windows of its view each 10 s; of each question that many ask, one in 5 s is
/// not answered by a cache.
fn requests(args: &CostArgs) -> Requests {
    use assumed::*;
    let viewers = f64::from(args.viewers);
    let open_secs = MONTH_SECS * f64::from(args.hours_a_day) / 24.0;
    let busy_secs = if args.viewers == 0 { 0.0 } else { open_secs };
    let rate = |questions: f64| (viewers / POLL_SECS).min(questions / FRESH_SECS);
    Requests {
        overview: rate(1.0) * busy_secs,
        windows: rate(f64::from(args.regions) * VIEWS) * busy_secs,
        open_secs,
        busy_secs,
    }
}

/// Requests that X-Ray traces of this many a second.
fn traced(rate: f64) -> f64 {
    rate.min(1.0) + (rate - 1.0).max(0.0) * assumed::TRACED
}

/// The worst month of an API that is attacked with questions that no cache knows.
fn attack(args: &CostArgs) -> Vec<Line> {
    use assumed::*;
    let rate = f64::from(args.api_rate);
    let requests = rate * MONTH_SECS;
    let gb_secs = f64::from(args.api_concurrency) * API_GB * MONTH_SECS;
    let reads = f64::from(args.table_reads) * MONTH_SECS;
    let line = |part, what, quantity, price| Line { part, what, quantity, price };
    vec![
        line("API Gateway", "api_rate", requests, &prices::API_REQUESTS),
        line("Lambda", "api_rate", requests, &prices::INVOCATIONS),
        line("Lambda", "api_reserved_concurrency", gb_secs, &prices::GB_SECONDS),
        line("DynamoDB", "table_max_read_request_units", reads, &prices::READ_UNITS),
        line("logs", "api_rate", requests * (LOG_BYTES + ACCESS_LOG_BYTES) / GB, &prices::LOGS_GB),
        line("X-Ray", "api_rate", traced(rate) * MONTH_SECS, &prices::TRACES),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use birdsong_digest::overview::Overview;
    use birdsong_domain::frame::{self, FrameHeader, Lane, Ledger};
    use birdsong_domain::network::Network;
    use birdsong_domain::post::{Located, PostId, SourcePost};
    use birdsong_domain::window::{Aggregate, FoldRules, touched};
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        cost: CostArgs,
    }

    fn args(text: &str) -> CostArgs {
        Cli::try_parse_from([&["cost"][..], &text.split_whitespace().collect::<Vec<_>>()].concat()).unwrap().cost
    }

    fn parts(lines: &[Line]) -> BTreeMap<&'static str, f64> {
        let mut parts = BTreeMap::new();
        for line in lines {
            *parts.entry(line.part).or_default() += line.dollars();
        }
        parts
    }

    fn assert_near(found: f64, expected: f64, what: &str) {
        assert!((found - expected).abs() < 0.005, "{what}: {found}, not {expected}");
    }

    #[test]
    fn the_sums_of_the_defaults() {
        let lines = month(&args(""));
        let expected = BTreeMap::from([
            ("streamer", 11.259),
            ("Kinesis", 26.120),
            ("Lambda", 2.295),
            ("DynamoDB writes", 5.6864),
            ("DynamoDB reads", 0.8887),
            ("API Gateway", 26.280),
            ("CloudFront", 12.177),
            ("CloudWatch", 19.1526),
        ]);
        let parts = parts(&lines);
        assert_eq!(parts.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (part, expected) in &expected {
            assert_near(parts[part], *expected, part);
        }
        assert_near(sum(&lines), 103.8587, "sum");
        assert_near(after_free(&lines), 83.3447, "after what is free");
    }

    /// Looking is cheap: what a viewer costs does not depend on the number of viewers.
    #[test]
    fn twice_as_many_viewers_change_the_lines_of_cloudfront_alone() {
        let enough = enough_viewers(&args(""));
        assert!(enough <= args("").viewers, "the defaults have {enough} viewers or more");
        for viewers in [enough, args("").viewers, 1000] {
            let (one, two) =
                (month(&args(&format!("--viewers {viewers}"))), month(&args(&format!("--viewers {}", 2 * viewers))));
            for (one, two) in one.iter().zip(&two) {
                let times = if one.part == "CloudFront" { 2.0 } else { 1.0 };
                assert_near(two.dollars(), times * one.dollars(), one.what);
            }
        }
    }

    #[test]
    fn nobody_who_looks_costs_no_request() {
        for text in ["--viewers 0", "--hours-a-day 0"] {
            let parts = parts(&month(&args(text)));
            assert_near(parts["API Gateway"], 0.0, text);
            assert!(parts["CloudFront"] < 0.02, "{text}: only pages that are loaded, {}", parts["CloudFront"]);
        }
        // One page asks for each of two things every 10 s.
        let one = requests(&args("--viewers 1"));
        assert_near(one.overview + one.windows, 2.0 * MONTH_SECS / 10.0, "one page");
    }

    #[test]
    fn the_log_costs_by_shards_and_by_how_long_it_keeps_records() {
        let kinesis = |text: &str| parts(&month(&args(text)))["Kinesis"];
        assert_near(kinesis("--retention 7d") - kinesis("--retention 1d"), 14.60, "more than a day");
        assert_near(kinesis("--shards 2") - kinesis(""), 10.95 + 14.60, "a shard");
        // Seven lanes leave 725.76 MB a day.
        assert_near(kinesis("--retention 107d") - kinesis("--retention 7d"), 72.576 * 0.023, "more than a week");
    }

    /// The archive of ten posts a second, as docs/how-to/archive-the-log.md has it.
    #[test]
    fn an_archive_costs_by_posts_and_days() {
        let lines =
            |text: &str| month(&args(text)).into_iter().filter(|line| line.part == "archive").collect::<Vec<_>>();
        assert!(lines("").is_empty());
        let year = lines("--archive-days 365 --posts 10");
        assert_near(year[0].quantity, 13.56, "GB of a year");
        assert_near(year[0].dollars(), 0.312, "a full year");
        // Six regions, the ledgers and the manifest each day, and a list each hour.
        assert_near(year[1].quantity, 8.0 * MONTH_DAYS + MONTH_HOURS, "files and lists");
    }

    /// What happened: 200 lanes on a shard need two invocations a second when a batch has at most 100 records.
    #[test]
    fn many_lanes_fill_batches_sooner() {
        let line = |text: &str, what: &str| {
            month(&args(text)).into_iter().find(|line| line.what == what).unwrap().quantity / MONTH_SECS
        };
        for (size, lanes, batches, puts) in [
            (100, 7, 0.2, 1.4),
            (100, 20, 0.2, 4.0),
            (100, 50, 0.5, 25.0),
            (100, 200, 2.0, 200.0),
            (1000, 200, 0.2, 40.0),
            (10_000, 2000, 0.2, 400.0),
        ] {
            let text = format!("--regions {} --batch-size {size}", lanes - 1);
            assert_near(line(&text, "aggregator, invocations"), batches, &text);
            // Those of the sizes, and one for the ledger.
            let units: f64 =
                assumed::WINDOW_SIZES.iter().map(|(share, bytes)| share * (bytes / WRITE_UNIT).ceil()).sum();
            let written = puts / f64::from(lanes) * (units * f64::from(lanes - 1) + 1.0);
            assert_near(line(&text, "windows, one each batch and lane"), written, &text);
        }
    }

    #[test]
    fn the_worst_month_of_an_attacked_api() {
        let lines = attack(&args("--attack"));
        let expected = [183.96, 10.512, 175.20, 164.25, 36.792, 25.623];
        for (line, expected) in lines.iter().zip(expected) {
            assert_near(line.dollars(), expected, line.what);
        }
        assert_near(sum(&lines), 596.338, "sum");
        let less = attack(&args("--attack --api-rate 1 --api-concurrency 1 --table-reads 50"));
        assert_near(sum(&less), 9.198 + 0.5256 + 17.52 + 16.425 + 1.8396 + 13.14, "less");
    }

    #[test]
    fn options_have_bounds() {
        for bad in [
            "--retention 23h",
            "--retention 366d",
            "--regions 0",
            "--shards 201",
            "--hours-a-day 25",
            "--batch-size 0",
            "--batching-window 301s",
            "--attack --batch-size 5",
            "--api-rate 5",
            "--attack --viewers 5",
            "--posts 10",
        ] {
            assert!(
                Cli::try_parse_from([&["cost"][..], &bad.split(' ').collect::<Vec<_>>()].concat()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn prices_say_what_they_are_for_and_where_they_are_from() {
        let units: BTreeSet<_> = prices::ALL.iter().map(|price| price.unit).collect();
        assert_eq!(units.len(), prices::ALL.len());
        for price in prices::ALL {
            assert!(price.dollars > 0.0 && price.per >= 1.0 && price.from.contains("pricing"), "{price:?}");
            let is_used =
                month(&args("--retention 8d --archive-days 1")).iter().any(|line| std::ptr::eq(line.price, *price));
            assert!(is_used, "{price:?}");
        }
    }

    /// Sizes that the code decides. They may be smaller than assumed, but not by much.
    #[test]
    fn assumed_sizes_are_those_of_the_code() {
        let is_near = |found: usize, assumed: f64| (0.6 * assumed..=assumed).contains(&(found as f64));
        // The lean counts of a busy window, behind its name and two times.
        let start_ms = 1_700_000_100_000;
        let mut lines = vec![];
        for n in 0..1_000_u16 {
            let post =
                SourcePost { id: PostId(n.into()), time_ms: start_ms + 250 * i64::from(n), ..SourcePost::default() };
            frame::put_line(&mut lines, &post, Located::Text, false);
        }
        let lane = Lane::posts("halifax-north", Network::BLUESKY, 0);
        let header = FrameHeader {
            lane: lane.clone(),
            run: "run".into(),
            counter: 1,
            cut_ms: start_ms + 299_000,
            ..FrameHeader::default()
        };
        let frame = frame::decode(&frame::encode(&header, &lines).unwrap()).unwrap();
        let rules = FoldRules::default();
        let mut aggregate = Aggregate::default();
        touched(rules, &frame).into_iter().for_each(|window| aggregate.fold(rules, window, &frame));
        let latest = format!("{lane}@{}", start_ms / 1000).len() + 6 + aggregate.encode_lean().len();
        assert!(is_near(latest, assumed::LATEST_BYTES), "{latest}");

        // An overview of a day, with and without regions.
        let dice = std::cell::Cell::new(7_u64);
        // No two counts are alike, which would compress too well.
        let about = |count: u64| {
            dice.set(dice.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
            count + (dice.get() >> 33) % count
        };
        let hours = |value: &dyn Fn() -> serde_json::Value| {
            let hours = (0..25).map(|n| ((1_700_000_000_000_i64 + n * 3_600_000).to_string(), value()));
            hours.collect::<serde_json::Map<_, _>>()
        };
        let ledger = || {
            let (sent, filtered) = (about(36_000), about(324_000));
            let ledger = Ledger { received: sent + filtered, sent, filtered, ..Ledger::default() };
            serde_json::to_value(ledger).unwrap()
        };
        let ledgers = hours(&ledger);
        let region = || {
            json!({
                "hours": hours(&|| json!({"p": about(36_000), "u": about(36_000)})),
                "windows": hours(&|| json!(about(3_000))).into_iter().take(12).collect::<serde_json::Map<_, _>>(),
                "open": [1_700_000_000_000_i64, 1_700_003_600_000_i64],
                "usual": (0..6).map(|n| (1_700_000_000_000_i64 + n * 300_000).to_string()).map(|end| {
                    (end, json!([about(30_000_000), about(20_000_000), about(40_000_000)]))
                }).collect::<serde_json::Map<_, _>>(),
                "newest_window_ms": 1_700_000_000_000_i64,
                "changed_ms": 1_700_000_000_000_i64 + about(1_000_000) as i64,
            })
        };
        let size = |regions: usize| {
            let regions: serde_json::Map<_, _> = (0..regions).map(|n| (format!("region-{n:03}"), region())).collect();
            let overview = json!({"updated_ms": 1, "version": "18bcfe56800", "regions": regions, "ledgers": ledgers});
            serde_json::from_value::<Overview>(overview).unwrap().to_text().unwrap().len()
        };
        assert!(is_near(size(0), assumed::OVERVIEW_BYTES), "{}", size(0));
        assert!(is_near(size(11) - size(1), 10.0 * assumed::OVERVIEW_REGION_BYTES), "{}", size(11) - size(1));
    }

    /// Defaults of `infra/variables.tf` that this command repeats.
    #[test]
    fn limits_are_those_of_infra() {
        let file =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/variables.tf")).unwrap();
        let default = |name: &str| {
            let block = file.split_once(&format!("variable \"{name}\" {{\n"))?.1.split("\n}\n").next()?;
            let line = block.lines().find_map(|line| line.trim().strip_prefix("default"))?;
            line.trim_start_matches([' ', '=']).parse::<f64>().ok()
        };
        assert_eq!(default("aggregator_batch_size"), Some(args("").batch_size.into()));
        assert_eq!(default("aggregator_batching_window_secs"), Some(args("").batching_window as f64));
        assert_eq!(default("log_retention_days"), Some(assumed::LOG_DAYS));
        assert_eq!(default("aggregator_memory_mb"), Some(assumed::AGGREGATOR_GB * 1024.0));
        assert_eq!(default("window_secs"), Some(assumed::WINDOW_SECS));
        assert_eq!(default("shard_count"), Some(args("").shards.into()));
        assert_eq!(default("stream_retention_hours"), Some((args("").retention / 3600) as f64));
        let attack = args("--attack");
        assert_eq!(default("table_max_read_request_units"), Some(attack.table_reads.into()));
        assert_eq!(default("api_rate"), Some(attack.api_rate.into()));
        assert_eq!(default("api_memory_mb"), Some(assumed::API_GB * 1024.0));
        assert_eq!(default("digest_memory_mb"), Some(assumed::DIGEST_GB * 1024.0));
    }

    /// The page shows what the command prints. `UPDATE=1 cargo nextest run -p birdsong cost` updates it.
    #[test]
    fn the_page_has_the_output_of_the_command() {
        const START: &str = "<!-- birdsong cost: start -->\n";
        const END: &str = "<!-- birdsong cost: end -->\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/explanation/cost.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(START).unwrap();
        let (shown, after) = rest.split_once(END).unwrap();
        // Without the spaces that align the columns.
        let lines = month_text(&args(""));
        let lines = lines.lines().map(|line| match line.starts_with("|--") {
            true => format!("|{}", " --- |".repeat(line.matches('|').count() - 1)),
            false => line.split_whitespace().collect::<Vec<_>>().join(" "),
        });
        let expected = format!("\n{}\n\n", lines.collect::<Vec<_>>().join("\n"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, format!("{before}{START}{expected}{END}{after}")).unwrap();
        } else {
            assert_eq!(shown, expected, "UPDATE=1 cargo nextest run -p birdsong cost updates the page");
        }
    }
}
