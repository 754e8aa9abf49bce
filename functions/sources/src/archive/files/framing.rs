//! Text cut into JSON values.
//!
//! One object a line is the rule, and such lines pass at full speed: only their ends are looked at. Anything
//! else is followed byte by byte: arrays (whose elements come one by one), values over several lines, several values
//! on a line, record separators (RFC 7464), and the assignment before the array of an account export.

use std::io::{self, Read};

use super::super::MAX_LINE_BYTES;
use super::scanner::{Found, Salvage, Scanner, starts_value};

/// Longest assignment before an array, such as `window.YTD.tweets.part0 = `.
const MAX_ASSIGNMENT_BYTES: usize = 200;
/// White space behind a bracket that is looked through for what follows.
const MAX_LOOK_AHEAD_BYTES: usize = 4096;
/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Where one value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Its first line, from 1.
    pub(super) line: u64,
}

/// What was cut off a text at once.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Its first line.
    pub(super) first_line: u64,
    /// The values in it; without a list each line is one.
    pub(super) spans: Option<Vec<Span>>,
}

/// Cuts the output of a reader.
pub(super) struct Framer<R> {
    reader: R,
    /// Values are handed on as they come, and not only when there are many.
    is_stream: bool,
    chunk_bytes: usize,
    /// What was read and not cut yet.
    rest: Vec<u8>,
    /// Line of the first byte of `rest`.
    line: u64,
    inside: Inside,
    /// Arrays around the next value.
    arrays: u64,
    /// Whether `rest` is at the start of a line.
    is_line_start: bool,
    /// Blanks since the start of the line.
    indent: usize,
    is_over: bool,
    failure: Option<io::Error>,
}

/// A value without its end yet. Offsets count from the start of the buffer.
#[derive(Debug)]
enum Inside {
    Nothing,
    Value {
        from: usize,
        at: usize,
        indent: usize,
        scanner: Scanner,
    },
    /// A value that is not JSON.
    Broken {
        from: usize,
        at: usize,
        bad_at: usize,
        salvage: Salvage,
    },
    /// A line that is no JSON, read up to `at`.
    Line {
        from: usize,
        at: usize,
    },
    /// A value longer than [`MAX_LINE_BYTES`], of which no more than that is kept.
    Long {
        from: usize,
        lines: u64,
        rest: LongRest,
    },
}

#[derive(Debug)]
enum LongRest {
    /// Goes on to where the value ends.
    Value(Scanner),
    /// Goes on to the end of the line.
    Line,
    /// Skips to a line that starts like a value.
    Lines,
}

/// Whether more bytes are needed to cut on.
#[derive(PartialEq)]
enum Next {
    Goes,
    NeedsMore,
}

impl<R: Read> Framer<R> {
    pub(super) fn new(reader: R, chunk_bytes: usize, is_stream: bool) -> Self {
        Self {
            reader,
            is_stream,
            chunk_bytes,
            rest: vec![],
            line: 1,
            inside: Inside::Nothing,
            arrays: 0,
            is_line_start: true,
            indent: 0,
            is_over: false,
            failure: None,
        }
    }

    /// The error that ended the text, and the last whole line before it.
    pub(super) fn into_failure(self) -> Option<(io::Error, u64)> {
        let line = self.line - 1;
        self.failure.map(|error| (error, line))
    }

    /// Whether the text ended before an array did.
    pub(super) fn ends_in_array(&self) -> bool {
        self.is_over && self.failure.is_none() && self.arrays > 0
    }

    /// The next values: about as many as fill a chunk, from a stream those that are there.
    pub(super) fn next_piece(&mut self) -> Option<Piece> {
        let mut cut = Cut { bytes: std::mem::take(&mut self.rest), done: 0, spans: None };
        let first_line = self.line;
        loop {
            self.cut(&mut cut);
            if self.is_over || (cut.done > 0 && (self.is_stream || cut.bytes.len() >= self.chunk_bytes)) {
                break;
            }
            self.fill(&mut cut.bytes);
        }
        if self.is_over {
            cut.bytes.truncate(cut.done);
        } else {
            self.rest = cut.bytes.split_off(cut.done);
            self.inside.shift(cut.done);
        }
        (!cut.bytes.is_empty()).then_some(Piece { bytes: cut.bytes, first_line, spans: cut.spans })
    }

    fn fill(&mut self, bytes: &mut Vec<u8>) {
        let want = self.chunk_bytes.saturating_sub(bytes.len()).max(16 << 10);
        let before = bytes.len();
        let read = if self.is_stream {
            bytes.resize(before + want, 0);
            let read = self.reader.read(&mut bytes[before..]);
            bytes.truncate(before + *read.as_ref().unwrap_or(&0));
            read
        } else {
            (&mut self.reader).take(want as u64).read_to_end(bytes)
        };
        match read {
            Ok(0) => self.is_over = true,
            Ok(_) => (),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => {
                self.is_over = true;
                self.failure = Some(error);
            }
        }
    }

    fn cut(&mut self, cut: &mut Cut) {
        loop {
            let next = match std::mem::replace(&mut self.inside, Inside::Nothing) {
                Inside::Nothing if self.is_line_start && self.arrays == 0 => match self.lines(cut) {
                    Next::Goes if matches!(self.inside, Inside::Nothing) => self.between(cut),
                    next => next,
                },
                Inside::Nothing => self.between(cut),
                Inside::Value { from, at, indent, scanner } => self.value(cut, from, at, indent, scanner),
                Inside::Broken { from, at, bad_at, salvage } => self.broken(cut, from, at, bad_at, salvage),
                Inside::Line { from, at } => self.other_line(cut, from, at),
                Inside::Long { from, lines, rest } => self.long(cut, from, lines, rest),
            };
            if next == Next::NeedsMore {
                return;
            }
        }
    }

    /// Cuts lines of one object each, as long as there are such.
    fn lines(&mut self, cut: &mut Cut) -> Next {
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

    /// Between values: skips separators, and looks at the first byte of the next value.
    fn between(&mut self, cut: &mut Cut) -> Next {
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

    fn value(&mut self, cut: &mut Cut, from: usize, at: usize, indent: usize, mut scanner: Scanner) -> Next {
        match scanner.scan(&cut.bytes[at..]) {
            Found::End(length) => self.put(cut, from, at + length),
            // What an error cut off is part of that error, and no value.
            Found::More if self.failure.is_some() => Next::NeedsMore,
            Found::More if self.is_over && scanner.may_end() => self.put(cut, from, cut.bytes.len()),
            Found::More if self.is_over => {
                let bad_at = cut.bytes.len();
                self.inside = Inside::Broken { from, at: from, bad_at, salvage: Salvage::new(indent) };
                Next::Goes
            }
            Found::More => {
                let at = cut.bytes.len();
                if at - from > MAX_LINE_BYTES {
                    let lines = cut.keep_no_more(from);
                    self.inside = Inside::Long { from, lines, rest: LongRest::Value(scanner) };
                } else {
                    self.inside = Inside::Value { from, at, indent, scanner };
                }
                Next::NeedsMore
            }
            Found::Bad(length) => {
                let bad_at = first_bad(&cut.bytes[..at + length], from);
                self.inside = Inside::Broken { from, at: from, bad_at, salvage: Salvage::new(indent) };
                Next::Goes
            }
        }
    }

    fn broken(&mut self, cut: &mut Cut, from: usize, at: usize, bad_at: usize, mut salvage: Salvage) -> Next {
        match salvage.scan(&cut.bytes, at, bad_at, self.is_over) {
            Ok(to) if self.failure.is_some() && to == cut.bytes.len() => Next::NeedsMore,
            Ok(to) => self.put(cut, from, to),
            Err(at) => {
                if at - from > MAX_LINE_BYTES {
                    let rest = if cut.bytes[from..].contains(&b'\n') { LongRest::Lines } else { LongRest::Line };
                    let lines = cut.keep_no_more(from);
                    self.inside = Inside::Long { from, lines, rest };
                } else {
                    self.inside = Inside::Broken { from, at, bad_at, salvage };
                }
                Next::NeedsMore
            }
        }
    }

    fn other_line(&mut self, cut: &mut Cut, from: usize, at: usize) -> Next {
        match memchr::memchr2(b'\n', 0x1e, &cut.bytes[at..]) {
            Some(length) => self.put(cut, from, at + length),
            None if self.failure.is_some() => Next::NeedsMore,
            None if self.is_over => self.put(cut, from, cut.bytes.len()),
            None => {
                let at = cut.bytes.len();
                if at - from > MAX_LINE_BYTES {
                    let lines = cut.keep_no_more(from);
                    self.inside = Inside::Long { from, lines, rest: LongRest::Line };
                } else {
                    self.inside = Inside::Line { from, at };
                }
                Next::NeedsMore
            }
        }
    }

    fn long(&mut self, cut: &mut Cut, from: usize, mut lines: u64, mut rest: LongRest) -> Next {
        let kept = from + MAX_LINE_BYTES + 1;
        let more = &cut.bytes[kept..];
        let end = match &mut rest {
            LongRest::Value(scanner) => match scanner.scan(more) {
                Found::End(length) => Some(length),
                Found::Bad(length) => match memchr::memchr(b'\n', &more[length..]) {
                    Some(newline) => Some(length + newline),
                    None => {
                        rest = LongRest::Line;
                        None
                    }
                },
                Found::More => None,
            },
            LongRest::Line => memchr::memchr(b'\n', more),
            LongRest::Lines => {
                memchr::memchr_iter(b'\n', more).find(|newline| starts_value(&more[newline + 1..], 0) == Some(true))
            }
        };
        let Some(end) = end.or(self.is_over.then_some(more.len())) else {
            // The last byte may be the newline that is looked for.
            let keep = usize::from(more.last() == Some(&b'\n'));
            lines += newlines(&more[..more.len() - keep]);
            cut.bytes.drain(kept..cut.bytes.len() - keep);
            self.inside = Inside::Long { from, lines, rest };
            return Next::NeedsMore;
        };
        lines += newlines(&more[..end]);
        cut.bytes.drain(kept..kept + end);
        let next = self.put(cut, from, kept);
        self.line += lines;
        next
    }

    fn put(&mut self, cut: &mut Cut, from: usize, to: usize) -> Next {
        let line = self.line;
        cut.spans.get_or_insert_default().push(Span { from, to, line });
        self.line += newlines(&cut.bytes[from..to]);
        cut.done = to;
        Next::Goes
    }
}

impl Inside {
    /// The bytes before `done` have gone.
    fn shift(&mut self, done: usize) {
        match self {
            Self::Nothing => (),
            Self::Value { from, at, .. } | Self::Line { from, at } => (*from, *at) = (*from - done, *at - done),
            Self::Broken { from, at, bad_at, .. } => {
                (*from, *at, *bad_at) = (*from - done, *at - done, *bad_at - done);
            }
            Self::Long { from, .. } => *from -= done,
        }
    }
}

/// A buffer, and how far it is cut.
struct Cut {
    bytes: Vec<u8>,
    done: usize,
    /// None as long as all before `done` are lines of one value each.
    spans: Option<Vec<Span>>,
}

impl Cut {
    /// Turns the lines before `to`, of which the last one is the line before `line`, into a list.
    fn list_lines(&mut self, line: u64, to: usize) {
        if self.spans.is_some() {
            return;
        }
        let mut line = line - newlines(&self.bytes[..to]);
        let mut from = 0;
        let spans = memchr::memchr_iter(b'\n', &self.bytes[..to]).map(|to| {
            let span = Span { from, to, line };
            (from, line) = (to + 1, line + 1);
            span
        });
        self.spans = Some(spans.collect());
    }

    /// Drops the end of a value that is too long; how many line ends that had.
    fn keep_no_more(&mut self, from: usize) -> u64 {
        let kept = from + MAX_LINE_BYTES + 1;
        let lines = newlines(&self.bytes[kept..]);
        self.bytes.truncate(kept);
        lines
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Where a value at `from` is broken, detected at the end of `bytes`: when the next line starts like that, it is the
/// first line that was cut off. (A first line of a bracket only is a value over several lines.)
fn first_bad(bytes: &[u8], from: usize) -> usize {
    match memchr::memchr(b'\n', &bytes[from..]) {
        Some(newline) if newline > 2 && bytes[from + newline..].trim_ascii().is_empty() => from + newline,
        _ => bytes.len(),
    }
}

/// Whether a line looks like one object, or is blank.
fn is_plain(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || (line[0] == b'{' && line[line.len() - 1] == b'}')
}

fn first_byte(bytes: &[u8]) -> Option<u8> {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()).copied()
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

/// The values in one line that the JSON reader refused as a whole; nothing when it has only one.
pub(super) fn values(line: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut framer = Framer::new(io::empty(), usize::MAX, false);
    framer.is_over = true;
    framer.is_line_start = false;
    let mut cut = Cut { bytes: line.to_vec(), done: 0, spans: Some(vec![]) };
    framer.cut(&mut cut);
    let spans = cut.spans.unwrap_or_default();
    let is_one = spans.len() == 1 && line[spans[0].from..spans[0].to].trim_ascii().len() == line.trim_ascii().len();
    (!spans.is_empty() && !is_one).then(|| spans.iter().map(|span| (span.from, span.to)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Gives pieces of changing size.
    struct Pieces<'a> {
        bytes: &'a [u8],
        sizes: std::iter::Cycle<std::iter::Copied<std::slice::Iter<'a, usize>>>,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.sizes.next().unwrap_or(1).min(buffer.len()).min(self.bytes.len());
            buffer[..n].copy_from_slice(&self.bytes[..n]);
            self.bytes = &self.bytes[n..];
            Ok(n)
        }
    }

    /// Each value as its line and text, with lines of several values split as the reader of lines does.
    fn cut(bytes: &[u8], sizes: &[usize], chunk_bytes: usize, is_stream: bool) -> Vec<(u64, String)> {
        let reader = Pieces { bytes, sizes: sizes.iter().copied().cycle() };
        let mut framer = Framer::new(reader, chunk_bytes, is_stream);
        let mut all = vec![];
        while let Some(piece) = framer.next_piece() {
            let chunk = super::super::Chunk {
                file: "".into(),
                read_bytes: 0,
                bytes: piece.bytes,
                first_line: piece.first_line,
                spans: piece.spans,
            };
            for (line, value) in chunk.values().filter(|(_, value)| !value.trim_ascii().is_empty()) {
                let is_json = serde_json::from_slice::<Value>(value).is_ok();
                let values = if is_json { None } else { super::super::values(value) };
                for value in values.unwrap_or_else(|| vec![value]) {
                    all.push((line, String::from_utf8_lossy(value).trim().to_owned()));
                }
            }
        }
        assert!(framer.into_failure().is_none());
        all
    }

    fn at_once(text: &str) -> Vec<(u64, String)> {
        let all = cut(text.as_bytes(), &[usize::MAX], 1 << 20, false);
        for (chunk_bytes, is_stream) in [(1, false), (7, true), (64, false)] {
            for sizes in [&[1][..], &[3, 1, 17], &[1 << 20]] {
                assert_eq!(cut(text.as_bytes(), sizes, chunk_bytes, is_stream), all, "{text}");
            }
        }
        all
    }

    fn lines(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
    }

    #[test]
    fn a_broken_line_costs_that_line_only() {
        for (text, expected) in [
            ("{\"a\"\nsome\nwords\n{\"b\":2}\n", &[(1, "{\"a\""), (2, "some"), (3, "words"), (4, "{\"b\":2}")][..]),
            (" {\"a\":\n {\"b\":2}\n {\"c\":3}\n", &[(1, "{\"a\":"), (2, "{\"b\":2}"), (3, "{\"c\":3}")]),
            ("{\"a\":1,\n{\"b\":2}\n", &[(1, "{\"a\":1,"), (2, "{\"b\":2}")][..]),
            ("{\"a\":\n{\"b\":{}}\n{\"c\":3}\n", &[(1, "{\"a\":"), (2, "{\"b\":{}}"), (3, "{\"c\":3}")]),
            ("{\"a\":\"te\n\n{\"b\":2}\n", &[(1, "{\"a\":\"te"), (3, "{\"b\":2}")]),
            ("{\"a\":{\"b\":1}\n{\"c\":2}\n{\"d\":3}", &[(1, "{\"a\":{\"b\":1}"), (2, "{\"c\":2}"), (3, "{\"d\":3}")]),
            ("{\"a\":1}\n{\"b\":", &[(1, "{\"a\":1}"), (2, "{\"b\":")]),
            (
                "{no\nnor this\n{\"b\":2}\nnor [that]\n",
                &[(1, "{no"), (2, "nor this"), (3, "{\"b\":2}"), (4, "nor [that]")],
            ),
            ("[INFO] a\n{\"b\":2}\n", &[(1, "[INFO] a"), (2, "{\"b\":2}")]),
            ("{\"a\":1}}\n{\"b\":2}\n", &[(1, "{\"a\":1}"), (1, "}"), (2, "{\"b\":2}")]),
        ] {
            assert_eq!(at_once(text), lines(expected), "{text}");
        }
    }

    #[test]
    fn a_broken_element_costs_that_element_only() {
        let text = r#"[{"a":1},{"b":,},{"c":3}]"#;
        assert_eq!(at_once(text), lines(&[(1, r#"{"a":1}"#), (1, r#"{"b":,}"#), (1, r#"{"c":3}"#)]));
        let text = "[\n  {\n    \"a\": 1,,\n    \"x\": {}\n  },\n  {\n    \"b\": 2\n  }\n]\n";
        let all = at_once(text);
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!((all[0].0, all[1].0), (2, 6), "{all:?}");
        let text = "[\n  {\n    \"a\": [\n  },\n  {\n    \"b\": 2\n  }\n]\n";
        let all: Vec<_> = at_once(text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(all, [2, 5]);
    }

    #[test]
    fn a_value_may_continue_behind_a_line_that_looks_whole() {
        let text = "{\"a\":{\"b\":1}\n,\"c\":2}\n{\"d\":{}\n}\n";
        assert_eq!(at_once(text), lines(&[(1, "{\"a\":{\"b\":1}\n,\"c\":2}"), (3, "{\"d\":{}\n}")]));
    }

    #[test]
    fn marks_separators_assignments_and_zeros_are_no_values() {
        let text = "\u{feff}{\"a\":1}\n\u{feff}{\"b\":2}\n\u{1e}{\"c\":3}\n\u{1e}{\"d\":4}\u{1e}{\"e\":5}\u{feff}{\"f\":6}\n\0\0";
        let all: Vec<_> = at_once(text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(all, [1, 2, 3, 4, 4, 4]);
        for begin in
            ["window.YTD.tweets.part0 = [", "Grailbird.data.tweets_2014_01 =\n [", "var x=[", "\n\nlet a = [\n"]
        {
            let text = format!("{begin}{{\"a\":1}},\n{{\"b\":2}}];\n");
            let all: Vec<_> = at_once(&text).into_iter().map(|(_, text)| text).collect();
            assert_eq!(all, ["{\"a\":1}", "{\"b\":2}"], "{begin}");
        }
    }

    #[test]
    fn a_value_that_is_too_long_is_one_and_the_next_is_right() {
        let long = "x".repeat(MAX_LINE_BYTES + 100_000);
        for (text, line, next) in [
            (format!("{{\"a\":1}}\n{{\"t\":\"{long}\"}}\n{{\"b\":2}}\n"), 2, 3),
            (format!("[{{\"a\":1}},\n{{\"t\":\n\"{long}\",\n\"u\":[]}},\n{{\"b\":2}}]\n"), 2, 5),
            (format!("{{\"a\":1}}\n{{\"t\":\"{long}\n{{\"b\":2}}\n"), 2, 3),
            (format!("{{\"a\":1}}\n{long}\n{{\"b\":2}}\n"), 2, 3),
        ] {
            for (sizes, chunk_bytes, is_stream) in [(1 << 30, 1 << 19, false), (65_536, 1 << 13, true)] {
                let all = cut(text.as_bytes(), &[sizes], chunk_bytes, is_stream);
                let begins: Vec<_> = all.iter().map(|(line, text)| (*line, text.len() > MAX_LINE_BYTES)).collect();
                assert_eq!(begins, [(1, false), (line, true), (next, false)], "{}", &text[..40]);
                assert!(all[1].1.len() <= MAX_LINE_BYTES + 1);
            }
        }
    }

    #[test]
    fn a_long_array_is_read_in_pieces() {
        let text = format!("[{}]", vec![r#"{"id":"1","text":"]},{["}"#; 10_000].join(","));
        let mut framer = Framer::new(text.as_bytes(), 4096, false);
        let mut count = 0;
        while let Some(piece) = framer.next_piece() {
            assert!(piece.bytes.len() < 64 << 10);
            count += piece.spans.unwrap().len();
        }
        assert_eq!(count, 10_000);
        assert!(!framer.ends_in_array());
        let mut framer = Framer::new(&text.as_bytes()[..text.len() - 1], 4096, false);
        while framer.next_piece().is_some() {}
        assert!(framer.ends_in_array());
    }

    fn objects() -> impl Strategy<Value = Vec<Value>> {
        let text = proptest::string::string_regex("[\"\\\\{}\\[\\],:a\u{e9}\u{1f600}\n\t\u{1e} \u{feff}]{0,8}")
            .unwrap()
            .boxed();
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(text.clone(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        });
        let object = proptest::collection::hash_map("[a-c]", value, 0..4).prop_map(|map| map.into_iter().collect());
        proptest::collection::vec(object, 1..12)
    }

    /// One way to write objects; each has its first line.
    fn joined(objects: &[Value], way: usize) -> (String, Vec<u64>) {
        // (before all, before each but the first, between, behind all, pretty)
        let (begin, between, end, is_pretty) = [
            ("", "\n", "\n", false),
            ("\u{feff}", "\r\n", "", false),
            ("", "", "", false),
            ("", " ", "\n", false),
            ("[", ",", "]", false),
            ("[\n", ",\n", "\n]\n", false),
            ("[", "\n,", "\n]", false),
            ("[[", ",", "]]", false),
            ("[", "]\n[", "]\n", false),
            ("[", "],[", "]", false),
            ("[\n[", "],\n[", "]\n]", false),
            ("", "\n", "\n", true),
            ("", "", "", true),
            ("[\n", ",\n", "\n]", true),
            ("\u{1e}", "\n\u{1e}", "\n", false),
            ("\u{1e}", "\n\u{1e}", "\n", true),
            ("window.YTD.tweets.part0 = [ ", ", ", " ]", true),
            ("\n\n", "\n\n\u{feff}", "\n\n", false),
            ("", ",\n", "\n", false),
            ("[", ",", "", false),
        ][way];
        let (mut text, mut lines) = (begin.to_owned(), vec![]);
        for (n, object) in objects.iter().enumerate() {
            text.push_str(if n > 0 { between } else { "" });
            lines.push(1 + newlines(text.as_bytes()));
            text.push_str(&if is_pretty { serde_json::to_string_pretty(object).unwrap() } else { object.to_string() });
        }
        text.push_str(end);
        (text, lines)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn any_values_joined_in_any_way_and_cut_anywhere_come_out_the_same(
            objects in objects(),
            way in 0..20usize,
            sizes in proptest::collection::vec(1..40usize, 1..6),
            chunk_bytes in 1..200usize,
            is_stream in any::<bool>(),
        ) {
            let (text, lines) = joined(&objects, way);
            let all = cut(text.as_bytes(), &sizes, chunk_bytes, is_stream);
            let values: Vec<Value> = all.iter().map(|(_, text)| serde_json::from_str(text).unwrap_or(Value::from("?"))).collect();
            prop_assert_eq!(&values, &objects, "{}", text);
            let begins: Vec<_> = all.iter().map(|(line, _)| *line).collect();
            prop_assert_eq!(begins, lines, "{}", text);
        }

        #[test]
        fn a_line_that_is_cut_anywhere_costs_that_line_only(
            objects in objects(),
            which in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            sizes in proptest::collection::vec(1..40usize, 1..6),
            chunk_bytes in 1..200usize,
            is_stream in any::<bool>(),
        ) {
            let mut lines: Vec<String> = objects.iter().map(Value::to_string).collect();
            let which = which.index(lines.len());
            let mut end = 1 + at.index(lines[which].len() - 1);
            while !lines[which].is_char_boundary(end) {
                end += 1;
            }
            prop_assume!(end < lines[which].len());
            lines[which].truncate(end);
            let text = lines.join("\n");
            let all = cut(text.as_bytes(), &sizes, chunk_bytes, is_stream);
            let expected: Vec<_> = (1..).zip(lines.iter().map(|line| line.trim().to_owned())).collect();
            prop_assert_eq!(all, expected, "{}", text);
        }

        #[test]
        fn whatever_it_is_nothing_crashes_and_cuts_do_not_matter(
            bytes in proptest::collection::vec(proptest::sample::select(&b"{}[]\",:\\\n\r 1a=\x1e\xef\xbb\xbf\0"[..]), 0..80),
            sizes in proptest::collection::vec(1..9usize, 1..4),
            chunk_bytes in 1..50usize,
        ) {
            let all = cut(&bytes, &[usize::MAX], 1 << 20, false);
            prop_assert_eq!(cut(&bytes, &sizes, chunk_bytes, false), all);
        }
    }
}
