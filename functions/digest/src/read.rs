//! Reading windows, hours and days: hours and days from their roll-ups, and from windows where those are out of date. Both
//! give the same, byte for byte. What is final may be kept in memory ([`Parts`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use birdsong_domain::lane::Lane;
use birdsong_domain::ports::{Change, Live, ON_TIME_MS, PortError, RollupStore, WindowStore};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period, Rollup, merge, windows_of};
use birdsong_domain::time::{WindowSize, WindowStart};
use birdsong_domain::window::FoldRules;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::MARGIN_MS;

/// The hours and days of each region whose roll-ups are out of date.
#[derive(Clone, Debug, Default)]
pub struct Stale {
    regions: BTreeMap<String, [BTreeMap<i64, String>; 2]>,
    /// Stamps under which windows may still be put.
    young: HashSet<String>,
    /// Windows that start before this are put under a stamp of their own.
    settled_ms: i64,
    /// Whether the list was too long: then everything may be out of date.
    is_cut: bool,
}

/// When each stamp, and each version of the counts, was seen first, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Seen(HashMap<String, i64>);

impl Seen {
    /// Notes what is seen now, and forgets all else. Returns what was seen first less than `settle_ms` ago.
    fn young<'a>(&mut self, stamps: impl Iterator<Item = &'a str>, settle_ms: i64, now_ms: i64) -> HashSet<String> {
        let before = std::mem::take(&mut self.0);
        let mut young = HashSet::new();
        for stamp in stamps {
            let first_ms = before.get(stamp).copied().unwrap_or(now_ms);
            self.0.insert(stamp.to_owned(), first_ms);
            if now_ms - first_ms < settle_ms {
                young.insert(stamp.to_owned());
            }
        }
        young
    }
}

impl Stale {
    /// Of these changes, to read what is not kept.
    #[must_use]
    pub fn new(changes: &[Change]) -> Self {
        let mut stale = Self::default();
        for change in changes {
            let of_region = stale.regions.entry(change.region.clone()).or_default();
            of_region[usize::from(change.period == Period::Day)].insert(change.start_ms, change.stamp.clone());
        }
        stale
    }

    /// Of the changes that a store lists now. `seen` is of the times before.
    #[must_use]
    pub fn of_live(live: &Live, seen: &mut Seen, now_ms: i64) -> Self {
        let stamps = live.changes.iter().map(|change| &*change.stamp);
        let settled_ms = match live.settle_ms {
            0 => i64::MAX,
            settle_ms => now_ms.saturating_sub(ON_TIME_MS + settle_ms),
        };
        let young = seen.young(stamps, live.settle_ms, now_ms);
        Self { young, settled_ms, is_cut: live.has_more, ..Self::new(&live.changes) }
    }

    /// The changes of the hours that overlap `from_ms..to_ms`; `None` when there is none.
    #[must_use]
    pub fn tag(&self, region: &str, from_ms: i64, to_ms: i64) -> Option<Tag> {
        if self.is_cut {
            return Some(Tag { stamps: String::new(), until_ms: None });
        }
        let [hours, _] = self.regions.get(region)?;
        let stamps: Vec<_> = hours.range(first_overlapping(from_ms)..to_ms).map(|(_, stamp)| &**stamp).collect();
        let is_young = stamps.iter().any(|stamp| self.young.contains(*stamp));
        (!stamps.is_empty()).then(|| Tag { stamps: stamps.join(" "), until_ms: (!is_young).then_some(self.settled_ms) })
    }

    /// Whether windows of the region that start in `from_ms..to_ms` changed, and roll-ups of this grain do not have that
    /// yet.
    #[must_use]
    pub fn has(&self, region: &str, grain: Grain, (from_ms, to_ms): (i64, i64)) -> bool {
        if self.is_cut {
            return true;
        }
        let Some([hours, days]) = self.regions.get(region) else { return false };
        hours.range(first_overlapping(from_ms)..to_ms).next().is_some()
            || (grain == Grain::Period(Period::Day)
                && days.range(from_ms - from_ms.rem_euclid(DAY_MS)..to_ms).next().is_some())
    }

    /// How many clock hours that overlap `from_ms..to_ms` have windows that changed.
    #[must_use]
    pub fn hours(&self, region: &str, from_ms: i64, to_ms: i64) -> u64 {
        let from_ms = first_overlapping(from_ms);
        if self.is_cut {
            return u64::try_from((to_ms - from_ms) / HOUR_MS).unwrap_or(0);
        }
        let hours =
            self.regions.get(region).filter(|_| from_ms < to_ms).map(|[hours, _]| hours.range(from_ms..to_ms).count());
        hours.unwrap_or(0) as u64
    }

    /// Starts of the periods in `from_ms..to_ms`, which is whole periods, that are out of date.
    fn periods(&self, region: &str, period: Period, (from_ms, to_ms): (i64, i64), size: WindowSize) -> BTreeSet<i64> {
        let length = period.ms(size);
        if self.is_cut {
            return (0..).map(|n| from_ms + n * length).take_while(|start| *start < to_ms).collect();
        }
        let Some([hours, days]) = self.regions.get(region) else { return BTreeSet::new() };
        let overlapping = hours.range(first_overlapping(from_ms)..to_ms).flat_map(|(hour_ms, _)| {
            let first = period.start_of(*hour_ms, size);
            (0..).map(move |n| first + n * length).take_while(move |start| *start < hour_ms + HOUR_MS)
        });
        let of_days = days.range(from_ms..to_ms).map(|(start, _)| *start).filter(|_| period == Period::Day);
        overlapping.chain(of_days).filter(|start| (from_ms..to_ms).contains(start)).collect()
    }
}

/// The changes of a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Their stamps.
    pub stamps: String,
    /// Windows that start before this are the same for as long as the stamps are; `None` when none are.
    pub until_ms: Option<i64>,
}

/// Start of the first clock hour that ends after `from_ms`.
fn first_overlapping(from_ms: i64) -> i64 {
    from_ms - from_ms.rem_euclid(HOUR_MS)
}

/// How windows are read: alone, or merged into hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grain {
    /// Each window.
    Window,
    /// From roll-ups.
    Period(Period),
}

impl Grain {
    /// The coarsest one that divides a step.
    #[must_use]
    pub fn of_step(step_ms: i64, size: WindowSize) -> Self {
        let divides = |period: &Period| step_ms % period.ms(size) == 0;
        [Period::Day, Period::Hour].into_iter().find(divides).map_or(Self::Window, Self::Period)
    }

    /// Its length in milliseconds.
    #[must_use]
    pub fn ms(self, size: WindowSize) -> i64 {
        match self {
            Self::Window => size.ms(),
            Self::Period(period) => period.ms(size),
        }
    }
}

/// A window, an hour or a day of one lane. Buckets of a hot region are merged.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its start, in milliseconds.
    pub start_ms: i64,
    /// The lane, with bucket 0.
    pub lane: Lane,
    /// What was counted.
    pub rollup: Arc<Rollup>,
}

/// Parts that were read and are final, in bounded memory.
#[derive(Debug)]
pub struct Parts(Cache<(String, Grain, i64), Arc<Kept>, ByParts>);

/// The windows of an hour, or an hour, or a day.
#[derive(Debug)]
struct Kept {
    /// When this is another one, it may have changed: the stamps of the changes of this time, or the version of all counts
    /// where there is no change.
    tag: String,
    /// What starts before this is here.
    until_ms: i64,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct ByParts;

/// Hours that are made from windows at a time.
const HOURS_AT_ONCE: i64 = 6;
/// Bytes of a part in memory, about: its sketches and top lists.
const PART_BYTES: u64 = 24 << 10;

impl Weighter<(String, Grain, i64), Arc<Kept>> for ByParts {
    fn weight(&self, _key: &(String, Grain, i64), kept: &Arc<Kept>) -> u64 {
        256 + kept.parts.len() as u64 * PART_BYTES
    }
}

impl Parts {
    /// Room for about this many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / PART_BYTES).unwrap_or(usize::MAX).max(16);
        Self(Cache::with_weighter(items, bytes.max(1), ByParts))
    }
}

/// Reads a store at one time.
#[derive(Debug)]
pub struct Reader<'a, S> {
    /// The store.
    pub store: &'a S,
    /// The rules by which its windows were folded.
    pub rules: FoldRules,
    /// What is out of date.
    pub stale: &'a Stale,
    /// Windows that start at this time or later are left out, in milliseconds.
    pub until_ms: i64,
    /// Parts that were read before, the version of all counts, and the time, in milliseconds.
    pub kept: Option<(&'a Parts, &'a str, i64)>,
}

impl<S: WindowStore + RollupStore> Reader<'_, S> {
    /// What starts in `from_ms..to_ms`, which is whole windows, hours or days, by start, then lane.
    ///
    /// # Errors
    /// When the store fails. A damaged window is not an error: its part counts it. A damaged roll-up is made from windows.
    pub async fn parts(
        &self,
        region: &str,
        grain: Grain,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<Vec<Part>, PortError> {
        match grain {
            Grain::Window => self.windows(region, from_ms, to_ms.min(self.until_ms)).await,
            Grain::Period(period) => self.periods(region, period, (from_ms, to_ms)).await,
        }
    }

    /// Windows, hour by hour: so that those of an hour are kept together.
    async fn windows(&self, region: &str, from_ms: i64, to_ms: i64) -> Result<Vec<Part>, PortError> {
        let size = self.rules.size;
        let Some((kept, version, now_ms)) = self.kept else { return self.query(region, from_ms, to_ms).await };
        let final_ms = size.start_of(now_ms.saturating_sub(self.rules.lateness_ms + MARGIN_MS)).0;
        let hour_ms = Period::Hour.ms(size);
        let mut parts = vec![];
        // Hours that are not known, or not to the end: they are read together.
        let mut unknown: Vec<Unknown> = vec![];
        let first = Period::Hour.start_of(from_ms, size);
        for hour in (0..).map(|n| first + n * hour_ms).take_while(|hour| *hour < to_ms) {
            let end_ms = (hour + hour_ms).min(self.until_ms);
            let (tag, until_ms) = match self.stale.tag(region, hour, hour + hour_ms) {
                Some(tag) => (tag.stamps, tag.until_ms),
                None => (format!("v{version}"), Some(i64::MAX)),
            };
            let known = kept.0.get(&(region.to_owned(), Grain::Window, hour)).filter(|known| known.tag == tag);
            match known.filter(|_| until_ms.is_some()) {
                Some(known) if known.until_ms >= end_ms => parts.extend(known.parts.iter().cloned()),
                Some(known) => {
                    let (from_ms, parts) = (known.until_ms, known.parts.clone());
                    unknown.push(Unknown { hour, from_ms, end_ms, tag, until_ms, parts });
                }
                None => unknown.push(Unknown { hour, from_ms: hour, end_ms, tag, until_ms, parts: vec![] }),
            }
        }
        let mut unknown = unknown.into_iter().peekable();
        while let Some(first) = unknown.next() {
            let mut run = vec![first];
            while let Some(next) = unknown.next_if(|next| run.last().is_some_and(|last| last.end_ms == next.from_ms)) {
                run.push(next);
            }
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let read = self.query(region, first.from_ms, last.end_ms).await?;
            for mut of_hour in run {
                let new = read.iter().filter(|part| (of_hour.from_ms..of_hour.end_ms).contains(&part.start_ms));
                of_hour.parts.extend(new.cloned());
                parts.extend(of_hour.parts.iter().cloned());
                // The windows that are final are kept.
                let Some(until_ms) = of_hour.until_ms else { continue };
                let until_ms = size.start_of(until_ms.min(of_hour.end_ms).min(final_ms)).0;
                of_hour.parts.retain(|part| part.start_ms < until_ms);
                if until_ms > of_hour.hour {
                    let key = (region.to_owned(), Grain::Window, of_hour.hour);
                    kept.0.insert(key, Arc::new(Kept { tag: of_hour.tag, until_ms, parts: of_hour.parts }));
                }
            }
        }
        parts.retain(|part| (from_ms..to_ms).contains(&part.start_ms));
        parts.sort_by(|a, b| (a.start_ms, &a.lane).cmp(&(b.start_ms, &b.lane)));
        Ok(parts)
    }

    async fn query(&self, region: &str, from_ms: i64, to_ms: i64) -> Result<Vec<Part>, PortError> {
        let rows = self.store.query(region, WindowStart(from_ms), WindowStart(to_ms)).await?;
        let part = |((start_ms, lane), window)| Part { start_ms, lane, rollup: Arc::new(window) };
        Ok(windows_of(rows).into_iter().map(part).collect())
    }

    async fn periods(
        &self,
        region: &str,
        period: Period,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<Vec<Part>, PortError> {
        let (size, grain) = (self.rules.size, Grain::Period(period));
        let length = period.ms(size);
        let mut out_of_date = self.stale.periods(region, period, (from_ms, to_ms), size);
        let mut parts = vec![];
        let mut unknown = BTreeSet::new();
        let starts = (0..).map(|n| from_ms + n * length).take_while(|start| *start < to_ms);
        for start in starts.filter(|start| !out_of_date.contains(start)) {
            let known = self.kept.and_then(|(kept, version, _)| {
                let known = kept.0.get(&(region.to_owned(), grain, start))?;
                (known.tag == version).then_some(known)
            });
            match known {
                Some(known) => parts.extend(known.parts.iter().cloned()),
                None => drop(unknown.insert(start)),
            }
        }
        for (run_from_ms, run_to_ms) in runs(&unknown, length) {
            let mut by_start: BTreeMap<i64, Vec<Part>> =
                unknown.range(run_from_ms..run_to_ms).map(|start| (*start, vec![])).collect();
            for row in self.store.rollups(region, period, run_from_ms, run_to_ms).await? {
                match row.rollup {
                    Ok(rollup) => by_start.entry(row.key.start_ms).or_default().push(Part {
                        start_ms: row.key.start_ms,
                        lane: row.key.lane,
                        rollup: Arc::new(rollup),
                    }),
                    Err(_) => drop(out_of_date.insert(row.key.start_ms)),
                }
            }
            by_start.retain(|start, _| !out_of_date.contains(start));
            for (start, of_start) in by_start {
                parts.extend(of_start.iter().cloned());
                if let Some((kept, version, _)) = self.kept {
                    let known = Kept { tag: version.to_owned(), until_ms: start + length, parts: of_start };
                    kept.0.insert((region.to_owned(), grain, start), Arc::new(known));
                }
            }
        }
        let (finer, at_once) = match period {
            Period::Hour => (Grain::Window, HOURS_AT_ONCE),
            Period::Day => (Grain::Period(Period::Hour), 1),
        };
        out_of_date.retain(|start| *start < self.until_ms);
        let runs = runs(&out_of_date, length);
        let pieces = runs.into_iter().flat_map(|(from_ms, to_ms)| {
            let starts = (0..).map(move |n| from_ms + n * at_once * length).take_while(move |start| *start < to_ms);
            starts.map(move |start| (start, to_ms.min(start + at_once * length)))
        });
        // One piece after the other, so that memory is bounded.
        for range in pieces {
            let finer = Box::pin(self.parts(region, finer, range)).await?;
            let merged = merge(finer.into_iter().map(|part| (part.start_ms, part.lane, part.rollup)), period, size);
            let part = |(key, rollup): (birdsong_domain::rollup::RollupKey, Rollup)| Part {
                start_ms: key.start_ms,
                lane: key.lane,
                rollup: Arc::new(rollup),
            };
            parts.extend(merged.into_iter().map(part));
        }
        parts.sort_by(|a, b| (a.start_ms, &a.lane).cmp(&(b.start_ms, &b.lane)));
        Ok(parts)
    }
}

/// An hour whose windows from `from_ms` on are not known.
struct Unknown {
    hour: i64,
    from_ms: i64,
    end_ms: i64,
    tag: String,
    /// Windows that start before this may be kept; `None` when none may.
    until_ms: Option<i64>,
    /// Those that are known.
    parts: Vec<Part>,
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
