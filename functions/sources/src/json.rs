//! Objects of foreign JSON, read leniently: the value of a field is used when it has the type that it
//! should have, and anything else counts as absent.
//!
//! Archives are rewritten by many programs. A null comes as `{}`, `[]` or `""` (R's jsonlite), a time as a number
//! (pandas), an id as a float (PHP) or as `{"$numberLong": "…"}` (MongoDB). None of that may spoil a
//! post whose other fields are complete. So an [`object!`] never fails for the type of a
//! field, and of a field that is repeated or has two names the last value that is filled counts.

mod index;
mod list;
mod scalar;
mod walk;

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use crate::archive::LineError;

pub(crate) use list::{Count, FirstId, NotEmpty, Numbers};
pub(crate) use scalar::{Flag, Id, Named, Text};
#[cfg(any(test, feature = "compare"))]
pub(crate) use walk::compared;

/// Deepest nesting that is read; posts have about ten levels.
pub(crate) const MAX_DEPTH: usize = 500;

/// Reads a value; the library's messages quote the input and are left out.
///
/// # Errors
/// When it is no JSON.
pub(crate) fn read<'a, T: Field<'a>>(bytes: &'a [u8]) -> Result<T, LineError> {
    let text = utf8(bytes)?;
    walk::read(text).map_or_else(|| read_closely(text), Ok)
}

/// Reads an object of any depth. The same, with a check of its depth before the library reads it.
///
/// # Errors
/// When it is no JSON, or nested too deeply.
pub(crate) fn read_line<'a, T: Field<'a>>(bytes: &'a [u8]) -> Result<T, LineError> {
    if let Some(value) = simdutf8::basic::from_utf8(bytes).ok().and_then(walk::read) {
        return Ok(value);
    }
    if is_too_deep(bytes) {
        return Err(LineError::TooDeep);
    }
    read_closely(utf8(bytes)?)
}

/// Reads what the walk over the tokens leaves: all that is odd or broken.
fn read_closely<'a, T: Field<'a>>(text: &'a str) -> Result<T, LineError> {
    let mut deserializer = lossy(text);
    T::read(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)).map_err(|error| syntax(&error))
}

/// Reads a value that is all of one type.
///
/// # Errors
/// When it is no JSON or of another type.
pub(crate) fn read_exact<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, LineError> {
    let mut deserializer = lossy(utf8(bytes)?);
    T::deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| syntax(&error))
}

/// Counting brackets is fast and settles nearly every line; only one with many is looked at closely.
pub(crate) fn is_too_deep(line: &[u8]) -> bool {
    // `[` and `{` differ in one bit only. Sums of a byte each are what compilers turn into SIMD.
    let opening: usize =
        line.chunks(255).map(|chunk| usize::from(chunk.iter().map(|b| u8::from(b | 0x20 == b'{')).sum::<u8>())).sum();
    if opening <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
    for b in line {
        match b {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => (),
        }
    }
    false
}

/// Checked here and not by the library: it hands parts of the line on before it has seen whether all of it is UTF-8.
fn utf8(bytes: &[u8]) -> Result<&str, LineError> {
    simdutf8::compat::from_utf8(bytes)
        .map_err(|error| LineError::Syntax { what: "it is not UTF-8", at: error.valid_up_to() })
}

/// Lossy: the escape of half a surrogate pair, which is what a cut emoji leaves, is legal JSON (RFC 8259, section 8.2)
/// and becomes U+FFFD.
fn lossy(text: &str) -> sonic_rs::Deserializer<sonic_rs::Read<'_>> {
    sonic_rs::Deserializer::from_str(text).utf8_lossy()
}

fn syntax(error: &sonic_rs::Error) -> LineError {
    let what = match error {
        _ if error.is_eof() => "it ends too early",
        _ if error.is_syntax() => "something is out of place",
        _ => "a field has an unexpected type",
    };
    LineError::Syntax { what, at: error.offset() }
}

/// A possible value of a field. A method is called with the value that is there; those that are
/// not overridden return the default value, which is that of an absent field.
pub(crate) trait Field<'de>: Default {
    /// Whether the value has content.
    fn is_filled(&self) -> bool;

    fn text(_: &str) -> Self {
        Self::default()
    }

    fn borrowed(text: &'de str) -> Self {
        Self::text(text)
    }

    fn unsigned(_: u64) -> Self {
        Self::default()
    }

    fn float(_: f64) -> Self {
        Self::default()
    }

    fn boolean(_: bool) -> Self {
        Self::default()
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    /// # Errors
    /// Only when there is no JSON value.
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Seed::new())
    }
}

/// Reads a [`Field`] where serde needs a seed or a visitor.
pub(crate) struct Seed<T>(PhantomData<T>);

impl<T> Seed<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Field<'de>> DeserializeSeed<'de> for Seed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

impl<'de, T: Field<'de>> Visitor<'de> for Seed<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::boolean(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(u64::try_from(number).map_or_else(|_| T::float(number as f64), T::unsigned))
    }

    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(T::float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::object(object)
    }
}

/// Declares an object: each field with the names under which it may come. `Option` of it is a
/// [`Field`]; an object without entries counts as absent.
macro_rules! object {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(<$lt:lifetime>)? {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty = $($key:literal)|+,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Default)]
        $vis struct $name $(<$lt>)? {
            $($(#[$field_meta])* $field_vis $field: $type,)+
        }

        impl<'de $(: $lt, $lt)?> $crate::json::Field<'de> for Option<$name $(<$lt>)?> {
            fn is_filled(&self) -> bool {
                self.is_some()
            }

            fn object<A: serde::de::MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
                #[allow(non_camel_case_types)]
                enum Key { $($field,)+ Other_ }
                struct Name;
                impl<'de> serde::de::DeserializeSeed<'de> for Name {
                    type Value = Key;
                    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
                        deserializer.deserialize_identifier(self)
                    }
                }
                impl<'de> serde::de::Visitor<'de> for Name {
                    type Value = Key;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a name")
                    }
                    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                        Ok(match name { $($($key)|+ => Key::$field,)+ _ => Key::Other_ })
                    }
                }
                let mut object: Option<$name $(<$lt>)?> = None;
                while let Some(key) = map.next_key_seed(Name)? {
                    let object = object.get_or_insert_default();
                    match key {
                        $(Key::$field => {
                            let value: $type = map.next_value_seed($crate::json::Seed::new())?;
                            if $crate::json::Field::is_filled(&value) {
                                object.$field = value;
                            }
                        })+
                        Key::Other_ => {
                            map.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(object)
            }
        }
    };
}
pub(crate) use object;

/// A large object that few posts have: objects are moved from reader to reader, so a small one is a fast one.
impl<'de, T> Field<'de> for Option<Box<T>>
where
    Option<T>: Field<'de>,
{
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        Ok(Option::<T>::object(object)?.map(Box::new))
    }
}

/// A value of any type, as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Raw<'a>(Cow<'a, str>);

impl<'a> Raw<'a> {
    pub(crate) fn of(value: &LazyValue<'a>) -> Self {
        Self(value.as_raw_cow())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn is_object(&self) -> bool {
        self.bytes().starts_with(b"{")
    }

    pub(crate) fn is_text(&self) -> bool {
        self.bytes().starts_with(b"\"")
    }

    /// Whether it is more than null, `{}`, `[]` or `""`.
    pub(crate) fn has_content(&self) -> bool {
        match self.bytes() {
            b"null" | b"\"\"" => false,
            [b'{' | b'[', inner @ .., _] => !inner.trim_ascii().is_empty(),
            _ => true,
        }
    }
}

impl<'de: 'a, 'a> Field<'de> for Option<Raw<'a>> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::of(&LazyValue::deserialize(deserializer)?);
        Ok(if raw.has_content() { Some(raw) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    object! {
        pub(super) struct Thing<'a> {
            pub(super) id: Option<Id<'a>> = "id",
            pub(super) name: Option<Text<'a>> = "name" | "title",
            pub(super) parts: Vec<Part> = "parts",
            pub(super) parent: Named = "parent" | "parent_str",
            pub(super) rest: Option<Raw<'a>> = "rest",
            pub(super) is_new: Flag = "is_new",
        }
    }

    object! {
        pub(super) struct Part {
            pub(super) at: Numbers = "at",
        }
    }

    pub(super) fn thing(json: &str) -> Thing<'_> {
        read::<Option<Thing<'_>>>(json.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_value_of_an_odd_type_is_an_absent_one() {
        for odd in ["null", "true", "1.5", "-1", "1e300", "[]", "[[1],{\"a\":[]}]", "{}", "{\"a\":{\"b\":1}}"] {
            let json = format!(r#"{{"name":{odd},"parts":{odd},"id":{odd},"rest":7,"after":{odd}}}"#);
            let thing = thing(&json);
            assert!(thing.id.is_none() && thing.name.is_none() && thing.rest.is_some(), "{json}");
            assert!(thing.parts.iter().all(|part| part.at.as_slice().is_empty()), "{json}");
        }
    }

    #[test]
    fn the_last_filled_value_counts() {
        for (json, name) in [
            (r#"{"name":"a","name":"b"}"#, "b"),
            (r#"{"name":"a","name":null}"#, "a"),
            (r#"{"name":null,"title":"b"}"#, "b"),
            (r#"{"title":"b","name":{}}"#, "b"),
        ] {
            assert_eq!(thing(json).name.unwrap().0, name, "{json}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_becomes_a_replacement_character() {
        for (json, name) in
            [(r#""cut \ud83d""#, "cut \u{fffd}"), (r#""\udc9b, \ud83d\ud83d\udc9b""#, "\u{fffd}, \u{fffd}💛")]
        {
            assert_eq!(thing(&format!(r#"{{"name":{json}}}"#)).name.unwrap().0, name, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for json in ["", "{", "{}x", r#"{"name":"#, r#"{"name":tru}"#, r#"{"other":[1,}"#, "\u{1}"] {
            assert!(read::<Option<Thing<'_>>>(json.as_bytes()).is_err(), "{json}");
        }
    }
}
