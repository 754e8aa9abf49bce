//! Borrowed text, ids that are numbers or texts, and errors that quote nothing.

use std::borrow::Cow;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::LineError;

/// Reads a typed value; the library's messages quote the input and are left out.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, LineError> {
    // Checked here and not by the library: it hands parts of the line on before it has seen whether
    // all of it is UTF-8.
    let text = simdutf8::compat::from_utf8(bytes)
        .map_err(|error| LineError::Syntax { what: "it is not UTF-8", at: error.valid_up_to() })?;
    sonic_rs::from_str(text).map_err(|error| {
        let at = error.offset();
        if error.is_eof() {
            LineError::Syntax { what: "it ends too early", at }
        } else if error.is_syntax() {
            LineError::Syntax { what: "something is out of place", at }
        } else {
            LineError::Type { at }
        }
    })
}

/// A text, borrowed from the line unless it has escapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// An id, which some writers give as a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Id<'a>(pub(crate) Cow<'a, str>);

impl Id<'_> {
    pub(crate) fn number(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;
        impl<'de> Visitor<'de> for IdVisitor {
            type Value = Id<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an id")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Owned(text.to_owned())))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Owned(number.to_string())))
            }
        }
        deserializer.deserialize_any(IdVisitor)
    }
}
