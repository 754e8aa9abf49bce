//! Answers: JSON with an entity tag, and errors in one shape.

use std::hash::{DefaultHasher, Hasher};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use birdsong_domain::ports::PortError;
use serde::Serialize;
use serde_json::json;

/// How long an answer may be used without asking again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fresh {
    /// Not at all; the entity tag makes asking cheap.
    Ask,
    /// This many minutes.
    Minutes(u32),
}

/// Answers with `value`, or with 304 when the caller has it already.
pub(crate) fn json_answer(headers: &HeaderMap, fresh: Fresh, value: &impl Serialize) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(value)
        .map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("no JSON: {e}")))?;
    Ok(body_answer(headers, fresh, body))
}

/// Answers with JSON bytes, or with 304 when the caller has them already.
pub(crate) fn body_answer(headers: &HeaderMap, fresh: Fresh, body: Vec<u8>) -> Response {
    let mut hasher = DefaultHasher::new();
    hasher.write(&body);
    // Weak, since compression may change the bytes.
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = asked.split(',').any(|known| known.trim() == tag || known.trim() == "*");
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(body) });
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
    for (name, value) in [(header::ETAG, tag), (header::CACHE_CONTROL, cache)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// An error as the caller gets it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    parameter: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), parameter: None }
    }

    /// The caller's mistake, in this parameter.
    pub(crate) fn parameter(parameter: &str, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message);
        Self { parameter: Some(parameter.to_owned()), ..error }
    }

    /// The same mistake with another status and code.
    pub(crate) fn with(self, status: StatusCode, code: &'static str) -> Self {
        Self { status, code, ..self }
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
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
