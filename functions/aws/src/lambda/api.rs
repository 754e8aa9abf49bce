//! The function `api`: the router of `birdsong-api` behind API Gateway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use birdsong_api::{Api, Limits};
use birdsong_domain::format;
use birdsong_domain::ports;
use birdsong_domain::region::Region;
use birdsong_domain::status::SourceState;
use birdsong_domain::time::WindowSize;
use birdsong_domain::window::FoldRules;
use tokio::sync::Mutex;
use tower::ServiceExt;

use crate::DynamoStore;

/// How long the catalogue of regions and the states of the sources are reused after they were read.
const CATALOGUE_FRESH: Duration = Duration::from_secs(30);
/// How long answers, and the newest windows, are reused: a little longer than in the cache in front, so that a minute has
/// ten looks at the table at most.
const REUSE: Duration = Duration::from_secs(6);
/// KiB of answers that are kept.
const CACHE_KIB: u32 = 32 << 10;
/// KiB, about, of windows, hours and days that are kept.
const PARTS_KIB: u32 = 128 << 10;

/// The router, with the catalogue that the streamer published to the store.
pub struct Service {
    store: Arc<DynamoStore>,
    now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    sources: Arc<parking_lot::Mutex<Vec<SourceState>>>,
    known: Mutex<Option<Known>>,
}

/// What was made of the catalogue.
struct Known {
    read: Instant,
    /// Regions and window length, as they are stored.
    catalogue: (Option<String>, Option<String>),
    router: Router,
}

impl Service {
    /// Over the table of `store`.
    #[must_use]
    pub fn new(store: Arc<DynamoStore>, now_ms: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self { store, now_ms, sources: Arc::default(), known: Mutex::new(None) }
    }

    /// Answers one request. The API can be read from pages of any origin.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn answer(&self, request: Request<Body>) -> Result<Response<Body>> {
        let mut response = if request.method() == Method::OPTIONS {
            preflight()
        } else {
            let Ok(response) = self.fresh_router().await?.oneshot(request).await;
            response
        };
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        Ok(response)
    }

    async fn fresh_router(&self) -> Result<Router> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.read.elapsed() < CATALOGUE_FRESH) {
            return Ok(known.router.clone());
        }
        let mut settings = self.store.settings().await?;
        format::check_stated(
            settings.get(ports::FORMAT).map(String::as_str),
            settings.contains_key(ports::WINDOW_SECS),
        )?;
        let sources = settings.remove(ports::SOURCES);
        *self.sources.lock() = serde_json::from_str(sources.as_deref().unwrap_or("[]"))
            .context("the store's list of sources is damaged")?;
        let catalogue = (settings.remove(ports::REGIONS), settings.remove(ports::WINDOW_SECS));
        if let Some(known) = known.as_mut().filter(|known| known.catalogue == catalogue) {
            known.read = Instant::now();
            return Ok(known.router.clone());
        }
        let (regions, size) = &catalogue;
        let regions: Vec<Region> = serde_json::from_str(regions.as_deref().unwrap_or("[]"))
            .context("the store's catalogue of regions is damaged")?;
        let size = window_size(size.as_deref())?;
        let sources = self.sources.clone();
        let api = Api {
            store: self.store.clone(),
            regions: Arc::new(regions),
            rules: FoldRules { size, ..FoldRules::default() },
            now_ms: self.now_ms.clone(),
            sources: Arc::new(move || sources.lock().clone()),
            problems: Arc::new(Vec::new),
            grace_ms: FoldRules::default().lateness_ms,
        };
        let limits = Limits { reuse: REUSE, cache_kib: CACHE_KIB, parts_kib: PARTS_KIB, ..Limits::default() };
        let router = birdsong_api::router_with(api, limits);
        let known = known.insert(Known { read: Instant::now(), catalogue, router });
        Ok(known.router.clone())
    }
}

/// The window length in the store's settings.
pub(super) fn window_size(secs: Option<&str>) -> Result<WindowSize> {
    match secs {
        Some(text) => Ok(WindowSize::from_secs(text.parse().context("the store's window length is no number")?)?),
        None => Ok(WindowSize::FIVE_MINUTES),
    }
}

fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("if-none-match"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}
