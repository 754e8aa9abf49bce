//! `/api/status`: whether posts arrive, how fresh they are, and where each received post went.

use std::time::Duration;

use birdsong_domain::frame::{Ledger, STREAM};
use birdsong_domain::ports::{PortError, WindowStore};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::window::Aggregate;
use birdsong_domain::window::metric::Lag;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::report::LagReport;
use crate::source::SourceReport;
use crate::span::lag;
use crate::windows::{lanes, ledgers, newest as newest_window, slices};
use crate::{Api, Limits};

/// The ledger covers this much time up to the end of the newest window.
const LEDGER_MS: i64 = 86_400_000;
/// Lag covers this much.
const LAG_MS: i64 = 3_600_000;
/// Pages ask every few seconds, and reading a day of windows is not free: what was read is reused for a second, or for
/// this many times as long as reading took, up to the maximum.
const REUSE: Duration = Duration::from_secs(1);
const REUSE_TIMES: u32 = 5;
const REUSE_MAX: Duration = Duration::from_secs(15);

/// Whether posts arrive, how fresh they are, and where each received post went.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Time of the answer by the server's clock, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    now: String,
    /// Event time of the newest post of all regions, RFC 3339 in UTC; null before the first one.
    #[schema(required = true, format = DateTime)]
    newest_post: Option<String>,
    /// Age of the newest post, in seconds; null before the first one.
    #[schema(required = true, minimum = 0)]
    freshness_secs: Option<i64>,
    /// Delay of the live posts of the last hour up to the newest window; null when there are none.
    #[schema(required = true)]
    lag_ms: Option<LagReport>,
    /// Length of a window, in seconds.
    #[schema(minimum = 60, maximum = 3600)]
    window_secs: u32,
    /// The sources. Empty when there is only an archive.
    sources: Vec<SourceReport>,
    /// Why posts do not reach the log, or windows the store, such as a full disk: the `problem` of each source, after
    /// its name, and those of the program. Empty without problems.
    problems: Vec<String>,
    /// Where each received post went.
    ledger: LedgerReport,
}

/// Where the posts went that were received in the day up to the end of the newest window, of all regions and sources:
/// `received` is the sum of `sent`, `filtered`, `quarantined`, `duplicates` and `dropped`.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Ledger)]
struct LedgerReport {
    /// Start of the first window that it covers, RFC 3339 in UTC; null before the first window.
    #[schema(required = true, format = DateTime)]
    from: Option<String>,
    /// End of the newest window, RFC 3339 in UTC; null before the first window.
    #[schema(required = true, format = DateTime)]
    to: Option<String>,
    /// Posts that sources delivered, including lines that could not be read.
    received: u64,
    /// Posts that matched no region.
    filtered: u64,
    /// Lines that could not be read.
    quarantined: u64,
    /// Posts that had been received before.
    duplicates: u64,
    /// Posts that were dropped because the log did not answer and the streamer's spool was full.
    dropped: u64,
    /// Posts that were sent to the log.
    sent: u64,
    /// Sent posts that are counted in windows, without those in `late`.
    aggregated: u64,
    /// Sent posts that were counted after their window was final.
    late: u64,
    /// Posts in damaged log records, as far as the records show their number.
    corrupt: u64,
    /// Damaged log records.
    corrupt_records: u64,
    /// Damaged stored windows, and those that were started again from zero because they were damaged.
    corrupt_windows: u64,
    /// Sent posts that are in no window: lost with damaged data or, on AWS for some minutes, still on their way.
    missing: u64,
    /// Whether the sum is right, no post is missing, and nothing is damaged.
    balanced: bool,
}

/// The last reading of the store, and when it expires. Requests that come while it is renewed wait for it.
pub(crate) type Cache = Mutex<Option<(Instant, Cached)>>;

/// The part of the status that comes from the store.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    newest_ms: Option<i64>,
    lag: Lag,
    ledger: LedgerReport,
}

pub(crate) async fn status<S: WindowStore>(api: &Api<S>, limits: Limits, cache: &Cache) -> Result<Status, PortError> {
    let mut known = cache.lock().await;
    let start = Instant::now();
    let cached = match &*known {
        Some((until, cached)) if start < *until => cached.clone(),
        _ => {
            let read = read(api, limits, (api.now_ms)()).await?;
            let reuse = (start.elapsed() * REUSE_TIMES).clamp(REUSE, REUSE_MAX);
            known.insert((Instant::now() + reuse, read)).1.clone()
        }
    };
    drop(known);
    let now_ms = (api.now_ms)();
    let sources: Vec<_> = (api.sources)().into_iter().map(|source| source.as_of(now_ms)).collect();
    let of_sources =
        sources.iter().filter_map(|source| Some(format!("{}: {}", source.source, source.problem.as_ref()?)));
    let problems = (api.problems)().into_iter().chain(of_sources).collect();
    Ok(Status {
        now: rfc3339(now_ms),
        newest_post: cached.newest_ms.map(rfc3339),
        freshness_secs: cached.newest_ms.map(|newest_ms| now_ms.saturating_sub(newest_ms).max(0) / 1000),
        lag_ms: lag(cached.lag.sum_ms, cached.lag.max_ms, cached.lag.count),
        window_secs: api.rules.size.secs(),
        sources: sources.into_iter().map(SourceReport::from).collect(),
        problems,
        ledger: cached.ledger,
    })
}

async fn read<S: WindowStore>(api: &Api<S>, limits: Limits, now_ms: i64) -> Result<Cached, PortError> {
    let mut newest = newest_window(api, STREAM, now_ms).await?;
    for region in api.regions.iter() {
        newest = newest.max(newest_window(api, &region.id, now_ms).await?);
    }
    let mut cached = Cached { newest_ms: None, lag: Lag::default(), ledger: LedgerReport::default() };
    let Some(newest) = newest else {
        cached.ledger.balanced = true;
        return Ok(cached);
    };
    let to = WindowStart(newest.0.saturating_add(api.rules.size.ms()));
    let from = WindowStart(to.0.saturating_sub(LEDGER_MS));
    (cached.ledger.from, cached.ledger.to) = (Some(rfc3339(from.0)), Some(rfc3339(to.0)));
    let report = &mut cached.ledger;
    let damage = |report: &mut LedgerReport, aggregate: &Aggregate| {
        report.corrupt += aggregate.damage.primary;
        report.corrupt_records += aggregate.damage.records;
        report.corrupt_windows += aggregate.damage.resets;
    };
    // Ledgers before regions: an aggregator stores them in the other order, so a post that comes meanwhile is not
    // missing.
    let mut ledger = Ledger::default();
    let settled_ms = now_ms - api.grace_ms;
    let is_settled = |window: WindowStart| api.grace_ms == 0 || window.0 + api.rules.size.ms() <= settled_ms;
    let (mut sent, mut arrived) = (0, 0);
    for (from, to) in slices(from.0..to.0, ledgers(api), limits, api.rules) {
        for (key, partial) in api.store.query(STREAM, from, to).await? {
            let Ok(partial) = partial else {
                report.corrupt_windows += 1;
                continue;
            };
            ledger.add(&partial.aggregate.ledger);
            if is_settled(key.window) {
                sent += partial.aggregate.ledger.sent;
            }
            damage(report, &partial.aggregate);
        }
    }
    (report.received, report.sent, report.filtered) = (ledger.received, ledger.sent, ledger.filtered);
    (report.quarantined, report.duplicates, report.dropped) = (ledger.quarantined, ledger.duplicates, ledger.dropped);
    let lag_from_ms = to.0.saturating_sub(LAG_MS);
    for region in api.regions.iter() {
        for (from, to) in slices(from.0..to.0, lanes(api, region), limits, api.rules) {
            for (key, partial) in api.store.query(&region.id, from, to).await? {
                let Ok(partial) = partial else {
                    report.corrupt_windows += 1;
                    continue;
                };
                let aggregate = &partial.aggregate;
                damage(report, aggregate);
                if is_settled(key.window) {
                    arrived += aggregate.primary.0 + aggregate.damage.primary;
                }
                report.aggregated += aggregate.primary.0 - aggregate.lateness.primary;
                report.late += aggregate.lateness.primary;
                cached.newest_ms = cached.newest_ms.max(aggregate.newest.0);
                if key.window.0 >= lag_from_ms {
                    cached.lag.sum_ms += aggregate.lag.sum_ms;
                    cached.lag.max_ms = cached.lag.max_ms.max(aggregate.lag.max_ms);
                    cached.lag.count += aggregate.lag.count;
                }
            }
        }
    }
    report.missing = u64::saturating_sub(sent, arrived);
    if cached.newest_ms.is_none() {
        // A window without posts, such as that of a damaged record, must not hide older ones.
        for region in api.regions.iter() {
            let Some(start) = newest_window(api, &region.id, now_ms).await? else { continue };
            let end = WindowStart(start.0.saturating_add(api.rules.size.ms()));
            for (_, partial) in api.store.query(&region.id, start, end).await? {
                cached.newest_ms = cached.newest_ms.max(partial.ok().and_then(|partial| partial.aggregate.newest.0));
            }
        }
    }
    report.balanced = ledger.balances() && report.missing + report.corrupt_records + report.corrupt_windows == 0;
    Ok(cached)
}
