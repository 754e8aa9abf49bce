//! Texts, ids, numbers and flags, in the ways in which archives write them.

use std::borrow::Cow;

use super::{Field, Ignored, Object, number};

/// A text, borrowed from the line unless it has escapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Field<'de> for Option<Text<'a>> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn text(text: &str) -> Self {
        Some(Text(Cow::Owned(text.to_owned())))
    }

    fn borrowed(text: &'de str) -> Self {
        Some(Text(Cow::Borrowed(text)))
    }
}

/// An id: a text that is not empty, or a whole number, which some writers use instead. A float too
/// large to be exact does not count.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Id<'a>(pub(crate) Cow<'a, str>);

impl Id<'_> {
    /// The id as a number above 0.
    pub(crate) fn number(&self) -> Option<u64> {
        number::whole(&self.0).or_else(|| self.0.trim().parse().ok()).filter(|number| *number > 0)
    }
}

impl<'de: 'a, 'a> Field<'de> for Option<Id<'a>> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn text(text: &str) -> Self {
        (!text.is_empty()).then(|| Id(Cow::Owned(text.to_owned())))
    }

    fn borrowed(text: &'de str) -> Self {
        (!text.is_empty()).then_some(Id(Cow::Borrowed(text)))
    }

    fn unsigned(number: u64) -> Self {
        Some(Id(Cow::Owned(number.to_string())))
    }

    fn float(number: f64) -> Self {
        const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
        (number.fract() == 0.0 && (0.0..LARGEST_EXACT).contains(&number))
            .then(|| Id(Cow::Owned((number as u64).to_string())))
    }

    fn object<O: Object<'de>>(&mut self, object: &mut O) -> Result<(), O::Error> {
        extended(self, object)
    }
}

/// The value of MongoDB's Extended JSON, such as `{"$numberLong": "7"}` or `{"$date": "…"}`. The last one counts, filled or not.
fn extended<'de, T: Field<'de>, O: Object<'de>>(place: &mut T, object: &mut O) -> Result<(), O::Error> {
    while let Some(is_value) = object.name(|name| name.starts_with(b"$number") || name == b"$date")? {
        if is_value {
            *place = T::default();
            object.value(place)?;
        } else {
            object.value(&mut Ignored)?;
        }
    }
    Ok(())
}

/// Whether a field of X names a post or an account: a number above 0, exact or not, or a text of one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Named(pub(crate) bool);

impl<'de> Field<'de> for Named {
    fn is_filled(&self) -> bool {
        self.0
    }

    fn text(text: &str) -> Self {
        text.trim().parse().map_or(Self(false), Self::float)
    }

    fn unsigned(number: u64) -> Self {
        Self(number > 0)
    }

    fn float(number: f64) -> Self {
        Self(number.is_finite() && number > 0.0)
    }

    fn object<O: Object<'de>>(&mut self, object: &mut O) -> Result<(), O::Error> {
        extended(self, object)
    }
}

impl<'de> Field<'de> for Option<f64> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn unsigned(number: u64) -> Self {
        Some(number as f64)
    }

    fn float(number: f64) -> Self {
        Some(number)
    }

    fn object<O: Object<'de>>(&mut self, object: &mut O) -> Result<(), O::Error> {
        // Extended JSON has numbers in texts.
        let mut id: Option<Id<'de>> = None;
        extended(&mut id, object)?;
        *self = id.and_then(|id| id.0.parse().ok());
        Ok(())
    }
}

impl<'de> Field<'de> for Option<i64> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn unsigned(number: u64) -> Self {
        i64::try_from(number).ok()
    }

    fn float(number: f64) -> Self {
        // Negative numbers come this way, too.
        (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
    }
}

/// A flag: `true`, 1, or a text of these.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Flag(pub(crate) bool);

impl<'de> Field<'de> for Flag {
    fn is_filled(&self) -> bool {
        self.0
    }

    fn text(text: &str) -> Self {
        Self(text == "1" || text.eq_ignore_ascii_case("true"))
    }

    fn unsigned(number: u64) -> Self {
        Self(number == 1)
    }

    fn float(number: f64) -> Self {
        Self(number == 1.0)
    }

    fn boolean(value: bool) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use crate::json::tests::thing;

    #[test]
    fn ids_are_exact_or_none() {
        for (json, id) in [
            (r#""1790306057319350273""#, Some(1_790_306_057_319_350_273)),
            ("1790306057319350273", Some(1_790_306_057_319_350_273)),
            (r#"{"$numberLong":"1790306057319350273"}"#, Some(1_790_306_057_319_350_273)),
            (r#"{"$numberInt":7}"#, Some(7)),
            ("50001.0", Some(50_001)),
            ("1.7903060573194e+18", None),
            ("-7", None),
            ("0", None),
            (r#""""#, None),
            (r#"{"$oid":"0123456789abcdef01234567"}"#, None),
            (r#"["7"]"#, None),
        ] {
            let json = format!(r#"{{"id":{json}}}"#);
            assert_eq!(thing(&json).id.and_then(|id| id.number()), id, "{json}");
        }
    }

    #[test]
    fn nothing_names_no_post() {
        for (json, is_named) in [
            ("7", true),
            ("1.79e18", true),
            (r#""1790306057319350273""#, true),
            (r#""1.7903060573194e+18""#, true),
            (r#"{"$numberLong":"7"}"#, true),
            ("0", false),
            (r#""""#, false),
            (r#""nan""#, false),
            (r#""inf""#, false),
            (r#""None""#, false),
            ("{}", false),
            ("[]", false),
            ("null", false),
            ("false", false),
        ] {
            for json in
                [format!(r#"{{"parent":{json}}}"#), format!(r#"{{"parent":null,"parent_str":{json},"parent":{{}}}}"#)]
            {
                assert_eq!(thing(&json).parent.0, is_named, "{json}");
            }
        }
    }
}
