//! The HTTP API: a router over the window store, the same on one machine and on AWS.
//!
//! `GET /api/regions`, `/api/windows`, `/api/status`, `/api/openapi.json` and `/healthz`. Every error
//! has one shape: `{"error":{"code","message","parameter"}}`.

mod answer;
mod params;
pub mod report;
mod status;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

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

use answer::{ApiError, Fresh, json_answer};
use params::WindowsQuery;
use report::{Span, WindowReport};

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
    status: Mutex<Option<status::Cached>>,
}

/// The router. Compression is left to the server around it.
pub fn router<S: WindowStore + 'static>(api: Api<S>) -> Router {
    let shared = Arc::new(Shared { api, status: Mutex::new(None) });
    let known = get(regions::<S>).fallback(wrong_method);
    Router::new()
        .route("/api/regions", known)
        .route("/api/windows", get(windows::<S>).fallback(wrong_method))
        .route("/api/status", get(current::<S>).fallback(wrong_method))
        .route("/api/openapi.json", get(openapi).fallback(wrong_method))
        .route("/api/{*path}", axum::routing::any(unknown_path))
        .route("/healthz", get(health::<S>).fallback(wrong_method))
        .with_state(shared)
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address can only be read (GET)")
}

async fn unknown_path(uri: Uri) -> ApiError {
    let message = format!("there is no {}; see /api/openapi.json for what there is", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "unknown_path", message)
}

async fn openapi(headers: HeaderMap) -> Result<Response, ApiError> {
    Ok(answer::body_answer(&headers, Fresh::Minutes(60), OPENAPI.as_bytes().to_vec()))
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
    let status = status::status(&shared.api, &shared.status).await?;
    json_answer(&headers, Fresh::Ask, &status)
}

/// Fails when the store cannot be read, and so whenever the status fails.
async fn health<S: WindowStore>(State(shared): State<Arc<Shared<S>>>) -> Result<Response, ApiError> {
    status::status(&shared.api, &shared.status)
        .await
        .map_err(|error| ApiError::from(error).with(StatusCode::SERVICE_UNAVAILABLE, "store_error"))?;
    json_answer(&HeaderMap::new(), Fresh::Ask, &json!({"status": "ok"}))
}

#[derive(Serialize)]
struct WindowsAnswer<'a> {
    region: &'a str,
    name: &'a str,
    from: String,
    to: String,
    window_secs: u32,
    step_secs: u32,
    total: WindowReport,
    windows: Vec<WindowReport>,
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
    let open_end = api.rules.size.start_of(now_ms).0 + api.rules.size.ms();
    let to_ms = range.end.min(open_end.max(range.start));
    let (from, to) = (WindowStart(range.start), WindowStart(to_ms));
    let spans = report::spans(&*api.store, &query.region.id, from, to, api.rules, now_ms, true).await?;

    let step_ms = i64::from(query.step_secs) * 1000;
    let mut total = Span::empty(range.start, range.end);
    let mut windows = Vec::with_capacity(spans.len());
    for group in spans.chunk_by(|a, b| a.start_ms().div_euclid(step_ms) == b.start_ms().div_euclid(step_ms)) {
        let merged = merge(group, step_ms);
        total.add(&merged);
        windows.push(merged.report(&query.region.id));
    }
    total.lay_minutes(vec![]);
    if range.end > to_ms {
        total.reaches_into_the_future(step_ms, now_ms);
    }
    let is_settled = to_ms + api.rules.lateness_ms + 3_600_000 < now_ms;
    let answer = WindowsAnswer {
        region: &query.region.id,
        name: &query.region.name,
        from: rfc3339(range.start),
        to: rfc3339(range.end),
        window_secs: api.rules.size.secs(),
        step_secs: query.step_secs,
        total: total.report(&query.region.id),
        windows,
    };
    json_answer(&headers, if is_settled { Fresh::Minutes(5) } else { Fresh::Ask }, &answer)
}

/// Merges the windows of one step; its minutes stand where they belong.
fn merge(group: &[Span], step_ms: i64) -> Cow<'_, Span> {
    if let [only] = group
        && only.minutes().len() as i64 * 60_000 == step_ms
    {
        return Cow::Borrowed(only);
    }
    let start_ms = group.first().map_or(0, |first| first.start_ms().div_euclid(step_ms) * step_ms);
    let mut merged = Span::empty(start_ms, start_ms + step_ms);
    let mut minutes = vec![0; (step_ms / 60_000) as usize];
    for span in group {
        let at = ((span.start_ms() - start_ms) / 60_000) as usize;
        for (slot, n) in minutes.iter_mut().skip(at).zip(span.minutes()) {
            *slot = *n;
        }
        merged.add(span);
    }
    merged.lay_minutes(minutes);
    Cow::Owned(merged)
}
