//! `/api/trends`: what rises in the regions now.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use birdsong_digest::watch::{ProfileOf, Rising, Standing, Watched};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{DocumentKind, DocumentStore, RollupStore, Settings, WindowStore};
use birdsong_domain::post::Kind;
use birdsong_domain::time::rfc3339;
use birdsong_domain::trend::Sensitivity;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::Fresh;
use crate::error::{ApiError, WindowsErrors, foreign};
use crate::events::{SubjectReport, thousandths};
use crate::params::{self, bad};
use crate::{Made, Shared};

/// Regions that are read at the same time.
const AT_ONCE: usize = 16;

/// What rises.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trends)]
pub(crate) struct TrendsAnswer {
    /// The regions that were asked for.
    regions: Vec<RegionTrends>,
}

/// What rises in a region.
#[derive(Debug, Serialize, ToSchema)]
struct RegionTrends {
    /// Id of the region.
    #[schema(pattern = "^[a-z0-9-][a-z0-9_-]{0,63}$")]
    region: String,
    /// End of the last window that was looked at, RFC 3339 in UTC; null before the first one.
    #[schema(required = true, format = DateTime)]
    at: Option<String>,
    /// Whether there is a baseline: at least two days with complete windows. Without one, nothing can be called unusual.
    has_baseline: bool,
    /// Hashtags and hosts: those that rise, by score.
    #[schema(max_items = 40)]
    items: Vec<TrendReport>,
}

/// A hashtag or host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trend)]
pub(crate) struct TrendReport {
    /// The hashtag or host.
    subject: SubjectReport,
    /// Why it is in the list: `rising` (far more posts than usual), `new` (so, and not seen in the days before), `flooded`
    /// (one author wrote more than half of its posts, or fewer than three authors wrote them: no trend) or `evergreen` (many
    /// posts, as usual).
    #[schema(value_type = String, pattern = "^(rising|new|flooded|evergreen)$")]
    standing: Standing,
    /// How unusual it is: about 4 is clear, 7 is strong. 0 unless it is `rising` or `new`.
    score: f64,
    /// The score against how much it differs from day to day.
    level: f64,
    /// The score against how much it varies at this time of day.
    season: f64,
    /// Posts in the last `span_secs`, at least.
    observed: u64,
    /// Length of the windows that are compared, in seconds.
    #[schema(minimum = 0)]
    span_secs: i64,
    /// Posts as usual in windows like those.
    #[schema(minimum = 0)]
    usual: f64,
    /// Lower end of the range in which the number is on four of five days.
    #[schema(minimum = 0)]
    usual_low: f64,
    /// Upper end of it.
    #[schema(minimum = 0)]
    usual_high: f64,
    /// Since when it is unusual, RFC 3339 in UTC; null when there is no event.
    #[schema(required = true, format = DateTime)]
    since: Option<String>,
    /// Distinct authors of these posts; null when the source names none.
    #[schema(required = true)]
    authors: Option<Authors>,
    /// Posts in each step of `spark_step_secs`, oldest first, up to `at`, at least.
    #[schema(max_items = 36)]
    spark: Vec<u64>,
    /// Length of these steps, in seconds.
    #[schema(minimum = 0)]
    spark_step_secs: i64,
    /// Posts by network.
    networks: Vec<NetworkPosts>,
    /// What these posts are; null when it was not stored: only the heaviest hashtags of a window have a profile.
    #[schema(required = true)]
    profile: Option<ProfileReport>,
}

/// Who wrote the posts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrendAuthors)]
struct Authors {
    /// Number of distinct authors, about.
    value: u64,
    /// At least, with a probability of 95 %.
    low: u64,
    /// At most, with a probability of 95 %.
    high: u64,
    /// Share of the author with the most posts, at least; null when not known.
    #[schema(required = true, minimum = 0, maximum = 1)]
    top_share_low: Option<f64>,
    /// Share of the author with the most posts, at most; null when not known.
    #[schema(required = true, minimum = 0, maximum = 1)]
    top_share_high: Option<f64>,
}

/// Posts of a network.
#[derive(Debug, Serialize, ToSchema)]
struct NetworkPosts {
    /// Name of the network.
    #[schema(value_type = String)]
    network: Network,
    /// Posts, at least.
    posts: u64,
}

/// What the posts with a hashtag are. The first four of each window are not in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Profile)]
struct ProfileReport {
    /// Posts that are in it.
    posts: u64,
    /// Posts that are neither reply, quote nor repost.
    originals: u64,
    /// Posts that answer another post.
    replies: u64,
    /// Posts that quote another post.
    quotes: u64,
    /// Posts that only repeat another post.
    reposts: u64,
    /// The most frequent languages.
    #[schema(max_items = 6)]
    languages: Vec<Named>,
    /// How much the count of a language may be too low.
    languages_error: u64,
    /// Hashtags that come with it most often.
    #[schema(max_items = 6)]
    tags: Vec<Named>,
    /// How much the count of one of these hashtags may be too low.
    tags_error: u64,
}

/// A name and a count.
#[derive(Debug, Serialize, ToSchema)]
struct Named {
    /// Language or folded hashtag.
    name: String,
    /// Posts, at least.
    posts: u64,
}

fn named(list: Vec<(String, u64)>) -> Vec<Named> {
    list.into_iter().map(|(name, posts)| Named { name, posts }).collect()
}

impl ProfileReport {
    fn new(profile: ProfileOf) -> Self {
        let of = |kind: Kind| profile.kinds[kind as usize];
        Self {
            posts: profile.posts,
            originals: of(Kind::Original),
            replies: of(Kind::Reply),
            quotes: of(Kind::Quote),
            reposts: of(Kind::Repost),
            languages: named(profile.languages),
            languages_error: profile.languages_error,
            tags: named(profile.tags),
            tags_error: profile.tags_error,
        }
    }
}

impl TrendReport {
    pub(crate) fn new(rising: Rising) -> Self {
        let top = rising.top_author_permille;
        Self {
            subject: SubjectReport::new(&rising.subject),
            standing: rising.standing,
            score: thousandths(rising.score_milli),
            level: thousandths(rising.level_milli),
            season: thousandths(rising.season_milli),
            observed: rising.observed,
            span_secs: rising.span_ms / 1000,
            usual: thousandths(rising.expected_milli),
            usual_low: thousandths(rising.low_milli),
            usual_high: thousandths(rising.high_milli),
            since: rising.since_ms.map(rfc3339),
            authors: rising.authors.map(|(value, low, high)| Authors {
                value,
                low,
                high,
                top_share_low: top.map(|(low, _)| thousandths(low)),
                top_share_high: top.map(|(_, high)| thousandths(high)),
            }),
            spark: rising.spark,
            spark_step_secs: rising.spark_step_ms / 1000,
            networks: rising.networks.into_iter().map(|(network, posts)| NetworkPosts { network, posts }).collect(),
            profile: rising.profile.map(ProfileReport::new),
        }
    }
}

/// What is asked for.
struct Query {
    regions: Vec<String>,
    networks: Vec<Network>,
    standings: Vec<Standing>,
    theta_milli: i64,
}

impl Query {
    fn has(&self, rising: &Rising) -> bool {
        let is_trend = matches!(rising.standing, Standing::Rising | Standing::New);
        let is_of_network = self.networks.is_empty()
            || rising.networks.iter().any(|(network, posts)| *posts > 0 && self.networks.contains(network));
        self.standings.contains(&rising.standing)
            && is_of_network
            && (!is_trend || rising.score_milli >= self.theta_milli || rising.since_ms.is_some())
    }
}

/// What rises now
///
/// Hashtags and hosts with far more posts than usual, with the reason, of the last windows that are final. On request
/// also those that have many posts and are no trend.
#[utoipa::path(
    get,
    path = "/api/trends",
    tag = "metrics",
    params(
        ("region" = Option<String>, Query, description = "Id of the region, or several with commas. Default: all regions.",
            pattern = "^[a-z0-9-][a-z0-9_-]{0,63}(,[a-z0-9-][a-z0-9_-]{0,63}){0,31}$"),
        ("network" = Option<String>, Query,
            pattern = "^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?(,[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?){0,15}$",
            description = "Only what has posts on one of these networks. Counts and scores are those of all networks. \
                           Default: all networks."),
        ("standing" = Option<String>, Query, pattern = "^(all|(rising|new|flooded|evergreen)(,(rising|new|flooded|evergreen)){0,3})$",
            description = "Standings, with commas, or `all`. Default: rising,new."),
    ),
    responses((status = 200, description = "What rises.", body = TrendsAnswer), WindowsErrors),
)]
pub(crate) async fn trends<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    State(shared): State<Arc<Shared<S>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    shared.of_query("trends", query, headers, async |shared, query| made(&shared, Some(&query)).await).await
}

async fn made<S: WindowStore + RollupStore + DocumentStore + Settings + 'static>(
    shared: &Shared<S>,
    query: Option<&str>,
) -> Result<Made, ApiError> {
    let mut asked = params::named(query, &["region", "network", "standing"])?;
    let regions = params::regions(asked.remove("region").as_deref(), &shared.api.regions)?;
    let networks = match asked.remove("network") {
        Some(list) => list.split(',').map(params::network).collect::<Result<_, _>>()?,
        None => vec![],
    };
    let all = [Standing::Rising, Standing::New, Standing::Flooded, Standing::Evergreen];
    let standing = |name: &str| match name {
        "rising" => Ok(all[0]),
        "new" => Ok(all[1]),
        "flooded" => Ok(all[2]),
        "evergreen" => Ok(all[3]),
        _ => {
            let message = format!("\"{}\" is not rising, new, flooded, evergreen or all", foreign(name));
            Err(bad("standing", message))
        }
    };
    let standings = match asked.remove("standing").as_deref() {
        None => all[..2].to_vec(),
        Some("all") => all.to_vec(),
        Some(list) => list.split(',').map(standing).collect::<Result<_, _>>()?,
    };
    let query = Query { regions, networks, standings, theta_milli: Sensitivity::Balanced.theta_milli() };
    let permit = shared.admission.admit(query.regions.len() as u64).await?;
    let store = &*shared.api.store;
    let read = stream::iter(query.regions.clone()).map(|region| async move {
        let documents = store.documents(DocumentKind::Watch, &region, 0, 1).await?;
        Ok::<_, ApiError>(documents.first().and_then(|document| Watched::decode(&document.body)))
    });
    let watched: Vec<Option<Watched>> = read.buffered(AT_ONCE).try_collect().await?;
    let regions = query.regions.iter().zip(watched).map(|(region, watched)| {
        let watched = watched.unwrap_or_default();
        RegionTrends {
            region: region.clone(),
            at: (watched.scored_to_ms > 0).then(|| rfc3339(watched.scored_to_ms)),
            has_baseline: !watched.usual.is_empty(),
            items: watched.rising.into_iter().filter(|rising| query.has(rising)).map(TrendReport::new).collect(),
        }
    });
    let answer = TrendsAnswer { regions: regions.collect() };
    drop(permit);
    Ok((serde_json::to_vec(&answer)?, Fresh::Minutes(1)))
}
