//! Lengths of time as people write them.

use std::str::FromStr;

/// A length of time in seconds, written `90s`, `5m`, `1h` or `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub u64);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no length of time; write one such as 90s, 5m, 1h or 2d");
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = match &text[digits.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(unit).filter(|secs| *secs > 0).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!("90s".parse(), Ok(Length(90)));
        assert_eq!("2d".parse(), Ok(Length(172_800)));
        for bad in ["", "5", "m", "0m", "-1h", "1é", "99999999999999999999d", "9999999999999999999d"] {
            assert!(bad.parse::<Length>().is_err(), "{bad}");
        }
    }
}
