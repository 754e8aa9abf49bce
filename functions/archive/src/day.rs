//! UTC days.

use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::{RFC3339_MS, parse_rfc3339, rfc3339};
use serde::{Deserialize, Serialize};

/// A UTC day, written `2026-05-23`. It has a year of four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(i64);

impl Day {
    /// The first day that can be written.
    pub const MIN: Self = Self(RFC3339_MS.start().div_euclid(DAY_MS));
    /// The last day that can be written.
    pub const MAX: Self = Self(RFC3339_MS.end().div_euclid(DAY_MS));

    /// The day of a time in milliseconds since 1970; the first or last one when it is outside of what can be written.
    #[must_use]
    pub fn of(time_ms: i64) -> Self {
        Self(time_ms.div_euclid(DAY_MS)).clamp(Self::MIN, Self::MAX)
    }

    /// Its first millisecond.
    #[must_use]
    pub fn start_ms(self) -> i64 {
        self.0 * DAY_MS
    }

    /// The first millisecond of the day after it.
    #[must_use]
    pub fn end_ms(self) -> i64 {
        self.start_ms() + DAY_MS
    }

    /// The day after it. The last one has none, and is its own.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1).min(Self::MAX)
    }

    /// The day before it. The first one has none, and is its own.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0 - 1).max(Self::MIN)
    }

    /// Reads `2026-05-23`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let start_ms = parse_rfc3339(&format!("{text}T00:00:00Z"))?;
        let day = Self::of(start_ms);
        // One day has one text.
        (day.to_string() == text).then_some(day)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = rfc3339(self.start_ms());
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no day; write one such as 2026-05-23"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_text() {
        let day = Day::of(1_779_494_399_999);
        assert_eq!((day.to_string().as_str(), Day::parse("2026-05-22")), ("2026-05-22", Some(day)));
        assert_eq!(day.next().start_ms(), day.end_ms());
        assert_eq!(day.next().previous(), day);
        for day in [Day::MIN, Day::MAX, Day::of(i64::MIN), Day::of(-1)] {
            assert_eq!(Day::parse(&day.to_string()), Some(day));
        }
        for bad in ["", "2026-5-23", "2026-05-23T00:00:00Z", "2026-02-30", "../2026-05-23"] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
    }
}
