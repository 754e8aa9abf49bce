//! Roll-ups that are out of date are made again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use birdsong_domain::ports::{Change, DocumentStore, PortError, PutOutcome, RollupStore, WindowStore};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period, Rollup, RollupKey, Rollups, merge, windows_of};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::FoldRules;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::read::{Grain, Part, Reader, Stale};
use crate::watch::{StoredDay, series_of};
use crate::{AT_ONCE, MARGIN_MS, Outcome};

/// How often a period is made again because another run was faster.
const MAX_CONFLICTS: u32 = 8;

/// The changes that can be worked through now: all windows are final, and days have no hour that is to be made again.
pub(crate) fn due(changes: &[Change], rules: FoldRules, now_ms: i64) -> Vec<Change> {
    let final_ms = now_ms.saturating_sub(rules.lateness_ms + MARGIN_MS);
    let hour_ms = Period::Hour.ms(rules.size);
    let is_final = |change: &Change| {
        let end_ms = match change.period {
            // The last hour that overlaps the clock hour.
            Period::Hour => Period::Hour.start_of(change.start_ms + HOUR_MS - 1, rules.size) + hour_ms,
            Period::Day => change.start_ms + DAY_MS,
        };
        end_ms <= final_ms
    };
    let open: BTreeSet<_> = changes
        .iter()
        .filter(|change| change.period == Period::Hour)
        .map(|change| (&*change.region, Period::Day.start_of(change.start_ms, rules.size)))
        .collect();
    let (hours, days): (Vec<_>, Vec<_>) =
        changes.iter().filter(|change| is_final(change)).cloned().partition(|change| change.period == Period::Hour);
    if hours.is_empty() {
        return days.into_iter().filter(|day| !open.contains(&(&*day.region, day.start_ms))).collect();
    }
    hours
}

/// Makes the roll-ups of these changes again, and returns the changes that may be settled, and whether some are left.
pub(crate) async fn redo<S: WindowStore + RollupStore + DocumentStore>(
    store: &S,
    rules: FoldRules,
    due: Vec<Change>,
    is_over: &impl Fn() -> bool,
    outcome: &mut Outcome,
) -> Result<(Vec<Change>, bool), PortError> {
    let asked = due.len();
    // The hours of a day share its series: one after the other, or they would get into each other's way.
    let mut groups = BTreeMap::<_, Vec<Change>>::new();
    for change in due {
        let day_ms = Period::Day.start_of(change.start_ms, rules.size);
        groups.entry((change.period, day_ms, change.region.clone())).or_default().push(change);
    }
    let mut work = stream::iter(groups)
        .take_while(|_| std::future::ready(!is_over()))
        .map(async |((period, day_ms, region), changes)| match period {
            Period::Hour => redo_hours(store, rules, &region, day_ms, changes, is_over).await,
            Period::Day => redo_day(store, rules, &region, day_ms, changes).await,
        })
        .buffer_unordered(AT_ONCE);
    let mut done = vec![];
    while let Some((changes, counts)) = work.try_next().await? {
        outcome.stored += counts.stored;
        outcome.conflicts += counts.conflicts;
        if !counts.is_contended {
            outcome.redone += changes.len() as u64;
            done.extend(changes);
        }
    }
    drop(work);
    let has_more = done.len() < asked;
    Ok((done, has_more))
}

#[derive(Debug, Default)]
struct Counts {
    stored: u64,
    conflicts: u64,
    /// Other runs were faster each time.
    is_contended: bool,
}

/// Makes hours of one day of a region again, and the day's series with them. Returns those that were made, at least one.
async fn redo_hours<S: WindowStore + RollupStore + DocumentStore>(
    store: &S,
    rules: FoldRules,
    region: &str,
    day_ms: i64,
    changes: Vec<Change>,
    is_over: &impl Fn() -> bool,
) -> Result<(Vec<Change>, Counts), PortError> {
    let (size, length) = (rules.size, Period::Hour.ms(rules.size));
    let mut counts = Counts::default();
    for _ in 0..MAX_CONFLICTS {
        // Before the windows are read, as the stored roll-ups are: so a put that succeeds has what was stored up to then.
        let mut series = StoredDay::load(store, size, region, day_ms).await?;
        let mut done = vec![];
        for change in &changes {
            if !done.is_empty() && is_over() {
                break;
            }
            let first = Period::Hour.start_of(change.start_ms, size);
            let starts = (0..).map(|n| first + n * length).take_while(|start| *start < change.start_ms + HOUR_MS);
            for start in starts {
                let range = (start, start + length);
                let read = RefCell::new(BTreeMap::new());
                let of_windows = async || {
                    let windows = windows_of(store.query(region, WindowStart(range.0), WindowStart(range.1)).await?);
                    read.replace(series_of(&windows, size));
                    let windows = windows.into_iter().map(|((start_ms, lane), window)| (start_ms, lane, window));
                    Ok(merge(windows, Period::Hour, size))
                };
                replace(store, region, Period::Hour, range, of_windows, &mut counts).await?;
                series.set(range, read.into_inner(), size);
            }
            done.push(change.clone());
        }
        // Before the changes are settled, so that the day is made again whatever happens now.
        store.add_change(region, Period::Day, day_ms).await?;
        if counts.is_contended || series.put(store).await? {
            return Ok((done, counts));
        }
        counts.conflicts += 1;
    }
    counts.is_contended = true;
    Ok((changes, counts))
}

async fn redo_day<S: WindowStore + RollupStore>(
    store: &S,
    rules: FoldRules,
    region: &str,
    start: i64,
    changes: Vec<Change>,
) -> Result<(Vec<Change>, Counts), PortError> {
    let (end, mut counts) = (start + DAY_MS, Counts::default());
    // All hours from their roll-ups: one that changes now leads to another change of the day.
    let stale = Stale::new(&changes);
    let reader = Reader { store, rules, stale: &stale, until_ms: i64::MAX, kept: None };
    let of_hours = async || {
        let day = reader.parts(region, Grain::Period(Period::Day), (start, end)).await?;
        let rollup = |part: Part| {
            let key = RollupKey { start_ms: part.start_ms, lane: part.lane, period: Period::Day };
            (key, Arc::unwrap_or_clone(part.rollup))
        };
        Ok(day.into_iter().map(rollup).collect())
    };
    replace(store, region, Period::Day, (start, end), of_hours, &mut counts).await?;
    Ok((changes, counts))
}

/// Puts the roll-ups of a period where they are not stored yet, and removes those that should not be there. Stored ones
/// are read before their windows are: so a put that succeeds has what was stored up to then.
async fn replace<S: RollupStore>(
    store: &S,
    region: &str,
    period: Period,
    (start_ms, end_ms): (i64, i64),
    make: impl AsyncFn() -> Result<Rollups, PortError>,
    counts: &mut Counts,
) -> Result<(), PortError> {
    for _ in 0..MAX_CONFLICTS {
        let stored = store.rollups(region, period, start_ms, end_ms).await?;
        let mut rollups = make().await?;
        let mut is_stored = true;
        let mut put = async |key: &RollupKey, rollup: Option<&Rollup>, expected| {
            match store.put_rollup(key, rollup, expected).await? {
                PutOutcome::Stored => counts.stored += 1,
                PutOutcome::Conflict => {
                    counts.conflicts += 1;
                    is_stored = false;
                }
            }
            Ok::<_, PortError>(())
        };
        for row in &stored {
            let rollup = rollups.remove(&row.key);
            let is_same = match (&rollup, &row.rollup) {
                (Some(new), Ok(old)) => encode(new)? == encode(old)?,
                _ => false,
            };
            if !is_same {
                put(&row.key, rollup.as_ref(), Some(row.revision)).await?;
            }
        }
        for (key, rollup) in &rollups {
            put(key, Some(rollup), None).await?;
        }
        if is_stored {
            return Ok(());
        }
    }
    counts.is_contended = true;
    Ok(())
}

fn encode(rollup: &Rollup) -> Result<Vec<u8>, PortError> {
    rollup.encode().map_err(PortError::cannot_encode)
}
