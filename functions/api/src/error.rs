//! Errors: one shape for all of them, and the codes that each path can answer with.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use birdsong_domain::ports::PortError;
use birdsong_domain::printable::printable;
use serde::Serialize;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, Response as ResponseDoc, ResponseBuilder, Type};
use utoipa::{IntoResponses, ToSchema};

use crate::described::described;

/// Longest piece of foreign text in an answer, in characters.
const FOREIGN_CHARS: usize = 200;
/// Value of `Retry-After`, in seconds.
const RETRY_AFTER_SECS: u32 = 2;

/// Foreign text as an error shows it: without control characters, and cut to 200 characters.
#[must_use]
pub fn foreign(text: &str) -> String {
    match text.char_indices().nth(FOREIGN_CHARS) {
        Some((end, _)) => printable(&text[..end]).into_owned() + "…",
        None => printable(text).into_owned(),
    }
}

described! {
    /// The kind of an error, for programs. Each code belongs to one HTTP status.
    pub enum ErrorCode {
        /// A parameter is unknown, occurs twice, or does not have the documented form.
        BadParameter,
        /// The request has no `Host` header.
        BadRequest,
        /// A server that listens on a loopback address was asked under another name than its own.
        ForbiddenHost,
        /// The path does not exist.
        UnknownPath,
        /// No region has this id.
        UnknownRegion,
        /// The note is not JSON of the documented form, has no text, or its day is full.
        BadNote,
        /// Notes cannot be added here, since no token is configured.
        ForbiddenNote,
        /// The token for notes is missing or wrong.
        WrongToken,
        /// The method is not one that the path allows: GET and HEAD, or POST for notes.
        MethodNotAllowed,
        /// Path and query are longer than 8 KiB.
        UriTooLong,
        /// The header `Accept` allows none of the forms in which the path answers.
        NotAcceptable,
        /// Each parameter has the documented form, but together they have no answer, such as a range that ends before
        /// it starts, that is too long, or whose step is not a multiple of the window.
        Unprocessable,
        /// The headers are longer than 16 KiB.
        HeadersTooLarge,
        /// A defect of the server.
        Internal,
        /// The store refused the query, or its data is damaged. Retrying does not help.
        StoreError,
        /// The store does not answer. Retry after the seconds in `Retry-After`.
        StoreUnavailable,
        /// Too much is asked at the same time. Retry after the seconds in `Retry-After`.
        Overloaded,
    }
}

impl ErrorCode {
    /// The HTTP status of answers with this code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadParameter | Self::BadRequest | Self::BadNote => StatusCode::BAD_REQUEST,
            Self::ForbiddenHost | Self::ForbiddenNote => StatusCode::FORBIDDEN,
            Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::UnknownPath | Self::UnknownRegion => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Internal | Self::StoreError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::StoreUnavailable | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The body of every error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorAnswer {
    /// The error.
    pub error: ErrorDetail,
}

/// What is wrong with a request, or with the server.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// The kind of the error.
    pub code: ErrorCode,
    /// What is wrong and how to fix it, for people. The wording may change.
    #[schema(min_length = 1)]
    pub message: String,
    /// Name of the query parameter that is wrong, cut to 200 characters and `…`; null for other errors.
    #[schema(required = true, max_length = 201)]
    pub parameter: Option<String>,
}

/// An error that is an answer.
#[derive(Clone, Debug)]
pub struct ApiError(ErrorDetail);

impl ApiError {
    /// An error with a code for programs and a message for people. Foreign text in the message must have gone
    /// through [`foreign`].
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ErrorDetail { code, message: message.into(), parameter: None })
    }

    /// An error in this query parameter.
    pub(crate) fn parameter(code: ErrorCode, parameter: &str, message: impl Into<String>) -> Self {
        Self(ErrorDetail { code, message: message.into(), parameter: Some(foreign(parameter)) })
    }

    /// The same error with another code.
    pub(crate) fn with(self, code: ErrorCode) -> Self {
        Self(ErrorDetail { code, ..self.0 })
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(ErrorCode::Internal, format!("the answer could not be written as JSON: {error}"))
    }
}

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        let code = if error.is_retryable() { ErrorCode::StoreUnavailable } else { ErrorCode::StoreError };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.0.code.status();
        let mut response = (status, axum::Json(ErrorAnswer { error: self.0 })).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECS.into());
        }
        response
    }
}

/// Errors of paths that have no parameters and do not read the store.
pub(crate) struct PlainErrors;

/// Errors of paths that read the store and have no parameters.
pub(crate) struct StoreErrors;

/// Errors of the health check.
pub(crate) struct HealthErrors;

/// Errors of paths whose answers have rows.
pub(crate) struct WindowsErrors;

/// Errors that any request to the server of one machine may get, before its path is looked at.
const ANY: [ErrorCode; 5] = [
    ErrorCode::BadRequest,
    ErrorCode::ForbiddenHost,
    ErrorCode::UriTooLong,
    ErrorCode::HeadersTooLarge,
    ErrorCode::Overloaded,
];

impl IntoResponses for PlainErrors {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        responses(&[ErrorCode::BadParameter, ErrorCode::Internal])
    }
}

impl IntoResponses for StoreErrors {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        use ErrorCode::{BadParameter, Internal, StoreError, StoreUnavailable};
        responses(&[BadParameter, Internal, StoreError, StoreUnavailable])
    }
}

impl IntoResponses for HealthErrors {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        responses(&[ErrorCode::Internal, ErrorCode::StoreUnavailable])
    }
}

impl IntoResponses for WindowsErrors {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        use ErrorCode::{
            BadParameter, Internal, NotAcceptable, StoreError, StoreUnavailable, UnknownRegion, Unprocessable,
        };
        responses(&[BadParameter, UnknownRegion, NotAcceptable, Unprocessable, Internal, StoreError, StoreUnavailable])
    }
}

/// The documented answers with these codes and those of [`ANY`], by HTTP status.
fn responses(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<ResponseDoc>> {
    let mut by_status = BTreeMap::<u16, Vec<ErrorCode>>::new();
    for code in codes.iter().chain(&ANY) {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    let of_status = |(status, codes): (u16, Vec<ErrorCode>)| {
        let texts = codes.iter().map(|code| {
            let name = serde_json::to_value(code).unwrap_or_default();
            format!("`{}`: {}", name.as_str().unwrap_or_default(), code.meaning())
        });
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorAnswer"))).build();
        let mut response = ResponseBuilder::new()
            .description(texts.collect::<Vec<_>>().join("\n\n"))
            .content("application/json", content);
        if status == StatusCode::SERVICE_UNAVAILABLE.as_u16() {
            response = response.header("Retry-After", retry_after());
        }
        (status.to_string(), response.build().into())
    };
    by_status.into_iter().map(of_status).collect()
}

fn retry_after() -> Header {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    HeaderBuilder::new().description(Some("Seconds to wait before the next attempt.")).schema(Some(seconds)).build()
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
