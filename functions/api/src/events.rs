//! `/api/events`: what happened in the regions, and notes by people.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use birdsong_digest::events;
use birdsong_digest::revisions::{self, Revisions};
use birdsong_domain::event::{Event, EventKind, GapReason, Subject};
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{DocumentKind, DocumentStore, PortError, RollupStore, Settings, WindowStore};
use birdsong_domain::revision::Revision;
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::rfc3339;
use birdsong_domain::trend::Sensitivity;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::Fresh;
use crate::error::{ApiError, WindowsErrors, foreign};
use crate::params::{self, bad, unprocessable};
use crate::report::RevisionReport;
use crate::{Made, Shared};

/// Longest range of one call, in days.
const MAX_DAYS: i64 = 400;
/// Most events in one answer; the newest ones.
const MAX_EVENTS: usize = 2_000;

/// The events of a range.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsAnswer {
    /// Start of the range, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    from: String,
    /// End of the range, exclusive, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    to: String,
    /// Whether there are more than 2,000 events; then these are the newest ones.
    is_cut: bool,
    /// The events that overlap the range, newest first.
    #[schema(max_items = 2000)]
    events: Vec<EventReport>,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventReport {
    /// Identifies the event. It stays the same while the event goes on.
    id: String,
    /// Id of the region; null when it concerns the collection of all regions.
    #[schema(required = true)]
    region: Option<String>,
    /// What kind of thing happened: `rising` (a hashtag or host has far more posts than usual), `spike`, `drop` (a region or
    /// a network has far more, or fewer), `silence` (no posts at all, although the source is connected), `gap` (posts are
    /// missing), `sampled` (a source was asked for a share of its posts), `restart` (a streamer started again), `revision`
    /// (windows changed after they were final) or `note` (by a person).
    #[schema(value_type = String, pattern = "^(rising|spike|drop|silence|gap|sampled|restart|revision|note)$")]
    kind: EventKind,
    /// What it happened to.
    subject: SubjectReport,
    /// Start of the first window that belongs to it, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    start: String,
    /// End of the last window that belongs to it so far, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    end: String,
    /// Whether it goes on.
    is_open: bool,
    /// The comparison with what is usual, at its peak; null for events that compare nothing.
    #[schema(required = true)]
    comparison: Option<Comparison>,
    /// Hashtags and hosts that rose most inside a `spike`, at most 5.
    #[schema(max_items = 5)]
    carriers: Vec<CarrierReport>,
    /// Why posts are missing in a `gap`: `unwatched` (no streamer ran), `missed` (a source had no connection), `lost` (posts
    /// were dropped or not delivered) or `damaged`; null otherwise.
    #[schema(required = true, value_type = Option<String>)]
    reason: Option<GapReason>,
    /// Share of the posts that a source was asked for, of a `sampled` event; null otherwise.
    #[schema(required = true, minimum = 0, maximum = 1)]
    sampled: Option<f64>,
    /// Windows that are missing, sampled or revised; 0 for other kinds.
    windows: u64,
    /// What changed in the windows of a `revision`; null for other kinds.
    #[schema(required = true)]
    revision: Option<RevisionReport>,
    /// Text of a `note`; null otherwise.
    #[schema(required = true, max_length = 500)]
    text: Option<String>,
}

/// The series that something happened to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subject)]
pub(crate) struct SubjectReport {
    /// `region` (all posts), `network`, `hashtag` or `host`.
    #[serde(rename = "type")]
    #[schema(pattern = "^(region|network|hashtag|host)$")]
    kind: &'static str,
    /// Name of the network, the hashtag as most people wrote it, or the host; null for a region.
    #[schema(required = true)]
    name: Option<String>,
    /// What `/api/series` takes as `tag` or `host`; null for regions and networks.
    #[schema(required = true)]
    key: Option<String>,
}

impl SubjectReport {
    pub(crate) fn new(subject: &Subject) -> Self {
        let (kind, name, key) = match subject {
            Subject::Region => ("region", None, None),
            Subject::Network { network } => ("network", Some(network.to_string()), None),
            Subject::Hashtag { key, shown } => ("hashtag", Some(shown.clone()), Some(key.clone())),
            Subject::Host { host } => ("host", Some(host.clone()), Some(host.clone())),
        };
        Self { kind, name, key }
    }
}

/// Posts compared with what is usual.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Comparison {
    /// End of the windows that are compared, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    at: String,
    /// Length of these windows together, in seconds.
    #[schema(minimum = 0)]
    span_secs: i64,
    /// Posts in them, at least.
    observed: u64,
    /// Posts as usual.
    #[schema(minimum = 0)]
    usual: f64,
    /// Lower end of the range in which the number is on four of five days.
    #[schema(minimum = 0)]
    usual_low: f64,
    /// Upper end of it.
    #[schema(minimum = 0)]
    usual_high: f64,
    /// `observed` divided by `usual`; null when nothing is usual.
    #[schema(required = true, minimum = 0)]
    factor: Option<f64>,
    /// How unusual it is: about 4 is clear, 7 is strong (the thresholds of `balanced` and `strict`).
    score: f64,
    /// The score against how much the series differs from day to day.
    level: f64,
    /// The score against how much it varies at this time of day.
    season: f64,
    /// Distinct authors of the posts, at least; null when not known.
    #[schema(required = true)]
    authors_least: Option<u64>,
    /// Share of the author with the most posts, as far as it is known; null when not known.
    #[schema(required = true, minimum = 0, maximum = 1)]
    top_author_share: Option<f64>,
    /// Days that it is compared with.
    baseline_days: u64,
    /// Share of the windows of these days that is missing.
    #[schema(minimum = 0, maximum = 1)]
    baseline_missing: f64,
    /// Whether the hashtag or host was not seen in the days before.
    is_new: bool,
}

/// A hashtag or host that rose inside a spike.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Carrier)]
pub(crate) struct CarrierReport {
    /// The hashtag or host.
    subject: SubjectReport,
    /// Posts with it, at least.
    observed: u64,
    /// Posts as usual.
    #[schema(minimum = 0)]
    usual: f64,
}

/// Thousandths as a number.
pub(crate) fn thousandths(milli: impl TryInto<i64>) -> f64 {
    milli.try_into().unwrap_or(i64::MAX) as f64 / 1000.0
}

impl EventReport {
    /// An event. `revisions` are those of its region.
    pub(crate) fn new(event: Event, revisions: &Revisions) -> Self {
        let comparison = event.kind.is_comparison().then(|| Comparison {
            at: rfc3339(event.peak_ms),
            span_secs: event.span_ms / 1000,
            observed: event.observed,
            usual: thousandths(event.expected_milli),
            usual_low: thousandths(event.low_milli),
            usual_high: thousandths(event.high_milli),
            factor: event.factor_milli().map(|factor| thousandths(factor / 10 * 10)),
            score: thousandths(event.score_milli),
            level: thousandths(event.level_milli),
            season: thousandths(event.season_milli),
            authors_least: event.authors,
            top_author_share: event.top_author_permille.map(thousandths),
            baseline_days: event.baseline_days,
            baseline_missing: thousandths(event.missing_permille),
            is_new: event.is_new,
        });
        let carrier = |carrier: &birdsong_domain::event::Carrier| CarrierReport {
            subject: SubjectReport::new(&carrier.subject),
            observed: carrier.observed,
            usual: thousandths(carrier.expected_milli),
        };
        let is_revision = event.kind == EventKind::Revision;
        let revision = || {
            let late = Revision::late(event.late, event.late_ms);
            Revision::of(true, late, revisions.of(event.start_ms, event.end_ms, |_| true))
        };
        Self {
            revision: if is_revision { revision().map(RevisionReport::from) } else { None },
            carriers: event.carriers.iter().map(carrier).collect(),
            comparison,
            subject: SubjectReport::new(&event.subject),
            start: rfc3339(event.start_ms),
            end: rfc3339(event.end_ms),
            is_open: event.is_open,
            id: event.id,
            region: (event.region != STREAM).then_some(event.region),
            kind: event.kind,
            reason: event.reason,
            sampled: event.sampled_permille.map(thousandths),
            windows: event.windows,
            text: event.text,
        }
    }
}

/// What is asked for.
pub(crate) struct EventsQuery {
    /// Region ids, and [`STREAM`].
    pub(crate) regions: Vec<String>,
    pub(crate) range: (i64, i64),
    pub(crate) kinds: Vec<EventKind>,
    pub(crate) theta_milli: i64,
}

impl EventsQuery {
    /// Whether an event of the range is asked for.
    fn has(&self, event: &Event) -> bool {
        let is_high = !event.kind.is_comparison()
            || matches!(event.kind, EventKind::Drop | EventKind::Silence)
            || event.score_milli >= self.theta_milli;
        is_high && self.kinds.contains(&event.kind)
    }
}

/// The events that are asked for, newest first.
///
/// # Errors
/// When the store fails, or a document is damaged.
pub(crate) async fn read<S: DocumentStore>(store: &S, query: &EventsQuery) -> Result<Vec<Event>, PortError> {
    let regions: Vec<&str> = query.regions.iter().map(String::as_str).collect();
    let kinds = [DocumentKind::Events, DocumentKind::Notes];
    let mut events = events::of_regions(store, &kinds, &regions, query.range).await?;
    events.retain(|event| query.has(event));
    events.sort_by(|a, b| b.start_ms.cmp(&a.start_ms).then_with(|| a.id.cmp(&b.id)));
    Ok(events)
}

/// What happened
///
/// Events of one region, several or all, and notes. An event starts when a series of counts leaves what is usual at that
/// time of the day, or when posts are missing; while it goes on it stays the same event.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "metrics",
    params(
        ("region" = Option<String>, Query,
            description = "Id of the region, or several with commas. What concerns the collection is always there. Default: \
                           all regions.",
            pattern = "^[a-z0-9-][a-z0-9_-]{0,63}(,[a-z0-9-][a-z0-9_-]{0,63}){0,31}$"),
        ("from" = Option<String>, Query, format = DateTime,
            description = "Start of the range, RFC 3339. Default: one day before the end."),
        ("to" = Option<String>, Query, format = DateTime,
            description = "End of the range, exclusive, RFC 3339, at most 400 days after `from`. Default: now."),
        ("kind" = Option<String>, Query, 
            pattern = "^(rising|spike|drop|silence|gap|sampled|restart|revision|note)(,(rising|spike|drop|silence|gap|sampled|restart|revision|note)){0,8}$",
            description = "Kinds, with commas: rising, spike, drop, silence, gap, sampled, restart, revision, note. \
                           Default: all."),
        ("sensitivity" = Option<String>, Query, pattern = "^(sensitive|balanced|strict)$",
            description = "How unusual `rising` and `spike` events must be. Default: balanced."),
    ),
    responses((status = 200, description = "The events.", body = EventsAnswer), WindowsErrors),
)]
pub(crate) async fn events<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    shared.of_query("events", query, headers, async |shared, query| made(&shared, Some(&query)).await).await
}

async fn made<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    shared: &Shared<S>,
    query: Option<&str>,
) -> Result<Made, ApiError> {
    let query = parse(shared, query)?;
    let days = u64::try_from((query.range.1 - query.range.0) / DAY_MS).unwrap_or(0) + 2;
    let permit = shared.admission.admit(days.saturating_mul(query.regions.len() as u64)).await?;
    let mut events = read(&*shared.api.store, &query).await?;
    let is_cut = events.len() > MAX_EVENTS;
    events.truncate(MAX_EVENTS);
    let answer = EventsAnswer {
        from: rfc3339(query.range.0),
        to: rfc3339(query.range.1),
        is_cut,
        events: with_revisions(&*shared.api.store, events).await?,
    };
    drop(permit);
    Ok((serde_json::to_vec(&answer)?, Fresh::Minutes(1)))
}

/// Events as they are reported, with what a reprocess changed in the windows of revisions.
async fn with_revisions<S: DocumentStore>(store: &S, events: Vec<Event>) -> Result<Vec<EventReport>, PortError> {
    let mut ranges = BTreeMap::<String, (i64, i64)>::new();
    for event in events.iter().filter(|event| event.kind == EventKind::Revision) {
        let range = ranges.entry(event.region.clone()).or_insert((event.start_ms, event.end_ms));
        *range = (range.0.min(event.start_ms), range.1.max(event.end_ms));
    }
    let mut known = BTreeMap::new();
    for (region, (from_ms, to_ms)) in ranges {
        let revisions = revisions::read(store, &region, from_ms, to_ms).await?;
        known.insert(region, revisions);
    }
    let none = Revisions::default();
    let report = |event: Event| {
        let revisions = known.get(&event.region).unwrap_or(&none);
        EventReport::new(event, revisions)
    };
    Ok(events.into_iter().map(report).collect())
}

fn parse<S>(shared: &Shared<S>, query: Option<&str>) -> Result<EventsQuery, ApiError> {
    let mut named = params::named(query, &["region", "from", "to", "kind", "sensitivity"])?;
    let mut regions = params::regions(named.remove("region").as_deref(), &shared.api.regions)?;
    regions.push(STREAM.to_owned());
    let now_ms = (shared.api.now_ms)();
    let time = |named: &mut BTreeMap<String, String>, name: &str| {
        named.remove(name).map(|value| params::time(name, &value)).transpose()
    };
    let (from, to) = (time(&mut named, "from")?, time(&mut named, "to")?);
    // Whole minutes, so that many viewers ask the same.
    let to_ms = to.unwrap_or_else(|| match from {
        Some(from_ms) => (from_ms + MAX_DAYS * DAY_MS).min((now_ms / 60_000 + 1) * 60_000).max(from_ms + 1),
        None => (now_ms / 60_000 + 1) * 60_000,
    });
    let from_ms = from.unwrap_or(to_ms - DAY_MS);
    if from_ms >= to_ms {
        return Err(unprocessable("to", "must be later than from"));
    }
    if to_ms - from_ms > MAX_DAYS * DAY_MS {
        return Err(unprocessable("from", format!("must be at most {MAX_DAYS} days before to")));
    }
    let kind = |name: &str| {
        EventKind::parse(name).ok_or_else(|| {
            let names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            bad("kind", format!("\"{}\" is not a kind; the kinds are {}", foreign(name), names.join(", ")))
        })
    };
    let kinds = match named.remove("kind") {
        Some(names) => names.split(',').map(kind).collect::<Result<_, _>>()?,
        None => EventKind::ALL.to_vec(),
    };
    let sensitivity = match named.remove("sensitivity") {
        None => Sensitivity::default(),
        Some(name) => Sensitivity::parse(&name).ok_or_else(|| {
            bad("sensitivity", format!("\"{}\" is not sensitive, balanced or strict", foreign(&name)))
        })?,
    };
    Ok(EventsQuery { regions, range: (from_ms, to_ms), kinds, theta_milli: sensitivity.theta_milli() })
}
