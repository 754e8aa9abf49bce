//! Calls of the X API v2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::http::{Body, Http, HttpError, Token, percent_encoded, printable, read_all};
use crate::source::Clock;

use super::diff::{Diff, SetRule};
use super::problem::{Class, Failure, Problem, classify};
use super::rules::{MAX_RULES, Rule};
use super::usage::{Usage, usage_days};

const RULES: &str = "/2/tweets/search/stream/rules";
/// Time limit for the head of an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read; 1,000 rules of 1,024 characters are about 4 MB.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Most pages of rules: more than the largest account has.
const MAX_PAGES: usize = 100;
/// Rules changed by one call.
const RULES_A_CALL: usize = 100;

/// Reads the token again, such as from a file that was changed.
pub type ReadToken = Arc<dyn Fn() -> Result<Token, String> + Send + Sync>;

/// The API under one address and token.
#[derive(Debug)]
pub struct Api<H> {
    http: H,
    base: String,
    token: Mutex<Token>,
    /// A warning that the usage cannot be read was logged.
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

    /// Uses another token; `false` when it is the same.
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
        let authorization = self.token.lock().header();
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
                Failure::new(
                    Class::Refused,
                    format!("the address of X cannot be used: {error}; correct the url of x in --source"),
                )
            })?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.http.send(request)).await;
        let answer = answer
            .map_err(|_| Failure::network("X does not answer"))?
            .map_err(|HttpError(reason)| Failure::network(format!("X cannot be reached: {reason}")))?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let (head, body) = answer.into_parts();
        // Without its body the status still identifies the remedy.
        let body = tokio::time::timeout(ANSWER_TIMEOUT, read_all(body, 1 << 16)).await;
        let mut failure =
            classify(head.status, &head.headers, &body.ok().and_then(Result::ok).unwrap_or_default(), clock());
        if head.status == StatusCode::BAD_REQUEST && path.contains("backfill_minutes") {
            failure.reason += "; only enterprise access has a backfill: remove the option backfill of x in --source";
        }
        Err(failure)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>, clock: &Clock) -> Result<Value, Failure> {
        Self::json(self.send(method, path, false, body, clock).await?).await
    }

    /// An answer to a GET whose success has to be paid for: the caller reads it by [`Api::json`].
    pub(super) async fn paid(&self, path: &str, clock: &Clock) -> Result<Body, Failure> {
        self.send(Method::GET, path, false, None, clock).await
    }

    /// Reads an answer.
    pub(super) async fn json(answer: Body) -> Result<Value, Failure> {
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
            path = format!("{RULES}?max_results={MAX_RULES}&pagination_token={}", percent_encoded(next));
        }
        Err(Failure::new(Class::Server, "the list of rules at X does not end"))
    }

    /// Has the rules that would be added checked by X, without setting them.
    ///
    /// # Errors
    /// When the call fails, or X refuses a rule: then the text names the rule and the reason.
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
        // X accepts no value twice, so one that only gets another tag must go first.
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
                // In a dry run the one with the other tag is still there; in a real one another client may
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
                    format!("X refuses rules, change their regions (`birdsong rules show` lists them):\n  {list}"),
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
                "X reports its usage in an unknown format, so the budget counts only what is read here, not what the same \
                 project reads elsewhere"
            );
        }
        Ok(Usage { days: days.unwrap_or_default() })
    }
}
