//! Messages compressed with the hosts' zstd dictionary.

use zstd::bulk::Decompressor;
use zstd::zstd_safe::{get_dict_id_from_dict, get_dict_id_from_frame};

use super::MAX_MESSAGE_BYTES;
use super::ended::Ended;

/// Whether these bytes are a zstd dictionary.
pub(super) fn is_dictionary(bytes: &[u8]) -> bool {
    get_dict_id_from_dict(bytes).is_some()
}

/// Fails when a message was compressed with another dictionary than ours.
pub(super) fn check_dictionary(ours: Option<&[u8]>, packed: &[u8]) -> Result<(), Ended> {
    let ours = ours.and_then(get_dict_id_from_dict);
    match get_dict_id_from_frame(packed) {
        Some(theirs) if Some(theirs) != ours => {
            Err(Ended::Dictionary(format!("{theirs}, not {}", ours.map_or(0, u32::from))))
        }
        _ => Ok(()),
    }
}

/// Unpacks messages into one buffer.
pub(super) struct Unpack {
    zstd: Decompressor<'static>,
    buffer: Vec<u8>,
}

impl Unpack {
    pub(super) fn new(dictionary: &[u8]) -> std::io::Result<Self> {
        let buffer = Vec::with_capacity(MAX_MESSAGE_BYTES);
        Ok(Self { zstd: Decompressor::with_dictionary(dictionary)?, buffer })
    }

    /// Fails when the message does not fit the buffer.
    pub(super) fn message(&mut self, packed: &[u8]) -> std::io::Result<&[u8]> {
        self.buffer.clear();
        self.zstd.decompress_to_buffer(packed, &mut self.buffer)?;
        Ok(&self.buffer)
    }
}
