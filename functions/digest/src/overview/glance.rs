//! What is asked of an overview.

use std::collections::{BTreeMap, BTreeSet};

use birdsong_domain::frame::Ledger;
use birdsong_domain::rollup::Period;
use birdsong_domain::time::WindowSize;
use birdsong_domain::window::metric::Lag;

use super::{Counts, Overview, Part, add_lag};

/// An overview up to now.
#[derive(Clone, Debug)]
pub struct Glance {
    /// The overview, with the newest windows.
    pub overview: Overview,
    /// End of the newest window, in milliseconds; 0 when there is none.
    pub to_ms: i64,
    /// End of the newest window that has ended, in milliseconds.
    pub ended_ms: i64,
    /// Length of the last hour, in milliseconds: whole windows, an hour or more.
    pub last_hour_ms: i64,
    /// Length of an hour of the overview, in milliseconds.
    pub hour_ms: i64,
    /// Windows that are not in the stored overview: start, whether of a ledger, and counts.
    pub(super) recent: Vec<(i64, bool, Part)>,
}

/// Posts of an hour on their way from the log to windows.
#[derive(Clone, Copy, Debug, Default)]
struct Arrival {
    sent: u64,
    arrived: u64,
    is_damaged: bool,
}

impl Glance {
    /// Lags of the live posts of the last hour.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let mut sum = Lag::default();
        for (sum_ms, max_ms, count) in self.overview.lag.values() {
            add_lag(&mut sum, Lag { sum_ms: *sum_ms, max_ms: *max_ms, count: *count });
        }
        sum
    }

    /// The ledgers of all sources, and the counts of all regions and ledgers, of all hours.
    #[must_use]
    pub fn totals(&self) -> (Ledger, Counts) {
        let (mut ledger, mut counts) = (Ledger::default(), Counts::default());
        self.overview.ledgers.values().for_each(|of_hour| ledger.add(of_hour));
        self.overview.damage.values().for_each(|of_hour| counts.add(of_hour));
        let hours = self.overview.regions.values().flat_map(|of_region| of_region.hours.values());
        hours.chain(self.overview.removed.values()).for_each(|of_hour| counts.add(of_hour));
        (ledger, counts)
    }

    /// Hours, by their start, of which posts have been sent that are not in windows that ended before `by_ms`: a part of the
    /// log is read late. Hours with damage are left out, since it explains what is missing.
    #[must_use]
    pub fn behind(&self, by_ms: i64, size: WindowSize) -> BTreeSet<i64> {
        let is_behind = |(_, of): &(i64, Arrival)| !of.is_damaged && of.sent > of.arrived;
        self.arrivals(by_ms, size).into_iter().filter(is_behind).map(|(hour, _)| hour).collect()
    }

    /// Posts that were sent, and those of them that have arrived in windows, in the windows that ended before `by_ms`.
    #[must_use]
    pub fn arrival(&self, by_ms: i64, size: WindowSize) -> (u64, u64) {
        let hours = self.arrivals(by_ms, size);
        hours.values().fold((0, 0), |(sent, arrived), of| (sent + of.sent, arrived + of.arrived))
    }

    /// The same by hour.
    fn arrivals(&self, by_ms: i64, size: WindowSize) -> BTreeMap<i64, Arrival> {
        let overview = &self.overview;
        let mut hours = BTreeMap::<i64, Arrival>::new();
        for (hour, ledger) in &overview.ledgers {
            hours.entry(*hour).or_default().sent += ledger.sent;
        }
        let of_regions = overview.regions.values().flat_map(|of_region| &of_region.hours);
        for (hour, counts) in of_regions.chain(&overview.removed).chain(&overview.damage) {
            let of_hour = hours.entry(*hour).or_default();
            of_hour.arrived += counts.primary + counts.corrupt;
            of_hour.is_damaged |= counts.corrupt_records + counts.corrupt_windows > 0;
        }
        for (start_ms, is_ledger, part) in self.recent.iter().filter(|(start_ms, ..)| start_ms + size.ms() > by_ms) {
            let of_hour = hours.entry(Period::Hour.start_of(*start_ms, size)).or_default();
            match is_ledger {
                true => of_hour.sent -= part.ledger.sent,
                false => of_hour.arrived -= part.counts.primary + part.counts.corrupt,
            }
        }
        hours
    }

    /// Posts of a region in the hour up to the end of the newest window that has ended.
    #[must_use]
    pub fn posts_last_hour(&self, region: &str) -> u64 {
        let windows = self.overview.regions.get(region).map(|of_region| of_region.windows.range(..self.ended_ms));
        windows.map_or(0, |windows| windows.map(|(_, posts)| posts).sum())
    }

    /// Posts that a region has in the last hour as usual, and the ends of the range in which the number is on four of five
    /// days, in thousandths; `None` without a baseline.
    #[must_use]
    pub fn usual(&self, region: &str) -> Option<(u64, u64, u64)> {
        self.overview.regions.get(region)?.usual.get(&self.ended_ms).copied()
    }
}
