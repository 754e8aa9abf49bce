//! Where the texts of a JSON text end, found 64 bytes at a time.
//!
//! The first of two steps of reading, as in Langdale and Lemire, "Parsing gigabytes of JSON per second" (2019): it decides
//! for each byte whether it is within a text. The second step, in [`walk`](super::walk), never looks at the bytes of a text that
//! nobody asks for.

use wide::u8x16;

/// Bytes that one step looks at: as many as a mask has bits.
const BLOCK_BYTES: usize = 64;
/// Bytes that one instruction compares. Twice as many take longer on processors that have no instruction for them.
const PART_BYTES: usize = 16;

/// The ends of the texts.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Positions of the closing quotes, in order. Only the first [`len`](Self::len) are of the present JSON: a list that
    /// never shrinks needs no zeroing.
    ends: Vec<u32>,
    len: usize,
    /// Whether a text has escapes.
    pub(super) has_escapes: bool,
}

/// What the bytes of a block are, one bit each.
#[derive(Clone, Copy, Default)]
struct Masks {
    quotes: u64,
    backslashes: u64,
    controls: u64,
}

impl Masks {
    #[inline(always)]
    fn of(block: &[u8; BLOCK_BYTES]) -> Self {
        let (parts, _) = block.as_chunks::<PART_BYTES>();
        let mut masks = Self::default();
        let mut others = u8x16::ZERO;
        for (n, part) in parts.iter().enumerate() {
            let bytes = u8x16::from(*part);
            masks.quotes |= bits(n, bytes.simd_eq(QUOTE));
            others = others | bytes.simd_eq(BACKSLASH) | bytes.min(LAST_CONTROL).simd_eq(bytes);
        }
        // Most blocks have neither.
        if others.any() {
            for (n, part) in parts.iter().enumerate() {
                let bytes = u8x16::from(*part);
                masks.backslashes |= bits(n, bytes.simd_eq(BACKSLASH));
                masks.controls |= bits(n, bytes.min(LAST_CONTROL).simd_eq(bytes));
            }
        }
        masks
    }
}

const QUOTE: u8x16 = u8x16::new([b'"'; PART_BYTES]);
const BACKSLASH: u8x16 = u8x16::new([b'\\'; PART_BYTES]);
const LAST_CONTROL: u8x16 = u8x16::new([0x1f; PART_BYTES]);

/// One bit for each byte of the part `n` of a block that was found.
#[inline(always)]
fn bits(n: usize, found: u8x16) -> u64 {
    u64::from(found.to_bitmask()) << (n * PART_BYTES)
}

impl Index {
    /// The positions of the closing quotes.
    pub(super) fn ends(&self) -> &[u32] {
        self.ends.get(..self.len).unwrap_or_default()
    }

    /// Finds the ends of the texts in `json`. `false` when a text in it does not end or has a control character or a
    /// wrong escape, or when it is too long for the index.
    pub(super) fn fill(&mut self, json: &[u8]) -> bool {
        (self.len, self.has_escapes) = (0, false);
        if u32::try_from(json.len()).is_err() {
            return false;
        }
        // Of two quotes at most one is a closing one.
        let room = json.len() / 2 + BLOCK_BYTES;
        if self.ends.len() < room {
            self.ends.resize(room, 0);
        }
        let (blocks, rest) = json.as_chunks::<BLOCK_BYTES>();
        let mut last = [b' '; BLOCK_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        // Whether the bytes before a block end within a text, as a mask of all bits, and within an escape.
        let (mut was_inside, mut was_escape) = (0u64, false);
        let mut base = 0;
        for block in blocks.iter().chain([&last]) {
            let masks = Masks::of(block);
            let mut quotes = masks.quotes;
            if masks.backslashes != 0 || was_escape {
                let escaped = escaped(masks.backslashes, &mut was_escape);
                if !are_escapes(json, base, escaped) {
                    return false;
                }
                quotes &= !escaped;
                self.has_escapes = true;
            }
            // From each opening quote to the byte before its closing one.
            let inside = prefix_xor(quotes) ^ was_inside;
            was_inside = ((inside as i64) >> 63) as u64;
            if masks.controls & inside != 0 {
                return false;
            }
            let mut ends = quotes & !inside;
            let Some(places) = self.ends[self.len..].first_chunk_mut::<{ BLOCK_BYTES / 2 }>() else { return false };
            let mut count = 0;
            while ends != 0 {
                places[count % (BLOCK_BYTES / 2)] = base as u32 + ends.trailing_zeros();
                ends &= ends - 1;
                count += 1;
            }
            self.len += count;
            base += BLOCK_BYTES;
        }
        was_inside == 0 && !was_escape
    }
}

/// The bytes behind backslashes that are not escaped themselves.
fn escaped(backslashes: u64, was_escape: &mut bool) -> u64 {
    let (mut escaped, mut rest) = (u64::from(*was_escape), backslashes & !u64::from(*was_escape));
    *was_escape = false;
    while rest != 0 {
        let at = rest.trailing_zeros();
        rest &= rest - 1;
        if at == 63 {
            *was_escape = true;
        } else {
            escaped |= 2 << at;
            rest &= !(2 << at);
        }
    }
    escaped
}

/// Whether JSON knows all these escapes, of which the mask has the bytes behind the backslashes.
fn are_escapes(json: &[u8], base: usize, mut escaped: u64) -> bool {
    while escaped != 0 {
        let at = base + escaped.trailing_zeros() as usize;
        escaped &= escaped - 1;
        let is_known = match json.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => true,
            Some(b'u') => json.get(at + 1..at + 5).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
            _ => false,
        };
        if !is_known {
            return false;
        }
    }
    true
}

/// In each bit, whether the number of bits up to there is odd.
const fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ (bits << 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, byte by byte.
    fn plainly(json: &[u8]) -> Option<Vec<u32>> {
        let (mut ends, mut is_inside, mut is_escaped) = (vec![], false, false);
        for (n, byte) in json.iter().enumerate() {
            match byte {
                0..0x20 if is_inside => return None,
                _ if is_escaped => {
                    is_escaped = false;
                    if !are_escapes(json, n, 1) {
                        return None;
                    }
                }
                b'\\' => is_escaped = true,
                b'"' => {
                    is_inside = !is_inside;
                    if !is_inside {
                        ends.push(n as u32);
                    }
                }
                _ => (),
            }
        }
        (!is_inside && !is_escaped).then_some(ends)
    }

    proptest! {
        #[test]
        fn ends_of_texts_are_those_found_byte_by_byte(
            parts in prop::collection::vec("[a-z é]{0,40}|[\\\\\"]{1,5}|[{}:,\\[\\]\n]|\\\\u00e9|\\\\\\\\|\"", 0..40),
        ) {
            let json = parts.concat();
            let mut index = Index::default();
            // What an earlier text left changes nothing.
            index.fill(&[b'"'; 300]);
            let found = index.fill(json.as_bytes()).then(|| index.ends().to_vec());
            prop_assert_eq!(found, plainly(json.as_bytes()));
        }
    }
}
