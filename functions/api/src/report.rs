//! What is told of a window: the lines of `replay --json` and of the API.

use std::collections::BTreeMap;

use birdsong_domain::frame::{Ledger, STREAM};
use birdsong_domain::ports::{PortError, Row, WindowStore};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::topk::{TopItem, TopK};
use birdsong_domain::window::{Aggregate, FoldRules};
use futures_util::future::try_join;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Hashtags told.
const TOP_HASHTAGS: usize = 20;
/// Link hosts told.
const TOP_HOSTS: usize = 10;

/// Whether a window can still change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Not begun, open, or within its lateness.
    #[default]
    Provisional,
    /// It changed after it was final: by late posts or a reprocess.
    Revised,
    /// Done.
    Final,
}

/// A hashtag and how often it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HashtagCount {
    /// As most people wrote it, without `#`.
    pub tag: String,
    /// Seen at least this often: the count may be too low and is never too high.
    pub count: u64,
    /// Up to so many times more, which a sketch of bounded size does not know; 0 when the count is exact.
    pub error: u64,
}

/// A link host and how often it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostCount {
    /// Lower case, without `www.`.
    pub host: String,
    /// Seen at least this often, as a hashtag.
    pub count: u64,
    /// Up to so many times more.
    pub error: u64,
}

/// Posts by how their region was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LocatedCounts {
    /// By the post's own coordinates.
    pub point: u64,
    /// By the place that it names.
    pub place: u64,
    /// By the source's own rule.
    pub rule: u64,
    /// By keyword, hashtag or language.
    pub text: u64,
    /// The region takes every post.
    pub all: u64,
}

/// Time between a post and the cut of its frame, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LagReport {
    /// Mean.
    pub mean: u64,
    /// Largest.
    pub max: u64,
}

/// Why a window's counts may be too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flaw {
    /// The span, or at least one whole step of it, has not begun.
    Future,
    /// Nobody looked, at least not in all of it: not even a heartbeat came.
    Unwatched,
    /// A source was not listened to for a while, and its posts of that time will not come any more.
    Missed,
    /// Posts were given up, since the log was away and the spool was full.
    Dropped,
    /// A source says that it did not deliver all posts.
    Withheld,
    /// Lines could not be read; they are in quarantine.
    Unreadable,
    /// Log records or stored windows are damaged, and the posts in them are missing. A reprocess restores what the
    /// log still holds.
    Corrupt,
    /// A source was asked for a share of its posts only, to stay within its budget.
    Sampled,
}

/// How sure the counts are that nothing is missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Completeness {
    /// Somebody looked all the time, for all posts, and nothing was dropped or unreadable.
    pub complete: bool,
    /// Why not, when not.
    pub flaws: Vec<Flaw>,
    /// Frames that touched the window; none means that nobody looked.
    pub frames: u64,
    /// Posts that the streamer received in this time, of all regions.
    pub received: u64,
    /// Of these, posts that no region took.
    pub filtered: u64,
    /// Lines that could not be read.
    pub quarantined: u64,
    /// Posts of this region in damaged log records, as far as these say how many.
    pub corrupt: u64,
    /// Posts seen before.
    pub duplicates: u64,
    /// Posts given up, since the log was away and the spool was full.
    pub dropped: u64,
    /// Seconds in which a source was not listened to and whose posts will not come any more.
    pub missed_secs: u64,
    /// Posts that a source says it did not deliver.
    pub withheld: u64,
    /// Smallest share of its posts that a source was asked for, from 0 to 1; 1 is all.
    pub sampled: f64,
    /// Posts of this region that came after the window was final; they are counted.
    pub late: u64,
}

/// All that is told of a window, or of several merged into a step.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WindowReport {
    /// Region id.
    pub region: String,
    /// RFC 3339.
    pub window_start: String,
    /// RFC 3339, exclusive.
    pub window_end: String,
    /// Whether it can still change.
    pub lifecycle: Lifecycle,
    /// Posts of all kinds.
    pub posts: u64,
    /// Posts that are nothing else.
    pub originals: u64,
    /// Answers.
    pub replies: u64,
    /// Quotes.
    pub quotes: u64,
    /// Reposts.
    pub reposts: u64,
    /// Distinct authors, estimated (exact when there are few and each post names its own). Never more than
    /// posts, and never fewer than in a part of the span.
    pub authors: u64,
    /// With 95 % probability (two standard deviations) there are at least so many authors …
    pub authors_low: u64,
    /// … and at most so many.
    pub authors_high: u64,
    /// Posts whose source names no author; they widen the bounds.
    pub authorless: u64,
    /// Posts in each minute; empty in totals.
    pub per_minute: Vec<u64>,
    /// Posts by language, most first; each count is exact.
    #[serde(serialize_with = "as_map")]
    pub languages: Vec<(String, u64)>,
    /// Posts in languages that have no count of their own: there are more than 1024 of them, or the tag is
    /// longer than 35 bytes.
    pub other_languages: u64,
    /// Most frequent hashtags.
    pub hashtags: Vec<HashtagCount>,
    /// Hashtags that were longer than the limit and so are not among `hashtags`.
    pub long_hashtags: u64,
    /// Mentions of accounts.
    pub mentions: u64,
    /// Posts with at least one photo, video, GIF or audio attached.
    pub media: u64,
    /// Most frequent link hosts.
    pub link_hosts: Vec<HostCount>,
    /// How posts were located.
    pub located: LocatedCounts,
    /// Lag; nothing when no post was live.
    pub lag_ms: Option<LagReport>,
    /// How sure the counts are.
    pub completeness: Completeness,
}

fn as_map<S: Serializer>(pairs: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (key, value) in pairs {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

/// What is known of one span of time in one region, ready to be told or merged further.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    start_ms: i64,
    end_ms: i64,
    aggregate: Aggregate,
    ledger: Ledger,
    stream_frames: u64,
    /// Whether log records or the stored window cannot be read, of the region or of the ledger.
    is_damaged: bool,
    lifecycle: Lifecycle,
    /// Whether somebody looked in each of its windows.
    is_watched: bool,
    /// Whether it, or a whole step of it, has not begun.
    is_future: bool,
}

impl Span {
    /// Nothing yet of `start_ms..end_ms`.
    pub(crate) fn empty(start_ms: i64, end_ms: i64) -> Self {
        Self {
            start_ms,
            end_ms,
            aggregate: Aggregate::default(),
            ledger: Ledger::default(),
            stream_frames: 0,
            is_damaged: false,
            lifecycle: Lifecycle::Final,
            is_watched: true,
            is_future: false,
        }
    }

    /// Marks the total of a range of which windows were left out since they have not begun. `step_ms` is the
    /// length of its steps.
    pub(crate) fn reaches_into_the_future(&mut self, step_ms: i64, now_ms: i64) {
        self.lifecycle = Lifecycle::Provisional;
        self.is_future = self.end_ms - step_ms > now_ms;
    }

    /// One window of a region: its lanes, and what the streamer says of that time.
    fn of_window(
        window: WindowStart,
        lanes: Vec<Row>,
        stream: Option<&(Aggregate, bool)>,
        rules: FoldRules,
        now_ms: i64,
    ) -> Self {
        let end_ms = window.0 + rules.size.ms();
        let mut span = Self::empty(window.0, end_ms);
        let rows = lanes.len();
        let mut lanes: Vec<_> = lanes.into_iter().filter_map(|(_, partial)| partial.ok()).collect();
        span.is_damaged = lanes.len() < rows;
        let is_again = lanes.iter().any(|partial| partial.generation > 1);
        match lanes.pop() {
            Some(only) if lanes.is_empty() => span.aggregate = only.aggregate,
            last => lanes.iter().chain(&last).for_each(|partial| span.aggregate.merge(&partial.aggregate, true)),
        }
        if span.minutes().is_empty() {
            // Without posts none are stored.
            span.lay_minutes(vec![0; rules.size.minutes()]);
        }
        span.is_damaged |= span.aggregate.is_damaged();
        if let Some((stream, is_damaged)) = stream {
            span.ledger = stream.ledger;
            span.stream_frames = stream.frames.0;
            span.is_damaged |= stream.is_damaged() || *is_damaged;
        }
        let is_revised = span.aggregate.lateness.posts > 0 || is_again;
        span.lifecycle = match (now_ms < end_ms + rules.lateness_ms, is_revised) {
            (true, _) => Lifecycle::Provisional,
            (_, true) => Lifecycle::Revised,
            _ => Lifecycle::Final,
        };
        span.is_watched = span.aggregate.frames.0 + span.stream_frames > 0 || span.is_damaged;
        span
    }

    /// Takes in a later part of this span.
    pub(crate) fn add(&mut self, part: &Self) {
        self.aggregate.merge(&part.aggregate, false);
        self.ledger.add(&part.ledger);
        self.stream_frames += part.stream_frames;
        self.is_damaged |= part.is_damaged;
        self.lifecycle = self.lifecycle.min(part.lifecycle);
        self.is_watched &= part.is_watched;
    }

    /// Gives each minute of the span its place, also where no window was stored.
    pub(crate) fn lay_minutes(&mut self, minutes: Vec<u64>) {
        self.aggregate.per_minute.0 = minutes;
    }

    pub(crate) fn minutes(&self) -> &[u64] {
        &self.aggregate.per_minute.0
    }

    pub(crate) fn start_ms(&self) -> i64 {
        self.start_ms
    }

    fn flaws(&self) -> Vec<Flaw> {
        [
            (self.is_future, Flaw::Future),
            (!self.is_watched, Flaw::Unwatched),
            (self.ledger.missed_ms > 0, Flaw::Missed),
            (self.ledger.dropped > 0, Flaw::Dropped),
            (self.ledger.withheld > 0, Flaw::Withheld),
            (self.ledger.quarantined > 0, Flaw::Unreadable),
            (self.is_damaged, Flaw::Corrupt),
            (self.ledger.unasked_permille > 0, Flaw::Sampled),
        ]
        .into_iter()
        .filter_map(|(has, flaw)| has.then_some(flaw))
        .collect()
    }

    pub(crate) fn report(&self, region: &str) -> WindowReport {
        let aggregate = &self.aggregate;
        let kind = |kind: Kind| aggregate.kinds.of(kind);
        let located = |located: Located| aggregate.matched_by.of(located);
        let authors = aggregate.distinct_authors();
        let flaws = self.flaws();
        let mut languages: Vec<_> = aggregate.languages.iter().map(|(lang, n)| (lang.to_owned(), n)).collect();
        languages.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        WindowReport {
            region: region.to_owned(),
            window_start: rfc3339(self.start_ms),
            window_end: rfc3339(self.end_ms),
            lifecycle: self.lifecycle,
            posts: aggregate.posts(),
            originals: kind(Kind::Original),
            replies: kind(Kind::Reply),
            quotes: kind(Kind::Quote),
            reposts: kind(Kind::Repost),
            authors: authors.value,
            authors_low: authors.low,
            authors_high: authors.high,
            authorless: aggregate.authors.authorless,
            per_minute: aggregate.per_minute.0.clone(),
            languages,
            other_languages: aggregate.languages.other(),
            hashtags: top(aggregate.hashtags.top.as_ref(), TOP_HASHTAGS, |item| HashtagCount {
                tag: item.shown,
                count: item.count,
                error: item.error,
            }),
            long_hashtags: aggregate.hashtags.too_long,
            mentions: aggregate.mentions.0,
            media: aggregate.media.0,
            link_hosts: top(aggregate.hosts.top.as_ref(), TOP_HOSTS, |item| HostCount {
                host: item.shown,
                count: item.count,
                error: item.error,
            }),
            located: LocatedCounts {
                point: located(Located::Point),
                place: located(Located::Place),
                rule: located(Located::Rule),
                text: located(Located::Text),
                all: located(Located::All),
            },
            lag_ms: lag(aggregate.lag.sum_ms, aggregate.lag.max_ms, aggregate.lag.count),
            completeness: Completeness {
                complete: flaws.is_empty(),
                flaws,
                frames: aggregate.frames.0 + self.stream_frames,
                received: self.ledger.received,
                filtered: self.ledger.filtered,
                quarantined: self.ledger.quarantined,
                corrupt: aggregate.damage.posts,
                duplicates: self.ledger.duplicates,
                dropped: self.ledger.dropped,
                withheld: self.ledger.withheld,
                missed_secs: self.ledger.missed_ms.div_ceil(1000),
                sampled: 1000u64.saturating_sub(self.ledger.unasked_permille) as f64 / 1000.0,
                late: aggregate.lateness.posts,
            },
        }
    }
}

/// Mean and maximum of lags, when there are any.
pub(crate) fn lag(sum_ms: u64, max_ms: u64, count: u64) -> Option<LagReport> {
    (count > 0).then(|| LagReport { mean: sum_ms / count, max: max_ms })
}

fn top<T>(top: Option<&TopK>, n: usize, told: impl Fn(TopItem) -> T) -> Vec<T> {
    top.map(|top| top.top(n).into_iter().map(told).collect()).unwrap_or_default()
}

/// What the store has of a region in some time.
pub(crate) struct Read {
    partials: Vec<Row>,
    stream: Vec<Row>,
}

/// Reads the windows of a region that start in `from..to`, and what the streamer says of that time.
///
/// # Errors
/// When the store does not answer, or holds something damaged.
pub(crate) async fn read<S: WindowStore>(
    store: &S,
    region: &str,
    from: WindowStart,
    to: WindowStart,
) -> Result<Read, PortError> {
    let (partials, stream) = try_join(store.query(region, from, to), store.query(STREAM, from, to)).await?;
    Ok(Read { partials, stream })
}

/// The windows that were read of `from..to`, in order; with `and_empty` also those of which nothing is
/// stored.
pub(crate) fn spans(
    read: Read,
    from: WindowStart,
    to: WindowStart,
    rules: FoldRules,
    now_ms: i64,
    and_empty: bool,
) -> impl Iterator<Item = Span> {
    let mut by_time = BTreeMap::<WindowStart, (Aggregate, bool)>::new();
    for (key, partial) in read.stream {
        let (aggregate, is_damaged) = by_time.entry(key.window).or_default();
        match partial {
            Ok(partial) => aggregate.merge(&partial.aggregate, true),
            Err(_) => *is_damaged = true,
        }
    }
    let mut partials = read.partials.into_iter().peekable();
    let mut at = from;
    std::iter::from_fn(move || {
        if !and_empty {
            at = partials.peek()?.0.window;
        }
        if at >= to {
            return None;
        }
        let lanes = std::iter::from_fn(|| partials.next_if(|(key, _)| key.window == at)).collect();
        let span = Span::of_window(at, lanes, by_time.get(&at), rules, now_ms);
        at = WindowStart(at.0 + rules.size.ms());
        Some(span)
    })
}

/// What is told of those windows of a region that start in `from..to` and are stored.
///
/// # Errors
/// When the store does not answer, or holds something damaged.
pub async fn stored_windows<S: WindowStore>(
    store: &S,
    region: &str,
    from: WindowStart,
    to: WindowStart,
    rules: FoldRules,
    now_ms: i64,
) -> Result<Vec<WindowReport>, PortError> {
    let read = read(store, region, from, to).await?;
    Ok(spans(read, from, to, rules, now_ms, false).map(|span| span.report(region)).collect())
}
