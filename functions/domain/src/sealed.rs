//! Stored states: compressed, and behind a checksum, since neither zstd nor every store notices a flipped bit.

use crate::compression;
use crate::wire::DecodeError;

/// Most bytes of a state, uncompressed, that is written or read.
pub const MAX_STATE_BYTES: usize = 1 << 20;

/// The state with a CRC-32 behind it, zstd-compressed. Equal states have equal bytes.
///
/// # Errors
/// When it is larger than [`MAX_STATE_BYTES`], which the bounds of what is counted exclude, or zstd fails.
pub fn seal(mut state: Vec<u8>) -> std::io::Result<Vec<u8>> {
    state.extend_from_slice(&crc32fast::hash(&state).to_le_bytes());
    if state.len() > MAX_STATE_BYTES {
        let message = format!("a stored state of {} bytes exceeds {MAX_STATE_BYTES}", state.len());
        return Err(std::io::Error::other(message));
    }
    compression::compress(&state, 3)
}

/// Reads what [`seal`] wrote.
///
/// # Errors
/// When the bytes are damaged.
pub fn open(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut plain = compression::decompress(bytes, MAX_STATE_BYTES)
        .map_err(|_| DecodeError { at: 0, what: "a zstd frame of at most 1 MiB" })?;
    let Some((state, sum)) = plain.split_last_chunk::<4>() else {
        return Err(DecodeError { at: 0, what: "a checksum" });
    };
    let length = state.len();
    if crc32fast::hash(state) != u32::from_le_bytes(*sum) {
        return Err(DecodeError { at: length, what: "the checksum of what is stored" });
    }
    plain.truncate(length);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Rule 4.3.
    #[test]
    fn what_can_be_stored_can_be_read() {
        let largest = vec![7; MAX_STATE_BYTES - 4];
        assert_eq!(open(&seal(largest.clone()).unwrap()).unwrap(), largest);
        for longer in [1, 2] {
            assert!(seal(vec![7; MAX_STATE_BYTES - 4 + longer]).is_err());
        }
    }
}
