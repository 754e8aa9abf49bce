//! `/api/status`: whether posts arrive, how fresh they are, and where each received post went.

use birdsong_domain::time::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::report::LagReport;
use crate::snapshot::Snapshot;
use crate::source::SourceReport;
use crate::span::lag;

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

/// Where the posts went that were received in the 24 hours before the hour of the newest window, and in that hour, of all
/// regions and sources: `received` is the sum of `sent`, `filtered`, `quarantined`, `duplicates` and `dropped`.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Ledger)]
pub(crate) struct LedgerReport {
    /// Start of the first hour that it covers, RFC 3339 in UTC; null before the first window.
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

/// The sources, and why posts do not reach the log or windows the store.
pub(crate) fn sources<S>(api: &Api<S>, now_ms: i64) -> (Vec<SourceReport>, Vec<String>) {
    let sources: Vec<_> = (api.sources)().into_iter().map(|source| source.as_of(now_ms)).collect();
    let of_sources =
        sources.iter().filter_map(|source| Some(format!("{}: {}", source.source, source.problem.as_ref()?)));
    let problems = (api.problems)().into_iter().chain(of_sources).collect();
    (sources.into_iter().map(SourceReport::from).collect(), problems)
}

pub(crate) fn status<S>(api: &Api<S>, snapshot: &Snapshot) -> Status {
    let now_ms = (api.now_ms)();
    let (sources, problems) = sources(api, now_ms);
    let newest_ms = snapshot.glance.overview.newest_post_ms;
    let of_hour = snapshot.glance.lag();
    Status {
        now: rfc3339(now_ms),
        newest_post: newest_ms.map(rfc3339),
        freshness_secs: newest_ms.map(|newest_ms| now_ms.saturating_sub(newest_ms).max(0) / 1000),
        lag_ms: lag(of_hour.sum_ms, of_hour.max_ms, of_hour.count),
        window_secs: api.rules.size.secs(),
        sources,
        problems,
        ledger: LedgerReport::new(api, snapshot),
    }
}

impl LedgerReport {
    pub(crate) fn new<S>(api: &Api<S>, snapshot: &Snapshot) -> Self {
        let glance = &snapshot.glance;
        let (ledger, counts) = glance.totals();
        let (sent, arrived) = glance.arrival(snapshot.settled_ms, api.rules.size);
        let missing = sent.saturating_sub(arrived);
        let is_empty = glance.to_ms == 0;
        Self {
            from: (!is_empty).then(|| rfc3339(glance.overview.hours_from_ms)),
            to: (!is_empty).then(|| rfc3339(glance.to_ms)),
            received: ledger.received,
            filtered: ledger.filtered,
            quarantined: ledger.quarantined,
            duplicates: ledger.duplicates,
            dropped: ledger.dropped,
            sent: ledger.sent,
            aggregated: counts.primary - counts.late.min(counts.primary),
            late: counts.late,
            corrupt: counts.corrupt,
            corrupt_records: counts.corrupt_records,
            corrupt_windows: counts.corrupt_windows,
            missing,
            balanced: ledger.balances() && missing + counts.corrupt_records + counts.corrupt_windows == 0,
        }
    }
}
