//! Objects of foreign JSON, read leniently: the value of a field is used when it has the type that it
//! should have, and anything else counts as absent.
//!
//! Archives are rewritten by many programs. A null comes as `{}`, `[]` or `""` (R's jsonlite), a time as a number
//! (pandas), an id as a float (PHP) or as `{"$numberLong": "…"}` (MongoDB). None of that may spoil a
//! post whose other fields are complete. So an [`object!`] never fails for the type of a
//! field, and of a field that is repeated or has two names the last value that is filled counts.

mod index;
mod library;
mod list;
mod number;
mod scalar;
mod walk;

use std::borrow::Cow;

use serde::de::Deserialize;

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
    walk::read(text).map_or_else(|| library::read(text), Ok)
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
    library::read(utf8(bytes)?)
}

/// Reads a value that is all of one type.
///
/// # Errors
/// When it is no JSON or of another type.
pub(crate) fn read_exact<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, LineError> {
    library::read_exact(utf8(bytes)?)
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

/// A value that one of the two readers is about to read.
pub(crate) trait Value<'de>: Sized {
    type Error;

    /// Reads the value into a place: it stays as it is unless the value is filled.
    fn read_into<T: Field<'de>>(self, place: &mut T) -> Result<(), Self::Error>;

    /// The value as it is written.
    fn raw(self) -> Result<Raw<'de>, Self::Error>;

    fn skip(self) -> Result<(), Self::Error>;
}

/// The members of an object that were not read yet.
pub(crate) trait Object<'de> {
    type Error;

    /// What the next name stands for; `None` at the end of the object. Its value must be read before the next name.
    fn name<N>(&mut self, known: impl FnOnce(&[u8]) -> N) -> Result<Option<N>, Self::Error>;

    /// Reads the value of the last name into a place.
    fn value<T: Field<'de>>(&mut self, place: &mut T) -> Result<(), Self::Error>;
}

/// The entries of a list that were not read yet.
pub(crate) trait List<'de> {
    type Error;

    /// Reads the next entry into a place; `false` at the end of the list.
    fn entry<T: Field<'de>>(&mut self, place: &mut T) -> Result<bool, Self::Error>;
}

/// A possible value of a field. A method is called with the value that is there; those that are
/// not overridden give the default value, which is that of an absent field.
///
/// Errors are those of JSON that is broken, never of a type.
pub(crate) trait Field<'de>: Default {
    /// Whether the value has content. What has none equals the default value.
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

    /// Reads a list to its end, into a place that is not filled.
    fn list<L: List<'de>>(&mut self, mut list: L) -> Result<(), L::Error> {
        while list.entry(&mut Ignored)? {}
        Ok(())
    }

    /// Reads an object to its end, into a place that is not filled.
    fn object<O: Object<'de>>(&mut self, object: &mut O) -> Result<(), O::Error> {
        while object.name(|_| ())?.is_some() {
            object.value(&mut Ignored)?;
        }
        Ok(())
    }

    /// Reads a value of any type.
    fn read<V: Value<'de>>(&mut self, value: V) -> Result<(), V::Error> {
        value.read_into(self)
    }
}

/// Of several values the last one that is filled counts.
#[inline(always)]
fn put<'de, T: Field<'de>>(place: &mut T, value: T) {
    if value.is_filled() {
        *place = value;
    }
}

/// A value that nobody asks for.
#[derive(Default)]
pub(crate) struct Ignored;

impl<'de> Field<'de> for Ignored {
    fn is_filled(&self) -> bool {
        false
    }

    fn read<V: Value<'de>>(&mut self, value: V) -> Result<(), V::Error> {
        value.skip()
    }
}

/// The fields of an object, each of which is read into its place.
pub(crate) trait Members<'de>: Default {
    /// One of the fields, or none of them.
    type Name;

    /// Looks up a name.
    fn known(name: &[u8]) -> Self::Name;

    fn member<O: Object<'de>>(&mut self, name: Self::Name, object: &mut O) -> Result<(), O::Error>;

    /// Reads all members from this one on.
    #[inline(always)]
    fn members<O: Object<'de>>(&mut self, first: Self::Name, object: &mut O) -> Result<(), O::Error> {
        let mut name = Some(first);
        while let Some(this) = name {
            self.member(this, object)?;
            name = object.name(Self::known)?;
        }
        Ok(())
    }
}

/// An object without entries counts as absent.
impl<'de, T: Members<'de>> Field<'de> for Option<T> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn object<O: Object<'de>>(&mut self, object: &mut O) -> Result<(), O::Error> {
        match object.name(T::known)? {
            Some(first) => self.insert(T::default()).members(first, object),
            None => Ok(()),
        }
    }
}

/// A large object that few posts have.
impl<'de, T: Members<'de>> Members<'de> for Box<T> {
    type Name = T::Name;

    #[inline(always)]
    fn known(name: &[u8]) -> T::Name {
        T::known(name)
    }

    #[inline(always)]
    fn member<O: Object<'de>>(&mut self, name: T::Name, object: &mut O) -> Result<(), O::Error> {
        (**self).member(name, object)
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

        const _: () = {
            #[allow(non_camel_case_types)]
            pub(crate) enum Name { $($field,)+ Other_ }

            impl<'de $(: $lt, $lt)?> $crate::json::Members<'de> for $name $(<$lt>)? {
                type Name = Name;

                #[inline(always)]
                fn known(name: &[u8]) -> Name {
                    $(if $(name == $key.as_bytes())||+ {
                        return Name::$field;
                    })+
                    Name::Other_
                }

                #[inline(always)]
                fn member<O: $crate::json::Object<'de>>(&mut self, name_: Name, object: &mut O) -> Result<(), O::Error> {
                    match name_ {
                        $(Name::$field => object.value(&mut self.$field),)+
                        Name::Other_ => object.value(&mut $crate::json::Ignored),
                    }
                }
            }
        };
    };
}
pub(crate) use object;

/// A value of any type, as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Raw<'a>(Cow<'a, str>);

impl<'a> Raw<'a> {
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

    fn read<V: Value<'de>>(&mut self, value: V) -> Result<(), V::Error> {
        let raw = value.raw()?;
        if raw.has_content() {
            *self = Some(raw);
        }
        Ok(())
    }
}

/// A value of any type, as it is written, even one without content.
pub(crate) struct Written<'a>(pub(crate) Raw<'a>);

impl Default for Written<'_> {
    fn default() -> Self {
        Self(Raw(Cow::Borrowed("null")))
    }
}

impl<'de: 'a, 'a> Field<'de> for Written<'a> {
    fn is_filled(&self) -> bool {
        true
    }

    fn read<V: Value<'de>>(&mut self, value: V) -> Result<(), V::Error> {
        self.0 = value.raw()?;
        Ok(())
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
