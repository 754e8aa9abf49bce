//! The ports that the outside implements: the post log, and the window store with its settings.

use std::cmp::Ordering;
use std::future::Future;

use crate::lane::Lane;
use crate::time::WindowStart;
use crate::window::Partial;

/// Position of a record in its shard: a decimal number that may be longer than 128 bits (Kinesis
/// uses 56 digits), so it is kept as digits and compared by value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(Box<str>);

impl SequenceNumber {
    /// Reads decimal digits; leading zeros are dropped so that equal numbers are equal texts.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let trimmed = digits.trim_start_matches('0');
        Some(Self(if trimmed.is_empty() { "0" } else { trimmed }.into()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for SequenceNumber {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl std::fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An error of the log or the store.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The service is unavailable or overloaded; the same call may succeed later.
    #[error("{what} is unavailable: {reason}")]
    Unavailable {
        /// Which service and call.
        what: &'static str,
        /// Its message.
        reason: String,
    },
    /// What is stored cannot be read; a retry does not help.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// Which service and item.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The call itself is wrong or not allowed; a retry does not help.
    #[error("{what} refused the call: {reason}")]
    Refused {
        /// Which service and call.
        what: &'static str,
        /// Its message.
        reason: String,
    },
}

impl PortError {
    /// A window that [`Partial::encode`] rejects: storing it will never succeed.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "what map_err gives")]
    pub fn cannot_encode(error: std::io::Error) -> Self {
        Self::Corrupt { what: "a window".into(), reason: error.to_string() }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// One encoded frame on its way to the log.
#[derive(Clone, Debug)]
pub struct FrameRecord {
    /// Decides the shard; records of one lane keep their order.
    pub lane: Lane,
    /// The encoded frame.
    pub bytes: Vec<u8>,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Position in the shard.
    pub sequence: SequenceNumber,
    /// Arrival in the log.
    pub arrived_ms: i64,
    /// The lane that it was appended under; `None` when that is not written as one.
    pub lane: Option<Lane>,
    /// The encoded frame.
    pub bytes: Vec<u8>,
}

/// Where to start reading a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// At the oldest record kept.
    Oldest,
    /// At the first record that arrived at or after this time.
    Time(i64),
    /// Behind this record.
    After(SequenceNumber),
}

/// The durable, ordered log of frames.
pub trait PostLog: Send + Sync {
    /// Appends frames in order and returns for each whether the log has it. A frame whose outcome is
    /// an error may be sent again; the ones before and after it are not affected.
    fn append(&self, frames: &[FrameRecord]) -> impl Future<Output = Vec<Result<SequenceNumber, PortError>>> + Send;

    /// Whether the frames of an append that are in the log are always the first ones, after any failure.
    fn keeps_prefix(&self) -> bool {
        false
    }

    /// Names of all shards.
    fn shards(&self) -> impl Future<Output = Result<Vec<String>, PortError>> + Send;

    /// Every record that arrived at or after this time (milliseconds) is still there; earlier ones may
    /// have gone with the retention. `i64::MIN` when none was ever removed.
    fn complete_since(&self, shard: &str) -> impl Future<Output = Result<i64, PortError>> + Send;

    /// Up to `limit` records of a shard in order; fewer than `limit` means that the end is near,
    /// none that it is reached.
    fn read(
        &self,
        shard: &str,
        from: &ReadFrom,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<LogRecord>, PortError>> + Send;
}

/// Key of a stored partial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartialKey {
    /// The lane; its region is the one that is asked for.
    pub lane: Lane,
    /// Start of the window.
    pub window: WindowStart,
}

/// What a conditional put expects to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing stored under the key.
    Absent,
    /// A partial with exactly this generation and fence.
    At {
        /// Generation that the writer started from.
        generation: u32,
        /// Fence that the writer started from.
        fence: SequenceNumber,
    },
    /// The row of this version, whether or not its state can be read. What a reprocess replaces
    /// damaged rows on.
    Row(RowVersion),
}

/// The attributes of a stored row beside its state, which identify it when the state is damaged. Each
/// put changes it. Equal versions of a key are the same row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowVersion {
    /// Generation; `None` when the row has none that can be read.
    pub generation: Option<u32>,
    /// Fence; `None` when the row has none that can be read.
    pub fence: Option<SequenceNumber>,
    /// What the store compares. Only the store that made it can read it.
    pub token: Box<[u8]>,
}

/// How a conditional put ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is stored.
    Stored,
    /// Somebody else wrote meanwhile: load again and fold again.
    Conflict,
}

/// A row of the store: its key, and its partial or why that cannot be read.
pub type Row = (PartialKey, Result<Partial, PortError>);

/// The store of partials.
pub trait WindowStore: Send + Sync {
    /// The partial under a key.
    fn load(&self, key: &PartialKey) -> impl Future<Output = Result<Option<Partial>, PortError>> + Send;

    /// Stores a partial on condition that what is stored is what is expected.
    fn put(
        &self,
        key: &PartialKey,
        partial: &Partial,
        expected: &Expected,
    ) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;

    /// Keys of all rows, of every region, whose windows start in `from..to`, whether or not their states
    /// can be read; in any order. It may read the whole store.
    fn keys(
        &self,
        from: WindowStart,
        to: WindowStart,
    ) -> impl Future<Output = Result<Vec<PartialKey>, PortError>> + Send;

    /// The version of the row under a key, whether or not its state can be read.
    fn version(&self, key: &PartialKey) -> impl Future<Output = Result<Option<RowVersion>, PortError>> + Send;

    /// Deletes the row under a key on condition that it has this version. `true` when there is no row
    /// afterwards; `false` when another writer was faster.
    fn remove(&self, key: &PartialKey, version: &RowVersion) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// All rows of a region whose windows start in `from..to`, by window, then lane. A row that cannot be read
    /// is a separate error ([`PortError::Corrupt`]).
    fn query(
        &self,
        region: &str,
        from: WindowStart,
        to: WindowStart,
    ) -> impl Future<Output = Result<Vec<Row>, PortError>> + Send;

    /// Start of the newest window of a region, if it has any.
    fn newest(&self, region: &str) -> impl Future<Output = Result<Option<WindowStart>, PortError>> + Send;
}

/// Short texts kept beside the windows, such as the catalogue of regions. The last writer wins.
pub trait Settings: Send + Sync {
    /// The text under a key.
    fn setting(&self, key: &str) -> impl Future<Output = Result<Option<String>, PortError>> + Send;

    /// Writes the text under a key.
    fn set_setting(&self, key: &str, value: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Setting: version of what is stored, as digits ([`crate::format`]).
pub const FORMAT: &str = "format";
/// Setting: length of a window in seconds, as digits.
pub const WINDOW_SECS: &str = "window_secs";
/// Setting: the catalogue of regions, as a JSON list of [`crate::region::Region`].
pub const REGIONS: &str = "regions";
/// Setting: what identifies the key that ids are hashed with ([`crate::post::InstallationKey::fingerprint`]).
pub const KEY_FINGERPRINT: &str = "key_fingerprint";
/// Setting: the states of the sources, as a JSON list of [`crate::status::SourceState`].
pub const SOURCES: &str = "sources";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_compare_by_value_beyond_128_bits() {
        let n = |digits: &str| SequenceNumber::parse(digits).unwrap();
        assert!(n("9") < n("10"));
        assert!(
            n("49590338271490256608559692538361571095921575989136588898")
                < n("149590338271490256608559692538361571095921575989136588898")
        );
        assert_eq!(n("007"), n("7"));
        assert_eq!(n("000"), n("0"));
        for bad in ["", "-1", "1a", "１"] {
            assert_eq!(SequenceNumber::parse(bad), None);
        }
    }
}
