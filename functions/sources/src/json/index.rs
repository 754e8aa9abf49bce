//! Where the texts of a JSON text begin and end, found 64 bytes at a time.
//!
//! The first of two steps of reading, as in Langdale and Lemire, "Parsing gigabytes of JSON per second" (2019): it finds the
//! quotes. The second step, in [`walk`](super::walk), never looks at the bytes of a text that nobody asks for.

use wide::u8x16;

/// Bytes that one step looks at: as many as a mask has bits.
const BLOCK_BYTES: usize = 64;
/// Bytes that one instruction compares. Twice as many take longer on processors that have no instruction for them.
const PART_BYTES: usize = 16;

/// The quotes around texts, and the escapes.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A bit for each byte: whether it is a quote that begins or ends a text. Only the first [`blocks`](Self::blocks) are of the present
    /// JSON: a list that never shrinks needs no zeroing.
    quotes: Vec<u64>,
    blocks: usize,
    /// A bit for each byte: whether it is escaped by the backslash in front of it. Empty when there are no escapes.
    escapes: Vec<u64>,
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
        let mut backslashes = u8x16::ZERO;
        let mut least = GREATEST;
        for (n, part) in parts.iter().enumerate() {
            let bytes = u8x16::from(*part);
            masks.quotes |= bits(n, bytes.simd_eq(QUOTE));
            backslashes |= bytes.simd_eq(BACKSLASH);
            least = least.min(bytes);
        }
        // Most blocks have neither.
        if (backslashes | least.min(LAST_CONTROL).simd_eq(least)).any() {
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
const GREATEST: u8x16 = u8x16::new([u8::MAX; PART_BYTES]);

/// One bit for each byte of the part `n` of a block that was found.
#[inline(always)]
fn bits(n: usize, found: u8x16) -> u64 {
    u64::from(found.to_bitmask()) << (n * PART_BYTES)
}

impl Index {
    /// Finds the quotes and escapes in `json`. `false` when a text in it has a control character, or when a backslash is in front of
    /// what JSON knows no escape for.
    pub(super) fn fill(&mut self, json: &[u8]) -> bool {
        let (blocks, rest) = json.as_chunks::<BLOCK_BYTES>();
        let mut last = [b' '; BLOCK_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        self.blocks = blocks.len() + 1;
        if self.quotes.len() < self.blocks {
            self.quotes.resize(self.blocks, 0);
        }
        self.escapes.clear();
        // Whether the byte before a block is a backslash that escapes.
        let mut was_escape = false;
        // Whether a block begins within a text, as a mask of all bits. Only control characters need it.
        let (mut is_inside, mut known_blocks) = (0u64, 0);
        for (n, block) in blocks.iter().chain([&last]).enumerate() {
            let masks = Masks::of(block);
            let mut quotes = masks.quotes;
            if masks.backslashes != 0 || was_escape {
                let escaped = escaped(masks.backslashes, &mut was_escape);
                if !are_escapes(json, n * BLOCK_BYTES, escaped) {
                    return false;
                }
                quotes &= !escaped;
                self.escapes.resize(self.blocks, 0);
                self.escapes[n] = escaped;
            }
            if masks.controls != 0 {
                let between = self.quotes[known_blocks..n].iter();
                is_inside = between
                    .fold(is_inside, |inside, quotes| if quotes.count_ones() % 2 == 1 { !inside } else { inside });
                known_blocks = n;
                // From each opening quote to the byte before its closing one.
                if masks.controls & (prefix_xor(quotes) ^ is_inside) != 0 {
                    return false;
                }
            }
            self.quotes[n] = quotes;
        }
        !was_escape
    }

    pub(super) fn marks(&self) -> Marks<'_> {
        Marks { quotes: self.quotes.get(..self.blocks).unwrap_or_default(), escapes: &self.escapes }
    }
}

/// What the index has found.
#[derive(Clone, Copy)]
pub(super) struct Marks<'i> {
    quotes: &'i [u64],
    escapes: &'i [u64],
}

impl Marks<'_> {
    /// Position of the first quote from here on.
    #[inline(always)]
    pub(super) fn next_quote(&self, from: usize) -> Option<usize> {
        let rest = self.quotes.get(from / BLOCK_BYTES)? >> (from % BLOCK_BYTES);
        if rest != 0 { Some(from + rest.trailing_zeros() as usize) } else { self.next_quote_behind(from / BLOCK_BYTES) }
    }

    #[inline]
    fn next_quote_behind(&self, block: usize) -> Option<usize> {
        let (n, quotes) = self.quotes.iter().enumerate().skip(block + 1).find(|(_, quotes)| **quotes != 0)?;
        Some(n * BLOCK_BYTES + quotes.trailing_zeros() as usize)
    }

    /// Whether there is an escape in this part.
    #[inline(always)]
    pub(super) fn has_escape(&self, from: usize, to: usize) -> bool {
        !self.escapes.is_empty() && self.has_escape_within(from, to)
    }

    fn has_escape_within(&self, from: usize, to: usize) -> bool {
        let (first, last) = (from / BLOCK_BYTES, to / BLOCK_BYTES);
        let Some(blocks) = self.escapes.get(first..=last) else { return true };
        blocks.iter().enumerate().any(|(n, escapes)| {
            let behind = if n == 0 { u64::MAX << (from % BLOCK_BYTES) } else { u64::MAX };
            let before = if n == last - first { !(u64::MAX << (to % BLOCK_BYTES)) } else { u64::MAX };
            escapes & behind & before != 0
        })
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

    /// The quotes around texts and the escaped bytes, found byte by byte.
    fn plainly(json: &[u8]) -> Option<(Vec<usize>, Vec<usize>)> {
        let (mut quotes, mut escapes, mut is_inside, mut is_escaped) = (vec![], vec![], false, false);
        for (n, byte) in json.iter().enumerate() {
            match byte {
                0..0x20 if is_inside => return None,
                _ if is_escaped => {
                    is_escaped = false;
                    escapes.push(n);
                    if !are_escapes(json, n, 1) {
                        return None;
                    }
                }
                b'\\' => is_escaped = true,
                b'"' => {
                    is_inside = !is_inside;
                    quotes.push(n);
                }
                _ => (),
            }
        }
        (!is_escaped).then_some((quotes, escapes))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn quotes_and_escapes_are_those_found_byte_by_byte(
            parts in prop::collection::vec("[a-z é]{0,40}|[\\\\\"]{1,5}|[{}:,\\[\\]\n]|\\\\u00e9|\\\\\\\\|\"|x{60,140}", 0..40),
            from in any::<prop::sample::Index>(),
            to in any::<prop::sample::Index>(),
        ) {
            let json = parts.concat();
            let mut index = Index::default();
            // What an earlier text left changes nothing.
            index.fill(&[b'"'; 3000]);
            let is_found = index.fill(json.as_bytes());
            let marks = index.marks();
            let expected = plainly(json.as_bytes());
            prop_assert_eq!(is_found, expected.is_some());
            let Some((quotes, escapes)) = expected else { return Ok(()) };
            let mut found = vec![];
            while let Some(quote) = marks.next_quote(found.last().map_or(0, |last| last + 1)) {
                found.push(quote);
            }
            prop_assert_eq!(found, quotes);
            let (from, to) = (from.index(json.len() + 1), to.index(json.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            prop_assert_eq!(marks.has_escape(from, to), escapes.iter().any(|at| (from..to).contains(at)));
        }
    }
}
