//! The table.

use super::{Group, Kind, Metric, Unit};

/// A module with the metrics of a part, and [`Group`] of all of them:
/// `NAME: kind unit, name in CloudWatch, name in Prometheus, meaning`.
macro_rules! group {
    (
        $(#[$doc:meta])*
        $module:ident = $service:literal [$($label:literal),*]
        $($name:ident: $kind:ident $unit:ident, $cloudwatch:expr, $prometheus:expr, $help:literal;)+
    ) => {
        $(#[$doc])*
        pub mod $module {
            use super::{Group, Kind, Metric, Unit};

            $(
                #[doc = concat!($help, ".")]
                pub static $name: Metric = Metric {
                    cloudwatch: $cloudwatch,
                    prometheus: $prometheus,
                    kind: Kind::$kind,
                    unit: Unit::$unit,
                    help: $help,
                };
            )+

            /// All of them.
            pub static GROUP: Group =
                Group { service: $service, labels: &[$($label),*], metrics: &[$(&$name),+] };
        }
    };
}

/// All parts.
pub static GROUPS: [&Group; 5] = [&source::GROUP, &aggregator::GROUP, &digest::GROUP, &http::GROUP, &process::GROUP];

group! {
    /// A source of a streamer.
    source = "streamer" ["source"]
    RECEIVED: Counter Count, Some("received"), Some("birdsong_source_received_posts_total"),
        "Posts that came from the source, readable or not";
    SENT: Counter Count, Some("sent"), Some("birdsong_source_sent_posts_total"),
        "Posts that matched at least one region and went to the log";
    FILTERED: Counter Count, Some("filtered"), Some("birdsong_source_filtered_posts_total"),
        "Posts that matched no region, and notices that are not posts";
    UNREADABLE: Counter Count, Some("unreadable"), Some("birdsong_source_unreadable_posts_total"),
        "Lines that could not be read and went to the quarantine";
    DUPLICATES: Counter Count, Some("duplicates"), Some("birdsong_source_duplicate_posts_total"),
        "Posts that came before";
    DROPPED: Counter Count, Some("dropped"), Some("birdsong_source_dropped_posts_total"),
        "Posts given up because the log was unavailable and the spool full";
    RECONNECTS: Sum Count, Some("reconnects"), Some("birdsong_source_reconnects_total"),
        "Connections after the first one since the start";
    GAPS: Sum Count, Some("gaps"), Some("birdsong_source_gaps_total"),
        "Times since the start in which posts may have been missed for good";
    WAITING: Gauge Bytes, Some("waiting_bytes"), Some("birdsong_source_waiting_bytes"),
        "Frames that wait for the log";
    CONNECTED: Gauge Flag, Some("connected"), Some("birdsong_source_connected"),
        "Whether the source is connected";
    PAUSED: Gauge Flag, Some("paused"), Some("birdsong_source_paused"),
        "Whether the source waits because its budget is used up; missing if it is free";
    SAMPLED: Gauge Ratio, Some("sampled"), Some("birdsong_source_sampled_ratio"),
        "Share of the posts that the source is asked for; 1 is all";
    LAG: Gauge Milliseconds, Some("lag_ms"), Some("birdsong_source_lag_seconds"),
        "Age of the newest post; missing if unknown, negative if the source's clock is ahead";
    SPENT: Gauge Dollars, Some("spent_dollars"), Some("birdsong_source_spent_dollars"),
        "Spent at the source since the first of the month; missing if it is free";
}

group! {
    /// The aggregator.
    aggregator = "aggregator" []
    RECORDS: Counter Count, Some("records"), Some("birdsong_aggregator_records_total"),
        "Log records";
    POSTS: Counter Count, Some("posts"), Some("birdsong_aggregator_posts_total"),
        "Posts folded into windows, late ones among them";
    LATE: Counter Count, Some("late"), Some("birdsong_aggregator_late_posts_total"),
        "Posts that came when their window was final";
    CONFLICTS: Counter Count, Some("conflicts"), Some("birdsong_aggregator_conflicts_total"),
        "Conditional writes repeated because another writer was faster";
    QUARANTINED: Counter Count, Some("quarantined"), Some("birdsong_aggregator_quarantined_records_total"),
        "Damaged records and windows that became dead letters";
    PARTIALS: Counter Count, Some("partials"), Some("birdsong_aggregator_partials_total"),
        "Windows of lanes written to the store";
    ITEM_BYTES: Counter Bytes, Some("item_bytes"), None,
        "Size of the items written to the table";
    LAG: Gauge Milliseconds, Some("lag_ms"), Some("birdsong_aggregator_lag_seconds"),
        "Age of the oldest record of the last batch when its windows were stored";
    BLOCKED: Gauge Flag, None, Some("birdsong_aggregator_blocked"),
        "Whether log or store cannot be used at the moment";
}

group! {
    /// The digest.
    digest = "digest" []
    RUNS: Counter Count, None, Some("birdsong_digest_runs_total"),
        "Runs that ended without a failure";
    FAILURES: Counter Count, None, Some("birdsong_digest_failures_total"),
        "Runs that failed; the next one continues";
    REDONE: Counter Count, Some("redone"), Some("birdsong_digest_redone_periods_total"),
        "Hours and days of regions whose windows had changed";
    ROLLUPS: Counter Count, Some("rollups"), Some("birdsong_digest_rollups_total"),
        "Roll-ups stored or removed";
    CONFLICTS: Counter Count, Some("digest_conflicts"), Some("birdsong_digest_conflicts_total"),
        "Conditional writes repeated because another run was faster";
    DURATION: Gauge Milliseconds, Some("digest_ms"), Some("birdsong_digest_duration_seconds"),
        "Duration of the last run";
    LAST_SUCCESS: Gauge Milliseconds, None, Some("birdsong_digest_last_success_timestamp_seconds"),
        "End of the last run without a failure, since 1970";
}

group! {
    /// The web server of `birdsong run`.
    http = "http" []
    RESPONSES: Counter Count, None, Some("birdsong_http_responses_total"),
        "Answers of the API and the page, by class of the status code";
    DURATION: Histogram Milliseconds, None, Some("birdsong_http_response_duration_seconds"),
        "Time from the head of a request to the head of its answer";
}

group! {
    /// The process.
    process = "process" []
    BUILD: Gauge Flag, None, Some("birdsong_build_info"),
        "Always 1, with the version";
    START: Gauge Milliseconds, None, Some("process_start_time_seconds"),
        "Start of the process, since 1970";
}
