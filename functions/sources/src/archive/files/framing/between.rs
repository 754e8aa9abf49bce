//! What is between values: separators, brackets, and the assignment of an account export.

use std::io::Read;

use super::buffer::Cut;
use super::inside::Inside;
use super::{Framer, Next, first_byte};
use crate::archive::files::scanner::Scanner;

/// Longest assignment before an array, such as `window.YTD.tweets.part0 = `.
const MAX_ASSIGNMENT_BYTES: usize = 200;
/// White space behind a bracket that is looked through for what follows.
const MAX_LOOK_AHEAD_BYTES: usize = 4096;
/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

impl<R: Read> Framer<R> {
    /// Between values: skips separators, and looks at the first byte of the next value.
    pub(super) fn between(&mut self, cut: &mut Cut) -> Next {
        cut.list_lines(self.line, cut.done);
        loop {
            let bytes = &cut.bytes[cut.done..];
            let Some(&byte) = bytes.first() else { return Next::NeedsMore };
            let skip = match byte {
                b'\n' => {
                    self.line += 1;
                    self.is_line_start = true;
                    self.indent = 0;
                    cut.done += 1;
                    if self.arrays == 0 {
                        return Next::Goes;
                    }
                    continue;
                }
                b' ' | b'\t' | b'\r' | b',' | b';' | 0x1e | 0 => 1,
                b'[' => match starts_array(&bytes[1..], self.is_over) {
                    None => return Next::NeedsMore,
                    Some(true) => {
                        self.arrays += 1;
                        1
                    }
                    Some(false) => 0,
                },
                b']' => {
                    self.arrays = self.arrays.saturating_sub(1);
                    1
                }
                0xef if MARK.starts_with(&bytes[..bytes.len().min(3)]) => {
                    if bytes.len() < 3 && !self.is_over {
                        return Next::NeedsMore;
                    }
                    bytes.len().min(3)
                }
                b'{' => {
                    self.begin(cut.done);
                    return Next::Goes;
                }
                b'"' | b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' if self.arrays > 0 => {
                    self.begin(cut.done);
                    return Next::Goes;
                }
                _ => match assignment(bytes, self.is_over) {
                    None => return Next::NeedsMore,
                    Some(length) => length,
                },
            };
            if skip == 0 {
                self.arrays = 0;
                self.is_line_start = false;
                self.inside = Inside::Line { from: cut.done, at: cut.done };
                return Next::Goes;
            }
            // A mark or a separator may be followed by a plain line.
            if !matches!(byte, 0xef | 0x1e | 0 | b' ' | b'\t' | b'\r') {
                self.is_line_start = false;
            }
            self.indent += usize::from(matches!(byte, b' ' | b'\t'));
            cut.done += skip;
            if self.is_line_start && self.arrays == 0 && matches!(byte, 0xef | 0x1e) {
                return Next::Goes;
            }
        }
    }

    fn begin(&mut self, from: usize) {
        let indent = if self.is_line_start { self.indent } else { 0 };
        self.is_line_start = false;
        self.inside = Inside::Value { from, at: from, indent, scanner: Scanner::new() };
    }
}

/// Whether a bracket with `behind` after it opens an array, and not a log line's `[INFO]` or a settings file's `[section]`.
fn starts_array(behind: &[u8], is_last: bool) -> Option<bool> {
    match first_byte(behind) {
        Some(byte) => Some(matches!(byte, b'{' | b'[' | b']' | b'"')),
        None if is_last || behind.len() > MAX_LOOK_AHEAD_BYTES => Some(true),
        None => None,
    }
}

/// Length of the assignment that makes JSON a script, 0 when there is none.
fn assignment(bytes: &[u8], is_last: bool) -> Option<usize> {
    if !bytes[0].is_ascii_alphabetic() {
        return Some(0);
    }
    let bytes = &bytes[..bytes.len().min(MAX_ASSIGNMENT_BYTES)];
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$');
    let is_blank = |byte: &u8| byte.is_ascii_whitespace();
    let (mut at, mut words) = (0, 0);
    loop {
        let name = bytes[at..].iter().take_while(|byte| is_name(byte)).count();
        let blank = bytes[at + name..].iter().take_while(|byte| is_blank(byte)).count();
        at += name + blank;
        match bytes.get(at) {
            Some(b'=') => {
                let blank = bytes[at + 1..].iter().take_while(|byte| is_blank(byte)).count();
                return match bytes.get(at + 1 + blank) {
                    Some(b'[' | b'{') => Some(at + 1),
                    None if !is_last && bytes.len() < MAX_ASSIGNMENT_BYTES => None,
                    _ => Some(0),
                };
            }
            // `var name = [`
            Some(_) if name > 0 && blank > 0 && words == 0 => words += 1,
            None if !is_last && bytes.len() < MAX_ASSIGNMENT_BYTES => return None,
            _ => return Some(0),
        }
    }
}
