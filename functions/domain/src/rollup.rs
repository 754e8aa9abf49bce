//! Roll-ups: the windows of an hour or of a day, merged. A roll-up is a pure function of its windows (rule 1.1): hours are
//! merged from windows, and days from hours, always in the order of time and then of lanes, whoever does it and whenever.
//!
//! ```
//! use birdsong_domain::frame::Lane;
//! use birdsong_domain::network::Network;
//! use birdsong_domain::ports::PartialKey;
//! use birdsong_domain::rollup::{Period, Rollup, of_hours, of_rows};
//! use birdsong_domain::time::{WindowSize, WindowStart};
//! use birdsong_domain::window::{Aggregate, Partial};
//!
//! let size = WindowSize::FIVE_MINUTES;
//! let row = |window| {
//!     let key = PartialKey { lane: Lane::posts("fog", Network::X, 0), window: WindowStart(window) };
//!     let mut aggregate = Aggregate::default();
//!     aggregate.mentions.0 = 2;
//!     (key, Ok(Partial { generation: 1, fence: 1u64.into(), aggregate, stored_ms: 0 }))
//! };
//! let hours = of_rows(vec![row(0), row(300_000), row(3_600_000)], Period::Hour, size);
//! let mentions: Vec<_> = hours.iter().map(|(key, hour)| (key.start_ms, hour.aggregate.mentions.0)).collect();
//! assert_eq!(mentions, [(0, 4), (3_600_000, 2)]);
//!
//! let (day, rollup) = of_hours(hours, size).pop_first().ok_or("there is a day")?;
//! assert_eq!((day.period, rollup.aggregate.mentions.0), (Period::Day, 6));
//! let stored = rollup.encode()?;
//! assert_eq!(Rollup::decode(&stored)?.encode()?, stored);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::lane::Lane;
use crate::ports::{PortError, Row};
use crate::sealed;
use crate::time::WindowSize;
use crate::window::{Aggregate, Partial};
use crate::wire::{self, DecodeError, Reader};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// Version of the state of a roll-up. A new metric needs no new version.
const VERSION: u8 = 1;

/// Length of a roll-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// An hour. Where windows do not divide an hour, the shortest longer time that they divide and that divides a day.
    Hour,
    /// A day, from midnight UTC.
    Day,
}

impl Period {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// Its length in milliseconds, for windows of this size.
    #[must_use]
    pub fn ms(self, size: WindowSize) -> i64 {
        match self {
            Self::Hour => {
                let windows = (HOUR_MS + size.ms() - 1) / size.ms();
                let lengths = (windows..).map(|windows| windows * size.ms());
                // A day is such a length.
                lengths.take_while(|ms| *ms <= DAY_MS).find(|ms| DAY_MS % ms == 0).unwrap_or(DAY_MS)
            }
            Self::Day => DAY_MS,
        }
    }

    /// Start of the one that contains `time_ms`.
    #[must_use]
    pub fn start_of(self, time_ms: i64, size: WindowSize) -> i64 {
        let ms = self.ms(size);
        time_ms.div_euclid(ms).saturating_mul(ms)
    }

    /// The name under which it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Reads what [`Period::as_str`] wrote.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == name)
    }
}

/// Key of a roll-up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RollupKey {
    /// Start, in milliseconds.
    pub start_ms: i64,
    /// The lane. Those of the buckets of a hot region are merged into that of bucket 0.
    pub lane: Lane,
    /// Its length.
    pub period: Period,
}

/// A set of the windows of a span, by their position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowSet(Vec<u8>);

impl WindowSet {
    /// Adds the window at `position`.
    pub fn insert(&mut self, position: usize) {
        if self.0.len() <= position / 8 {
            self.0.resize(position / 8 + 1, 0);
        }
        self.0[position / 8] |= 1 << (position % 8);
    }

    /// Whether it has the window at `position`.
    #[must_use]
    pub fn contains(&self, position: usize) -> bool {
        self.0.get(position / 8).is_some_and(|byte| byte & 1 << (position % 8) != 0)
    }

    /// Adds all windows of another set, `offset` positions later.
    fn add(&mut self, other: &Self, offset: usize) {
        for position in (0..other.0.len() * 8).filter(|position| other.contains(*position)) {
            self.insert(position + offset);
        }
    }
}

/// The windows of one lane in a span of time, merged.
#[derive(Clone, Debug, Default)]
pub struct Rollup {
    /// What was counted. Minutes are kept in spans of up to an hour.
    pub aggregate: Aggregate,
    /// The windows with a record of the log, or with damage: something is known about them.
    pub known: WindowSet,
    /// Whether a window changed after it was final.
    pub is_revised: bool,
    /// Stored windows that cannot be read.
    pub unreadable: u64,
    /// When it, or the newest of its windows, was stored, in milliseconds by the clock of the writer. Not a part of the
    /// state.
    pub stored_ms: i64,
}

impl Rollup {
    /// One window.
    #[must_use]
    pub fn of_window(partial: Result<Partial, PortError>) -> Self {
        let mut rollup = match partial {
            Ok(partial) => Self {
                is_revised: partial.aggregate.lateness.posts > 0 || partial.generation > 1,
                stored_ms: partial.stored_ms,
                aggregate: partial.aggregate,
                ..Self::default()
            },
            Err(_) => Self { unreadable: 1, ..Self::default() },
        };
        if rollup.aggregate.frames.0 > 0 || rollup.is_damaged() {
            rollup.known.insert(0);
        }
        rollup
    }

    /// Whether log records or stored windows are damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.unreadable > 0 || self.aggregate.is_damaged()
    }

    /// Adds another lane, or another bucket, of the same span.
    pub fn add_lane(&mut self, other: &Self) {
        self.aggregate.merge(&other.aggregate, true);
        self.add_rest(other, 0);
    }

    /// Adds a later part of the same lane, which starts `offset` windows after the start of this one.
    fn add_later(&mut self, other: &Self, offset: usize) {
        self.aggregate.merge(&other.aggregate, false);
        self.add_rest(other, offset);
    }

    fn add_rest(&mut self, other: &Self, offset: usize) {
        self.known.add(&other.known, offset);
        self.is_revised |= other.is_revised;
        self.unreadable += other.unreadable;
        self.stored_ms = self.stored_ms.max(other.stored_ms);
    }

    /// The one byte form of the state: version, flags, unreadable windows, known windows, the aggregate's fields, CRC-32;
    /// zstd-compressed.
    ///
    /// # Errors
    /// When it is larger than 1 MiB, which the bounds of what is counted exclude, or zstd fails.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut out = vec![VERSION, u8::from(self.is_revised)];
        wire::put_u64(&mut out, self.unreadable);
        wire::put_bytes(&mut out, &self.known.0);
        self.aggregate.encode(&mut out);
        sealed::seal(out)
    }

    /// Reads what [`Rollup::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged, or another release wrote them in another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let plain = sealed::open(bytes)?;
        let mut reader = Reader::new(&plain);
        if reader.u8()? != VERSION {
            return Err(reader.error("version 1 of the roll-up; another release of Birdsong wrote this one"));
        }
        let is_revised = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(reader.error("known flags")),
        };
        let unreadable = reader.u64()?;
        let known = WindowSet(reader.bytes()?.to_vec());
        if known.0.last() == Some(&0) {
            return Err(reader.error("the one form of a set of windows"));
        }
        let aggregate = Aggregate::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { aggregate, known, is_revised, unreadable, stored_ms: 0 })
    }
}

/// Roll-ups by their keys, in the order of time and then of lanes.
pub type Rollups = BTreeMap<RollupKey, Rollup>;

/// The lane without its bucket.
fn whole(lane: Lane) -> Lane {
    match lane {
        Lane::Posts { region, network, .. } => Lane::Posts { region, network, bucket: 0 },
        ledger @ Lane::Ledger { .. } => ledger,
    }
}

/// Windows by start and lane, those of the buckets of a region merged.
#[must_use]
pub fn windows_of(mut rows: Vec<Row>) -> BTreeMap<(i64, Lane), Rollup> {
    rows.sort_by(|(a, _), (b, _)| (a.window, &a.lane).cmp(&(b.window, &b.lane)));
    let mut windows = BTreeMap::<(i64, Lane), Rollup>::new();
    for (key, partial) in rows {
        let of_bucket = Rollup::of_window(partial);
        match windows.entry((key.window.0, whole(key.lane))) {
            Entry::Vacant(place) => drop(place.insert(of_bucket)),
            Entry::Occupied(mut place) => {
                // Onto an empty one: a window's own counters have no room for those of others.
                let mut merged = Rollup::default();
                merged.add_lane(place.get());
                merged.add_lane(&of_bucket);
                place.insert(merged);
            }
        }
    }
    windows
}

/// Merges rows of the store. The windows of one lane in one period must all be there, or the roll-up lacks them.
#[must_use]
pub fn of_rows(rows: Vec<Row>, period: Period, size: WindowSize) -> Rollups {
    merge(windows_of(rows).into_iter().map(|((start_ms, lane), window)| (start_ms, lane, window)), period, size)
}

/// Merges the hours of days. All hours of a day must be there, or the roll-up lacks them.
#[must_use]
pub fn of_hours(hours: Rollups, size: WindowSize) -> Rollups {
    merge(hours.into_iter().map(|(key, hour)| (key.start_ms, key.lane, hour)), Period::Day, size)
}

/// Merges windows into hours, or hours into days. Those of a lane must be in the order of time.
#[must_use]
pub fn merge<R: Borrow<Rollup>>(
    parts: impl Iterator<Item = (i64, Lane, R)>,
    period: Period,
    size: WindowSize,
) -> Rollups {
    let mut rollups = Rollups::new();
    let mut minutes = BTreeMap::<RollupKey, Vec<u64>>::new();
    let length = usize::try_from(period.ms(size) / MINUTE_MS).unwrap_or_default();
    for (at_ms, lane, part) in parts {
        let part = part.borrow();
        let key = RollupKey { start_ms: period.start_of(at_ms, size), lane, period };
        let offset_ms = at_ms - key.start_ms;
        if period == Period::Hour {
            let minutes = minutes.entry(key.clone()).or_insert_with(|| vec![0; length]);
            let places = minutes.iter_mut().skip((offset_ms / MINUTE_MS) as usize);
            places.zip(&part.aggregate.per_minute.0).for_each(|(place, posts)| *place = *posts);
        }
        let offset = (offset_ms / size.ms()) as usize;
        rollups.entry(key).or_default().add_later(part, offset);
    }
    for (key, rollup) in &mut rollups {
        rollup.aggregate.per_minute.0 = minutes.remove(key).unwrap_or_default();
        rollup.aggregate.shrink();
    }
    rollups
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::network::Network;
    use crate::ports::PartialKey;
    use crate::time::WindowStart;

    #[test]
    fn a_period_is_found_by_its_name() {
        assert_eq!(["hour", "day", "week"].map(Period::parse), [Some(Period::Hour), Some(Period::Day), None]);
        assert_eq!(Period::ALL.map(|period| Period::parse(period.as_str())), Period::ALL.map(Some));
    }

    #[test]
    fn each_window_size_has_an_hour_that_it_divides() {
        for minutes in 1..=60 {
            let Ok(size) = WindowSize::from_secs(minutes * 60) else { continue };
            let ms = Period::Hour.ms(size);
            assert!(ms >= HOUR_MS && ms % size.ms() == 0 && DAY_MS % ms == 0, "{minutes}");
            assert_eq!(ms == HOUR_MS, 60 % minutes == 0, "{minutes}: {ms}");
        }
        assert_eq!(Period::Hour.ms(WindowSize::from_secs(45 * 60).unwrap()), 90 * MINUTE_MS);
        assert_eq!(Period::Hour.start_of(-1, WindowSize::FIVE_MINUTES), -HOUR_MS);
    }

    #[test]
    fn a_set_has_the_windows_that_were_put_into_it_in_any_order() {
        let mut set = WindowSet::default();
        let positions = [100, 3, 9, 8, 1439, 0];
        positions.iter().for_each(|position| set.insert(*position));
        let found: BTreeSet<_> = (0..2000).filter(|position| set.contains(*position)).collect();
        assert_eq!(found, BTreeSet::from(positions));
    }

    /// A window of a lane: where it is, when it was stored, and what is in it.
    type Stored = (i64, u16, i64, Option<[u64; 4]>);

    fn any_windows(size: WindowSize) -> impl Strategy<Value = Vec<Stored>> {
        let late = prop_oneof![3 => Just(0u64), 1 => 1u64..3];
        let counts = (0u64..3, 0u64..4, late, prop_oneof![3 => Just(1u64), 1 => Just(2)]);
        let state = prop::option::weighted(0.8, counts.prop_map(|(a, b, c, d)| [a, b, c, d]));
        let window = (0..2 * DAY_MS / size.ms(), 0u16..3, 1i64..1000, state);
        prop::collection::btree_map(window.clone().prop_map(|(at, bucket, ..)| (at, bucket)), window, 0..20).prop_map(
            move |windows| {
                let windows = windows.into_iter();
                windows
                    .map(|((at, bucket), (_, _, stored_ms, state))| (at * size.ms(), bucket, stored_ms, state))
                    .collect()
            },
        )
    }

    proptest! {
        // Rule 1.1.
        #[test]
        fn hours_and_days_know_what_their_windows_know(
            (size, windows) in prop::sample::select(vec![1, 5, 45])
                .prop_flat_map(|minutes| {
                    let size = WindowSize::from_secs(minutes * 60).unwrap();
                    (Just(size), any_windows(size))
                })
        ) {
            let row = |(start_ms, bucket, stored_ms, state): &Stored| {
                let key = PartialKey { lane: Lane::posts("fog", Network::X, *bucket), window: WindowStart(*start_ms) };
                let partial = state.map(|[frames, posts, late, generation]| {
                    let mut aggregate = Aggregate::default();
                    aggregate.frames.0 = frames;
                    aggregate.mentions.0 = posts;
                    aggregate.per_minute.0 = vec![posts; size.minutes()];
                    aggregate.lateness.posts = late;
                    Partial { generation: generation as u32, fence: 1u64.into(), aggregate, stored_ms: *stored_ms }
                });
                let damaged = || PortError::Corrupt { what: "a window".into(), reason: String::new() };
                (key, partial.ok_or_else(damaged))
            };
            let rows = || windows.iter().map(row).collect();
            let hours = of_rows(rows(), Period::Hour, size);
            for (period, rollups) in [(Period::Hour, hours.clone()), (Period::Day, of_hours(hours, size))] {
                let starts: BTreeSet<_> = windows.iter().map(|(start_ms, ..)| period.start_of(*start_ms, size)).collect();
                prop_assert_eq!(rollups.keys().map(|key| key.start_ms).collect::<BTreeSet<_>>(), starts);
                for (key, rollup) in &rollups {
                    prop_assert_eq!((&key.lane, key.period), (&Lane::posts("fog", Network::X, 0), period));
                    let of: Vec<_> =
                        windows.iter().filter(|window| period.start_of(window.0, size) == key.start_ms).collect();
                    let state = |n: usize| of.iter().filter_map(move |window| Some(window.3?[n]));
                    prop_assert_eq!(rollup.aggregate.mentions.0, state(1).sum::<u64>());
                    prop_assert_eq!(rollup.unreadable, of.iter().filter(|window| window.3.is_none()).count() as u64);
                    prop_assert_eq!(rollup.is_damaged(), rollup.unreadable > 0);
                    prop_assert_eq!(rollup.is_revised, state(2).any(|late| late > 0) || state(3).any(|generation| generation > 1));
                    let newest = of.iter().map(|window| if window.3.is_some() { window.2 } else { 0 }).max();
                    prop_assert_eq!(Some(rollup.stored_ms), newest);
                    let mut minutes = vec![0; (period.ms(size) / MINUTE_MS) as usize];
                    for at in 0..period.ms(size) / size.ms() {
                        let start_ms = key.start_ms + at * size.ms();
                        let here = || of.iter().filter(|window| window.0 == start_ms);
                        let is_known = here().any(|window| window.3.is_none_or(|[frames, ..]| frames > 0));
                        prop_assert_eq!(rollup.known.contains(at as usize), is_known, "{}", at);
                        let posts: u64 = here().filter_map(|window| Some(window.3?[1])).sum();
                        minutes[at as usize * size.minutes()..][..size.minutes()].fill(posts);
                    }
                    prop_assert!(!rollup.known.contains(1 << 20));
                    let expected = if period == Period::Hour { minutes } else { vec![] };
                    prop_assert_eq!(&rollup.aggregate.per_minute.0, &expected);
                    let bytes = rollup.encode().unwrap();
                    let read = Rollup::decode(&bytes).unwrap();
                    prop_assert_eq!(read.encode().unwrap(), bytes);
                    prop_assert_eq!((read.is_revised, read.known, read.unreadable), (rollup.is_revised, rollup.known.clone(), rollup.unreadable));
                }
            }
        }
    }
}
