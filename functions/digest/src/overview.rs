//! The overview: what there is to know of all regions at a glance, in one stored text.
//!
//! It counts the windows that are final. [`Overview::with_live`] adds the newest ones, which the store knows without
//! reading them.

mod glance;
mod reading;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use birdsong_domain::event::Event;
use birdsong_domain::frame::Ledger;
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{Change, Live, LiveWindow, PortError, RollupStore, WindowStore};
use birdsong_domain::rollup::{HOUR_MS, Period, Rollup, windows_of};
use birdsong_domain::series::WindowSeries;
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowSize, WindowStart};
use birdsong_domain::window::metric::Lag;
use birdsong_domain::window::{Aggregate, FoldRules};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

pub use self::glance::Glance;
use self::reading::{ReadRegion, Reading, newest_window, older_post};
use crate::read::{Grain, Seen, Stale};
use crate::watch::{Detail, Recent};
use crate::{AT_ONCE, MARGIN_MS};

/// Hours in the overview: a day, and the hour that has begun.
const HOURS: i64 = 25;
/// Longest overview that is read, uncompressed.
const MAX_JSON_BYTES: usize = 64 << 20;
/// Length of the last hour: the fewest whole windows that make an hour or more.
fn last_hour_ms(size: WindowSize) -> i64 {
    (HOUR_MS + size.ms() - 1) / size.ms() * size.ms()
}

/// How long after its end an event may still go on. A digest closes one after a quiet time that is far shorter (`trend::Tracker`), and
/// looks at windows once they are final; so an older one is of a time before the digest, or the whole program, stood still.
const EVENT_MS: i64 = 3 * HOUR_MS;
/// How far back live windows are asked for.
const LIVE_MS: i64 = 2 * HOUR_MS;

/// Counts of a region, or of the ledgers of all sources, in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Posts of any kind; of ledgers 0.
    #[serde(rename = "p", skip_serializing_if = "is_zero")]
    pub posts: u64,
    /// Posts of which no earlier region has a copy.
    #[serde(rename = "u", skip_serializing_if = "is_zero")]
    pub primary: u64,
    /// Those of them that came after their window was final.
    #[serde(rename = "l", skip_serializing_if = "is_zero")]
    pub late: u64,
    /// Primary posts in damaged records, as far as these show their number.
    #[serde(rename = "c", skip_serializing_if = "is_zero")]
    pub corrupt: u64,
    /// Damaged records.
    #[serde(rename = "r", skip_serializing_if = "is_zero")]
    pub corrupt_records: u64,
    /// Windows that cannot be read, or that started again.
    #[serde(rename = "w", skip_serializing_if = "is_zero")]
    pub corrupt_windows: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    fn of(aggregate: &Aggregate) -> Self {
        Self {
            posts: aggregate.posts(),
            primary: aggregate.primary.0,
            late: aggregate.lateness.primary,
            corrupt: aggregate.damage.primary,
            corrupt_records: aggregate.damage.records,
            corrupt_windows: aggregate.damage.resets,
        }
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.posts += other.posts;
        self.primary += other.primary;
        self.late += other.late;
        self.corrupt += other.corrupt;
        self.corrupt_records += other.corrupt_records;
        self.corrupt_windows += other.corrupt_windows;
    }
}

/// A window, or an hour, of one region in the overview.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    counts: Counts,
    ledger: Ledger,
    lag: Lag,
    newest_post_ms: Option<i64>,
    stored_ms: i64,
}

impl Part {
    fn of(rollup: &Rollup) -> Self {
        let mut counts = Counts::of(&rollup.aggregate);
        counts.corrupt_windows += rollup.unreadable;
        Self {
            counts,
            ledger: rollup.aggregate.ledger,
            lag: rollup.aggregate.lag,
            newest_post_ms: rollup.aggregate.newest.0,
            stored_ms: rollup.stored_ms,
        }
    }

    fn of_live(window: &LiveWindow) -> Self {
        let rollup = match &window.aggregate {
            Some(aggregate) => Rollup { aggregate: aggregate.clone(), ..Rollup::default() },
            None => Rollup { unreadable: 1, ..Rollup::default() },
        };
        Self { stored_ms: window.stored_ms, ..Self::of(&rollup) }
    }

    fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.ledger.add(&other.ledger);
        add_lag(&mut self.lag, other.lag);
        self.newest_post_ms = self.newest_post_ms.max(other.newest_post_ms);
        self.stored_ms = self.stored_ms.max(other.stored_ms);
    }
}

fn add_lag(lag: &mut Lag, other: Lag) {
    lag.sum_ms += other.sum_ms;
    lag.max_ms = lag.max_ms.max(other.max_ms);
    lag.count += other.count;
}

/// Adds a lag to that of the window that starts at `start_ms`, as the overview stores it.
fn add_lag_at(lags: &mut BTreeMap<i64, (u64, u64, u64)>, start_ms: i64, part: Lag) {
    let (sum_ms, max_ms, count) = lags.entry(start_ms).or_default();
    (*sum_ms, *max_ms, *count) = (*sum_ms + part.sum_ms, (*max_ms).max(part.max_ms), *count + part.count);
}

/// A region in the overview.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegionOverview {
    /// Counts of each hour, by its start in milliseconds; hours without any are left out.
    pub hours: BTreeMap<i64, Counts>,
    /// Posts of each window of the last hour, by its start; windows without posts are left out.
    pub windows: BTreeMap<i64, u64>,
    /// Hours that were out of date when this was written: they are read again.
    open: Vec<i64>,
    /// Posts in an hour as usual, by the end of the hour: expected, and the ends of the range in which the number is on
    /// four of five days, in thousandths. Empty without a baseline.
    pub usual: BTreeMap<i64, (u64, u64, u64)>,
    /// The most unusual event that went on when a digest looked last.
    pub event: Option<Event>,
    /// Start of the newest window; `None` when it is older than two hours before the newest one of all regions.
    pub newest_window_ms: Option<i64>,
    /// When a window was stored last.
    pub changed_ms: i64,
}

/// What there is to know at a glance. All times are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overview {
    /// When it was made.
    pub updated_ms: i64,
    /// Changes when a window that was final did.
    pub version: String,
    /// Windows that start before this are counted.
    pub until_ms: i64,
    /// Start of the first hour.
    pub hours_from_ms: i64,
    /// The regions by their ids.
    pub regions: BTreeMap<String, RegionOverview>,
    /// The ledgers of all sources by hour, by its start.
    pub ledgers: BTreeMap<i64, Ledger>,
    /// What is damaged of the ledgers, by hour.
    damage: BTreeMap<i64, Counts>,
    /// Counts of regions that were removed, by hour: the ledgers have sent their posts.
    removed: BTreeMap<i64, Counts>,
    /// Hours of the ledgers that were out of date.
    open: Vec<i64>,
    /// Event time of the newest post.
    pub newest_post_ms: Option<i64>,
    /// Lags of live posts in each window of the last hour, by its start: sum, maximum, number.
    lag: BTreeMap<i64, (u64, u64, u64)>,
}

/// Windows that a [`crate::Digest`] read before: of each hour that is out of date and had the same stamp, those that were
/// final.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The version of the overview that was made or read last.
    version: String,
    hours: HashMap<String, HashMap<i64, KnownHour>>,
    /// What the last overview read.
    read: HashMap<(String, i64), BTreeMap<i64, KnownWindow>>,
    seen: Seen,
}

#[derive(Clone, Debug, Default)]
struct KnownHour {
    stamp: String,
    /// Windows that start before this were final.
    until_ms: i64,
    windows: BTreeMap<i64, KnownWindow>,
}

/// A window that was read: its counts, and what trends are found from.
#[derive(Clone, Debug, Default)]
struct KnownWindow {
    part: Part,
    series: Arc<WindowSeries>,
    detail: Arc<Detail>,
}

impl Known {
    /// Whether no other digest has made hours again since the last overview.
    pub(crate) fn is_current(&self, stored: Option<&Overview>) -> bool {
        stored.map_or("", |overview| &*overview.version) == self.version
    }

    /// The windows that were read for an overview, of each region.
    pub(crate) fn recent(&self) -> HashMap<String, Recent> {
        let mut recent = HashMap::<String, Recent>::new();
        for ((region, hour), known) in &self.read {
            let of_region = recent.entry(region.clone()).or_default();
            for (start_ms, window) in known {
                of_region.details.insert(*start_ms, window.detail.clone());
            }
            let series = known.iter().map(|(start_ms, window)| (*start_ms, window.series.clone()));
            of_region.hours.insert(*hour, series.collect());
        }
        recent
    }
}

impl Overview {
    /// Reads what [`Overview::to_text`] wrote; `None` when another release wrote it in another way, or it is damaged. It is
    /// made anew, then.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let packed = base64_simd::STANDARD.decode_to_vec(text).ok()?;
        let json = zstd::bulk::decompress(&packed, MAX_JSON_BYTES).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// A version that no overview before this one had, even if two were made in the same millisecond.
    fn next_version(&self, now_ms: i64) -> String {
        let last = i64::from_str_radix(&self.version, 16).unwrap_or(0);
        format!("{:x}", now_ms.max(last.saturating_add(1)))
    }

    /// The text that is stored: JSON, zstd-compressed, in base64.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub fn to_text(&self) -> std::io::Result<String> {
        let packed = zstd::bulk::compress(&serde_json::to_vec(self)?, 3)?;
        Ok(base64_simd::STANDARD.encode_to_string(packed))
    }

    /// The overview of these regions. What `previous` has of hours that are not out of date is not read again, unless they
    /// are among `done`.
    ///
    /// # Errors
    /// When the store fails. Damage is not an error.
    pub async fn new<S: WindowStore + RollupStore>(
        store: &S,
        rules: FoldRules,
        regions: &[&str],
        now_ms: i64,
        previous: Option<Self>,
        done: &[Change],
        known: &mut Known,
    ) -> Result<Self, PortError> {
        // An hour that is not on the list of changes, now and before, may have been on it in between.
        if !known.is_current(previous.as_ref()) {
            known.hours.values_mut().for_each(|hours| hours.retain(|_, hour| !hour.stamp.is_empty()));
        }
        let previous = previous.unwrap_or_default();
        let mut overview = Self { updated_ms: now_ms, version: previous.version.clone(), ..Self::default() };
        if previous.version.is_empty() || !done.is_empty() {
            overview.version = previous.next_version(now_ms);
        }
        known.version = if done.is_empty() { &previous } else { &overview }.version.clone();
        // Ledgers first: an aggregator stores them last, so a post that comes meanwhile is not missing.
        let mut all = vec![STREAM];
        all.extend(regions);
        let live = store.live(&all, rules.size.start_of(now_ms.saturating_sub(LIVE_MS))).await?;
        let Some(newest_ms) = newest_window(store, rules, &all, &live, now_ms).await? else {
            return Ok(overview);
        };
        let window_ms = rules.size.ms();
        let final_ms = rules.size.start_of(now_ms.saturating_sub(rules.lateness_ms + MARGIN_MS)).0;
        overview.until_ms = final_ms.min(newest_ms + window_ms);
        let hour_ms = Period::Hour.ms(rules.size);
        let last_hour_ms = Period::Hour.start_of(newest_ms, rules.size);
        overview.hours_from_ms = last_hour_ms - (HOURS - 1) * hour_ms;
        let range = (overview.hours_from_ms, last_hour_ms + hour_ms);
        let (stale, redone) = (Stale::of_live(&live, &mut known.seen, now_ms), Stale::new(done));
        known.hours.values_mut().for_each(|hours| hours.retain(|hour, _| *hour >= range.0));
        known.read.clear();
        // Several regions at a time: one after the other takes long in a network.
        let mut reads = Vec::with_capacity(all.len());
        for region in all {
            let reading = Reading { store, rules, region, range, until_ms: overview.until_ms, stale: &stale };
            let of_region = known.hours.remove(region).unwrap_or_default();
            reads.push(reading.all(of_region, &previous, &redone));
        }
        let ledgers = reads.remove(0).await?;
        let mut reading = stream::iter(reads).buffered(AT_ONCE);
        let mut next = Some(ledgers);
        while let Some(ReadRegion { region, parts, open, newest_window_ms, known_hours, mut carried, hours, read }) =
            next
        {
            known.hours.insert(region.to_owned(), hours);
            known.read.extend(read.into_iter().map(|(hour, windows)| ((region.to_owned(), hour), windows)));
            overview.add(region, &parts, rules.size);
            if region == STREAM {
                overview.open = open;
                overview.carry_ledgers(&previous, &known_hours);
            } else {
                let at = overview.regions.entry(region.to_owned()).or_default();
                at.open = open;
                at.newest_window_ms = newest_window_ms;
                at.carry(&mut carried, &known_hours);
            }
            next = reading.try_next().await?;
        }
        overview.removed = previous.removed.clone();
        for (region, of_region) in previous.regions.iter().filter(|(region, _)| !regions.contains(&region.as_str())) {
            let removed = &mut overview.removed;
            of_region.hours.iter().for_each(|(hour, counts)| removed.entry(*hour).or_default().add(counts));
            // Its newest windows, which were not final then: nobody looks at them again.
            let rows = store.query(region, WindowStart(previous.until_ms), WindowStart(range.1)).await?;
            for ((start_ms, _), window) in windows_of(rows) {
                let hour = Period::Hour.start_of(start_ms, rules.size);
                removed.entry(hour).or_default().add(&Part::of(&window).counts);
            }
        }
        overview.removed.retain(|hour, _| *hour >= overview.hours_from_ms);
        // It may be in an hour that was not read again.
        overview.newest_post_ms = overview.newest_post_ms.or(previous.newest_post_ms);
        if overview.newest_post_ms.is_none() {
            overview.newest_post_ms = older_post(store, rules, regions, now_ms).await?;
        }
        // A digest replaces it.
        for (region, at) in &mut overview.regions {
            if let Some(before) = previous.regions.get(region) {
                (at.usual, at.event) = (before.usual.clone(), before.event.clone());
            }
        }
        Ok(overview)
    }

    /// Hours of a region in this overview, from `from_ms` on, that need not be read again, and the region.
    fn known(
        &self,
        region: &str,
        open: &[i64],
        redone: &Stale,
        from_ms: i64,
        hour_ms: i64,
    ) -> (Vec<i64>, Option<RegionOverview>) {
        let was_open = match self.regions.get(region) {
            Some(of_region) => &of_region.open,
            None if region == STREAM && !self.version.is_empty() => &self.open,
            None => return (vec![], None),
        };
        // The last one may have been cut off.
        let hours = (0..HOURS - 1).map(|n| self.hours_from_ms + n * hour_ms).filter(|hour| {
            self.hours_from_ms != 0
                && *hour >= from_ms
                && !was_open.contains(hour)
                && !open.contains(hour)
                && !redone.has(region, Grain::Period(Period::Hour), (*hour, hour + hour_ms))
        });
        (hours.collect(), self.regions.get(region).cloned())
    }

    fn carry_ledgers(&mut self, previous: &Self, hours: &[i64]) {
        for hour in hours {
            if let Some(ledger) = previous.ledgers.get(hour) {
                self.ledgers.insert(*hour, *ledger);
            }
            if let Some(damage) = previous.damage.get(hour) {
                self.damage.insert(*hour, *damage);
            }
        }
    }

    /// Adds parts of a region, by hour: one of the whole hour, or its windows.
    fn add(&mut self, region: &str, hours: &BTreeMap<i64, BTreeMap<i64, Part>>, size: WindowSize) {
        let last_hour_ms = self.until_ms - last_hour_ms(size);
        let at = self.regions.entry(region.to_owned()).or_default();
        for (hour, parts) in hours {
            let mut sum = Part::default();
            for (start_ms, part) in parts {
                sum.add(part);
                if *start_ms >= last_hour_ms && part.counts.posts > 0 {
                    at.windows.insert(*start_ms, part.counts.posts);
                }
                if *start_ms >= last_hour_ms && part.lag.count > 0 {
                    add_lag_at(&mut self.lag, *start_ms, part.lag);
                }
            }
            at.changed_ms = at.changed_ms.max(sum.stored_ms);
            self.newest_post_ms = self.newest_post_ms.max(sum.newest_post_ms);
            if region == STREAM {
                if !sum.ledger.is_empty() {
                    self.ledgers.insert(*hour, sum.ledger);
                }
                if sum.counts != Counts::default() {
                    self.damage.insert(*hour, sum.counts);
                }
            } else if sum.counts != Counts::default() {
                at.hours.insert(*hour, sum.counts);
            }
        }
        if region == STREAM {
            self.regions.remove(STREAM);
        }
    }

    /// The overview with the newest windows of the store, which are not counted in it.
    #[must_use]
    pub fn with_live(mut self, live: &Live, regions: &[&str], size: WindowSize, now_ms: i64) -> Glance {
        let latest = size.start_of(now_ms.saturating_add(FUTURE_LIMIT_MS));
        let hour_ms = Period::Hour.ms(size);
        let mut recent = vec![];
        let mut by_region = BTreeMap::<&str, BTreeMap<i64, BTreeMap<i64, Part>>>::new();
        for window in &live.windows {
            let (region, start_ms) = (window.key.lane.region(), window.key.window.0);
            if window.key.window > latest || !(region == STREAM || regions.contains(&region)) {
                continue;
            }
            let part = Part::of_live(window);
            if let Some(known) = self.regions.get_mut(region) {
                known.changed_ms = known.changed_ms.max(part.stored_ms);
            }
            if start_ms < self.until_ms {
                continue;
            }
            let hour = by_region.entry(region).or_default().entry(Period::Hour.start_of(start_ms, size)).or_default();
            hour.entry(start_ms).or_default().add(&part);
            recent.push((start_ms, region == STREAM, part));
        }
        let newest_ms = recent.iter().map(|(start_ms, _, _)| *start_ms).max();
        let to_ms = newest_ms.map_or(self.until_ms, |newest_ms| self.until_ms.max(newest_ms + size.ms()));
        let hours_from_ms = match newest_ms {
            Some(_) => Period::Hour.start_of(to_ms - 1, size) - (HOURS - 1) * hour_ms,
            None => self.hours_from_ms,
        };
        for (region, hours) in by_region {
            if region == STREAM {
                for (hour, windows) in hours {
                    let mut sum = Part::default();
                    windows.values().for_each(|part| sum.add(part));
                    self.ledgers.entry(hour).or_default().add(&sum.ledger);
                    self.damage.entry(hour).or_default().add(&sum.counts);
                }
                continue;
            }
            let at = self.regions.entry(region.to_owned()).or_default();
            for (hour, windows) in hours {
                for (start_ms, part) in windows {
                    at.hours.entry(hour).or_default().add(&part.counts);
                    *at.windows.entry(start_ms).or_default() += part.counts.posts;
                    at.newest_window_ms = at.newest_window_ms.max(Some(start_ms));
                    at.changed_ms = at.changed_ms.max(part.stored_ms);
                    self.newest_post_ms = self.newest_post_ms.max(part.newest_post_ms);
                    if part.lag.count > 0 {
                        add_lag_at(&mut self.lag, start_ms, part.lag);
                    }
                }
            }
        }
        // The open window is a part of the newest ones, but not of a comparison.
        let ended_ms = to_ms.min(size.start_of(now_ms).0);
        for at in self.regions.values_mut() {
            at.hours.retain(|hour, _| *hour >= hours_from_ms);
            at.windows.retain(|start_ms, _| *start_ms >= ended_ms - last_hour_ms(size));
            at.event.take_if(|event| event.end_ms < to_ms - EVENT_MS);
        }
        self.ledgers.retain(|hour, _| *hour >= hours_from_ms);
        self.damage.retain(|hour, _| *hour >= hours_from_ms);
        self.lag.retain(|start_ms, _| *start_ms >= ended_ms - last_hour_ms(size));
        self.hours_from_ms = hours_from_ms;
        Glance { overview: self, to_ms, ended_ms, last_hour_ms: last_hour_ms(size), hour_ms, recent }
    }
}

impl RegionOverview {
    fn carry(&mut self, previous: &mut Option<Self>, hours: &[i64]) {
        let Some(previous) = previous else { return };
        for hour in hours {
            if let Some(counts) = previous.hours.remove(hour) {
                self.hours.insert(*hour, counts);
            }
        }
        self.changed_ms = self.changed_ms.max(previous.changed_ms);
    }
}
