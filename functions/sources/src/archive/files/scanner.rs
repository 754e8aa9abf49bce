//! Finds the end of a JSON value (RFC 8259) without parsing its content.

use crate::json::MAX_DEPTH;

/// What a scanner found in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The value continues behind these bytes.
    More,
    /// The value ends before this offset.
    End(usize),
    /// The byte at this offset is invalid there.
    Bad(usize),
}

/// Follows one value through pieces of any size. Checks the order of braces, commas, colons and texts, so that a value
/// that was cut off is detected at the next one; names, numbers and escapes are left to the JSON reader.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    expects: Expects,
    /// Open objects and arrays.
    depth: usize,
    /// A bit each: whether that level is an object.
    is_object: [u64; LEVELS.div_ceil(64)],
}

const LEVELS: usize = MAX_DEPTH + 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    /// Inside a text.
    Text {
        is_key: bool,
    },
    /// Behind a backslash in a text.
    Escaped {
        is_key: bool,
    },
    /// Inside a number, `true`, `false` or `null`.
    Scalar,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self { expects: Expects::Value, depth: 0, is_object: [0; LEVELS.div_ceil(64)] }
    }

    /// Whether the value may end where the input ends: so may a number.
    pub(super) fn may_end(&self) -> bool {
        self.depth == 0 && self.expects == Expects::Scalar
    }

    /// Reads on.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Found {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match (self.expects, byte) {
                (Expects::Text { is_key }, _) => match memchr::memchr3(b'"', b'\\', b'\n', &bytes[at..]) {
                    None => return Found::More,
                    Some(skip) => {
                        at += skip;
                        match bytes[at] {
                            b'"' if is_key => self.expects = Expects::Colon,
                            b'"' if self.depth == 0 => return Found::End(at + 1),
                            b'"' => self.expects = Expects::CommaOrEnd,
                            b'\\' => self.expects = Expects::Escaped { is_key },
                            _ => return Found::Bad(at),
                        }
                    }
                },
                (Expects::Escaped { .. }, b'\n') => return Found::Bad(at),
                (Expects::Escaped { is_key }, _) => self.expects = Expects::Text { is_key },
                (Expects::Scalar, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.') => (),
                (Expects::Scalar, _) => {
                    if self.depth == 0 {
                        return Found::End(at);
                    }
                    self.expects = Expects::CommaOrEnd;
                    continue;
                }
                (_, b' ' | b'\t' | b'\r' | b'\n') => (),
                (Expects::KeyOrEnd | Expects::Key, b'"') => self.expects = Expects::Text { is_key: true },
                (Expects::Colon, b':') => self.expects = Expects::Value,
                (Expects::CommaOrEnd, b',') => {
                    self.expects = if self.is_in_object() { Expects::Key } else { Expects::Value };
                }
                (Expects::Value | Expects::ValueOrEnd, b'"') => self.expects = Expects::Text { is_key: false },
                (Expects::Value | Expects::ValueOrEnd, b'{' | b'[') => {
                    if self.depth == LEVELS {
                        return Found::Bad(at);
                    }
                    let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
                    self.depth += 1;
                    if byte == b'{' {
                        self.is_object[word] |= bit;
                        self.expects = Expects::KeyOrEnd;
                    } else {
                        self.is_object[word] &= !bit;
                        self.expects = Expects::ValueOrEnd;
                    }
                }
                (Expects::Value | Expects::ValueOrEnd, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-') => {
                    self.expects = Expects::Scalar;
                }
                (Expects::CommaOrEnd | Expects::KeyOrEnd, b'}') if self.is_in_object() => {
                    if self.close() {
                        return Found::End(at + 1);
                    }
                }
                (Expects::CommaOrEnd | Expects::ValueOrEnd, b']') if self.depth > 0 && !self.is_in_object() => {
                    if self.close() {
                        return Found::End(at + 1);
                    }
                }
                _ => return Found::Bad(at),
            }
            at += 1;
        }
        Found::More
    }

    fn is_in_object(&self) -> bool {
        self.depth > 0 && self.is_object[(self.depth - 1) / 64] & (1 << ((self.depth - 1) % 64)) != 0
    }

    /// Whether that was the outermost level.
    fn close(&mut self) -> bool {
        self.depth -= 1;
        self.expects = Expects::CommaOrEnd;
        self.depth == 0
    }
}

/// Looks for the end of a value that is broken: where its braces are balanced, or else where the next value seems to start,
/// on a line that is indented as far as this one.
#[derive(Clone, Debug)]
pub(super) struct Salvage {
    indent: usize,
    depth: i64,
    is_text: bool,
    is_escaped: bool,
    is_first_line: bool,
}

impl Salvage {
    /// For a value behind this many blanks.
    pub(super) fn new(indent: usize) -> Self {
        Self { indent, depth: 0, is_text: false, is_escaped: false, is_first_line: true }
    }

    /// Continues from `at` in `bytes`, which contain the value from its start; `bad_at` is where it was found broken.
    /// Returns the end of the value, or `Err` with the place to continue from when more bytes have come.
    pub(super) fn scan(&mut self, bytes: &[u8], mut at: usize, bad_at: usize, is_last: bool) -> Result<usize, usize> {
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'\n' => {
                    if self.is_first_line && bad_at <= at {
                        return Ok(at);
                    }
                    match starts_value(&bytes[at + 1..], self.indent) {
                        Some(true) => return Ok(at),
                        None if !is_last => return Err(at),
                        _ => (),
                    }
                    (self.is_first_line, self.is_text, self.is_escaped) = (false, false, false);
                }
                0x1e => return Ok(at),
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_text => self.is_escaped = true,
                b'"' => self.is_text = !self.is_text,
                b'{' | b'[' if !self.is_text => self.depth += 1,
                b'}' | b']' if !self.is_text => {
                    self.depth -= 1;
                    if self.depth <= 0 {
                        return Ok(at + 1);
                    }
                }
                _ => (),
            }
            at += 1;
        }
        if is_last { Ok(at) } else { Err(at) }
    }
}

/// Whether a line starts like a value behind this many blanks; `None` when that cannot be seen yet.
pub(super) fn starts_value(line: &[u8], indent: usize) -> Option<bool> {
    let blanks = line.iter().take(indent).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if blanks < indent && blanks < line.len() {
        return Some(false);
    }
    // Record separators and byte order marks come before values only.
    line.get(indent).map(|byte| matches!(byte, b'{' | b'[' | 0x1e | 0xef))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Found {
        Scanner::new().scan(text.as_bytes())
    }

    #[test]
    fn a_value_ends_where_json_ends_it() {
        for (text, end) in [
            (r#"{}{}"#, 2),
            (r#"{"a":{"b":[1,"]}",null]}} ,"#, 25),
            (r#"{"a":"\"}"}x"#, 11),
            ("{\n \"a\" : 1e5\n}\n{", 14),
            (r#""a\\"b"#, 5),
            ("12,", 2),
            ("[[],{}]]", 7),
        ] {
            assert_eq!(whole(text), Found::End(end), "{text}");
        }
        for text in [r#"{"a":{"b":1}"#, "12", r#"{"a":"\"#] {
            assert_eq!(whole(text), Found::More, "{text}");
        }
        for (text, at) in [
            (r#"{"a":1,{"b":2}}"#, 7),
            ("{\"a\":\"te\n", 8),
            (r#"{"a":1]"#, 6),
            (r#"{"a" 1}"#, 5),
            ("}", 0),
            ("{\"data\":\n{\"data\":1}\n{", 20),
        ] {
            assert_eq!(whole(text), Found::Bad(at), "{text}");
        }
        assert_eq!(whole(&"[".repeat(LEVELS + 1)), Found::Bad(LEVELS));
    }
}
