//! The fast path: lines of one object each, of which only the ends are looked at.

use std::io::Read;

use super::buffer::{Cut, Span};
use super::inside::Inside;
use super::{Framer, Next, first_byte};
use crate::archive::files::scanner::{Found, Scanner};

impl<R: Read> Framer<R> {
    /// Cuts lines of one object each, as long as there are such.
    pub(super) fn lines(&mut self, cut: &mut Cut) -> Next {
        let mut from = cut.done;
        let mut last = None;
        let mut is_odd = false;
        for newline in memchr::memchr_iter(b'\n', &cut.bytes[from..]) {
            let to = cut.done + newline;
            if !is_plain(&cut.bytes[from..to]) {
                is_odd = true;
                break;
            }
            if let Some(spans) = &mut cut.spans {
                spans.push(Span { from, to, line: self.line });
            }
            last = Some(from);
            from = to + 1;
            self.line += 1;
        }
        cut.done = from;
        // The last of them may be the start of a value that continues in the next line.
        if let Some(last) = last
            && cut.bytes[last..from].iter().any(|byte| !byte.is_ascii_whitespace())
            && (!is_odd || matches!(first_byte(&cut.bytes[from..]), Some(b',' | b':' | b'}' | b']' | b'"')))
        {
            let begin = last + cut.bytes[last..from].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let mut scanner = Scanner::new();
            if scanner.scan(&cut.bytes[begin..from]) == Found::More {
                self.line -= 1;
                if let Some(spans) = &mut cut.spans {
                    spans.pop();
                }
                cut.list_lines(self.line, last);
                cut.done = begin;
                self.is_line_start = false;
                self.inside = Inside::Value { from: begin, at: from, indent: begin - last, scanner };
                return Next::Goes;
            }
        }
        let is_waiting = !is_odd && !self.is_over && cut.bytes.len() - from < self.chunk_bytes;
        if is_waiting || from == cut.bytes.len() {
            return Next::NeedsMore;
        }
        cut.list_lines(self.line, from);
        self.indent = 0;
        Next::Goes
    }
}

/// Whether a line looks like one object, or is blank.
fn is_plain(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || (line[0] == b'{' && line[line.len() - 1] == b'}')
}
