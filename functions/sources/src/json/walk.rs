//! The second step of reading: a walk over JSON that checks the syntax of all of it, steps over texts, and hands out only
//! what is asked for.
//!
//! It reads what RFC 8259 allows and gives up at anything that is odd: then the library reads the text, and reports
//! what is wrong.

use std::cell::RefCell;

use super::index::{Index, Marks};
use super::{Field, List, Object, Raw, Value, library, number, put};

/// Objects and lists within one another that are skipped: as many as a mask has bits. Posts have about ten.
const MAX_SKIPPED: u32 = 64;

/// Objects and lists within one another that are read, each of which needs room on the stack.
const MAX_READ: u32 = 64;

/// Longest text that is read. Each thread keeps an index for the longest one that it has read.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Something that this reader leaves to the other one.
#[derive(Debug)]
pub(super) struct Odd;

/// Reads a value; `None` when the other reader has to look at it.
pub(super) fn read<'a, T: Field<'a>>(text: &'a str) -> Option<T> {
    thread_local! {
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
        let json = Json { text, marks: index.marks() };
        let mut walk = Walk { json: &json, at: 0, depth: 0 };
        let place = value.insert(T::default());
        if place.read(&mut walk).is_err() || json.next(walk.at).0 != text.len() {
            value = None;
        }
    }
    INDEX.set(index);
    value
}

/// JSON and its index. What begins at a place is accepted by a method that returns the place behind it.
struct Json<'i, 'a> {
    text: &'a str,
    marks: Marks<'i>,
}

impl<'a> Json<'_, 'a> {
    /// The byte at a place. 0 behind the end: no JSON has it outside of texts.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    /// The place of the next byte that is no white space, and this byte.
    #[inline(always)]
    fn next(&self, at: usize) -> (usize, u8) {
        let byte = self.byte(at);
        if byte > b' ' { (at, byte) } else { self.next_behind_space(at) }
    }

    #[cold]
    fn next_behind_space(&self, at: usize) -> (usize, u8) {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let at = at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        (at, self.byte(at))
    }

    /// Accepts this byte, which is the next one but for white space.
    #[inline(always)]
    fn accept(&self, at: usize, byte: u8) -> Result<usize, Odd> {
        if self.byte(at) == byte {
            return Ok(at + 1);
        }
        let (at, next) = self.next(at);
        if next == byte { Ok(at + 1) } else { Err(Odd) }
    }

    /// The place of the closing quote of a text whose first quote is here.
    #[inline(always)]
    fn closing(&self, at: usize) -> Result<usize, Odd> {
        self.marks.next_quote(at + 1).ok_or(Odd)
    }

    /// The place of the closing quote of a name, and the one behind its colon.
    #[inline(always)]
    fn name(&self, at: usize) -> Result<(usize, usize), Odd> {
        let to = self.closing(at)?;
        Ok((to, self.accept(to + 1, b':')?))
    }

    /// A part of the text, unless it has escapes.
    #[inline(always)]
    fn plain(&self, from: usize, to: usize) -> Result<Option<&'a str>, Odd> {
        if self.marks.has_escape(from, to) { Ok(None) } else { self.text.get(from..to).map(Some).ok_or(Odd) }
    }

    /// Accepts a word that JSON knows.
    #[inline(always)]
    fn word(&self, at: usize, word: &[u8]) -> Result<usize, Odd> {
        if self.text.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(word)) {
            Ok(at + word.len())
        } else {
            Err(Odd)
        }
    }

    /// Accepts digits, also none.
    #[inline(always)]
    fn digits(&self, mut at: usize) -> usize {
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    /// Accepts a number of RFC 8259.
    #[inline(always)]
    fn number(&self, at: usize) -> Result<usize, Odd> {
        let end = self.digits(at);
        // Most are whole numbers.
        let is_whole =
            end > at && (end - at == 1 || self.byte(at) != b'0') && !matches!(self.byte(end), b'.' | b'e' | b'E');
        if is_whole { Ok(end) } else { self.any_number(at) }
    }

    fn any_number(&self, mut at: usize) -> Result<usize, Odd> {
        let some_digits = |at| {
            let end = self.digits(at);
            if end > at { Ok(end) } else { Err(Odd) }
        };
        if self.byte(at) == b'-' {
            at += 1;
        }
        at = if self.byte(at) == b'0' { at + 1 } else { some_digits(at)? };
        if self.byte(at) == b'.' {
            at = some_digits(at + 1)?;
        }
        if let b'e' | b'E' = self.byte(at) {
            at += 1;
            if let b'-' | b'+' = self.byte(at) {
                at += 1;
            }
            at = some_digits(at)?;
        }
        Ok(at)
    }

    /// Accepts a value of any type, which begins here with this byte.
    fn skip(&self, mut at: usize, mut byte: u8) -> Result<usize, Odd> {
        // A bit for each container that is open: whether it is an object.
        let (mut objects, mut depth) = (0u64, 0);
        'value: loop {
            match byte {
                b'"' => at = self.closing(at)? + 1,
                b'{' | b'[' => {
                    let open = byte;
                    (at, byte) = self.next(at + 1);
                    // Brackets end two places behind their beginning.
                    if byte == open + 2 {
                        at += 1;
                    } else {
                        if depth == MAX_SKIPPED {
                            return Err(Odd);
                        }
                        depth += 1;
                        objects = objects << 1 | u64::from(open == b'{');
                        if open == b'{' {
                            (at, byte) = self.member(at, byte)?;
                        }
                        continue 'value;
                    }
                }
                b'-' | b'0'..=b'9' => at = self.number(at)?,
                b't' => at = self.word(at, b"true")?,
                b'f' => at = self.word(at, b"false")?,
                b'n' => at = self.word(at, b"null")?,
                _ => return Err(Odd),
            }
            while depth > 0 {
                (at, byte) = self.next(at);
                let is_object = objects & 1 == 1;
                if byte == b',' {
                    (at, byte) = self.next(at + 1);
                    if is_object {
                        (at, byte) = self.member(at, byte)?;
                    }
                    continue 'value;
                }
                if byte != (if is_object { b'}' } else { b']' }) {
                    return Err(Odd);
                }
                at += 1;
                objects >>= 1;
                depth -= 1;
            }
            return Ok(at);
        }
    }

    /// Accepts a name and the colon behind it; the place and the first byte of its value.
    #[inline(always)]
    fn member(&self, at: usize, byte: u8) -> Result<(usize, u8), Odd> {
        if byte != b'"' {
            return Err(Odd);
        }
        let (_, at) = self.name(at)?;
        Ok(self.next(at))
    }
}

struct Walk<'i, 'a> {
    json: &'i Json<'i, 'a>,
    /// Place of what was not read yet.
    at: usize,
    /// Objects and lists that are open.
    depth: u32,
}

impl<'a> Walk<'_, 'a> {
    /// Accepts the bracket that begins an object or a list.
    #[inline(always)]
    fn enter(&mut self, at: usize) -> Result<(), Odd> {
        self.at = at + 1;
        self.depth += 1;
        if self.depth > MAX_READ { Err(Odd) } else { Ok(()) }
    }

    /// Reads a value into a place that has one already.
    #[cold]
    fn read_again<T: Field<'a>>(&mut self, place: &mut T) -> Result<(), Odd> {
        let mut other = T::default();
        self.read_into(&mut other)?;
        put(place, other);
        Ok(())
    }
}

impl<'a> Value<'a> for &mut Walk<'_, 'a> {
    type Error = Odd;

    #[inline]
    fn read_into<T: Field<'a>>(self, place: &mut T) -> Result<(), Odd> {
        let json = self.json;
        let (at, byte) = json.next(self.at);
        match byte {
            b'"' => {
                let to = json.closing(at)?;
                self.at = to + 1;
                match json.plain(at + 1, to)? {
                    Some(text) => put(place, T::borrowed(text)),
                    None => put(place, T::text(&unescaped(json.text.get(at..=to).ok_or(Odd)?)?)),
                }
            }
            b'{' | b'[' if place.is_filled() => self.read_again(place)?,
            b'{' => {
                self.enter(at)?;
                place.object(&mut Members { walk: self, is_begun: false })?;
                self.depth -= 1;
            }
            b'[' => {
                self.enter(at)?;
                place.list(Entries { walk: self, is_begun: false })?;
                self.depth -= 1;
            }
            b'-' | b'0'..=b'9' => {
                self.at = json.number(at)?;
                number::put_number(json.text.get(at..self.at).ok_or(Odd)?, place)?;
            }
            b't' => {
                self.at = json.word(at, b"true")?;
                put(place, T::boolean(true));
            }
            b'f' => {
                self.at = json.word(at, b"false")?;
                put(place, T::boolean(false));
            }
            b'n' => self.at = json.word(at, b"null")?,
            _ => return Err(Odd),
        }
        Ok(())
    }

    #[inline]
    fn raw(self) -> Result<Raw<'a>, Odd> {
        let (begin, byte) = self.json.next(self.at);
        self.at = self.json.skip(begin, byte)?;
        Ok(Raw(self.json.text.get(begin..self.at).ok_or(Odd)?.into()))
    }

    #[inline]
    fn skip(self) -> Result<(), Odd> {
        let (at, byte) = self.json.next(self.at);
        self.at = self.json.skip(at, byte)?;
        Ok(())
    }
}

/// The other reader knows how to unescape a text.
#[cold]
fn unescaped(quoted: &str) -> Result<String, Odd> {
    library::unescaped(quoted).ok_or(Odd)
}

struct Members<'w, 'i, 'a> {
    walk: &'w mut Walk<'i, 'a>,
    is_begun: bool,
}

impl<'a> Object<'a> for Members<'_, '_, 'a> {
    type Error = Odd;

    #[inline(always)]
    fn name<N>(&mut self, known: impl FnOnce(&[u8]) -> N) -> Result<Option<N>, Odd> {
        let json = self.walk.json;
        let (mut at, mut byte) = json.next(self.walk.at);
        if byte == b'}' {
            self.walk.at = at + 1;
            return Ok(None);
        }
        if std::mem::replace(&mut self.is_begun, true) {
            if byte != b',' {
                return Err(Odd);
            }
            (at, byte) = json.next(at + 1);
        }
        if byte != b'"' {
            return Err(Odd);
        }
        let (to, behind) = json.name(at)?;
        if json.marks.has_escape(at, to) {
            return Err(Odd);
        }
        self.walk.at = behind;
        Ok(Some(known(json.text.as_bytes().get(at + 1..to).ok_or(Odd)?)))
    }

    #[inline(always)]
    fn value<T: Field<'a>>(&mut self, place: &mut T) -> Result<(), Odd> {
        place.read(&mut *self.walk)
    }
}

struct Entries<'w, 'i, 'a> {
    walk: &'w mut Walk<'i, 'a>,
    is_begun: bool,
}

impl<'a> List<'a> for Entries<'_, '_, 'a> {
    type Error = Odd;

    #[inline(always)]
    fn entry<T: Field<'a>>(&mut self, place: &mut T) -> Result<bool, Odd> {
        let (at, byte) = self.walk.json.next(self.walk.at);
        if byte == b']' {
            self.walk.at = at + 1;
            return Ok(false);
        }
        self.walk.at = at;
        if std::mem::replace(&mut self.is_begun, true) {
            if byte != b',' {
                return Err(Odd);
            }
            self.walk.at += 1;
        }
        place.read(&mut *self.walk)?;
        Ok(true)
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
    use crate::json::{Count, Flag, Id, Named, NotEmpty, Numbers, Raw, Text, object};

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
        let other = library::read::<Option<All<'_>>>(text);
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
    fn numbers_are_as_close_as_those_of_the_library() {
        for number in [
            "0",
            "7",
            "0.0",
            "1.0",
            "0.1",
            "0.5",
            "-1.5",
            "-7",
            "179.9999999",
            "0.30000000000000004",
            "90071992547409.91",
            "900719925474099.3",
            "9007199254740993.5",
            "123456789012345678.9",
            "0.12345678901234567",
            "0.000000000000000001",
            "9999999999999999999",
            "1234567890123456789",
            "18446744073709551615",
            "18446744073709551616",
            "100000000000000000000.0",
            "1e22",
            "1E-7",
            "5e-324",
            "2.2250738585072014e-308",
            "1.7976931348623157e308",
        ] {
            for text in ["number", "id", "named", "flag", "whole"].map(|name| format!("{{\"{name}\":{number}}}")) {
                assert!(compare(&text), "{text}");
            }
            assert!(compare(&format!("{{\"numbers\":[{number},{number}]}}")), "{number}");
        }
    }

    #[test]
    fn only_the_last_of_filled_values_counts() {
        let values = [
            "null",
            "{}",
            "[]",
            "7",
            "\"\"",
            "\"a\"",
            "[{\"text\":\"b\"}]",
            "[{}]",
            "[1,2]",
            "{\"$date\":5}",
            "{\"$date\":5,\"$date\":null}",
        ];
        for name in ["id", "named", "count", "filled", "numbers", "number", "raw", "inner"] {
            for first in values {
                for second in values {
                    assert!(compare(&format!("{{\"{name}\":{first},\"text\":\"a\",\"{name}\":{second}}}")), "{name}");
                }
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
