//! Answers of `GET /2/tweets/counts/recent`.

use std::collections::BTreeMap;

use birdsong_domain::time::parse_rfc3339;
use serde_json::Value;

pub(super) const MINUTE_MS: i64 = 60_000;
/// More minutes than X counts are not read.
const MAX_MINUTES: usize = 8 * 1440;
/// Longest token of a page, in bytes.
const MAX_TOKEN_BYTES: usize = 1024;

/// One page of counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Posts by the start of their minute, in milliseconds since 1970, in order.
    pub(super) per_minute: Vec<(i64, u64)>,
    /// Names the next page, if there is one.
    pub(super) next: Option<String>,
}

/// Reads a page: a pure function of the answer. Only whole minutes count; X cuts the first and the last one of a span
/// where the span is cut. `None` when it is of an unknown shape.
pub(super) fn read(answer: &Value) -> Option<Page> {
    let meta = answer.get("meta")?;
    let next = meta.get("next_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    if next.is_some_and(|token| token.len() > MAX_TOKEN_BYTES) {
        return None;
    }
    let mut minutes = BTreeMap::new();
    // Where there is nothing to count, `data` may be missing.
    let data = answer.get("data").map_or(Some(&[][..]), |data| data.as_array().map(Vec::as_slice))?;
    if data.len() > MAX_MINUTES {
        return None;
    }
    for entry in data {
        let time = |key: &str| parse_rfc3339(entry.get(key)?.as_str()?);
        let (start_ms, end_ms) = (time("start")?, time("end")?);
        // Renamed with the other fields in August 2026.
        let posts = entry.get("tweet_count").or(entry.get("post_count"))?.as_u64()?;
        if start_ms.rem_euclid(MINUTE_MS) == 0 && end_ms - start_ms == MINUTE_MS {
            minutes.insert(start_ms, posts);
        }
    }
    Some(Page { per_minute: minutes.into_iter().collect(), next: next.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_minutes_are_read_in_order() {
        let answer = json!({
            "data": [
                {"start": "2026-05-23T12:01:00.000Z", "end": "2026-05-23T12:02:00.000Z", "tweet_count": 7},
                {"start": "2026-05-23T12:00:00.000Z", "end": "2026-05-23T12:01:00.000Z", "tweet_count": 0},
                {"start": "2026-05-23T12:02:00.000Z", "end": "2026-05-23T12:02:31.000Z", "tweet_count": 3},
            ],
            "meta": {"total_tweet_count": 10, "next_token": "b+/="},
        });
        let noon_ms = 1_779_537_600_000;
        let page = Page { per_minute: vec![(noon_ms, 0), (noon_ms + MINUTE_MS, 7)], next: Some("b+/=".into()) };
        assert_eq!(read(&answer), Some(page));
        assert_eq!(read(&json!({"meta": {"total_tweet_count": 0}})), Some(Page::default()));
    }

    #[test]
    fn unknown_shapes_are_no_counts() {
        let with = |entry: Value| json!({"data": [entry], "meta": {}});
        let (start, end) = ("2026-05-23T12:00:00Z", "2026-05-23T12:01:00Z");
        for bad in [
            json!({}),
            json!([]),
            json!({"data": 7, "meta": {}}),
            with(json!({"start": start, "end": end})),
            with(json!({"start": start, "end": end, "tweet_count": -1})),
            with(json!({"start": start, "end": end, "tweet_count": 1.5})),
            with(json!({"start": "yesterday", "end": end, "tweet_count": 1})),
            json!({"meta": {"next_token": "x".repeat(2000)}}),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
