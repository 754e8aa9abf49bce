//! Lines that could not be read: where they were and why, without what they said.

use std::sync::Arc;

use serde::Serialize;

/// Longest shape that is kept, in bytes.
const LONGEST_SHAPE: usize = 512;

/// One line put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// File or source that the line came from.
    pub origin: Arc<str>,
    /// Line in the file, from 1.
    pub line: u64,
    /// Why it could not be read.
    pub reason: String,
    /// Length of the line.
    pub size_bytes: u64,
    /// The beginning of the line with its words masked, see [`shape`].
    pub shape: String,
}

impl Quarantined {
    /// Puts `bytes` aside for `reason`.
    #[must_use]
    pub fn new(origin: &Arc<str>, line: u64, reason: String, bytes: &[u8]) -> Self {
        Self { origin: origin.clone(), line, reason, size_bytes: bytes.len() as u64, shape: shape(bytes) }
    }
}

/// The beginning of a line, enough to see what kind of thing it is, without any text or handle
/// (rule 6): every letter is an `x` and every digit a `0`, except in what looks like a JSON key.
#[must_use]
pub fn shape(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(LONGEST_SHAPE)]);
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('"').peekable();
    let mut is_inside = false;
    while let Some(part) = parts.next() {
        let is_key = is_inside
            && part.len() <= 40
            && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            && parts.peek().is_some_and(|next| next.trim_start().starts_with(':'));
        if is_key {
            out.push_str(part);
        } else {
            out.extend(part.chars().map(|c| match c {
                c if c.is_numeric() => '0',
                c if c.is_ascii_punctuation() || c == ' ' || c == char::REPLACEMENT_CHARACTER => c,
                _ => 'x',
            }));
        }
        if parts.peek().is_some() {
            out.push('"');
        }
        is_inside = !is_inside;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_shows_the_keys_and_hides_the_words() {
        assert_eq!(
            shape(r#"{"data":{"id":"17","text":"Ann said \"yes\" to 東京"#.as_bytes()),
            r#"{"data":{"id":"00","text":"xxx xxxx \"xxx\" xx xx"#
        );
        assert_eq!(shape(b"\xff\xfe secret"), "\u{fffd}\u{fffd} xxxxxx");
        assert!(shape(&[b'a'; 10_000]).len() <= LONGEST_SHAPE);
    }
}
