//! Answers: JSON with an entity tag, and errors in one shape.

use std::hash::{DefaultHasher, Hasher};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use birdsong_domain::ports::PortError;
use birdsong_domain::printable::printable;
use serde::Serialize;
use serde_json::json;

/// Longest piece of foreign text in an answer, in characters.
const FOREIGN_CHARS: usize = 200;

/// Foreign text as an error shows it: without control characters, and cut to 200 characters.
#[must_use]
pub fn foreign(text: &str) -> String {
    match text.char_indices().nth(FOREIGN_CHARS) {
        Some((end, _)) => printable(&text[..end]).into_owned() + "…",
        None => printable(text).into_owned(),
    }
}

/// How long an answer may be used without asking again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fresh {
    /// Not at all; the entity tag makes asking cheap.
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

/// Whether the caller has the body with this entity tag already.
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

/// A body that keeps a guard until it is sent or given up.
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
        // In pieces: a server buffers what it is given, and lets go of the body when it has the last one.
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

/// An error as the caller gets it: `{"error":{"code","message","parameter"}}`.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    parameter: Option<String>,
}

impl ApiError {
    /// An error with an HTTP status, a code for programs and a message for people. Foreign text in the
    /// message must have gone through [`foreign`].
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), parameter: None }
    }

    /// The caller's mistake, in this parameter.
    pub(crate) fn parameter(parameter: &str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message);
        Self { parameter: Some(foreign(parameter)), ..error }
    }

    /// The same mistake with another status and code.
    pub(crate) fn with(self, status: StatusCode, code: &'static str) -> Self {
        Self { status, code, ..self }
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("no JSON: {error}"))
    }
}

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        let (status, code) = match error {
            PortError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "store_error"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message, "parameter": self.parameter}});
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_cut_between_characters_and_cleaned() {
        assert_eq!(foreign("fog\u{1b}[2J"), "fog\u{fffd}[2J");
        assert_eq!(foreign(&"🌫".repeat(200)), "🌫".repeat(200));
        assert_eq!(foreign(&"🌫".repeat(201)), "🌫".repeat(200) + "…");
    }
}
