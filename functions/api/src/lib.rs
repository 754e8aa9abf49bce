//! The HTTP API: a router over the window store, the same on one machine and on AWS.
//!
//! It answers `GET /api/overview`, `/api/regions`, `/api/windows`, `/api/status`, `/api/openapi.json` and `/healthz`. Its description,
//! `openapi.json` in this crate, is generated from the handlers and the types of their answers ([`openapi`]).
//!
//! ```
//! use std::sync::Arc;
//!
//! use birdsong_api::{Api, router};
//! use birdsong_domain::region::Regions;
//! use birdsong_domain::window::FoldRules;
//! use birdsong_testkit::MemoryStore;
//! use http_body_util::BodyExt;
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let regions = Regions::parse("regions.toml", "[[region]]\nid = \"fog\"\nkeywords = [\"fog\"]\n")?;
//! let app: axum::Router = router(Api {
//!     store: Arc::new(MemoryStore::default()),
//!     regions: Arc::new(regions.list().to_vec()),
//!     rules: FoldRules::default(),
//!     now_ms: Arc::new(|| 1_700_000_000_000),
//!     sources: Arc::new(Vec::new),
//!     problems: Arc::new(Vec::new),
//!     grace_ms: 0,
//! });
//! let request = axum::http::Request::get("/api/regions").body(axum::body::Body::empty())?;
//! let answer = app.oneshot(request).await?;
//! assert_eq!(answer.status(), 200);
//! let body: serde_json::Value = serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
//! assert_eq!(body["regions"][0]["id"], "fog");
//! # Ok(())
//! # }
//! ```

mod admission;
pub mod answer;
mod days;
mod described;
pub mod error;
mod events;
mod extras;
pub mod feeds;
mod fields;
mod form;
mod openapi;
mod overview;
mod params;
mod regions;
pub mod report;
mod series;
mod snapshot;
mod source;
mod span;
mod status;
mod steps;
mod trends;
mod windows;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use axum::routing::get;
use birdsong_digest::read::Parts;
use birdsong_domain::ports::{DocumentStore, RollupStore, Settings, WindowStore};
use birdsong_domain::region::Region;
use birdsong_domain::series::DaySeries;
use birdsong_domain::status::SourceState;
use birdsong_domain::window::FoldRules;
use quick_cache::sync::Cache;
use serde::Serialize;
use utoipa::ToSchema;

pub use admission::Limits;
pub use extras::{Extras, extras};
pub use form::{CellType, Column, columns};
pub use openapi::openapi;
pub use source::{SourceReport, SourceStatus};

use admission::Admission;
use answer::{Answer, Answers, Found, Fresh, json_answer};
use error::{ApiError, ErrorCode, HealthErrors, PlainErrors, StoreErrors, foreign};
use form::Form;
use overview::OverviewAnswer;
use regions::RegionsAnswer;
use snapshot::{Snapshot, snapshot};
use status::Status;

/// The inputs of the router.
pub struct Api<S> {
    /// The store of the windows.
    pub store: Arc<S>,
    /// The regions that can be asked for; the first one is the default.
    pub regions: Arc<Vec<Region>>,
    /// The rules by which the windows were folded.
    pub rules: FoldRules,
    /// The clock, in milliseconds since 1970.
    pub now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// The state of each source.
    pub sources: Arc<dyn Fn() -> Vec<SourceState> + Send + Sync>,
    /// Why windows cannot be stored, such as a full disk, while that lasts.
    pub problems: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Posts of windows younger than this, in milliseconds, may be on their way from the log to the windows, and do not
    /// count as missing. 0 when records are folded in the order of the log.
    pub grace_ms: i64,
}

struct Shared<S> {
    api: Api<S>,
    snapshot: snapshot::Cache,
    answers: Answers,
    /// Windows, hours and days that are final, with the version of the counts.
    parts: Parts,
    /// Series of days, with the version of the counts.
    days: Cache<(String, i64), (String, Arc<DaySeries>)>,
    admission: Admission,
}

/// Series of days that are kept in memory; each has some hundred KiB at most.
const DAYS_KEPT: usize = 128;

/// The body of an answer, and how long it may be used.
type Made = (Vec<u8>, Fresh);

impl<S: WindowStore + RollupStore + DocumentStore + Settings + 'static> Shared<S> {
    async fn snapshot(&self) -> Result<Arc<Snapshot>, ApiError> {
        Ok(snapshot(&self.api, self.admission.limits, &self.snapshot).await?)
    }

    /// An answer to what is asked: one that is kept, else what `make` makes. One that was current lately is given while
    /// it is made anew.
    async fn answer<F>(
        self: Arc<Self>,
        asked: String,
        form: Option<Form>,
        headers: HeaderMap,
        make: impl FnOnce(Arc<Self>, String) -> F,
    ) -> Result<Response, ApiError>
    where
        F: Future<Output = Result<Made, ApiError>> + Send + 'static,
    {
        let limits = self.admission.limits;
        let answer = match self.answers.get(&asked) {
            Found::Current(answer) | Found::Stale(answer, false) => answer,
            Found::Stale(answer, true) => {
                let (shared, made) = (self.clone(), make(self.clone(), asked.clone()));
                tokio::spawn(async move {
                    if let Ok(made) = made.await {
                        shared.keep(asked, form, made);
                    }
                });
                answer
            }
            Found::Nothing => {
                let made = make(self.clone(), asked.clone()).await?;
                self.keep(asked, form, made)
            }
        };
        let guard = match answer.bytes() {
            // Shared with others that ask the same.
            bytes if !limits.reuse.is_zero() && self.answers.has_room(bytes) => None,
            bytes => Some(self.admission.hold(bytes).await?),
        };
        Ok(answer.respond(&headers, limits.compress, guard).await)
    }

    /// An answer to the query of a path below `/api/` whose answers have rows, in the form that is asked for.
    async fn of_query<F>(
        self: Arc<Self>,
        path: &'static str,
        query: Option<String>,
        headers: HeaderMap,
        make: impl FnOnce(Arc<Self>, String) -> F,
    ) -> Result<Response, ApiError>
    where
        F: Future<Output = Result<Made, ApiError>> + Send + 'static,
    {
        let query = query.unwrap_or_default();
        let (form, query) = Form::asked(&query, &headers)?;
        // Each form is an answer of its own.
        let asked = format!("{path}.{}?{query}", form.name());
        let make = |shared, _| {
            let made = make(shared, query.clone());
            async move {
                let (json, fresh) = made.await?;
                let body = match form {
                    Form::Json => json,
                    form => windows::off_runtime(move || form::write(path, &query, json, form)).await??,
                };
                Ok((body, fresh))
            }
        };
        let mut response = self.answer(asked, Some(form), headers, make).await?;
        if form != Form::Json {
            let name = format!("attachment; filename=\"birdsong-{path}.{}\"", form.name());
            if let Ok(name) = HeaderValue::from_str(&name) {
                response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
            }
        }
        Ok(response)
    }

    /// An answer that depends on the snapshot alone.
    async fn of_snapshot<T: Serialize + 'static>(
        self: Arc<Self>,
        asked: &str,
        headers: HeaderMap,
        report: fn(&Api<S>, &Snapshot) -> T,
    ) -> Result<Response, ApiError> {
        let make = async move |shared: Arc<Self>, _| {
            let snapshot = shared.snapshot().await?;
            Ok((serde_json::to_vec(&report(&shared.api, &snapshot))?, Fresh::Open))
        };
        self.answer(asked.to_owned(), None, headers, make).await
    }

    fn keep(&self, asked: String, form: Option<Form>, (body, fresh): Made) -> Arc<Answer> {
        let answer = Arc::new(Answer::new(body, fresh, form));
        let limits = self.admission.limits;
        self.answers.keep(asked, &answer, limits.reuse, limits.stale);
        answer
    }
}

/// The router with the default limits. It does not compress.
pub fn router<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(api: Api<S>) -> Router {
    router_with(api, Limits::default())
}

/// The router with these limits.
pub fn router_with<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    api: Api<S>,
    limits: Limits,
) -> Router {
    let shared = Arc::new(Shared {
        api,
        snapshot: snapshot::Cache::default(),
        answers: Answers::new(u64::from(limits.cache_kib) << 10),
        parts: Parts::new(u64::from(limits.parts_kib) << 10),
        days: Cache::new(DAYS_KEPT),
        admission: Admission::new(limits),
    });
    Router::new()
        .route("/api/overview", get(overview::<S>).fallback(wrong_method))
        .route("/api/regions", get(regions::<S>).fallback(wrong_method))
        .route("/api/windows", get(windows::windows::<S>).fallback(wrong_method))
        .route("/api/events", get(events::events::<S>).fallback(wrong_method))
        .route("/api/trends", get(trends::trends::<S>).fallback(wrong_method))
        .route("/api/series", get(series::series::<S>).fallback(wrong_method))
        .route("/api/status", get(status::<S>).fallback(wrong_method))
        .route("/api/openapi.json", get(document).fallback(wrong_method))
        .route("/api", axum::routing::any(unknown_path))
        .route("/api/", axum::routing::any(unknown_path))
        .route("/api/{*path}", axum::routing::any(unknown_path))
        .route("/healthz", get(healthz::<S>).fallback(wrong_method))
        .with_state(shared)
}

async fn wrong_method() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, "this path allows only GET and HEAD")
}

async fn unknown_path(uri: Uri) -> ApiError {
    let message = format!("the path {} does not exist; /api/openapi.json lists all paths", foreign(uri.path()));
    ApiError::new(ErrorCode::UnknownPath, message)
}

/// The OpenAPI document
///
/// This document.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "service",
    responses((status = 200, description = "The document, OpenAPI 3.1.", body = Object), PlainErrors),
)]
async fn document(RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, ApiError> {
    params::none(query.as_deref())?;
    let tag = answer::entity_tag(openapi::DOCUMENT.as_bytes());
    Ok(answer::body_answer(&headers, Fresh::Minutes(60), &tag, openapi::DOCUMENT))
}

/// The regions that are watched
///
/// Their ids, names and filters.
#[utoipa::path(
    get,
    path = "/api/regions",
    tag = "metrics",
    responses((status = 200, description = "The regions.", body = RegionsAnswer), PlainErrors),
)]
async fn regions<S: WindowStore>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    params::none(query.as_deref())?;
    let api = &shared.api;
    json_answer(&headers, Fresh::Minutes(1), &RegionsAnswer::new(&api.regions, api.rules.size.secs()))
}

/// All regions at a glance
///
/// The newest window of each region, its posts in each hour of a day and in the last hour, compared with what is usual,
/// the sources, and where the received posts went. It costs as little as any answer can.
#[utoipa::path(
    get,
    path = "/api/overview",
    tag = "metrics",
    responses((status = 200, description = "The overview.", body = OverviewAnswer), StoreErrors),
)]
async fn overview<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    params::none(query.as_deref())?;
    shared.of_snapshot("overview", headers, OverviewAnswer::new).await
}

/// Status of the sources and the ledger
///
/// Whether posts arrive, how fresh they are, and where each received post went.
#[utoipa::path(
    get,
    path = "/api/status",
    tag = "metrics",
    responses((status = 200, description = "The status.", body = Status), StoreErrors),
)]
async fn status<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    params::none(query.as_deref())?;
    shared.of_snapshot("status", headers, status::status).await
}

/// The answer of the health check.
#[derive(Serialize, ToSchema)]
struct Health {
    /// The health.
    status: HealthStatus,
}

described::described! {
    /// The health of the server.
    enum HealthStatus {
        /// The store can be read.
        Ok,
    }
}

/// Health check
///
/// Fails while the store cannot be read. Damaged windows do not fail it: everything else can be read. Parameters are
/// ignored.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    responses((status = 200, description = "The store can be read.", body = Health), HealthErrors),
)]
async fn healthz<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    State(shared): State<Arc<Shared<S>>>,
) -> Result<Response, ApiError> {
    shared.snapshot().await.map_err(|error| error.with(ErrorCode::StoreUnavailable))?;
    json_answer(&HeaderMap::new(), Fresh::Ask, &Health { status: HealthStatus::Ok })
}
