//! The second step of reading: a walk over JSON that checks the syntax of all of it, steps over texts, and hands out only
//! what is asked for.
//!
//! It reads what RFC 8259 allows and gives up at anything that is odd: then the library reads the text, and reports
//! what is wrong.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::Field;
use super::index::Index;

/// Objects and lists within one another that are skipped: as many as a mask has bits. Posts have about ten.
const MAX_SKIPPED: u32 = 64;

/// Longest text that is read. The index of a text is up to four times as large, and each thread keeps one.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Something that this reader leaves to the other one.
#[derive(Debug)]
pub(super) struct Odd;

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("odd JSON")
    }
}

impl std::error::Error for Odd {}

impl serde::de::Error for Odd {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Reads a value; `None` when the other reader has to look at it.
pub(super) fn read<'a, T: Field<'a>>(text: &'a str) -> Option<T> {
    thread_local! {
        /// Reused, since it is larger than most texts.
        static INDEX: RefCell<Index> = RefCell::default();
    }
    #[cfg(any(test, feature = "compare"))]
    if compared::IS_OFF.get() {
        return None;
    }
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    // Taken, and not lent to a closure, through which the value would be moved several times.
    let mut index = INDEX.take();
    let mut value = None;
    if index.fill(text.as_bytes()) {
        let mut walk =
            Walk { text, bytes: text.as_bytes(), ends: index.ends().iter(), has_escapes: index.has_escapes, at: 0 };
        value = T::read(&mut walk).ok();
        walk.peek();
        if walk.at != text.len() {
            value = None;
        }
    }
    INDEX.set(index);
    value
}

struct Walk<'i, 'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// Positions of the closing quotes that were not passed yet.
    ends: std::slice::Iter<'i, u32>,
    has_escapes: bool,
    /// Position of the next byte.
    at: usize,
}

impl<'a> Walk<'_, 'a> {
    /// The next byte that is no white space. 0 at the end of the text: no JSON has it.
    #[inline(always)]
    fn peek(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        if byte > b' ' { byte } else { self.peek_behind_space() }
    }

    #[cold]
    fn peek_behind_space(&mut self) -> u8 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Accepts this byte, which is the next one but for white space.
    #[inline(always)]
    fn accept(&mut self, byte: u8) -> Result<(), Odd> {
        if self.peek() != byte {
            return Err(Odd);
        }
        self.at += 1;
        Ok(())
    }

    /// Accepts a text, whose first quote is the next byte, and returns where it is, without its quotes.
    #[inline(always)]
    fn quoted(&mut self) -> Result<(usize, usize), Odd> {
        let from = self.at + 1;
        let to = *self.ends.next().ok_or(Odd)? as usize;
        self.at = to + 1;
        Ok((from, to))
    }

    /// The text between these places, unless it has escapes.
    #[inline(always)]
    fn plain(&self, (from, to): (usize, usize)) -> Result<Option<&'a str>, Odd> {
        let text = self.text.get(from..to).ok_or(Odd)?;
        Ok(if self.has_escapes && memchr::memchr(b'\\', text.as_bytes()).is_some() { None } else { Some(text) })
    }

    /// Accepts a name and the colon behind it.
    #[inline(always)]
    fn name(&mut self) -> Result<(usize, usize), Odd> {
        if self.peek() != b'"' {
            return Err(Odd);
        }
        let name = self.quoted()?;
        self.accept(b':')?;
        Ok(name)
    }

    /// Accepts a word that JSON knows.
    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Result<(), Odd> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(Odd);
        }
        self.at += word.len();
        Ok(())
    }

    /// Accepts one or more digits.
    #[inline(always)]
    fn digits(&mut self) -> Result<(), Odd> {
        let begin = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == begin { Err(Odd) } else { Ok(()) }
    }

    /// Accepts a number of RFC 8259.
    #[inline]
    fn number(&mut self) -> Result<&'a str, Odd> {
        let begin = self.at;
        let rest = self.bytes.get(begin..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Most are whole numbers.
        let is_whole =
            digits > 0 && (rest[0] != b'0' || digits == 1) && !matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        if is_whole {
            self.at += digits;
        } else {
            self.any_number()?;
        }
        self.text.get(begin..self.at).ok_or(Odd)
    }

    fn any_number(&mut self) -> Result<(), Odd> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'-' | b'+') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Accepts a value of any type.
    #[inline]
    fn skip(&mut self) -> Result<(), Odd> {
        // A bit for each container that is open: whether it is an object.
        let (mut objects, mut depth) = (0u64, 0);
        'value: loop {
            match self.peek() {
                b'"' => {
                    self.quoted()?;
                }
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    // Brackets end two places behind their beginning.
                    if self.peek() == open + 2 {
                        self.at += 1;
                    } else {
                        if depth == MAX_SKIPPED {
                            return Err(Odd);
                        }
                        depth += 1;
                        objects = objects << 1 | u64::from(open == b'{');
                        if open == b'{' {
                            self.name()?;
                        }
                        continue 'value;
                    }
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => return Err(Odd),
            }
            while depth > 0 {
                let byte = self.peek();
                let is_object = objects & 1 == 1;
                self.at += 1;
                if byte == b',' {
                    if is_object {
                        self.name()?;
                    }
                    continue 'value;
                }
                if byte != (if is_object { b'}' } else { b']' }) {
                    return Err(Odd);
                }
                objects >>= 1;
                depth -= 1;
            }
            return Ok(());
        }
    }
}

impl<'de> Deserializer<'de> for &mut Walk<'_, 'de> {
    type Error = Odd;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Odd> {
        match self.peek() {
            b'"' => {
                let place = self.quoted()?;
                match self.plain(place)? {
                    Some(text) => visitor.visit_borrowed_str(text),
                    None => visitor.visit_str(&unescaped(self.text.get(place.0 - 1..=place.1).ok_or(Odd)?)?),
                }
            }
            b'{' => {
                self.at += 1;
                let mut is_over = false;
                let value = visitor.visit_map(Object { walk: self, is_begun: false, is_over: &mut is_over })?;
                if is_over { Ok(value) } else { Err(Odd) }
            }
            b'[' => {
                self.at += 1;
                let mut is_over = false;
                let value = visitor.visit_seq(List { walk: self, is_begun: false, is_over: &mut is_over })?;
                if is_over { Ok(value) } else { Err(Odd) }
            }
            b'-' | b'0'..=b'9' => visit_number(self.number()?, visitor),
            b't' => {
                self.word(b"true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                self.word(b"false")?;
                visitor.visit_bool(false)
            }
            b'n' => {
                self.word(b"null")?;
                visitor.visit_unit()
            }
            _ => Err(Odd),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Odd> {
        self.skip()?;
        visitor.visit_unit()
    }

    /// A value as it is written: `LazyValue` is the only type of this kind that is read.
    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Odd> {
        self.peek();
        let begin = self.at;
        self.skip()?;
        visitor.visit_borrowed_str(self.text.get(begin..self.at).ok_or(Odd)?)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

fn visit_number<'a, V: Visitor<'a>>(number: &str, visitor: V) -> Result<V::Value, Odd> {
    if let Ok(number) = number.parse() {
        return visitor.visit_u64(number);
    }
    let real: f64 = number.parse().map_err(|_| Odd)?;
    // Readers differ in the sign of zero, and in what is too large.
    if (real == 0.0 && real.is_sign_negative()) || !real.is_finite() {
        return Err(Odd);
    }
    match number.parse() {
        Ok(number) => visitor.visit_i64(number),
        Err(_) => visitor.visit_f64(real),
    }
}

/// The other reader knows how to unescape a text.
#[cold]
fn unescaped(quoted: &str) -> Result<String, Odd> {
    serde::Deserialize::deserialize(&mut super::lossy(quoted)).map_err(|_| Odd)
}

struct Object<'w, 'i, 'a> {
    walk: &'w mut Walk<'i, 'a>,
    is_begun: bool,
    is_over: &'w mut bool,
}

impl<'a> MapAccess<'a> for Object<'_, '_, 'a> {
    type Error = Odd;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Odd> {
        if self.walk.peek() == b'}' {
            self.walk.at += 1;
            *self.is_over = true;
            return Ok(None);
        }
        if std::mem::replace(&mut self.is_begun, true) {
            self.walk.accept(b',')?;
        }
        let place = self.walk.name()?;
        let name = self.walk.plain(place)?.ok_or(Odd)?;
        seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(name)).map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Odd> {
        seed.deserialize(&mut *self.walk)
    }
}

struct List<'w, 'i, 'a> {
    walk: &'w mut Walk<'i, 'a>,
    is_begun: bool,
    is_over: &'w mut bool,
}

impl<'a> SeqAccess<'a> for List<'_, '_, 'a> {
    type Error = Odd;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Odd> {
        if self.walk.peek() == b']' {
            self.walk.at += 1;
            *self.is_over = true;
            return Ok(None);
        }
        if std::mem::replace(&mut self.is_begun, true) {
            self.walk.accept(b',')?;
        }
        seed.deserialize(&mut *self.walk).map(Some)
    }
}

/// Runs without this reader, for comparisons with the library.
#[cfg(any(test, feature = "compare"))]
pub(crate) mod compared {
    use std::cell::Cell;

    thread_local! {
        pub(super) static IS_OFF: Cell<bool> = const { Cell::new(false) };
    }

    /// What `read` finds with this reader, and without it.
    pub(crate) fn both<T>(read: impl Fn() -> T) -> (T, T) {
        let with = read();
        IS_OFF.set(true);
        let without = read();
        IS_OFF.set(false);
        (with, without)
    }

    /// What this reader alone finds.
    #[cfg(test)]
    pub(crate) fn simply<'a, T: crate::json::Field<'a>>(text: &'a str) -> Option<T> {
        super::read(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::json::{Count, Flag, Id, Named, NotEmpty, Numbers, Raw, Text, object, read_closely};

    object! {
        #[derive(Debug)]
        struct All<'a> {
            id: Option<Id<'a>> = "id",
            text: Option<Text<'a>> = "text" | "é",
            named: Named = "named",
            flag: Flag = "flag",
            count: Count = "count",
            filled: NotEmpty = "filled",
            numbers: Numbers = "numbers",
            number: Option<f64> = "number",
            whole: Option<i64> = "whole",
            raw: Option<Raw<'a>> = "raw",
            inner: Vec<Inner<'a>> = "inner",
        }
    }

    object! {
        #[derive(Debug)]
        struct Inner<'a> {
            text: Option<Text<'a>> = "text",
        }
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => prop::sample::select(
                &["id", "text", "é", "named", "flag", "count", "filled", "numbers", "number", "whole", "raw", "inner"][..]
            )
            .prop_map(str::to_owned),
            1 => any::<String>(),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (-180.0..180.0).prop_map(|n: f64| Value::from((n * 100.0).round() / 100.0)),
            any::<String>().prop_map(Value::from),
            "[ -~é東💛\\n\t\"\\\\]{0,90}".prop_map(Value::from),
            "[0-9]{1,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec((name(), inner), 0..8).prop_map(|fields| Value::Object(Map::from_iter(fields))),
            ]
        })
    }

    fn object() -> impl Strategy<Value = String> {
        (prop::collection::vec((name(), value()), 0..14), 0..3).prop_map(|(fields, style)| {
            let object = Value::Object(Map::from_iter(fields));
            match style {
                0 => object.to_string(),
                1 => serde_json::to_string_pretty(&object).unwrap(),
                // As Python writes it: with escapes for all that is not ASCII.
                _ => {
                    let mut units = [0; 2];
                    object.to_string().chars().fold(String::new(), |mut all, c| {
                        match c {
                            '\u{7f}'.. => {
                                all.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
                            }
                            c => all.push(c),
                        }
                        all
                    })
                }
            }
        })
    }

    /// Both readers read the same, except that this one may leave a text to the other.
    fn compare(text: &str) -> bool {
        let Some(found) = read::<Option<All<'_>>>(text) else { return false };
        let other = read_closely::<Option<All<'_>>>(text);
        assert!(other.is_ok(), "{other:?} instead of {found:?} for {text}");
        assert_eq!(format!("{found:?}"), format!("{:?}", other.unwrap()), "{text}");
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_is_valid_is_read_and_the_same(text in object()) {
            let is_read = compare(&text);
            // Names with escapes and minus zero are left to the library.
            prop_assert!(is_read || text.contains('\\') || text.contains("-0"), "{text}");
        }

        #[test]
        fn what_is_broken_is_refused_or_read_the_same(
            text in object(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"{}[]:,\"\\ \n0-1.eEtfnu+/\x01x"[..]), 0..3), 1..4),
            cut in any::<prop::sample::Index>(),
            is_cut: bool,
        ) {
            let mut bytes = text.into_bytes();
            for (at, byte, change) in changes {
                if bytes.is_empty() {
                    break;
                }
                let at = at.index(bytes.len());
                match change {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            if is_cut && !bytes.is_empty() {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Ok(text) = std::str::from_utf8(&bytes) {
                compare(text);
            }
        }
    }

    #[test]
    fn what_is_no_json_is_left_to_the_library() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(66), "]".repeat(66));
        for text in [
            "",
            " ",
            "{",
            "}",
            "{}x",
            "{} {}",
            "{\"id\":}",
            "{\"id\":1,}",
            "{,\"id\":1}",
            "{\"id\" 1}",
            "{\"id\":1 2}",
            "{id:1}",
            "{\"a\":[1,]}",
            "{\"a\":[,1]}",
            "{\"a\":[1 2]}",
            "{\"a\":[1}}",
            "{\"a\":{]}",
            "{\"a\":{\"b\"}}",
            "{\"a\":tru}",
            "{\"a\":nullx}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":+1}",
            "{\"id\":-0}",
            "{\"id\":-0.0}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"b}",
            "{\"a\":\\\"b\"}",
            "{\"a\":1}\0",
            &deep,
        ] {
            assert!(read::<Option<All<'_>>>(text).is_none(), "{text}");
        }
        for text in ["{}", " {} ", "{\"id\" : [ ] ,\"a\":{ } }", "{\"a\":[1, 2.5e-3 ,\"\\u00e9\\n\", null]}"] {
            assert!(compare(text), "{text}");
        }
    }
}
