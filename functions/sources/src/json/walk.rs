//! JSON in one walk over its text: what nearly every value is, and nothing else.
//!
//! A general reader calls a visitor for every value and copies what that returns. Most values of a post are skipped, and
//! the others are texts that can be borrowed. So [`Walk`] checks the syntax of what it skips, and a [`Field`] takes its value
//! from it directly. It is strict: whatever is unusual is `None`, and the general reader then reads the same text from its
//! beginning. It never accepts what that refuses, and never reads anything else (fuzz target `walk`).

use std::borrow::Cow;

use super::Field;

/// Deepest nesting that is walked.
const MAX_DEPTH: u32 = 48;
/// Longest number that is walked, in characters.
const MAX_NUMBER_CHARS: usize = 24;
/// Longest whole number that surely fits 64 bits, in digits.
const MAX_DIGITS: usize = 19;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The value that a text is as a whole; `None` when the general reader must read it.
pub(super) fn whole<'a, T: Field<'a>>(text: &'a str) -> Option<T> {
    let mut walk = Walk { text, at: 0, depth: 0 };
    let value = T::walk(&mut walk)?;
    (walk.token().is_none() && walk.at == text.len()).then_some(value)
}

/// A place in a JSON text. Each method returns `None` where the text is not what it looks for; the walk is over then.
pub(crate) struct Walk<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

/// A text behind its quotation mark.
struct Span {
    from: usize,
    to: usize,
    has_escapes: bool,
}

impl<'a> Walk<'a> {
    /// The first byte of the next token, which stays the next one.
    #[inline]
    pub(crate) fn token(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b if b > b' ' => return Some(b),
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => return None,
            }
        }
    }

    /// Goes on behind the bracket that opens an object or a list.
    #[inline]
    pub(crate) fn enter(&mut self, bracket: u8) -> Option<()> {
        let is_here = self.token()? == bracket && self.depth < MAX_DEPTH;
        self.at += 1;
        self.depth += 1;
        is_here.then_some(())
    }

    /// The name of the next member of an object, with its colon; `Some(None)` behind the last one.
    #[inline]
    pub(crate) fn name(&mut self, is_first: bool) -> Option<Option<&'a str>> {
        if !self.separate(is_first, b'}')? {
            return Some(None);
        }
        let name = self.span()?;
        if name.has_escapes || self.token()? != b':' {
            return None;
        }
        self.at += 1;
        self.text.get(name.from..name.to).map(Some)
    }

    /// Whether a list has another entry, which is the next token then.
    #[inline]
    pub(crate) fn entry(&mut self, is_first: bool) -> Option<bool> {
        self.separate(is_first, b']')
    }

    #[inline]
    fn separate(&mut self, is_first: bool, bracket: u8) -> Option<bool> {
        let token = self.token()?;
        if token == bracket {
            self.at += 1;
            self.depth -= 1;
            return Some(false);
        }
        if !is_first {
            if token != b',' {
                return None;
            }
            self.at += 1;
            // A comma in front of the bracket is no value, which whoever reads that finds.
            self.token()?;
        }
        Some(true)
    }

    /// Where the next token, a text, is.
    #[inline]
    fn span(&mut self) -> Option<Span> {
        if self.token()? != b'"' {
            return None;
        }
        let bytes = self.text.as_bytes();
        let from = self.at + 1;
        let mut at = from;
        let mut has_escapes = false;
        loop {
            at = special(bytes, at)?;
            match bytes[at] {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    at += match bytes.get(at + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                        _ => return None,
                    };
                }
                _ => return None,
            }
        }
        self.at = at + 1;
        Some(Span { from, to: at, has_escapes })
    }

    /// Where the next token, a number, is.
    fn number(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let from = self.at;
        let mut at = from;
        let digits = |at: &mut usize| {
            let from = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at - from
        };
        at += usize::from(bytes.get(at) == Some(&b'-'));
        let is_zero = bytes.get(at) == Some(&b'0');
        match digits(&mut at) {
            0 => return None,
            2.. if is_zero => return None,
            _ => (),
        }
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            if digits(&mut at) == 0 {
                return None;
            }
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            if digits(&mut at) == 0 {
                return None;
            }
        }
        self.at = at;
        self.text.get(from..at)
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        let is_here = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        is_here.then_some(())
    }

    /// Goes on behind the next value, whatever it is.
    pub(crate) fn skip(&mut self) -> Option<()> {
        match self.token()? {
            b'"' => self.span().map(drop),
            b'{' => {
                self.enter(b'{')?;
                let mut is_first = true;
                // As `name` does, but names may have escapes.
                while self.separate(is_first, b'}')? {
                    is_first = false;
                    self.span()?;
                    if self.token()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    self.skip()?;
                }
                Some(())
            }
            b'[' => {
                self.enter(b'[')?;
                let mut is_first = true;
                while self.entry(is_first)? {
                    is_first = false;
                    self.skip()?;
                }
                Some(())
            }
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => self.number().map(drop),
        }
    }

    /// Goes on behind the next value, which has another type than its field, and returns the default value. A number is
    /// left to the general reader, which checks its size.
    pub(crate) fn other<T: Default>(&mut self) -> Option<T> {
        match self.token()? {
            b'-' | b'0'..=b'9' => None,
            _ => self.skip().map(|()| T::default()),
        }
    }

    /// The next value as it is written.
    pub(crate) fn raw(&mut self) -> Option<&'a str> {
        self.token()?;
        let from = self.at;
        self.skip()?;
        self.text.get(from..self.at)
    }

    /// A text, a flag, null or a whole number above or equal to 0.
    #[inline]
    pub(crate) fn scalar<T: Field<'a>>(&mut self) -> Option<T> {
        match self.token()? {
            b'"' => {
                let span = self.span()?;
                let text = self.text.get(span.from..span.to)?;
                if span.has_escapes { Some(T::text(&unescaped(text)?)) } else { Some(T::borrowed(text)) }
            }
            b't' => self.literal("true").map(|()| T::boolean(true)),
            b'f' => self.literal("false").map(|()| T::boolean(false)),
            b'n' => self.literal("null").map(|()| T::default()),
            b'0'..=b'9' => {
                let digits = self.number().filter(|digits| digits.len() <= MAX_DIGITS)?;
                digits.parse().ok().map(T::unsigned)
            }
            _ => None,
        }
    }

    /// A number or null.
    pub(crate) fn float(&mut self) -> Option<Option<f64>> {
        match self.token()? {
            b'n' => self.literal("null").map(|()| None),
            _ => {
                let number = self.number().filter(|number| number.len() <= MAX_NUMBER_CHARS)?;
                let is_short = !number.contains(['e', 'E']);
                is_short.then(|| number.parse().ok())?.map(Some)
            }
        }
    }
}

/// Where the next byte is that ends a text, escapes something, or must not be in a text.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut words = 0;
    loop {
        // Most texts are short. A long one goes by in blocks, of which the compiler compares many bytes at a time.
        if words == 4 {
            while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<32>())
                && !block.iter().fold(false, |found, b| found | (*b == b'"') | (*b == b'\\') | (*b < b' '))
            {
                at += block.len();
            }
        }
        words += 1;
        let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        // Eight bytes at a time (Mycroft's test for a zero byte). The lowest bit found is that of the first such byte.
        let word = u64::from_le_bytes(*word);
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
        let found = (zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64)) | control) & HIGHS;
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    bytes.get(at..)?.iter().position(|b| matches!(b, b'"' | b'\\' | 0..b' ')).map(|n| at + n)
}

/// A text with its escapes undone; `None` when it has half a surrogate pair. The escapes are known to be right.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        plain.push_str(rest.get(..at)?);
        let code = |from: usize| u16::from_str_radix(rest.get(from..from + 4)?, 16).ok();
        let (c, length) = match rest.as_bytes().get(at + 1)? {
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => match code(at + 2)? {
                high @ 0xd800..=0xdbff if rest.get(at + 6..at + 8) == Some("\\u") => {
                    (char::decode_utf16([high, code(at + 8)?]).next()?.ok()?, 12)
                }
                code => (char::from_u32(code.into())?, 6),
            },
            other => (char::from(*other), 2),
        };
        plain.push(c);
        rest = rest.get(at + length..)?;
    }
    plain.push_str(rest);
    Some(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::tests::Thing;
    use crate::json::{Id, Text, read_generally};

    fn text(json: &str) -> Option<String> {
        whole::<Option<Text<'_>>>(json)?.map(|text| text.0.into_owned())
    }

    #[test]
    fn escapes_are_undone() {
        for (json, expected) in [
            (r#""""#, Some("")),
            (r#" "plain" "#, Some("plain")),
            (r#""\"\\\/\b\f\n\r\t""#, Some("\"\\/\u{8}\u{c}\n\r\t")),
            (r#""\u00e9\u6771\ud83d\ude80""#, Some("é東🚀")),
            (r#""é\n東""#, Some("é\n東")),
            (r#""\ud83d""#, None),
            (r#""\ud83d\u0041""#, None),
            (r#""\ude80\ud83d""#, None),
            (r#""\u12""#, None),
            (r#""\u+123""#, None),
            (r#""\x""#, None),
            ("\"a\nb\"", None),
            ("\"a", None),
            ("\"a\\", None),
        ] {
            assert_eq!(text(json).as_deref(), expected, "{json}");
        }
        // The byte that ends a text, at each distance from its beginning.
        for length in 0..200 {
            let words = "é".repeat(length / 2) + &"x".repeat(length % 2);
            assert_eq!(text(&format!("\"{words}\"")), Some(words.clone()));
            assert_eq!(text(&format!("\"{words}\\n\" ")), Some(words.clone() + "\n"));
            assert_eq!(text(&format!("\"{words}\u{1f}\"")), None);
        }
    }

    #[test]
    fn what_is_no_json_is_not_walked() {
        for json in [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "{]",
            "[}",
            "{}x",
            "{} {}",
            "{,}",
            "[,]",
            "[1,]",
            "[1 2]",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a" 1}"#,
            r#"{a:1}"#,
            r#"{1:1}"#,
            "[01]",
            "[1.]",
            "[.5]",
            "[1e]",
            "[-]",
            "[+1]",
            "[0x1]",
            "[1_0]",
            "[tru]",
            "[truex]",
            "[nul]",
            "[\u{1}]",
            "\u{feff}[]",
            "[\u{a0}]",
            "['a']",
            "[NaN]",
        ] {
            assert!(whole::<Vec<Id<'_>>>(json).is_none(), "{json}");
            assert!(whole::<Option<Thing<'_>>>(json).is_none(), "{json}");
        }
        for json in ["[ ]", "\t{ \"a\" : [ 1 , -0.5E+7 , { } , \"\" , null , true ,false ] }\r\n"] {
            assert!(whole::<Option<Thing<'_>>>(json).is_some(), "{json}");
        }
    }

    #[test]
    fn deep_nesting_is_left_to_the_general_reader() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(whole::<Option<Thing<'_>>>(&nested(MAX_DEPTH as usize)).is_some());
        assert!(whole::<Option<Thing<'_>>>(&nested(MAX_DEPTH as usize + 1)).is_none());
    }

    proptest! {
        /// Values of all types in all fields, and whatever is left of them when they are cut and put together wrongly.
        #[test]
        fn the_walk_reads_what_the_general_reader_reads(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", " ", "\"", "\\", "\\n", "\\u00e9", "null", "true", "false", "0", "-0", "7",
                "1.5", "-73.98", "1e300", "1e400", "18446744073709551616", "é", "\"id\":", "\"name\":", "\"title\":",
                "\"parts\":", "\"at\":", "\"parent\":", "\"parent_str\":", "\"rest\":", "\"is_new\":", "\"other\":",
                "\"7\"", "\"\"", "\"x\\ud83d\"", "{\"at\":[1,2.5,null]}", "{\"$numberLong\":\"7\"}", "[[],{}]",
                "{\"id\":\"1\"}", "\"parts\":[{\"at\":[", "\"id\":\"9\",",
            ]), 0..14),
            is_object: bool,
        ) {
            let mut json = parts.concat();
            if is_object {
                json = format!("{{{}}}", json.trim_end_matches(','));
            }
            if let Some(thing) = whole::<Option<Thing<'_>>>(&json) {
                let general = read_generally::<Option<Thing<'_>>>(&json);
                prop_assert_eq!(format!("{:?}", Ok::<_, crate::archive::LineError>(thing)), format!("{general:?}"), "{}", json);
            }
        }
    }
}
