//! `/api/windows`: the counts of a region, step by step.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use birdsong_digest::read::{Grain, Reader};
use birdsong_digest::reference;
use birdsong_digest::revisions;
use birdsong_digest::watch::REFERENCE_NETWORK;
use birdsong_domain::event::Subject;
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{DocumentStore, PortError, RollupStore, Settings, WindowStore};
use birdsong_domain::region::Region;
use birdsong_domain::rollup::{DAY_MS, Period};
use birdsong_domain::status::{SourceState, SourceStatus};
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart, rfc3339};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::answer::Fresh;
use crate::error::{ApiError, ErrorCode, WindowsErrors};
use crate::params::WindowsQuery;
use crate::report::{REFERENCE, USUAL, WindowReport};
use crate::series::UsualOf;
use crate::snapshot::Snapshot;
use crate::steps::Steps;
use crate::{Api, Limits, Made, Shared, days, params, span};

/// The counts of a region in a range, as a total and step by step.
#[derive(Serialize, ToSchema)]
#[schema(as = Windows)]
pub(crate) struct WindowsAnswer<'a> {
    /// Id of the region.
    #[schema(pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$")]
    region: &'a str,
    /// Name of the region, for people.
    name: &'a str,
    /// Start of the range after rounding to steps, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    from: String,
    /// End of the range after rounding to steps, exclusive, RFC 3339 in UTC. It may lie in the future.
    #[schema(format = DateTime)]
    to: String,
    /// Length of a window, in seconds.
    #[schema(minimum = 60, maximum = 3600)]
    window_secs: u32,
    /// Length of a step, in seconds: a multiple of the window that divides a day, or whole days.
    #[schema(minimum = 60, maximum = 34_560_000)]
    step_secs: u32,
    /// Time for the parameter `since` of a later call, RFC 3339 in UTC: the last whole minute, so that many viewers ask the
    /// same.
    #[schema(format = DateTime)]
    as_of: String,
    /// The whole range. Authors are united, not added, so they may be fewer than the sum of the steps.
    #[schema(value_type = WindowReport)]
    total: Option<Box<RawValue>>,
    /// The steps in order, also those without posts. Steps that have not begun are left out. With `since`, those that
    /// have not changed are left out.
    #[schema(max_items = 2016)]
    windows: Vec<WindowReport>,
}

/// Schemas of answers that have only some fields.
pub(crate) mod schema {
    use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, Schema, SchemaType};
    use utoipa::openapi::{Ref, RefOr, Type};
    use utoipa::{PartialSchema, ToSchema};

    use super::{WindowReport, WindowsAnswer};

    type Schemas = Vec<(String, RefOr<Schema>)>;

    fn reference(name: &str) -> RefOr<Schema> {
        Ref::from_schema_name(name).into()
    }

    /// The same object with other required fields and another description.
    fn with(schema: RefOr<Schema>, required: &[&str], description: &str) -> RefOr<Schema> {
        match schema {
            RefOr::T(Schema::Object(mut object)) => {
                object.required = required.iter().map(|name| (*name).to_owned()).collect();
                object.description = Some(description.to_owned());
                Schema::Object(object).into()
            }
            other => other,
        }
    }

    /// The counts that `fields` or `total_fields` ask for.
    pub(crate) struct LeanWindow;

    impl PartialSchema for LeanWindow {
        fn schema() -> RefOr<Schema> {
            let description = "The fields of `Window` that `fields` or `total_fields` ask for.";
            with(WindowReport::schema(), &["window_start", "window_end"], description)
        }
    }

    impl ToSchema for LeanWindow {
        fn schemas(schemas: &mut Schemas) {
            WindowReport::schemas(schemas);
        }
    }

    /// An answer with `fields` or `total_fields`.
    pub(crate) struct LeanWindows;

    impl PartialSchema for LeanWindows {
        fn schema() -> RefOr<Schema> {
            let schema = WindowsAnswer::schema();
            let RefOr::T(Schema::Object(mut object)) = schema else { return schema };
            object.description = Some("`Windows` with `fields` or `total_fields`.".to_owned());
            let null: RefOr<Schema> =
                utoipa::openapi::ObjectBuilder::new().schema_type(SchemaType::new(Type::Null)).build().into();
            let total = AnyOfBuilder::new()
                .item(reference("LeanWindow"))
                .item(null)
                .description(Some("The whole range; null with `total_fields=none`."));
            object.properties.insert("total".into(), Schema::AnyOf(total.build()).into());
            let steps = ArrayBuilder::new().items(reference("LeanWindow")).max_items(Some(2016));
            object.properties.insert("windows".into(), Schema::Array(steps.build()).into());
            Schema::Object(object).into()
        }
    }

    impl ToSchema for LeanWindows {
        fn schemas(schemas: &mut Schemas) {
            schemas.push(("LeanWindow".to_owned(), LeanWindow::schema()));
            LeanWindow::schemas(schemas);
        }
    }

    /// The answer: of one region or of several, with all fields or some.
    pub(crate) struct WindowsBody;

    impl PartialSchema for WindowsBody {
        fn schema() -> RefOr<Schema> {
            let names = ["Windows", "LeanWindows", "WindowsOfRegions"];
            let any = names.iter().fold(AnyOfBuilder::new(), |any, name| any.item(reference(name)));
            Schema::AnyOf(any.build()).into()
        }
    }

    impl ToSchema for WindowsBody {
        fn schemas(schemas: &mut Schemas) {
            schemas.push(("Windows".to_owned(), WindowsAnswer::schema()));
            schemas.push(("LeanWindows".to_owned(), LeanWindows::schema()));
            schemas.push(("WindowsOfRegions".to_owned(), super::WindowsOfRegions::schema()));
            WindowsAnswer::schemas(schemas);
            LeanWindows::schemas(schemas);
        }
    }

    /// An answer of one region in a list.
    pub(crate) struct WindowsOfRegion;

    impl PartialSchema for WindowsOfRegion {
        fn schema() -> RefOr<Schema> {
            let any = AnyOfBuilder::new().item(reference("Windows")).item(reference("LeanWindows"));
            Schema::AnyOf(any.build()).into()
        }
    }

    impl ToSchema for WindowsOfRegion {}
}

/// The counts of several regions in a range.
#[derive(ToSchema)]
#[allow(dead_code, reason = "answers are put together from those of the regions; this describes them")]
pub(crate) struct WindowsOfRegions {
    /// The answer of each region, in the order of the parameter `region`.
    #[schema(min_items = 1, max_items = 32, inline)]
    regions: Vec<schema::WindowsOfRegion>,
}

impl WindowsAnswer<'_> {
    /// The answer as JSON. `steps`, the reports as JSON separated by commas, replace its last member, `windows`, which
    /// is empty.
    fn json(&self, steps: &[u8]) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec(self)?;
        let end = b"]}";
        json.truncate(json.len() - end.len());
        json.reserve_exact(steps.len() + end.len());
        json.extend_from_slice(steps);
        json.extend_from_slice(end);
        Ok(json)
    }
}

/// Counts of a region
///
/// The posts of one or several regions in a range of time: how many, of which kind, in which languages, with which
/// hashtags, by how many authors, and whether any are missing. An answer has at most 2,016 steps, and 20,160 windows when
/// the step is shorter than an hour; longer steps can have any range, and cost no more for it.
#[utoipa::path(
    get,
    path = "/api/windows",
    tag = "metrics",
    params(
        ("region" = Option<String>, Query,
            description = "Id of the region, or several with commas: then the answer is a list. Default: the first region \
                           of `/api/regions`.",
            pattern = "^[a-z0-9-][a-z0-9_-]{0,63}(,[a-z0-9-][a-z0-9_-]{0,63}){0,31}$"),
        ("from" = Option<String>, Query, format = DateTime,
            description = "Start of the range, RFC 3339, rounded down to a step. Default: one day before the end."),
        ("to" = Option<String>, Query, format = DateTime,
            description = "End of the range, exclusive, RFC 3339, rounded up to a step. Default: the end of the newest \
                           window, at most one day after `from`."),
        ("step" = Option<String>, Query, pattern = "^([0-9]{1,9}[smhd]?|auto)$",
            description = "Length of a step, such as `15m`, `1h` or `1d`; seconds without a unit. A multiple of the window \
                           that divides a day, or up to 400 whole days. `auto` is the shortest one that gives at most 300 \
                           steps. Default: one window."),
        ("fields" = Option<String>, Query, pattern = "^[a-z_]{1,32}(,[a-z_]{1,32}){0,63}$",
            description = "Fields of each step, with commas, such as `posts,networks`; `window_start` and `window_end` are \
                           always there. `usual`, `usual_low`, `usual_high`, `reference` and `reference_share` are there only \
                           when they are named. Default: all other fields of `Window`."),
        ("total_fields" = Option<String>, Query, pattern = "^[a-z_]{1,32}(,[a-z_]{1,32}){0,63}$",
            description = "Fields of the total, likewise; `none` leaves the total out. Default: all fields."),
        ("top" = Option<u64>, Query, minimum = 1, maximum = 2048,
            description = "Most entries in `hashtags` and in `link_hosts` of the total. Default: 20 hashtags and 10 hosts."),
        ("since" = Option<String>, Query, format = DateTime,
            description = "Only steps that changed since then, RFC 3339: `as_of` of an earlier answer. The total is that \
                           of the whole range. Default: all steps."),
        ("version" = Option<String>, Query, pattern = "^[0-9a-f]{0,16}$",
            description = "The `version` of `/api/overview`. With the current one, an answer of a range that has ended may \
                           be kept for a day without asking again."),
        ("network" = Option<String>, Query,
            pattern = "^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?(,[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?){0,15}$",
            description = "Networks to count, such as `x` or `bluesky,mastodon`; the parameter may also occur several \
                           times. Completeness is then that of the sources of these networks. A network without posts \
                           counts 0. Default: all networks."),
    ),
    responses((status = 200, description = "The counts.", body = schema::WindowsBody), WindowsErrors),
)]
pub(crate) async fn windows<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    shared.of_query("windows", query, headers, async |shared, query| made(&shared, Some(&query)).await).await
}

/// The answer to a query, and permits that are kept until it is sent.
async fn made<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    shared: &Shared<S>,
    query: Option<&str>,
) -> Result<Made, ApiError> {
    let api = &shared.api;
    let query = WindowsQuery::parse(query, &api.regions, api.rules.size)?;
    let snapshot = shared.snapshot().await?;
    let answers = query.regions.iter().map(|region| of_region(shared, &snapshot, &query, region));
    let mut answers = try_join_all(answers).await?;
    let fresh = answers.iter().map(|answer| answer.fresh).min().unwrap_or(Fresh::Open);
    let body = match answers.pop() {
        Some(only) if !query.is_list => only.json,
        last => {
            let mut json = b"{\"regions\":[".to_vec();
            for (n, answer) in answers.iter().chain(&last).enumerate() {
                if n > 0 {
                    json.push(b',');
                }
                json.extend_from_slice(&answer.json);
            }
            json.extend_from_slice(b"]}");
            json
        }
    };
    Ok((body, fresh))
}

/// The answer of one region.
struct OfRegion {
    json: Vec<u8>,
    fresh: Fresh,
}

async fn of_region<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    shared: &Shared<S>,
    snapshot: &Snapshot,
    query: &WindowsQuery<'_>,
    region: &Region,
) -> Result<OfRegion, ApiError> {
    let api = &shared.api;
    let (rules, size) = (api.rules, api.rules.size);
    let now_ms = snapshot.at_ms;
    let newest = if query.is_closed() { None } else { newest(api, snapshot, &region.id, now_ms).await? };
    let params::Steps { range, step_secs } = query.steps(newest, now_ms, size)?;
    // Windows that have not begun are not listed.
    let open_end = size.start_of(now_ms).0.saturating_add(size.ms());
    let until_ms = range.end.min(open_end.max(range.start));
    let step_ms = i64::from(step_secs) * 1000;
    let grain = Grain::of_step(step_ms, size);
    let lanes = lanes(api, region) + ledgers(api);
    let length = grain.ms(size);
    let parts = u64::try_from((until_ms - range.start + length - 1) / length).unwrap_or(0);
    // What is out of date is read as windows.
    let stale = snapshot.stale.hours(&region.id, range.start, until_ms) * (Period::Hour.ms(size) / size.ms()) as u64;
    let permit = shared.admission.admit((parts + stale).saturating_mul(lanes)).await?;

    let mut steps = Steps::new(&region.id, &range, step_ms, rules, now_ms, query.wanted.clone());
    steps = steps.with_behind(snapshot.behind.clone());
    if query.wanted.fields.asks_for(&USUAL) && range.end - range.start <= days::MAX_DAYS * DAY_MS && step_ms <= DAY_MS {
        let subject = match query.networks.only() {
            Some(network) => Some(Subject::Network { network }),
            None => (query.networks.named() == 0).then_some(Subject::Region),
        };
        if let Some(subject) = subject {
            let history = days::history(shared, snapshot, &region.id, (range.start, until_ms)).await?;
            steps = steps.with_usual(UsualOf::new(&history, size, &subject));
        }
    }
    let has_reference = query.wanted.fields.asks_for(&REFERENCE) && query.networks.asks_for(REFERENCE_NETWORK);
    if has_reference && range.end - range.start <= days::MAX_DAYS * DAY_MS {
        steps = steps.with_reference(reference::days(&*api.store, &region.id, range.start, range.end).await?);
    }
    let wanted = [&query.wanted.fields, &query.wanted.total_fields];
    if wanted.into_iter().any(|fields| fields.has("revision") || fields.has("lifecycle")) {
        let revisions = revisions::read(&*api.store, &region.id, range.start, until_ms).await?;
        steps = steps.with_revisions(revisions, query.networks.clone());
    }
    // A slice at a time, so that a long range needs no more memory than a short one.
    // Parts of which some windows have begun.
    let whole_end_ms = range.start + parts as i64 * length;
    let kept = (&shared.parts, &*snapshot.glance.overview.version, now_ms);
    let kept = snapshot.is_settled.then_some(kept);
    let reader = Reader { store: &*api.store, rules, stale: &snapshot.stale, until_ms, kept };
    let mut slices = Slices::new(range.start..whole_end_ms, length, lanes, shared.admission.limits);
    while let Some(slice) = slices.next() {
        let of = (&*region.id, &query.networks);
        let read = span::read(&reader, of, grain, slice).await?;
        slices.found(!read.is_empty());
        steps = off_runtime(move || steps.add(read, slice, until_ms).map(|()| steps)).await??;
    }
    let settled_ms = range.end.saturating_add(rules.lateness_ms).saturating_add(SETTLED_MS);
    let is_final = |region| !snapshot.stale.has(region, grain, (range.start, range.end));
    let is_filling = |source: &SourceState| matches!(source.status, SourceStatus::Starting | SourceStatus::Backfill);
    let is_closed = query.wanted.since_ms.is_none()
        && settled_ms < now_ms
        && is_final(&*region.id)
        && is_final(STREAM)
        && !(api.sources)().iter().any(is_filling);
    let fresh = match &query.version {
        _ if !is_closed => Fresh::Open,
        Some(version) if *version == snapshot.glance.overview.version => Fresh::Versioned,
        _ => Fresh::Closed,
    };
    let (id, name) = (region.id.clone(), region.name.clone());
    let (has_total, total_fields) = (query.has_total, query.wanted.total_fields.clone());
    let written = move || -> serde_json::Result<_> {
        let (total, steps) = steps.finish(range.end > until_ms)?;
        let answer = WindowsAnswer {
            region: &id,
            name: &name,
            from: rfc3339(range.start),
            to: rfc3339(range.end),
            window_secs: size.secs(),
            step_secs,
            as_of: rfc3339(now_ms.div_euclid(AS_OF_MS).saturating_mul(AS_OF_MS)),
            total: if has_total { Some(total_fields.raw(&total)?) } else { None },
            windows: vec![],
        };
        answer.json(&steps)
    };
    let json = off_runtime(written).await??;
    drop(permit);
    Ok(OfRegion { json, fresh })
}

/// `as_of` is rounded down to this, in milliseconds, so that viewers who ask what changed since then ask the same, and one
/// answer is enough for all of them.
const AS_OF_MS: i64 = 60_000;
/// Counts of a range are closed when it ended this long ago, in milliseconds, beyond the time for late posts.
const SETTLED_MS: i64 = 3_600_000;

/// Start of the newest window of a region, but not later than the present: a window that a wrong clock opened in the far
/// future must not hide all others.
async fn newest<S: WindowStore>(
    api: &Api<S>,
    snapshot: &Snapshot,
    region: &str,
    now_ms: i64,
) -> Result<Option<WindowStart>, PortError> {
    let known = snapshot.glance.overview.regions.get(region).and_then(|of_region| of_region.newest_window_ms);
    if let Some(newest_ms) = known {
        return Ok(Some(WindowStart(newest_ms)));
    }
    let latest = api.rules.size.start_of(now_ms.saturating_add(FUTURE_LIMIT_MS));
    Ok(api.store.newest(region).await?.map(|newest| newest.min(latest)))
}

/// Lanes of a region, as far as the sources of this process show them: archives may have added more, so it is
/// not a bound.
fn lanes<S>(api: &Api<S>, region: &Region) -> u64 {
    let networks: BTreeSet<_> = (api.sources)().iter().map(|source| source.network).collect();
    u64::from(region.hot_buckets.max(1)) * networks.len().max(1) as u64
}

/// Lanes of ledgers, as far as the sources of this process show them.
fn ledgers<S>(api: &Api<S>) -> u64 {
    (api.sources)().len().max(1) as u64
}

/// Slices of a range, of whole windows, hours or days, that have a bounded number of parts each. They get longer while
/// nothing is stored there.
struct Slices {
    range: Range<i64>,
    slice_ms: i64,
    times: i64,
}

/// An empty slice makes the next one twice as long, up to this many times.
const LONGEST_SLICE: i64 = 16;

impl Slices {
    fn new(range: Range<i64>, length: i64, lanes: u64, limits: Limits) -> Self {
        let parts = (u64::from(limits.slice_partials) / lanes).clamp(1, 1 << 16);
        Self { range, slice_ms: parts as i64 * length, times: 1 }
    }

    fn next(&mut self) -> Option<(i64, i64)> {
        let from = self.range.start;
        self.range.start = self.range.end.min(from.saturating_add(self.slice_ms * self.times));
        (from < self.range.end).then_some((from, self.range.start))
    }

    fn found(&mut self, something: bool) {
        self.times = if something { 1 } else { LONGEST_SLICE.min(2 * self.times) };
    }
}

/// Runs work that keeps the processor busy for a while on a thread that answers no other request.
pub(crate) async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let internal = |error| ApiError::new(ErrorCode::Internal, format!("the answer could not be made: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(internal)
}
