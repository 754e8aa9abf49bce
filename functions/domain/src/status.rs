//! The status of a source: whether it delivers posts, since when, and if not, why.

use serde::{Deserialize, Deserializer, Serialize};

use crate::network::Network;
use crate::time::{parse_rfc3339, rfc3339};

/// A streamer writes the states of its sources every 30 seconds. A state that is older than this, in
/// milliseconds, is stale: the streamer has ended, or cannot reach the store.
pub const STALE_MS: i64 = 90_000;

/// What a source is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceStatus {
    /// It has not connected yet.
    #[default]
    Starting,
    /// It delivers posts of the past before those of the present.
    Backfill,
    /// It delivers posts.
    Connected,
    /// It is not connected, and tries again.
    Waiting,
    /// It does not deliver posts until the streamer is started again.
    Stopped,
    /// Its last report is older than [`STALE_MS`]. Never stored; see [`SourceState::as_of`].
    Stale,
}

impl SourceStatus {
    /// The name, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Backfill => "backfill",
            Self::Connected => "connected",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Stale => "stale",
        }
    }
}

/// The state of a source, as a streamer reports it. Times are in milliseconds since 1970, UTC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceState {
    /// Name of the source, such as `x` or `mastodon:HOST`.
    pub source: String,
    /// Where its posts are published.
    pub network: Network,
    /// What it is doing.
    #[serde(alias = "state")]
    pub status: SourceStatus,
    /// Why it waits, stopped or is stale, and how to fix it.
    pub reason: Option<String>,
    /// Event time of its newest post.
    #[serde(alias = "last_post", deserialize_with = "time_ms")]
    pub last_post_ms: Option<i64>,
    /// Start of the current connection; `None` while there is none.
    #[serde(alias = "connected_since", deserialize_with = "time_ms")]
    pub connected_since_ms: Option<i64>,
    /// Start of the time without a connection; `None` while there is one.
    #[serde(alias = "waiting_since", deserialize_with = "time_ms")]
    pub waiting_since_ms: Option<i64>,
    /// Until when it waits on purpose, because its budget is used up; `None` when it does not.
    pub paused_until_ms: Option<i64>,
    /// Number of connections after the first one.
    pub reconnects: u64,
    /// Number of times in which posts may have been missed for good.
    pub gaps: u64,
    /// Events since the start that the source delivered again from before the resume point. They were
    /// dropped, and the ledger does not count them again.
    pub replayed: u64,
    /// Share of the posts that is asked for, above 0 and below 1; `None` when it is all.
    pub sampled: Option<f64>,
    /// Money spent at the source since the first of the month, in US dollars; `None` when it is free.
    pub spent_dollars: Option<f64>,
    /// Why received posts do not reach the log, such as a full disk; `None` when they do.
    pub problem: Option<String>,
    /// Time of the report; `None` for a source of this very process.
    #[serde(alias = "told", deserialize_with = "time_ms")] // the name in older reports; words: allow
    pub updated_at_ms: Option<i64>,
}

impl SourceState {
    /// The state as it is known at `now_ms`: stale when the report is too old. The last report of a source that
    /// stopped stays true.
    #[must_use]
    pub fn as_of(self, now_ms: i64) -> Self {
        let Some(updated_at_ms) = self.updated_at_ms else { return self };
        if self.status == SourceStatus::Stopped || now_ms.saturating_sub(updated_at_ms) < STALE_MS {
            return self;
        }
        let before = self.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        let (since, status) = (rfc3339(updated_at_ms), self.status.as_str());
        let reason = format!("no report from the streamer since {since}; the status was {status}{before}");
        Self { status: SourceStatus::Stale, reason: Some(reason), connected_since_ms: None, ..self }
    }
}

/// Milliseconds, or RFC 3339 as older versions wrote it.
fn time_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Time {
        Ms(i64),
        Text(String),
    }
    Ok(Option::<Time>::deserialize(deserializer)?.and_then(|time| match time {
        Time::Ms(ms) => Some(ms),
        Time::Text(text) => parse_rfc3339(&text),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: SourceStatus, updated_at_ms: Option<i64>) -> SourceState {
        SourceState { source: "x".into(), status, connected_since_ms: Some(1), updated_at_ms, ..SourceState::default() }
    }

    #[test]
    fn a_name_is_the_same_in_json_and_in_text() {
        use SourceStatus::{Backfill, Connected, Stale, Starting, Stopped, Waiting};
        for status in [Starting, Backfill, Connected, Waiting, Stopped, Stale] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    // Rule 3.12.
    #[test]
    fn an_old_report_is_stale_but_for_the_last_one_of_a_source_that_stopped() {
        let at = |status, updated| state(status, updated).as_of(STALE_MS).status;
        assert_eq!(at(SourceStatus::Connected, Some(1)), SourceStatus::Connected);
        assert_eq!(at(SourceStatus::Connected, Some(0)), SourceStatus::Stale);
        assert_eq!(at(SourceStatus::Connected, None), SourceStatus::Connected, "a source of this very process");
        assert_eq!(at(SourceStatus::Stopped, Some(0)), SourceStatus::Stopped);
        let waiting = SourceState { reason: Some("closed".into()), ..state(SourceStatus::Waiting, Some(0)) };
        let stale = waiting.as_of(STALE_MS);
        let reason = "no report from the streamer since 1970-01-01T00:00:00Z; the status was waiting (closed)";
        assert_eq!((stale.reason.as_deref(), stale.connected_since_ms), (Some(reason), None));
    }

    #[test]
    fn a_state_survives_json_and_one_of_an_older_version_is_read() {
        let new = SourceState { reason: Some("closed".into()), ..state(SourceStatus::Waiting, Some(90_000)) };
        assert_eq!(serde_json::from_str::<SourceState>(&serde_json::to_string(&new).unwrap()).unwrap(), new);
        let old = r#"{"source":"x","state":"connected","reason":null,"last_post":"1970-01-01T00:00:02Z",
                      "connected_since":"1970-01-01T00:00:00.001Z","told":"1970-01-01T00:01:30Z","reconnects":0,"gaps":0}"#; // words: allow
        let read: SourceState = serde_json::from_str(old).unwrap();
        assert_eq!(read, SourceState { last_post_ms: Some(2000), ..state(SourceStatus::Connected, Some(90_000)) });
    }
}
