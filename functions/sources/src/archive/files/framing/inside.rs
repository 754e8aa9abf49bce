//! A value whose end has not come yet: followed to its end, whatever it is.

use std::io::Read;

use super::buffer::{Cut, Span, newlines};
use super::{Framer, Next};
use crate::archive::MAX_LINE_BYTES;
use crate::archive::files::scanner::{Found, Salvage, Scanner, starts_value};

/// A value without its end yet. Offsets count from the start of the buffer.
#[derive(Debug)]
pub(super) enum Inside {
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
pub(super) enum LongRest {
    /// Goes on to where the value ends.
    Value(Scanner),
    /// Goes on to the end of the line.
    Line,
    /// Skips to a line that starts like a value.
    Lines,
}

impl Inside {
    /// The bytes before `done` have gone.
    pub(super) fn shift(&mut self, done: usize) {
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

impl<R: Read> Framer<R> {
    pub(super) fn value(&mut self, cut: &mut Cut, from: usize, at: usize, indent: usize, mut scanner: Scanner) -> Next {
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

    pub(super) fn broken(
        &mut self,
        cut: &mut Cut,
        from: usize,
        at: usize,
        bad_at: usize,
        mut salvage: Salvage,
    ) -> Next {
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

    pub(super) fn other_line(&mut self, cut: &mut Cut, from: usize, at: usize) -> Next {
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

    pub(super) fn long(&mut self, cut: &mut Cut, from: usize, mut lines: u64, mut rest: LongRest) -> Next {
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

/// Where a value at `from` is broken, detected at the end of `bytes`: when the next line starts like that, it is the
/// first line that was cut off. (A first line of a bracket only is a value over several lines.)
fn first_bad(bytes: &[u8], from: usize) -> usize {
    match memchr::memchr(b'\n', &bytes[from..]) {
        Some(newline) if newline > 2 && bytes[from + newline..].trim_ascii().is_empty() => from + newline,
        _ => bytes.len(),
    }
}
