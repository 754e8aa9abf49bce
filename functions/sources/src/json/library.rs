//! Values that the JSON library reads: the slow way, which knows what is wrong.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use super::{Field, List, Object, Raw, Value, put};
use crate::archive::LineError;

/// Reads a field.
///
/// # Errors
/// When the text is no JSON.
pub(super) fn read<'a, T: Field<'a>>(text: &'a str) -> Result<T, LineError> {
    let mut place = T::default();
    with(text, |deserializer| place.read(Library(deserializer)))?;
    Ok(place)
}

/// Reads a value that is all of one type.
///
/// # Errors
/// When the text is no JSON, or of another type.
pub(super) fn read_exact<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, LineError> {
    with(text, |deserializer| T::deserialize(deserializer))
}

type Reader<'a> = sonic_rs::Deserializer<sonic_rs::Read<'a>>;

fn with<'a, T>(
    text: &'a str,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, sonic_rs::Error>,
) -> Result<T, LineError> {
    let mut reader = lossy(text);
    read(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(|error| syntax(&error))
}

/// Lossy: the escape of half a surrogate pair, which is what a cut emoji leaves, is legal JSON (RFC 8259, section 8.2)
/// and becomes U+FFFD.
fn lossy(text: &str) -> Reader<'_> {
    sonic_rs::Deserializer::from_str(text).utf8_lossy()
}

/// The content of a text with its quotes; `None` when it is no JSON.
pub(super) fn unescaped(quoted: &str) -> Option<String> {
    String::deserialize(&mut lossy(quoted)).ok()
}

fn syntax(error: &sonic_rs::Error) -> LineError {
    let what = match error {
        _ if error.is_eof() => "it ends too early",
        _ if error.is_syntax() => "something is out of place",
        _ => "a field has an unexpected type",
    };
    LineError::Syntax { what, at: error.offset() }
}

/// A value in front of the library's reader.
struct Library<D>(D);

impl<'de, D: Deserializer<'de>> Value<'de> for Library<D> {
    type Error = D::Error;

    fn read_into<T: Field<'de>>(self, place: &mut T) -> Result<(), D::Error> {
        self.0.deserialize_any(Into(place))
    }

    fn raw(self) -> Result<Raw<'de>, D::Error> {
        Ok(Raw(LazyValue::deserialize(self.0)?.as_raw_cow()))
    }

    fn skip(self) -> Result<(), D::Error> {
        serde::de::IgnoredAny::deserialize(self.0).map(drop)
    }
}

/// Fills a place where serde needs a seed or a visitor.
struct Into<'p, T>(&'p mut T);

impl<'de, T: Field<'de>> DeserializeSeed<'de> for Into<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.read(Library(deserializer))
    }
}

impl<'de, T: Field<'de>> Visitor<'de> for Into<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        put(self.0, T::boolean(value));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        put(self.0, T::unsigned(number));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        put(self.0, u64::try_from(number).map_or_else(|_| T::float(number as f64), T::unsigned));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        put(self.0, T::float(number));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        put(self.0, T::borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        put(self.0, T::text(text));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        fill(self.0, |place| place.list(Entries(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        fill(self.0, |place| place.object(&mut Members(object)))
    }
}

/// Reads a list or an object into a place, which may have a value already.
fn fill<'de, T: Field<'de>, E>(place: &mut T, read: impl FnOnce(&mut T) -> Result<(), E>) -> Result<(), E> {
    let mut other = T::default();
    read(&mut other)?;
    put(place, other);
    Ok(())
}

struct Entries<A>(A);

impl<'de, A: SeqAccess<'de>> List<'de> for Entries<A> {
    type Error = A::Error;

    fn entry<T: Field<'de>>(&mut self, place: &mut T) -> Result<bool, A::Error> {
        Ok(self.0.next_element_seed(Into(place))?.is_some())
    }
}

struct Members<A>(A);

impl<'de, A: MapAccess<'de>> Object<'de> for Members<A> {
    type Error = A::Error;

    fn name<N>(&mut self, known: impl FnOnce(&[u8]) -> N) -> Result<Option<N>, A::Error> {
        self.0.next_key_seed(Name(known, PhantomData))
    }

    fn value<T: Field<'de>>(&mut self, place: &mut T) -> Result<(), A::Error> {
        self.0.next_value_seed(Into(place))
    }
}

/// What a name stands for.
struct Name<F, N>(F, PhantomData<N>);

impl<'de, N, F: FnOnce(&[u8]) -> N> DeserializeSeed<'de> for Name<F, N> {
    type Value = N;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<N, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<N, F: FnOnce(&[u8]) -> N> Visitor<'_> for Name<F, N> {
    type Value = N;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<N, E> {
        Ok((self.0)(name.as_bytes()))
    }
}
