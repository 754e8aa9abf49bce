//! The parameters of a query, checked. An error names the parameter.

use std::ops::Range;

use birdsong_domain::network::Network;
use birdsong_domain::region::Region;
use birdsong_domain::time::{RFC3339_MS, WindowSize, WindowStart, parse_rfc3339};

use crate::error::{ApiError, ErrorCode, foreign};
use crate::span::Networks;

const DAY_MS: i64 = 86_400_000;
const DAY_SECS: u32 = 86_400;
/// Most steps in one answer.
const MAX_STEPS: i64 = 2016;
/// Most windows merged for one answer: 31 days of five minutes.
const MAX_WINDOWS: i64 = 8928;
/// Most networks that a query may name.
const MAX_NETWORKS: usize = 16;
/// Most regions that an error lists.
const LISTED_REGIONS: usize = 20;

/// Rejects all parameters.
///
/// # Errors
/// `bad_parameter`.
pub(crate) fn none(query: Option<&str>) -> Result<(), ApiError> {
    match pairs(query)?.into_iter().next() {
        Some((name, _)) => Err(bad(&name, "this path has no parameters")),
        None => Ok(()),
    }
}

fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, ApiError> {
    let part = |text: &str| {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            match (first, tail) {
                (b'+', _) => bytes.push(b' '),
                (b'%', [high, low, after @ ..]) => {
                    let digit = |b: u8| (b as char).to_digit(16);
                    bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
                    rest = after;
                }
                (b'%', _) => return None,
                (byte, _) => bytes.push(*byte),
            }
        }
        String::from_utf8(bytes).ok()
    };
    let query = query.unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let broken = || bad(name, "the percent-encoding is broken, or its bytes are not UTF-8");
        Ok((part(name).ok_or_else(broken)?, part(value).ok_or_else(broken)?))
    });
    pairs.collect()
}

/// `/api/windows?region=&from=&to=&step=&network=`.
#[derive(Debug)]
pub(crate) struct WindowsQuery<'a> {
    pub(crate) region: &'a Region,
    pub(crate) step_secs: u32,
    pub(crate) networks: Networks,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
}

impl<'a> WindowsQuery<'a> {
    pub(crate) fn parse(query: Option<&str>, regions: &'a [Region], size: WindowSize) -> Result<Self, ApiError> {
        let no_region = || ApiError::new(ErrorCode::UnknownRegion, "there are no regions yet");
        let first = regions.first().ok_or_else(no_region)?;
        let networks = Networks::default();
        let mut parsed = Self { region: first, step_secs: size.secs(), networks, from_ms: None, to_ms: None };
        let mut seen: Vec<String> = vec![];
        for (name, value) in pairs(query)? {
            if name != "network" && seen.contains(&name) {
                return Err(bad(&name, "this parameter occurs twice"));
            }
            match name.as_str() {
                "region" => {
                    parsed.region = regions.iter().find(|region| region.id == value).ok_or_else(|| {
                        let message =
                            format!("unknown region \"{}\"; the regions are {}", foreign(&value), listed(regions));
                        ApiError::parameter(ErrorCode::UnknownRegion, "region", message)
                    })?;
                }
                "from" => parsed.from_ms = Some(time("from", &value)?),
                "to" => parsed.to_ms = Some(time("to", &value)?),
                "step" => parsed.step_secs = step(&value, size)?,
                "network" => {
                    for name in value.split(',') {
                        parsed.networks.ask_for(network(name)?);
                    }
                    if parsed.networks.named() > MAX_NETWORKS {
                        return Err(bad("network", format!("at most {MAX_NETWORKS} networks are possible")));
                    }
                }
                _ => {
                    return Err(bad(&name, "unknown parameter; the parameters are region, from, to, step and network"));
                }
            }
            seen.push(name);
        }
        Ok(parsed)
    }

    /// Whether the range has both ends, so that the newest window does not matter.
    pub(crate) fn is_closed(&self) -> bool {
        self.from_ms.is_some() && self.to_ms.is_some()
    }

    /// The range in milliseconds, rounded outwards to steps; by default the day up to the end of the newest window.
    ///
    /// # Errors
    /// `unprocessable` when it is empty, too long, or ends beyond the years 0000 to 9999.
    pub(crate) fn range(
        &self,
        newest: Option<WindowStart>,
        now_ms: i64,
        size: WindowSize,
    ) -> Result<Range<i64>, ApiError> {
        let step_ms = i64::from(self.step_secs) * 1000;
        let down = |time_ms: i64| time_ms.div_euclid(step_ms) * step_ms;
        let up = |time_ms: i64| down(time_ms.saturating_add(step_ms - 1));
        // A clock or a window beyond the ends of time leaves room for a day and the rounding.
        let (first_ms, last_ms) = (RFC3339_MS.start() + 3 * DAY_MS, RFC3339_MS.end() - 3 * DAY_MS);
        let newest_end = newest.map_or(now_ms, |window| window.0.saturating_add(size.ms())).clamp(first_ms, last_ms);
        let (from_ms, to_ms) = match (self.from_ms, self.to_ms) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => (from, newest_end.clamp(from + 1, from + DAY_MS)),
            (None, Some(to)) => (to - DAY_MS, to),
            (None, None) => (up(newest_end) - DAY_MS.max(step_ms), newest_end),
        };
        if from_ms >= to_ms {
            return Err(unprocessable("to", "must be later than from"));
        }
        let range = down(from_ms)..up(to_ms);
        let ends = [("from", self.from_ms, range.start), ("to", self.to_ms, range.end)];
        if let Some((name, asked, _)) = ends.iter().find(|(_, _, end_ms)| !RFC3339_MS.contains(end_ms)) {
            // A default is as far away as the parameter that it was computed from.
            let name = if asked.is_some() { name } else { ["from", "to"][usize::from(*name == "from")] };
            let message = "the range, rounded to steps, must lie within the years 0000 to 9999";
            return Err(unprocessable(name, message));
        }
        let length = range.end - range.start;
        if length / step_ms > MAX_STEPS {
            let message = format!(
                "the range has {} steps, and an answer at most {MAX_STEPS}; use a longer step or a shorter range",
                length / step_ms
            );
            return Err(unprocessable("step", message));
        }
        if length / size.ms() > MAX_WINDOWS {
            let days = MAX_WINDOWS * size.ms() / DAY_MS;
            let message = format!("the range is longer than {days} days; ask for it in parts");
            return Err(unprocessable("from", message));
        }
        Ok(range)
    }
}

/// The ids of the first regions, and the number of the others.
fn listed(regions: &[Region]) -> String {
    let first: Vec<_> = regions.iter().take(LISTED_REGIONS).map(|region| foreign(&region.id)).collect();
    let more = regions.len().saturating_sub(LISTED_REGIONS);
    let more = if more > 0 { format!(" and {more} more; see /api/regions") } else { String::new() };
    first.join(", ") + &more
}

fn time(name: &str, value: &str) -> Result<i64, ApiError> {
    // A plus sign that was not percent-encoded arrives as a space.
    let text = value.replace(' ', "+");
    parse_rfc3339(&text).ok_or_else(|| {
        bad(name, format!("\"{}\" is not an RFC 3339 time such as 2026-05-23T05:40:00Z", foreign(value)))
    })
}

fn network(name: &str) -> Result<Network, ApiError> {
    Network::parse(name).map_err(|error| bad("network", format!("\"{}\" is not a network; {error}", foreign(name))))
}

fn step(value: &str, size: WindowSize) -> Result<u32, ApiError> {
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &value[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(DAY_SECS),
        _ => None,
    };
    let is_number = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse::<u32>().ok().filter(|_| is_number);
    let Some((number, unit)) = number.zip(unit) else {
        return Err(bad("step", format!("\"{}\" is not a step such as 15m, 1h or 1d", foreign(value))));
    };
    let secs = number.checked_mul(unit).filter(|secs| {
        (1..=DAY_SECS).contains(secs) && secs.is_multiple_of(size.secs()) && DAY_SECS.is_multiple_of(*secs)
    });
    secs.ok_or_else(|| {
        let message = format!(
            "\"{}\" is not possible; a step is a multiple of the window ({} s) that divides a day, such as 15m, 1h or 1d",
            foreign(value),
            size.secs()
        );
        unprocessable("step", message)
    })
}

fn bad(parameter: &str, message: impl Into<String>) -> ApiError {
    ApiError::parameter(ErrorCode::BadParameter, parameter, message)
}

fn unprocessable(parameter: &str, message: impl Into<String>) -> ApiError {
    ApiError::parameter(ErrorCode::Unprocessable, parameter, message)
}
