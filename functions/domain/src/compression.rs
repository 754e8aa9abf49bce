//! zstd, with contexts that each thread keeps: a new one costs more than a small record.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// One zstd frame of these bytes, at this level. Equal bytes give equal frames, whatever the thread compressed before.
pub(crate) fn compress(bytes: &[u8], level: i32) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let context = match kept {
            Some(context) => context,
            None => kept.insert(Compressor::new(level)?),
        };
        context.set_compression_level(level)?;
        context.compress(bytes)
    })
}

/// The content of one zstd frame, when it has no more than `limit_bytes`.
pub(crate) fn decompress(bytes: &[u8], limit_bytes: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let context = match kept {
            Some(context) => context,
            None => kept.insert(Decompressor::new()?),
        };
        context.decompress(bytes, limit_bytes)
    })
}

/// Appends a zstd frame of blocks that hold `bytes` as they are (RFC 8878, sections 3.1.1 and 3.1.1.2).
pub(crate) fn store(out: &mut Vec<u8>, bytes: &[u8]) {
    const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
    /// The content's length follows in four bytes, and is the size of the window, too.
    const DESCRIPTOR: u8 = 0b1010_0000;
    const MAX_BLOCK_BYTES: usize = 128 << 10;
    out.reserve(bytes.len() + 32);
    out.extend_from_slice(&MAGIC);
    out.push(DESCRIPTOR);
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    let mut rest = bytes;
    loop {
        let (block, behind) = rest.split_at(rest.len().min(MAX_BLOCK_BYTES));
        // Whether it is the last one, its type (0: as it is), its length.
        let header = u32::from(behind.is_empty()) | (block.len() as u32) << 3;
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.extend_from_slice(block);
        if behind.is_empty() {
            return;
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_a_frame_of_zstd() {
        for length in [0, 1, 255, 256, 65_536, 131_071, 131_072, 131_073, 300_000] {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 7 % 251) as u8).collect();
            let mut stored = vec![1];
            store(&mut stored, &bytes);
            assert!(stored.len() <= length + 32, "{length}");
            assert_eq!(decompress(&stored[1..], length).unwrap(), bytes, "{length}");
        }
    }

    // What is stored is compared byte for byte, also with what older releases stored.
    #[test]
    fn a_frame_has_the_bytes_that_it_has_from_a_new_context() {
        let words = ["fog", "on", "the", "bay", "\u{6771}\u{4eac}", "#Storm"];
        let text = |length: usize| -> Vec<u8> {
            let mut bytes: Vec<u8> = (0..).flat_map(|n: usize| words[n * n % 31 % 6].bytes()).take(length).collect();
            bytes.iter_mut().step_by(97).enumerate().for_each(|(n, byte)| *byte = (n * 131 % 251) as u8);
            bytes
        };
        for length in [0, 3, 900, 200_000, 40, 1 << 20, 5_000] {
            for level in [1, 3, 1] {
                let bytes = text(length);
                let new = zstd::bulk::compress(&bytes, level).unwrap();
                assert_eq!(compress(&bytes, level).unwrap(), new, "{length} bytes, level {level}");
            }
        }
    }

    #[test]
    fn what_is_damaged_or_too_large_spoils_nothing_after_it() {
        let packed = zstd::bulk::compress(&[7; 1000], 3).unwrap();
        for _ in 0..2 {
            assert_eq!(decompress(&packed, 1000).unwrap(), [7; 1000]);
            assert!(decompress(&packed, 999).is_err());
            assert!(decompress(&packed[..packed.len() - 2], 1000).is_err());
            assert!(decompress(b"no frame", 1000).is_err());
        }
    }
}
