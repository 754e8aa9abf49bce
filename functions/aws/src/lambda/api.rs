//! The function `api`: the router of `birdsong-api` behind API Gateway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use birdsong_api::Api;
use birdsong_domain::format;
use birdsong_domain::ports::{self, Settings};
use birdsong_domain::region::Region;
use birdsong_domain::status::SourceState;
use birdsong_domain::time::WindowSize;
use birdsong_domain::window::FoldRules;
use tokio::sync::Mutex;
use tower::ServiceExt;

use crate::DynamoStore;

/// How long the catalogue of regions and the states of the sources are reused after they were read.
const CATALOGUE_FRESH: Duration = Duration::from_secs(15);

/// The router, with the catalogue that the streamer published to the store.
pub struct Service {
    store: Arc<DynamoStore>,
    now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    router: Mutex<Option<(Instant, Router)>>,
}

impl Service {
    /// Over the table of `store`.
    #[must_use]
    pub fn new(store: Arc<DynamoStore>, now_ms: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self { store, now_ms, router: Mutex::new(None) }
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
        let mut kept = self.router.lock().await;
        if let Some((_, router)) = kept.as_ref().filter(|(read, _)| read.elapsed() < CATALOGUE_FRESH) {
            return Ok(router.clone());
        }
        format::check(&*self.store).await?;
        let setting = |key| self.store.setting(key);
        let (regions, secs, sources) =
            tokio::try_join!(setting(ports::REGIONS), setting(ports::WINDOW_SECS), setting(ports::SOURCES))?;
        let regions: Vec<Region> = serde_json::from_str(regions.as_deref().unwrap_or("[]"))
            .context("the store's catalogue of regions is damaged")?;
        let size = match secs {
            Some(text) => WindowSize::from_secs(text.parse().context("the store's window length is no number")?)?,
            None => WindowSize::FIVE_MINUTES,
        };
        let sources: Vec<SourceState> = serde_json::from_str(sources.as_deref().unwrap_or("[]"))
            .context("the store's list of sources is damaged")?;
        let api = Api {
            store: self.store.clone(),
            regions: Arc::new(regions),
            rules: FoldRules { size, ..FoldRules::default() },
            now_ms: self.now_ms.clone(),
            sources: Arc::new(move || sources.clone()),
            problems: Arc::new(Vec::new),
            grace_ms: FoldRules::default().lateness_ms,
        };
        Ok(kept.insert((Instant::now(), birdsong_api::router(api))).1.clone())
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
