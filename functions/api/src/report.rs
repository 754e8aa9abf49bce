//! The report of a window: a line of `replay --json`, and the largest part of the API's answers.

use birdsong_domain::network::Network;
use birdsong_domain::revision::{Cause, Revision};
use birdsong_domain::time::rfc3339;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::described::described;

pub use crate::span::stored_windows;

/// How many entries the rankings of a report have at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Top {
    pub(crate) hashtags: usize,
    pub(crate) hosts: usize,
}

impl Top {
    /// The same number of each.
    pub(crate) fn of(entries: usize) -> Self {
        Self { hashtags: entries, hosts: entries }
    }
}

impl Default for Top {
    fn default() -> Self {
        Self { hashtags: 20, hosts: 10 }
    }
}

described! {
    /// Whether a window can still change. A step or a total is as provisional as its newest window.
    #[derive(PartialOrd, Ord)]
    pub enum Lifecycle {
        /// It has not begun, is open, or waits for late posts.
        Provisional,
        /// It changed after it was final: late posts came, or the log was reprocessed.
        Revised,
        /// It has ended, and the time for late posts has passed.
        Final,
    }
}

#[allow(clippy::derivable_impls, reason = "the macro takes no attribute on a variant")]
impl Default for Lifecycle {
    fn default() -> Self {
        Self::Provisional
    }
}

/// A hashtag and the number of posts that carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HashtagCount {
    /// The hashtag without `#`, in its most frequent spelling. A hashtag has at most 100 characters; the spelling may
    /// have more before it is normalized.
    #[schema(min_length = 1, max_length = 400)]
    pub tag: String,
    /// Lower bound of the number of posts: there are at least this many.
    #[schema(minimum = 1)]
    pub count: u64,
    /// Upper bound of the posts that `count` may lack; 0 when it is exact.
    pub error: u64,
}

/// A host that posts link to and the number of these posts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HostCount {
    /// The host in lower case, without `www.`.
    #[schema(min_length = 1, max_length = 253)]
    pub host: String,
    /// Lower bound of the number of posts: there are at least this many.
    #[schema(minimum = 1)]
    pub count: u64,
    /// Upper bound of the posts that `count` may lack; 0 when it is exact.
    pub error: u64,
}

/// Number of posts by the filter that placed them in the region. The sum is `posts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LocatedCounts {
    /// The coordinates of the post lie in the region.
    pub point: u64,
    /// The place that the post names lies in the region.
    pub place: u64,
    /// A filter rule at the source matched.
    pub rule: u64,
    /// A keyword, a hashtag or the language matched.
    pub text: u64,
    /// The region has every post.
    pub all: u64,
}

/// Posts of one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NetworkCounts {
    /// Name of the network, such as `x` or `bluesky`.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?$")]
    pub network: Network,
    /// Number of posts: the sum of `originals`, `replies`, `quotes` and `reposts`.
    #[schema(minimum = 1)]
    pub posts: u64,
    /// Posts that are neither reply, quote nor repost.
    pub originals: u64,
    /// Posts that answer another post.
    pub replies: u64,
    /// Posts that quote another post.
    pub quotes: u64,
    /// Posts that only repeat another post.
    pub reposts: u64,
}

/// Time from a live post to the record of the log that has it, in milliseconds. 0 when the clock of the source is
/// ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Lag)]
pub struct LagReport {
    /// Mean of all live posts, in milliseconds.
    pub mean: u64,
    /// Maximum, in milliseconds.
    pub max: u64,
}

described! {
    /// Why counts may be too low.
    pub enum Flaw {
        /// The span, or at least one whole step of it, has not begun. Windows that have not begun are not listed.
        Future,
        /// For at least a part of the span there is no record of a streamer, not even the heartbeat that it sends when
        /// there are no posts.
        Unwatched,
        /// A source had no connection for some time, and its posts of that time cannot be fetched any more.
        Missed,
        /// Posts of this hour, of this or another region, were sent to the log and are not in windows yet: a part of the log
        /// is read late.
        Behind,
        /// Posts were dropped because the log did not answer and the streamer's spool was full.
        Dropped,
        /// A source reported that it did not deliver all posts.
        Withheld,
        /// Lines of a source could not be read. They are in quarantine.
        Unreadable,
        /// Log records or stored windows are damaged, and their posts are missing. `birdsong reprocess` restores what
        /// the log still has.
        Corrupt,
        /// A source was asked for a share of its posts only, to stay within a budget.
        Sampled,
    }
}

described! {
    /// Why counts changed after they were counted.
    pub enum Why {
        /// Posts came after the window was final.
        Late,
        /// `birdsong reprocess` corrected the window by the log or its archive.
        Reprocess,
        /// `birdsong deadletters retry` could read what was damaged.
        Retry,
        /// A newer release counts the same records by another rule, and a reprocess brought it in.
        Rule,
    }
}

/// What changed in windows after they had been counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = Revision)]
pub struct RevisionReport {
    /// When it was changed last, RFC 3339 in UTC; null when not known.
    #[schema(required = true, format = DateTime)]
    pub changed_at: Option<String>,
    /// Why; each reason at most once. Empty when an older release made the change.
    #[schema(max_items = 4)]
    pub why: Vec<Why>,
    /// By how much: posts of the region now minus posts before all changes; null when not known, such as when what was
    /// stored could not be read. 0 when only other counts changed.
    #[schema(required = true)]
    pub change: Option<i64>,
}

impl From<Revision> for RevisionReport {
    fn from(revision: Revision) -> Self {
        let why = |cause| match cause {
            Cause::Late => Why::Late,
            Cause::Reprocess => Why::Reprocess,
            Cause::Retry => Why::Retry,
            Cause::Rule => Why::Rule,
        };
        Self {
            changed_at: revision.at_ms.map(rfc3339),
            why: revision.causes.iter().map(why).collect(),
            change: revision.change,
        }
    }
}

/// Whether anything is missing from the counts, and what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Completeness {
    /// Whether `flaws` is empty: every source was watched all the time, and no post was dropped, sampled or
    /// unreadable. Of an open window: so far.
    pub complete: bool,
    /// What is wrong; each flaw at most once.
    #[schema(max_items = 9)]
    pub flaws: Vec<Flaw>,
    /// Records of the log with posts or heartbeats of the span. 0 means that nothing was watched.
    pub frames: u64,
    /// Posts that the streamer received in the span, for all regions, from the sources of the networks that were asked
    /// for.
    pub received: u64,
    /// Received posts that matched no region.
    pub filtered: u64,
    /// Received lines that could not be read.
    pub quarantined: u64,
    /// Posts of this region in damaged log records, as far as the records show their number.
    pub corrupt: u64,
    /// Received posts that had been received before.
    pub duplicates: u64,
    /// Received posts that were dropped because the log did not answer and the streamer's spool was full.
    pub dropped: u64,
    /// Seconds in which a source had no connection and whose posts cannot be fetched any more. Seconds of several
    /// sources add up.
    pub missed_secs: u64,
    /// Posts that a source reported not to have delivered.
    pub withheld: u64,
    /// Smallest share of its posts that a source was asked for; 1 is all. Counts are not scaled up: they are lower
    /// bounds when it is below 1.
    #[schema(minimum = 0, maximum = 1)]
    pub sampled: f64,
    /// Posts of this region that came after the window was final. They are counted.
    pub late: u64,
}

/// The counts of a region in a window, or in several windows merged into a step or a total.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Window)]
pub struct WindowReport {
    /// Id of the region.
    #[schema(pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$")]
    pub region: String,
    /// Start of the span in event time, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    pub window_start: String,
    /// End of the span in event time, exclusive, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    pub window_end: String,
    /// Whether the counts can still change.
    pub lifecycle: Lifecycle,
    /// What changed after it had been counted; null when nothing did.
    #[schema(required = true)]
    pub revision: Option<RevisionReport>,
    /// Number of posts: the sum of `originals`, `replies`, `quotes` and `reposts`.
    pub posts: u64,
    /// Posts that are neither reply, quote nor repost.
    pub originals: u64,
    /// Posts that answer another post.
    pub replies: u64,
    /// Posts that quote another post.
    pub quotes: u64,
    /// Posts that only repeat another post.
    pub reposts: u64,
    /// The same by network, ordered by name; networks without posts are left out. They add up to the numbers above.
    pub networks: Vec<NetworkCounts>,
    /// Number of distinct authors. An estimate, exact when `authors_low` equals `authors_high`. Never greater than
    /// `posts`.
    pub authors: u64,
    /// Lower bound of the number of distinct authors, with a probability of 95 %.
    pub authors_low: u64,
    /// Upper bound of the number of distinct authors, with a probability of 95 %. Never greater than `posts`.
    pub authors_high: u64,
    /// Posts whose source names no author. Each may have an author of its own, so they widen the bounds.
    pub authorless: u64,
    /// Number of posts in each minute of the span. Empty in totals.
    #[schema(max_items = 1440)]
    pub per_minute: Vec<u64>,
    /// Number of posts by language, most frequent first. Keys are BCP 47 tags; `und` is a post without a language. At
    /// most 1,024 languages; all counts are exact.
    #[serde(serialize_with = "as_map")]
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    pub languages: Vec<(String, u64)>,
    /// Posts in languages that are not in `languages`: beyond the 1,024 shortest tags, or with a tag longer than 35
    /// bytes.
    pub other_languages: u64,
    /// The most frequent hashtags: 20, or in a total as many as `top` asks for. A post counts once for a hashtag.
    #[schema(max_items = 2048)]
    pub hashtags: Vec<HashtagCount>,
    /// Hashtags that are longer than 100 characters. They are not in `hashtags`.
    pub long_hashtags: u64,
    /// Posts as usual in a step like this: at this time of day on the days before, at the level of the two hours before.
    /// Only when it is asked for by name; left out without a baseline of at least two complete days, in totals, in ranges of
    /// more than 62 days, and for several but not all networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub usual: Option<f64>,
    /// Lower end of the range in which the number is on four of five days; as `usual`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub usual_low: Option<f64>,
    /// Upper end of that range; as `usual`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub usual_high: Option<f64>,
    /// Posts in the step as X itself counts them (`--reference x-counts:`), without reposts. Only when it is asked for by
    /// name; left out where not every minute is known, and when X is not among the networks that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<u64>,
    /// Of the posts in `reference`, the share that is counted here: posts of X without reposts, divided by `reference`. It
    /// shows what a sample, a gap or a late start really cost; above 1 when X has deleted posts since. As `reference`; left out
    /// when that is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub reference_share: Option<f64>,
    /// Number of mentions of accounts.
    pub mentions: u64,
    /// Posts with at least one photo, video, GIF or audio attached.
    pub media: u64,
    /// The most frequent hosts that posts link to: 10, or in a total as many as `top` asks for. A post counts once for a host.
    #[schema(max_items = 2048)]
    pub link_hosts: Vec<HostCount>,
    /// Posts by the filter that placed them in the region.
    pub located: LocatedCounts,
    /// Delay of live posts; null when no post was live.
    #[schema(required = true)]
    pub lag_ms: Option<LagReport>,
    /// Whether anything is missing.
    pub completeness: Completeness,
}

fn as_map<S: Serializer>(pairs: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (key, value) in pairs {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

/// Fields that are there only when they are asked for by name.
pub(crate) const REFERENCE: [&str; 2] = ["reference", "reference_share"];
pub(crate) const USUAL: [&str; 3] = ["usual", "usual_low", "usual_high"];
