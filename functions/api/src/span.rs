//! Merging: windows read from the store, merged over lanes and into steps, and reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use birdsong_digest::read::{Grain, Part, Reader};
use birdsong_digest::watch::REFERENCE_NETWORK;
use birdsong_domain::frame::{Lane, Ledger, STREAM};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{PortError, RollupStore, WindowStore};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::revision::Revision;
use birdsong_domain::rollup::{Period, Rollup, windows_of};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::topk::{TopItem, TopK};
use birdsong_domain::uniques::Estimate;
use birdsong_domain::window::metric::{Kinds, Metric};
use birdsong_domain::window::{Aggregate, FoldRules};
use futures_util::future::try_join;

use crate::fields::Fields;

use crate::report::{
    Completeness, Flaw, HashtagCount, HostCount, LagReport, Lifecycle, LocatedCounts, NetworkCounts, RevisionReport,
    Top, WindowReport,
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
    /// Whether one of its windows changed after it was final.
    is_revised: bool,
    /// What a reprocess changed in it.
    corrected: Revision,
    /// Whether each of its windows has a record of a streamer.
    is_watched: bool,
    /// Whether it, or a whole step of it, has not begun.
    is_future: bool,
    is_behind: bool,
    /// Posts of each network that has any.
    networks: BTreeMap<Network, Kinds>,
    /// When a window of it was stored last, in milliseconds.
    stored_ms: i64,
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

    /// The network that is asked for, when it is the only one.
    pub(crate) fn only(&self) -> Option<Network> {
        let asked = self.0.as_ref().filter(|asked| asked.len() == 1)?;
        asked.first().copied()
    }

    /// Whether the counts of a network are asked for.
    pub(crate) fn asks_for(&self, network: Network) -> bool {
        self.0.as_ref().is_none_or(|asked| asked.contains(&network))
    }

    /// Whether the counts of this lane are asked for. A damaged record whose lane is unknown may be of any network.
    fn has(&self, lane: &Lane) -> bool {
        let network = lane.network();
        self.asks_for(network) || (lane.is_ledger() && network == Network::UNKNOWN)
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
            is_revised: false,
            corrected: Revision::NONE,
            is_watched: true,
            is_future: false,
            is_behind: false,
            networks: BTreeMap::new(),
            stored_ms: 0,
        }
    }

    /// Marks the total of a range whose last windows have not begun and so are left out. `step_ms` is the length of its
    /// steps.
    pub(crate) fn reaches_into_the_future(&mut self, step_ms: i64, now_ms: i64) {
        self.lifecycle = Lifecycle::Provisional;
        self.is_future = self.end_ms - step_ms > now_ms;
    }

    /// One window, hour or day of a region, merged from its lanes and the ledgers of that time. Windows that start at
    /// `until_ms` or later do not count: they have not begun.
    fn of_lanes(
        (start_ms, end_ms): (i64, i64),
        until_ms: i64,
        lanes: &[Part],
        stream: &[Part],
        rules: FoldRules,
        now_ms: i64,
    ) -> Self {
        let mut span = Self::empty(start_ms, end_ms);
        let windows = ((until_ms.min(end_ms) - start_ms) / rules.size.ms()).max(1) as usize;
        let parts = || lanes.iter().chain(stream).map(|part| &*part.rollup);
        span.is_watched = (0..windows).all(|at| parts().any(|part| part.known.contains(at)));
        span.is_damaged = parts().any(Rollup::is_damaged);
        span.stored_ms = parts().map(|part| part.stored_ms).max().unwrap_or(0);
        match lanes {
            [only] => span.aggregate = only.rollup.aggregate.clone(),
            _ => lanes.iter().for_each(|lane| span.aggregate.merge(&lane.rollup.aggregate, true)),
        }
        for lane in lanes {
            span.add_network(lane.lane.network(), &lane.rollup.aggregate.kinds);
        }
        if span.minutes().is_empty() && end_ms - start_ms <= Period::Hour.ms(rules.size) {
            // Without posts none are stored.
            span.lay_minutes(vec![0; ((end_ms - start_ms) / 60_000) as usize]);
        }
        for ledger in stream {
            span.ledger.add(&ledger.rollup.aggregate.ledger);
            span.stream_frames += ledger.rollup.aggregate.frames.0;
        }
        span.is_revised = lanes.iter().any(|lane| lane.rollup.is_revised);
        span.lifecycle = match (now_ms < end_ms.min(until_ms) + rules.lateness_ms, span.is_revised) {
            (true, _) => Lifecycle::Provisional,
            (_, true) => Lifecycle::Revised,
            _ => Lifecycle::Final,
        };
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
        self.is_revised |= part.is_revised;
        self.corrected.add(&part.corrected);
        self.is_watched &= part.is_watched;
        self.is_behind |= part.is_behind;
        self.stored_ms = self.stored_ms.max(part.stored_ms);
        part.networks.iter().for_each(|(network, kinds)| self.add_network(*network, kinds));
    }

    /// Takes into account which hours, by their start, have posts that are not in windows yet.
    pub(crate) fn lacks_those_of(&mut self, behind: &BTreeSet<i64>, hour_ms: i64) {
        self.is_behind |= behind.range(self.start_ms - hour_ms + 1..self.end_ms).next().is_some();
    }

    /// Takes into account what a reprocess changed in it: a lane that it removed shows nowhere else.
    pub(crate) fn was_corrected(&mut self, corrected: &Revision) {
        self.corrected.add(corrected);
        if !corrected.is_none() && self.lifecycle == Lifecycle::Final {
            self.lifecycle = Lifecycle::Revised;
        }
    }

    /// What changed in it after it had been counted.
    fn revision(&self) -> Option<Revision> {
        let late = Revision::late(self.aggregate.lateness.posts, self.aggregate.last_late.0);
        Revision::of(self.is_revised, late, self.corrected)
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

    pub(crate) fn end_ms(&self) -> i64 {
        self.end_ms
    }

    /// Whether its report may have changed at or after `since_ms`: a window was stored, or came to its end.
    pub(crate) fn has_changed_since(&self, since_ms: i64, rules: FoldRules) -> bool {
        self.stored_ms.max(self.end_ms + rules.lateness_ms) >= since_ms
    }

    fn flaws(&self) -> Vec<Flaw> {
        [
            (self.is_future, Flaw::Future),
            (!self.is_watched, Flaw::Unwatched),
            (self.ledger.missed_ms > 0, Flaw::Missed),
            (self.is_behind, Flaw::Behind),
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

    /// The posts of the network of reference counts without reposts, which these leave out, as a share of `posts`.
    pub(crate) fn share_of(&self, posts: u64) -> Option<f64> {
        let of = |kinds: &Kinds| kinds.posts() - kinds.of(Kind::Repost);
        let ours = self.networks.get(&REFERENCE_NETWORK).map_or(0, of);
        (posts > 0).then(|| (ours as f64 / posts as f64 * 1000.0).round() / 1000.0)
    }

    /// The report, with these fields; others that take some work are empty.
    pub(crate) fn report(&self, region: &str, fields: &Fields, most: Top) -> WindowReport {
        let aggregate = &self.aggregate;
        let kind = |kind: Kind| aggregate.kinds.of(kind);
        let located = |located: Located| aggregate.matched_by.of(located);
        let has_authors = ["authors", "authors_low", "authors_high"].iter().any(|name| fields.has(name));
        let authors = if has_authors { aggregate.distinct_authors() } else { Estimate::default() };
        let flaws = self.flaws();
        let networks = self.networks.iter().map(|(network, kinds)| NetworkCounts {
            network: *network,
            posts: kinds.posts(),
            originals: kinds.of(Kind::Original),
            replies: kinds.of(Kind::Reply),
            quotes: kinds.of(Kind::Quote),
            reposts: kinds.of(Kind::Repost),
        });
        let of_language = |(lang, posts): (&str, u64)| (lang.to_owned(), posts);
        let has_languages = fields.has("languages");
        let mut languages: Vec<_> = aggregate.languages.iter().map(of_language).filter(|_| has_languages).collect();
        languages.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        WindowReport {
            region: region.to_owned(),
            window_start: rfc3339(self.start_ms),
            window_end: rfc3339(self.end_ms),
            lifecycle: self.lifecycle,
            revision: self.revision().map(RevisionReport::from),
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
            hashtags: top(aggregate.hashtags.top.as_ref().filter(|_| fields.has("hashtags")), most.hashtags, |item| {
                HashtagCount { tag: item.shown, count: item.count, error: item.error }
            }),
            long_hashtags: aggregate.hashtags.too_long,
            reference: None,
            reference_share: None,
            usual: None,
            usual_low: None,
            usual_high: None,
            mentions: aggregate.mentions.0,
            media: aggregate.media.0,
            link_hosts: top(aggregate.hosts.top.as_ref().filter(|_| fields.has("link_hosts")), most.hosts, |item| {
                HostCount { host: item.shown, count: item.count, error: item.error }
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

/// What was read of a region and of the ledgers, by start.
#[derive(Debug, Default)]
pub(crate) struct Read {
    lanes: BTreeMap<i64, Vec<Part>>,
    stream: BTreeMap<i64, Vec<Part>>,
}

impl Read {
    /// Whether nothing is stored there.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.stream.is_empty()
    }

    fn new(lanes: Vec<Part>, stream: Vec<Part>, networks: &Networks) -> Self {
        let by_start = |parts: Vec<Part>| {
            let mut by_start = BTreeMap::<i64, Vec<Part>>::new();
            for part in parts.into_iter().filter(|part| networks.has(&part.lane)) {
                by_start.entry(part.start_ms).or_default().push(part);
            }
            by_start
        };
        Self { lanes: by_start(lanes), stream: by_start(stream) }
    }
}

/// Reads what starts in `range`, of a region and of the ledgers, of some networks.
///
/// # Errors
/// When the store fails. A damaged row is not an error here.
pub(crate) async fn read<S: WindowStore + RollupStore>(
    reader: &Reader<'_, S>,
    (region, networks): (&str, &Networks),
    grain: Grain,
    range: (i64, i64),
) -> Result<Read, PortError> {
    let (lanes, stream) = try_join(reader.parts(region, grain, range), reader.parts(STREAM, grain, range)).await?;
    Ok(Read::new(lanes, stream, networks))
}

/// The windows, hours or days of `from_ms..to_ms` in order; with `step_ms` also those of which nothing is stored, several of
/// one step together.
pub(crate) fn spans(
    read: Read,
    grain: Grain,
    (from_ms, to_ms): (i64, i64),
    until_ms: i64,
    rules: FoldRules,
    now_ms: i64,
    step_ms: Option<i64>,
) -> impl Iterator<Item = Span> {
    let Read { lanes: mut all_lanes, stream: mut all_streams } = read;
    let length = grain.ms(rules.size);
    let mut at = from_ms;
    std::iter::from_fn(move || {
        if step_ms.is_none() {
            at = *all_lanes.first_key_value()?.0;
        }
        if at >= to_ms.min(until_ms) {
            return None;
        }
        let of_time = |parts: &mut BTreeMap<i64, Vec<Part>>| parts.remove(&at).unwrap_or_default();
        let (lanes, stream) = (of_time(&mut all_lanes), of_time(&mut all_streams));
        let mut end = at + length;
        if let Some(step_ms) = step_ms.filter(|_| lanes.is_empty() && stream.is_empty()) {
            let next = [&all_lanes, &all_streams].into_iter().filter_map(|parts| parts.keys().next()).min();
            let step_end = at.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
            end = step_end.min(to_ms).min(next.copied().unwrap_or(i64::MAX)).max(end);
        }
        let span = Span::of_lanes((at, end), until_ms, &lanes, &stream, rules, now_ms);
        at = end;
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
    let (lanes, stream) = try_join(store.query(region, from, to), store.query(STREAM, from, to)).await?;
    let parts = |rows| {
        let part = |((start_ms, lane), window)| Part { start_ms, lane, rollup: Arc::new(window) };
        windows_of(rows).into_iter().map(part).collect()
    };
    let (read, range) = (Read::new(parts(lanes), parts(stream), &Networks::default()), (from.0, to.0));
    let spans = spans(read, Grain::Window, range, to.0, rules, now_ms, None);
    Ok(spans.map(|span| span.report(region, &Fields::default(), Top::default())).collect())
}
