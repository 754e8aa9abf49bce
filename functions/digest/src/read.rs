//! Reading hours and days: from their roll-ups, and from windows where those are out of date. Both give the same, byte for
//! byte.

use std::collections::{BTreeMap, BTreeSet};

use birdsong_domain::ports::{Change, PortError, RollupStore, WindowStore};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period, Rollups, of_hours, of_rows};
use birdsong_domain::time::{WindowSize, WindowStart};

/// Hours that are read from windows at a time, so that memory is bounded.
const HOURS_AT_ONCE: i64 = 6;

/// The hours and days of each region whose roll-ups are out of date.
#[derive(Clone, Debug, Default)]
pub struct Stale(BTreeMap<String, [BTreeMap<i64, String>; 2]>);

impl Stale {
    /// Of these changes.
    #[must_use]
    pub fn new(changes: &[Change]) -> Self {
        let mut stale = Self::default();
        for change in changes {
            let of_region = stale.0.entry(change.region.clone()).or_default();
            of_region[usize::from(change.period == Period::Day)].insert(change.start_ms, change.stamp.clone());
        }
        stale
    }

    /// The stamps of all changes of the hours that overlap `from_ms..to_ms`; `None` when there is none.
    #[must_use]
    pub fn stamp(&self, region: &str, from_ms: i64, to_ms: i64) -> Option<String> {
        let [hours, _] = self.0.get(region)?;
        let stamps: Vec<_> = hours.range(first_overlapping(from_ms)..to_ms).map(|(_, stamp)| &**stamp).collect();
        (!stamps.is_empty()).then(|| stamps.join(" "))
    }

    /// Whether windows of the region that start in `from_ms..to_ms` changed, and roll-ups do not have that yet.
    #[must_use]
    pub fn has(&self, region: &str, from_ms: i64, to_ms: i64) -> bool {
        let Some([hours, days]) = self.0.get(region) else { return false };
        hours.range(first_overlapping(from_ms)..to_ms).next().is_some()
            || days.range(from_ms - from_ms.rem_euclid(DAY_MS)..to_ms).next().is_some()
    }

    /// Starts of the periods in `from_ms..to_ms`, which is whole periods, that are out of date.
    fn periods(&self, region: &str, period: Period, from_ms: i64, to_ms: i64, size: WindowSize) -> BTreeSet<i64> {
        let Some([hours, days]) = self.0.get(region) else { return BTreeSet::new() };
        let length = period.ms(size);
        let overlapping = hours.range(first_overlapping(from_ms)..to_ms).flat_map(|(hour_ms, _)| {
            let first = period.start_of(*hour_ms, size);
            (0..).map(move |n| first + n * length).take_while(move |start| *start < hour_ms + HOUR_MS)
        });
        let of_days = days.range(from_ms..to_ms).map(|(start, _)| *start).filter(|_| period == Period::Day);
        overlapping.chain(of_days).filter(|start| (from_ms..to_ms).contains(start)).collect()
    }
}

/// Start of the first clock hour that ends after `from_ms`.
fn first_overlapping(from_ms: i64) -> i64 {
    from_ms - from_ms.rem_euclid(HOUR_MS)
}

/// Consecutive periods as ranges.
fn runs(starts: &BTreeSet<i64>, length: i64) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = vec![];
    for start in starts {
        match runs.last_mut() {
            Some((_, end)) if *end == *start => *end += length,
            _ => runs.push((*start, start + length)),
        }
    }
    runs
}

/// The periods of a region that start in `from_ms..to_ms`, which is whole periods. Windows that start at `until_ms` or
/// later are left out of those that are out of date.
///
/// # Errors
/// When the store fails. A damaged window is not an error: its period counts it. A damaged roll-up is read from windows.
pub async fn periods<S: WindowStore + RollupStore>(
    store: &S,
    region: &str,
    period: Period,
    (from_ms, to_ms): (i64, i64),
    until_ms: i64,
    size: WindowSize,
    stale: &Stale,
) -> Result<Rollups, PortError> {
    let length = period.ms(size);
    let mut out_of_date = stale.periods(region, period, from_ms, to_ms, size);
    let mut rollups = Rollups::new();
    // Where all is out of date, nothing needs to be read.
    if (out_of_date.len() as i64) < (to_ms - from_ms) / length {
        for row in store.rollups(region, period, from_ms, to_ms).await? {
            match row.rollup {
                Ok(rollup) => drop(rollups.insert(row.key, rollup)),
                Err(_) => drop(out_of_date.insert(row.key.start_ms)),
            }
        }
        rollups.retain(|key, _| !out_of_date.contains(&key.start_ms));
    }
    for (from_ms, to_ms) in runs(&out_of_date, length) {
        match period {
            Period::Hour => rollups.extend(hours_of_windows(store, region, from_ms, to_ms.min(until_ms), size).await?),
            Period::Day => {
                let hours = Box::pin(periods(store, region, Period::Hour, (from_ms, to_ms), until_ms, size, stale));
                rollups.extend(of_hours(hours.await?, size));
            }
        }
    }
    Ok(rollups)
}

async fn hours_of_windows<S: WindowStore>(
    store: &S,
    region: &str,
    from_ms: i64,
    to_ms: i64,
    size: WindowSize,
) -> Result<Rollups, PortError> {
    let mut rollups = Rollups::new();
    let mut at = from_ms;
    while at < to_ms {
        let next = to_ms.min(at.saturating_add(HOURS_AT_ONCE * Period::Hour.ms(size)));
        let rows = store.query(region, WindowStart(at), WindowStart(next)).await?;
        rollups.extend(of_rows(rows, Period::Hour, size));
        at = next;
    }
    Ok(rollups)
}
