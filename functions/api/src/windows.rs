//! `/api/windows`: the counts of a region, step by step.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use birdsong_domain::ports::{PortError, WindowStore};
use birdsong_domain::region::Region;
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart, rfc3339};
use birdsong_domain::window::FoldRules;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::{self, Fresh, Held};
use crate::error::{ApiError, ErrorCode, WindowsErrors};
use crate::params::WindowsQuery;
use crate::report::WindowReport;
use crate::steps::Steps;
use crate::{Api, Limits, Shared, span};

/// The counts of a region in a range, as a total and step by step.
#[derive(Serialize, ToSchema)]
#[schema(as = Windows)]
pub(crate) struct WindowsAnswer<'a> {
    /// Id of the region.
    #[schema(pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$")]
    region: &'a str,
    /// Name of the region, for people.
    name: &'a str,
    /// Start of the range after rounding to steps, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    from: String,
    /// End of the range after rounding to steps, exclusive, RFC 3339 in UTC. It may lie in the future.
    #[schema(format = DateTime)]
    to: String,
    /// Length of a window, in seconds.
    #[schema(minimum = 60, maximum = 3600)]
    window_secs: u32,
    /// Length of a step, in seconds: a multiple of the window that divides a day.
    #[schema(minimum = 60, maximum = 86_400)]
    step_secs: u32,
    /// The whole range. Authors are united, not added, so they may be fewer than the sum of the steps.
    total: WindowReport,
    /// The steps in order, also those without posts. Steps that have not begun are left out.
    #[schema(max_items = 2016)]
    windows: Vec<WindowReport>,
}

impl WindowsAnswer<'_> {
    /// The answer as JSON. `steps`, the reports as JSON separated by commas, replace its last member, `windows`, which
    /// is empty.
    fn json(&self, steps: &[u8]) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec(self)?;
        let end = b"]}";
        json.truncate(json.len() - end.len());
        json.reserve_exact(steps.len() + end.len());
        json.extend_from_slice(steps);
        json.extend_from_slice(end);
        Ok(json)
    }
}

/// Counts of a region
///
/// The posts of one region in a range of time: how many, of which kind, in which languages, with which hashtags, by how
/// many authors, and whether any are missing. At most 2,016 steps and 8,928 windows (31 days of five minutes).
#[utoipa::path(
    get,
    path = "/api/windows",
    tag = "metrics",
    params(
        ("region" = Option<String>, Query, description = "Id of the region. Default: the first region of `/api/regions`.",
            pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$"),
        ("from" = Option<String>, Query, format = DateTime,
            description = "Start of the range, RFC 3339, rounded down to a step. Default: one day before the end."),
        ("to" = Option<String>, Query, format = DateTime,
            description = "End of the range, exclusive, RFC 3339, rounded up to a step. Default: the end of the newest \
                           window, at most one day after `from`."),
        ("step" = Option<String>, Query, pattern = "^[0-9]{1,9}[smhd]?$",
            description = "Length of a step, such as `15m`, `1h` or `1d`; seconds without a unit. A multiple of the window \
                           that divides a day. Default: one window."),
        ("network" = Option<String>, Query,
            pattern = "^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?(,[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?){0,15}$",
            description = "Networks to count, such as `x` or `bluesky,mastodon`; the parameter may also occur several \
                           times. Completeness is then that of the sources of these networks. A network without posts \
                           counts 0. Default: all networks."),
    ),
    responses((status = 200, description = "The counts.", body = WindowsAnswer), WindowsErrors),
)]
pub(crate) async fn windows<S: WindowStore>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let api = &shared.api;
    let now_ms = (api.now_ms)();
    let query = WindowsQuery::parse(query.as_deref(), &api.regions, api.rules.size)?;
    let newest = if query.is_closed() { None } else { newest(api, &query.region.id, now_ms).await? };
    let range = query.range(newest, now_ms, api.rules.size)?;
    // Windows that have not begun are not listed.
    let open_end = api.rules.size.start_of(now_ms).0.saturating_add(api.rules.size.ms());
    let to_ms = range.end.min(open_end.max(range.start));
    let lanes = lanes(api, query.region) + ledgers(api);
    let windows = u64::try_from((to_ms - range.start) / api.rules.size.ms()).unwrap_or(0);
    let (class, permit) = shared.admission.admit(windows * lanes).await?;

    let step_ms = i64::from(query.step_secs) * 1000;
    let mut steps = Steps::new(&query.region.id, &range, step_ms, api.rules, now_ms);
    // A slice at a time, so that a long range needs no more memory than a short one.
    for (from, to) in slices(range.start..to_ms, lanes, shared.admission.limits, api.rules) {
        let read = span::read(&*api.store, &query.region.id, &query.networks, from, to).await?;
        steps = off_runtime(move || steps.add(read, from, to).map(|()| steps)).await??;
    }
    let (region, name) = (query.region.id.clone(), query.region.name.clone());
    let (rules, step_secs) = (api.rules, query.step_secs);
    let is_settled = to_ms.saturating_add(rules.lateness_ms).saturating_add(3_600_000) < now_ms;
    let written = move || -> serde_json::Result<_> {
        let (total, steps) = steps.finish(range.end > to_ms)?;
        let answer = WindowsAnswer {
            region: &region,
            name: &name,
            from: rfc3339(range.start),
            to: rfc3339(range.end),
            window_secs: rules.size.secs(),
            step_secs,
            total,
            windows: vec![],
        };
        let json = answer.json(&steps)?;
        Ok((answer::entity_tag(&json), json))
    };
    let (tag, json) = off_runtime(written).await??;
    drop(permit);
    let guard = shared.admission.hold(class, json.len()).await?;
    let body = Body::new(Held::new(json, guard));
    Ok(answer::body_answer(&headers, if is_settled { Fresh::Minutes(5) } else { Fresh::Ask }, &tag, body))
}

/// Start of the newest window of a region, but not later than the present: a window that a wrong clock opened in the far
/// future must not hide all others.
pub(crate) async fn newest<S: WindowStore>(
    api: &Api<S>,
    region: &str,
    now_ms: i64,
) -> Result<Option<WindowStart>, PortError> {
    let latest = api.rules.size.start_of(now_ms.saturating_add(FUTURE_LIMIT_MS));
    Ok(api.store.newest(region).await?.map(|newest| newest.min(latest)))
}

/// Lanes of a region, as far as the sources of this process show them: archives may have added more, so it is
/// not a bound.
pub(crate) fn lanes<S>(api: &Api<S>, region: &Region) -> u64 {
    let networks: BTreeSet<_> = (api.sources)().iter().map(|source| source.network).collect();
    u64::from(region.hot_buckets.max(1)) * networks.len().max(1) as u64
}

/// Lanes of ledgers, as far as the sources of this process show them.
pub(crate) fn ledgers<S>(api: &Api<S>) -> u64 {
    (api.sources)().len().max(1) as u64
}

/// Slices of a range that have a bounded number of partials each.
pub(crate) fn slices(
    range: Range<i64>,
    lanes: u64,
    limits: Limits,
    rules: FoldRules,
) -> impl Iterator<Item = (WindowStart, WindowStart)> {
    let windows = (u64::from(limits.slice_partials) / lanes).clamp(1, 1 << 16);
    let length_ms = windows as i64 * rules.size.ms();
    let mut at = range.start;
    std::iter::from_fn(move || {
        let from = at;
        at = range.end.min(from.saturating_add(length_ms));
        (from < range.end).then_some((WindowStart(from), WindowStart(at)))
    })
}

/// Runs work that keeps the processor busy for a while on a thread that answers no other request.
async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let internal = |error| ApiError::new(ErrorCode::Internal, format!("the answer could not be made: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(internal)
}
