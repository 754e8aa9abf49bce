//! The bytes that were read, and the values that were found in them.

use crate::archive::MAX_LINE_BYTES;

/// Where one value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive::files) struct Span {
    pub(in crate::archive::files) from: usize,
    pub(in crate::archive::files) to: usize,
    /// Its first line, from 1.
    pub(in crate::archive::files) line: u64,
}

/// A buffer, and how far it is cut.
pub(super) struct Cut {
    pub(super) bytes: Vec<u8>,
    pub(super) done: usize,
    /// None as long as all before `done` are lines of one value each.
    pub(super) spans: Option<Vec<Span>>,
}

impl Cut {
    /// Turns the lines before `to`, of which the last one is the line before `line`, into a list.
    pub(super) fn list_lines(&mut self, line: u64, to: usize) {
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
    pub(super) fn keep_no_more(&mut self, from: usize) -> u64 {
        let kept = from + MAX_LINE_BYTES + 1;
        let lines = newlines(&self.bytes[kept..]);
        self.bytes.truncate(kept);
        lines
    }
}

pub(super) fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
