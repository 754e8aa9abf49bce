//! The HTTP API: a router over the window store, the same on one machine and on AWS.
//!
//! `GET /api/regions`, `/api/windows`, `/api/status`, `/api/openapi.json` and `/healthz`. Every error
//! has one shape: `{"error":{"code","message","parameter"}}`.

mod admission;
pub mod answer;
mod params;
pub mod report;
mod status;
mod steps;

use std::ops::Range;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use birdsong_domain::ports::{PortError, SourceState, WindowStore};
use birdsong_domain::region::Region;
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart, rfc3339};
use birdsong_domain::window::FoldRules;
use serde::Serialize;
use serde_json::json;

pub use admission::Limits;

use admission::Admission;
use answer::{ApiError, Fresh, Held, foreign, json_answer};
use axum::body::Body;
use params::WindowsQuery;
use report::WindowReport;
use steps::Steps;

/// The hand-written description of this API (OpenAPI 3.1).
const OPENAPI: &str = include_str!("../openapi.json");

/// What the router needs.
pub struct Api<S> {
    /// Where the windows are.
    pub store: Arc<S>,
    /// The regions that can be asked for; the first one is the default.
    pub regions: Arc<Vec<Region>>,
    /// How the windows were folded.
    pub rules: FoldRules,
    /// The clock, in milliseconds since 1970.
    pub now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// State of each source.
    pub sources: Arc<dyn Fn() -> Vec<SourceState> + Send + Sync>,
    /// What keeps windows from being stored, such as a full disk, as long as it lasts.
    pub problems: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Posts of windows younger than this, in milliseconds, may be on their way from the log to the windows, and are
    /// not missing yet. 0 when records are folded in the order of the log.
    pub grace_ms: i64,
}

struct Shared<S> {
    api: Api<S>,
    status: status::Cache,
    admission: Admission,
}

/// The router with the usual limits. Compression is left to the server around it.
pub fn router<S: WindowStore + 'static>(api: Api<S>) -> Router {
    router_with(api, Limits::default())
}

/// The router with these limits.
pub fn router_with<S: WindowStore + 'static>(api: Api<S>, limits: Limits) -> Router {
    let shared = Arc::new(Shared { api, status: status::Cache::default(), admission: Admission::new(limits) });
    let known = get(regions::<S>).fallback(wrong_method);
    Router::new()
        .route("/api/regions", known)
        .route("/api/windows", get(windows::<S>).fallback(wrong_method))
        .route("/api/status", get(current::<S>).fallback(wrong_method))
        .route("/api/openapi.json", get(openapi).fallback(wrong_method))
        .route("/api", axum::routing::any(unknown_path))
        .route("/api/", axum::routing::any(unknown_path))
        .route("/api/{*path}", axum::routing::any(unknown_path))
        .route("/healthz", get(health::<S>).fallback(wrong_method))
        .with_state(shared)
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address can only be read (GET)")
}

async fn unknown_path(uri: Uri) -> ApiError {
    let message = format!("there is no {}; see /api/openapi.json for what there is", foreign(uri.path()));
    ApiError::new(StatusCode::NOT_FOUND, "unknown_path", message)
}

async fn openapi(headers: HeaderMap) -> Result<Response, ApiError> {
    Ok(answer::body_answer(&headers, Fresh::Minutes(60), &answer::entity_tag(OPENAPI.as_bytes()), OPENAPI))
}

async fn regions<S: WindowStore>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    params::none(query.as_deref())?;
    let api = &shared.api;
    let body = json!({"regions": *api.regions, "window_secs": api.rules.size.secs()});
    json_answer(&headers, Fresh::Minutes(1), &body)
}

async fn current<S: WindowStore>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    params::none(query.as_deref())?;
    let status = status::status(&shared.api, shared.admission.limits, &shared.status).await?;
    json_answer(&headers, Fresh::Ask, &status)
}

/// Fails while the store cannot be read, and so whenever the status does. A damaged window is no reason: it is shown,
/// and the rest can be read.
async fn health<S: WindowStore>(State(shared): State<Arc<Shared<S>>>) -> Result<Response, ApiError> {
    let status = status::status(&shared.api, shared.admission.limits, &shared.status).await;
    status.map_err(|error| ApiError::from(error).with(StatusCode::SERVICE_UNAVAILABLE, "store_error"))?;
    json_answer(&HeaderMap::new(), Fresh::Ask, &json!({"status": "ok"}))
}

/// All of an answer but its list of windows.
#[derive(Serialize)]
struct WindowsAnswer<'a> {
    region: &'a str,
    name: &'a str,
    from: String,
    to: String,
    window_secs: u32,
    step_secs: u32,
    total: WindowReport,
}

impl WindowsAnswer<'_> {
    /// The answer as JSON with `windows`, the reports separated by commas, as its last member.
    fn json(&self, windows: &[u8]) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec(self)?;
        json.pop();
        json.reserve_exact(windows.len() + 16);
        json.extend_from_slice(b",\"windows\":[");
        json.extend_from_slice(windows);
        json.extend_from_slice(b"]}");
        Ok(json)
    }
}

/// Start of the newest window of a region. One that a wrong clock opened in a far future would hide
/// all others, so that it is bounded by the present.
async fn newest<S: WindowStore>(api: &Api<S>, region: &str, now_ms: i64) -> Result<Option<WindowStart>, PortError> {
    let latest = api.rules.size.start_of(now_ms.saturating_add(FUTURE_LIMIT_MS));
    Ok(api.store.newest(region).await?.map(|newest| newest.min(latest)))
}

async fn windows<S: WindowStore>(
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
    let lanes = u64::from(query.region.hot_buckets.max(1)) + 1;
    let windows = u64::try_from((to_ms - range.start) / api.rules.size.ms()).unwrap_or(0);
    let (class, place) = shared.admission.admit(windows * lanes).await?;

    let step_ms = i64::from(query.step_secs) * 1000;
    let mut steps = Steps::new(&query.region.id, &range, step_ms, api.rules, now_ms);
    // A part at a time, so that a long range needs no more memory than a short one.
    for (from, to) in slices(range.start..to_ms, lanes, shared.admission.limits, api.rules) {
        let read = report::read(&*api.store, &query.region.id, from, to).await?;
        steps = off_runtime(move || steps.take(read, from, to).map(|()| steps)).await??;
    }
    let (region, name) = (query.region.id.clone(), query.region.name.clone());
    let (rules, step_secs) = (api.rules, query.step_secs);
    let is_settled = to_ms.saturating_add(rules.lateness_ms).saturating_add(3_600_000) < now_ms;
    let written = move || -> serde_json::Result<_> {
        let (total, windows) = steps.finish(range.end > to_ms)?;
        let answer = WindowsAnswer {
            region: &region,
            name: &name,
            from: rfc3339(range.start),
            to: rfc3339(range.end),
            window_secs: rules.size.secs(),
            step_secs,
            total,
        };
        let json = answer.json(&windows)?;
        Ok((answer::entity_tag(&json), json))
    };
    let (tag, json) = off_runtime(written).await??;
    drop(place);
    let guard = shared.admission.hold(class, json.len()).await?;
    let body = Body::new(Held::new(json, guard));
    Ok(answer::body_answer(&headers, if is_settled { Fresh::Minutes(5) } else { Fresh::Ask }, &tag, body))
}

/// Parts of a range that hold a bounded number of partials each.
fn slices(
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

/// Work that takes the processor for a while, away from the threads that answer.
async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let internal = |error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("no answer: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(internal)
}
