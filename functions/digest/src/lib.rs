//! The digest: it merges final windows into hours and days, and writes the overview of all regions, so that looking is
//! cheap (rule 8.1).
//!
//! It runs about each minute. A run is idempotent: it may come twice, late, or beside another one. The store lists the
//! hours whose windows changed; a run works through those that are final, and takes each off the list when its roll-ups
//! and the overview are stored. So a run that ends at any point is continued by the next one.
//!
//! ```
//! use std::sync::Arc;
//!
//! use birdsong_digest::Digest;
//! use birdsong_domain::frame::Lane;
//! use birdsong_domain::network::Network;
//! use birdsong_domain::ports::{Expected, PartialKey, RollupStore, WindowStore};
//! use birdsong_domain::rollup::{HOUR_MS, Period};
//! use birdsong_domain::time::WindowStart;
//! use birdsong_domain::window::FoldRules;
//! use birdsong_testkit::{MemoryStore, sample_partial};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(MemoryStore::default());
//! let key = PartialKey { lane: Lane::posts("fog", Network::X, 0), window: WindowStart(0) };
//! store.put(&key, &sample_partial(1, 1u64.into(), 5), &Expected::Absent).await?;
//!
//! let mut digest = Digest::new(store.clone(), FoldRules::default());
//! let outcome = digest.run(&["fog"], 2 * HOUR_MS, || false).await?;
//! assert_eq!((outcome.stored, outcome.has_more), (1, false));
//! assert_eq!(store.rollups("fog", Period::Hour, 0, 1).await?.len(), 1);
//! # Ok(())
//! # }
//! ```

pub mod documents;
pub mod events;
pub mod notes;
pub mod overview;
pub mod read;
mod redo;
pub mod reference;
pub mod revisions;
pub mod watch;

use std::sync::Arc;

use birdsong_domain::ports::{Change, DocumentStore, OVERVIEW, PortError, RollupStore, Settings, WindowStore};
use birdsong_domain::rollup::Period;
use birdsong_domain::window::FoldRules;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use overview::{Known, Overview};
use watch::Watcher;

/// How long after the time for late posts an hour or a day is rolled up, in milliseconds: clocks differ, and puts take
/// some time.
pub const MARGIN_MS: i64 = 60_000;
/// Regions, or days of regions, that are in work at the same time: the store answers after milliseconds.
const AT_ONCE: usize = 8;
/// Changes that are worked through before the overview is written.
const BATCH: usize = 2_000;
/// How often the overview is written again because another run was faster.
const MAX_CONFLICTS: usize = 8;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Hours and days that were looked at.
    pub redone: u64,
    /// Roll-ups that were stored or removed, since they were not as they should be.
    pub stored: u64,
    /// Puts repeated because another run was faster.
    pub conflicts: u64,
    /// Regions, and the collection, whose events were looked for, since windows became final or changed.
    pub watched: u64,
    /// Whether work is left that could be done now.
    pub has_more: bool,
}

/// The digest of one store.
#[derive(Debug)]
pub struct Digest<S> {
    store: Arc<S>,
    rules: FoldRules,
    known: Known,
    watcher: Watcher,
    /// Hours that were rolled up, and not looked at for events.
    unwatched: Vec<Change>,
}

impl<S: WindowStore + RollupStore + DocumentStore + Settings> Digest<S> {
    /// A digest of `store`, whose windows were folded by these rules. It keeps some windows between runs.
    #[must_use]
    pub fn new(store: Arc<S>, rules: FoldRules) -> Self {
        Self { store, rules, known: Known::default(), watcher: Watcher::default(), unwatched: vec![] }
    }

    /// Works through what changed, until it is done or `is_over`, and writes the overview of these regions.
    ///
    /// # Errors
    /// When the store fails. The next run continues.
    pub async fn run(
        &mut self,
        regions: &[&str],
        now_ms: i64,
        is_over: impl Fn() -> bool,
    ) -> Result<Outcome, PortError> {
        let mut outcome = Outcome::default();
        loop {
            let changes = self.store.changes(BATCH).await?;
            let due = redo::due(&changes, self.rules, now_ms);
            let (done, has_more) = redo::redo(&*self.store, self.rules, due, &is_over, &mut outcome).await?;
            // While much is left, such as at a replay, events can wait.
            outcome.has_more =
                self.write_overview(regions, now_ms, &done, has_more, &is_over, &mut outcome).await? || has_more;
            let mut settling = Vec::with_capacity(done.len());
            for change in &done {
                settling.push(self.store.settle(change));
            }
            stream::iter(settling).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
            // A change that is listed again needs another look, but not in this run.
            if done.is_empty() || is_over() {
                return Ok(outcome);
            }
        }
    }

    /// Writes the overview and finds events. Hours in `done` are read again. Returns whether events are left to be found.
    async fn write_overview(
        &mut self,
        regions: &[&str],
        now_ms: i64,
        done: &[Change],
        is_busy: bool,
        is_over: &impl Fn() -> bool,
        outcome: &mut Outcome,
    ) -> Result<bool, PortError> {
        self.unwatched.extend(done.iter().filter(|change| change.period == Period::Hour).cloned());
        let (mut is_watched, mut has_more) = (is_busy, false);
        for _ in 0..MAX_CONFLICTS {
            let stored = self.store.setting(OVERVIEW).await?;
            let previous = stored.as_deref().and_then(Overview::parse);
            if !self.known.is_current(previous.as_ref()) {
                self.watcher = Watcher::default();
            }
            let overview = Overview::new(&*self.store, self.rules, regions, now_ms, previous, done, &mut self.known);
            let mut overview = overview.await?;
            if !is_watched {
                let (store, rules, until_ms) = (&*self.store, self.rules, overview.until_ms);
                let run = watch::Run { store, rules, now_ms, until_ms, done: &self.unwatched };
                let (watched, is_left) = self.watcher.run(&run, regions, &self.known.recent(), is_over).await?;
                outcome.watched += watched;
                has_more = is_left;
                is_watched = true;
                self.unwatched.clear();
            }
            for (region, of_region) in &mut overview.regions {
                if let Some(watched) = self.watcher.watched(region) {
                    (of_region.usual, of_region.event) = (watched.usual.clone(), watched.event().cloned());
                }
            }
            let text = overview.to_text().map_err(PortError::cannot_encode)?;
            if self.store.replace_setting(OVERVIEW, stored.as_deref(), &text).await? {
                return Ok(has_more);
            }
        }
        // Others write it, then.
        Ok(has_more)
    }
}
