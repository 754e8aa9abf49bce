//! JSON with times that people can read.

use birdsong_domain::event::Event;
use birdsong_domain::rollup::DAY_MS;
use serde::Serialize;
use serde_json::{Map, Value};

use super::weeks::DAYS;
use crate::DAY;

/// The day and time of day of milliseconds that are a time of the weeks; `None` for other numbers.
fn time(ms: i64) -> Option<String> {
    let since = ms - DAY;
    let (day, of_day) = (since.div_euclid(DAY_MS), since.rem_euclid(DAY_MS));
    let (hour, minute, ms) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day % 60_000);
    let rest = if ms == 0 { String::new() } else { format!(":{:06.3}", ms as f64 / 1000.0) };
    (-1..=DAYS).contains(&day).then(|| format!("day {day} {hour:02}:{minute:02}{rest}"))
}

fn with_times(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_i64().and_then(time).map_or(Value::Number(number), Value::String),
        Value::Array(list) => list.into_iter().map(with_times).collect(),
        Value::Object(fields) => {
            let named =
                |(key, value): (String, Value)| (key.parse().ok().and_then(time).unwrap_or(key), with_times(value));
            Value::Object(fields.into_iter().map(named).collect::<Map<_, _>>())
        }
        other => other,
    }
}

pub(crate) fn named(value: &impl Serialize) -> Value {
    with_times(serde_json::to_value(value).unwrap())
}

/// A line for each event.
pub(crate) fn lines(events: &[Event]) -> String {
    let line = |event: &Event| format!("{} {}\n", event.subject, named(event));
    events.iter().map(line).collect()
}

/// Objects in lines of their own, lists in one.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    fn write(value: &Value, depth: usize, out: &mut String) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in fields {
                    out.push('\n');
                    out.push_str(&"  ".repeat(depth));
                    out.push_str(key);
                    out.push_str(": ");
                    write(value, depth + 1, out);
                }
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut out = String::new();
    write(&named(value), 0, &mut out);
    out
}
