//! Counts by time.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use birdsong_domain::time::{parse_rfc3339, rfc3339};
use serde_json::{Value, json};

use super::{FakeX, answer, mark, too_many_requests, unauthorized, wrong_parameter};
use crate::dice::Dice;
use crate::x::counts::MAX_QUERY_CHARS;

const MINUTE_MS: i64 = 60_000;
const REACH_MS: i64 = 7 * 86_400_000;
/// A span ends at least this long before the request.
const LEAST_AGE_MS: i64 = 10_000;

/// What goes wrong with a request for counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountsTrouble {
    /// Nothing.
    Nothing,
    /// This status.
    Status(u16),
    /// 429 until this many seconds from now, by its headers.
    RateLimited(i64),
    /// Half of the JSON, with status 200.
    Damaged,
    /// JSON of another shape, with status 200.
    Strange,
    /// Neither minutes nor a next page.
    Empty,
}

/// Posts that a server with this seed counts for a query in the minute that starts at `minute_ms`.
#[must_use]
pub fn count_at(seed: u64, query: &str, minute_ms: i64) -> u64 {
    Dice::of(&[seed, u64::from(crc32fast::hash(query.as_bytes())), minute_ms as u64]).below(20)
}

pub(super) async fn recent(
    State(fake): State<FakeX>,
    headers: HeaderMap,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let mut server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    let now_ms = server.now_ms();
    if !server.limits.counts.take() {
        server.delivered.too_many_calls += 1;
        return server.limits.counts.refuse(now_ms);
    }
    let trouble = server.account.counts_trouble.pop_front().unwrap_or(CountsTrouble::Nothing);
    match trouble {
        CountsTrouble::Status(status) => return answer(status, String::new()),
        CountsTrouble::RateLimited(secs) => {
            let mut refused = too_many_requests();
            mark(&mut refused, 300, 0, now_ms + secs * 1000);
            return refused;
        }
        _ => (),
    }
    let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let query = get("query");
    if query.is_empty() || query.chars().count() > MAX_QUERY_CHARS {
        return wrong_parameter("query", query, "a query has 1 to 512 characters");
    }
    let length_ms = match get("granularity") {
        "minute" => MINUTE_MS,
        "" | "hour" => 60 * MINUTE_MS,
        "day" => 1440 * MINUTE_MS,
        other => return wrong_parameter("granularity", other, "it is minute, hour or day"),
    };
    let time = |name: &str, or: i64| if get(name).is_empty() { Some(or) } else { parse_rfc3339(get(name)) };
    let from_ms = match time("start_time", now_ms - REACH_MS) {
        Some(from_ms) if from_ms >= now_ms - REACH_MS => from_ms,
        _ => return wrong_parameter("start_time", get("start_time"), "it is within the last 7 days"),
    };
    let end_ms = match time("end_time", now_ms - 3 * LEAST_AGE_MS) {
        Some(end_ms) if end_ms <= now_ms - LEAST_AGE_MS && end_ms > from_ms => end_ms,
        _ => return wrong_parameter("end_time", get("end_time"), "it is behind start_time and 10 seconds ago"),
    };
    // The newest come first, and a token names the end of the next page.
    let to_ms = match get("next_token") {
        "" => end_ms,
        token => match token.strip_prefix("b+/=").and_then(|ms| ms.parse().ok()) {
            Some(to_ms) if (from_ms..end_ms).contains(&to_ms) => to_ms,
            _ => return wrong_parameter("next_token", token, "it is unknown"),
        },
    };
    let page_ms = length_ms * server.account.counts_a_page as i64;
    let page_from_ms = from_ms.max((to_ms - 1).div_euclid(length_ms) * length_ms + length_ms - page_ms);
    let (mut data, mut total, mut at_ms) = (vec![], 0, page_from_ms);
    while at_ms < to_ms {
        let next_ms = (at_ms.div_euclid(length_ms) * length_ms + length_ms).min(to_ms);
        let minutes = at_ms.div_euclid(MINUTE_MS)..(next_ms + MINUTE_MS - 1).div_euclid(MINUTE_MS);
        let posts: u64 = minutes.map(|minute| count_at(server.options.seed, query, minute * MINUTE_MS)).sum();
        data.push(json!({"start": rfc3339(at_ms), "end": rfc3339(next_ms), "tweet_count": posts}));
        total += posts;
        at_ms = next_ms;
    }
    let mut said = json!({"data": data, "meta": {"total_tweet_count": total}});
    if page_from_ms > from_ms {
        said["meta"]["next_token"] = Value::from(format!("b+/={page_from_ms}"));
    }
    server.delivered.counts += 1;
    let body = match trouble {
        CountsTrouble::Damaged => said.to_string()[..said.to_string().len() / 2].to_owned(),
        CountsTrouble::Strange => json!({"data": {"minutes": []}, "meta": {}}).to_string(),
        CountsTrouble::Empty => json!({"meta": {"total_tweet_count": 0}}).to_string(),
        _ => said.to_string(),
    };
    server.limits.counts.mark(answer(200, body), now_ms).into_response()
}
