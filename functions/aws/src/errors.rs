//! Errors of the SDK as errors of a port: whether a retry helps, and the remedy.

use std::error::Error;

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use birdsong_domain::ports::PortError;

/// What a failed call means, after the SDK's own retries.
pub(crate) fn port_error<E>(what: &'static str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let answer = context.err();
            service_error(what, context.raw().status().as_u16(), answer.code(), answer.message())
        }
        SdkError::ConstructionFailure(_) => PortError::Refused { what, reason: chain(error) },
        // Timeouts, broken connections, missing credentials (which their service may still hand
        // out) and answers that make no sense.
        _ => PortError::Unavailable { what, reason: chain(error) },
    }
}

/// A rejection by a service: the answer's HTTP status, error code and message.
fn service_error(what: &'static str, status: u16, code: Option<&str>, message: Option<&str>) -> PortError {
    let code = code.unwrap_or("an error without a code");
    let mut reason = match message {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    };
    if status >= 500 || status == 429 || is_transient(code) {
        return PortError::Unavailable { what, reason };
    }
    if let Some(remedy) = remedy(code) {
        reason = format!("{reason}; {remedy}");
    }
    PortError::Refused { what, reason }
}

/// Codes that come with status 400 although the same call may succeed later.
fn is_transient(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "LimitExceededException"
            | "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "KMSThrottlingException"
            | "ReplicatedWriteConflictException"
            | "ResourceInUseException"
    )
}

fn remedy(code: &str) -> Option<&'static str> {
    match code {
        "ResourceNotFoundException" => Some(
            "it is not in this account and region, or not yet there: check its name, AWS_REGION and AWS_ENDPOINT_URL",
        ),
        "AccessDeniedException" | "KMSAccessDeniedException" => {
            Some("the role of this process lacks the permission for this call")
        }
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "ExpiredTokenException" => Some("check the credentials, and the clock of this machine"),
        _ => None,
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttles_and_server_errors_may_be_retried_and_the_rest_names_a_remedy() {
        for (status, code) in
            [(400, "ProvisionedThroughputExceededException"), (500, "InternalFailure"), (503, "x"), (429, "y")]
        {
            let error = service_error("call", status, Some(code), None);
            assert!(error.is_retryable(), "{status} {code}");
        }
        let refused = service_error("Kinesis PutRecords", 400, Some("AccessDeniedException"), Some("not you"));
        assert!(!refused.is_retryable());
        assert_eq!(
            refused.to_string(),
            "Kinesis PutRecords refused the call: AccessDeniedException: not you; the role of this process lacks the permission for this call"
        );
        assert!(!service_error("call", 400, Some("ValidationException"), None).is_retryable());
        assert!(!service_error("call", 403, None, None).is_retryable());
    }
}
