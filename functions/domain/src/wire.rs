//! Small binary building blocks of the stored state: variable-length integers (LEB128) and
//! length-prefixed text. One value has exactly one encoding, which is what makes stored windows
//! comparable byte for byte.

/// Stored bytes that cannot be read: our own corruption, so never skipped silently (rule 4.6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored state is damaged at byte {at}: {what}")]
pub struct DecodeError {
    /// Offset of the first byte that makes no sense.
    pub at: usize,
    /// What was expected there.
    pub what: &'static str,
}

/// Appends `value` as LEB128, 1 to 10 bytes.
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed value, zigzag then LEB128.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends bytes behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what the `put_` functions wrote; every method fails rather than guesses.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// An error at the current offset.
    #[must_use]
    pub fn error(&self, what: &'static str) -> DecodeError {
        DecodeError { at: self.at, what }
    }

    /// The next byte.
    ///
    /// # Errors
    /// At the end of the bytes.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(self.error("a byte"))?;
        self.at += 1;
        Ok(byte)
    }

    /// The next unsigned integer.
    ///
    /// # Errors
    /// When it is cut off, longer than 64 bits, or not in its shortest form: a value has one form (rule 1.8).
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.error("an integer of at most 64 bits"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(self.error("the shortest form of an integer"));
                }
                return Ok(value);
            }
        }
        Err(self.error("an integer of at most ten bytes"))
    }

    /// The next signed integer.
    ///
    /// # Errors
    /// As [`Reader::u64`].
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        let raw = self.u64()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// The next length-prefixed bytes.
    ///
    /// # Errors
    /// When fewer bytes are left than the length states.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.u64()?).map_err(|_| self.error("a length"))?;
        let end = self.at.checked_add(len).ok_or(self.error("a length"))?;
        let slice = self.bytes.get(self.at..end).ok_or(self.error("as many bytes as the length states"))?;
        self.at = end;
        Ok(slice)
    }

    /// The next length-prefixed bytes as a separate reader. Its offsets are ours.
    ///
    /// # Errors
    /// As [`Reader::bytes`].
    pub fn part(&mut self) -> Result<Self, DecodeError> {
        let length = self.bytes()?.len();
        Ok(Self { bytes: &self.bytes[..self.at], at: self.at - length })
    }

    /// The next length-prefixed text.
    ///
    /// # Errors
    /// As [`Reader::bytes`], and when it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let at = self.at;
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError { at, what: "UTF-8 text" })
    }

    /// All bytes that are left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// All bytes that are left; none are left then.
    pub fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.at = self.bytes.len();
        rest
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// When there is.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.error("the end")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_read_back(a: u64, b: i64, text in "\\PC{0,20}") {
            let mut out = Vec::new();
            put_u64(&mut out, a);
            put_i64(&mut out, b);
            put_bytes(&mut out, text.as_bytes());
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.u64(), Ok(a));
            prop_assert_eq!(reader.i64(), Ok(b));
            prop_assert_eq!(reader.text(), Ok(text.as_str()));
            prop_assert!(reader.finish().is_ok());
        }

        #[test]
        fn an_integer_has_64_bits(more in 2u8..=0x7f) {
            let of = |last: u8| [[0xff; 9].as_slice(), &[last]].concat();
            prop_assert_eq!(Reader::new(&of(1)).u64(), Ok(u64::MAX));
            prop_assert!(Reader::new(&of(more)).u64().is_err());
        }

        #[test]
        fn an_integer_has_one_form(value: u64) {
            let mut out = Vec::new();
            put_u64(&mut out, value);
            // The same value, with a byte of zeros behind it.
            *out.last_mut().unwrap() |= 0x80;
            out.push(0);
            prop_assert!(Reader::new(&out).u64().is_err());
        }

        #[test]
        fn damaged_bytes_are_errors_not_panics(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.bytes().is_ok() {}
            let _ = Reader::new(&bytes).u64();
        }
    }
}
