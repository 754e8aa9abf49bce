//! Reads events and the counts of a day.

use birdsong_digest::read::{Grain, Reader, Stale};
use birdsong_digest::{events, notes};
use birdsong_domain::event::text::{DailyRegion, Style};
use birdsong_domain::event::{Event, EventKind};
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{DocumentKind, DocumentStore, PortError, RollupStore, WindowStore};
use birdsong_domain::region::Region;
use birdsong_domain::rollup::Period;
use birdsong_domain::trend::Sensitivity;
use birdsong_domain::window::FoldRules;

/// How far back alerts look for events, in milliseconds.
pub const LOOK_BACK_MS: i64 = 3 * 3_600_000;
/// Changes that are read to know which roll-ups are out of date.
const MAX_CHANGES: usize = 10_000;

/// The events of some regions, and of the collection, that overlap `from_ms..to_ms`. Those that go on are filed under the
/// day on which they started, so one that lasts for more than a day is not found.
///
/// # Errors
/// When the store fails, or what is stored is damaged.
pub async fn events<S: DocumentStore>(store: &S, regions: &[&str], range: (i64, i64)) -> Result<Vec<Event>, PortError> {
    let asked: Vec<&str> = regions.iter().copied().chain([STREAM]).collect();
    events::of_regions(store, &[DocumentKind::Events], &asked, range).await
}

/// A day of all regions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Start, in milliseconds.
    pub start_ms: i64,
    /// Name, posts, and events with notes, of each region.
    pub regions: Vec<(String, Option<u64>, Vec<Event>)>,
    /// What happened to the collection, and notes on all regions.
    pub collection: Vec<Event>,
}

impl Day {
    /// Reads a day, `start_ms..end_ms`. A region whose counts cannot be read has none.
    ///
    /// # Errors
    /// When the store fails, or events are damaged.
    pub async fn read<S: DocumentStore + WindowStore + RollupStore>(
        store: &S,
        rules: FoldRules,
        regions: &[Region],
        (start_ms, end_ms): (i64, i64),
    ) -> Result<Self, PortError> {
        let stale = Stale::new(&store.changes(MAX_CHANGES).await?);
        let reader = Reader { store, rules, stale: &stale, until_ms: end_ms, kept: None };
        // Offsets of half an hour have no whole hours of UTC.
        let hour_ms = Period::Hour.ms(rules.size);
        let grain = if start_ms % hour_ms == 0 { Grain::Period(Period::Hour) } else { Grain::Window };
        let mut day = Self { start_ms, ..Self::default() };
        for region in regions {
            let posts = match reader.parts(&region.id, grain, (start_ms, end_ms)).await {
                Ok(parts) => Some(parts.iter().map(|part| part.rollup.aggregate.posts()).sum()),
                Err(error) => {
                    tracing::warn!("the posts of {} cannot be read for the daily digest: {error}", region.id);
                    None
                }
            };
            day.regions.push((
                region.name.clone(),
                posts,
                Self::happened(store, &region.id, (start_ms, end_ms)).await?,
            ));
        }
        day.collection = Self::happened(store, STREAM, (start_ms, end_ms)).await?;
        Ok(day)
    }

    /// Events and notes of a region.
    async fn happened<S: DocumentStore>(store: &S, region: &str, range: (i64, i64)) -> Result<Vec<Event>, PortError> {
        let mut events = events::of_region(store, DocumentKind::Events, region, range).await?;
        // Events that are not clear would make the list long.
        events.retain(|event| {
            !matches!(event.kind, EventKind::Rising | EventKind::Spike)
                || event.score_milli >= Sensitivity::Balanced.theta_milli()
        });
        events.extend(notes::list(store, region, range.0, range.1).await?);
        Ok(events)
    }

    /// The digest in words.
    #[must_use]
    pub fn text(&self, style: &Style<'_>) -> String {
        let is_gap = |event: &Event| matches!(event.kind, EventKind::Gap | EventKind::Sampled);
        let is_lower_bound = self.collection.iter().any(is_gap);
        let regions: Vec<_> = self
            .regions
            .iter()
            .map(|(name, posts, events)| DailyRegion {
                name,
                posts: *posts,
                is_lower_bound: is_lower_bound || events.iter().any(is_gap),
                events,
            })
            .collect();
        style.daily(self.start_ms, &regions, &self.collection)
    }
}
