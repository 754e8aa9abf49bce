//! The series of days that trends were found from, as answers need them: stored ones, with the hours that changed since.

use std::collections::BTreeMap;
use std::sync::Arc;

use birdsong_digest::read::{Grain, Reader};
use birdsong_digest::reference;
use birdsong_digest::watch::{BASELINE_DAYS, Day, History, stand_in};
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{DocumentKind, DocumentStore, PortError, RollupStore, WindowStore};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period};
use birdsong_domain::series::{DaySeries, WindowSeries};
use futures_util::future::try_join;

use crate::Shared;
use crate::snapshot::Snapshot;

/// Longest range of which the days are read, in days.
pub(crate) const MAX_DAYS: i64 = 62;
/// Hours that changed this long ago at most are read as windows, in milliseconds.
const RECENT_MS: i64 = 25 * HOUR_MS;

/// The counts of a region up to `to_ms`, with the days before `from_ms` that these are compared with.
///
/// # Errors
/// When the store fails. A damaged day is not an error: nothing is known of it.
pub(crate) async fn history<S: WindowStore + RollupStore + DocumentStore>(
    shared: &Shared<S>,
    snapshot: &Snapshot,
    region: &str,
    (from_ms, to_ms): (i64, i64),
) -> Result<History, PortError> {
    let size = shared.api.rules.size;
    let first_ms = from_ms.div_euclid(DAY_MS) * DAY_MS - BASELINE_DAYS * DAY_MS;
    let until_ms = size.start_of(to_ms.min(snapshot.at_ms)).0;
    let range = (first_ms, until_ms.max(first_ms));
    let (own, ledgers) = try_join(days(shared, snapshot, region, range), days(shared, snapshot, STREAM, range)).await?;
    let of = |days: &BTreeMap<i64, Arc<DaySeries>>, day_ms: i64| days.get(&day_ms).cloned().unwrap_or_default();
    let starts = (0..).map(|n| first_ms + n * DAY_MS).take_while(|day_ms| *day_ms < range.1);
    let mut days: BTreeMap<i64, Day> =
        starts.map(|day_ms| (day_ms, (of(&own, day_ms), of(&ledgers, day_ms)))).collect();
    // Before the region was watched.
    if days.values().next().is_some_and(|(own, _)| own.is_empty()) {
        let counts = reference::days(&*shared.api.store, region, first_ms, range.1).await?;
        stand_in(&mut days, &counts, size);
    }
    Ok(History::new(size, first_ms, range.1, days.into_values().collect()))
}

async fn days<S: WindowStore + RollupStore + DocumentStore>(
    shared: &Shared<S>,
    snapshot: &Snapshot,
    region: &str,
    (from_ms, to_ms): (i64, i64),
) -> Result<BTreeMap<i64, Arc<DaySeries>>, PortError> {
    let api = &shared.api;
    let version = &snapshot.glance.overview.version;
    let mut days = BTreeMap::new();
    let starts: Vec<i64> = (0..).map(|n| from_ms + n * DAY_MS).take_while(|day_ms| *day_ms < to_ms).collect();
    let mut unknown: Option<(i64, i64)> = None;
    for day_ms in &starts {
        match shared.days.get(&(region.to_owned(), *day_ms)).filter(|(known, _)| known == version) {
            Some((_, day)) => drop(days.insert(*day_ms, day)),
            None => unknown = Some((unknown.map_or(*day_ms, |(first, _)| first), *day_ms)),
        }
    }
    if let Some((first, last)) = unknown {
        let stored = api.store.documents(DocumentKind::Series, region, first, last + 1).await?;
        let mut read: BTreeMap<i64, Arc<DaySeries>> = (0..)
            .map(|n| first + n * DAY_MS)
            .take_while(|day_ms| *day_ms <= last)
            .map(|day_ms| (day_ms, Arc::default()))
            .collect();
        for document in stored {
            read.insert(document.start_ms, Arc::new(DaySeries::decode(&document.body).unwrap_or_default()));
        }
        for (day_ms, day) in read {
            shared.days.insert((region.to_owned(), day_ms), (version.clone(), day.clone()));
            days.insert(day_ms, day);
        }
    }
    // Hours that changed, or are not over.
    let (size, length) = (api.rules.size, Period::Hour.ms(api.rules.size));
    let first = Period::Hour.start_of(to_ms.max(from_ms + RECENT_MS) - RECENT_MS, size);
    let hours = (0..).map(|n| first + n * length).take_while(|hour| *hour < to_ms);
    for hour in hours {
        if !snapshot.stale.has(region, Grain::Period(Period::Hour), (hour, hour + length)) {
            continue;
        }
        let kept = snapshot.is_settled.then_some((&shared.parts, &**version, snapshot.at_ms));
        let reader = Reader { store: &*api.store, rules: api.rules, stale: &snapshot.stale, until_ms: to_ms, kept };
        let parts = reader.parts(region, Grain::Window, (hour, hour + length)).await?;
        let mut windows = BTreeMap::<i64, Vec<_>>::new();
        for part in &parts {
            windows.entry(part.start_ms).or_default().push((&part.lane, &*part.rollup));
        }
        let day_ms = hour.div_euclid(DAY_MS) * DAY_MS;
        let position = |time_ms: i64| ((time_ms - day_ms) / size.ms()) as u16;
        let day = Arc::make_mut(days.entry(day_ms).or_default());
        let windows = windows.into_iter().map(|(at, lanes)| (position(at), WindowSeries::new(lanes, size)));
        day.set(position(hour)..position(hour + length - 1) + 1, windows);
    }
    Ok(days)
}
