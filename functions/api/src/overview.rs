//! `/api/overview`: all regions at a glance.

use birdsong_digest::revisions::Revisions;
use birdsong_domain::rollup::HOUR_MS;
use birdsong_domain::time::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::events::{EventReport, thousandths};
use crate::report::LagReport;
use crate::snapshot::Snapshot;
use crate::source::SourceReport;
use crate::span::lag;
use crate::status::{LedgerReport, sources};

/// All regions at a glance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub(crate) struct OverviewAnswer {
    /// Changes when counts that were final do, for the parameter `version` of `/api/windows`.
    #[schema(pattern = "^[0-9a-f]{0,16}$")]
    version: String,
    /// When the hours were counted last, RFC 3339 in UTC: about each minute. Windows since then are counted, too.
    #[schema(format = DateTime)]
    updated_at: String,
    /// Time of the answer by the server's clock, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    now: String,
    /// Length of a window, in seconds.
    #[schema(minimum = 60, maximum = 3600)]
    window_secs: u32,
    /// Event time of the newest post of all regions, RFC 3339 in UTC; null before the first one.
    #[schema(required = true, format = DateTime)]
    newest_post: Option<String>,
    /// Age of the newest post, in seconds; null before the first one.
    #[schema(required = true, minimum = 0)]
    freshness_secs: Option<i64>,
    /// Delay of the live posts of the last hour up to the newest window; null when there are none.
    #[schema(required = true)]
    lag_ms: Option<LagReport>,
    /// Start of the first of the `hours` of each region, RFC 3339 in UTC; null before the first window.
    #[schema(required = true, format = DateTime)]
    hours_from: Option<String>,
    /// Length of these hours, in seconds: 3600, or more where windows do not divide an hour.
    #[schema(minimum = 3600, maximum = 86_400)]
    hour_secs: i64,
    /// The regions, in the order of `/api/regions`.
    regions: Vec<RegionAtAGlance>,
    /// The sources. Empty when there is only an archive.
    sources: Vec<SourceReport>,
    /// Why posts do not reach the log, or windows the store, such as a full disk. Empty without problems.
    problems: Vec<String>,
    /// Where each received post went.
    ledger: LedgerReport,
}

/// A region at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegionAtAGlance {
    /// Id of the region.
    #[schema(pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$")]
    region: String,
    /// Name of the region, for people.
    name: String,
    /// The newest window that has a record; null when there is none in the last hour.
    #[schema(required = true)]
    latest: Option<LatestWindow>,
    /// Posts in the last hour: in the fewest whole windows that make an hour or more, up to the end of the newest window of
    /// all regions that has ended.
    posts_last_hour: u64,
    /// Posts in such an hour as usual: at this time of day on the days before, at the level of the two hours before. Null
    /// without a baseline of at least two complete days.
    #[schema(required = true, minimum = 0)]
    usual: Option<f64>,
    /// Lower end of the range in which the number is on four of five days; null without a baseline.
    #[schema(required = true, minimum = 0)]
    usual_low: Option<f64>,
    /// Upper end of it; null without a baseline.
    #[schema(required = true, minimum = 0)]
    usual_high: Option<f64>,
    /// `posts_last_hour` divided by `usual`; null without it, or when it is 0.
    #[schema(required = true, minimum = 0)]
    factor: Option<f64>,
    /// The most unusual event that goes on; null when there is none.
    #[schema(required = true)]
    event: Option<EventReport>,
    /// Posts in each hour, oldest first; the last one has the newest window and may not be over. Empty before the first
    /// window.
    #[schema(max_items = 25)]
    hours: Vec<u64>,
    /// When a window of the region was stored last, RFC 3339 in UTC, as far as it is known; null before the first one.
    #[schema(required = true, format = DateTime)]
    changed_at: Option<String>,
}

/// The newest window of a region.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LatestWindow {
    /// Its start in event time, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    window_start: String,
    /// Number of posts, so far.
    posts: u64,
}

/// Rounded to two digits behind the point.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

impl OverviewAnswer {
    pub(crate) fn new<S>(api: &Api<S>, snapshot: &Snapshot) -> Self {
        let now_ms = (api.now_ms)();
        let glance = &snapshot.glance;
        let overview = &glance.overview;
        let (sources, problems) = sources(api, now_ms);
        let of_hour = glance.lag();
        let is_empty = glance.to_ms == 0;
        let region = |region: &birdsong_domain::region::Region| {
            let known = overview.regions.get(&region.id);
            let posts_last_hour = glance.posts_last_hour(&region.id);
            let usual = glance.usual(&region.id);
            let starts = (0..).map(|n| overview.hours_from_ms + n * glance.hour_ms);
            let hours = starts
                .take_while(|hour| *hour < glance.to_ms)
                .map(|hour| known.and_then(|known| known.hours.get(&hour)).map_or(0, |counts| counts.posts));
            RegionAtAGlance {
                region: region.id.clone(),
                name: region.name.clone(),
                latest: known.and_then(|known| {
                    let start_ms = known.newest_window_ms.filter(|start_ms| *start_ms >= glance.to_ms - HOUR_MS)?;
                    let posts = known.windows.get(&start_ms).copied().unwrap_or(0);
                    Some(LatestWindow { window_start: rfc3339(start_ms), posts })
                }),
                posts_last_hour,
                factor: usual
                    .filter(|(usual, ..)| *usual > 0)
                    .map(|(usual, ..)| rounded(posts_last_hour as f64 / thousandths(usual))),
                usual: usual.map(|(usual, ..)| rounded(thousandths(usual))),
                usual_low: usual.map(|(_, low, _)| rounded(thousandths(low))),
                usual_high: usual.map(|(_, _, high)| rounded(thousandths(high))),
                event: known
                    .and_then(|known| known.event.clone())
                    .map(|event| EventReport::new(event, &Revisions::default())),
                hours: if is_empty { vec![] } else { hours.collect() },
                changed_at: known.map(|known| known.changed_ms).filter(|ms| *ms > 0).map(rfc3339),
            }
        };
        Self {
            version: overview.version.clone(),
            updated_at: rfc3339(overview.updated_ms),
            now: rfc3339(now_ms),
            window_secs: api.rules.size.secs(),
            newest_post: overview.newest_post_ms.map(rfc3339),
            freshness_secs: overview.newest_post_ms.map(|newest_ms| now_ms.saturating_sub(newest_ms).max(0) / 1000),
            lag_ms: lag(of_hour.sum_ms, of_hour.max_ms, of_hour.count),
            hours_from: (!is_empty).then(|| rfc3339(overview.hours_from_ms)),
            hour_secs: if is_empty { HOUR_MS / 1000 } else { glance.hour_ms / 1000 },
            regions: api.regions.iter().map(region).collect(),
            sources,
            problems,
            ledger: LedgerReport::new(api, snapshot),
        }
    }
}
