//! `/api/series`: the posts of one hashtag or host, step by step.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use birdsong_digest::revisions;
use birdsong_digest::watch::History;
use birdsong_domain::event::Subject;
use birdsong_domain::hashtag;
use birdsong_domain::ports::{DocumentStore, RollupStore, Settings, WindowStore};
use birdsong_domain::revision::Revision;
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::series::Item;
use birdsong_domain::time::rfc3339;
use birdsong_domain::trend::{Past, Scale};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::Fresh;
use crate::error::{ApiError, WindowsErrors, foreign};
use crate::events::thousandths;
use crate::params::{self, bad, unprocessable};
use crate::report::RevisionReport;
use crate::{Made, Shared, days};

/// Most steps in one answer.
const MAX_STEPS: i64 = 2_016;
/// Longest host, in bytes (RFC 1035).
const MAX_HOST_BYTES: usize = 253;

/// The posts of a hashtag or host in a region.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Series)]
pub(crate) struct SeriesAnswer {
    /// Id of the region.
    #[schema(pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$")]
    region: String,
    /// Folded form of the hashtag; null when a host was asked for.
    #[schema(required = true)]
    tag: Option<String>,
    /// The host; null when a hashtag was asked for.
    #[schema(required = true)]
    host: Option<String>,
    /// Start of the range after rounding to steps, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    from: String,
    /// End of the range after rounding to steps, exclusive, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    to: String,
    /// Length of a step, in seconds.
    #[schema(minimum = 60, maximum = 86_400)]
    step_secs: u32,
    /// The steps in order; steps that have not begun are left out.
    #[schema(max_items = 2016)]
    steps: Vec<SeriesStep>,
}

/// A step.
#[derive(Debug, Serialize, ToSchema)]
struct SeriesStep {
    /// Start of the step, RFC 3339 in UTC.
    #[schema(format = DateTime)]
    start: String,
    /// Posts, at least: where it was not among the most frequent ones, nothing was kept of it.
    posts: u64,
    /// Posts, at most. Exact when it equals `posts`.
    posts_high: u64,
    /// Whether something is known of each window of the step.
    is_known: bool,
    /// What changed in the windows of the region after they had been counted; null when nothing did. `change` is of all posts
    /// of the region.
    #[schema(required = true)]
    revision: Option<RevisionReport>,
    /// Posts as usual; left out without a baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    usual: Option<f64>,
    /// Lower end of the range in which the number is on four of five days; left out without a baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    usual_low: Option<f64>,
    /// Upper end of it; left out without a baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    usual_high: Option<f64>,
}

/// The usual numbers of a series.
pub(crate) struct UsualOf {
    past: Past,
    size_ms: i64,
    first_ms: i64,
}

impl UsualOf {
    pub(crate) fn new(history: &History, size: birdsong_domain::time::WindowSize, subject: &Subject) -> Self {
        let past = Past::new(Scale::from(size), &history.series(subject));
        Self { past, size_ms: size.ms(), first_ms: history.start_ms(0) }
    }

    /// Posts as usual in `from_ms..to_ms`, and the ends of the range; `None` without a baseline.
    pub(crate) fn step(&self, from_ms: i64, to_ms: i64) -> Option<[f64; 3]> {
        let at = |time_ms: i64| usize::try_from((time_ms - self.first_ms) / self.size_ms).ok();
        let usual = self.past.usual(at(from_ms)?, at(to_ms)?).ok()?;
        Some([usual.expected_milli, usual.low_milli, usual.high_milli].map(thousandths))
    }
}

/// The posts of a hashtag or host
///
/// Step by step, with what is usual. Only the most frequent hashtags and hosts of a window are kept, so a number has two
/// bounds.
#[utoipa::path(
    get,
    path = "/api/series",
    tag = "metrics",
    params(
        ("region" = Option<String>, Query, description = "Id of the region. Default: the first region of `/api/regions`.",
            pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$"),
        ("tag" = Option<String>, Query, description = "Hashtag, with or without `#`. Either this or `host`."),
        ("host" = Option<String>, Query, description = "Host of links. Either this or `tag`."),
        ("from" = Option<String>, Query, format = DateTime,
            description = "Start of the range, RFC 3339, rounded down to a step. Default: one day before the end."),
        ("to" = Option<String>, Query, format = DateTime,
            description = "End of the range, exclusive, RFC 3339, rounded up to a step, at most 62 days after `from`. \
                           Default: now."),
        ("step" = Option<String>, Query, pattern = "^[0-9]{1,9}[smhd]?$",
            description = "Length of a step, up to a day, such as `15m`; seconds without a unit. Default: one window."),
    ),
    responses((status = 200, description = "The series.", body = SeriesAnswer), WindowsErrors),
)]
pub(crate) async fn series<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    shared.of_query("series", query, headers, async |shared, query| made(&shared, Some(&query)).await).await
}

async fn made<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    shared: &Shared<S>,
    query: Option<&str>,
) -> Result<Made, ApiError> {
    let size = shared.api.rules.size;
    let mut named = params::named(query, &["region", "tag", "host", "from", "to", "step"])?;
    let mut regions = params::regions(named.remove("region").as_deref(), &shared.api.regions)?;
    if regions.is_empty() {
        return Err(bad("region", "there are no regions yet"));
    }
    let region = regions.swap_remove(0);
    let subject = match (named.remove("tag"), named.remove("host")) {
        (Some(tag), None) => {
            let key = hashtag::key(&tag).map(std::borrow::Cow::into_owned);
            let wrong =
                || unprocessable("tag", format!("\"{}\" is not a hashtag of 1 to 100 characters", foreign(&tag)));
            Subject::Hashtag { key: key.ok_or_else(wrong)?, shown: tag.clone() }
        }
        (None, Some(host)) => {
            let host = host.to_ascii_lowercase();
            if host.is_empty() || host.len() > MAX_HOST_BYTES {
                return Err(unprocessable("host", "a host has 1 to 253 bytes"));
            }
            Subject::Host { host }
        }
        (None, None) => return Err(unprocessable("tag", "name a hashtag with tag=, or a host with host=")),
        (Some(_), Some(_)) => return Err(unprocessable("host", "either tag or host is possible, not both")),
    };
    let step_secs = match named.remove("step") {
        Some(step) => params::step(&step, size)?,
        None => size.secs(),
    };
    let step_ms = i64::from(step_secs) * 1000;
    if step_ms > DAY_MS {
        return Err(unprocessable("step", "a step of a series has at most a day"));
    }
    let snapshot = shared.snapshot().await?;
    let down = |time_ms: i64| time_ms.div_euclid(step_ms) * step_ms;
    let to = named.remove("to").map(|value| params::time("to", &value)).transpose()?;
    let to_ms = down(to.unwrap_or(snapshot.at_ms).saturating_add(step_ms - 1));
    let from = named.remove("from").map(|value| params::time("from", &value)).transpose()?;
    let from_ms = down(from.unwrap_or(to_ms - DAY_MS));
    if from_ms >= to_ms {
        return Err(unprocessable("to", "must be later than from"));
    }
    if to_ms - from_ms > days::MAX_DAYS * DAY_MS {
        return Err(unprocessable("from", format!("must be at most {} days before to", days::MAX_DAYS)));
    }
    if (to_ms - from_ms) / step_ms > MAX_STEPS {
        return Err(unprocessable("step", format!("an answer has at most {MAX_STEPS} steps; use a longer step")));
    }
    let cost = u64::try_from((to_ms - from_ms) / DAY_MS).unwrap_or(0) + 32;
    let permit = shared.admission.admit(cost).await?;
    let history = days::history(shared, &snapshot, &region, (from_ms, to_ms)).await?;
    let revisions = revisions::read(&*shared.api.store, &region, from_ms, to_ms).await?;
    let usual = UsualOf::new(&history, size, &subject);
    let key = match &subject {
        Subject::Host { host } => (Item::Host, host.as_str()),
        Subject::Hashtag { key, .. } => (Item::Hashtag, key.as_str()),
        Subject::Region | Subject::Network { .. } => (Item::Hashtag, ""),
    };
    let starts = (0..).map(|n| from_ms + n * step_ms).take_while(|start| *start < to_ms.min(snapshot.at_ms));
    let steps = starts.map(|start_ms| {
        let (from, to) = (history.position(start_ms), history.position(start_ms + step_ms));
        let bounds = history.bounds(key, from, to);
        let known = bounds.iter().flatten();
        let (posts, posts_high) = known.fold((0, 0), |(low, high), (least, most)| (low + least, high + most));
        let usual = usual.step(start_ms, start_ms + step_ms);
        let (is_revised, late) = history.revised(from, to);
        let revision = Revision::of(is_revised, late, revisions.of(start_ms, start_ms + step_ms, |_| true));
        SeriesStep {
            start: rfc3339(start_ms),
            posts,
            posts_high,
            is_known: !bounds.is_empty() && bounds.iter().all(Option::is_some),
            revision: revision.map(RevisionReport::from),
            usual: usual.map(|usual| usual[0]),
            usual_low: usual.map(|usual| usual[1]),
            usual_high: usual.map(|usual| usual[2]),
        }
    });
    let (tag, host) = match &subject {
        Subject::Hashtag { key, .. } => (Some(key.clone()), None),
        Subject::Host { host } => (None, Some(host.clone())),
        Subject::Region | Subject::Network { .. } => (None, None),
    };
    let answer = SeriesAnswer {
        region,
        tag,
        host,
        from: rfc3339(from_ms),
        to: rfc3339(to_ms),
        step_secs,
        steps: steps.collect(),
    };
    drop(permit);
    Ok((serde_json::to_vec(&answer)?, Fresh::Open))
}
