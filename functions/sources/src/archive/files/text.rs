//! UTF-16, read as UTF-8.

use std::io::{self, Read};

/// Which byte of a unit comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// Converts UTF-16 to UTF-8. Half a surrogate pair becomes U+FFFD. A byte order mark in the middle, as in files
/// that were joined, stays; one of the other order switches the order.
pub(super) struct Utf16<R> {
    inner: R,
    order: Order,
    /// Bytes read; those of the last unit may not be complete.
    raw: Vec<u8>,
    /// The first half of a pair.
    high: Option<u16>,
    text: Vec<u8>,
    /// Number of bytes of `text` that were returned.
    given: usize,
    is_over: bool,
}

const RAW_BYTES: usize = 64 << 10;

impl<R: Read> Utf16<R> {
    pub(super) fn new(inner: R, order: Order) -> Self {
        Self { inner, order, raw: vec![], high: None, text: vec![], given: 0, is_over: false }
    }

    fn decode(&mut self) {
        self.text.clear();
        self.given = 0;
        let whole = self.raw.len() / 2 * 2;
        for pair in self.raw[..whole].chunks_exact(2) {
            let unit = match self.order {
                Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
                Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
            };
            match (self.high.take(), unit) {
                (Some(high), 0xdc00..=0xdfff) => {
                    let code = 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00);
                    put(&mut self.text, code);
                    continue;
                }
                (Some(_), _) => put(&mut self.text, 0xfffd),
                (None, _) => (),
            }
            match unit {
                0xd800..=0xdbff => self.high = Some(unit),
                // U+FEFF as the other order has it: no character is there.
                0xfffe => {
                    self.order = if self.order == Order::Little { Order::Big } else { Order::Little };
                    put(&mut self.text, 0xfeff);
                }
                _ => put(&mut self.text, u32::from(unit)),
            }
        }
        self.raw.drain(..whole);
        if self.is_over && (self.high.take().is_some() || !self.raw.is_empty()) {
            self.raw.clear();
            put(&mut self.text, 0xfffd);
        }
    }
}

/// Anything that is no character, such as half a pair, is U+FFFD.
fn put(text: &mut Vec<u8>, code: u32) {
    if code < 0x80 {
        text.push(code as u8);
        return;
    }
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.is_over {
            let before = self.raw.len();
            self.raw.resize(RAW_BYTES, 0);
            let read = self.inner.read(&mut self.raw[before..]);
            self.raw.truncate(before + *read.as_ref().unwrap_or(&0));
            self.is_over = read? == 0;
            self.decode();
        }
        let n = buffer.len().min(self.text.len() - self.given);
        buffer[..n].copy_from_slice(&self.text[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buffer.len()).min(1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read(bytes: &[u8], order: Order) -> String {
        let (mut at_once, mut in_drops) = (String::new(), String::new());
        Utf16::new(bytes, order).read_to_string(&mut at_once).unwrap();
        Utf16::new(Drops(bytes), order).read_to_string(&mut in_drops).unwrap();
        assert_eq!(at_once, in_drops);
        at_once
    }

    #[test]
    fn pairs_marks_and_halves_are_read_in_both_orders() {
        let text = "\u{feff}aé€😀\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&little, Order::Little), text);
        assert_eq!(read(&big, Order::Big), text);
        assert_eq!(read(&[little.clone(), big].concat(), Order::Little), format!("{text}{text}"));
        assert_eq!(read(&[0x3d, 0xd8, 0x41, 0, 0x00, 0xde, 0x42], Order::Little), "\u{fffd}A\u{fffd}\u{fffd}");
        assert_eq!(read(&[0x3d, 0xd8], Order::Little), "\u{fffd}");
        assert_eq!(read(&[], Order::Little), "");
    }
}
