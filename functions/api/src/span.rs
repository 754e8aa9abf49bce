//! Merging: windows read from the store, merged over lanes and into steps, and reported.

use std::collections::{BTreeMap, BTreeSet};

use birdsong_domain::frame::{Lane, Ledger, STREAM};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{PortError, Row, WindowStore};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::topk::{TopItem, TopK};
use birdsong_domain::window::metric::{Kinds, Metric};
use birdsong_domain::window::{Aggregate, FoldRules};
use futures_util::future::try_join;

use crate::report::{
    Completeness, Flaw, HashtagCount, HostCount, LagReport, Lifecycle, LocatedCounts, NetworkCounts, TOP_HASHTAGS,
    TOP_HOSTS, WindowReport,
};

/// The counts of a region in a span of time, ready to be reported or merged further.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    start_ms: i64,
    end_ms: i64,
    aggregate: Aggregate,
    ledger: Ledger,
    stream_frames: u64,
    /// Whether log records or stored windows of the region or of the ledger cannot be read.
    is_damaged: bool,
    lifecycle: Lifecycle,
    /// Whether each of its windows has a record of a streamer.
    is_watched: bool,
    /// Whether it, or a whole step of it, has not begun.
    is_future: bool,
    /// Posts of each network that has any.
    networks: BTreeMap<Network, Kinds>,
}

/// The networks that are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks(Option<BTreeSet<Network>>);

impl Networks {
    /// Adds a network to those that are asked for. When none is added, all are.
    pub(crate) fn ask_for(&mut self, network: Network) {
        self.0.get_or_insert_default().insert(network);
    }

    /// Number of networks that are asked for by name.
    pub(crate) fn named(&self) -> usize {
        self.0.as_ref().map_or(0, BTreeSet::len)
    }

    /// Whether the counts of this lane are asked for. A damaged record whose lane is unknown may be of any network.
    fn has(&self, lane: &Lane) -> bool {
        let network = lane.network();
        self.0.as_ref().is_none_or(|asked| asked.contains(&network))
            || (lane.is_ledger() && network == Network::UNKNOWN)
    }
}

impl Span {
    /// The span `start_ms..end_ms` without counts.
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
            networks: BTreeMap::new(),
        }
    }

    /// Marks the total of a range whose last windows have not begun and so are left out. `step_ms` is the length of its
    /// steps.
    pub(crate) fn reaches_into_the_future(&mut self, step_ms: i64, now_ms: i64) {
        self.lifecycle = Lifecycle::Provisional;
        self.is_future = self.end_ms - step_ms > now_ms;
    }

    /// One window of a region, merged from its lanes and the ledger of that time.
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
        for (key, partial) in &lanes {
            if let Ok(partial) = partial {
                span.add_network(key.lane.network(), &partial.aggregate.kinds);
            }
        }
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

    fn add_network(&mut self, network: Network, kinds: &Kinds) {
        if kinds.posts() > 0 {
            self.networks.entry(network).or_default().merge(kinds, true);
        }
    }

    /// Adds a later part of this span.
    pub(crate) fn add(&mut self, part: &Self) {
        self.aggregate.merge(&part.aggregate, false);
        self.ledger.add(&part.ledger);
        self.stream_frames += part.stream_frames;
        self.is_damaged |= part.is_damaged;
        self.lifecycle = self.lifecycle.min(part.lifecycle);
        self.is_watched &= part.is_watched;
        part.networks.iter().for_each(|(network, kinds)| self.add_network(*network, kinds));
    }

    /// Sets the posts of each minute of the span, also of those of which no window is stored.
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
        let networks = self.networks.iter().map(|(network, kinds)| NetworkCounts {
            network: *network,
            posts: kinds.posts(),
            originals: kinds.of(Kind::Original),
            replies: kinds.of(Kind::Reply),
            quotes: kinds.of(Kind::Quote),
            reposts: kinds.of(Kind::Repost),
        });
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
            networks: networks.collect(),
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

fn top<T>(top: Option<&TopK>, n: usize, report: impl Fn(TopItem) -> T) -> Vec<T> {
    top.map(|top| top.top(n).into_iter().map(report).collect()).unwrap_or_default()
}

/// The rows of a region and of the ledger in a range.
pub(crate) struct Read {
    partials: Vec<Row>,
    stream: Vec<Row>,
}

/// Reads the windows of a region that start in `from..to`, and the ledgers of that time, of some networks.
///
/// # Errors
/// When the store fails. A damaged row is not an error here.
pub(crate) async fn read<S: WindowStore>(
    store: &S,
    region: &str,
    networks: &Networks,
    from: WindowStart,
    to: WindowStart,
) -> Result<Read, PortError> {
    let (mut partials, mut stream) = try_join(store.query(region, from, to), store.query(STREAM, from, to)).await?;
    for rows in [&mut partials, &mut stream] {
        rows.retain(|(key, _)| networks.has(&key.lane));
    }
    Ok(Read { partials, stream })
}

/// The windows of `from..to` in order; with `and_empty` also those that are not stored.
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

/// Reports of the stored windows of a region that start in `from..to`, in order.
///
/// # Errors
/// When the store fails. A damaged row is not an error: its report has the flaw `corrupt`.
pub async fn stored_windows<S: WindowStore>(
    store: &S,
    region: &str,
    from: WindowStart,
    to: WindowStart,
    rules: FoldRules,
    now_ms: i64,
) -> Result<Vec<WindowReport>, PortError> {
    let read = read(store, region, &Networks::default(), from, to).await?;
    Ok(spans(read, from, to, rules, now_ms, false).map(|span| span.report(region)).collect())
}
