//! The state of a source in answers.

use birdsong_domain::network::Network;
use birdsong_domain::status;
use birdsong_domain::time::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::described::described;

described! {
    /// What a source is doing.
    pub enum SourceStatus {
        /// It has not connected yet.
        Starting,
        /// It delivers posts of the past before those of the present.
        Backfill,
        /// It delivers posts.
        Connected,
        /// It is not connected, and tries again.
        Waiting,
        /// It does not deliver posts until the streamer is started again.
        Stopped,
        /// Its last report is older than 90 seconds: the streamer has ended, or cannot reach the store.
        Stale,
    }
}

impl From<status::SourceStatus> for SourceStatus {
    fn from(status: status::SourceStatus) -> Self {
        match status {
            status::SourceStatus::Starting => Self::Starting,
            status::SourceStatus::Backfill => Self::Backfill,
            status::SourceStatus::Connected => Self::Connected,
            status::SourceStatus::Waiting => Self::Waiting,
            status::SourceStatus::Stopped => Self::Stopped,
            status::SourceStatus::Stale => Self::Stale,
        }
    }
}

/// The state of a source.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub struct SourceReport {
    /// Name of the source, such as `x`, `bluesky` or `mastodon:HOST`.
    #[schema(min_length = 1)]
    source: String,
    /// Network on which its posts are published, for the parameter `network` of `/api/windows`.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?$")]
    network: Network,
    /// What the source is doing.
    status: SourceStatus,
    /// Why it waits, stopped or is stale, and how to fix it; null when it runs.
    #[schema(required = true)]
    reason: Option<String>,
    /// Why received posts do not reach the log, such as a full disk; null when they do.
    #[schema(required = true)]
    problem: Option<String>,
    /// Event time of its newest post, RFC 3339 in UTC; null before the first one.
    #[schema(required = true, format = DateTime)]
    last_post: Option<String>,
    /// Start of the current connection, RFC 3339 in UTC; null while there is none.
    #[schema(required = true, format = DateTime)]
    connected_since: Option<String>,
    /// Start of the time without a connection, RFC 3339 in UTC; null while there is one.
    #[schema(required = true, format = DateTime)]
    waiting_since: Option<String>,
    /// Number of connections after the first one, since the start.
    reconnects: u64,
    /// Number of times in which posts may have been missed for good, since the start.
    gaps: u64,
    /// Events that the source delivered again from before the resume point, since the start. They were dropped.
    replayed: u64,
    /// Share of the posts that is asked for, to stay within a budget; null when it is all.
    #[schema(required = true, exclusive_minimum = 0, exclusive_maximum = 1)]
    sampled: Option<f64>,
    /// Money spent at the source since the first of the month, in US dollars; null when it is free.
    #[schema(required = true, minimum = 0)]
    spent_dollars: Option<f64>,
    /// Time of this report, RFC 3339 in UTC. A streamer reports every 30 seconds. Null for a source of the answering
    /// process, whose state is always current.
    #[schema(required = true, format = DateTime)]
    updated_at: Option<String>,
}

impl From<status::SourceState> for SourceReport {
    fn from(state: status::SourceState) -> Self {
        Self {
            source: state.source,
            network: state.network,
            status: state.status.into(),
            reason: state.reason,
            problem: state.problem,
            last_post: state.last_post_ms.map(rfc3339),
            connected_since: state.connected_since_ms.map(rfc3339),
            waiting_since: state.waiting_since_ms.map(rfc3339),
            reconnects: state.reconnects,
            gaps: state.gaps,
            replayed: state.replayed,
            sampled: state.sampled,
            spent_dollars: state.spent_dollars,
            updated_at: state.updated_at_ms.map(rfc3339),
        }
    }
}
