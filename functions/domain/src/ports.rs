//! The ports that the outside implements: the post log, and the window store with its settings.

use std::cmp::Ordering;
use std::future::Future;

use crate::lane::Lane;
use crate::rollup::{Period, Rollup, RollupKey};
use crate::time::WindowStart;
use crate::window::{Aggregate, Partial};

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

    /// Shows readers of [`RollupStore::live`] what was put since the last call. To be called after each batch. Stores
    /// whose readers see each put at once have nothing to do.
    fn publish(&self) -> impl Future<Output = Result<(), PortError>> + Send {
        std::future::ready(Ok(()))
    }
}

/// An hour or a day of a region whose roll-ups may be out of date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Region id, or [`crate::lane::STREAM`].
    pub region: String,
    /// What may be out of date: the roll-ups of hours that overlap this clock hour, or those of this day.
    pub period: Period,
    /// Start of the clock hour or day, in milliseconds.
    pub start_ms: i64,
    /// Differs after each later change.
    pub stamp: String,
}

/// A row of a roll-up.
#[derive(Debug)]
pub struct RollupRow {
    /// Its key.
    pub key: RollupKey,
    /// Number of the put that wrote it; each put counts on from the one before.
    pub revision: u64,
    /// The roll-up, or why it cannot be read.
    pub rollup: Result<Rollup, PortError>,
}

/// A window that changed lately: its lean counts, or `None` when it cannot be read.
#[derive(Clone, Debug)]
pub struct LiveWindow {
    /// Its key.
    pub key: PartialKey,
    /// When it was stored, in milliseconds by the clock of the writer.
    pub stored_ms: i64,
    /// [`Aggregate::lean`].
    pub aggregate: Option<Aggregate>,
}

impl From<Row> for LiveWindow {
    fn from((key, partial): Row) -> Self {
        let stored_ms = partial.as_ref().map_or(0, |partial| partial.stored_ms);
        Self { key, stored_ms, aggregate: partial.ok().map(|partial| partial.aggregate.lean()) }
    }
}

/// The newest windows, and what may be out of date.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The newest windows of each lane, ledgers included; in any order. The store decides how many of them.
    pub windows: Vec<LiveWindow>,
    /// Hours and days whose roll-ups must not be used.
    pub changes: Vec<Change>,
    /// Whether `changes` lacks some, since there are too many.
    pub has_more: bool,
    /// How long windows may still be put under a change after it was listed, without another stamp, in milliseconds; 0
    /// where each put has its own stamp. Windows that began in the last [`ON_TIME_MS`] may be put at any time.
    pub settle_ms: i64,
}

/// Windows that began this long ago, in milliseconds, or earlier are put under a stamp of their own, wherever
/// [`Live::settle_ms`] is not 0.
pub const ON_TIME_MS: i64 = 600_000;

/// Roll-ups beside the windows, and the list of those that are out of date. A put or a removal of a window adds its hour
/// to the list, at the latest together with the change.
pub trait RollupStore: Send + Sync {
    /// All roll-ups of a region that start in `from_ms..to_ms`, by start, then lane.
    fn rollups(
        &self,
        region: &str,
        period: Period,
        from_ms: i64,
        to_ms: i64,
    ) -> impl Future<Output = Result<Vec<RollupRow>, PortError>> + Send;

    /// Stores a roll-up, or deletes it, on condition that the stored one has this revision; `None` is that there is none.
    fn put_rollup(
        &self,
        key: &RollupKey,
        rollup: Option<&Rollup>,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;

    /// Up to `limit` changes of windows that are stored by now, hours before days, oldest first.
    fn changes(&self, limit: usize) -> impl Future<Output = Result<Vec<Change>, PortError>> + Send;

    /// Adds a change to the list.
    fn add_change(
        &self,
        region: &str,
        period: Period,
        start_ms: i64,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Takes a change off the list, unless its stamp is another one by now.
    fn settle(&self, change: &Change) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// The newest windows of these regions, at least those that start at or after `from` and were published, and the
    /// changes. It may be some seconds old.
    fn live(&self, regions: &[&str], from: WindowStart) -> impl Future<Output = Result<Live, PortError>> + Send;

    /// Writes the setting under a key on condition that it is `expected`; `None` is that there is none. Returns whether it
    /// was written.
    fn replace_setting(
        &self,
        key: &str,
        expected: Option<&str>,
        value: &str,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// What a document has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// The counts of the windows of a day that trends are found from ([`crate::series`]).
    Series,
    /// The events that start on a day ([`crate::event`]).
    Events,
    /// The notes of a day.
    Notes,
    /// Counts of a day from another place ([`crate::reference`]).
    Reference,
    /// The corrections of the windows of a day ([`crate::revision`]).
    Revisions,
    /// How far a region was looked at, what goes on and what rises in it. One a region; its start is 0.
    Watch,
    /// What an alert has sent. One an alert; its start is 0.
    Alert,
}

impl DocumentKind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Series, Self::Events, Self::Notes, Self::Reference, Self::Revisions, Self::Watch, Self::Alert];

    /// The name under which it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Series => "series",
            Self::Events => "events",
            Self::Notes => "notes",
            Self::Reference => "reference",
            Self::Revisions => "revisions",
            Self::Watch => "watch",
            Self::Alert => "alert",
        }
    }
}

/// Key of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    /// What it has.
    pub kind: DocumentKind,
    /// Region id, or [`crate::lane::STREAM`]; of an alert its id.
    pub region: String,
    /// Start of its day, in milliseconds; 0 where there is but one.
    pub start_ms: i64,
}

/// A stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Start of its day, in milliseconds.
    pub start_ms: i64,
    /// Number of the put that wrote it; each put counts on from the one before.
    pub revision: u64,
    /// What it has, in the form of its kind.
    pub body: Vec<u8>,
}

/// Largest body of a document, in bytes: an item of DynamoDB has at most 400 KB.
pub const MAX_DOCUMENT_BYTES: usize = 350_000;

/// Small documents beside the windows, by kind, region and day.
pub trait DocumentStore: Send + Sync {
    /// All documents of a kind and region that start in `from_ms..to_ms`, by start. Each year of the range may take a call
    /// of the store.
    fn documents(
        &self,
        kind: DocumentKind,
        region: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> impl Future<Output = Result<Vec<Document>, PortError>> + Send;

    /// Stores a document, or deletes it, on condition that the stored one has this revision; `None` is that there is none.
    /// Larger ones than [`MAX_DOCUMENT_BYTES`] are refused.
    fn put_document(
        &self,
        key: &DocumentKey,
        body: Option<&[u8]>,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<PutOutcome, PortError>> + Send;
}

/// Checks the size of a document.
///
/// # Errors
/// [`PortError::Refused`] when it is larger than [`MAX_DOCUMENT_BYTES`].
pub fn check_document(key: &DocumentKey, body: &[u8]) -> Result<(), PortError> {
    if body.len() <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    let reason = format!(
        "{} of {} has {} bytes, and at most {MAX_DOCUMENT_BYTES} are possible",
        key.kind.as_str(),
        key.region,
        body.len()
    );
    Err(PortError::Refused { what: "a document", reason })
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
/// Setting: what identifies the log to its archive, as digits.
pub const LOG_ID: &str = "log_id";
/// Setting: the states of the sources, as a JSON list of [`crate::status::SourceState`].
pub const SOURCES: &str = "sources";
/// Setting: the alerts, as a JSON list of [`crate::alert::Alert`]. No secret is in it.
pub const ALERTS: &str = "alerts";
/// Setting: until when windows were copied from another store, in milliseconds, as digits ([`copied_ms`]).
pub const COPIED_MS: &str = "copied_ms";
/// Setting: the overview that the digest writes, as JSON.
pub const OVERVIEW: &str = "overview";

/// When windows were last copied into this store, in milliseconds; `i64::MIN` if never. The log beside it has no posts of
/// windows that started before.
///
/// # Errors
/// When the setting cannot be read.
pub async fn copied_ms<S: Settings>(settings: &S) -> Result<i64, PortError> {
    let Some(text) = settings.setting(COPIED_MS).await? else { return Ok(i64::MIN) };
    text.parse().map_err(|_| PortError::Corrupt {
        what: format!("the setting {COPIED_MS}"),
        reason: format!("{text:?} is no time in milliseconds"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_stored_stay_as_they_are() {
        let names: Vec<_> = DocumentKind::ALL.into_iter().map(DocumentKind::as_str).collect();
        assert_eq!(names, ["series", "events", "notes", "reference", "revisions", "watch", "alert"]);
        assert_eq!(SequenceNumber::from(17).to_string(), "17");
    }

    #[test]
    fn a_document_has_a_largest_size_and_only_what_is_unavailable_may_succeed_later() {
        let key = DocumentKey { kind: DocumentKind::Notes, region: "fog".into(), start_ms: 0 };
        assert_eq!(check_document(&key, &vec![0; MAX_DOCUMENT_BYTES]).ok(), Some(()));
        let refused = check_document(&key, &vec![0; MAX_DOCUMENT_BYTES + 1]).unwrap_err();
        assert!(!refused.is_retryable() && refused.to_string().contains("notes of fog"), "{refused}");
        assert!(PortError::Unavailable { what: "the log", reason: "no answer".into() }.is_retryable());
    }

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
