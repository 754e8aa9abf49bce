//! What an overview reads: windows, and the roll-ups of hours.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use birdsong_domain::ports::{Live, PortError, RollupStore, WindowStore};
use birdsong_domain::rollup::{Period, windows_of};
use birdsong_domain::series::WindowSeries;
use birdsong_domain::time::{FUTURE_LIMIT_MS, RFC3339_MS, WindowStart};
use birdsong_domain::window::FoldRules;
use futures_util::future::try_join_all;

use super::{KnownHour, KnownWindow, LIVE_MS, Overview, Part, RegionOverview, last_hour_ms};
use crate::read::{Grain, Reader, Stale};
use crate::watch::{Detail, by_start};

/// The newest post of windows that are older than all hours of the overview: windows without posts, such as that of a
/// damaged record, must not hide it.
pub(super) async fn older_post<S: WindowStore>(
    store: &S,
    rules: FoldRules,
    regions: &[&str],
    now_ms: i64,
) -> Result<Option<i64>, PortError> {
    let latest = rules.size.start_of(now_ms.saturating_add(FUTURE_LIMIT_MS));
    let mut newest_ms = None;
    for region in regions {
        let Some(start) = store.newest(region).await?.map(|newest| newest.min(latest)) else { continue };
        let end = WindowStart(start.0.saturating_add(rules.size.ms()));
        for (_, partial) in store.query(region, start, end).await? {
            newest_ms = newest_ms.max(partial.ok().and_then(|partial| partial.aggregate.newest.0));
        }
    }
    Ok(newest_ms)
}

/// Start of the newest window of all regions and ledgers, but not later than the present: a window that a wrong clock
/// opened in the far future must not hide all others.
pub(super) async fn newest_window<S: WindowStore>(
    store: &S,
    rules: FoldRules,
    regions: &[&str],
    live: &Live,
    now_ms: i64,
) -> Result<Option<i64>, PortError> {
    let latest = rules.size.start_of(now_ms.saturating_add(FUTURE_LIMIT_MS));
    let is_past = |window: &WindowStart| *window <= latest;
    let newest = live.windows.iter().map(|window| window.key.window).filter(is_past).max();
    if let Some(newest) = newest.filter(|newest| newest.0 > now_ms.saturating_sub(LIVE_MS)) {
        return Ok(Some(newest.0));
    }
    let of_each = try_join_all(regions.iter().map(|region| store.newest(region))).await?;
    let newest = of_each.into_iter().flatten().map(|newest| newest.min(latest)).max();
    // Times beyond the years that have a name leave no room to count from them.
    Ok(newest.map(|newest| rules.size.start_of(newest.0.clamp(*RFC3339_MS.start(), *RFC3339_MS.end())).0))
}

/// The hours of one region, as they are read.
pub(super) struct Reading<'a, S> {
    pub(super) store: &'a S,
    pub(super) rules: FoldRules,
    pub(super) region: &'a str,
    pub(super) range: (i64, i64),
    pub(super) until_ms: i64,
    pub(super) stale: &'a Stale,
}

/// The windows that were read, by hour.
pub(super) type Windows = BTreeMap<i64, BTreeMap<i64, KnownWindow>>;

/// What was read of a region.
pub(super) struct ReadRegion<'a> {
    pub(super) region: &'a str,
    pub(super) parts: BTreeMap<i64, BTreeMap<i64, Part>>,
    pub(super) open: Vec<i64>,
    pub(super) newest_window_ms: Option<i64>,
    pub(super) known_hours: Vec<i64>,
    pub(super) carried: Option<RegionOverview>,
    pub(super) hours: HashMap<i64, KnownHour>,
    pub(super) read: Windows,
}

impl<'a, S: WindowStore + RollupStore> Reading<'a, S> {
    /// All hours: from windows, from what `previous` has, or from roll-ups.
    pub(super) async fn all(
        self,
        mut hours: HashMap<i64, KnownHour>,
        previous: &Overview,
        redone: &Stale,
    ) -> Result<ReadRegion<'a>, PortError> {
        let read = self.windows(&mut hours).await?;
        let part =
            |windows: &BTreeMap<i64, KnownWindow>| windows.iter().map(|(at, window)| (*at, window.part)).collect();
        let mut parts: BTreeMap<i64, BTreeMap<i64, Part>> =
            read.iter().map(|(hour, windows)| (*hour, part(windows))).collect();
        let open: Vec<_> = parts.keys().copied().collect();
        let newest_window_ms = parts.values().filter_map(|windows| windows.keys().max()).max().copied();
        let (known_hours, carried) =
            previous.known(self.region, &open, redone, self.range.0, Period::Hour.ms(self.rules.size));
        parts.extend(self.hours(&known_hours, &open).await?);
        Ok(ReadRegion { region: self.region, parts, open, newest_window_ms, known_hours, carried, hours, read })
    }

    /// Windows of the hours that are out of date, and of those that reach into the last hour.
    async fn windows(&self, known: &mut HashMap<i64, KnownHour>) -> Result<Windows, PortError> {
        let hour_ms = Period::Hour.ms(self.rules.size);
        let mut read = BTreeMap::new();
        let starts = (0..).map(|n| self.range.0 + n * hour_ms).take_while(|hour| *hour < self.range.1);
        for hour in starts {
            let is_recent = hour + hour_ms > self.until_ms - last_hour_ms(self.rules.size);
            let (stamp, kept_ms) = match self.stale.tag(self.region, hour, hour + hour_ms) {
                Some(tag) => (tag.stamps, tag.until_ms.unwrap_or(hour)),
                None if is_recent => (String::new(), i64::MAX),
                None => continue,
            };
            let at = known.entry(hour).or_default();
            if at.stamp != stamp || at.until_ms == 0 {
                *at = KnownHour { stamp, until_ms: hour, windows: BTreeMap::new() };
            }
            let to_ms = self.until_ms.min(hour + hour_ms);
            let mut windows = at.windows.clone();
            if at.until_ms < to_ms {
                let rows = self.store.query(self.region, WindowStart(at.until_ms), WindowStart(to_ms)).await?;
                for (start_ms, lanes) in by_start(&windows_of(rows)) {
                    let mut part = Part::default();
                    lanes.iter().for_each(|(_, rollup)| part.add(&Part::of(rollup)));
                    let series = Arc::new(WindowSeries::new(lanes.iter().copied(), self.rules.size));
                    windows.insert(start_ms, KnownWindow { part, series, detail: Arc::new(Detail::new(lanes)) });
                }
                at.until_ms = at.until_ms.max(self.rules.size.start_of(kept_ms.min(to_ms)).0);
                at.windows = windows.range(..at.until_ms).map(|(start, window)| (*start, window.clone())).collect();
            }
            windows.retain(|start_ms, _| *start_ms < to_ms);
            read.insert(hour, windows);
        }
        Ok(read)
    }

    /// The other hours, from their roll-ups.
    async fn hours(&self, known: &[i64], open: &[i64]) -> Result<BTreeMap<i64, BTreeMap<i64, Part>>, PortError> {
        let hour_ms = Period::Hour.ms(self.rules.size);
        let starts = (0..).map(|n| self.range.0 + n * hour_ms).take_while(|hour| *hour < self.range.1);
        let unknown: Vec<_> = starts.filter(|hour| !known.contains(hour) && !open.contains(hour)).collect();
        let (Some(first), Some(last)) = (unknown.first(), unknown.last()) else { return Ok(BTreeMap::new()) };
        let range = (*first, last + hour_ms);
        // Those that are out of date are read as windows, and those that cannot be read, too.
        let none = Stale::default();
        let reader = Reader { store: self.store, rules: self.rules, stale: &none, until_ms: self.until_ms, kept: None };
        let mut hours = BTreeMap::<i64, BTreeMap<i64, Part>>::new();
        for read in reader.parts(self.region, Grain::Period(Period::Hour), range).await? {
            if unknown.contains(&read.start_ms) {
                let part = hours.entry(read.start_ms).or_default().entry(read.start_ms).or_default();
                part.add(&Part::of(&read.rollup));
            }
        }
        Ok(hours)
    }
}
