//! Answers: JSON with an entity tag, so that unchanged answers are not loaded twice.

use std::hash::{DefaultHasher, Hasher};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use crate::error::ApiError;

/// How long an answer may be used without asking again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fresh {
    /// Not at all: a cache asks each time, which the entity tag makes cheap.
    Ask,
    /// This many minutes.
    Minutes(u32),
}

/// The entity tag of a body: weak, since compression may change the bytes.
#[must_use]
pub fn entity_tag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    format!("W/\"{:016x}\"", hasher.finish())
}

/// Whether the caller already has the body with this entity tag (`If-None-Match`).
#[must_use]
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    asked.split(',').any(|known| known.trim() == tag || known.trim() == "*")
}

/// Answers with `value`, or with 304 when the caller has it already.
pub(crate) fn json_answer(headers: &HeaderMap, fresh: Fresh, value: &impl Serialize) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(value)?;
    let tag = entity_tag(&body);
    Ok(body_answer(headers, fresh, &tag, body))
}

/// Answers with JSON that has this entity tag, or with 304 when the caller has it already.
pub(crate) fn body_answer(headers: &HeaderMap, fresh: Fresh, tag: &str, body: impl Into<Body>) -> Response {
    let is_known = is_known(headers, tag);
    let mut response = Response::new(if is_known { Body::empty() } else { body.into() });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let cache = match fresh {
        Fresh::Ask => "no-cache".to_owned(),
        Fresh::Minutes(minutes) => format!("max-age={}", minutes * 60),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in [(header::ETAG, tag), (header::CACHE_CONTROL, &cache)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// A body that keeps a guard until it is sent or abandoned.
pub(crate) struct Held<G> {
    bytes: Bytes,
    _guard: G,
}

impl<G> Held<G> {
    pub(crate) fn new(bytes: impl Into<Bytes>, guard: G) -> Self {
        Self { bytes: bytes.into(), _guard: guard }
    }
}

impl<G: Unpin> HttpBody for Held<G> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        // In pieces: a server buffers each piece, and releases the body when it has the last one.
        const PIECE: usize = 64 << 10;
        let size = self.bytes.len().min(PIECE);
        let piece = (size > 0).then(|| Ok(http_body::Frame::data(self.bytes.split_to(size))));
        std::task::Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.bytes.len() as u64)
    }
}
