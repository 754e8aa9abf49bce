//! What most answers need to know of the store: the overview with the newest windows, and which roll-ups are out of date.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use birdsong_digest::overview::{Glance, Known, Overview};
use birdsong_digest::read::{Seen, Stale};
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{OVERVIEW, PortError, RollupStore, Settings, WindowStore};
use birdsong_domain::time::WindowStart;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{Api, Limits};

/// A stored overview that is older than this, in milliseconds, is that of a digest that has ended: it is made here, then.
const OVERVIEW_OLD_MS: i64 = 600_000;
/// How long an overview that was made here is used at least: it takes some reading.
const MADE_REUSE: Duration = Duration::from_secs(15);

/// What is known at a time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The overview.
    pub(crate) glance: Glance,
    /// Hours and days whose roll-ups are out of date.
    pub(crate) stale: Stale,
    /// Whether what is read now may be kept under the version of the counts.
    pub(crate) is_settled: bool,
    /// When it was read, in milliseconds.
    pub(crate) at_ms: i64,
    /// Later windows may have posts that are on their way from the log, in milliseconds.
    pub(crate) settled_ms: i64,
    /// Hours, by their start, of which posts are missing that are not on their way: [`Glance::behind`].
    pub(crate) behind: Arc<BTreeSet<i64>>,
}

/// The last snapshot, and when it expires. Requests that come while it is renewed wait for it.
pub(crate) type Cache = Mutex<Last>;

/// What is known of the times before.
#[derive(Debug, Default)]
pub(crate) struct Last {
    snapshot: Option<(Instant, Arc<Snapshot>)>,
    known: Known,
    seen: Seen,
    /// The version of the counts, and when it was seen first.
    version: (String, i64),
}

/// Where reads are only eventually consistent, roll-ups are kept under a version that was seen this long ago, in
/// milliseconds.
const VERSION_SETTLE_MS: i64 = 5_000;

/// The snapshot; one that was read lately may be used again.
///
/// # Errors
/// When the store fails.
pub(crate) async fn snapshot<S: WindowStore + RollupStore + Settings>(
    api: &Api<S>,
    limits: Limits,
    cache: &Cache,
) -> Result<Arc<Snapshot>, PortError> {
    let mut cache = cache.lock().await;
    let Last { snapshot: kept, known, seen, version } = &mut *cache;
    if let Some((until, snapshot)) = kept.as_ref().filter(|(until, _)| Instant::now() < *until) {
        let _ = until;
        return Ok(snapshot.clone());
    }
    let now_ms = (api.now_ms)();
    let regions: Vec<_> = api.regions.iter().map(|region| &*region.id).collect();
    // Ledgers first: an aggregator stores them last, so a post that comes meanwhile is not missing.
    let mut all = vec![STREAM];
    all.extend(&regions);
    // The list of changes before the overview: one that is off the list is in the overview's version, at least.
    let from = kept.as_ref().map_or(WindowStart(i64::MAX), |(_, last)| WindowStart(last.glance.overview.until_ms));
    let mut live = api.store.live(&all, from).await?;
    let stored = api.store.setting(OVERVIEW).await?;
    let stored = stored.as_deref().and_then(Overview::parse);
    let mut reuse = limits.reuse;
    let overview = match stored {
        Some(overview) if now_ms - overview.updated_ms < OVERVIEW_OLD_MS && has_all(&overview, &regions) => overview,
        previous => {
            reuse = if reuse.is_zero() || live.has_more { reuse } else { reuse.max(MADE_REUSE) };
            Overview::new(&*api.store, api.rules, &regions, now_ms, previous, &[], known).await?
        }
    };
    if from.0 > overview.until_ms {
        let newest = api.store.live(&all, WindowStart(overview.until_ms)).await?;
        live.windows = newest.windows;
        live.has_more |= newest.has_more;
    }
    let stale = Stale::of_live(&live, seen, now_ms);
    if version.0 != overview.version {
        *version = (overview.version.clone(), now_ms);
    }
    let is_settled = live.settle_ms == 0 || now_ms - version.1 >= VERSION_SETTLE_MS;
    let glance = overview.with_live(&live, &regions, api.rules.size, now_ms);
    let settled_ms = if api.grace_ms == 0 { i64::MAX } else { now_ms - api.grace_ms };
    let behind = Arc::new(glance.behind(settled_ms, api.rules.size));
    let snapshot = Arc::new(Snapshot { glance, stale, is_settled, at_ms: now_ms, settled_ms, behind });
    *kept = Some((Instant::now() + reuse, snapshot.clone()));
    Ok(snapshot)
}

/// Whether an overview has these regions: a new one may not be in it yet.
fn has_all(overview: &Overview, regions: &[&str]) -> bool {
    overview.until_ms == 0 || regions.iter().all(|region| overview.regions.contains_key(*region))
}
