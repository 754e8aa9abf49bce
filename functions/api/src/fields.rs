//! The fields of a report that are asked for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::report::WindowReport;

/// Fields that each report has, whatever is asked for.
const ALWAYS: [&str; 2] = ["window_start", "window_end"];

/// Fields that are there only when they are asked for by name.
const BY_NAME: [&str; 5] = ["usual", "usual_low", "usual_high", "reference", "reference_share"];

/// The names of all fields of a report, in their order.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    match serde_json::to_value(WindowReport {
        usual: Some(0.0),
        usual_low: Some(0.0),
        usual_high: Some(0.0),
        reference: Some(0),
        reference_share: Some(0.0),
        ..WindowReport::default()
    }) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => vec![],
    }
});

/// A choice of fields. By default all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Option<BTreeSet<String>>);

impl Fields {
    /// The fields named in a list with commas; else the name that is no field.
    pub(crate) fn parse(list: &str) -> Result<Self, &str> {
        let names = list.split(',').map(|name| match NAMES.iter().any(|known| known == name) {
            true => Ok(name.to_owned()),
            false => Err(name),
        });
        Ok(Self(Some(names.collect::<Result<_, _>>()?)))
    }

    /// The names of all fields.
    pub(crate) fn names() -> String {
        NAMES.join(", ")
    }

    /// Whether a field is asked for.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|asked| asked.contains(name))
    }

    /// Whether a field is a column of a table: one that is there in each report, or that is asked for by name.
    pub(crate) fn is_column(&self, name: &str) -> bool {
        match &self.0 {
            Some(_) => ALWAYS.contains(&name) || self.has(name),
            None => !BY_NAME.contains(&name),
        }
    }

    /// Whether one of these fields is asked for by name.
    pub(crate) fn asks_for(&self, names: &[&str]) -> bool {
        self.0.as_ref().is_some_and(|asked| names.iter().any(|name| asked.contains(*name)))
    }

    /// A report, or the part of it that is asked for, as JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(crate) fn write(&self, report: &WindowReport, out: &mut Vec<u8>) -> serde_json::Result<()> {
        if self.0.is_none() {
            return serde_json::to_writer(out, report);
        }
        serde_json::to_writer(out, &self.part(report)?)
    }

    /// The same as a part of a larger answer.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(crate) fn raw(&self, report: &WindowReport) -> serde_json::Result<Box<RawValue>> {
        match self.0 {
            None => serde_json::value::to_raw_value(report),
            Some(_) => serde_json::value::to_raw_value(&self.part(report)?),
        }
    }

    /// The part of a report that is asked for.
    fn part(&self, report: &WindowReport) -> serde_json::Result<Value> {
        let mut value = serde_json::to_value(report)?;
        if let Value::Object(fields) = &mut value {
            fields.retain(|name, _| ALWAYS.contains(&name.as_str()) || self.has(name));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_written() {
        let fields = Fields::parse("posts,networks").unwrap();
        let mut out = vec![];
        fields.write(&WindowReport { posts: 3, ..WindowReport::default() }, &mut out).unwrap();
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value, serde_json::json!({"window_start": "", "window_end": "", "posts": 3, "networks": []}));
        assert_eq!(Fields::parse("posts,fog"), Err("fog"));
        assert_eq!(Fields::parse(""), Err(""));
        assert!(Fields::names().contains("completeness"));
        assert!(Fields::default().has("posts") && !fields.has("hashtags"));
    }
}
