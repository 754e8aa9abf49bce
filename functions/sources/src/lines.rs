//! Lines out of the chunks of a stream, in bounded memory.

/// Default limit of a line in [`Lines`].
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// One line, or what is left of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line without its end. May be empty.
    Line(&'a [u8]),
    /// The head of a line that is longer than the limit; the rest of it is skipped.
    Oversize(&'a [u8]),
}

/// Cuts chunks into lines that end with `\n` or `\r\n`, in bounded memory. A line within one
/// chunk is not copied.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// Start of a line whose end has not come yet.
    begun: Vec<u8>,
    is_skipping: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new(MAX_LINE_BYTES)
    }
}

impl Lines {
    /// Lines of up to `limit` bytes, the `\r` included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, begun: vec![], is_skipping: false }
    }

    /// Hands on every line that ends in `chunk`.
    pub fn take(&mut self, chunk: &[u8], mut each: impl FnMut(Piece<'_>)) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let part = &chunk[from..end];
            from = end + 1;
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            if self.begun.is_empty() {
                each(self.piece(part));
            } else {
                let room = self.limit + 1 - self.begun.len();
                self.begun.extend_from_slice(&part[..part.len().min(room)]);
                each(self.piece(&self.begun));
                self.begun.clear();
            }
        }
        let rest = &chunk[from..];
        if self.is_skipping || rest.is_empty() {
            return;
        }
        let room = self.limit + 1 - self.begun.len();
        self.begun.extend_from_slice(&rest[..rest.len().min(room)]);
        if self.begun.len() > self.limit {
            each(self.piece(&self.begun));
            self.is_skipping = true;
            self.begun = vec![];
        }
    }

    /// The stream has ended: hands on the start of a line whose end never came, if there is one.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        self.is_skipping = false;
        let begun = std::mem::take(&mut self.begun);
        (!begun.trim_ascii().is_empty()).then_some(begun)
    }

    fn piece<'a>(&self, line: &'a [u8]) -> Piece<'a> {
        if line.len() > self.limit {
            Piece::Oversize(&line[..self.limit])
        } else {
            Piece::Line(line.strip_suffix(b"\r").unwrap_or(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each line as text, an oversize one with a `!`.
    fn lines(limit: usize, chunks: &[&[u8]]) -> (Vec<String>, Option<Vec<u8>>) {
        let (mut lines, mut found) = (Lines::new(limit), vec![]);
        for chunk in chunks {
            lines.take(chunk, |piece| match piece {
                Piece::Line(line) => found.push(String::from_utf8_lossy(line).into_owned()),
                Piece::Oversize(head) => found.push(format!("{}!", String::from_utf8_lossy(head))),
            });
        }
        (found, lines.end())
    }

    #[test]
    fn line_ends_may_lie_between_chunks() {
        let (found, rest) = lines(9, &[b"a\r", b"\n\r\nb", b"c\n\n", b"d\re\n", b"f"]);
        assert_eq!(found, ["a", "", "bc", "", "d\re"]);
        assert_eq!(rest, Some(b"f".to_vec()));
        assert_eq!(lines(9, &[b"a\n\r"]).1, None, "half a keep-alive is no line");
    }

    #[test]
    fn a_line_that_is_too_long_is_reported_once_and_skipped_to_its_end() {
        assert_eq!(lines(4, &[b"12345\n1234\n"]).0, ["1234!", "1234"]);
        assert_eq!(lines(4, &[b"12", b"34", b"56", b"78", b"\n1\n"]).0, ["1234!", "1"]);
        assert_eq!(lines(4, &[b"123", b"456\n1\n"]).0, ["1234!", "1"]);
        assert_eq!(lines(4, &[b"123456", b"7", b"\r\n\r\n"]).0, ["1234!", ""]);
    }

    proptest! {
        #[test]
        fn the_cut_into_chunks_makes_no_difference(
            text in "[ab\r\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..8), limit in 1usize..9,
        ) {
            let bytes = text.as_bytes();
            let mut at: Vec<_> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let chunks: Vec<_> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = lines(limit, &[bytes]);
            prop_assert_eq!(&lines(limit, &chunks), &whole);
            let ended = bytes.iter().filter(|b| **b == b'\n').count();
            prop_assert!((ended..=ended + 1).contains(&whole.0.len()));
        }
    }
}
