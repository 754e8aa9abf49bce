//! The parameters of a query, checked. An error names the parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use birdsong_digest::read::Grain;
use birdsong_domain::network::Network;
use birdsong_domain::region::Region;
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::{RFC3339_MS, WindowSize, WindowStart, parse_rfc3339};
use birdsong_domain::topk::MERGED_COUNTERS;

use crate::error::{ApiError, ErrorCode, foreign};
use crate::fields::Fields;
use crate::report::Top;
use crate::span::Networks;
use crate::steps::Wanted;

const DAY_SECS: u32 = 86_400;
/// Most steps in one answer.
const MAX_STEPS: i64 = 2016;
/// Most windows that are read one by one for one answer: two weeks of minutes. Longer steps are read from roll-ups.
const MAX_WINDOWS: i64 = 20_160;
/// Longest step, in days.
const MAX_STEP_DAYS: u32 = 400;
/// Most steps that `step=auto` chooses.
const AUTO_STEPS: i64 = 300;
/// Most regions in one call.
const MAX_REGIONS: usize = 32;
/// Clocks of writers and readers may differ by this, in milliseconds.
const CLOCK_SKEW_MS: i64 = 5_000;
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

/// The parameters by name, each at most once.
///
/// # Errors
/// `bad_parameter` when one occurs twice, or is not among those that are allowed.
pub(crate) fn named(query: Option<&str>, allowed: &[&str]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut named = BTreeMap::new();
    for (name, value) in pairs(query)? {
        if !allowed.contains(&name.as_str()) {
            return Err(bad(&name, format!("unknown parameter; the parameters are {}", allowed.join(", "))));
        }
        if named.contains_key(&name) {
            return Err(bad(&name, "this parameter occurs twice"));
        }
        named.insert(name, value);
    }
    Ok(named)
}

/// Ids of the regions in a list with commas; all regions without one.
///
/// # Errors
/// `unknown_region`; `bad_parameter` when one occurs twice or there are too many.
pub(crate) fn regions(list: Option<&str>, all: &[Region]) -> Result<Vec<String>, ApiError> {
    let Some(list) = list else { return Ok(all.iter().map(|region| region.id.clone()).collect()) };
    let mut ids = vec![];
    for id in list.split(',') {
        let id = &region(id, all)?.id;
        if ids.contains(id) {
            return Err(bad("region", "a region occurs twice"));
        }
        ids.push(id.clone());
    }
    if ids.len() > MAX_REGIONS {
        return Err(bad("region", format!("at most {MAX_REGIONS} regions are possible, not {}", ids.len())));
    }
    Ok(ids)
}

/// Names and values, decoded.
///
/// # Errors
/// `bad_parameter` when the encoding is broken.
pub(crate) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, ApiError> {
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

/// The parameters of `/api/windows`.
#[derive(Debug)]
pub(crate) struct WindowsQuery<'a> {
    /// At least one.
    pub(crate) regions: Vec<&'a Region>,
    /// Whether the answer is a list, since several regions are asked for.
    pub(crate) is_list: bool,
    pub(crate) networks: Networks,
    pub(crate) wanted: Wanted,
    /// Whether the answer has totals.
    pub(crate) has_total: bool,
    /// The version of the counts that the caller knows.
    pub(crate) version: Option<String>,
    step: StepAsked,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
enum StepAsked {
    Secs(u32),
    Auto,
}

/// A range that is rounded to steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// In milliseconds.
    pub(crate) range: Range<i64>,
    pub(crate) step_secs: u32,
}

impl<'a> WindowsQuery<'a> {
    pub(crate) fn parse(query: Option<&str>, regions: &'a [Region], size: WindowSize) -> Result<Self, ApiError> {
        let no_region = || ApiError::new(ErrorCode::UnknownRegion, "there are no regions yet");
        let first = regions.first().ok_or_else(no_region)?;
        let mut parsed = Self {
            regions: vec![first],
            is_list: false,
            networks: Networks::default(),
            wanted: Wanted::default(),
            has_total: true,
            version: None,
            step: StepAsked::Secs(size.secs()),
            from_ms: None,
            to_ms: None,
        };
        let mut seen: Vec<String> = vec![];
        for (name, value) in pairs(query)? {
            if name != "network" && seen.contains(&name) {
                return Err(bad(&name, "this parameter occurs twice"));
            }
            match name.as_str() {
                "region" => {
                    parsed.is_list = value.contains(',');
                    parsed.regions = value.split(',').map(|id| region(id, regions)).collect::<Result<_, _>>()?;
                    let ids: BTreeSet<_> = parsed.regions.iter().map(|region| &region.id).collect();
                    if ids.len() < parsed.regions.len() {
                        return Err(bad("region", "a region occurs twice"));
                    }
                    let count = parsed.regions.len();
                    if count > MAX_REGIONS {
                        return Err(bad("region", format!("at most {MAX_REGIONS} regions are possible, not {count}")));
                    }
                }
                "from" => parsed.from_ms = Some(time("from", &value)?),
                "to" => parsed.to_ms = Some(time("to", &value)?),
                "step" if value == "auto" => parsed.step = StepAsked::Auto,
                "step" => parsed.step = StepAsked::Secs(step(&value, size)?),
                "since" => parsed.wanted.since_ms = Some(time("since", &value)?.saturating_sub(CLOCK_SKEW_MS)),
                "fields" => parsed.wanted.fields = fields("fields", &value)?,
                "total_fields" if value == "none" => parsed.has_total = false,
                "top" => parsed.wanted.top = Top::of(top(&value)?),
                "total_fields" => parsed.wanted.total_fields = fields("total_fields", &value)?,
                "version" => {
                    if value.len() > 16 || !value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                        return Err(bad(
                            "version",
                            "not the `version` of an overview: at most 16 digits and letters a to f",
                        ));
                    }
                    parsed.version = Some(value);
                }
                "network" => {
                    for name in value.split(',') {
                        parsed.networks.ask_for(network(name)?);
                    }
                    if parsed.networks.named() > MAX_NETWORKS {
                        return Err(bad("network", format!("at most {MAX_NETWORKS} networks are possible")));
                    }
                }
                _ => {
                    let message = "unknown parameter; the parameters are region, from, to, step, network, fields, \
                                   total_fields, top, since and version";
                    return Err(bad(&name, message));
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

    /// The range, rounded outwards to steps; by default the day up to the end of the newest window.
    ///
    /// # Errors
    /// `unprocessable` when it is empty, has too many steps, or ends beyond the years 0000 to 9999.
    pub(crate) fn steps(&self, newest: Option<WindowStart>, now_ms: i64, size: WindowSize) -> Result<Steps, ApiError> {
        // A clock or a window beyond the ends of time leaves room for a day and the rounding.
        let (first_ms, last_ms) = (RFC3339_MS.start() + 3 * DAY_MS, RFC3339_MS.end() - 3 * DAY_MS);
        let newest_end = newest.map_or(now_ms, |window| window.0.saturating_add(size.ms())).clamp(first_ms, last_ms);
        let (from_ms, to_ms) = match (self.from_ms, self.to_ms) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => (from, newest_end.clamp(from + 1, from + DAY_MS)),
            (None, Some(to)) => (to - DAY_MS, to),
            (None, None) => (newest_end - DAY_MS, newest_end),
        };
        if from_ms >= to_ms {
            return Err(unprocessable("to", "must be later than from"));
        }
        let step_secs = match self.step {
            StepAsked::Secs(secs) => secs,
            StepAsked::Auto => auto_step(to_ms - from_ms, size),
        };
        let step_ms = i64::from(step_secs) * 1000;
        let down = |time_ms: i64| time_ms.div_euclid(step_ms) * step_ms;
        let up = |time_ms: i64| down(time_ms.saturating_add(step_ms - 1));
        let range = match (self.from_ms, self.to_ms) {
            // A whole day, whatever the newest window is.
            (None, None) => up(to_ms) - DAY_MS.max(step_ms)..up(to_ms),
            _ => down(from_ms)..up(to_ms),
        };
        let ends = [("from", self.from_ms, range.start), ("to", self.to_ms, range.end)];
        if let Some((name, asked, _)) = ends.iter().find(|(_, _, end_ms)| !RFC3339_MS.contains(end_ms)) {
            // A default is as far away as the parameter that it was computed from.
            let name = if asked.is_some() { name } else { ["from", "to"][usize::from(*name == "from")] };
            let message = "the range, rounded to steps, must lie within the years 0000 to 9999";
            return Err(unprocessable(name, message));
        }
        let length = range.end - range.start;
        let is_by_window = Grain::of_step(step_ms, size) == Grain::Window;
        if length / step_ms > MAX_STEPS || (is_by_window && length / size.ms() > MAX_WINDOWS) {
            let auto = auto_step(length, size);
            let advice = if auto > step_secs {
                format!("use step=auto or step={}, or a shorter range", step_name(auto))
            } else {
                "use a shorter range".to_owned()
            };
            let message = format!(
                "{} steps are too many: an answer has at most {MAX_STEPS}, and at most {MAX_WINDOWS} windows when the \
                 step is shorter than an hour; {advice}",
                length / step_ms,
            );
            return Err(unprocessable("step", message));
        }
        Ok(Steps { range, step_secs })
    }
}

/// Steps for people, in seconds, from the shortest one; those are possible that the window divides.
const NICE_STEPS: [u32; 16] = [
    60,
    300,
    600,
    900,
    1_800,
    3_600,
    2 * 3_600,
    3 * 3_600,
    6 * 3_600,
    12 * 3_600,
    DAY_SECS,
    2 * DAY_SECS,
    7 * DAY_SECS,
    28 * DAY_SECS,
    91 * DAY_SECS,
    364 * DAY_SECS,
];

/// The shortest step that divides a range of this length, in milliseconds, into a number of steps that a chart can show.
fn auto_step(length_ms: i64, size: WindowSize) -> u32 {
    // Windows of 7 minutes and the like divide few of the nice ones.
    let multiples = (1..=DAY_SECS / size.secs()).map(|n| n * size.secs()).filter(|secs| DAY_SECS.is_multiple_of(*secs));
    let nice = NICE_STEPS.into_iter().filter(|secs| secs.is_multiple_of(size.secs()));
    let is_nice = 3_600u32.is_multiple_of(size.secs());
    let mut possible: Vec<_> = if is_nice { nice.collect() } else { multiples.chain(nice).collect() };
    possible.sort_unstable();
    let fits = |secs: &u32| length_ms / (i64::from(*secs) * 1000) <= AUTO_STEPS;
    possible.iter().copied().find(fits).or(possible.last().copied()).unwrap_or(DAY_SECS)
}

/// A step as a query has it.
fn step_name(secs: u32) -> String {
    let units = [(DAY_SECS, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| secs.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{secs}s"), |(unit, name)| format!("{}{name}", secs / unit))
}

pub(crate) fn region<'a>(id: &str, regions: &'a [Region]) -> Result<&'a Region, ApiError> {
    regions.iter().find(|region| region.id == id).ok_or_else(|| {
        let message = format!("unknown region \"{}\"; the regions are {}", foreign(id), listed(regions));
        ApiError::parameter(ErrorCode::UnknownRegion, "region", message)
    })
}

fn fields(parameter: &str, list: &str) -> Result<Fields, ApiError> {
    Fields::parse(list).map_err(|name| {
        unprocessable(parameter, format!("\"{}\" is not a field; the fields are {}", foreign(name), Fields::names()))
    })
}

/// The ids of the first regions, and the number of the others.
fn listed(regions: &[Region]) -> String {
    let first: Vec<_> = regions.iter().take(LISTED_REGIONS).map(|region| foreign(&region.id)).collect();
    let more = regions.len().saturating_sub(LISTED_REGIONS);
    let more = if more > 0 { format!(" and {more} more; see /api/regions") } else { String::new() };
    first.join(", ") + &more
}

/// Entries of a ranking: at most as many as a total has.
fn top(value: &str) -> Result<usize, ApiError> {
    let number = value.parse::<usize>().ok().filter(|_| value.bytes().all(|b| b.is_ascii_digit()));
    let number = number.ok_or_else(|| bad("top", format!("\"{}\" is not a number of entries", foreign(value))))?;
    if !(1..=MERGED_COUNTERS).contains(&number) {
        return Err(unprocessable("top", format!("must be from 1 to {MERGED_COUNTERS}, not {number}")));
    }
    Ok(number)
}

pub(crate) fn time(name: &str, value: &str) -> Result<i64, ApiError> {
    // A plus sign that was not percent-encoded arrives as a space.
    let text = value.replace(' ', "+");
    parse_rfc3339(&text).ok_or_else(|| {
        bad(name, format!("\"{}\" is not an RFC 3339 time such as 2026-05-23T05:40:00Z", foreign(value)))
    })
}

pub(crate) fn network(name: &str) -> Result<Network, ApiError> {
    Network::parse(name).map_err(|error| bad("network", format!("\"{}\" is not a network; {error}", foreign(name))))
}

pub(crate) fn step(value: &str, size: WindowSize) -> Result<u32, ApiError> {
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
        return Err(bad("step", format!("\"{}\" is not a step such as 15m, 1h, 1d or auto", foreign(value))));
    };
    let secs = number.checked_mul(unit).filter(|secs| {
        let is_part_of_day = secs.is_multiple_of(size.secs()) && DAY_SECS.is_multiple_of(*secs);
        let is_days = secs.is_multiple_of(DAY_SECS) && *secs <= MAX_STEP_DAYS * DAY_SECS;
        *secs > 0 && (is_part_of_day || is_days)
    });
    secs.ok_or_else(|| {
        let message = format!(
            "\"{}\" is not possible; a step is a multiple of the window ({} s) that divides a day, up to {MAX_STEP_DAYS} whole \
             days, or auto; such as {}, {} or 7d",
            foreign(value),
            size.secs(),
            step_name(auto_step(DAY_MS, size)),
            step_name(auto_step(30 * DAY_MS, size)),
        );
        unprocessable("step", message)
    })
}

pub(crate) fn bad(parameter: &str, message: impl Into<String>) -> ApiError {
    ApiError::parameter(ErrorCode::BadParameter, parameter, message)
}

pub(crate) fn unprocessable(parameter: &str, message: impl Into<String>) -> ApiError {
    ApiError::parameter(ErrorCode::Unprocessable, parameter, message)
}
