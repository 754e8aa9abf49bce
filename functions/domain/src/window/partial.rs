//! The stored item of a window.

use super::Aggregate;
use crate::ports::SequenceNumber;
use crate::sealed;
use crate::wire::{self, DecodeError, Reader};

/// Most bytes of a partial's state, uncompressed, that is written or read.
pub const MAX_PARTIAL_BYTES: usize = sealed::MAX_STATE_BYTES;

/// Version of the state. A new metric is a new tag and needs no new version; a change of what a tag means does.
const VERSION: u8 = 5;

/// The stored item of one (region, window, lane).
#[derive(Clone, Debug)]
pub struct Partial {
    /// Which computation wrote it: live is 1, each reprocess uses the next.
    pub generation: u32,
    /// The last log record folded into it.
    pub fence: SequenceNumber,
    /// What was counted.
    pub aggregate: Aggregate,
    /// When it was stored, in milliseconds by the clock of its writer. Stores set it when they read a partial; it is not
    /// part of the state.
    pub stored_ms: i64,
}

impl Partial {
    /// The one byte form of this partial's state: version, fence, the aggregate's fields, CRC-32; zstd-compressed. The
    /// generation is not part of it (stores keep it beside): who computed a window must not show in
    /// its bytes (rule 1.1).
    ///
    /// # Errors
    /// When it is larger than [`MAX_PARTIAL_BYTES`], which the bounds of what is counted exclude, or zstd fails.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut out = vec![VERSION];
        wire::put_bytes(&mut out, self.fence.as_str().as_bytes());
        self.aggregate.encode(&mut out);
        sealed::seal(out)
    }

    /// Reads what [`Partial::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged: our own corruption, to be reported and never skipped (rule 4.6). When another release
    /// wrote them in another version.
    pub fn decode(generation: u32, bytes: &[u8]) -> Result<Self, DecodeError> {
        let plain = sealed::open(bytes)?;
        let mut reader = Reader::new(&plain);
        if reader.u8()? != VERSION {
            return Err(reader.error("version 5 of the stored window; another release of Birdsong wrote this one"));
        }
        let fence = SequenceNumber::parse(reader.text()?).ok_or(reader.error("a sequence number"))?;
        let aggregate = Aggregate::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { generation, fence, aggregate, stored_ms: 0 })
    }
}
