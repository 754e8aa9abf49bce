//! `/api/status`: is it running, how fresh is it, where did everything go.

use std::time::Duration;

use birdsong_domain::frame::{Ledger, STREAM};
use birdsong_domain::ports::{PortError, SourceState, WindowStore};
use birdsong_domain::time::{WindowStart, parse_rfc3339, rfc3339};
use birdsong_domain::window::Aggregate;
use birdsong_domain::window::metric::Lag;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::newest as newest_window;
use crate::report::{LagReport, lag};
use crate::{Api, Limits, slices};

/// The ledger covers this much time up to the end of the newest window.
const LEDGER_MS: i64 = 86_400_000;
/// Lag is reported for this much.
const LAG_MS: i64 = 3_600_000;
/// A streamer that writes how its sources do does so every 30 seconds; one that has not for this long
/// is gone, or its table is away.
const STALE_MS: i64 = 90_000;
/// Pages ask every few seconds, and reading a day of windows is not free: what was read is used for a
/// second, or for so many times as long as reading took, up to the most.
const REUSE: Duration = Duration::from_secs(1);
const REUSE_TIMES: u32 = 5;
const REUSE_MOST: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Status {
    now: String,
    newest_post: Option<String>,
    freshness_secs: Option<i64>,
    lag_ms: Option<LagReport>,
    window_secs: u32,
    sources: Vec<SourceState>,
    /// What keeps posts from getting into the log, or windows from being stored, as long as it lasts.
    problems: Vec<String>,
    ledger: LedgerReport,
}

/// Rule 3 in figures: `received` is the sum of `sent` and the reasons why the rest was not, and what
/// is sent is aggregated or late (or still on its way).
#[derive(Clone, Debug, Default, Serialize)]
struct LedgerReport {
    /// Begin and end of the windows that it covers, of all regions; nothing when there is no window yet.
    from: Option<String>,
    to: Option<String>,
    received: u64,
    filtered: u64,
    quarantined: u64,
    duplicates: u64,
    dropped: u64,
    sent: u64,
    aggregated: u64,
    late: u64,
    /// Posts in log records that cannot be read, as far as the records say how many.
    corrupt: u64,
    /// Log records that cannot be read.
    corrupt_records: u64,
    /// Stored windows that cannot be read, or were begun anew since they could not.
    corrupt_windows: u64,
    /// Posts that are sent and in no window: lost with a damaged record or window, or, on AWS, on their way.
    missing: u64,
    /// Both sums hold, and nothing is damaged.
    balanced: bool,
}

/// What was read last, and until when it is used. Whoever comes while it is read waits for it.
pub(crate) type Cache = Mutex<Option<(Instant, Cached)>>;

/// What was read from the store.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    newest_ms: Option<i64>,
    lag: Lag,
    ledger: LedgerReport,
}

pub(crate) async fn status<S: WindowStore>(api: &Api<S>, limits: Limits, cache: &Cache) -> Result<Status, PortError> {
    let mut known = cache.lock().await;
    let began = Instant::now();
    let cached = match &*known {
        Some((until, cached)) if began < *until => cached.clone(),
        _ => {
            let read = read(api, limits, (api.now_ms)()).await?;
            let reuse = (began.elapsed() * REUSE_TIMES).clamp(REUSE, REUSE_MOST);
            known.insert((Instant::now() + reuse, read)).1.clone()
        }
    };
    drop(known);
    let now_ms = (api.now_ms)();
    let sources: Vec<_> = (api.sources)().into_iter().map(|source| now_or_stale(source, now_ms)).collect();
    let of_sources =
        sources.iter().filter_map(|source| Some(format!("{}: {}", source.source, source.problem.as_ref()?)));
    let problems = (api.problems)().into_iter().chain(of_sources).collect();
    Ok(Status {
        now: rfc3339(now_ms),
        newest_post: cached.newest_ms.map(rfc3339),
        freshness_secs: cached.newest_ms.map(|newest_ms| now_ms.saturating_sub(newest_ms).max(0) / 1000),
        lag_ms: lag(cached.lag.sum_ms, cached.lag.max_ms, cached.lag.count),
        window_secs: api.rules.size.secs(),
        sources,
        problems,
        ledger: cached.ledger,
    })
}

/// What was told long ago is not how the source does now.
fn now_or_stale(source: SourceState, now_ms: i64) -> SourceState {
    let told_ms = source.told.as_deref().and_then(parse_rfc3339);
    if source.state == "stopped" || told_ms.is_none_or(|told_ms| now_ms - told_ms < STALE_MS) {
        return source;
    }
    let told = source.told.as_deref().unwrap_or_default();
    let before = source.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let reason = format!("the streamer has told nothing since {told}; it was {} then{before}", source.state);
    SourceState { state: "stale".into(), reason: Some(reason), connected_since: None, ..source }
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
    // Ledgers before the regions: an aggregator stores them the other way around, so that no post is missing only
    // because it came meanwhile.
    let mut ledger = Ledger::default();
    let settled_ms = now_ms - api.grace_ms;
    let is_settled = |window: WindowStart| api.grace_ms == 0 || window.0 + api.rules.size.ms() <= settled_ms;
    let (mut sent, mut arrived) = (0, 0);
    for (from, to) in slices(from.0..to.0, 1, limits, api.rules) {
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
        for (from, to) in slices(from.0..to.0, u64::from(region.hot_buckets.max(1)), limits, api.rules) {
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
        // A window without posts, such as that of a damaged record, must not hide that there are older ones.
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
