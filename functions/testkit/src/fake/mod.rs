//! Fake servers of the sources, for tests and for people who develop.

pub mod bluesky;
pub mod dice;
pub mod mastodon;
pub mod x;

use axum::Router;
use axum::body::Body as AxumBody;
use birdsong_sources::http::{Body, Http, HttpError};
use bytes::Bytes;
use futures_util::StreamExt;
use tower::ServiceExt;

/// Answers requests by a router in this process: no sockets, so that a test can pause the time.
#[derive(Clone, Debug)]
pub struct InProcess(pub Router);

impl Http for InProcess {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let answer = match self.0.clone().oneshot(request.map(AxumBody::from)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        Ok(answer.map(|body| {
            let chunks = body.into_data_stream();
            Box::pin(chunks.map(|chunk| chunk.map_err(|error| HttpError(error.to_string())))) as Body
        }))
    }
}
