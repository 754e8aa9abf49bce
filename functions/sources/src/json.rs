//! Objects of foreign JSON, read leniently: the value of a field is used when it has the type that it
//! should have, and anything else counts as absent.
//!
//! Archives are rewritten by many programs. A null comes as `{}`, `[]` or `""` (R's jsonlite), a time as a number
//! (pandas), an id as a float (PHP) or as `{"$numberLong": "…"}` (MongoDB). None of that may spoil a
//! post whose other fields are complete. So an [`object!`] never fails for the type of a
//! field, and of a field that is repeated or has two names the last value that is filled counts.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use crate::archive::LineError;

/// Deepest nesting that is read; posts have about ten levels.
pub(crate) const MAX_DEPTH: usize = 500;

/// Reads a value; the library's messages quote the input and are left out.
///
/// # Errors
/// When it is no JSON.
pub(crate) fn read<'a, T: Field<'a>>(bytes: &'a [u8]) -> Result<T, LineError> {
    let mut deserializer = deserializer(bytes)?;
    T::read(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)).map_err(|error| syntax(&error))
}

/// Reads a value that is all of one type.
///
/// # Errors
/// When it is no JSON or of another type.
pub(crate) fn read_exact<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, LineError> {
    let mut deserializer = deserializer(bytes)?;
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

fn deserializer(bytes: &[u8]) -> Result<sonic_rs::Deserializer<sonic_rs::Read<'_>>, LineError> {
    // Checked here and not by the library: it hands parts of the line on before it has seen whether
    // all of it is UTF-8.
    let text = simdutf8::compat::from_utf8(bytes)
        .map_err(|error| LineError::Syntax { what: "it is not UTF-8", at: error.valid_up_to() })?;
    // Lossy: the escape of half a surrogate pair, which is what a cut emoji leaves, is legal JSON
    // (RFC 8259, section 8.2) and becomes U+FFFD.
    Ok(sonic_rs::Deserializer::from_str(text).utf8_lossy())
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
        self.0.trim().parse().ok().filter(|number| *number > 0)
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

    fn object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        extended(object)
    }
}

/// The value of MongoDB's Extended JSON, such as `{"$numberLong": "7"}` or `{"$date": "…"}`.
fn extended<'de, T: Field<'de>, A: MapAccess<'de>>(mut object: A) -> Result<T, A::Error> {
    let mut found = T::default();
    while let Some(name) = object.next_key::<Cow<'de, str>>()? {
        if name.starts_with("$number") || name == "$date" {
            found = object.next_value_seed(Seed::new())?;
        } else {
            object.next_value::<IgnoredAny>()?;
        }
    }
    Ok(found)
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

    fn object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        extended(object)
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

    fn object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        // Extended JSON has numbers in texts.
        Ok(extended::<Option<Id<'de>>, A>(object)?.and_then(|id| id.0.parse().ok()))
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

/// A list without those entries that are of another type.
impl<'de, T> Field<'de> for Vec<T>
where
    Option<T>: Field<'de>,
{
    fn is_filled(&self) -> bool {
        !self.is_empty()
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut found = Vec::new();
        while let Some(entry) = list.next_element_seed(Seed::<Option<T>>::new())? {
            found.extend(entry);
        }
        Ok(found)
    }
}

impl<'de, T> Field<'de> for Option<Vec<T>>
where
    Option<T>: Field<'de>,
{
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Vec::<T>::list(list).map(Some)
    }
}

/// How many objects a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count(pub(crate) u32);

impl<'de> Field<'de> for Count {
    fn is_filled(&self) -> bool {
        self.0 > 0
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut count = Self(0);
        while let Some(entry) = list.next_element::<LazyValue<'de>>()? {
            count.0 = count.0.saturating_add(u32::from(Raw::of(&entry).is_object()));
        }
        Ok(count)
    }
}

/// Whether a list has an entry that is not null.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct NotEmpty(pub(crate) bool);

impl<'de> Field<'de> for NotEmpty {
    fn is_filled(&self) -> bool {
        self.0
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut found = Self(false);
        while let Some(entry) = list.next_element::<LazyValue<'de>>()? {
            found.0 |= entry.as_raw_str() != "null";
        }
        Ok(found)
    }
}

/// The smallest of a list of ids: that of the first of a post's versions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FirstId(pub(crate) Option<u64>);

impl<'de> Field<'de> for FirstId {
    fn is_filled(&self) -> bool {
        self.0.is_some()
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut first: Option<u64> = None;
        while let Some(id) = list.next_element_seed(Seed::<Option<Id<'de>>>::new())? {
            if let Some(id) = id.as_ref().and_then(Id::number) {
                first = Some(first.map_or(id, |first| first.min(id)));
            }
        }
        Ok(Self(first))
    }
}

/// Up to four numbers: a point or a box. What is no number is NaN; of longer lists nothing is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Numbers {
    list: [f64; 4],
    len: usize,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { list: [f64::NAN; 4], len: 0 }
    }
}

impl Numbers {
    pub(crate) fn as_slice(&self) -> &[f64] {
        self.list.get(..self.len).unwrap_or_default()
    }
}

impl<'de> Field<'de> for Numbers {
    fn is_filled(&self) -> bool {
        self.len > 0
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut numbers = Self::default();
        while let Some(number) = list.next_element_seed(Seed::<Option<f64>>::new())? {
            if let (Some(place), Some(number)) = (numbers.list.get_mut(numbers.len), number) {
                *place = number;
            }
            numbers.len += 1;
        }
        Ok(numbers)
    }
}

impl<'de> Field<'de> for Option<Numbers> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Numbers::list(list).map(Some)
    }
}

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
        struct Thing<'a> {
            id: Option<Id<'a>> = "id",
            name: Option<Text<'a>> = "name" | "title",
            parts: Vec<Part> = "parts",
            parent: Named = "parent" | "parent_str",
            rest: Option<Raw<'a>> = "rest",
            is_new: Flag = "is_new",
        }
    }

    object! {
        struct Part {
            at: Numbers = "at",
        }
    }

    fn thing(json: &str) -> Thing<'_> {
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

    #[test]
    fn bad_entries_spoil_no_list() {
        let json = r#"{"parts":[null,7,{"at":[1,null,"x",4]},[],{"at":[1,2,3,4,5]},{},"x",{"at":{}}],"is_new":"True"}"#;
        let thing = thing(json);
        let lens: Vec<_> = thing.parts.iter().map(|part| part.at.as_slice().len()).collect();
        assert_eq!(lens, [4, 0, 0]);
        assert!(thing.parts[0].at.as_slice()[1].is_nan() && thing.is_new.0);
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
