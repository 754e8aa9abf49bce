//! Event time, windows and snowflake ids. All times are milliseconds since 1970-01-01T00:00:00Z.

use serde::{Deserialize, Serialize};

/// First millisecond that a snowflake id can name (2010-11-04T01:42:54.657Z).
pub const SNOWFLAKE_EPOCH_MS: i64 = 1_288_834_974_657;
/// Ids below this were handed out before snowflakes and are plain counters without a time. The first
/// snowflake is of 2010-11-04T01:43:01Z (TweetedAt, Web Science and Digital Libraries Group, 2019).
pub const FIRST_SNOWFLAKE: u64 = 29_700_859_247;

/// How far ahead of our clock an event time may be, in milliseconds. Clocks differ by seconds; a time
/// further ahead was made up or comes from a broken clock, and every source, live or archive,
/// quarantines it. So a log record arrives at most this much before the event times in it.
pub const FUTURE_LIMIT_MS: i64 = 600_000;

/// Whether an event time is too far ahead of the clock, see [`FUTURE_LIMIT_MS`]. Both in milliseconds.
#[must_use]
pub fn is_future(time_ms: i64, now_ms: i64) -> bool {
    time_ms > now_ms.saturating_add(FUTURE_LIMIT_MS)
}

/// The time in milliseconds inside a snowflake id of X (v2 and v1.1), if the id is new enough to
/// contain one. The low 22 bits are worker and sequence.
#[must_use]
pub fn snowflake_ms(id: u64) -> Option<i64> {
    (id >= FIRST_SNOWFLAKE).then(|| (id >> 22) as i64 + SNOWFLAKE_EPOCH_MS)
}

/// Length of a window, in seconds: one minute to one hour, and a divisor of a day so that windows
/// never straddle midnight UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct WindowSize(u32);

/// A window length that is not usable.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a window of {0} seconds is not possible: choose a length from 1m to 1h that divides a day, such as 1m, 5m, 15m or 1h"
)]
pub struct BadWindowSize(pub u32);

impl WindowSize {
    /// The shortest, which divides all others.
    pub const MINUTE: Self = Self(60);
    /// The default: five minutes.
    pub const FIVE_MINUTES: Self = Self(300);

    /// A window of `secs` seconds.
    ///
    /// # Errors
    /// When it is not a whole number of minutes between one minute and one hour that divides a day.
    pub fn from_secs(secs: u32) -> Result<Self, BadWindowSize> {
        if (60..=3600).contains(&secs) && secs.is_multiple_of(60) && 86_400u32.is_multiple_of(secs) {
            Ok(Self(secs))
        } else {
            Err(BadWindowSize(secs))
        }
    }

    /// Length in seconds.
    #[must_use]
    pub fn secs(self) -> u32 {
        self.0
    }

    /// Length in milliseconds.
    #[must_use]
    pub fn ms(self) -> i64 {
        i64::from(self.0) * 1000
    }

    /// Number of whole minutes in a window.
    #[must_use]
    pub fn minutes(self) -> usize {
        (self.0 / 60) as usize
    }

    /// Start of the window that contains `time_ms`; windows are aligned to the epoch.
    #[must_use]
    pub fn start_of(self, time_ms: i64) -> WindowStart {
        WindowStart(time_ms.div_euclid(self.ms()).saturating_mul(self.ms()))
    }
}

impl TryFrom<u32> for WindowSize {
    type Error = BadWindowSize;
    fn try_from(secs: u32) -> Result<Self, Self::Error> {
        Self::from_secs(secs)
    }
}

impl From<WindowSize> for u32 {
    fn from(size: WindowSize) -> Self {
        size.0
    }
}

/// Start of a window in milliseconds since the epoch; always a multiple of the window size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WindowStart(pub i64);

/// All milliseconds that RFC 3339 can name: the years 0000 to 9999.
pub const RFC3339_MS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// Formats milliseconds as RFC 3339 UTC: whole seconds when there are no milliseconds. A time outside of
/// [`RFC3339_MS`] is shown as the nearest one inside.
#[must_use]
pub fn rfc3339(time_ms: i64) -> String {
    let time_ms = time_ms.clamp(*RFC3339_MS.start(), *RFC3339_MS.end());
    let (days, ms_of_day) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (secs, ms) = (ms_of_day / 1000, ms_of_day % 1000);
    let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
    if ms == 0 {
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
    } else {
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
    }
}

/// Reads an RFC 3339 time (`2026-05-23T05:41:07.318Z`, or with an offset such as `+02:00`) into
/// milliseconds. `None` when the text is anything else, or when its offset moves it out of [`RFC3339_MS`];
/// finer fractions are cut.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    let digits = |from: usize, to: usize| -> Option<i64> {
        b.get(from..to)?.iter().try_fold(0i64, |n, c| c.is_ascii_digit().then(|| n * 10 + i64::from(c - b'0')))
    };
    let sep = |at: usize, any: &[u8]| b.get(at).is_some_and(|c| any.contains(c));
    if !(sep(4, b"-") && sep(7, b"-") && sep(10, b"Tt ") && sep(13, b":") && sep(16, b":")) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (h, m, s) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let mut at = 19;
    let mut ms = 0;
    if sep(at, b".") {
        let end = b[at + 1..].iter().position(|c| !c.is_ascii_digit()).map_or(b.len(), |n| at + 1 + n);
        let mut scale = 100;
        for c in &b[at + 1..end] {
            ms += i64::from(c - b'0') * scale;
            scale /= 10;
        }
        if end == at + 1 {
            return None;
        }
        at = end;
    }
    let offset_min = match b.get(at)? {
        b'Z' | b'z' if b.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if b.len() == at + 6 && sep(at + 3, b":") => {
            let (oh, om) = (digits(at + 1, at + 3)?, digits(at + 4, at + 6)?);
            if oh > 23 || om > 59 {
                return None;
            }
            let minutes = oh * 60 + om;
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    let time_ms = ((days_from_civil(year, month, day) * 1440 + h * 60 + m - offset_min) * 60 + s) * 1000 + ms;
    RFC3339_MS.contains(&time_ms).then_some(time_ms)
}

/// Reads the time format of v1.1 statuses: `Sat May 23 05:41:07 +0000 2026`.
#[must_use]
pub fn parse_v1_time(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_ascii_whitespace();
    let (_, month, day, clock, zone, year) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|m| *m == month)? + 1;
    let day: u8 = day.parse().ok()?;
    if zone.len() != 5 || !zone.is_ascii() || parts.next().is_some() {
        return None;
    }
    parse_rfc3339(&format!("{year}-{month:02}-{day:02}T{clock}{}:{}", &zone[..3], &zone[3..]))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Both conversions follow the proleptic Gregorian calendar in eras of 400 years that start in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_known_snowflake_has_its_millisecond() {
        assert_eq!(snowflake_ms(2_058_060_636_507_602_944).map(rfc3339).as_deref(), Some("2026-05-23T05:41:07.318Z"));
        assert_eq!(snowflake_ms(20), None, "ids of 2006 are counters, not times");
        assert_eq!(snowflake_ms(29_700_859_246), None);
        assert_eq!(snowflake_ms(29_700_859_247).map(rfc3339).as_deref(), Some("2010-11-04T01:43:01.738Z"));
    }

    #[test]
    fn times_are_read_in_each_spelling() {
        assert_eq!(parse_rfc3339("2021-04-08T19:31:31.000Z"), Some(1_617_910_291_000));
        assert_eq!(parse_rfc3339("2021-04-08T21:31:31+02:00"), Some(1_617_910_291_000));
        assert_eq!(parse_rfc3339("2021-04-08T19:31:31.123456Z"), Some(1_617_910_291_123));
        assert_eq!(parse_v1_time("Thu Apr 08 19:31:31 +0000 2021"), Some(1_617_910_291_000));
        for bad in [
            "",
            "2021-04-08",
            "2021-13-08T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "2021-04-08T19:31:31",
            "2021-04-08T19:31:31.Z",
            "é021-04-08T19:31:31Z",
            "2021-04-08T19:31:31+0é0",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad:?}");
        }
        assert_eq!(parse_v1_time("Thu Apr 08 19:31:31 +0é0 2021"), None);
    }

    #[test]
    fn times_end_with_the_years_that_rfc_3339_can_write() {
        let (first, last) = ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z");
        assert_eq!((parse_rfc3339(first), parse_rfc3339(last)), (Some(*RFC3339_MS.start()), Some(*RFC3339_MS.end())));
        assert_eq!(parse_rfc3339("0000-01-01T00:00:00+00:01"), None);
        assert_eq!(parse_rfc3339("9999-12-31T23:59:59-00:01"), None);
        assert_eq!((rfc3339(i64::MIN).as_str(), rfc3339(i64::MAX).as_str()), (first, last));
    }

    #[test]
    fn windows_are_aligned_to_the_epoch_even_before_it() {
        let size = WindowSize::FIVE_MINUTES;
        assert_eq!(size.start_of(299_999), WindowStart(0));
        assert_eq!(size.start_of(300_000), WindowStart(300_000));
        assert_eq!(size.start_of(-1), WindowStart(-300_000));
        for bad in [0, 59, 61, 420, 3660, 7200] {
            assert_eq!(WindowSize::from_secs(bad), Err(BadWindowSize(bad)));
        }
    }

    #[test]
    fn a_time_more_than_ten_minutes_ahead_is_in_the_future() {
        assert_eq!([4_000, 605_000, 605_001].map(|time_ms| is_future(time_ms, 5_000)), [false, false, true]);
        assert!(!is_future(i64::MAX, i64::MAX));
    }

    #[test]
    fn months_have_the_days_until_the_next_one_and_are_read_back() {
        for (year, month) in (1600..=2000).flat_map(|year| (1..=12).map(move |month| (year, month))) {
            let days = days_in_month(year, month);
            let first = days_from_civil(year, month, 1);
            assert_eq!(days_from_civil(year + month / 12, month % 12 + 1, 1) - first, days, "{year}-{month}");
            for day in 0..=days + 1 {
                let text = format!("{year}-{month:02}-{day:02}T00:00:00Z");
                let time_ms = (first + day - 1) * 86_400_000;
                let is_right = (1..=days).contains(&day);
                assert_eq!(parse_rfc3339(&text), is_right.then_some(time_ms), "{text}");
                assert_eq!(rfc3339(time_ms) == text, is_right, "{text}");
            }
        }
    }

    #[test]
    fn each_place_of_a_time_has_characters_of_its_own() {
        for text in ["2021-11-11T11:11:11+11:11", "2021-11-11T11:11:11.11Z"] {
            for (at, right) in text.char_indices() {
                for other in ' '..='~' {
                    let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                    let is_like = match right {
                        'T' => "Tt ".contains(other),
                        'Z' => "Zz".contains(other),
                        '+' => "+-".contains(other),
                        '0'..='9' => other.is_ascii_digit(),
                        _ => other == right,
                    };
                    let is_read = parse_rfc3339(&changed).is_some();
                    assert!(if is_like { is_read || right.is_ascii_digit() } else { !is_read }, "{changed}");
                }
            }
            for end in ["0", "Z", " ", "+00:00"] {
                assert_eq!(parse_rfc3339(&format!("{text}{end}")), None, "{text}{end}");
            }
            assert_eq!(parse_rfc3339(&text[..text.len() - 1]), None);
        }
        for (end, is_right) in [
            ("00:00:00Z", true),
            ("23:59:60Z", true),
            ("24:00:00Z", false),
            ("00:60:00Z", false),
            ("00:00:61Z", false),
            ("12:00:00+23:59", true),
            ("12:00:00-23:59", true),
            ("12:00:00+24:00", false),
            ("12:00:00+00:60", false),
        ] {
            assert_eq!(parse_rfc3339(&format!("2021-04-08T{end}")).is_some(), is_right, "{end}");
        }
    }

    #[test]
    fn a_length_of_windows_is_stored_in_seconds() {
        assert_eq!(serde_json::to_string(&WindowSize::FIVE_MINUTES).unwrap(), "300");
        assert_eq!(serde_json::from_str::<WindowSize>("300").unwrap(), WindowSize::FIVE_MINUTES);
    }

    proptest! {
        #[test]
        fn formatting_and_reading_are_inverse(ms in -62_000_000_000_000i64..250_000_000_000_000) {
            prop_assert_eq!(parse_rfc3339(&rfc3339(ms)), Some(ms));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,40}") {
            let _ = parse_rfc3339(&text);
            let _ = parse_v1_time(&text);
        }
    }
}
