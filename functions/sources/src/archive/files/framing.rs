//! Text cut into JSON values.
//!
//! One object a line is the rule, and such lines pass at full speed: only their ends are looked at. Anything
//! else is followed byte by byte: arrays (whose elements come one by one), values over several lines, several values
//! on a line, record separators (RFC 7464), and the assignment before the array of an account export.

mod between;
mod buffer;
mod inside;
mod lines;

use std::io::{self, Read};

use self::buffer::Cut;
use self::inside::Inside;

pub(super) use self::buffer::Span;

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

fn first_byte(bytes: &[u8]) -> Option<u8> {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()).copied()
}

#[cfg(test)]
mod tests;
