//! Corrections of windows, by region and day ([`birdsong_domain::revision`]).
//!
//! ```
//! use birdsong_digest::revisions::{self, Corrected};
//! use birdsong_domain::network::Network;
//! use birdsong_domain::revision::{Cause, LaneWindow};
//! use birdsong_testkit::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::default();
//! let lane = LaneWindow { window_ms: 300_000, network: Network::X, bucket: 0 };
//! let corrected = Corrected { region: "fog", lane, before: Some(2), after: 5, cause: Cause::Retry };
//! revisions::record(&store, &[corrected], 1_700_000_000_000).await?;
//! let day = revisions::read(&store, "fog", 0, 600_000).await?;
//! assert_eq!(day.of(0, 600_000, |_| true).change, Some(3));
//! assert!(day.of(0, 300_000, |_| true).is_none());
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;

use birdsong_domain::network::Network;
use birdsong_domain::ports::{DocumentKey, DocumentKind, DocumentStore, PortError};
use birdsong_domain::revision::{Cause, Corrections, LaneWindow, Revision};
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::rfc3339;

use crate::documents::{Change, change};

/// How often a put is repeated because another writer was faster.
const MAX_CONFLICTS: usize = 16;

/// A window of a lane that is corrected.
#[derive(Clone, Copy, Debug)]
pub struct Corrected<'a> {
    /// Id of its region.
    pub region: &'a str,
    /// Which one.
    pub lane: LaneWindow,
    /// Posts that were not late, before; `None` when what was stored could not be read.
    pub before: Option<u64>,
    /// Posts that are not late, after.
    pub after: u64,
    /// Why.
    pub cause: Cause,
}

/// Records corrections that are made at `at_ms`, in milliseconds. Record them before they are made: then none is without its
/// record, and one that is made later after all is recorded once.
///
/// # Errors
/// When the store fails. A damaged record is replaced.
pub async fn record<S: DocumentStore>(store: &S, corrected: &[Corrected<'_>], at_ms: i64) -> Result<(), PortError> {
    let mut days = BTreeMap::<_, Vec<&Corrected<'_>>>::new();
    for one in corrected {
        let day_ms = one.lane.window_ms.div_euclid(DAY_MS) * DAY_MS;
        days.entry((one.region, day_ms)).or_default().push(one);
    }
    for ((region, day_ms), corrected) in days {
        let key = DocumentKey { kind: DocumentKind::Revisions, region: region.to_owned(), start_ms: day_ms };
        let with = |body: Option<&[u8]>| {
            let mut corrections = body.map_or_else(Corrections::default, |body| decode(region, day_ms, body));
            for one in &corrected {
                corrections.correct(one.lane, (one.before, one.after), at_ms, one.cause);
            }
            corrections.encode().map(Change::Put).map_err(PortError::cannot_encode)
        };
        if change(store, &key, MAX_CONFLICTS, with).await?.is_none() {
            let reason = "others change the same record all the time".into();
            return Err(PortError::Unavailable { what: "the corrections of the day", reason });
        }
    }
    Ok(())
}

/// Corrections of the windows of a region, by window.
#[derive(Clone, Debug, Default)]
pub struct Revisions(BTreeMap<i64, Vec<(Network, Revision)>>);

impl Revisions {
    /// What they changed in the windows that start in `from_ms..to_ms`, of some networks.
    #[must_use]
    pub fn of(&self, from_ms: i64, to_ms: i64, has: impl Fn(Network) -> bool) -> Revision {
        let mut all = Revision::NONE;
        let windows = if from_ms < to_ms { Some(self.0.range(from_ms..to_ms)) } else { None };
        for (network, revision) in windows.into_iter().flatten().flat_map(|(_, networks)| networks) {
            if has(*network) {
                all.add(revision);
            }
        }
        all
    }
}

/// The corrections of the windows of a region on the days of `from_ms..to_ms`.
///
/// # Errors
/// When the store fails. A damaged record is logged, and nothing is known of it.
pub async fn read<S: DocumentStore>(store: &S, region: &str, from_ms: i64, to_ms: i64) -> Result<Revisions, PortError> {
    let first_ms = from_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS);
    let mut revisions = Revisions::default();
    for document in store.documents(DocumentKind::Revisions, region, first_ms, to_ms).await? {
        for (lane, correction) in decode(region, document.start_ms, &document.body).iter() {
            revisions.0.entry(lane.window_ms).or_default().push((lane.network, correction.revision()));
        }
    }
    Ok(revisions)
}

fn decode(region: &str, day_ms: i64, body: &[u8]) -> Corrections {
    Corrections::decode(body).unwrap_or_else(|error| {
        tracing::error!("the corrections of {region}, {}, cannot be read: {error}", rfc3339(day_ms));
        Corrections::default()
    })
}
