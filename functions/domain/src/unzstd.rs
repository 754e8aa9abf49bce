//! zstd decompression with a context that each thread keeps: a new one costs more than decompressing a small record.

use std::cell::RefCell;

use zstd::bulk::Decompressor;

thread_local! {
    static CONTEXT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The content of one zstd frame, when it has no more than `limit_bytes`.
pub(crate) fn decompress(bytes: &[u8], limit_bytes: usize) -> std::io::Result<Vec<u8>> {
    CONTEXT.with_borrow_mut(|kept| {
        let context = match kept {
            Some(context) => context,
            None => kept.insert(Decompressor::new()?),
        };
        context.decompress(bytes, limit_bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
