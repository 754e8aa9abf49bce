//! Calls of the X API v2, and what its errors ask for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use birdsong_domain::time::rfc3339;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Body, Http, HttpError, printable, read_all};
use crate::live::Clock;

use super::rules::{MAX_RULES, Rule};

/// Longest that an answer's head may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read; 1,000 rules of 1,024 characters are about 4 MB.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// X limits calls by 15 minutes; one more for clocks that differ. In milliseconds.
const LONGEST_LIMIT_MS: i64 = 16 * 60_000;
/// Most pages of rules: more than the largest account has.
const MAX_PAGES: usize = 100;
/// Rules changed by one call.
const RULES_A_CALL: usize = 100;

/// A bearer token, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token; white space around it is dropped.
    ///
    /// # Errors
    /// When it is empty or cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        match text {
            "" => Err("the bearer token is empty"),
            text if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Self(text.into())),
            _ => Err("the bearer token has characters that no token has"),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// Reads the token anew, such as from a file that was changed.
pub type ReadToken = Arc<dyn Fn() -> Result<Token, String> + Send + Sync>;

/// What has to happen before the next try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// The network failed: try again soon.
    Network,
    /// X closed the stream: at once, then less and less often.
    Closed,
    /// X has trouble: less and less often.
    Server,
    /// Another connection is open still, as in a rolling deploy: once a minute, then less often.
    Occupied,
    /// Too many calls: not before this time in milliseconds, when X says one.
    RateLimited(Option<i64>),
    /// Nothing that we do mends it, but it may pass: seldom.
    Slow,
    /// The rules are missing or wrong: set them, then try again.
    Rules,
    /// The token is not taken: read it again, and stop when it is the same.
    Token,
    /// Stop: somebody has to do something.
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

    fn new(class: Class, reason: impl Into<String>) -> Self {
        Self { class, reason: reason.into() }
    }
}

/// What a problem says of itself, in any of the shapes that X gives. All of it may be missing.
#[derive(Debug, Default)]
struct Problem {
    kind: String,
    title: String,
    detail: String,
    /// `disconnect_type`, `connection_issue` or `reason`.
    issue: String,
}

impl Problem {
    fn of(value: &Value) -> Self {
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
    fn said(&self) -> String {
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
            format!("X does not take the bearer token ({said}): put the app's bearer token into X_BEARER_TOKEN"),
        ),
        402 => no_credits(&said),
        403 => Failure::new(
            Class::Refused,
            format!(
                "X does not let this app use the filtered stream ({said}): see that the app belongs to a project with access to it in the developer console"
            ),
        ),
        404 => Failure::new(Class::Refused, format!("X knows no such address ({said}): correct --x-url")),
        409 => Failure::new(Class::Rules, format!("X has no rules for the stream ({said})")),
        429 => {
            let number = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
            let reset = number("x-rate-limit-reset").map(|secs| secs.saturating_mul(1000));
            // A limit that is not used up tells nothing about the wait, nor does a time past or farther
            // ahead than X limits calls, as it is when our own clock is wrong.
            let is_told = number("x-rate-limit-remaining").is_none_or(|left| left == 0);
            let reset = reset.filter(|at| is_told && (now_ms..now_ms + LONGEST_LIMIT_MS).contains(at));
            let until = reset.map(|at| format!(" until {}", rfc3339(at))).unwrap_or_default();
            Failure::new(Class::RateLimited(reset), format!("too many calls to X, waiting{until} ({said})"))
        }
        408 | 425 => Failure::new(Class::Server, format!("X answered {status} ({said})")),
        400..500 => Failure::new(Class::Refused, format!("X does not accept the request: {status} ({said})")),
        _ => Failure::new(Class::Server, format!("X has trouble: {status} ({said})")),
    }
}

fn no_credits(said: &str) -> Failure {
    Failure::new(
        Class::Refused,
        format!(
            "X wants to be paid first ({said}): add credits or raise the spending limit in the developer console, then start again"
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
            Failure::new(Class::Rules, format!("X finds the rules wrong ({said}); setting them again"))
        }
        (_, "SlowReader") => Failure::new(
            Class::Closed,
            "X closed the stream because we read too slowly: give the streamer more CPU, or see why the log is slow",
        ),
        (_, "ClientApplicationStateDegraded") => Failure::new(
            Class::Slow,
            format!("X says that the app is in a degraded state ({said}): look at it in the developer console"),
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

/// A rule as X has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SetRule {
    /// Given by X.
    pub id: String,
    /// What it asks for.
    pub value: String,
    /// What its posts are marked with.
    #[serde(default)]
    pub tag: String,
}

/// What has to change so that X has exactly the wanted rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Rules to add.
    pub add: Vec<Rule>,
    /// Rules to delete.
    pub delete: Vec<SetRule>,
    /// Rules that stay.
    pub same: usize,
    /// Rules of somebody else that are left alone.
    pub foreign: Vec<SetRule>,
}

impl Diff {
    /// From what is set to what is wanted, by value and tag.
    #[must_use]
    pub fn new(set: Vec<SetRule>, wanted: &[Rule]) -> Self {
        let is_set = |rule: &&Rule| set.iter().any(|set| set.value == rule.value && set.tag == rule.tag);
        let add: Vec<_> = wanted.iter().filter(|rule| !is_set(rule)).cloned().collect();
        let same = wanted.len() - add.len();
        let is_extra = |set: &SetRule| wanted.iter().all(|rule| set.value != rule.value || set.tag != rule.tag);
        Self { add, delete: set.into_iter().filter(is_extra).collect(), same, foreign: vec![] }
    }

    /// Leaves alone the rules that have one of these tags. A rule of ours that asks for the very same is
    /// not added: X refuses a value twice, and its posts come by the other one.
    #[must_use]
    pub fn sparing(mut self, tags: &[String]) -> Self {
        let (foreign, delete) = self.delete.into_iter().partition(|rule| tags.contains(&rule.tag));
        (self.foreign, self.delete) = (foreign, delete);
        let before = self.add.len();
        self.add.retain(|rule| self.foreign.iter().all(|foreign| foreign.value != rule.value));
        self.same += before - self.add.len();
        self
    }

    /// Those of the tags that no rule of somebody else has: nothing comes for them.
    #[must_use]
    pub fn missing<'a>(&self, tags: &'a [String]) -> Vec<&'a str> {
        let is_there = |tag: &str| self.foreign.iter().any(|rule| rule.tag == tag);
        tags.iter().map(String::as_str).filter(|tag| !is_there(tag)).collect()
    }

    /// Nothing has to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.delete.is_empty()
    }
}

/// Posts read at X, as it counts them itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// By day (days since 1970), where X tells it.
    pub days: Vec<(i64, u64)>,
}

/// The API under one address and token.
#[derive(Debug)]
pub struct Api<H> {
    http: H,
    base: String,
    token: Mutex<Token>,
    /// It was told that the usage cannot be read.
    has_warned: AtomicBool,
}

impl<H: Http> Api<H> {
    /// `base` is such as `https://api.x.com`.
    pub fn new(http: H, base: &str, token: Token) -> Self {
        Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            token: Mutex::new(token),
            has_warned: AtomicBool::new(false),
        }
    }

    /// Takes another token; `false` when it is the one that is used already.
    pub(super) fn change_token(&self, token: Token) -> bool {
        std::mem::replace(&mut *self.token.lock(), token.clone()) != token
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        gzip: bool,
        body: Option<&Value>,
        clock: &Clock,
    ) -> Result<Body, Failure> {
        let token = self.token.lock().0.clone();
        let mut authorization = http::HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::new(Class::Refused, "the bearer token has characters that no token has"))?;
        authorization.set_sensitive(true);
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(http::header::AUTHORIZATION, authorization);
        if !gzip {
            request = request.header(http::header::ACCEPT_ENCODING, "identity");
        }
        if body.is_some() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default()).map_err(|error| {
                Failure::new(Class::Refused, format!("the address of X cannot be used: {error}; correct --x-url"))
            })?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.http.send(request)).await;
        let answer = answer
            .map_err(|_| Failure::network("X does not answer"))?
            .map_err(|HttpError(reason)| Failure::network(format!("X cannot be reached: {reason}")))?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let (head, body) = answer.into_parts();
        // Without its body the status still says what to do.
        let body = tokio::time::timeout(ANSWER_TIMEOUT, read_all(body, 1 << 16)).await;
        let mut failure =
            classify(head.status, &head.headers, &body.ok().and_then(Result::ok).unwrap_or_default(), clock());
        if head.status == StatusCode::BAD_REQUEST && path.contains("backfill_minutes") {
            failure.reason += "; only enterprise access has a backfill: leave off --x-backfill-minutes";
        }
        Err(failure)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>, clock: &Clock) -> Result<Value, Failure> {
        let answer = self.send(method, path, false, body, clock).await?;
        let bytes = tokio::time::timeout(ANSWER_TIMEOUT, read_all(answer, MAX_ANSWER_BYTES)).await;
        let bytes = bytes
            .map_err(|_| Failure::network("an answer of X does not end"))?
            .map_err(|HttpError(reason)| Failure::network(format!("an answer of X broke off: {reason}")))?;
        serde_json::from_slice(&bytes).map_err(|_| Failure::new(Class::Server, "X answered something that is no JSON"))
    }

    /// Opens the stream.
    pub(super) async fn connect(&self, query: &str, gzip: bool, clock: &Clock) -> Result<Body, Failure> {
        self.send(Method::GET, &format!("/2/tweets/search/stream?{query}"), gzip, None, clock).await
    }

    /// All rules that are set.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn rules(&self, clock: &Clock) -> Result<Vec<SetRule>, Failure> {
        let mut rules = vec![];
        let mut path = format!("{RULES}?max_results={MAX_RULES}");
        for _ in 0..MAX_PAGES {
            let mut page = self.call(Method::GET, &path, None, clock).await?;
            // Without any rule there is no `data`.
            if let Some(data) = page.get_mut("data").map(Value::take) {
                let more: Vec<SetRule> = serde_json::from_value(data)
                    .map_err(|_| Failure::new(Class::Server, "X lists rules of an unknown shape"))?;
                rules.extend(more);
            }
            let next = page.get("meta").and_then(|meta| meta.get("next_token")).and_then(Value::as_str);
            let Some(next) = next.filter(|next| !next.is_empty()) else { return Ok(rules) };
            path = format!("{RULES}?max_results={MAX_RULES}&pagination_token={}", escaped(next));
        }
        Err(Failure::new(Class::Server, "the list of rules at X does not end"))
    }

    /// Has the rules that would be added checked by X, without setting them.
    ///
    /// # Errors
    /// When the call fails, or X refuses a rule: then the text says which and why.
    pub async fn check(&self, diff: &Diff, clock: &Clock) -> Result<(), Failure> {
        self.add(&diff.add, true, &diff.delete, clock).await
    }

    /// Makes the changes. What is new comes before what is old goes, where there is room for both, so
    /// that no post falls between.
    ///
    /// # Errors
    /// When a call fails or X refuses a rule. What was done before stays done; list again.
    pub async fn apply(&self, diff: &Diff, clock: &Clock) -> Result<(), Failure> {
        let fits = diff.same + diff.add.len() + diff.delete.len() + diff.foreign.len() <= MAX_RULES;
        // X takes no value twice, so one that only gets another tag must go first.
        let is_free = |rule: &&Rule| fits && diff.delete.iter().all(|old| old.value != rule.value);
        let (first, then): (Vec<_>, Vec<_>) = diff.add.iter().partition(is_free);
        let owned = |rules: Vec<&Rule>| rules.into_iter().cloned().collect::<Vec<_>>();
        self.add(&owned(first), false, &[], clock).await?;
        for part in diff.delete.chunks(RULES_A_CALL) {
            let ids: Vec<_> = part.iter().map(|rule| &rule.id).collect();
            self.call(Method::POST, RULES, Some(&json!({"delete": {"ids": ids}})), clock).await?;
        }
        self.add(&owned(then), false, &[], clock).await
    }

    async fn add(&self, rules: &[Rule], is_dry: bool, leaving: &[SetRule], clock: &Clock) -> Result<(), Failure> {
        let path = if is_dry { format!("{RULES}?dry_run=true") } else { RULES.to_owned() };
        for part in rules.chunks(RULES_A_CALL) {
            let answer = self.call(Method::POST, &path, Some(&json!({"add": part})), clock).await?;
            // Even a 2xx may refuse some.
            let errors = answer.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let mut problems = vec![];
            for error in errors {
                let value = error.get("value").and_then(Value::as_str).unwrap_or_default();
                let is_duplicate = Problem::of(error).kind == "duplicate-rules";
                // In a dry run the one with the other tag is there still; in a real one somebody else may
                // have set it meanwhile, which the next listing shows.
                if is_duplicate && (!is_dry || leaving.iter().any(|rule| rule.value == value)) {
                    continue;
                }
                let details = error.get("details").and_then(Value::as_array);
                let details: Vec<_> = details.into_iter().flatten().filter_map(Value::as_str).map(printable).collect();
                let why = if details.is_empty() { Problem::of(error).said() } else { details.join("; ") };
                problems.push(format!("{value:?}: {why}"));
            }
            if !problems.is_empty() {
                let list = problems.join("\n  ");
                return Err(Failure::new(
                    Class::Refused,
                    format!("X refuses rules, change their regions (`birdsong rules show` tells which):\n  {list}"),
                ));
            }
        }
        Ok(())
    }

    /// Posts read in the last month, of all apps of the project.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn usage(&self, clock: &Clock) -> Result<Usage, Failure> {
        let path = "/2/usage/tweets?days=31&usage.fields=daily_project_usage,daily_client_app_usage";
        let answer = self.call(Method::GET, path, None, clock).await?;
        let days = usage_days(&answer);
        if days.is_none() && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "X tells what was used in a shape that is not known, so that the budget goes by what is counted here alone; \
                 posts read with the same project elsewhere do not show"
            );
        }
        Ok(Usage { days: days.unwrap_or_default() })
    }
}

/// Posts by day, days since 1970, from an answer in any of the shapes that X documents; `None` when it
/// has none of them.
fn usage_days(answer: &Value) -> Option<Vec<(i64, u64)>> {
    let data = answer.get("data")?;
    let mut days = BTreeMap::<i64, u64>::new();
    let mut add = |entry: &Value| -> Option<()> {
        let date = entry.get("date")?.as_str()?.get(..10)?;
        let ms = birdsong_domain::time::parse_rfc3339(&format!("{date}T00:00:00Z"))?;
        // A number, or one for each app.
        let usage = entry.get("usage")?;
        let posts = match usage.as_array() {
            Some(apps) => apps.iter().map(|app| number(app.get("tweets_consumed").or(app.get("usage"))?)).sum(),
            None => number(usage),
        }?;
        let sum = days.entry(ms.div_euclid(86_400_000)).or_default();
        *sum = sum.saturating_add(posts);
        Some(())
    };
    // An object with a list in it by the specification, a list by the introduction; by app, where that
    // is all that was told.
    let project = data.get("daily_project_usage");
    if let Some(list) = project.and_then(|project| project.get("usage").unwrap_or(project).as_array()) {
        list.iter().try_for_each(&mut add)?;
    } else {
        for app in data.get("daily_client_app_usage")?.as_array()? {
            app.get("usage")?.as_array()?.iter().try_for_each(&mut add)?;
        }
    }
    Some(days.into_iter().collect())
}

/// A number, or one in a text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// As it can stand in a query.
fn escaped(text: &str) -> String {
    let one = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

const RULES: &str = "/2/tweets/search/stream/rules";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_779_514_867_000;

    fn class(status: u16, body: &str) -> Class {
        classify(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), NOW_MS).class
    }

    #[test]
    fn each_answer_asks_for_what_the_table_says() {
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
    fn what_x_says_is_one_line_and_is_said_once() {
        let said = |body: &str| Problem::of(&serde_json::from_str(body).unwrap()).said();
        assert_eq!(said(r#"{"title":"Too Many Requests","detail":"Too Many Requests"}"#), "Too Many Requests");
        assert_eq!(said(r#"{"title":"Invalid","detail":" a\nb\u001b[2J "}"#), "Invalid, a b\u{fffd}[2J");
        assert_eq!(said(&format!(r#"{{"title":"{}"}}"#, "é".repeat(999))).chars().count(), 300);
        assert_eq!(said("{}"), "no reason given");
    }

    #[test]
    fn each_line_of_errors_asks_for_what_the_table_says() {
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
    fn a_wait_is_taken_from_a_limit_that_is_used_up_only() {
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

    #[test]
    fn the_usage_is_read_in_each_shape_that_is_documented() {
        let day = 20_596; // 2026-05-23
        for (data, wanted) in [
            (
                json!({"daily_project_usage": {"project_id": "1", "usage": [{"date": "2026-05-23T00:00:00.000Z", "usage": "7"}]}}),
                Some(7),
            ),
            (
                json!({"daily_project_usage": {"usage": [{"date": "2026-05-23", "usage": 7}]}, "daily_client_app_usage": [{"usage": [{"date": "2026-05-23", "usage": 9}]}]}),
                Some(7),
            ),
            (
                json!({"daily_project_usage": [{"date": "2026-05-23", "usage": [{"app_id": "1", "tweets_consumed": 3}, {"app_id": "2", "tweets_consumed": 4}]}]}),
                Some(7),
            ),
            (json!({"daily_project_usage": [{"date": "2026-05-23", "usage": "7"}]}), Some(7)),
            (
                json!({"daily_client_app_usage": [{"client_app_id": "1", "usage": [{"date": "2026-05-23", "usage": "3"}]}, {"usage": [{"date": "2026-05-23", "usage": "4"}]}]}),
                Some(7),
            ),
            (json!({"daily_project_usage": {"usage": [{"day": "2026-05-23", "posts": "7"}]}}), None),
            (json!({"daily_project_usage": {"usage": [{"date": "yesterday", "usage": "7"}]}}), None),
            (json!({"project_usage": "43435", "project_cap": "3000000"}), None),
        ] {
            assert_eq!(usage_days(&json!({"data": data})), wanted.map(|posts| vec![(day, posts)]), "{data}");
        }
        assert_eq!(usage_days(&json!({"data": {"daily_project_usage": {"usage": []}}})), Some(vec![]));
        assert_eq!(usage_days(&json!([])), None);
    }

    #[test]
    fn a_token_of_a_page_is_escaped() {
        assert_eq!(escaped("aZ09-_.~"), "aZ09-_.~");
        assert_eq!(escaped("b+/=&é"), "b%2B%2F%3D%26%C3%A9");
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" AAAA%2Bsecret\n").unwrap();
        assert_eq!((format!("{token:?}").as_str(), token.0.as_str()), ("Token(secret)", "AAAA%2Bsecret"));
        assert!(Token::new(" ").is_err() && Token::new("a b").is_err() && Token::new("é").is_err());
    }

    #[test]
    fn rules_differ_by_value_and_tag() {
        let set = |id: &str, value: &str, tag: &str| SetRule { id: id.into(), value: value.into(), tag: tag.into() };
        let rule = |value: &str, tag: &str| Rule { value: value.into(), tag: tag.into() };
        let diff = Diff::new(
            vec![set("1", "a", "t"), set("2", "b", "t"), set("3", "c", "")],
            &[rule("a", "t"), rule("b", "u")],
        );
        assert_eq!((diff.same, &diff.add, diff.delete.len()), (1, &vec![rule("b", "u")], 2));
        assert!(Diff::new(vec![set("1", "a", "t")], &[rule("a", "t")]).is_empty());
    }

    #[test]
    fn rules_of_others_are_left_alone() {
        let set = |id: &str, value: &str, tag: &str| SetRule { id: id.into(), value: value.into(), tag: tag.into() };
        let rule = |value: &str, tag: &str| Rule { value: value.into(), tag: tag.into() };
        let theirs = ["storm".to_owned(), "Hail".to_owned()];
        let at_x = vec![set("1", "a", "r:text"), set("2", "b", "storm"), set("3", "c", "storm"), set("4", "d", "hail")];
        let diff = Diff::new(at_x, &[rule("a", "r:text"), rule("b", "r:text"), rule("e", "r:text")]).sparing(&theirs);
        assert_eq!(diff.foreign, [set("2", "b", "storm"), set("3", "c", "storm")]);
        assert_eq!(diff.delete, [set("4", "d", "hail")], "another tag");
        assert_eq!((&diff.add, diff.same), (&vec![rule("e", "r:text")], 2), "X takes no value twice");
        assert_eq!(diff.missing(&theirs), ["Hail"]);
        assert!(Diff::new(vec![set("1", "a", "storm")], &[]).sparing(&theirs).is_empty());
    }
}
