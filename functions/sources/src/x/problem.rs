//! X's errors, and how to react to them.

use birdsong_domain::time::rfc3339;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::http::printable;

/// X limits calls by 15 minutes; one more for clocks that differ. In milliseconds.
const LONGEST_LIMIT_MS: i64 = 16 * 60_000;

/// What has to happen before the next try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// The network failed: try again soon.
    Network,
    /// X closed the stream: at once, then less and less often.
    Closed,
    /// X is failing: retry less and less often.
    Server,
    /// Another connection is open still, as in a rolling deploy: once a minute, then less often.
    Occupied,
    /// Too many calls: not before this time in milliseconds, when X names one.
    RateLimited(Option<i64>),
    /// Nothing here can repair it, but it may pass: retry rarely.
    Slow,
    /// The rules are missing or wrong: set them, then try again.
    Rules,
    /// The token is rejected: read it again, and stop when it is the same.
    Token,
    /// Stop: a person has to act.
    Refused,
}

/// Why a call failed or a stream ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// What to do.
    pub class: Class,
    /// What happened, and what to do about it if anything can be done.
    pub reason: String,
}

impl Failure {
    /// The network failed.
    pub(super) fn network(reason: impl Into<String>) -> Self {
        Self { class: Class::Network, reason: reason.into() }
    }

    pub(super) fn new(class: Class, reason: impl Into<String>) -> Self {
        Self { class, reason: reason.into() }
    }
}

/// A problem document, in any of the shapes that X sends. All of it may be missing.
#[derive(Debug, Default)]
pub(super) struct Problem {
    pub(super) kind: String,
    title: String,
    detail: String,
    /// `disconnect_type`, `connection_issue` or `reason`.
    issue: String,
}

impl Problem {
    pub(super) fn of(value: &Value) -> Self {
        let value = value.get("errors").and_then(|errors| errors.get(0)).unwrap_or(value);
        let text = |keys: &[&str]| -> String {
            let found = keys.iter().find_map(|key| value.get(key).and_then(Value::as_str));
            printable(found.unwrap_or_default())
        };
        let kind = text(&["type"]);
        Self {
            // Both api.x.com and api.twitter.com occur.
            kind: kind.rsplit_once("/problems/").map(|(_, kind)| kind.to_owned()).unwrap_or_default(),
            title: text(&["title", "error"]),
            detail: text(&["detail", "message"]),
            issue: text(&["disconnect_type", "connection_issue", "reason"]),
        }
    }

    /// In one line for people.
    pub(super) fn said(&self) -> String {
        let mut parts = vec![&*self.title, &self.issue, &self.detail];
        parts.retain(|part| !part.is_empty());
        parts.dedup();
        if parts.is_empty() { "no reason given".into() } else { parts.join(", ") }
    }
}

/// What an answer other than 2xx asks for.
#[must_use]
pub fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8], now_ms: i64) -> Failure {
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let problem = Problem::of(&value);
    let said = problem.said();
    if let Some(failure) = by_problem(&problem) {
        return failure;
    }
    match status.as_u16() {
        401 => Failure::new(
            Class::Token,
            format!("X rejected the bearer token ({said}): put the app's bearer token into X_BEARER_TOKEN"),
        ),
        402 => no_credits(&said),
        403 => Failure::new(
            Class::Refused,
            format!(
                "X refuses this app access to the filtered stream ({said}): check that the app belongs to a project with access to it in the developer console"
            ),
        ),
        404 => {
            Failure::new(Class::Refused, format!("X has no such address ({said}): correct the url of x in --source"))
        }
        409 => Failure::new(Class::Rules, format!("X has no rules for the stream ({said})")),
        429 => {
            let number = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
            let reset = number("x-rate-limit-reset").map(|secs| secs.saturating_mul(1000));
            // A limit that is not used up does not determine the wait, nor does a time past or farther
            // ahead than X limits calls, as it is when our clock is wrong.
            let is_used_up = number("x-rate-limit-remaining").is_none_or(|left| left == 0);
            let reset = reset.filter(|at| is_used_up && (now_ms..now_ms + LONGEST_LIMIT_MS).contains(at));
            let until = reset.map(|at| format!(" until {}", rfc3339(at))).unwrap_or_default();
            Failure::new(Class::RateLimited(reset), format!("too many calls to X, waiting{until} ({said})"))
        }
        408 | 425 => Failure::new(Class::Server, format!("X answered {status} ({said})")),
        400..500 => Failure::new(Class::Refused, format!("X does not accept the request: {status} ({said})")),
        _ => Failure::new(Class::Server, format!("X is failing: {status} ({said})")),
    }
}

fn no_credits(said: &str) -> Failure {
    Failure::new(
        Class::Refused,
        format!(
            "X requires payment ({said}): add credits or raise the spending limit in the developer console, then start again"
        ),
    )
}

/// What a line of the stream with `errors` and without a post asks for.
#[must_use]
pub fn classify_line(line: &[u8]) -> Failure {
    let problem = Problem::of(&serde_json::from_slice(line).unwrap_or(Value::Null));
    by_problem(&problem)
        .unwrap_or_else(|| Failure::new(Class::Closed, format!("X closed the stream ({})", problem.said())))
}

/// What is the same in an answer and in a line.
fn by_problem(problem: &Problem) -> Option<Failure> {
    let said = problem.said();
    let failure = match (problem.kind.as_str(), problem.issue.as_str()) {
        (_, "TooManyConnections") => Failure::new(
            Class::Occupied,
            "another connection with this token is open; waiting for it to end, as it does in a rolling deploy",
        ),
        (_, "ProvisioningSubscription") => {
            Failure::new(Class::Occupied, "X is setting the subscription up; waiting for it")
        }
        (_, "RuleConfigurationIssue" | "RulesInvalidIssue" | "InvalidRules") => {
            Failure::new(Class::Rules, format!("X reports invalid rules ({said}); setting them again"))
        }
        (_, "SlowReader") => Failure::new(
            Class::Closed,
            "X closed the stream because we read too slowly: give the streamer more CPU, or find out why the log is slow",
        ),
        (_, "ClientApplicationStateDegraded") => Failure::new(
            Class::Slow,
            format!("X reports that the app is in a degraded state ({said}): check it in the developer console"),
        ),
        ("usage-capped", _) => Failure::new(
            Class::Slow,
            format!(
                "the posts of the plan are used up ({said}): raise the cap in the developer console, or wait for the next period"
            ),
        ),
        ("credits" | "credits-depleted", _) => no_credits(&said),
        _ => return None,
    };
    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_779_514_867_000;

    fn class(status: u16, body: &str) -> Class {
        classify(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), NOW_MS).class
    }

    #[test]
    fn each_answer_asks_for_the_reaction_in_the_table() {
        let connection = |issue: &str, host: &str| {
            format!(
                r#"{{"title":"ConnectionException","connection_issue":"{issue}","type":"https://api.{host}.com/2/problems/streaming-connection"}}"#
            )
        };
        for (status, body, wanted) in [
            (400, r#"{"title":"Invalid Request"}"#.into(), Class::Refused),
            (401, r#"{"title":"Unauthorized","status":401,"type":"about:blank"}"#.into(), Class::Token),
            (402, r#"{"title":"CreditsDepleted","type":"https://api.x.com/2/problems/credits"}"#.into(), Class::Refused),
            (402, "payment required".into(), Class::Refused),
            (403, r#"{"reason":"client-not-enrolled","type":"https://api.x.com/2/problems/client-forbidden"}"#.into(), Class::Refused),
            (404, "<html>".into(), Class::Refused),
            (409, "{}".into(), Class::Rules),
            (409, connection("RuleConfigurationIssue", "x"), Class::Rules),
            (429, connection("TooManyConnections", "x"), Class::Occupied),
            (429, connection("TooManyConnections", "twitter"), Class::Occupied),
            (429, connection("ProvisioningSubscription", "x"), Class::Occupied),
            (429, r#"{"title":"UsageCapExceeded","period":"Monthly","type":"https://api.twitter.com/2/problems/usage-capped"}"#.into(), Class::Slow),
            (429, r#"{"code":32,"message":"slow down"}"#.into(), Class::RateLimited(None)),
            (500, "".into(), Class::Server),
            (503, r#"{"errors":[{"message":"over capacity"}]}"#.into(), Class::Server),
        ] {
            assert_eq!(class(status, &body), wanted, "{status} {body}");
        }
    }

    #[test]
    fn a_message_of_x_is_one_line_and_appears_once() {
        let said = |body: &str| Problem::of(&serde_json::from_str(body).unwrap()).said();
        assert_eq!(said(r#"{"title":"Too Many Requests","detail":"Too Many Requests"}"#), "Too Many Requests");
        assert_eq!(said(r#"{"title":"Invalid","detail":" a\nb\u001b[2J "}"#), "Invalid, a b\u{fffd}[2J");
        assert_eq!(said(&format!(r#"{{"title":"{}"}}"#, "é".repeat(999))).chars().count(), 300);
        assert_eq!(said("{}"), "no reason given");
    }

    #[test]
    fn each_line_of_errors_asks_for_the_reaction_in_the_table() {
        for (kind, wanted) in [
            ("OperationalDisconnect", Class::Closed),
            ("UpstreamOperationalDisconnect", Class::Closed),
            ("ForceDisconnect", Class::Closed),
            ("UpstreamUncleanDisconnect", Class::Closed),
            ("InternalError", Class::Closed),
            ("SlowReader", Class::Closed),
            ("InvalidRules", Class::Rules),
            ("ClientApplicationStateDegraded", Class::Slow),
            ("something new", Class::Closed),
        ] {
            let line = format!(
                r#"{{"errors":[{{"title":"operational-disconnect","disconnect_type":"{kind}","detail":"d","type":"https://api.x.com/2/problems/operational-disconnect"}}]}}"#
            );
            assert_eq!(classify_line(line.as_bytes()).class, wanted, "{kind}");
        }
        assert_eq!(classify_line(b"{\"errors\":7}").class, Class::Closed);
    }

    #[test]
    fn a_wait_comes_from_a_limit_that_is_used_up_only() {
        let reset = |remaining: &str, reset: i64| {
            let mut headers = HeaderMap::new();
            headers.insert("x-rate-limit-remaining", remaining.parse().unwrap());
            headers.insert("x-rate-limit-reset", reset.to_string().parse().unwrap());
            classify(StatusCode::TOO_MANY_REQUESTS, &headers, b"", NOW_MS).class
        };
        let secs = NOW_MS / 1000;
        assert_eq!(reset("0", secs + 60), Class::RateLimited(Some(NOW_MS + 60_000)));
        assert_eq!(reset("39999", secs + 60), Class::RateLimited(None));
        assert_eq!(reset("0", secs - 60), Class::RateLimited(None));
        assert_eq!(reset("0", secs + 23 * 3600), Class::RateLimited(None), "our clock is behind");
        assert_eq!(reset("0", i64::MAX), Class::RateLimited(None));
    }
}
