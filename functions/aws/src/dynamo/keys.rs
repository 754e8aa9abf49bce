//! Keys of the table's items. Text order is the order of windows.

use std::ops::RangeInclusive;

use birdsong_domain::frame::Lane;
use birdsong_domain::ports::{DocumentKind, PartialKey, PortError};
use birdsong_domain::rollup::{DAY_MS, Period, RollupKey};
use birdsong_domain::time::{WindowStart, parse_rfc3339, rfc3339};

/// 0000-01-01 and 9999-12-31: years of four digits, whose text order is their order.
const DAYS: RangeInclusive<i64> = -719_528..=2_932_896;

/// Partition and sort key of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ItemKey {
    pub(super) pk: String,
    pub(super) sk: String,
}

/// Days since the epoch of a UTC day.
pub(super) type Day = i64;

/// The day of a window that has a key.
pub(super) fn day_of(window: WindowStart) -> Result<Day, PortError> {
    let day = window.0.div_euclid(DAY_MS);
    if window.0 % 1000 != 0 || !DAYS.contains(&day) {
        let reason =
            format!("a window starts at a whole second of the years 0 to 9999, not at {} ms since the epoch", window.0);
        return Err(PortError::Refused { what: "DynamoDB window store", reason });
    }
    Ok(day)
}

/// `YYYY-MM-DD`.
pub(super) fn day_name(day: Day) -> String {
    let mut name = rfc3339(day * DAY_MS);
    name.truncate("YYYY-MM-DD".len());
    name
}

/// Reads what [`day_name`] wrote.
pub(super) fn parse_day(name: &str) -> Option<Day> {
    parse_rfc3339(&format!("{name}T00:00:00Z")).map(|ms| ms.div_euclid(DAY_MS))
}

/// Partition of a region's windows that start on one day. Whatever the region's name, it ends in
/// `#` and a date, so it is no other region's, nor [`days_pk`].
pub(super) fn day_pk(region: &str, day: Day) -> String {
    format!("{region}#{}", day_name(day))
}

/// Partition of the list of days on which a region has windows; the sort key is the day's name.
pub(super) fn days_pk(region: &str) -> String {
    format!("{region}#days")
}

/// The key of a partial.
pub(super) fn item_key(key: &PartialKey) -> Result<ItemKey, PortError> {
    let day = day_of(key.window)?;
    Ok(ItemKey {
        pk: day_pk(key.lane.region(), day),
        sk: format!("{}#{}", rfc3339(key.window.0), key.lane.within_region()),
    })
}

/// Reads the sort key of a partial of `region`.
pub(super) fn parse_sk(region: &str, sk: &str) -> Option<PartialKey> {
    let (window, lane) = sk.split_once('#')?;
    Some(PartialKey { lane: Lane::parse_within(region, lane)?, window: WindowStart(parse_rfc3339(window)?) })
}

/// The partial that an item's keys are of; `None` for items of other kinds.
pub(super) fn parse_item(pk: &str, sk: &str) -> Option<PartialKey> {
    let (region, _) = pk.rsplit_once('#')?;
    let key = parse_sk(region, sk)?;
    item_key(&key).is_ok_and(|item| item.pk == pk && item.sk == sk).then_some(key)
}

/// Partition and sort key of a roll-up. Not those of a partial: its partition does not end in a day.
pub(super) fn rollup_key(key: &RollupKey) -> Result<ItemKey, PortError> {
    day_of(WindowStart(key.start_ms))?;
    Ok(ItemKey {
        pk: rollup_pk(key.lane.region(), key.period, key.start_ms),
        sk: format!("{}#{}", rfc3339(key.start_ms), key.lane.within_region()),
    })
}

/// Partition of the roll-ups of a region that start in the same month, of hours, or year, of days.
pub(super) fn rollup_pk(region: &str, period: Period, start_ms: i64) -> String {
    let day = day_name(start_ms.div_euclid(DAY_MS));
    match period {
        Period::Hour => format!("{region}#hours#{}", &day[.."YYYY-MM".len()]),
        Period::Day => format!("{region}#days#{}", &day[.."YYYY".len()]),
    }
}

/// The partitions of the roll-ups that start in `from_ms..to_ms`.
pub(super) fn rollup_pks(region: &str, period: Period, from_ms: i64, to_ms: i64) -> Vec<String> {
    pks(period, from_ms, to_ms, |start_ms| rollup_pk(region, period, start_ms))
}

/// Partition of the documents of a kind and region that start in the same year.
pub(super) fn document_pk(kind: DocumentKind, region: &str, start_ms: i64) -> String {
    let day = day_name(start_ms.div_euclid(DAY_MS));
    format!("{region}#{}#{}", kind.as_str(), &day[.."YYYY".len()])
}

/// The partitions of what starts in `from_ms..to_ms`, when those of hours are by month and those of days by year.
pub(super) fn pks(period: Period, from_ms: i64, to_ms: i64, pk: impl Fn(i64) -> String) -> Vec<String> {
    let first = from_ms.div_euclid(DAY_MS).max(*DAYS.start());
    let last = (to_ms - 1).div_euclid(DAY_MS).min(*DAYS.end());
    let mut pks: Vec<_> = vec![];
    let mut day = first;
    // A month has at least 28 days, and a year 365.
    let stride = if period == Period::Hour { 28 } else { 365 };
    while day <= last {
        pks.push(pk(day * DAY_MS));
        day = if day < last { last.min(day + stride) } else { last + 1 };
    }
    pks.dedup();
    pks
}

/// Days and sort keys of the windows of a range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) days: RangeInclusive<Day>,
    /// At or before the first sort key of the range.
    pub(super) first: String,
    /// Behind the last sort key of the range.
    pub(super) last: String,
}

/// What to ask for when windows of `from..to` are wanted; `None` when there can be none.
pub(super) fn span(from: WindowStart, to: WindowStart) -> Option<Span> {
    // Windows start at whole seconds, so the range is narrowed to those.
    let bounds = (DAYS.start() * 86_400)..=(DAYS.end() * 86_400 + 86_399);
    let up = |ms: i64| ms.div_euclid(1000) + i64::from(ms.rem_euclid(1000) > 0);
    let first = up(from.0).max(*bounds.start());
    let last = (up(to.0) - 1).min(*bounds.end());
    (first <= last).then(|| Span {
        days: first.div_euclid(86_400)..=last.div_euclid(86_400),
        first: rfc3339(first * 1000),
        // The sign behind `#`: so behind every lane of that second.
        last: format!("{}$", rfc3339(last * 1000)),
    })
}

#[cfg(test)]
mod tests {
    use birdsong_domain::network::Network;

    use super::*;

    fn key(window: i64, bucket: u16) -> PartialKey {
        PartialKey { lane: Lane::posts("a#1", Network::X, bucket), window: WindowStart(window) }
    }

    #[test]
    fn text_order_is_the_order_of_windows() {
        let mut sks = Vec::new();
        for window in [-62_167_219_200_000, -300_000, 0, 300_000, 1_700_000_100_000, 253_402_300_500_000] {
            for bucket in [0, 9, 10, 65_535] {
                let key = key(window, bucket);
                let item = item_key(&key).unwrap();
                assert_eq!(parse_sk("a#1", &item.sk), Some(key.clone()));
                assert_eq!(parse_item(&item.pk, &item.sk), Some(key));
                assert_eq!(parse_item("_meta", &item.sk), None);
                assert_eq!(parse_item("a#1#1971-01-01", &item.sk), None);
                assert_eq!(parse_item("a#1#days", &item.sk), None);
                if bucket == 0 {
                    sks.push(item.sk);
                }
            }
        }
        assert!(sks.is_sorted());
        let first = item_key(&key(1_700_000_100_000, 7)).unwrap();
        assert_eq!(first, ItemKey { pk: "a#1#2023-11-14".into(), sk: "2023-11-14T22:15:00Z#x#7".into() });
        for odd in ["2023-11-14T22:15:00Z#00007", "2023-11-14T22:15:00Z#x#07", "2023-11-14T22:15:00Z#x"] {
            assert_eq!(parse_sk("a#1", odd), None, "{odd}");
        }
    }

    #[test]
    fn windows_that_have_no_key_are_refused() {
        for window in [1, 999, i64::MIN, i64::MAX, 253_402_300_800_000, -62_167_219_201_000] {
            assert!(matches!(item_key(&key(window, 0)), Err(PortError::Refused { .. })), "{window}");
        }
    }

    #[test]
    fn a_span_covers_the_windows_of_a_half_open_range() {
        let span = |from, to| span(WindowStart(from), WindowStart(to));
        let of = |days, first: &str, last: &str| Some(Span { days, first: first.into(), last: last.into() });
        assert_eq!(span(0, 1000), of(0..=0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z$"));
        assert_eq!(span(1, 300_001), of(0..=0, "1970-01-01T00:00:01Z", "1970-01-01T00:05:00Z$"));
        assert_eq!(span(-1, 86_400_001), of(0..=1, "1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z$"));
        for (from, to) in [(0, 0), (1, 2), (600_000, 0), (i64::MAX, i64::MAX), (i64::MAX - 1, i64::MAX)] {
            assert_eq!(span(from, to), None, "{from}..{to}");
        }
        assert_eq!(span(i64::MIN, i64::MAX), of(-719_528..=2_932_896, "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z$"));
    }

    #[test]
    fn the_partitions_of_a_range_are_those_of_its_rollups() {
        for (period, name) in [(Period::Hour, "hours"), (Period::Day, "days")] {
            for (from, days) in [(0, 1), (20_000, 1), (20_000, 29), (20_015, 31), (19_000, 1_500), (-800, 900)] {
                let (from_ms, to_ms) = (from * DAY_MS, (from + days) * DAY_MS);
                let mut expected: Vec<_> =
                    (from..from + days).map(|day| rollup_pk("a", period, day * DAY_MS)).collect();
                expected.dedup();
                assert_eq!(rollup_pks("a", period, from_ms, to_ms), expected, "{name} {from} {days}");
                assert!(expected[0].starts_with(&format!("a#{name}#")));
                assert!(rollup_pks("a", period, from_ms, from_ms).is_empty());
            }
        }
    }

    #[test]
    fn days_go_to_text_and_back() {
        for (day, name) in [(0, "1970-01-01"), (-1, "1969-12-31"), (20_780, "2026-11-23"), (-719_528, "0000-01-01")] {
            assert_eq!(day_name(day), name);
            assert_eq!(parse_day(name), Some(day));
        }
        assert_eq!(parse_day("x"), None);
    }
}
